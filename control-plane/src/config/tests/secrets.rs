//! That secrets go nowhere.

use super::*;

const SECRET: &str = "hunter2";

/// Everything that anyone could see of a load.
fn seen(case: &Case) -> String {
    match load(&case.sources) {
        Ok(config) => format!("{config:?} {:?}", advise(&config)),
        Err(faults) => format!("{faults} {faults:?}"),
    }
}

#[test]
fn no_secret_is_ever_shown() {
    let channel = |typed: &str| Case::yaml(&format!("alerts:\n  channels:\n    - {{ name: a, {typed} }}\n"));
    let tokens = |text: &str| Case::yaml("auth: { tokens_file: DIR/tokens }").file("tokens", text);
    let cases = [
        channel("kind: slack, url: https://hooks.slack.example/hunter2"),
        channel("kind: slack, url:https://hooks.slack.example/hunter2"),
        channel("kind: slack, url_env: https://hooks.slack.example/hunter2"),
        channel("kind: slack, url_env: URL").variable("URL", "hunter2"),
        channel("kind: slack, url_env: URL").variable("URL", "https://hooks.slack.example/hunter2"),
        channel("kind: webhook, url_env: URL").variable("URL", "http://hooks.example/hunter2"),
        channel("kind: webhook, url: https://a/?token=hunter2"),
        channel("kind: webhook, url: https://u:hunter2@a/"),
        channel("kind: webhook, url: https://a, secret: hunter2"),
        channel("kind: webhook, url: https://a, secret:hunter2"),
        channel("kind: pagerduty, key: hunter2"),
        channel("kind: pagerduty, key:hunter2"),
        channel("kind: pagerduty, key_env: KEY").variable("KEY", SECRET),
        channel("kind: pagerduty, key_env: KEY").variable("KEY", "hunter2 hunter2"),
        channel("kind: email, server: s, from: f@e.x, to: [a@e.x], user: u, password: hunter2"),
        channel("kind: email, server: s, from: f@e.x, to: [a@e.x], user: u, password:hunter2"),
        channel("kind: email, server: s, from: f@e.x, to: [a@e.x], user: u, password_file: DIR/p").file("p", SECRET),
        Case::yaml("").variable("FUSEBOX_FLEET__REDIS", "redis://:hunter2@redis:6379"),
        Case::yaml("").variable("FUSEBOX_FLEET__REDIS", "hunter2"),
        Case::yaml("").set("telemetry.otlp_endpoint=http://user:hunter2@a"),
        Case::yaml("injector: { listen: '0.0.0.0:1', template_file: DIR/t.yaml, tls: { cert_file: DIR/t.yaml, key_file: DIR/t.yaml } }").file(
            "t.yaml",
            "container: { name: fusebox, image: a, restartPolicy: Always }\nconfig: 'fleet: { redis: hunter2 }'",
        ),
        Case::yaml("injector: { template_file: DIR/t.yaml }").file("t.yaml", "config: 'password: hunter2: ['"),
        tokens("operator ada hunter2hunter2hunter2"),
        tokens("operator ada hunter2"),
        tokens("hunter2 ada operator"),
        tokens("operator hunter2/hunter2 0123456789abcdef"),
    ];
    for case in cases {
        let seen = seen(&case);
        assert!(!seen.contains(SECRET), "{seen}");
    }
}
