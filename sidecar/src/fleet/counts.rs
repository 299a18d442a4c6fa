//! What this sidecar's attempts came to, told to the fleet's counts: errors at once, calls every few seconds.

use std::{collections::HashMap, sync::Arc, time::Duration};

use fusebox_rules::fleet::Stamp;
use fusebox_store::errors::{Count, Failures};

use super::{Fleet, jittered};
use crate::telemetry::Told;

/// Between two looks for errors.
const EVERY: Duration = Duration::from_secs(1);
/// How many looks later calls are told that nothing went wrong with.
const CALMLY: u32 = 5;

/// What is to be told of one provider.
#[derive(Debug, Default)]
struct Untold {
    calls: u64,
    failures: HashMap<(&'static str, &'static str), u32>,
    /// A message that may not have come through, to be told again as it was.
    sent: Option<Message>,
}

#[derive(Debug)]
struct Message {
    at: Stamp,
    calls: u32,
    failures: Vec<((&'static str, &'static str), u32)>,
}

impl Fleet {
    /// Tells, again and again. Does not end.
    pub(super) async fn count(self: Arc<Self>) {
        let mut untold: HashMap<Arc<str>, Untold> = HashMap::new();
        let mut before = self.telemetry.attempts();
        for look in 1_u32.. {
            tokio::time::sleep(jittered(EVERY)).await;
            let now = self.telemetry.attempts();
            for (name, attempts) in &now {
                let then = before.get(name).copied().unwrap_or_default();
                untold.entry(Arc::clone(name)).or_default().calls += attempts.all.saturating_sub(then.all);
            }
            before = now;
            for Told { provider, kind, operation, count } in self.telemetry.take_failures() {
                *untold.entry(provider).or_default().failures.entry((kind, operation)).or_default() += count;
            }
            for (provider, one) in &mut untold {
                self.tell(provider, one, look.is_multiple_of(CALMLY)).await;
            }
        }
    }

    /// Nothing is told before the shared time is known.
    async fn tell(&self, provider: &str, untold: &mut Untold, calmly: bool) {
        let at = self.now();
        if at == Stamp::default() {
            return;
        }
        let due = !untold.failures.is_empty() || (calmly && untold.calls > 0);
        if untold.sent.is_none() && due {
            untold.sent = Some(Message {
                at,
                calls: u32::try_from(std::mem::take(&mut untold.calls)).unwrap_or(u32::MAX),
                failures: untold.failures.drain().collect(),
            });
        }
        let Some(message) = &untold.sent else { return };
        let failures: Vec<_> = message.failures.iter().map(told).collect();
        let count = Count { provider, sidecar: &self.id, at: message.at, calls: message.calls, failures: &failures };
        if self.ask(&count).await.is_ok() {
            untold.sent = None;
        }
    }
}

const fn told(((kind, operation), count): &((&'static str, &'static str), u32)) -> Failures<'static> {
    Failures { kind, operation, count: *count }
}
