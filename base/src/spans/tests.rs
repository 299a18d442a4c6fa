use super::{target::Trust, *};

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
fn over_http_spans_go_to_the_place_that_the_standard_names_or_to_the_one_that_is_named() {
    type Case = (Option<&'static str>, &'static [(&'static str, &'static str)], &'static str);
    const GENERAL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const OWN: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let cases: [Case; 5] = [
        (None, &[(GENERAL, "http://a:4318")], "http://a:4318/v1/traces"),
        (None, &[(GENERAL, "https://a/otlp/")], "https://a/otlp/v1/traces"),
        (None, &[(OWN, "http://a:4318/spans")], "http://a:4318/spans"),
        (Some("a:4318"), &[], "http://a:4318/v1/traces"),
        (Some("https://a/api/public/otel/v1/traces"), &[], "https://a/api/public/otel/v1/traces"),
    ];
    for (configured, variables, expected) in cases {
        let spoken = [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")];
        let all = || variables.iter().chain(&spoken);
        let env = |name: &str| all().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let target = Target::resolve(configured, env).unwrap();
        assert_eq!((target.endpoint.as_str(), target.protocol), (expected, Protocol::Http));
    }
}

fn target(endpoint: &str, protocol: Protocol, trust: Trust) -> Target {
    Target { endpoint: endpoint.into(), protocol, trust }
}

#[test]
fn what_cannot_be_used_is_refused_at_the_start_and_named() {
    let missing = || Some("/nonexistent.pem".into());
    let cases = [
        ("http://[oops", Protocol::Grpc, Trust::default(), "endpoint"),
        ("http://[oops", Protocol::Http, Trust::default(), "endpoint"),
        ("http://a:1", Protocol::Other("http/json".into()), Trust::default(), "use grpc or http/protobuf"),
        ("https://a:1", Protocol::Grpc, Trust { ca: missing(), ..Trust::default() }, "OTLP_CERTIFICATE: /nonexistent"),
        ("https://a:1", Protocol::Http, Trust { ca: missing(), ..Trust::default() }, "OTLP_CERTIFICATE: /nonexistent"),
        ("https://a:1", Protocol::Grpc, Trust { key: missing(), ..Trust::default() }, "set both, or neither"),
        ("https://a:1", Protocol::Http, Trust { key: missing(), ..Trust::default() }, "set both, or neither"),
    ];
    for (endpoint, protocol, trust, expected) in cases {
        let error = Tracer::try_new(&target(endpoint, protocol.clone(), trust), "a-service", "1.2.3").unwrap_err();
        assert!(error.to_string().contains(expected), "{error} for {protocol:?} to {endpoint}");
    }
}
