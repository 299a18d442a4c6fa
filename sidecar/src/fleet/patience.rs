//! What a call may wait for the store: little, and once.

use std::time::Duration;

use fusebox_rules::fleet::Stamp;
use fusebox_store::Operation;

use super::Fleet;
use crate::clock;

/// How long one call waits for the store in all, over everything that it asks there.
const MOST: Duration = Duration::from_millis(50);

/// What is left of a call's patience with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience(Duration);

impl Patience {
    /// That of a call which has asked nothing yet: 50 ms.
    #[must_use]
    pub const fn of_a_call() -> Self {
        Self(MOST)
    }

    /// Asks the store on a call's way; `None`: it did not answer in time, or not at all, and the call goes on without.
    ///
    /// The store itself gets its usual time: that an answer was not waited for says nothing of the connection.
    pub(super) async fn ask<O: Operation>(&mut self, fleet: &Fleet, operation: &O) -> Option<(Stamp, O::Reply)> {
        if self.0.is_zero() {
            return None;
        }
        let began = clock::now();
        let answer = tokio::time::timeout(self.0, fleet.ask(operation)).await;
        self.0 = self.0.saturating_sub(clock::now().since(began));
        answer.ok()?.ok()
    }
}
