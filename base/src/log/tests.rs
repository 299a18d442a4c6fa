use std::sync::{
    Arc,
    mpsc::{Receiver, Sender, channel},
};

use parking_lot::{Mutex, MutexGuard};
use tracing::subscriber::with_default;

use super::*;

const LONG_ENOUGH: Duration = Duration::from_secs(10);

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn text(&self) -> String {
        let bytes: MutexGuard<'_, Vec<u8>> = self.0.lock();
        String::from_utf8(bytes.clone()).unwrap()
    }
}

/// A stderr that nobody reads until it is told to.
struct Stalled {
    page: Page,
    entered: Sender<()>,
    go_on: Receiver<()>,
}

impl io::Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.entered.send(());
        let _ = self.go_on.recv();
        self.page.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn settings(log: &str, log_format: LogFormat) -> Telemetry {
    Telemetry { otlp_endpoint: None, log: log.into(), log_format }
}

#[test]
fn a_line_of_json_is_one_object_with_its_fields() {
    let page = Page::default();
    let (log, subscriber) = Log::try_new(&settings("info", LogFormat::Json), page.clone(), false).unwrap();
    with_default(
        subscriber,
        || tracing::warn!(target: "fusebox::call", correlation_id = "c\"1", took_ms = 1.5, "call failed"),
    );
    log.flush(LONG_ENOUGH);
    let line: serde_json::Value = serde_json::from_str(page.text().trim()).unwrap();
    assert_eq!((&line["level"], &line["target"]), (&"WARN".into(), &"fusebox::call".into()));
    assert_eq!((&line["correlation_id"], &line["took_ms"]), (&"c\"1".into(), &1.5.into()));
    assert_eq!(line["message"], "call failed");
}

#[test]
fn the_filter_changes_while_the_process_runs_and_a_wrong_one_changes_nothing() {
    let page = Page::default();
    let (log, subscriber) = Log::try_new(&settings("warn", LogFormat::Text), page.clone(), false).unwrap();
    with_default(subscriber, || {
        tracing::info!("one");
        log.set_filter("info,fusebox::call=debug").unwrap();
        tracing::info!("two");
        tracing::debug!(target: "fusebox::call", "three");
        assert!(matches!(log.set_filter("fusebox=loud"), Err(LogError::Filter(_))));
        tracing::debug!("four");
        tracing::info!("five");
    });
    log.flush(LONG_ENOUGH);
    let text = page.text();
    let seen: Vec<&str> =
        ["one", "two", "three", "four", "five"].into_iter().filter(|word| text.contains(word)).collect();
    assert_eq!(seen, ["two", "three", "five"], "{text}");
}

#[test]
fn a_stderr_that_nobody_reads_stops_nobody_and_the_loss_is_told() {
    let page = Page::default();
    let ((entered, has_entered), (go_on, may_go_on)) = (channel(), channel());
    let out = Stalled { page: page.clone(), entered, go_on: may_go_on };
    let (log, subscriber) = Log::try_new(&settings("info", LogFormat::Text), out, false).unwrap();
    let long = "x".repeat(1_000);
    with_default(subscriber, || {
        tracing::info!("first");
        has_entered.recv_timeout(LONG_ENOUGH).unwrap();
        for _ in 0..10_000 {
            tracing::info!("{long}");
        }
    });
    drop(go_on);
    // The queue may still be full, in which case flushing waits for nothing: the loss is what ends the page.
    while !page.text().contains("log lines were lost") {
        log.flush(LONG_ENOUGH);
        std::thread::yield_now();
    }
    let text = page.text();
    let written = text.lines().filter(|line| line.contains(&long)).count();
    let lost: usize = text.rsplit_once("lines=").unwrap().1.trim().parse().unwrap();
    assert_eq!(written + lost, 10_000);
    assert!(written >= 1_000, "{written} lines were kept");
    let most = writer::MAX_BYTES / long.len();
    assert!(written <= most, "{written} lines were kept, more than may wait");
}
