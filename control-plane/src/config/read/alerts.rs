//! The keys of alerts: channels, each kind with keys of its own, and routes to them.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use fusebox_base::config::{
    Section, a_name, anything, clip, did_you_mean, fault_unless, read_url, units::show_duration,
};
use fusebox_rules::fleet::AlertKind;
use http::Uri;
use lettre::message::Mailbox;

use super::{
    super::{Alerts, Secret},
    DAY, HOUR, MINUTE, SECOND,
};
use crate::alerts::{
    Channel, ChannelKind, Email, Encryption, MAX_CHANNELS, MAX_READERS, MAX_ROUTES, PAGERDUTY, PagerDuty, Route,
    Settings, Severity, Slack, Webhook,
};

/// Characters of a secret that is worth the name.
const LEAST_SECRET: usize = 16;

/// Every kind of alert, as it is typed.
const KINDS: [(&str, AlertKind); 4] = [
    ("error_spike", AlertKind::ErrorSpike),
    ("breaker_opened", AlertKind::BreakerOpened),
    ("health_critical", AlertKind::HealthCritical),
    ("degraded", AlertKind::Degraded),
];

/// What a channel is, before it is known whether all of it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Slack,
    PagerDuty,
    Email,
    Webhook,
}

/// Every kind of channel, as it is typed.
const CHANNELS: [(&str, Is); 4] =
    [("slack", Is::Slack), ("pagerduty", Is::PagerDuty), ("email", Is::Email), ("webhook", Is::Webhook)];

/// Keys of a channel, and the kinds of channel that have them.
const OF: [(&str, &[Is]); 14] = [
    ("url", &[Is::PagerDuty, Is::Webhook]),
    ("url_file", &[Is::Slack, Is::Webhook]),
    ("url_env", &[Is::Slack, Is::Webhook]),
    ("key_file", &[Is::PagerDuty]),
    ("key_env", &[Is::PagerDuty]),
    ("server", &[Is::Email]),
    ("port", &[Is::Email]),
    ("tls", &[Is::Email]),
    ("user", &[Is::Email]),
    ("password_file", &[Is::Email]),
    ("from", &[Is::Email]),
    ("to", &[Is::Email]),
    ("secret_file", &[Is::Webhook]),
    ("ca_file", &[Is::Email, Is::Webhook]),
];

/// What was read of a channel, whatever its kind.
struct Parts {
    url: Option<String>,
    secret_url: Option<Secret>,
    key: Option<Secret>,
    server: Option<String>,
    port: Option<u16>,
    encryption: Encryption,
    user: Option<String>,
    password: Option<Secret>,
    from: Option<String>,
    to: Vec<String>,
    secret: Option<Secret>,
    ca_file: Option<PathBuf>,
}

pub(super) fn read(at: &mut Section<'_>) -> Alerts {
    let (mut taken, mut files) = (HashMap::new(), Vec::new());
    let channels = at.list("channels", "where alerts are sent", "[]: nobody is told", |at| {
        let name = unique_name(at, &mut taken);
        channel(at, &mut files).map(|kind| Channel { name, kind })
    });
    let channels: Vec<_> = channels.unwrap_or_default().into_iter().flatten().collect();
    let doc =
        "which alerts go where; each that matches is followed, and of several to one channel the first sets the pace";
    let routes = at.list("routes", doc, "[]: all to all channels", |at| route(at, &taken)).unwrap_or_default();
    for (key, found, most) in [("channels", taken.len(), MAX_CHANNELS), ("routes", routes.len(), MAX_ROUTES)] {
        if found > most {
            at.fault(key, format!("has {found} items; {most} is the most allowed"));
        }
    }
    let doc = "where people find the dashboard, for those who read a message; null: not said";
    let dashboard = at.key("dashboard", doc).optional_url();
    Alerts { settings: Settings { channels, routes, dashboard }, files }
}

/// Names of channels that are taken, and by which.
type Taken = HashMap<Arc<str>, String>;

fn unique_name(at: &mut Section<'_>, taken: &mut Taken) -> Arc<str> {
    let name: Arc<str> = at.key("name", "unique; what routes call it").required(a_name).into();
    if let Some(other) = taken.get(&name).filter(|_| !name.is_empty()) {
        at.fault("name", format!("{} is already the name of {other}", clip(&name)));
    } else {
        taken.insert(Arc::clone(&name), at.path().to_owned());
    }
    name
}

/// One channel; `None` if something is wrong with it.
fn channel(at: &mut Section<'_>, files: &mut Vec<PathBuf>) -> Option<ChannelKind> {
    let is = at.key("kind", "what it is: slack, pagerduty, email, webhook").required_word(&CHANNELS);
    for (key, instead) in [
        ("key", "key_file, or its variable by key_env"),
        ("routing_key", "key_file, or its variable by key_env"),
        ("password", "password_file"),
        ("secret", "secret_file"),
    ] {
        at.refuse(key, &format!("a secret does not belong in a configuration; name its file by {instead}"));
    }
    let parts = parts(at, is, files);
    let is = is?;
    let name = CHANNELS.iter().find(|(_, one)| *one == is).map_or("", |(name, _)| name);
    for (key, _) in OF.iter().filter(|(key, of)| at.typed(key) && !of.contains(&is)) {
        let message = match (is, *key) {
            (Is::Slack, "url") => "a Slack webhook's URL is as good as a key, and does not belong in a configuration; \
                                   name its file by url_file, or its variable by url_env"
                .to_owned(),
            _ => format!("is not for a channel of kind {name}"),
        };
        at.fault(key, message);
    }
    match is {
        Is::Slack => slack(at, parts),
        Is::PagerDuty => pagerduty(at, parts),
        Is::Email => email(at, parts),
        Is::Webhook => webhook(at, parts),
    }
}

/// Every key of a channel but its name and kind.
fn parts(at: &mut Section<'_>, is: Option<Is>, files: &mut Vec<PathBuf>) -> Parts {
    let url = at
        .key("url", "of a webhook, where it is, if that is no secret; of pagerduty, where it takes events")
        .optional_text(a_url);
    let secret_url =
        secret(at, files, [("url_file", "the file that holds its URL"), ("url_env", "the variable that does")]);
    let key = secret(at, files, [("key_file", "the file that holds its key"), ("key_env", "the variable that does")]);
    let server = at.key("server", "the mail relay's name or address").optional_text(a_host);
    let port = at.key("port", "its port").shown("587; with tls: tls 465, with none 25").optional_count(1..=u16::MAX);
    let tls = at.key("tls", "how the connection to it is protected: starttls, tls, none");
    let words = [("starttls", Encryption::StartTls), ("tls", Encryption::Tls), ("none", Encryption::None)];
    let encryption = tls.word(Encryption::StartTls, &words);
    let user = at.key("user", "who it is to take the sender for; null: it asks for nobody").optional_text(anything);
    let doc = "the file that holds that user's password";
    let (password, file) = at.key("password_file", doc).optional_secret_file().unzip();
    files.extend(file);
    let from = at.key("from", "who writes, such as Fusebox <fusebox@example.com>").optional_text(a_mailbox);
    let to = at.key("to", "who reads, such as [oncall@example.com]").texts(MAX_READERS, a_mailbox);
    let doc = "the file with the secret that its messages are signed with; null: they are not";
    let (secret, file) = at.key("secret_file", doc).optional_secret_file().unzip();
    files.extend(file);
    let ca_file = at
        .key("ca_file", "PEM; the authorities that are trusted in the place of the system's, by email and webhook")
        .optional_file();
    if matches!(is, Some(Is::Email | Is::Webhook)) {
        files.extend(ca_file.clone());
    }
    Parts { url, secret_url, key, server, port, encryption, user, password, from, to, secret, ca_file }
}

/// What the file or the variable of this key holds, where one of both is typed.
fn secret(at: &mut Section<'_>, files: &mut Vec<PathBuf>, keys: [(&'static str, &'static str); 2]) -> Option<Secret> {
    let [(in_file, of_file), (in_variable, of_variable)] = keys;
    let found = at.key(in_file, of_file).optional_secret_file();
    let variable = at.key(in_variable, of_variable).optional_secret_variable();
    if at.typed(in_file) && at.typed(in_variable) {
        at.fault(in_variable, format!("stands beside {in_file}; write one of them"));
    }
    let (secret, file) = found.unzip();
    files.extend(file);
    let secret = secret.or(variable)?;
    if in_file == "url_file"
        && let Err(fault) = a_secret_url(secret.reveal())
    {
        at.fault(if at.typed(in_file) { in_file } else { in_variable }, format!("holds something that {fault}"));
        return None;
    }
    Some(secret)
}

fn slack(at: &Section<'_>, parts: Parts) -> Option<ChannelKind> {
    if !at.typed("url_env") && !at.typed("url") {
        need(at, "url_file", "the file that holds the webhook's URL, or its variable by url_env");
    }
    Some(ChannelKind::Slack(Slack { url: parts.secret_url? }))
}

fn pagerduty(at: &Section<'_>, parts: Parts) -> Option<ChannelKind> {
    if !at.typed("key_env") && !at.typed("key") && !at.typed("routing_key") {
        need(at, "key_file", "the file that holds the integration's key, or its variable by key_env");
    }
    let url = parts.url.unwrap_or_else(|| PAGERDUTY.to_owned());
    Some(ChannelKind::PagerDuty(PagerDuty { routing_key: parts.key?, url }))
}

fn email(at: &Section<'_>, parts: Parts) -> Option<ChannelKind> {
    need(at, "server", "the mail relay, such as smtp.example.com");
    need(at, "from", "who writes, such as Fusebox <fusebox@example.com>");
    if parts.to.is_empty() && (!at.typed("to") || at.typed_list_is_empty("to")) {
        at.fault("to", "names nobody; name who reads, such as [oncall@example.com]".to_owned());
    }
    for (key, other) in [("user", "password_file"), ("password_file", "user")] {
        if at.typed(key) && !at.typed(other) {
            at.fault(key, format!("needs {other} beside it"));
        }
    }
    if parts.encryption == Encryption::None && at.typed("password_file") {
        at.fault(
            "tls",
            "is none, and the password would cross the network in the clear; write starttls or tls".to_owned(),
        );
    }
    Some(ChannelKind::Email(Email {
        host: parts.server?,
        port: parts.port.unwrap_or_else(|| parts.encryption.usual_port()),
        encryption: parts.encryption,
        ca_file: parts.ca_file,
        credentials: parts.user.zip(parts.password),
        from: parts.from?,
        to: parts.to,
    }))
}

fn webhook(at: &Section<'_>, parts: Parts) -> Option<ChannelKind> {
    if !at.typed("url_file") && !at.typed("url_env") {
        need(at, "url", "where it is; or, where that is secret, its file by url_file or its variable by url_env");
    } else if at.typed("url") {
        at.fault("url", "stands beside url_file or url_env; write one of them".to_owned());
    }
    if parts.secret.as_ref().is_some_and(|secret| secret.reveal().len() < LEAST_SECRET) {
        at.fault("secret_file", format!("holds fewer than {LEAST_SECRET} characters, which could be tried out"));
    }
    let url = parts.secret_url.or_else(|| parts.url.map(Secret::new))?;
    Some(ChannelKind::Webhook(Webhook { url, secret: parts.secret, ca_file: parts.ca_file }))
}

/// Faults the key `name`, unless it was typed; what is wrong with it then is said already.
fn need(at: &Section<'_>, name: &str, what: &str) {
    if !at.typed(name) {
        at.fault(name, format!("is missing; name {what}"));
    }
}

fn route(at: &mut Section<'_>, known: &Taken) -> Route {
    let doc = "error_spike, breaker_opened, health_critical, degraded; []: all";
    let kinds = at.key("kinds", doc).words(&[], &KINDS);
    let severities = at.key("severities", "warning, critical; []: both").words(&[], &Severity::WORDS);
    let names = at.key("channels", "names under alerts.channels; []: all").texts(MAX_CHANNELS, |name| {
        fault_unless(known.contains_key(name), || {
            let near = did_you_mean(name, known.keys().map(|known| &**known));
            format!("{} is not a name under alerts.channels{near}", clip(name))
        })
    });
    let route = Route {
        kinds,
        severities,
        channels: names.into_iter().map(Into::into).collect(),
        group_wait: at
            .key("group_wait", "how long an alert waits for others of its kind, to go out as one message")
            .duration(10 * SECOND, Duration::ZERO..=HOUR),
        group_interval: at
            .key("group_interval", "the least time between two such messages of one kind")
            .duration(MINUTE, SECOND..=DAY),
        repeat_every: at
            .key(
                "repeat_every",
                "how long until it is told again while it fires and nobody has acknowledged it; 0s: never",
            )
            .duration(4 * HOUR, Duration::ZERO..=30 * DAY),
    };
    if !route.repeat_every.is_zero() && route.repeat_every < route.group_interval {
        let key = if at.typed("repeat_every") { "repeat_every" } else { "group_interval" };
        let (repeat, interval) = (show_duration(route.repeat_every), show_duration(route.group_interval));
        at.fault(key, format!("repeat_every ({repeat}) is shorter than group_interval ({interval})"));
    }
    route
}

/// Lets through an `http` or `https` URL in which nothing can be secret.
fn a_url(text: &str) -> Result<(), String> {
    if text.contains(['@', '?']) {
        return Err("holds a user, a password or a query, which may be secret; put it into a file, and name that by \
                    url_file"
            .to_owned());
    }
    read_url(text).map(drop)
}

/// Lets through an `http` or `https` URL. Nothing of it is quoted.
fn a_secret_url(text: &str) -> Result<(), String> {
    let uri = text.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    let fits = uri.and_then(|uri| uri.authority().map(|at| !at.as_str().contains('@') && !at.host().is_empty()));
    fault_unless(
        fits == Some(true) && !text.contains('#'),
        || "is not an http:// or https:// URL without user and fragment",
    )
}

/// Lets through a host's name or an address.
fn a_host(text: &str) -> Result<(), String> {
    let of_host = |c: char| c.is_ascii_alphanumeric() || "._-:[]".contains(c);
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    let fits = text.len() <= 253 && text.chars().all(of_host) && (is_address || !text.contains([':', '[', ']']));
    fault_unless(fits, || format!("{} is not a host; write its name or its address, and its port by port", clip(text)))
}

/// Lets through a mailbox, with or without a name.
fn a_mailbox(text: &str) -> Result<(), String> {
    fault_unless(text.parse::<Mailbox>().is_ok(), || {
        format!("{} is not a mailbox; write one such as Fusebox <fusebox@example.com>", clip(text))
    })
}
