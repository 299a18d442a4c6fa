//! Waiting for what a server of another process comes to: it tells nobody, so it is asked again and again.

use std::{fmt::Debug, future::Future, time::Duration};

/// How long a server may take for what is its own: to start, to stop, to hear a setting.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// How long several servers may take to agree, on a machine that does a lot beside.
pub(super) const LONG_PATIENCE: Duration = Duration::from_secs(60);

/// Asks every few milliseconds until the answer is good, and returns what was good about it.
///
/// # Panics
/// Within `patience` it never is; the last answer is told.
pub(super) async fn until<T, W, F>(what: &str, patience: Duration, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, W>>,
    W: Debug,
{
    let mut last = None;
    let asking = async {
        let mut clock = tokio::time::interval(Duration::from_millis(10));
        loop {
            clock.tick().await;
            match ask().await {
                Ok(good) => return good,
                Err(why) => last = Some(why),
            }
        }
    };
    match tokio::time::timeout(patience, asking).await {
        Ok(good) => good,
        Err(_) => panic!("waited {patience:?} for {what}; last heard: {last:?}"),
    }
}
