//! The operator's command against the real control plane and real sidecars.

use std::io::Write as _;

use fusebox_tests::{client::Http, operator::Fusebox, tls::Authority};
use serde_json::json;
use tempfile::NamedTempFile;

use super::Scene;

#[tokio::test]
async fn the_command_turns_a_provider_off_and_no_call_reaches_it_and_the_last_one_stays() {
    let scene = Scene::start(3).await;
    let fusebox = Fusebox::at(scene.control.grpc_address());
    let mut watch = fusebox.start("watch");
    watch.next().await;
    scene.call_all().await;
    assert_eq!((scene.first.calls(), scene.second.calls()), (3, 0));
    let off = fusebox.run("provider disable first --reason drill").await;
    assert!(off.good().starts_with("✓ first is off; applied by 3 of 3 live sidecars"), "{off:?}");
    scene.call_all().await;
    assert_eq!((scene.first.calls(), scene.second.calls()), (3, 3));
    while !watch.next().await.contains("provider first: - off (anyone: drill)") {}

    let last = fusebox.run("provider disable second --reason drill").await;
    last.failed(3, "`--force` does it all the same");
    fusebox.run("provider disable second --reason drill --expect 1").await.failed(3, "then repeat it with --expect");
    let wrong = fusebox.run("provider enable first --reason drill --wait 2m").await;
    wrong.failed(2, "fusebox: the request is wrong\n  change.wait: ");
    fusebox.run("provider disable third --reason drill").await.failed(1, "no sidecar has a provider third");
    let audit = fusebox.run("audit --json").await.json();
    let outcomes: Vec<_> = audit.as_array().unwrap().iter().map(|event| event["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["refused", "refused", "refused", "refused", "done"]);
}

#[tokio::test]
async fn a_viewer_looks_and_an_operator_changes_by_the_command() {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(b"operator ada the-operators-own-token-1\nviewer bo the-viewers-own-token-1\n").unwrap();
    let scene = Scene::with_tokens(file.path()).await;
    let bearing = |token: &str| Fusebox::at(scene.control.grpc_address()).with("FUSEBOX_TOKEN", token);
    Fusebox::at(scene.control.grpc_address()).run("status").await.failed(3, "give a token with --token-file");
    let (viewer, operator) = (bearing("the-viewers-own-token-1"), bearing("the-operators-own-token-1"));
    let _ = viewer.run("status").await.good();
    viewer.run("provider disable first --reason drill").await.failed(3, "this needs the role operator");
    let _ = operator.run("provider disable first --reason drill").await.good();
    assert!(viewer.run("provider list").await.good().contains("switch: ada: drill"));
}

#[tokio::test]
async fn the_command_shows_a_certificate_that_stands_for_a_role() {
    let authority = Authority::new();
    let (ours, theirs) = (authority.issue("ours"), authority.issue("theirs"));
    let scene = Scene::with(
        1,
        json!({"auth": {
            "tls": {"cert_file": ours.cert_file, "key_file": ours.key_file, "client_ca_file": authority.file()},
            "certificates": [{"name": "localhost", "role": "operator"}],
        }}),
    )
    .await;
    let http = Http::tls(scene.control.http().address(), authority.client(Some(&theirs)), true);
    scene.control.sees(1, &http).await;
    let fusebox = Fusebox::at(scene.control.grpc_address());
    let mine = format!("--ca {} --cert {} --key {}", authority.file(), theirs.cert_file, theirs.key_file);
    let _ = fusebox.run(&format!("provider disable first --reason drill {mine}")).await.good();
    assert!(fusebox.run(&format!("provider list {mine}")).await.good().contains("switch: localhost: drill"));
}
