use super::{
    super::{load, tests::Case},
    *,
};

/// The keys of what is unwise.
fn unwise(case: &Case) -> Vec<String> {
    let config = load(&case.sources).unwrap_or_else(|faults| panic!("{faults}"));
    advise(&config).into_iter().map(|advice| advice.path).collect()
}

#[test]
fn a_demonstration_is_not_unwise() {
    assert_eq!(unwise(&Case::yaml("")), [""; 0]);
}

#[test]
fn a_fleet_that_nobody_guards_and_nobody_hears_of_is_unwise() {
    assert_eq!(unwise(&Case::yaml("fleet: {redis: 'redis://r'}")), ["auth.tokens_file", "alerts.channels"]);
}

#[test]
fn tokens_without_tls_without_an_operator_and_readable_by_all_are_unwise() {
    let text = "listen: {http: '0.0.0.0:8081'}\nauth: {tokens_file: DIR/tokens, session: 30d}";
    let case = Case::yaml(text).file("tokens", "viewer bob 0123456789abcdef");
    assert_eq!(unwise(&case), ["auth", "auth.session", "auth.tokens_file", "listen.http"]);
}

#[test]
fn channels_that_no_route_reaches_and_routes_that_reach_none_are_unwise() {
    let text = "alerts: {channels: [{name: a, kind: pagerduty, key_env: K}, {name: b, kind: pagerduty, key_env: K}], routes: [{channels: [a]}]}";
    assert_eq!(unwise(&Case::yaml(text).variable("K", "k")), ["alerts.channels[1]"]);
    assert_eq!(unwise(&Case::yaml("alerts: {routes: [{}]}")), ["alerts.routes[0]"]);
}

#[test]
fn what_crosses_the_network_in_the_clear_or_unsigned_is_unwise_and_what_stays_here_is_not() {
    let channels = "
    - {name: slack, kind: slack, url_env: FAR}
    - {name: near-slack, kind: slack, url_env: NEAR}
    - {name: pager, kind: pagerduty, key_env: FAR, url: http://far.example}
    - {name: hook, kind: webhook, url: http://far.example}
    - {name: near-hook, kind: webhook, url: 'http://[::1]:9'}
    - {name: mail, kind: email, server: far.example, tls: none, from: f@e.x, to: [a@e.x]}
    - {name: near-mail, kind: email, server: localhost, tls: none, from: f@e.x, to: [a@e.x]}
";
    let case = Case::yaml(&format!("alerts:\n  channels:{channels}"))
        .variable("FAR", "http://far.example/T")
        .variable("NEAR", "http://127.0.0.1:9/T");
    let right = [
        "alerts.channels[0].url_file",
        "alerts.channels[2].url",
        "alerts.channels[3].url",
        "alerts.channels[3].secret_file",
        "alerts.channels[4].secret_file",
        "alerts.channels[5].tls",
    ];
    assert_eq!(unwise(&case), right);
}

#[test]
fn more_live_views_than_connections_are_unwise() {
    assert_eq!(unwise(&Case::yaml("limits: {max_watchers: 2000}")), ["limits.max_watchers"]);
}
