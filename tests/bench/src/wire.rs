//! As much of HTTP/1.1 as the mock provider and the callers need: where a message ends, and its body.
//! Leaves out everything that a loopback benchmark never meets: trailers, `Expect`, bodies that end with the connection.

use std::borrow::Cow;

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not an HTTP/1.1 message")
    }
}

impl std::error::Error for Malformed {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

/// The length of the first message in `buffer`, head and body, or `None` while it is not all there.
pub(crate) fn message_len(buffer: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some(head) = find(buffer, b"\r\n\r\n").map(|at| at + 4) else { return Ok(None) };
    match framing(&buffer[..head])? {
        Framing::Length(body) => Ok(Some(head + body).filter(|len| *len <= buffer.len())),
        Framing::Chunked => {
            let mut chunks = Chunks { buffer, at: head };
            loop {
                match chunks.next()? {
                    Some([]) => return Ok(Some(chunks.at)),
                    Some(_) => {}
                    None => return Ok(None),
                }
            }
        }
    }
}

/// The body of a whole message, put together if it came in chunks.
pub(crate) fn body(message: &[u8]) -> Result<Cow<'_, [u8]>, Malformed> {
    let head = find(message, b"\r\n\r\n").ok_or(Malformed)? + 4;
    match framing(&message[..head])? {
        Framing::Length(_) => Ok(Cow::Borrowed(&message[head..])),
        Framing::Chunked => {
            let mut chunks = Chunks { buffer: message, at: head };
            let mut whole = Vec::with_capacity(message.len());
            loop {
                match chunks.next()?.ok_or(Malformed)? {
                    [] => return Ok(Cow::Owned(whole)),
                    chunk => whole.extend_from_slice(chunk),
                }
            }
        }
    }
}

/// Where `needle` first stands in `haystack`.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn framing(head: &[u8]) -> Result<Framing, Malformed> {
    let mut framing = Framing::Length(0);
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"transfer-encoding") && value.eq_ignore_ascii_case(b"chunked") {
            return Ok(Framing::Chunked);
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            framing = Framing::Length(number(value, 10)?);
        }
    }
    Ok(framing)
}

fn number(text: &[u8], radix: u32) -> Result<usize, Malformed> {
    let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
    usize::from_str_radix(text, radix).map_err(|_| Malformed)
}

struct Chunks<'a> {
    buffer: &'a [u8],
    at: usize,
}

impl<'a> Chunks<'a> {
    /// The next chunk; the empty one is the last; `None` while it is not all there.
    fn next(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        let rest = &self.buffer[self.at..];
        let Some(line) = find(rest, b"\r\n") else { return Ok(None) };
        let size_end = rest[..line].iter().position(|byte| *byte == b';').unwrap_or(line);
        let size = number(rest[..size_end].trim_ascii(), 16)?;
        let (begin, end) = (line + 2, (line + 2).checked_add(size).ok_or(Malformed)?);
        let Some(tail) = rest.get(end..).and_then(|tail| tail.get(..2)) else { return Ok(None) };
        if tail != b"\r\n" {
            return Err(Malformed);
        }
        self.at += end + 2;
        Ok(Some(&rest[begin..end]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTED: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody";
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3;x=y\r\nbod\r\n1\r\ny\r\n0\r\n\r\n";

    #[test]
    fn a_message_ends_where_its_framing_says_and_not_before() {
        for whole in [COUNTED, CHUNKED, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
            let twice = [whole, whole].concat();
            assert_eq!(message_len(&twice), Ok(Some(whole.len())));
            for cut in 0..whole.len() {
                assert_eq!(message_len(&whole[..cut]), Ok(None), "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_body_is_the_same_however_it_was_framed() {
        assert_eq!(body(COUNTED).unwrap(), body(CHUNKED).unwrap());
    }

    #[test]
    fn nonsense_is_refused() {
        for nonsense in [
            &b"POST / HTTP/1.1\r\ncontent-length: four\r\n\r\n"[..],
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n",
        ] {
            assert_eq!(message_len(nonsense), Err(Malformed));
        }
    }
}
