//! The webhook's keys.

use super::*;
use crate::inject::OnError;

/// As short as a template can be.
const TEMPLATE: &str = "
container: { name: fusebox, image: fusebox-sidecar:1, restartPolicy: Always }
config: '{}'
";
const TLS: &str = "tls: { cert_file: DIR/pem, key_file: DIR/pem }";

fn injector(keys: &[&str]) -> Case {
    let text = format!("injector: {{ {} }}", keys.join(", "));
    Case::yaml(&text).file("pem", "").file("template.yaml", TEMPLATE)
}

const LISTEN: &str = "listen: '0.0.0.0:9443'";
const FILE: &str = "template_file: DIR/template.yaml";

#[test]
fn it_is_on_where_it_listens_and_its_files_are_watched() {
    assert_eq!(injector(&[TLS, FILE]).config().injector, None);
    let case = injector(&[LISTEN, TLS, FILE, "on_error: deny"]);
    let config = case.config();
    assert_eq!(config.files(), [case.path("pem"), case.path("pem"), case.path("template.yaml")]);
    let injector = config.injector.unwrap();
    assert_eq!((injector.listen.port(), injector.on_error), (9443, OnError::Deny));
}

#[test]
fn what_it_needs_and_has_not_is_named() {
    let faults = injector(&[LISTEN]).faults();
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert!(faults[0].starts_with("injector.template_file: is missing, and there is nothing to inject"));
    assert!(faults[1].starts_with("injector.tls: is missing, and an API server speaks nothing but TLS"));
    let taken = injector(&["listen: '127.0.0.1:8081'", TLS, FILE]).faults();
    assert!(
        taken.len() == 1 && taken[0].starts_with("injector.listen: 127.0.0.1:8081 is also listen.http"),
        "{taken:#?}"
    );
}

#[test]
fn every_fault_of_the_template_is_named_with_its_own_place() {
    let case = injector(&[LISTEN, TLS, FILE]).file("template.yaml", "container: { nmae: fusebox }\nconfig: '{}'\n");
    let faults = case.faults();
    let begins =
        "injector.template_file: in it, container.nmae: unknown key; did you mean `name`? (template.yaml, line 1)";
    assert!(faults.iter().any(|fault| fault.starts_with(begins)) && faults.len() == 4, "{faults:#?}");
}

#[test]
fn nothing_but_its_door_needs_a_restart() {
    let old = injector(&[LISTEN, TLS, FILE]).config();
    let mut new = old.clone();
    let injector = new.injector.as_mut().unwrap();
    injector.on_error = OnError::Deny;
    injector.template_file = "other".into();
    assert_eq!(needs_restart(&old, &new), [""; 0]);
    new.injector.as_mut().unwrap().listen.set_port(1);
    assert_eq!(needs_restart(&old, &new), ["injector.listen"]);
    assert_eq!(needs_restart(&old, &Config::default()), ["injector.listen"]);
}

#[test]
fn a_door_that_no_api_server_reaches_and_a_key_that_all_can_read_are_unwise() {
    let unwise = |case: Case| advise(&case.config()).into_iter().map(|advice| advice.path).collect::<Vec<_>>();
    assert_eq!(unwise(injector(&[LISTEN, TLS, FILE])), ["injector.tls.key_file"]);
    let near = injector(&["listen: '127.0.0.1:9443'", TLS, FILE]);
    assert_eq!(unwise(near), ["injector.listen", "injector.tls.key_file"]);
}
