//! As much of HTTP and of Redis's protocol as the fleet's measurements ask of others themselves, each question over a
//! connection of its own.

use std::{
    fmt::Write as _,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::wire;

const PATIENCE: Duration = Duration::from_secs(10);

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// The body of what is answered at `path`.
pub(super) fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let answer = exchange(address, request.as_bytes())?;
    let body = wire::body(&answer).map_err(io::Error::other)?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// The status and the body of what is answered to a change by `body`, which is JSON.
pub(super) fn patch(address: SocketAddr, path: &str, body: &str) -> io::Result<(u16, String)> {
    let head = format!("PATCH {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close");
    let request = format!("{head}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let answer = exchange(address, request.as_bytes())?;
    let told = wire::body(&answer).map_err(io::Error::other)?;
    Ok((status(&answer)?, String::from_utf8_lossy(&told).into_owned()))
}

/// The status of the answer to a short call of `model`.
pub(super) fn call(address: SocketAddr, model: &str) -> io::Result<u16> {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#);
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nconnection: close");
    let request = format!("{head}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let answer = exchange(address, request.as_bytes())?;
    status(&answer)
}

fn status(answer: &[u8]) -> io::Result<u16> {
    let status = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.ok_or_else(|| io::Error::other("no answer"))
}

fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = connect(address)?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    let mut piece = [0; 16 * 1024];
    while wire::message_len(&answer).map_err(io::Error::other)?.is_none() {
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => answer.extend_from_slice(&piece[..read]),
        }
    }
    Ok(answer)
}

/// What a Redis answers: a text, or a word, or a number. An error is one here too.
pub(super) fn redis(address: SocketAddr, words: &[&str]) -> io::Result<String> {
    let mut stream = connect(address)?;
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        let _ = write!(request, "${}\r\n{word}\r\n", word.len());
    }
    stream.write_all(request.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let line = line.trim_end();
    let Some((kind, rest)) = line.split_at_checked(1) else { return Err(io::ErrorKind::UnexpectedEof.into()) };
    match kind {
        "+" | ":" => Ok(rest.to_owned()),
        "$" => {
            let length = rest.parse().map_err(io::Error::other)?;
            let mut text = vec![0; length];
            reader.read_exact(&mut text)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        }
        _ => Err(io::Error::other(line.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::mock::{self, Pace};

    #[test]
    fn a_mock_provider_is_called_and_asked() {
        let address = mock::start(Pace { tokens: 1, gap: Duration::from_millis(1) });
        assert_eq!(call(address, "any").unwrap(), 200);
        assert!(get(address, "/v1/models").unwrap().starts_with('{'));
    }

    #[test]
    fn the_three_kinds_of_answer_are_read_and_an_error_is_one() {
        let replies = ["+OK\r\n", ":7\r\n", "$5\r\nab\r\nc\r\n", "-ERR no\r\n"];
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            for reply in replies {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 14];
                stream.read_exact(&mut asked).unwrap();
                assert_eq!(&asked, b"*1\r\n$4\r\nPING\r\n");
                stream.write_all(reply.as_bytes()).unwrap();
            }
        });
        let ask = || redis(address, &["PING"]);
        assert_eq!([ask().unwrap(), ask().unwrap(), ask().unwrap()], ["OK", "7", "ab\r\nc"]);
        assert!(ask().unwrap_err().to_string().contains("ERR no"));
        server.join().unwrap();
    }
}
