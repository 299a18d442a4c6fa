//! One caller on one connection, so many calls a second: what a proxy adds to a call when nothing else is going on.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::{clock, payload, wire};

/// How long one call may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a paced run went.
#[derive(Debug, Default)]
pub(crate) struct Paced {
    /// How long each good call took.
    pub(crate) took: Vec<Duration>,
    /// Calls without a good answer.
    pub(crate) failed: u64,
}

/// Calls `target` `per_second` times a second for `lasting`.
pub(crate) fn run(target: SocketAddr, per_second: u32, lasting: Duration) -> io::Result<Paced> {
    let gap = Duration::from_secs(1) / per_second.max(1);
    let mut caller = Caller::connect(target)?;
    let mut paced = Paced::default();
    let begin = clock::now();
    let mut due = begin;
    while due.duration_since(begin) < lasting {
        clock::sleep_until(due);
        let sent = clock::now();
        match caller.call() {
            Ok(answer) if answer.starts_with(b"HTTP/1.1 200") => paced.took.push(clock::now().duration_since(sent)),
            Ok(_) => paced.failed += 1,
            Err(_) => {
                paced.failed += 1;
                caller = Caller::connect(target)?;
            }
        }
        due += gap;
    }
    Ok(paced)
}

/// One call; an error unless the answer is the mock provider's completion.
pub(crate) fn check(target: SocketAddr) -> io::Result<()> {
    let mut caller = Caller::connect(target)?;
    let answer = caller.call()?;
    let body = wire::body(answer).map_err(io::Error::other)?;
    let parsed: serde_json::Value = serde_json::from_slice(&body)?;
    match parsed["choices"][0]["message"]["content"].as_str() {
        Some(text) if text.starts_with(payload::COMPLETION) => Ok(()),
        _ => Err(io::Error::other(format!("not the mock's completion: {parsed}"))),
    }
}

struct Caller {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Caller {
    fn connect(target: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&target, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, request: payload::request(target, false), answer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends the request and reads the whole answer.
    fn call(&mut self) -> io::Result<&[u8]> {
        self.answer.clear();
        self.stream.write_all(&self.request)?;
        let mut piece = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.answer.extend_from_slice(&piece[..read]),
            }
            if wire::message_len(&self.answer).map_err(io::Error::other)?.is_some() {
                return Ok(&self.answer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::{self, Pace};

    #[test]
    fn the_mock_answers_every_paced_call() {
        let target = mock::start(Pace { tokens: 1, gap: Duration::from_millis(1) });
        check(target).unwrap();
        let paced = run(target, 1000, Duration::from_millis(50)).unwrap();
        assert_eq!((paced.took.len(), paced.failed), (50, 0));
    }
}
