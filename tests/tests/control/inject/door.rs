//! The door itself: TLS and nothing else, bodies that are no reviews, many at once, and the end.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use http::{Method, Version};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::*;

#[tokio::test]
async fn it_speaks_tls_alone_and_both_versions_of_http() {
    let stage = Stage::start(&template(), json!({})).await;
    let address = stage.control.injector_address();
    for (h2, version) in [(false, Version::HTTP_11), (true, Version::HTTP_2)] {
        let http = Http::tls(address, stage.authority.client(None), h2);
        let open = http.post(LABELLED, &review(&pod(&[]))).open().await;
        assert_eq!(open.version, version);
        assert!(!Response::of(&open.whole().await).is_plain());
        assert_eq!(http.get("/livez").send().await.text(), "alive\n");
    }
    assert!(Http::tls(address, Authority::new().client(None), true).get("/livez").try_open().await.is_err());
    let plain = Http::new(address).get("/livez").try_open().await;
    assert!(plain.is_err(), "{plain:?}");
    let other = stage.control.http().post(LABELLED, &review(&pod(&[]))).send().await;
    assert_eq!(other.status, 404, "the dashboard's door injects nobody");
}

#[tokio::test]
async fn what_is_no_review_is_refused_with_words() {
    let stage = Stage::start(&template(), json!({})).await;
    let server = stage.server();
    let mut nameless = review(&pod(&[]));
    nameless["request"]["uid"] = "".into();
    let mut old = review(&pod(&[]));
    old["apiVersion"] = "admission.k8s.io/v1beta1".into();
    for (body, status, words) in [
        (String::new(), 400, "the body is not an AdmissionReview in JSON: EOF"),
        ("{".to_owned(), 400, "the body is not an AdmissionReview in JSON: EOF"),
        ("[]".to_owned(), 400, "the body is not an AdmissionReview in JSON: "),
        ("\u{0}".to_owned(), 400, "the body is not an AdmissionReview in JSON: "),
        (format!("{}1", "[".repeat(100_000)), 400, "the body is not an AdmissionReview in JSON: "),
        (
            "{}".to_owned(),
            400,
            "the body is of kind nothing and version nothing, and only AdmissionReview of admission.k8s.io/v1",
        ),
        (old.to_string(), 400, "the body is of kind AdmissionReview and version admission.k8s.io/v1beta1, and only"),
        (
            json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": {}}).to_string(),
            400,
            "the AdmissionReview has no request",
        ),
        (nameless.to_string(), 400, "the request has no uid"),
        ("x".repeat(5 << 20), 413, "the review is larger than 4MiB"),
    ] {
        let answer = server.post_raw(LABELLED, body).send().await;
        assert!(answer.status == status && answer.text().starts_with(words), "{} {}", answer.status, answer.text());
    }
    assert_eq!(stage.counted("malformed").await, 10.0);
    for (method, path, status, words) in [
        (Method::GET, LABELLED, 405, "reviews come by POST"),
        (Method::POST, "/other", 404, "there is no /other here; reviews go to /inject or /inject/annotated"),
    ] {
        let answer = server.request(method, path, review(&pod(&[])).to_string()).send().await;
        assert!(answer.status == status && answer.text().starts_with(words), "{} {}", answer.status, answer.text());
    }
    assert!(!stage.asked(LABELLED, &pod(&[])).await.is_plain(), "it serves on");
}

#[tokio::test]
async fn a_pod_as_large_as_kubernetes_takes_them_is_injected() {
    let stage = Stage::start(&template(), json!({})).await;
    let mut large = pod(&[]);
    let variables: Vec<_> =
        (0..3000).map(|number| json!({"name": format!("V{number}"), "value": "x".repeat(400)})).collect();
    large["spec"]["containers"][0]["env"] = variables.into();
    assert!(large.to_string().len() > 1 << 20);
    assert_eq!(stage.injected(&large).await["spec"]["initContainers"][0]["name"], "fusebox");
}

#[tokio::test]
async fn a_hundred_at_once_are_answered_long_before_an_api_server_would_give_up() {
    let stage = Stage::start(&template(), json!({})).await;
    let servers: Vec<_> = (0..4).map(|_| stage.server()).collect();
    let body = review(&pod(&[])).to_string();
    let one = async |server: &Http| {
        let answer = server.post_raw(LABELLED, body.clone()).send().await;
        assert!(!Response::of(&answer).is_plain());
        answer.took
    };
    let mut took = Vec::new();
    for _ in 0..5 {
        took.extend(join_all((0..100).map(|number| one(&servers[number % servers.len()]))).await);
    }
    took.sort_unstable();
    let (median, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!("100 at once: median {median:?}, p99 {p99:?}");
    // Of 10 s, on a machine that does much else.
    assert!(p99 < Duration::from_secs(2), "{p99:?}");
    assert_eq!(stage.counted("injected").await, 500.0);
}

#[tokio::test]
async fn a_review_that_is_on_its_way_is_still_answered_as_it_drains() {
    let mut stage = Stage::start(&template(), json!({})).await;
    let stream = TcpStream::connect(stage.control.injector_address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(stage.authority.client(None))).connect(name, stream).await.unwrap();
    let body = review(&pod(&[])).to_string();
    let head = format!("POST {LABELLED} HTTP/1.1\r\nhost: webhook\r\ncontent-length: {}\r\n\r\n", body.len());
    let (first, rest) = body.split_at(body.len() / 2);
    stream.write_all(format!("{head}{first}").as_bytes()).await.unwrap();
    // Once a later review is answered, that one's head was read too.
    stage.asked(LABELLED, &pod(&[])).await;
    stage.control.signal("TERM").await;
    stage.control.logged("the drain", |line| line.contains("draining")).await;
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("JSONPatch"), "{answer}");
    assert!(stage.control.ended().await.success(), "{}", stage.control.log());
}
