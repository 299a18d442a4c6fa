use super::*;

#[test]
fn where_spans_go_is_decided_by_the_setting_and_the_standard_variables() {
    type Case = (&'static str, Option<&'static str>, &'static [(&'static str, &'static str)], Option<&'static str>);
    const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let cases: [Case; 11] = [
        ("nobody asked", None, &[], None),
        ("an empty variable is unset", None, &[(ENDPOINT, "")], None),
        ("the general variable", None, &[(ENDPOINT, "http://a:1")], Some("http://a:1")),
        ("the signal's own wins", None, &[(ENDPOINT, "http://a:1"), (TRACES, "http://b:1")], Some("http://b:1")),
        ("our setting wins", Some("http://c:1"), &[(TRACES, "http://b:1")], Some("http://c:1")),
        ("our setting may do without a scheme", Some("c:1"), &[], Some("http://c:1")),
        ("a variable without a scheme is secure", None, &[(ENDPOINT, "a:1")], Some("https://a:1")),
        ("unless said", None, &[(ENDPOINT, "a:1"), ("OTEL_EXPORTER_OTLP_INSECURE", "true")], Some("http://a:1")),
        ("switched off", Some("http://c:1"), &[("OTEL_SDK_DISABLED", "true")], None),
        ("not switched off", Some("http://c:1"), &[("OTEL_SDK_DISABLED", "false")], Some("http://c:1")),
        ("no exporter", None, &[(ENDPOINT, "http://a:1"), ("OTEL_TRACES_EXPORTER", "none")], None),
    ];
    for (what, configured, variables, expected) in cases {
        let env = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let target = Target::resolve(configured, env);
        assert_eq!(target.as_ref().map(|target| target.endpoint.as_str()), expected, "{what}");
    }
}

#[test]
fn an_endpoint_that_is_none_is_refused_at_the_start() {
    let none = Target { endpoint: "http://[oops".into(), certificate: None };
    assert!(Tracer::try_new(&none, "a-service", "1.2.3").is_err());
    let unreadable = Target { endpoint: "https://a:1".into(), certificate: Some("/nonexistent/ca.pem".into()) };
    let error = unreadable.tls().unwrap_err().to_string();
    assert!(error.contains("OTEL_EXPORTER_OTLP_CERTIFICATE") && error.contains("/nonexistent/ca.pem"), "{error}");
}
