//! Who may: by tokens, by sessions of the dashboard, by certificates; and who may not, on every path.

use std::io::Write as _;

use fusebox_proto::v1::{self, control_service_client::ControlServiceClient};
use fusebox_tests::{
    client::{Answer, Http},
    control_plane::{self, ControlPlane},
};
use http::Method;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tonic::{Code, Request, transport::Channel};

use super::{Scene, switch};

const OPERATOR: &str = "the-operators-own-token-1";
const VIEWER: &str = "the-viewers-own-token-1";

fn tokens(lines: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(lines.as_bytes()).unwrap();
    file
}

fn both() -> NamedTempFile {
    tokens(&format!("# who may\noperator ada {OPERATOR}\nviewer bo {VIEWER}\n"))
}

/// What a change over gRPC ends with.
async fn change(grpc: &mut ControlServiceClient<Channel>, token: Option<&str>) -> Result<(), Code> {
    let mut request = Request::new(switch("first", true));
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    grpc.set_provider(request).await.map(drop).map_err(|status| status.code())
}

fn patch(http: &Http) -> fusebox_tests::client::Request {
    let body = json!({"enabled": true, "reason": "a drill"}).to_string();
    http.request(Method::PATCH, "/api/v1/providers/first", body).header("content-type", "application/json")
}

async fn sign_in(http: &Http, token: &str) -> Answer {
    http.post("/api/v1/session", &json!({"token": token})).send().await
}

fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn only_an_operator_changes_anything_by_whatever_way_and_every_refusal_is_written_down() {
    let file = both();
    let scene = Scene::with_tokens(file.path()).await;
    let (http, mut grpc) = (scene.control.http(), scene.control.grpc().await);
    for (token, code, status) in [
        (None, Err(Code::Unauthenticated), 401),
        (Some("nobodys-token-at-all"), Err(Code::Unauthenticated), 401),
        (Some(VIEWER), Err(Code::PermissionDenied), 403),
        (Some(OPERATOR), Ok(()), 200),
    ] {
        assert_eq!(change(&mut grpc, token).await, code, "{token:?}");
        let bearer = |request: fusebox_tests::client::Request| match token {
            Some(token) => request.header("authorization", &format!("Bearer {token}")),
            None => request,
        };
        let answer = bearer(patch(http)).send().await;
        assert_eq!(answer.status, status, "{token:?}: {}", answer.text());
        let looked = bearer(http.get("/api/v1/fleet")).send().await;
        assert_eq!(looked.status.as_u16(), if status == 401 { 401 } else { 200 }, "{token:?}");
    }
    for (method, path) in [
        (Method::PUT, "/api/v1/providers/first/breaker"),
        (Method::PUT, "/api/v1/degradation"),
        (Method::POST, "/api/v1/alerts/1/acknowledge"),
        (Method::POST, "/api/v1/silences"),
        (Method::DELETE, "/api/v1/silences/1"),
    ] {
        let request = http.request(method.clone(), path, "{}").header("content-type", "application/json");
        let refused = request.header("authorization", &format!("Bearer {VIEWER}")).send().await;
        assert_eq!(refused.status, 403, "{method} {path}: {}", refused.text());
    }
    let audit = http.get("/api/v1/audit").header("authorization", &format!("Bearer {VIEWER}")).send().await.json();
    let events = audit["events"].as_array().unwrap().iter();
    let told: Vec<_> = events
        .map(|one| {
            format!(
                "{} {} {}",
                one["actor"].as_str().unwrap(),
                one["action"].as_str().unwrap(),
                one["outcome"].as_str().unwrap()
            )
        })
        .collect();
    for wanted in [
        "ada SetProvider done",
        "bo SetProvider refused",
        "bo SetBreaker refused",
        " SetProvider refused",
        "bo EndSilence refused",
    ] {
        assert!(told.iter().any(|one| one == wanted), "no {wanted:?} in {told:#?}");
    }
    assert_eq!(http.get("/livez").send().await.status, 200, "machines are not asked");
    assert_eq!(http.get("/").send().await.status, 200, "nor is whoever loads the page");
}

#[tokio::test]
async fn the_dashboards_session_is_a_cookie_that_no_other_page_can_use() {
    let file = both();
    let scene = Scene::with_tokens(file.path()).await;
    let http = scene.control.http();
    assert_eq!(http.get("/api/v1/session").send().await.status, 401);
    let signed_in = sign_in(http, OPERATOR).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.text());
    let set = signed_in.header("set-cookie").unwrap();
    for word in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(set.contains(word), "{set}");
    }
    assert!(!set.contains(OPERATOR), "the cookie is not the token");
    let (cookie, csrf) = (cookie(&signed_in), signed_in.json()["csrf"].as_str().unwrap().to_owned());
    let with_cookie = || patch(http).header("cookie", &cookie);
    assert_eq!(http.get("/api/v1/fleet").header("cookie", &cookie).send().await.status, 200);
    assert_eq!(with_cookie().send().await.status, 403, "without what only the page knows");
    assert_eq!(with_cookie().header("x-fusebox-csrf", "guessed").send().await.status, 403);
    let cross = with_cookie().header("x-fusebox-csrf", &csrf).header("sec-fetch-site", "cross-site").send().await;
    assert_eq!(cross.status, 403);
    let elsewhere = with_cookie().header("x-fusebox-csrf", &csrf).header("origin", "https://evil.example").send().await;
    assert_eq!(elsewhere.status, 403);
    let done = with_cookie().header("x-fusebox-csrf", &csrf).send().await;
    assert_eq!(done.status, 200, "{}", done.text());
    let audit = http.get("/api/v1/audit").header("cookie", &cookie).send().await.json();
    assert!(audit["events"][0]["source"].as_str().unwrap().starts_with("dashboard "), "{audit:#}");
    let came = audit["events"].as_array().unwrap().iter().find(|event| event["action"] == "SignIn").unwrap();
    assert_eq!((&came["actor"], &came["outcome"]), (&"ada".into(), &"done".into()), "{audit:#}");
    // Another replica knows the session, for it is in nobody's memory.
    let other = scene.another(file.path()).await;
    assert_eq!(other.http().get("/api/v1/session").header("cookie", &cookie).send().await.json()["name"], "ada");
    let out = http.request(Method::DELETE, "/api/v1/session", "").header("cookie", &cookie).send().await;
    assert_eq!((out.status.as_u16(), out.header("set-cookie").unwrap().contains("Max-Age=0")), (204, true));
}

#[tokio::test]
async fn a_token_that_is_taken_out_of_the_file_ends_at_once_with_its_sessions() {
    let mut file = both();
    let scene = Scene::with_tokens(file.path()).await;
    let http = scene.control.http();
    let cookie = cookie(&sign_in(http, OPERATOR).await);
    let session = || http.get("/api/v1/session").header("cookie", &cookie).send();
    assert_eq!(session().await.status, 200);
    file.as_file_mut().set_len(0).unwrap();
    std::fs::write(file.path(), format!("operator ada another-token-for-ada\nviewer bo {VIEWER}\n")).unwrap();
    scene.control.signal("HUP").await;
    scene.control.logged("the reload", |line| line.contains("loaded anew")).await;
    assert_eq!(session().await.status, 401);
    assert_eq!(change(&mut scene.control.grpc().await, Some(OPERATOR)).await, Err(Code::Unauthenticated));
    assert_eq!(change(&mut scene.control.grpc().await, Some("another-token-for-ada")).await, Ok(()));
}

#[tokio::test]
async fn whoever_guesses_tokens_must_wait_and_the_right_one_still_comes_in_from_elsewhere() {
    let file = both();
    let scene = Scene::with_tokens(file.path()).await;
    let http = scene.control.http();
    let mut limited = None;
    for attempt in 0..100 {
        let answer = sign_in(http, &format!("a-wrong-token-number-{attempt}")).await;
        if answer.status == 429 {
            limited = Some(answer);
            break;
        }
        assert_eq!(answer.status, 401);
    }
    let limited = limited.expect("guessing is limited");
    let wait: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 1, "{wait}");
}

#[tokio::test]
async fn with_nobody_asked_the_doors_are_on_loopback_only_and_no_page_elsewhere_reaches_them() {
    let control = ControlPlane::start(&control_plane::config(json!({}))).await;
    let rebound = control.http().get("/api/v1/fleet").header("host", "evil.example").send().await;
    assert_eq!(rebound.status, 403, "{}", rebound.text());
    let cross = patch(control.http()).header("origin", "http://evil.example").send().await;
    assert_eq!(cross.status, 403);
    let open = control_plane::config(json!({"listen": {"http": "0.0.0.0:0"}}));
    let said = ControlPlane::check(&open, &[]).await;
    let words = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert_eq!(said.status.code(), Some(2), "{words}");
    assert!(words.contains("listen.http") && words.contains("auth.tokens_file"), "{words}");
}

#[tokio::test]
async fn both_doors_speak_tls_and_a_certificate_may_stand_for_a_role() {
    let authority = fusebox_tests::tls::Authority::new();
    let (ours, theirs, unknown) =
        (authority.issue("ours"), authority.issue("theirs"), authority.issue_to("unknown", &["nobody.example"]));
    let changes = json!({"auth": {
        "tls": {"cert_file": ours.cert_file, "key_file": ours.key_file, "client_ca_file": authority.file()},
        "certificates": [{"name": "localhost", "role": "operator"}],
    }});
    let scene = Scene::with(1, changes).await;
    let http = Http::tls(scene.control.http().address(), authority.client(Some(&theirs)), true);
    scene.control.sees(1, &http).await;
    let done = patch(&http).send().await;
    assert_eq!(done.status, 200, "{}", done.text());
    let channel = authority.channel(scene.control.grpc_address(), Some(&theirs)).await.unwrap();
    assert_eq!(change(&mut ControlServiceClient::new(channel), None).await, Ok(()));
    let nobody = Http::tls(scene.control.http().address(), authority.client(Some(&unknown)), true);
    let refused = patch(&nobody).send().await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    let page = http.get("/").send().await;
    assert!(page.header("strict-transport-security").is_some());
    let fleet = http.get("/api/v1/fleet").send().await.json();
    assert_eq!(provider(&fleet, "first")["enabledWord"]["by"], "localhost", "{fleet:#}");
    let mut watcher =
        ControlServiceClient::new(authority.channel(scene.control.grpc_address(), Some(&theirs)).await.unwrap());
    assert!(watcher.get_fleet(v1::GetFleetRequest {}).await.is_ok());
}

fn provider<'a>(fleet: &'a Value, name: &str) -> &'a Value {
    fleet["providers"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()
}
