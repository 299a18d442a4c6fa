//! The mock provider: one fixed completion, or one paced stream, as fast as a loopback allows, so that what is
//! measured is the proxy before it. It understands no more of a request than its end and whether it asks for a stream.

use std::{io, net::TcpListener, sync::Arc, thread, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime,
    sync::mpsc,
    task::JoinSet,
    time::{self, MissedTickBehavior},
};

use crate::{
    payload::{self, StreamPieces},
    wire,
};

/// Connections that may wait for one worker to take them up.
const MAX_WAITING: usize = 1024;
/// The largest request it reads.
const MAX_REQUEST_BYTES: usize = 1 << 20;

/// How a streamed answer is paced.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Tokens in a stream, the first of which is sent at once.
    pub(crate) tokens: u32,
    /// The time between two tokens.
    pub(crate) gap: Duration,
}

/// Serves `listener` with `threads` workers until the process ends. Connections are dealt out in turn, so that
/// no run is slower than another because of how the kernel spread them.
/// Each whole answer is `completion`.
pub(crate) fn serve(listener: &TcpListener, threads: usize, completion: Vec<u8>, pace: Pace) -> io::Result<()> {
    let answers = Arc::new(Answers { completion, models: payload::models(), pieces: StreamPieces::new(), pace });
    let workers = (0..threads.max(1)).map(|_| worker(Arc::clone(&answers))).collect::<io::Result<Vec<_>>>()?;
    for worker in workers.iter().cycle() {
        let (stream, _) = listener.accept()?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        if worker.blocking_send(stream).is_err() {
            return Err(io::Error::other("a worker of the mock provider has ended"));
        }
    }
    Ok(())
}

/// Serves in the background on a port of the kernel's choice, which it returns.
#[cfg(test)]
pub(crate) fn start(pace: Pace) -> std::net::SocketAddr {
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || serve(&listener, 1, payload::completion(), pace));
    address
}

struct Answers {
    completion: Vec<u8>,
    models: Vec<u8>,
    pieces: StreamPieces,
    pace: Pace,
}

enum Asked {
    Models,
    Completion,
    Stream,
}

fn worker(answers: Arc<Answers>) -> io::Result<mpsc::Sender<std::net::TcpStream>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let (sender, mut accepted) = mpsc::channel(MAX_WAITING);
    thread::Builder::new().name("mock".into()).spawn(move || {
        runtime.block_on(async {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    stream = accepted.recv() => match stream.map(TcpStream::from_std) {
                        Some(Ok(stream)) => { connections.spawn(converse(stream, Arc::clone(&answers))); }
                        Some(Err(_)) => {}
                        None => return,
                    },
                    // A connection's end is the caller's business; here it only frees its place.
                    Some(_) = connections.join_next() => {}
                }
            }
        });
    })?;
    Ok(sender)
}

async fn converse(mut stream: TcpStream, answers: Arc<Answers>) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let len = loop {
            match wire::message_len(&buffer).map_err(io::Error::other)? {
                Some(len) => break len,
                None if buffer.len() > MAX_REQUEST_BYTES => return Err(io::ErrorKind::InvalidData.into()),
                None if stream.read_buf(&mut buffer).await? == 0 => return Ok(()),
                None => {}
            }
        };
        match asked(&buffer[..len])? {
            Asked::Models => stream.write_all(&answers.models).await?,
            Asked::Completion => stream.write_all(&answers.completion).await?,
            Asked::Stream => tell(&mut stream, &answers.pieces, answers.pace).await?,
        }
        buffer.drain(..len);
    }
}

fn asked(request: &[u8]) -> io::Result<Asked> {
    if !request.starts_with(b"POST") {
        return Ok(Asked::Models);
    }
    let body = wire::body(request).map_err(io::Error::other)?;
    let value = wire::find(&body, b"\"stream\"").map(|at| body[at + 8..].trim_ascii_start());
    let streamed = value
        .and_then(|value| value.strip_prefix(b":"))
        .is_some_and(|value| value.trim_ascii_start().starts_with(b"true"));
    Ok(if streamed { Asked::Stream } else { Asked::Completion })
}

async fn tell(stream: &mut TcpStream, pieces: &StreamPieces, pace: Pace) -> io::Result<()> {
    stream.write_all(&pieces.first).await?;
    let mut ticks = time::interval(pace.gap);
    // A late token delays those after it: two in one write would be one chunk less for the proxy to carry.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    for _ in 1..pace.tokens {
        ticks.tick().await;
        stream.write_all(&pieces.token).await?;
    }
    ticks.tick().await;
    stream.write_all(&pieces.last).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_asked_for_in_whatever_way_json_allows() {
        let request = |body: &str| format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        for (body, streamed) in [
            (r#"{"stream":true}"#, true),
            ("{\"stream\" :\n true}", true),
            (r#"{"stream":false}"#, false),
            ("{}", false),
        ] {
            let asked = asked(request(body).as_bytes()).unwrap();
            assert_eq!(matches!(asked, Asked::Stream), streamed, "{body}");
        }
    }
}
