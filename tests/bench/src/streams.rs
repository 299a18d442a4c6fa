//! Many callers, each with one stream after another: when the first token comes, and whether every token does.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime,
    task::JoinSet,
    time,
};

use crate::{clock, mock::Pace, payload, wire};

/// How long a stream may stand still before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a run of streams went.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// How long the first token of each good stream took.
    pub(crate) first_token: Vec<Duration>,
    /// Tokens of the good streams.
    pub(crate) tokens: u64,
    /// Streams that were refused, cut, stalled or short of tokens.
    pub(crate) failed: u64,
}

/// Keeps `callers` streams from `target` going for `lasting`: at least one each, and none begins that would end later.
pub(crate) fn run(target: SocketAddr, callers: u32, pace: Pace, lasting: Duration) -> io::Result<Streams> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    // Callers start one by one over a stream's length: in step they would measure a queue of their own making.
    let stagger = pace.gap * pace.tokens / callers.max(1);
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for caller in 0..callers {
            tasks.spawn(call_on(target, pace, stagger * caller, lasting));
        }
        let mut all = Streams::default();
        while let Some(done) = tasks.join_next().await {
            let streams = done.map_err(io::Error::other)??;
            all.first_token.extend(streams.first_token);
            all.tokens += streams.tokens;
            all.failed += streams.failed;
        }
        Ok(all)
    })
}

/// One stream; an error unless it is whole.
pub(crate) fn check(target: SocketAddr, pace: Pace) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut stream = connect(target).await?;
        one(&mut stream, &payload::request(target, true), pace).await.map(|_| ())
    })
}

async fn call_on(target: SocketAddr, pace: Pace, after: Duration, lasting: Duration) -> io::Result<Streams> {
    let begin = clock::now();
    time::sleep(after).await;
    let request = payload::request(target, true);
    let mut streams = Streams::default();
    let mut connection = connect(target).await?;
    loop {
        match one(&mut connection, &request, pace).await {
            Ok(first_token) => {
                streams.first_token.push(first_token);
                streams.tokens += u64::from(pace.tokens);
            }
            Err(_) => {
                streams.failed += 1;
                connection = connect(target).await?;
            }
        }
        if clock::now().duration_since(begin) + pace.gap * pace.tokens > lasting {
            return Ok(streams);
        }
    }
}

async fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    let stream = time::timeout(PATIENCE, TcpStream::connect(target)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Asks for a stream and reads it to its end; the time to its first event.
async fn one(connection: &mut TcpStream, request: &[u8], pace: Pace) -> io::Result<Duration> {
    let mut answer = Vec::with_capacity(32 * 1024);
    let sent = clock::now();
    connection.write_all(request).await?;
    let mut first_token = None;
    // No event ends with these bytes, so they stand only at the end of the body.
    while !answer.ends_with(b"\r\n0\r\n\r\n") {
        if time::timeout(PATIENCE, connection.read_buf(&mut answer)).await?? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first_token.is_none() {
            if !answer.starts_with(b"HTTP/1.1 200") {
                return Err(io::Error::other(String::from_utf8_lossy(&answer)));
            }
            first_token = wire::find(&answer, b"data: {").map(|_| clock::now().duration_since(sent));
        }
    }
    let body = wire::body(&answer).map_err(io::Error::other)?;
    let events = body.windows(7).filter(|window| window == b"data: {").count();
    let whole = events > pace.tokens as usize && wire::find(&body, b"data: [DONE]").is_some();
    match first_token {
        Some(first_token) if whole => Ok(first_token),
        _ => Err(io::Error::other(format!("{events} events, and {} tokens were sent", pace.tokens))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock;

    const SHORT: Pace = Pace { tokens: 3, gap: Duration::from_millis(1) };

    #[test]
    fn every_token_of_every_stream_arrives() {
        let target = mock::start(SHORT);
        let streams = run(target, 4, SHORT, Duration::from_millis(50)).unwrap();
        assert_eq!(streams.failed, 0);
        assert!(streams.first_token.len() >= 4);
        assert_eq!(streams.tokens, 3 * streams.first_token.len() as u64);
    }

    #[test]
    fn a_stream_short_of_a_token_is_a_failure() {
        let target = mock::start(SHORT);
        assert!(check(target, Pace { tokens: 4, ..SHORT }).is_err());
    }
}
