use std::net::SocketAddr;

use bytes::Bytes;
use fusebox_base::testing::page::Page;
use http_body_util::{BodyExt as _, Empty};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::config::{LogFormat, Telemetry as Settings};

/// A sidecar in whatever state a test puts it in.
#[derive(Default)]
struct Shown(Mutex<(Vec<String>, Vec<ProviderView>)>, Mutex<Vec<CheckView>>);

impl View for Shown {
    fn certificate_ends(&self) -> Option<u64> {
        None
    }

    fn fleet_name(&self) -> String {
        "alone".into()
    }

    fn fleet(&self) -> Option<FleetView> {
        None
    }

    fn not_ready(&self) -> Vec<String> {
        self.0.lock().0.clone()
    }

    fn providers(&self) -> Vec<ProviderView> {
        self.0.lock().1.clone()
    }

    fn models(&self) -> Vec<ModelView> {
        vec![ModelView { name: "chat".into(), providers: vec!["a".into(), "b".into()] }]
    }

    fn checks(&self) -> Vec<CheckView> {
        self.1.lock().clone()
    }

    fn runs(&self) -> usize {
        7
    }

    fn config(&self) -> ConfigView {
        let faults = vec!["providers[1].timeouts.total: must be longer than zero".into()];
        ConfigView { source: "fusebox.yaml".into(), loaded_seconds_ago: 1.5, reloads: 2, faults }
    }

    fn load(&self) -> LoadView {
        let places = vec![PlacesView { provider: "a".into(), limit: Some(12), taken: 3, waiting: 1 }];
        LoadView { degradation_level: "reduced", load: [("queue", 0.8)].into(), places }
    }
}

fn provider(name: &str) -> ProviderView {
    ProviderView {
        name: name.into(),
        enabled: true,
        priority: 0,
        breaker: BreakerState::Closed,
        in_flight: 3,
        cool_down_seconds: None,
        fault: None,
        rate_limits: Vec::new(),
    }
}

struct Door {
    address: SocketAddr,
    shown: Arc<Shown>,
    shutdown: CancellationToken,
    served: JoinSet<io::Result<()>>,
}

async fn open() -> Door {
    let settings = Settings { otlp_endpoint: None, log: "info".into(), log_format: LogFormat::Text };
    let telemetry = Telemetry::try_new(&settings, 1).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (shown, shutdown, mut served) = (Arc::new(Shown::default()), CancellationToken::new(), JoinSet::new());
    shown.0.lock().1 = vec![provider("a"), provider("b")];
    let admin = Arc::new(Admin::new(telemetry, Arc::clone(&shown) as Arc<dyn View>));
    served.spawn(serve(listener, admin, shutdown.clone()));
    Door { address, shown, shutdown, served }
}

/// Asks over a connection of its own.
async fn ask(door: &Door, path: &str) -> (StatusCode, String) {
    let stream = TcpStream::connect(door.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = hyper::Request::get(path).header("host", "admin").body(Empty::<Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn json(door: &Door, path: &str) -> (u16, serde_json::Value) {
    let (status, body) = ask(door, path).await;
    (status.as_u16(), serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn it_lives_while_it_drains_but_is_not_ready() {
    let door = open().await;
    assert_eq!(json(&door, "/readyz").await, (200, serde_json::json!({"ready": true, "reasons": []})));
    door.shown.0.lock().0 = vec!["draining: 2 calls in flight".into()];
    let expected = serde_json::json!({"ready": false, "reasons": ["draining: 2 calls in flight"]});
    assert_eq!(json(&door, "/readyz").await, (503, expected));
    assert_eq!(ask(&door, "/livez").await, (StatusCode::OK, "ok\n".into()));
}

#[tokio::test]
async fn health_is_as_good_as_the_providers_that_can_be_asked() {
    let door = open().await;
    let open = |name| ProviderView { breaker: BreakerState::Open, ..provider(name) };
    let cooling = |name| ProviderView { cool_down_seconds: Some(2.5), ..provider(name) };
    let off = |name| ProviderView { enabled: false, ..open(name) };
    let faulty = |name| ProviderView { fault: Some("its key was refused".into()), ..provider(name) };
    let cases = [
        ("both can", vec![provider("a"), provider("b")], "healthy", 200),
        ("the broken one is off anyway", vec![provider("a"), off("b")], "healthy", 200),
        ("one is open", vec![open("a"), provider("b")], "degraded", 200),
        ("one cools down", vec![provider("a"), cooling("b")], "degraded", 200),
        ("neither can", vec![open("a"), faulty("b")], "critical", 503),
        ("there is none", vec![off("a")], "critical", 503),
    ];
    for (what, providers, status, code) in cases {
        door.shown.0.lock().1 = providers;
        let (found, health) = json(&door, "/health").await;
        assert_eq!((found, &health["status"]), (code, &status.into()), "{what}");
    }
}

#[tokio::test]
async fn a_check_that_fails_degrades_and_a_critical_one_is_critical() {
    let door = open().await;
    let check = |critical, healthy| CheckView {
        name: "disk".into(),
        critical,
        healthy,
        message: "5.0 % is free".into(),
        took_seconds: 0.25,
        seconds_ago: 1.5,
    };
    for (found, status, code) in [
        (check(true, true), "healthy", 200),
        (check(false, false), "degraded", 200),
        (check(true, false), "critical", 503),
    ] {
        *door.shown.1.lock() = vec![found.clone()];
        let (answered, health) = json(&door, "/health").await;
        assert_eq!((answered, &health["status"]), (code, &status.into()), "{found:?}");
        let expected = serde_json::json!([{
            "name": "disk", "critical": found.critical, "healthy": found.healthy,
            "message": "5.0 % is free", "took_seconds": 0.25, "seconds_ago": 1.5,
        }]);
        assert_eq!((&health["checks"], &json(&door, "/status").await.1["checks"]), (&expected, &expected));
    }
}

#[tokio::test]
async fn the_status_tells_who_it_is_and_how_its_providers_and_configuration_are() {
    let door = open().await;
    let limit = LimitView { limit: "tokens", per_minute: 60_000, left: 120 };
    door.shown.0.lock().1[1].breaker = BreakerState::HalfOpen;
    door.shown.0.lock().1[1].rate_limits = vec![limit];
    let (code, status) = json(&door, "/status").await;
    assert_eq!(code, 200);
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["pid"], std::process::id());
    assert!(status["uptime_seconds"].is_number() && status["in_flight"] == 0 && status["runs"] == 7);
    let expected = serde_json::json!({
        "name": "b", "enabled": true, "priority": 0, "breaker": "half_open",
        "in_flight": 3, "cool_down_seconds": null, "fault": null,
        "rate_limits": [{"limit": "tokens", "per_minute": 60_000, "left": 120}],
    });
    let left =
        Page::read(&ask(&door, "/metrics").await.1).value("fusebox_rate_limit_left{provider=\"b\",limit=\"tokens\"}");
    assert_eq!(left, Some(120.0));
    assert_eq!(status["providers"][1], expected);
    assert_eq!(status["models"], serde_json::json!([{"name": "chat", "providers": ["a", "b"]}]));
    assert_eq!((&status["config"]["source"], &status["config"]["reloads"]), (&"fusebox.yaml".into(), &2.into()));
    assert_eq!(status["config"]["faults"][0], "providers[1].timeouts.total: must be longer than zero");
    let nothing = serde_json::json!({"total": 0, "reasons": [], "recent": []});
    let errors = serde_json::json!({"calls": [], "attempts": [], "rates": [], "critical": nothing, "recent": []});
    assert_eq!(status["errors"], errors);
}

#[tokio::test]
async fn the_metrics_are_a_page_that_prometheus_can_read() {
    let door = open().await;
    let (code, page) = ask(&door, "/metrics").await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(Page::read(&page).value("fusebox_in_flight"), Some(0.0));
    assert_eq!(ask(&door, "/nothing").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_metrics_say_of_the_sidecar_what_its_status_says() {
    let door = open().await;
    door.shown.0.lock().1[1].breaker = BreakerState::Open;
    let page = Page::read(&ask(&door, "/metrics").await.1);
    for (series, value) in [
        ("fusebox_health", 1.0),
        ("fusebox_provider_available{provider=\"a\"}", 1.0),
        ("fusebox_provider_available{provider=\"b\"}", 0.0),
        ("fusebox_model_providers_available{model=\"chat\"}", 1.0),
        ("fusebox_fleet_info{fleet=\"alone\",store=\"none\"}", 1.0),
        ("fusebox_config_last_reload_successful", 0.0),
    ] {
        assert_eq!(page.value(series), Some(value), "{series}");
    }
}

/// Everything that comes on a connection until it is closed.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is as closed as an end.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let door = open().await;
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    let _ = stream.write_all(format!("GET /livez HTTP/1.1\r\nx: {}", "a".repeat(MAX_HEAD + 1)).as_bytes()).await;
    let text = rest(stream).await;
    assert!(text.starts_with("HTTP/1.1 431"), "{text}");
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_there_is_room_again_once_one_ends() {
    let door = open().await;
    let mut held = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        held.push(stream);
    }
    let refused = TcpStream::connect(door.address).await.unwrap();
    assert_eq!(rest(refused).await, "");
    drop(held);
    // The places come back as the server sees the ends.
    loop {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        if rest(stream).await.starts_with("HTTP/1.1 200") {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_half_a_request_is_not_waited_for() {
    let door = open().await;
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    stream.write_all(b"GET /livez HT").await.unwrap();
    let before = clock::now();
    rest(stream).await;
    assert!(clock::now().since(before) <= HEADER_TIMEOUT + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stays_is_sent_away_after_a_while() {
    let door = open().await;
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    let opened = clock::now();
    let mut answer = [0; 4096];
    // Each request comes well before an idle connection would be closed.
    while stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.is_ok() {
        if stream.read(&mut answer).await.unwrap_or(0) == 0 {
            break;
        }
        assert!(clock::now().since(opened) <= MAX_LIFE + LAST_ANSWER, "it is still served");
        sleep(HEADER_TIMEOUT / 5).await;
    }
}

#[tokio::test]
async fn at_shutdown_idle_connections_are_closed_and_serving_ends() {
    let mut door = open().await;
    let mut idle = TcpStream::connect(door.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).await.unwrap();
    door.shutdown.cancel();
    door.served.join_next().await.unwrap().unwrap().unwrap();
    rest(idle).await;
    assert!(TcpStream::connect(door.address).await.is_err());
}
