//! A mail relay that keeps what it is given: EHLO, STARTTLS or TLS, AUTH PLAIN, MAIL, RCPT, DATA, as RFC 5321, 3207 and
//! 4954 have them, and nothing more. It can be told to refuse.

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::tls::Identity;

/// Longer than anything here takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// How connections are protected.
#[derive(Debug, Clone)]
pub enum Protection {
    /// Not at all.
    None,
    /// After STARTTLS; nothing is taken before it.
    StartTls(Identity),
    /// From the first byte.
    Tls(Identity),
}

/// A mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// Head and body, with lines as they were but for the dots that were doubled.
    pub data: String,
    /// Whether it came under TLS.
    pub encrypted: bool,
    /// Who sent it, if they said so.
    pub user: Option<String>,
}

/// A running relay. Dropped, it closes its port and its connections.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    desk: Arc<Desk>,
    _tasks: JoinSet<()>,
}

struct Desk {
    acceptor: Option<TlsAcceptor>,
    is_tls_first: bool,
    /// The user and the password without which nothing is taken.
    credentials: Option<(String, String)>,
    mails: watch::Sender<Vec<Mail>>,
    /// What the next mails are answered, in the place of yes.
    refusals: Mutex<VecDeque<String>>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("mails", &self.mails).finish_non_exhaustive()
    }
}

impl Mail {
    /// A line of the head, unfolded; its first, if there are several of the name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let (head, _) = self.data.split_once("\r\n\r\n")?;
        let head = head.replace("\r\n ", " ");
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    }
}

impl Relay {
    /// One that takes mails from anybody, or from the one who knows the user and the password.
    pub async fn start(protection: &Protection, credentials: Option<(&str, &str)>) -> Self {
        let (acceptor, is_tls_first) = match protection {
            Protection::None => (None, false),
            Protection::StartTls(identity) => (Some(identity.acceptor(&[])), false),
            Protection::Tls(identity) => (Some(identity.acceptor(&[])), true),
        };
        let desk = Arc::new(Desk {
            acceptor,
            is_tls_first,
            credentials: credentials.map(|(user, password)| (user.to_owned(), password.to_owned())),
            mails: watch::Sender::new(Vec::new()),
            refusals: Mutex::default(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&desk);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let desk = Arc::clone(&shared);
                // Who breaks off is not missed.
                connections.spawn(async move { drop(serve(stream, &desk).await) });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, desk, _tasks: tasks }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next mail is answered `reply`, such as `451 4.3.0 later`, and not kept.
    pub fn refuse(&self, reply: &str) {
        self.desk.refusals.lock().push_back(reply.to_owned());
    }

    /// All mails that were taken, once they are enough.
    pub async fn mails(&self, enough: usize) -> Vec<Mail> {
        let mut mails = self.desk.mails.subscribe();
        let waited = timeout(PATIENCE, mails.wait_for(|mails| mails.len() >= enough)).await;
        match waited {
            Ok(mails) => mails.expect("it runs").clone(),
            Err(_) => panic!("after {PATIENCE:?} only {:#?}", self.desk.mails.borrow()),
        }
    }
}

async fn serve(mut stream: TcpStream, desk: &Desk) -> io::Result<()> {
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = &desk.acceptor else { return talk(&mut stream, desk, false, true).await.map(drop) };
    if !desk.is_tls_first && !talk(&mut stream, desk, false, true).await? {
        return Ok(());
    }
    let mut stream = acceptor.accept(stream).await?;
    talk(&mut stream, desk, true, desk.is_tls_first).await.map(drop)
}

/// What one connection has said of the mail to come.
#[derive(Debug, Default)]
struct Envelope {
    from: Option<String>,
    to: Vec<String>,
    user: Option<String>,
}

/// Whether it ends with a word to go on under TLS.
async fn talk<S>(stream: &mut S, desk: &Desk, encrypted: bool, greets: bool) -> io::Result<bool>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = BufStream::new(stream);
    if greets {
        reply(&mut stream, "220 relay.test ready").await?;
    }
    let mut envelope = Envelope::default();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(false);
        }
        let line = line.trim_end();
        let upper = line.to_ascii_uppercase();
        let must_hide = desk.acceptor.is_some() && !encrypted;
        let answer = match upper.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => hello(desk, encrypted),
            "STARTTLS" if must_hide => {
                reply(&mut stream, "220 go on").await?;
                return Ok(true);
            }
            "QUIT" => {
                reply(&mut stream, "221 bye").await?;
                return Ok(false);
            }
            "NOOP" => "250 ok".to_owned(),
            _ if must_hide => "530 5.7.0 must issue a STARTTLS command first".to_owned(),
            "AUTH" => login(desk, line, &mut envelope),
            _ if desk.credentials.is_some() && envelope.user.is_none() => {
                "530 5.7.0 authentication required".to_owned()
            }
            "MAIL" => {
                envelope = Envelope { from: Some(address(line)), to: Vec::new(), ..envelope };
                "250 ok".to_owned()
            }
            "RCPT" if envelope.from.is_some() => {
                envelope.to.push(address(line));
                "250 ok".to_owned()
            }
            "DATA" if !envelope.to.is_empty() => {
                reply(&mut stream, "354 go on").await?;
                let data = data(&mut stream).await?;
                take(desk, &mut envelope, data, encrypted)
            }
            _ => "503 5.5.1 not now".to_owned(),
        };
        reply(&mut stream, &answer).await?;
    }
}

fn hello(desk: &Desk, encrypted: bool) -> String {
    let mut lines = vec!["relay.test"];
    if desk.acceptor.is_some() && !encrypted {
        lines.push("STARTTLS");
    }
    if desk.credentials.is_some() {
        lines.push("AUTH PLAIN");
    }
    lines.push("8BITMIME");
    let last = lines.len() - 1;
    let line = |(at, line): (usize, &&str)| format!("250{}{line}", if at == last { ' ' } else { '-' });
    lines.iter().enumerate().map(line).collect::<Vec<_>>().join("\r\n")
}

fn login(desk: &Desk, line: &str, envelope: &mut Envelope) -> String {
    let said = line.strip_prefix("AUTH PLAIN ").and_then(|said| BASE64_STANDARD.decode(said).ok()).unwrap_or_default();
    let said = String::from_utf8(said).unwrap_or_default();
    let mut parts = said.split('\0').skip(1);
    let (user, password) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if desk.credentials.as_ref().is_some_and(|known| (&*known.0, &*known.1) == (user, password)) {
        envelope.user = Some(user.to_owned());
        return "235 2.7.0 welcome".to_owned();
    }
    format!("535 5.7.8 bad password {password}")
}

fn take(desk: &Desk, envelope: &mut Envelope, data: String, encrypted: bool) -> String {
    let (from, to) = (envelope.from.take().unwrap_or_default(), std::mem::take(&mut envelope.to));
    if let Some(refusal) = desk.refusals.lock().pop_front() {
        return refusal;
    }
    desk.mails.send_modify(|mails| mails.push(Mail { from, to, data, encrypted, user: envelope.user.clone() }));
    "250 2.0.0 taken".to_owned()
}

/// `MAIL FROM:<ada@example.com> BODY=8BITMIME`: what is between the brackets.
fn address(line: &str) -> String {
    line.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}

async fn data<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufStream<S>) -> io::Result<String> {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            return Ok(data);
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

async fn reply<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufStream<S>, line: &str) -> io::Result<()> {
    stream.write_all(line.as_bytes()).await?;
    stream.write_all(b"\r\n").await?;
    stream.flush().await
}
