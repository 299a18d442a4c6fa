use std::{fs, path::PathBuf};

use fusebox_base::testing;
use fusebox_rules::fleet::AlertKind;
use proptest::prelude::*;

use super::*;
use crate::{
    access::Role,
    alerts::{ChannelKind, Email, Encryption, PAGERDUTY, Route, Severity},
};

mod injector;
mod secrets;

/// A folder with a configuration in it.
pub(super) struct Case {
    folder: tempfile::TempDir,
    pub(super) sources: Sources,
}

impl Case {
    pub(super) fn yaml(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.yaml");
        fs::write(&file, text.replace("DIR", &folder.path().display().to_string())).unwrap();
        Self { folder, sources: Sources { file: Some(file), ..Sources::default() } }
    }

    /// The same, with a file beside the configuration, which calls the folder `DIR`.
    pub(super) fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn set(mut self, typed: &str) -> Self {
        self.sources.set(typed);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn config(&self) -> Config {
        load(&self.sources).unwrap_or_else(|faults| panic!("{faults}"))
    }

    /// Every fault as it is printed, the folder left out.
    fn faults(&self) -> Vec<String> {
        let faults = load(&self.sources).map_or_else(|faults| faults.to_string(), |config| panic!("{config:?}"));
        let folder = format!("{}/", self.folder.path().display());
        faults.replace(&folder, "").lines().map(str::to_owned).collect()
    }
}

/// Every key with its default, as it is agreed on.
const DEFAULTS: &str = r"
fleet: { name: default, redis: null }
listen: { grpc: 127.0.0.1:50052, http: 127.0.0.1:8081 }
auth: { tokens_file: null, tls: null, certificates: [], session: 12h }
telemetry: { otlp_endpoint: null, log: info, log_format: text }
health: { critical_share: 0.5, degraded_share: 0.1 }
audit: { keep: 10000, keep_for: 90d }
alerts: { channels: [], routes: [], dashboard: null }
injector: { listen: null, tls: null, template_file: null, on_error: admit }
limits: { max_body: 1MiB, max_connections: 1000, max_watchers: 1000 }
shutdown: { grace: 10s }
";

#[test]
fn every_key_is_listed_with_the_default_that_is_agreed_on_and_that_is_what_nothing_typed_means() {
    assert_eq!(Case::yaml(DEFAULTS).config(), Config::default());
    let keys = keys();
    for (path, shown) in testing::leaves(DEFAULTS) {
        let listed = &keys.iter().find(|key| key.path == path).unwrap_or_else(|| panic!("{path}")).default;
        assert!(*listed == shown || path.ends_with("_share"), "{path}: {listed} is listed, {shown} is agreed on");
    }
    for key in &keys {
        assert_eq!(keys.iter().filter(|other| other.path == key.path).count(), 1, "{}", key.path);
        assert!(!key.doc.is_empty() && !key.default.is_empty(), "{key:?}");
    }
}

/// All kinds of channels, and routes to them.
const ALERTS: &str = "
alerts:
  dashboard: https://fusebox.example/
  channels:
    - { name: chat, kind: slack, url_file: DIR/slack }
    - { name: oncall, kind: pagerduty, key_env: PAGER }
    - { name: europe, kind: pagerduty, key_file: DIR/pager, url: https://events.eu.pagerduty.com/v2/enqueue }
    - { name: mail, kind: email, server: smtp.example.com, from: Fusebox <f@example.com>, to: [a@example.com, B <b@example.com>], user: f, password_file: DIR/password }
    - { name: local, kind: email, server: 127.0.0.1, tls: none, from: f@example.com, to: [a@example.com] }
    - { name: hook, kind: webhook, url: 'http://127.0.0.1:9/hook/', secret_file: DIR/secret, ca_file: DIR/ca }
    - { name: secret, kind: webhook, url_env: HOOK }
  routes:
    - { kinds: [breaker_opened, health_critical], severities: [critical], channels: [oncall, chat], group_wait: 1s, group_interval: 5m, repeat_every: 0s }
    - {}
";

fn alerts() -> Case {
    Case::yaml(ALERTS)
        .file("slack", "https://hooks.slack.example/T/B/x\n")
        .file("pager", "0123456789")
        .file("password", "hunter2")
        .file("secret", "0123456789abcdef")
        .file("ca", "pem")
        .variable("PAGER", "abc")
        .variable("HOOK", "https://hook.example/?token=x")
}

#[test]
fn each_kind_of_channel_is_read_with_what_it_needs() {
    let case = alerts();
    let config = case.config();
    let kinds: Vec<_> =
        config.alerts.settings.channels.iter().map(|channel| (&*channel.name, channel.kind.name())).collect();
    let right = [
        ("chat", "slack"),
        ("oncall", "pagerduty"),
        ("europe", "pagerduty"),
        ("mail", "email"),
        ("local", "email"),
        ("hook", "webhook"),
        ("secret", "webhook"),
    ];
    assert_eq!(kinds, right);
    let of = |index: usize| &config.alerts.settings.channels[index].kind;
    assert!(matches!(of(0), ChannelKind::Slack(slack) if slack.url.reveal() == "https://hooks.slack.example/T/B/x"));
    assert!(
        matches!(of(1), ChannelKind::PagerDuty(duty) if duty.url == PAGERDUTY && duty.routing_key.reveal() == "abc")
    );
    assert!(matches!(of(2), ChannelKind::PagerDuty(duty) if duty.url == "https://events.eu.pagerduty.com/v2/enqueue"));
    let credentials = Some(("f".to_owned(), Secret::new("hunter2")));
    let mail = Email {
        host: "smtp.example.com".to_owned(),
        port: 587,
        encryption: Encryption::StartTls,
        ca_file: None,
        credentials,
        from: "Fusebox <f@example.com>".to_owned(),
        to: vec!["a@example.com".to_owned(), "B <b@example.com>".to_owned()],
    };
    assert_eq!(*of(3), ChannelKind::Email(mail));
    assert!(matches!(of(4), ChannelKind::Email(mail) if mail.port == 25 && mail.credentials.is_none()));
    assert!(matches!(of(5), ChannelKind::Webhook(hook) if hook.url.reveal() == "http://127.0.0.1:9/hook/"
        && hook.secret.is_some() && hook.ca_file == Some(case.path("ca"))));
    assert!(matches!(of(6), ChannelKind::Webhook(hook) if hook.url.reveal() == "https://hook.example/?token=x"));
    let files: Vec<_> = ["slack", "pager", "password", "secret", "ca"].iter().map(|name| case.path(name)).collect();
    assert_eq!(config.files(), files);
    assert_eq!(config.alerts.settings.dashboard.as_deref(), Some("https://fusebox.example"));
}

#[test]
fn a_route_names_what_it_takes_and_where_to_and_a_bare_one_takes_all() {
    let routes = alerts().config().alerts.settings.routes;
    let first = Route {
        kinds: vec![AlertKind::BreakerOpened, AlertKind::HealthCritical],
        severities: vec![Severity::Critical],
        channels: vec!["oncall".into(), "chat".into()],
        group_wait: Duration::from_secs(1),
        group_interval: Duration::from_mins(5),
        repeat_every: Duration::ZERO,
    };
    let bare = Route {
        kinds: Vec::new(),
        severities: Vec::new(),
        channels: Vec::new(),
        group_wait: Duration::from_secs(10),
        group_interval: Duration::from_mins(1),
        repeat_every: Duration::from_hours(4),
    };
    assert_eq!(routes, [first, bare]);
}

#[test]
fn callers_are_read_with_their_roles_and_every_fault_of_their_file_is_named() {
    let text = "auth: { tokens_file: DIR/tokens }\nlisten: { http: '0.0.0.0:8081' }\n";
    let case = Case::yaml(text).file("tokens", "operator ada 0123456789abcdef\n");
    let config = case.config();
    assert_eq!(config.files(), [case.path("tokens")]);
    let (tokens, _) = config.auth.tokens.clone().unwrap();
    assert_eq!(tokens.find("0123456789abcdef").map(|token| token.role), Some(Role::Operator));
    assert!(config.auth.asks() && config.auth.access().asks() && !config.auth.access().secure);
    let case = case.file("tokens", "operator ada short\nnobody\n");
    assert_eq!(
        case.faults(),
        [
            "auth.tokens_file: tokens is wrong in line 1: the token has fewer than 16 characters, which could be tried out (f.yaml, line 1)",
            "auth.tokens_file: tokens is wrong in line 2: it has 1 words instead of 3; write `operator NAME TOKEN` or `viewer NAME TOKEN` (f.yaml, line 1)",
        ]
    );
}

#[test]
fn a_certificate_is_asked_for_where_it_counts_and_welcome_where_a_token_does_too() {
    let tls = "tls: { cert_file: DIR/pem, key_file: DIR/pem, client_ca_file: DIR/pem }";
    let certificates = "certificates: [{ name: ada, role: operator }, { name: bob }]";
    let tokens = "tokens_file: DIR/tokens";
    let read = |auth: &[&str]| {
        let case = Case::yaml(&format!("listen: {{ grpc: '[::]:1' }}\nauth: {{ {} }}", auth.join(", ")));
        case.file("pem", "").file("tokens", "viewer bob 0123456789abcdef").config().auth
    };
    let both = read(&[tls, certificates, tokens]);
    assert_eq!(both.asked(), ClientCertificates::Welcome);
    let roles: Vec<_> = both.certificates.iter().map(|one| (&*one.name, one.role)).collect();
    assert_eq!(roles, [("ada", Role::Operator), ("bob", Role::Viewer)]);
    assert!(both.access().secure);
    assert_eq!(read(&[tls, certificates]).asked(), ClientCertificates::Required);
    assert_eq!(read(&[tls, tokens]).asked(), ClientCertificates::Required, "a second door before that of tokens");
}

#[test]
fn doors_that_others_can_reach_need_somebody_who_asks() {
    let faults = Case::yaml("listen: { grpc: '0.0.0.0:1' }\n").set("listen.http=[::]:2").faults();
    let [grpc, http] = &faults[..] else { panic!("{faults:#?}") };
    assert!(grpc.starts_with("listen.grpc: whoever can reach 0.0.0.0:1 could") && grpc.ends_with("(f.yaml, line 1)"));
    assert!(http.starts_with("listen.http: whoever can reach [::]:2 could") && http.ends_with("(--set)"), "{http}");
    assert!(grpc.contains("set auth.tokens_file, or auth.tls with a client_ca_file"), "{grpc}");
    for near in ["127.0.0.1:1", "127.0.0.2:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        let _ = Case::yaml("").set(&format!("listen.http={near}")).config();
    }
    let once = Case::yaml("listen: { grpc: '0.0.0.0:1' }\nauth: { tokens_file: /no/such }").faults();
    assert!(matches!(&*once, [one] if one.starts_with("auth.tokens_file: ")), "{once:#?}");
}

#[test]
fn all_faults_are_named_at_once_in_the_order_of_their_places() {
    let text = "\
fleet: {nmae: x}
listen: {http: 127.0.0.1:50052}
auth: {certificates: [{name: a}], session: 1s}
health: {degraded_share: 0.6}
alerts:
  channels:
    - {name: a, kind: slack, url: https://hooks.slack.example/T}
    - {name: a, kind: pager}
  routes:
    - {channels: [b]}
";
    assert_eq!(
        Case::yaml(text).set("audit.keep=1").set("nonsense=1").faults(),
        [
            "fleet.nmae: unknown key; did you mean `name`? (f.yaml, line 1)",
            "listen.http: 127.0.0.1:50052 is also listen.grpc; each needs a port of its own (f.yaml, line 2)",
            "auth.certificates: nobody's certificate is checked; set auth.tls with a client_ca_file (f.yaml, line 3)",
            "auth.session: 1s is less than 1m, the least allowed (f.yaml, line 3)",
            "health.degraded_share: degraded_share (0.6) is above critical_share (0.5): a fleet is degraded before it is critical (f.yaml, line 4)",
            "alerts.channels[0].url: a Slack webhook's URL is as good as a key, and does not belong in a configuration; name its file by url_file, or its variable by url_env (f.yaml, line 7)",
            "alerts.channels[1].kind: pager is not one of slack, pagerduty, email, webhook (f.yaml, line 8)",
            "alerts.channels[1].name: a is already the name of alerts.channels[0] (f.yaml, line 8)",
            "alerts.routes[0].channels: item 0 of it: b is not a name under alerts.channels (f.yaml, line 10)",
            "audit.keep: 1 is less than 100, the least allowed (--set)",
            "nonsense: unknown key; the keys here are fleet, listen, auth, telemetry, health, audit, alerts, injector, limits, shutdown (--set)",
        ]
    );
}

/// A channel, and what its only fault begins with.
#[rustfmt::skip]
const WRONG_CHANNELS: &[(&str, &str)] = &[
    ("kind: slack", "url_file: is missing; name the file that holds the webhook's URL"),
    ("kind: slack, url_file: /no/such", "url_file: the file /no/such cannot be read"),
    ("kind: slack, url_env: NOT_A_URL", "url_env: holds something that is not an http:// or https:// URL"),
    ("kind: slack, url_env: UNSET", "url_env: the variable UNSET is not set"),
    ("kind: slack, url_file: DIR/url, url_env: URL", "url_env: stands beside url_file"),
    ("kind: slack, url_env: URL, to: [a@b.c]", "to: is not for a channel of kind slack"),
    ("kind: slack, url_env: URL, channel: x", "channel: unknown key"),
    ("kind: pagerduty", "key_file: is missing"),
    ("kind: pagerduty, key: x", "key: a secret does not belong in a configuration"),
    ("kind: pagerduty, key_env: KEY, url: ftp://a", "url: is not an http"),
    ("kind: pagerduty, key_env: KEY, url: https://a/?token=x", "url: holds a user, a password or a query"),
    ("kind: email, from: f@e.x, to: [a@e.x]", "server: is missing"),
    ("kind: email, server: s, to: [a@e.x]", "from: is missing"),
    ("kind: email, server: s, from: f@e.x", "to: names nobody"),
    ("kind: email, server: s, from: f@e.x, to: []", "to: names nobody"),
    ("kind: email, server: s, from: f@e.x, to: a@e.x", "to: a@e.x is not a list"),
    ("kind: email, server: s, from: f@e.x, to: [a]", "to: item 0 of it: a is not a mailbox"),
    ("kind: email, server: s, from: f, to: [a@e.x]", "from: f is not a mailbox"),
    ("kind: email, server: s:25, from: f@e.x, to: [a@e.x]", "server: s:25 is not a host"),
    ("kind: email, server: s, port: 0, from: f@e.x, to: [a@e.x]", "port: 0 is less than 1"),
    ("kind: email, server: s, from: f@e.x, to: [a@e.x], user: u", "user: needs password_file beside it"),
    ("kind: email, server: s, from: f@e.x, to: [a@e.x], password_file: DIR/url", "password_file: needs user beside it"),
    ("kind: email, server: s, from: f@e.x, to: [a@e.x], user: u, password_file: DIR/url, tls: none", "tls: is none, and the password"),
    ("kind: webhook", "url: is missing"),
    ("kind: webhook, url: http://a, url_env: URL", "url: stands beside"),
    ("kind: webhook, url: http://a, secret_file: DIR/short", "secret_file: holds fewer than 16 characters"),
    ("kind: webhook, url: http://a, secret: x", "secret: a secret does not belong"),
    ("kind: webhook, url: http://a, port: 5", "port: is not for a channel of kind webhook"),
    ("url: http://a", "kind: is missing"),
];

#[test]
fn what_is_wrong_with_a_channel_is_said_once() {
    for (channel, begins) in WRONG_CHANNELS {
        let case = Case::yaml(&format!("alerts: {{ channels: [{{ name: a, {channel} }}] }}"))
            .file("url", "http://a")
            .file("short", "short")
            .variable("URL", "http://a")
            .variable("KEY", "key")
            .variable("NOT_A_URL", "hunter2");
        let faults = case.faults();
        let begins = format!("alerts.channels[0].{begins}");
        assert!(faults.len() == 1 && faults[0].starts_with(&begins), "{channel}\n{faults:#?}");
    }
}

/// A text, and what its only fault begins with.
#[rustfmt::skip]
const WRONG: &[(&str, &str)] = &[
    ("fleet: {redis: http://r}", "fleet.redis: is not a URL that begins with redis://"),
    ("auth: {tls: {cert_file: /proc/version, key_file: /proc/version, client_ca_file: /proc/version}}", "auth.tls: whoever has a certificate has no role"),
    ("auth: {tls: {cert_file: /proc/version, key_file: /proc/version, client_ca_file: /proc/version}, certificates: [{name: a}, {name: a}]}", "auth.certificates: names a twice"),
    ("auth: {tls: {cert_file: /proc/version, key_file: /proc/version, client_ca_file: /proc/version}, certificates: [{name: a, role: admin}]}", "auth.certificates[0].role: admin is not one of viewer, operator"),
    ("health: {critical_share: 0}", "health.critical_share: 0 is less than 0.001"),
    ("health: {critical_share: 0.05}", "health.critical_share: degraded_share (0.1) is above critical_share (0.05)"),
    ("audit: {keep_for: 90}", "audit.keep_for: 90 has no unit"),
    ("alerts: {routes: [{repeat_every: 30s}]}", "alerts.routes[0].repeat_every: repeat_every (30s) is shorter than group_interval (1m)"),
    ("alerts: {routes: [{group_interval: 5h}]}", "alerts.routes[0].group_interval: repeat_every (4h) is shorter than group_interval (5h)"),
    ("alerts: {routes: [{kinds: [spike]}]}", "alerts.routes[0].kinds: spike is not one of error_spike, breaker_opened, health_critical, degraded"),
    ("alerts: {channels: {name: a}}", "alerts.channels: a map is not a list"),
    ("limits: {max_body: 1GiB}", "limits.max_body: 1GiB is more than 64MiB"),
    ("telemetry: {otlp_endpoint: collector}", "telemetry.otlp_endpoint: is not an http"),
    ("tokens_file: x", "tokens_file: unknown key; `auth.tokens_file` is one"),
];

#[test]
fn what_is_wrong_is_said_once_with_what_would_be_right() {
    for (text, begins) in WRONG {
        let faults = Case::yaml(text).faults();
        assert!(faults.len() == 1 && faults[0].starts_with(begins), "{text}\n{faults:#?}");
    }
    let many = (0..40).map(|number| format!("{{name: a{number}, kind: webhook, url: 'http://a'}}")).collect::<Vec<_>>();
    let faults = Case::yaml(&format!("alerts: {{channels: [{}]}}", many.join(", "))).faults();
    assert_eq!(faults, ["alerts.channels: has 40 items; 32 is the most allowed (f.yaml, line 1)"]);
}

#[test]
fn variables_are_keys_here_too() {
    let case = Case::yaml("").variable("FUSEBOX_FLEET__REDIS", "redis://r").variable("FUSEBOX_LISTEN_GRPC", "1");
    assert_eq!(case.faults(), ["listen_grpc: unknown key; did you mean `FUSEBOX_LISTEN__GRPC`? (FUSEBOX_LISTEN_GRPC)"]);
}

proptest! {
    #[test]
    fn no_input_makes_it_panic(
        keys in prop::collection::vec((0_usize..200, "\\PC{0,12}|[0-9]{1,20}(s|d|MiB)?|\\[a, \\{\\}\\]|\\[\\{name: a, kind: [a-z]{0,9}\\}\\]"), 0..8),
        text in "(\\PC|\n){0,40}",
    ) {
        let known = super::keys();
        let mut case = Case::yaml(&text);
        for (index, value) in keys {
            let path = known[index % known.len()].path.replace("[]", ".0");
            case = case.set(&format!("{path}={value}"));
        }
        match load(&case.sources) {
            Ok(config) => drop(advise(&config)),
            Err(faults) => prop_assert!(faults.iter().count() > 0 && !faults.to_string().is_empty()),
        }
    }
}
