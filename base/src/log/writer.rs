//! A writer that never blocks who writes: lines wait in a bounded queue, and are lost where it is full.
//!
//! A reader of stderr that stalls would otherwise stop every call that has something to say.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait.
const MAX_LINES: usize = 8_192;
/// Bytes of lines that wait.
pub(super) const MAX_BYTES: usize = 4 << 20;

/// Says, in the log's own format, how many lines were lost.
pub(super) type OnLoss = fn(u64) -> String;

/// Hands lines to a thread that writes them.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    queue: SyncSender<Message>,
    level: Arc<Level>,
}

#[derive(Debug, Default)]
struct Level {
    bytes: AtomicUsize,
    lost: AtomicU64,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

impl Writer {
    /// Writes to `out` on a thread that ends with the last clone of this.
    pub(super) fn try_new(out: impl Write + Send + 'static, on_loss: OnLoss) -> io::Result<Self> {
        let (queue, lines) = sync_channel(MAX_LINES);
        let level = Arc::new(Level::default());
        let seen = Arc::clone(&level);
        thread::Builder::new().name("log".into()).spawn(move || write_lines(&lines, out, &seen, on_loss))?;
        Ok(Self { queue, level })
    }

    /// Waits until every line so far is written, at most `within`; not at all if the queue is full.
    pub(super) fn flush(&self, within: Duration) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            // Late or gone, there is nothing more to do.
            let _ = written.recv_timeout(within);
        }
    }

    fn push(&self, line: &[u8]) {
        let waiting = self.level.bytes.fetch_add(line.len(), Relaxed);
        let fits = waiting + line.len() <= MAX_BYTES;
        if !(fits && self.queue.try_send(Message::Line(line.to_vec())).is_ok()) {
            self.level.bytes.fetch_sub(line.len(), Relaxed);
            self.level.lost.fetch_add(1, Relaxed);
        }
    }
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Write for &Writer {
    /// Takes a whole line at once: that is how tracing-subscriber hands them over.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what comes; bursts together, the last line of each at once.
fn write_lines(lines: &Receiver<Message>, out: impl Write, level: &Level, on_loss: OnLoss) {
    let mut out = io::BufWriter::new(out);
    // Where not even stderr can be written to, there is nobody left to tell.
    loop {
        let message = match lines.try_recv() {
            Ok(message) => message,
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {
                let lost = level.lost.swap(0, Relaxed);
                if lost > 0 {
                    let _ = out.write_all(on_loss(lost).as_bytes());
                }
                let _ = out.flush();
                let Ok(message) = lines.recv() else { break };
                message
            }
        };
        match message {
            Message::Line(line) => {
                level.bytes.fetch_sub(line.len(), Relaxed);
                let _ = out.write_all(&line);
            }
            Message::Flush(done) => {
                let _ = out.flush();
                let _ = done.try_send(());
            }
        }
    }
    let _ = out.flush();
}
