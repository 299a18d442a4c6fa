//! What the scripted provider remembers: its script, and every call it saw.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, Method};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

use super::{
    act::{document, tokens},
    asked::Asked,
    script::Script,
    steps::{Step, plan},
};

/// A call, as the provider saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When it had arrived in full.
    pub at: Instant,
    /// As sent.
    pub method: Method,
    /// With its query.
    pub path: String,
    /// As sent.
    pub headers: HeaderMap,
    /// As sent.
    pub raw: Bytes,
    /// The body, if it is JSON.
    pub body: Value,
    /// What of the response's body was written, without its framing.
    pub sent: Vec<u8>,
    /// When the response was complete, or ended as the script says.
    pub finished: Option<Instant>,
    /// When the client hung up before that.
    pub gone: Option<Instant>,
}

impl Seen {
    /// A header's value, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A request before it is answered.
pub(super) struct Incoming {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) raw: Bytes,
}

/// The script and the memory of one provider.
#[derive(Debug)]
pub(super) struct Stage {
    script: Mutex<Script>,
    seen: Mutex<Vec<Seen>>,
    news: watch::Sender<()>,
    page: Mutex<Option<(u16, String)>>,
    page_reads: AtomicUsize,
}

/// A call being answered; `None` for what is not counted.
pub(super) type Call = Option<usize>;

impl Stage {
    pub(super) fn new(script: Script) -> Self {
        Self {
            script: Mutex::new(script),
            seen: Mutex::default(),
            news: watch::Sender::new(()),
            page: Mutex::default(),
            page_reads: AtomicUsize::new(0),
        }
    }

    pub(super) fn play(&self, script: Script) {
        *self.script.lock() = script;
    }

    pub(super) fn show(&self, status: u16, page: String) {
        *self.page.lock() = Some((status, page));
    }

    pub(super) fn page_reads(&self) -> usize {
        self.page_reads.load(Relaxed)
    }

    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    pub(super) fn calls(&self) -> usize {
        self.seen.lock().len()
    }

    /// Remembers a request and says what to do with it.
    pub(super) fn enter(&self, incoming: Incoming) -> (Call, Vec<Step>) {
        let body: Value = serde_json::from_slice(&incoming.raw).unwrap_or(Value::Null);
        if incoming.method == Method::GET && incoming.path == "/metrics" {
            self.page_reads.fetch_add(1, Relaxed);
            let (status, text) = self.page.lock().clone().unwrap_or((404, "Not Found".to_owned()));
            return (
                None,
                plan(&document(status, "text/plain; version=0.0.4", text), &Asked::new(0, &incoming.path, body)),
            );
        }
        if incoming.method == Method::GET {
            return (None, plan(&tokens(0), &Asked::new(0, &incoming.path, body)));
        }
        let Incoming { method, path, headers, raw } = incoming;
        let mut seen = self.seen.lock();
        // Drawn under the same lock, so that the first call gets the first act.
        let act = self.script.lock().next();
        let seq = seen.len();
        let steps = plan(&act, &Asked::new(seq, &path, body.clone()));
        let at = Instant::now();
        seen.push(Seen { at, method, path, headers, raw, body, sent: Vec::new(), finished: None, gone: None });
        drop(seen);
        self.news.send_replace(());
        (Some(seq), steps)
    }

    pub(super) fn sent(&self, call: Call, bytes: &[u8]) {
        self.note(call, |seen| seen.sent.extend_from_slice(bytes));
    }

    pub(super) fn finished(&self, call: Call) {
        self.note(call, |seen| seen.finished = Some(Instant::now()));
    }

    pub(super) fn gone(&self, call: Call) {
        self.note(call, |seen| seen.gone = Some(Instant::now()));
    }

    fn note(&self, call: Call, change: impl FnOnce(&mut Seen)) {
        let Some(seq) = call else { return };
        change(&mut self.seen.lock()[seq]);
        self.news.send_replace(());
    }
}
