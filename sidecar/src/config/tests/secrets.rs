//! Where secrets come from, and that they go nowhere else.

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
fn a_key_comes_from_its_variable_or_its_file() {
    let case = Case::yaml(&one_provider("    api_key_env: KEY\n", "")).variable("KEY", SECRET);
    assert_eq!(case.config().providers[0].api_key.as_ref().unwrap().reveal(), SECRET);
    let mut case = Case::yaml("");
    let key = case.path("key");
    fs::write(&key, format!("{SECRET}\n")).unwrap();
    case = case.set("providers.0.name", "a").set("providers.0.api_key_file", key.to_str().unwrap());
    let config = case.config();
    assert_eq!(config.providers[0].api_key.as_ref().unwrap().reveal(), SECRET);
    assert_eq!(config.providers[0].base_url, "https://api.openai.com/v1");
    assert_eq!(config.files(), [key]);
    assert_eq!(case.set("providers.0.kind", "anthropic").config().providers[0].base_url, "https://api.anthropic.com");
}

#[test]
fn a_key_that_cannot_be_had_is_a_fault_that_names_its_source() {
    let text = one_provider("    api_key_env: KEY\n", "");
    assert_eq!(Case::yaml(&text).faults(), ["providers[0].api_key_env: the variable KEY is not set (f.yaml, line 4)"]);
    assert!(Case::yaml(&text).variable("KEY", "").faults()[0].contains("the variable KEY is empty"));
    let text = one_provider("    api_key_file: /no/such\n", "");
    assert!(Case::yaml(&text).faults()[0].contains("the file /no/such cannot be read"));
    let text = one_provider("    api_key_file: /no/such\n    api_key_env: KEY\n", "");
    assert!(Case::yaml(&text).variable("KEY", "k").faults().iter().any(|fault| fault.contains("write one of them")));
}

#[test]
fn a_key_written_into_the_configuration_is_refused_with_advice() {
    let faults = Case::yaml(&one_provider(&format!("    api_key: {SECRET}\n"), "")).faults();
    assert_eq!(
        faults,
        [
            "providers[0].api_key: a key does not belong in a configuration; name its variable by api_key_env or its file by api_key_file (f.yaml, line 4)"
        ]
    );
    let faults = Case::yaml("").set("providers.0.name", "a").set("providers.0.api_key", SECRET).faults();
    assert!(faults.iter().any(|fault| fault.starts_with("providers[0].api_key: a key does not belong")), "{faults:?}");
}

#[test]
fn no_secret_is_ever_shown() {
    let in_file = |line: &str| Case::yaml(&one_provider(line, ""));
    let cases = [
        in_file("    api_key: hunter2\n"),
        in_file("    api_key_env: sk-hunter2\n"),
        in_file("    api_key: [hunter2\n"),
        Case::yaml("providers:\n  - name: a\n    api_key:hunter2\n"),
        Case::yaml("providers: [{name: a, api_key:hunter2}]"),
        in_file("    api_key:hunter2\n"),
        in_file("    api_key hunter2\n"),
        in_file("    api_key: {hunter2: 1}\n    base_url: 1\n"),
        in_file("    api_key_env: KEY\n").variable("KEY", SECRET),
        in_file("    api_key_env: KEY\n").variable("KEY", "hunter2\nhunter2"),
        in_file("    api_key_env: KEY\n").variable("KEY", " hunter2"),
        Case::yaml("").variable("FUSEBOX_FLEET__REDIS", "redis://:hunter2@redis:6379"),
        Case::yaml("").variable("FUSEBOX_FLEET__REDIS", "hunter2"),
        Case::yaml("").variable("FUSEBOX_FLEET__REDIS", "redis://:hun ter hunter2@redis"),
        Case::yaml("").variable("FUSEBOX_FLEET__REDSI", "redis://:hunter2@redis"),
        Case::yaml("").variable("FUSEBOX_API_KEY", SECRET),
        Case::yaml("").set("fleet.redis", "[hunter2]"),
        Case::yaml("").set("fleet.redis.password", SECRET),
        Case::yaml("").set("providers", "[{name: a, base_url: 'http://user:hunter2@a/v1'}]"),
        Case::yaml("").set("providers", "[{name: a, base_url: 'http://a/v1?key=hunter2'}]"),
        Case::yaml("").set("telemetry.otlp_endpoint", "http://user:hunter2@a"),
        Case::new("f.toml", "[fleet]\nredis = hunter2"),
    ];
    for case in cases {
        let seen = seen(&case);
        assert!(!seen.contains(SECRET), "{seen}");
    }
}

#[test]
fn sharing_needs_a_secret_that_is_worth_the_name() {
    for key in ["cache.shared", "idempotency.shared"] {
        let mut case = Case::yaml("").set(key, "true");
        let faults = case.faults();
        assert!(matches!(&*faults, [one] if one.starts_with(key) && one.contains("fleet.secret_file")), "{faults:?}");
        let file = case.path("secret");
        case = case.set("fleet.secret_file", file.to_str().unwrap());
        for (text, fault) in [(None, "cannot be read"), (Some("too-short"), "fewer than 16 characters")] {
            text.inspect(|text| fs::write(&file, text).unwrap());
            let faults = case.faults();
            assert!(
                matches!(&*faults, [one] if one.starts_with("fleet.secret_file") && one.contains(fault)),
                "{faults:?}"
            );
        }
        fs::write(&file, "sixteen-characters-or-more\n").unwrap();
        let config = case.config();
        assert_eq!(config.fleet.secret.as_ref().unwrap().reveal(), "sixteen-characters-or-more");
        assert_eq!(config.files(), [file]);
        assert!(config.cache.shared || config.idempotency.shared);
        assert!(!seen(&case).contains("sixteen"));
    }
}
