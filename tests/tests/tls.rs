//! TLS at the doors, with and without certificates of the callers' own; and towards providers.

use std::{fs, time::Instant};

use fusebox_proto::v1::inference_service_client::InferenceServiceClient;
use fusebox_tests::{
    client::{Http, grpc::ask},
    provider::{Provider, act::tokens},
    sidecar::{Config, Sidecar},
    tls::{Authority, Identity, Terminator},
};
use http::Version;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Doors, Way, hello, ms};

fn shown(identity: &Identity) -> Value {
    json!({"auth": {"tls": {"cert_file": identity.cert_file, "key_file": identity.key_file}}})
}

/// A sidecar that shows a certificate of `authority`, and asks callers for one of `callers`.
async fn behind_tls(provider: &Provider, authority: &Authority, callers: Option<&Authority>) -> Sidecar {
    let mut config = Config::one(provider).with(shown(&authority.issue("sidecar")));
    if let Some(callers) = callers {
        config = config.with(json!({"auth": {"tls": {"client_ca_file": callers.file()}}}));
    }
    Sidecar::start(config).await
}

#[tokio::test]
async fn both_doors_answer_over_tls() {
    let provider = Provider::start(tokens(3)).await;
    let authority = Authority::new();
    let sidecar = behind_tls(&provider, &authority, None).await;
    let grpc = authority.channel(sidecar.grpc_address(), None).await.expect("a handshake");
    for (h2, version) in [(false, Version::HTTP_11), (true, Version::HTTP_2)] {
        let http = Http::tls(sidecar.http().address(), authority.client(None), h2);
        assert_eq!(http.chat(&hello("chat", false)).open().await.version, version, "agreed on by ALPN");
        let doors = Doors { http, grpc: InferenceServiceClient::new(grpc.clone()) };
        for way in Way::ALL {
            assert!(doors.call(way, "chat").await.good().ends_with(":2 "), "{way:?} over {version:?}");
        }
    }
    assert_eq!(sidecar.admin().get("/readyz").send().await.status, 200, "the admin port stays as it was");
}

#[tokio::test]
async fn a_caller_that_does_not_trust_the_certificate_does_not_call() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = behind_tls(&provider, &Authority::new(), None).await;
    let stranger = Authority::new();
    let http = Http::tls(sidecar.http().address(), stranger.client(None), false);
    assert!(http.chat(&hello("chat", false)).try_open().await.is_err());
    assert!(stranger.channel(sidecar.grpc_address(), None).await.is_err());
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_plaintext_caller_gets_no_answer() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = behind_tls(&provider, &Authority::new(), None).await;
    let body = hello("chat", false).to_string();
    let request =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    for address in [sidecar.http().address(), sidecar.grpc_address()] {
        let answer = Http::new(address).wire(request.as_bytes()).await;
        assert!(!answer.contains("HTTP"), "{answer:?}");
        assert!(Http::h2c(address).chat(&hello("chat", false)).try_open().await.is_err());
    }
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn callers_without_a_certificate_that_is_asked_for_are_refused() {
    let provider = Provider::start(tokens(1)).await;
    let (authority, callers) = (Authority::new(), Authority::new());
    let sidecar = behind_tls(&provider, &authority, Some(&callers)).await;
    let known = callers.issue("caller");
    for (identity, may) in [(Some(&known), true), (None, false), (Some(&authority.issue("other")), false)] {
        for h2 in [false, true] {
            let http = Http::tls(sidecar.http().address(), authority.client(identity), h2);
            let answered = http.chat(&hello("chat", false)).try_open().await;
            assert_eq!(answered.is_ok_and(|answer| answer.status == 200), may, "{identity:?}");
        }
        let answered = match authority.channel(sidecar.grpc_address(), identity).await {
            Ok(channel) => InferenceServiceClient::new(channel).generate(ask("hello")).await.is_ok(),
            Err(_) => false,
        };
        assert_eq!(answered, may, "{identity:?}");
    }
    assert_eq!(provider.calls(), 3, "only those of the caller that is known");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_refused_at_the_start_by_its_key() {
    let provider = Provider::start(tokens(1)).await;
    let authority = Authority::new();
    let (good, other) = (authority.issue("good"), authority.issue("other"));
    let garbage = tempfile::NamedTempFile::new().unwrap();
    fs::write(garbage.path(), "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n").unwrap();
    let empty = tempfile::NamedTempFile::new().unwrap();
    let (garbage, empty) = (garbage.path().to_str().unwrap(), empty.path().to_str().unwrap());
    for (key, tls) in [
        ("auth.tls.cert_file", json!({"cert_file": "/does/not/exist.pem", "key_file": good.key_file})),
        ("auth.tls.cert_file", json!({"cert_file": garbage, "key_file": good.key_file})),
        ("auth.tls.cert_file", json!({"cert_file": empty, "key_file": good.key_file})),
        ("auth.tls.key_file", json!({"cert_file": good.cert_file, "key_file": "/does/not/exist.key"})),
        ("auth.tls.key_file", json!({"cert_file": good.cert_file, "key_file": good.cert_file})),
        ("auth.tls.cert_file", json!({"cert_file": good.cert_file, "key_file": other.key_file})),
        (
            "auth.tls.client_ca_file",
            json!({"cert_file": good.cert_file, "key_file": good.key_file, "client_ca_file": empty}),
        ),
        ("auth.tls.key_file", json!({"cert_file": good.cert_file})),
    ] {
        let output = Sidecar::run(&["run"], &Config::one(&provider).with(json!({"auth": {"tls": tls}}))).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{tls}: {said}");
        assert!(said.contains(key), "{tls}: {said}");
        assert!(!said.contains("PRIVATE"), "{said}");
    }
}

/// A sidecar whose one provider is at `base_url` and that trusts whom `authority` has signed.
async fn trusting(authority: &Authority, base_url: &str) -> Sidecar {
    // Of a handshake on a busy machine, 100 ms say nothing.
    let patient = json!({"timeouts": {"connect": "2s"}});
    let config = Config::new().provider_with("a", base_url, patient).env("SSL_CERT_FILE", &authority.file());
    Sidecar::start(config).await
}

#[tokio::test]
async fn a_provider_behind_tls_is_called_by_the_protocol_that_it_offers() {
    let authority = Authority::new();
    for (offered, spoken) in [(&["h2", "http/1.1"][..], "h2"), (&["http/1.1"], "http/1.1"), (&[], "")] {
        let provider = Provider::start(tokens(3)).await;
        let terminator = Terminator::start(&authority.issue("provider"), offered, provider.address()).await;
        let sidecar = trusting(&authority, &terminator.base_url()).await;
        let doors = Doors::of(&sidecar).await;
        for way in Way::ALL {
            assert!(doors.call(way, "chat").await.good().ends_with(":2 "), "{way:?} over {offered:?}");
        }
        assert!(terminator.spoken().iter().all(|protocol| protocol == spoken), "{:?}", terminator.spoken());
        assert_eq!(provider.calls(), 4);
    }
}

#[tokio::test]
async fn a_connection_under_tls_serves_again() {
    let (authority, provider) = (Authority::new(), Provider::start(tokens(1)).await);
    for protocol in ["h2", "http/1.1"] {
        let terminator = Terminator::start(&authority.issue("provider"), &[protocol], provider.address()).await;
        let sidecar = trusting(&authority, &terminator.base_url()).await;
        for _ in 0..5 {
            assert_eq!(sidecar.http().chat(&hello("chat", false)).send().await.status, 200);
        }
        assert_eq!(terminator.spoken().len(), 1, "a handshake is worth keeping: {protocol}");
    }
}

#[tokio::test]
async fn a_provider_that_is_not_trusted_is_a_network_error() {
    let provider = Provider::start(tokens(1)).await;
    let terminator = Terminator::start(&Authority::new().issue("provider"), &["h2"], provider.address()).await;
    let sidecar = trusting(&Authority::new(), &terminator.base_url()).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        let ended = doors.call(way, "chat").await;
        assert_eq!(ended.kind(), "network_error", "{ended:#?}");
        assert!(ended.took < ms(2000), "{ended:#?}");
    }
    assert_eq!(provider.calls(), 0, "not a byte of a call is shown to a stranger");
}

#[tokio::test]
async fn a_provider_that_never_ends_its_handshake_is_a_network_error_in_time() {
    let authority = Authority::new();
    // Connections are taken by the kernel, and nobody says a word on them.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("https://{}/v1", silent.local_addr().unwrap());
    let config = Config::new().provider_with("a", &base_url, json!({})).env("SSL_CERT_FILE", &authority.file());
    let sidecar = Sidecar::start(config).await;
    let began = Instant::now();
    let answer = sidecar.http().chat(&hello("chat", false)).send().await;
    assert_eq!(answer.error()["type"], "network_error", "{}", answer.text());
    assert!(began.elapsed() < ms(2000), "the connect timeout, 100 ms here, holds for the handshake too");
}

#[tokio::test]
async fn a_provider_behind_tls_needs_somebody_to_trust() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let config = Config::new()
        .provider_with("a", "https://127.0.0.1:1/v1", json!({}))
        .env("SSL_CERT_FILE", empty.path().to_str().unwrap());
    let output = Sidecar::run(&["run"], &config).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("SSL_CERT_FILE") && said.contains("providers[0]"), "{said}");
}
