use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
};

use super::*;

const BOUNDS: Bounds =
    Bounds { max_connections: 1, max_headers: 16 * 1024, header_timeout: Duration::from_secs(10), max_streams: 10 };

/// Counts what is open.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicUsize>);

struct Open(Arc<AtomicUsize>);

impl Count for Counted {
    type Open = Open;

    fn opened(&self) -> Open {
        self.0.fetch_add(1, Relaxed);
        Open(Arc::clone(&self.0))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

async fn who(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let peer = request.extensions().get::<Arc<Peer>>().map_or("nobody".to_owned(), |peer| {
        format!("{} {}", peer.address, peer.certificate.as_ref().map_or(0, |shown| shown.len()))
    });
    drop(request.into_body().collect().await);
    Ok(Response::new(Full::from(peer)))
}

async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn connections_are_counted_and_a_service_that_asks_for_its_peer_finds_it() {
    let (address, mut listeners) = bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
    let (draining, count) = (CancellationToken::new(), Counted::default());
    let connections = Connections {
        bounds: BOUNDS,
        tls: None,
        open: Arc::default(),
        count: count.clone(),
        draining: draining.clone(),
    };
    drop(listeners.remove(0));
    let mut tasks = JoinSet::new();
    tasks.spawn(connections.serve_introduced(listeners.remove(0), service_fn(who)));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let answer = ask(&mut stream).await;
    assert!(answer.ends_with(&format!("{} 0", stream.local_addr().unwrap())), "{answer}");
    assert_eq!(count.0.load(Relaxed), 1);
    let mut second = TcpStream::connect(address).await.unwrap();
    assert_eq!(second.read(&mut [0; 1]).await.unwrap_or_default(), 0, "one connection more than may be open");
    draining.cancel();
    tasks.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(count.0.load(Relaxed), 0);
}

#[tokio::test]
async fn a_service_that_does_not_ask_is_told_nothing() {
    let (address, mut listeners) = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
    let draining = CancellationToken::new();
    let connections =
        Connections { bounds: BOUNDS, tls: None, open: Arc::default(), count: (), draining: draining.clone() };
    let mut tasks = JoinSet::new();
    tasks.spawn(connections.serve(listeners.remove(0), service_fn(who)));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let answer = ask(&mut stream).await;
    assert!(answer.ends_with("nobody"), "{answer}");
    draining.cancel();
    tasks.join_next().await.unwrap().unwrap().unwrap();
}
