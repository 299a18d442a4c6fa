//! Being let in: passwords, permissions, certificates.

use std::{fs, path::Path, time::Duration};

use fusebox_store::{
    StoreError,
    redis::{Address, Heard, Hints, Link, Value},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::time::{interval, timeout};

use super::{
    hints::{hint, next},
    server::{LONG, Server, ask, clock, connected, free_port, open, until},
};

fn parse(text: &str) -> Address {
    Address::parse(text).unwrap()
}

#[tokio::test]
async fn a_wrong_password_is_told_without_showing_it_and_a_right_one_is_let_in() {
    let server = Server::start(&["--requirepass", "open sesame"]).await;
    let link = open(parse(&format!("redis://:hunter2@127.0.0.1:{}", server.port)));
    let state = until(&link, |state| state.error.is_some()).await;
    let error = state.error.unwrap();
    assert!(error.contains("WRONGPASS") && !error.contains("hunter2"), "{error}");
    let reply = ask(&link, &["PING"]).await.unwrap_err();
    assert!(reply.to_string().contains("WRONGPASS"), "{reply}");
    assert!(!format!("{link:?}").contains("hunter2"));

    let nobody = open(server.address());
    let state = until(&nobody, |state| state.error.is_some()).await;
    assert!(state.error.unwrap().contains("NOAUTH"));

    let right = connected(parse(&format!("redis://:open%20sesame@127.0.0.1:{}", server.port))).await;
    assert!(ask(&right, &["PING"]).await.is_ok());
}

#[tokio::test]
async fn what_a_user_may_not_do_is_refused_and_the_connection_is_kept() {
    let server = Server::start(&["--user", "ada", "on", ">word", "~*", "&*", "+@all", "-set"]).await;
    let link = connected(parse(&format!("redis://ada:word@127.0.0.1:{}", server.port))).await;
    let reply = ask(&link, &["SET", "k", "v"]).await;
    assert!(matches!(&reply, Err(StoreError::Refused { code, .. }) if code == "NOPERM"), "{reply:?}");
    assert_eq!((ask(&link, &["GET", "k"]).await, link.state().generation), (Ok(Value::Nil), 1));
}

/// Files of an authority and of a certificate that it signed for the loopback interface.
fn certificates() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::default();
    // The same name as the certificate's would make that one look as if it had signed itself.
    params.distinguished_name.push(DnType::CommonName, "a test's authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let cert = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
    fs::write(folder.path().join("cert.pem"), cert.pem()).unwrap();
    fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
    folder
}

fn file(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_server_behind_tls_is_believed_by_its_authority_and_shown_our_certificate() {
    let (ours, others) = (certificates(), certificates());
    let (ours, others) = (ours.path(), others.path());
    let [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(|name| file(ours, name));
    let port = free_port();
    let tls_port = port.to_string();
    let settings =
        ["--tls-port", &tls_port, "--tls-ca-cert-file", &ca, "--tls-cert-file", &cert, "--tls-key-file", &key];
    let _server = Server::start_on(0, &settings).await;

    let right = connected(parse(&format!("rediss://127.0.0.1:{port}?ca={ca}&cert={cert}&key={key}"))).await;
    assert!(ask(&right, &["PING"]).await.is_ok());

    let stranger =
        open(parse(&format!("rediss://127.0.0.1:{port}?ca={}&cert={cert}&key={key}", file(others, "ca.pem"))));
    let state = until(&stranger, |state| state.error.is_some()).await;
    assert!(state.error.unwrap().contains("certificate"), "{:?}", stranger.state());
    let nameless = open(parse(&format!("rediss://127.0.0.1:{port}?ca={ca}")));
    until(&nameless, |state| state.error.is_some()).await;

    for (wrong, part) in [("ca=/nowhere.pem".to_owned(), "/nowhere.pem"), (format!("ca={key}"), "no certificate")] {
        let error = Link::open(parse(&format!("rediss://127.0.0.1:{port}?{wrong}")), clock()).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_cluster_behind_tls_and_a_password_is_reached_and_listened_to() {
    let files = certificates();
    let [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(|name| file(files.path(), name));
    let [port, bus] = [free_port(), free_port()].map(|port| port.to_string());
    let tls = ["--tls-port", &port, "--tls-ca-cert-file", &ca, "--tls-cert-file", &cert, "--tls-key-file", &key];
    let rest = ["--tls-cluster", "yes", "--cluster-enabled", "yes", "--cluster-port", &bus, "--requirepass", "word"];
    let _server = Server::start_on(0, &[&tls[..], &rest[..]].concat()).await;
    let place = format!("://:word@127.0.0.1:{port}?ca={ca}&cert={cert}&key={key}");
    let node = connected(parse(&format!("rediss{place}"))).await;
    assert_eq!(ask(&node, &["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await, Ok(Value::Okay));

    let address = parse(&format!("rediss+cluster{place}"));
    let link = connected(address.clone()).await;
    let set = async {
        let mut looks = interval(Duration::from_millis(50));
        while ask(&link, &["SET", "k", "v"]).await != Ok(Value::Okay) {
            looks.tick().await;
        }
    };
    timeout(LONG, set).await.expect("the slots are served");
    let mut hints = Hints::open(address, vec!["k".to_owned()]).unwrap();
    assert_eq!(next(&mut hints).await, Heard::Subscribed { generation: 1 });
    assert_eq!(ask(&link, &[link.publish_command(), "k", "hello"]).await, Ok(Value::Int(1)));
    assert_eq!(next(&mut hints).await, hint("k", b"hello"));
}
