//! Whom it speaks to and as whom: addresses, tokens, certificates, contexts; and what can be typed.

use fusebox_proto::v1::Fleet;
use fusebox_tests::operator::{ControlPlane, Door, Fusebox};
use fusebox_tests::tls::Authority;

use super::fleet;

#[tokio::test]
async fn where_nobody_answers_it_says_so_in_time() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = free.local_addr().unwrap();
    let fusebox = Fusebox::at(silent);
    // It listens, and never says a word.
    fusebox.run("status --timeout 200ms").await.failed(4, "it said nothing within 200ms");
    drop(free);
    let refused = fusebox.run("status").await;
    refused.failed(4, &format!("no control plane answers at http://{silent}: "));
    refused.failed(4, "Connection refused");
    fusebox.run("watch").await.failed(4, "Connection refused");
    Fusebox::at("nowhere").run("status").await.failed(2, "the address nowhere (environment) names no port");
}

#[tokio::test]
async fn a_token_is_read_from_a_file_a_variable_or_a_context() {
    let door = Door { token: Some("s3cret".into()), ..Door::default() };
    let control = ControlPlane::behind(door, fleet()).await;
    let fusebox = Fusebox::at(control.address());
    let none = fusebox.run("status").await;
    none.failed(3, "a bearer token is needed");
    none.failed(3, "--token-file FILE");
    let file = fusebox.file("token", "s3cret\n", 0o600);
    let line = format!("status --token-file {}", file.display());
    fusebox.run(&line).await.good();
    let fusebox = fusebox.with("FUSEBOX_TOKEN", "wrong");
    fusebox.run("status").await.failed(3, "a bearer token is needed");
    fusebox.run(&line).await.good();
    Fusebox::at(control.address()).with("FUSEBOX_TOKEN", "s3cret").run("status").await.good();
    let wrong = Fusebox::at(control.address()).with("FUSEBOX_TOKEN", "s3cret and more").run("status").await;
    wrong.failed(2, "the variable FUSEBOX_TOKEN holds a space");
    assert!(!wrong.err.contains("s3cret"));
}

#[tokio::test]
async fn tls_is_checked_on_both_sides() {
    let (authority, callers) = (Authority::new(), Authority::new());
    let door =
        Door { identity: Some(authority.issue("control-plane")), callers: Some(callers.file()), ..Door::default() };
    let control = ControlPlane::behind(door, fleet()).await;
    let known = callers.issue("operator");
    let fusebox = Fusebox::at(format!("https://{}", control.address()));
    let mine = format!("--cert {} --key {}", known.cert_file, known.key_file);
    fusebox.run(&format!("status --ca {} {mine}", authority.file())).await.good();
    let stranger = fusebox.run(&format!("status --ca {} {mine}", callers.file())).await;
    stranger.failed(4, "give the authority with --ca FILE");
    assert_eq!(fusebox.run(&format!("status --ca {}", authority.file())).await.status, 4, "it shows no certificate");
    fusebox.run(&format!("status --cert {}", known.cert_file)).await.failed(2, "go together");
    let plain = Fusebox::at(control.address()).run("status").await;
    plain.failed(4, "If it speaks TLS, write https://");
}

#[tokio::test]
async fn contexts_lead_to_several_fleets_and_to_no_other() {
    let north = ControlPlane::behind(Door { token: Some("n".into()), ..Door::default() }, fleet()).await;
    let south = ControlPlane::start(Fleet { name: "south".into(), ..fleet() }).await;
    let text = format!(
        "current: north\ncontexts:\n  north: {{ address: '{}', token_file: north.token, fleet: north }}\n  south: {{ address: '{}' }}\n  \
         wrong: {{ address: '{}', fleet: north }}\n",
        north.address(),
        south.address(),
        south.address()
    );
    let fusebox = Fusebox::new();
    let file = fusebox.file(".config/fusebox/contexts.yaml", &text, 0o644);
    fusebox.file(".config/fusebox/north.token", "n\n", 0o600);
    assert!(fusebox.run("status").await.good().starts_with("north: "));
    assert!(fusebox.run("status --context south").await.good().starts_with("south: "));
    fusebox.run("status --context wrong").await.failed(3, "is south, not north");
    fusebox.run("status --context east").await.failed(2, "there is no context east; there are north, south, wrong");
    // The token of the current context does not go to another address.
    fusebox.run(&format!("status --address {}", north.address())).await.failed(3, "a bearer token is needed");

    assert!(fusebox.run("context list").await.good().contains("*  north    127.0.0.1:"));
    fusebox.run("context use south").await.good();
    assert!(fusebox.run("status").await.good().starts_with("south: "));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text.replace("current: north", "current: \"south\""));
    let shown = fusebox.run("context show north --json").await.json();
    assert_eq!(shown["address"]["value"], north.address().to_string());
    assert_eq!(shown["token"]["value"], format!("in {}", fusebox.home().join(".config/fusebox/north.token").display()));
    let fusebox = fusebox.with("FUSEBOX_CONTEXT", "north");
    assert!(fusebox.run("status").await.good().starts_with("north: "));
}

#[tokio::test]
async fn completions_are_printed_for_every_shell() {
    let fusebox = Fusebox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = fusebox.run(&format!("completions {shell}")).await;
        assert!(script.good().contains("degradation"), "{shell}");
    }
    fusebox.run("completions csh").await.failed(2, "possible values");
}

#[tokio::test]
async fn wrong_usage_is_told_before_anybody_is_called() {
    let fusebox = Fusebox::new();
    for (line, said) in [
        ("provider disable", "<NAME>"),
        ("provider disable vllm --for soon", "write it as 30s"),
        ("stats", "similar subcommand"),
        ("degradation half", "possible values"),
    ] {
        fusebox.run(line).await.failed(2, said);
    }
    let help = fusebox.run("--help").await;
    assert!(help.good().contains("Exit status:") && help.out.contains("Off a terminal nothing asks"), "{help:?}");
}
