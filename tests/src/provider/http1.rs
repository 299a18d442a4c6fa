//! HTTP/1.1 by hand, because no decent server can be made to break it in the middle of a header.

use std::{convert::Infallible, io, time::Duration};

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, tcp::WriteHalf},
};

use super::{
    stage::{Call, Incoming, Stage},
    steps::Step,
};

/// What becomes of the connection after a response.
enum Fate {
    Keep,
    Close,
    Reset,
}

/// Answers the requests of one connection until it ends.
pub(super) async fn serve(mut stream: TcpStream, stage: &Stage) {
    let mut unread = BytesMut::new();
    while let Ok(Some(incoming)) = read(&mut stream, &mut unread).await {
        let close = incoming.headers.get(http::header::CONNECTION).is_some_and(|value| value == "close");
        let (call, steps) = stage.enter(incoming);
        let (mut reader, mut writer) = stream.split();
        let played = tokio::select! {
            biased;
            played = play(&mut writer, &steps, stage, call) => played,
            never = hung_up(&mut reader, &mut unread) => never.map(|never| match never {}),
        };
        match played {
            Ok(Fate::Keep) if !close => stage.finished(call),
            Ok(Fate::Reset) => {
                stage.finished(call);
                let _ = stream.set_zero_linger();
                return;
            }
            Ok(_) => {
                stage.finished(call);
                return;
            }
            Err(_) => {
                stage.gone(call);
                return;
            }
        }
    }
}

/// Ends, with an error, once the client has closed its side; keeps what it sends until then.
async fn hung_up(reader: &mut (impl AsyncRead + Unpin), unread: &mut BytesMut) -> io::Result<Infallible> {
    loop {
        if reader.read_buf(unread).await? == 0 {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
    }
}

async fn play(writer: &mut WriteHalf<'_>, steps: &[Step], stage: &Stage, call: Call) -> io::Result<Fate> {
    let mut chunked = false;
    for step in steps {
        match step {
            Step::Wait(wait) => tokio::time::sleep(*wait).await,
            Step::Head { status, headers, length } => {
                chunked = length.is_none();
                writer.write_all(&head(*status, headers, *length)).await?;
            }
            Step::HalfHead => writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: appli").await?,
            Step::Body(bytes) => {
                // Noted first: the client may act on it before the write returns.
                stage.sent(call, bytes);
                write_body(writer, bytes, chunked).await?;
            }
            Step::Wire(bytes) => writer.write_all(bytes).await?,
            Step::End if chunked => writer.write_all(b"0\r\n\r\n").await?,
            Step::End => {}
            Step::Cut => return Ok(Fate::Close),
            Step::Reset => return Ok(Fate::Reset),
            Step::Hang => std::future::pending().await,
            Step::Forever(bytes, interval) => return for_ever(writer, bytes, *interval, chunked).await,
        }
    }
    Ok(Fate::Keep)
}

async fn for_ever(writer: &mut WriteHalf<'_>, bytes: &Bytes, interval: Duration, chunked: bool) -> io::Result<Fate> {
    loop {
        tokio::time::sleep(interval).await;
        write_body(writer, bytes, chunked).await?;
    }
}

async fn write_body(writer: &mut WriteHalf<'_>, bytes: &[u8], chunked: bool) -> io::Result<()> {
    if !chunked {
        return writer.write_all(bytes).await;
    }
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    writer.write_all(&framed).await
}

fn head(status: u16, headers: &[(String, String)], length: Option<usize>) -> Vec<u8> {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Odd");
    let mut head = format!("HTTP/1.1 {status} {reason}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match length {
        Some(length) => head.push_str(&format!("content-length: {length}\r\n\r\n")),
        None => head.push_str("transfer-encoding: chunked\r\n\r\n"),
    }
    head.into_bytes()
}

/// The next request; `None` at the connection's end.
async fn read(stream: &mut TcpStream, unread: &mut BytesMut) -> io::Result<Option<Incoming>> {
    let end = loop {
        if let Some(at) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(unread).await? == 0 {
            return Ok(None);
        }
    };
    let head = unread.split_to(end);
    unread.advance(4);
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let method = first.next().and_then(|method| Method::from_bytes(method.as_bytes()).ok()).unwrap_or_default();
    let path = first.next().unwrap_or_default().to_owned();
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value.trim())) {
            headers.append(name, value);
        }
    }
    let raw = read_body(stream, unread, &headers).await?;
    Ok(Some(Incoming { method, path, headers, raw }))
}

async fn read_body(stream: &mut TcpStream, unread: &mut BytesMut, headers: &HeaderMap) -> io::Result<Bytes> {
    if headers.get("transfer-encoding").is_some_and(|value| value == "chunked") {
        let mut body = BytesMut::new();
        loop {
            let line = read_line(stream, unread).await?;
            let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
            fill(stream, unread, length + 2).await?;
            body.extend_from_slice(&unread.split_to(length));
            unread.advance(2);
            if length == 0 {
                return Ok(body.freeze());
            }
        }
    }
    let length = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
    fill(stream, unread, length).await?;
    Ok(unread.split_to(length).freeze())
}

async fn read_line(stream: &mut TcpStream, unread: &mut BytesMut) -> io::Result<String> {
    loop {
        if let Some(at) = unread.windows(2).position(|window| window == b"\r\n") {
            let line = unread.split_to(at);
            unread.advance(2);
            return Ok(String::from_utf8_lossy(&line).into_owned());
        }
        fill(stream, unread, unread.len() + 1).await?;
    }
}

/// Reads until at least `length` bytes are there.
async fn fill(stream: &mut TcpStream, unread: &mut BytesMut, length: usize) -> io::Result<()> {
    while unread.len() < length {
        if stream.read_buf(unread).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}
