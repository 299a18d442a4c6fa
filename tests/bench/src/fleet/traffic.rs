//! Calls at a steady pace through many sidecars, and a provider that notes when each one's arrive. What they mean is not
//! judged here.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{self, MissedTickBehavior, sleep, timeout},
};

use crate::{clock, payload, wire};

/// Between two calls of one sidecar: all of them together must leave the machine idle time, or it is that which is measured.
const GAP: Duration = Duration::from_millis(50);
/// How long one call may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// When calls of each sidecar last arrived at the provider, and were last refused.
#[derive(Debug)]
pub(super) struct Board {
    begin: Instant,
    places: Vec<Place>,
}

/// Nanoseconds since the board began; 0: never.
#[derive(Debug, Default)]
struct Place {
    arrived: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

impl Board {
    pub(super) fn new(sidecars: usize) -> Arc<Self> {
        Arc::new(Self { begin: clock::now(), places: (0..sidecars).map(|_| Place::default()).collect() })
    }

    /// Of each sidecar: how long after `since` its last call arrived; none where none did.
    pub(super) fn arrivals(&self, since: Instant) -> Vec<Option<Duration>> {
        self.places.iter().map(|place| self.after(&place.arrived, since)).collect()
    }

    /// Whether a call of every sidecar has been refused since.
    pub(super) fn all_refused(&self, since: Instant) -> bool {
        self.places.iter().all(|place| self.after(&place.refused, since).is_some())
    }

    /// Calls that were neither answered nor refused.
    pub(super) fn failed(&self) -> u64 {
        self.places.iter().map(|place| place.failed.load(Relaxed)).sum()
    }

    fn after(&self, at: &AtomicU64, since: Instant) -> Option<Duration> {
        let at = self.begin + Duration::from_nanos(at.load(Relaxed));
        at.checked_duration_since(since).filter(|after| !after.is_zero())
    }

    fn note(&self, at: &AtomicU64) {
        let nanos = clock::now().duration_since(self.begin).as_nanos();
        at.store(u64::try_from(nanos).unwrap_or(u64::MAX), Relaxed);
    }
}

/// A provider, which each sidecar knows by a path of its own: its number. Ends as what is returned is dropped.
pub(super) async fn provide(board: &Arc<Board>) -> io::Result<(SocketAddr, JoinSet<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (address, board) = (listener.local_addr()?, Arc::clone(board));
    let completion: Arc<[u8]> = payload::completion().into();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    let (board, completion) = (Arc::clone(&board), Arc::clone(&completion));
                    connections.spawn(async move { drop(answer(stream, &board, &completion).await) });
                }
                Some(_) = connections.join_next() => {}
            }
        }
    });
    Ok((address, serving))
}

async fn answer(mut stream: TcpStream, board: &Board, completion: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4 * 1_024);
    loop {
        let len = read_message(&mut stream, &mut buffer).await?;
        if let Some(place) = number(&buffer[..len]).and_then(|number| board.places.get(number)) {
            board.note(&place.arrived);
        }
        stream.write_all(completion).await?;
        buffer.drain(..len);
    }
}

/// The number in `POST /NUMBER/...`.
fn number(request: &[u8]) -> Option<usize> {
    let path = request.strip_prefix(b"POST /")?;
    let end = path.iter().position(|byte| *byte == b'/')?;
    std::str::from_utf8(&path[..end]).ok()?.parse().ok()
}

/// Calls the sidecar of this number again and again. Does not end.
pub(super) async fn call(board: Arc<Board>, sidecar: usize, door: SocketAddr) {
    // So that they do not keep step.
    sleep(GAP.mul_f64(fastrand::f64())).await;
    let request = payload::request(door, false);
    let mut ticks = time::interval(GAP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connection = None;
    loop {
        ticks.tick().await;
        let Some(place) = board.places.get(sidecar) else { return };
        match timeout(PATIENCE, ask(&mut connection, door, &request)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => board.note(&place.refused),
            Ok(Err(_)) | Err(_) => {
                place.failed.fetch_add(1, Relaxed);
                connection = None;
            }
        }
    }
}

/// Whether one call is answered well; if not, it is refused for want of a provider.
async fn ask(connection: &mut Option<TcpStream>, door: SocketAddr, request: &[u8]) -> io::Result<bool> {
    let stream = match connection {
        Some(stream) => stream,
        None => connection.insert(TcpStream::connect(door).await?),
    };
    stream.set_nodelay(true)?;
    stream.write_all(request).await?;
    let mut buffer = Vec::with_capacity(4 * 1_024);
    read_message(stream, &mut buffer).await?;
    match buffer.get(9..12) {
        Some(b"200") => Ok(true),
        Some(b"503") => Ok(false),
        other => Err(io::Error::other(format!("answered with {other:?}"))),
    }
}

/// The length of the message at the beginning of `buffer`, once it is whole.
async fn read_message(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        if let Some(len) = wire::message_len(buffer).map_err(io::Error::other)? {
            return Ok(len);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_provider_notes_whose_call_arrived() {
        let board = Board::new(2);
        let (address, _provider) = provide(&board).await.unwrap();
        let began = clock::now();
        let request = String::from_utf8(payload::request(address, false)).unwrap().replace("/v1/", "/1/v1/");
        let mut connection = None;
        for _ in 0..2 {
            assert!(ask(&mut connection, address, request.as_bytes()).await.unwrap());
        }
        let arrivals = board.arrivals(began);
        assert!(arrivals[0].is_none() && arrivals[1].is_some(), "{arrivals:?}");
        assert_eq!(board.arrivals(clock::now()), [None, None]);
        assert!(!board.all_refused(began));
    }
}
