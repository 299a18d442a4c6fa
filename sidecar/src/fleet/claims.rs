//! Calls under idempotency keys that may come to several sidecars: the first to claim one makes it, and the others wait
//! for its answer.
//!
//! A claim is on lease, and renewed while the call goes on. Where the store does not answer, calls are made without
//! its word: two sidecars may then both make one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use fusebox_rules::fleet::Stamp;
use fusebox_store::{
    body::Body,
    claims::{Claim, Claimed as Told},
};

use super::{Common, Patience, Veiled, desk::Job};
use crate::telemetry::ClaimResult;

/// How long a claim holds unless it is renewed: what others wait when the sidecar that made the call has died.
const LEASE: Duration = Duration::from_secs(10);
/// Between two renewals.
const RENEW: Duration = Duration::from_secs(3);

/// Whose a call is.
#[derive(Debug)]
pub enum Claimed {
    /// This sidecar's.
    Mine(Box<Held>),
    /// Another's, and under way; this is what is asked there, as its asker wrote it.
    Elsewhere(String),
    /// It was answered: this was kept, so long ago as its keeper says.
    Answered(Vec<u8>, Stamp),
    /// The store did not answer, or with what cannot be used.
    Unanswered,
}

/// A claim that is held. Dropped without an answer, it is given back.
#[derive(Debug)]
pub struct Held {
    common: Arc<Common>,
    name: Veiled,
    holder: String,
    is_done: AtomicBool,
}

impl Common {
    /// Claims the call that `name` stands for and that asks for what `asked` stands for.
    pub async fn claim(self: &Arc<Self>, name: &Veiled, asked: &str, patience: &mut Patience) -> Claimed {
        let holder = format!("{}/{:016x}/{asked}", self.fleet.id, fastrand::u64(..));
        let claim = Claim { digest: name.digest(), holder: &holder, lasts: LEASE };
        match patience.ask(&self.fleet, &claim).await {
            None => {
                // It may have been claimed all the same, and nobody would wait for what is not renewed.
                self.desk.take(Job::Release(name.digest(), holder));
                Claimed::Unanswered
            }
            Some((_, Told::Mine)) => Claimed::Mine(Box::new(Held {
                common: Arc::clone(self),
                name: name.clone(),
                holder,
                is_done: AtomicBool::new(false),
            })),
            Some((_, Told::InFlight { holder, .. })) => {
                Claimed::Elsewhere(holder.rsplit('/').next().unwrap_or_default().to_owned())
            }
            Some((now, Told::Done { body })) => match name.open(body.into_bytes()) {
                Some(bytes) => Claimed::Answered(bytes, now),
                None => Claimed::Unanswered,
            },
        }
    }
}

impl Held {
    /// Renews the claim, again and again. Does not end.
    pub async fn renew(&self) {
        loop {
            tokio::time::sleep(RENEW).await;
            let claim = Claim { digest: self.name.digest(), holder: &self.holder, lasts: LEASE };
            // If it is lost, the first answer that is finished is the one that all get: there is nothing to do.
            let _ = self.common.fleet.ask(&claim).await;
        }
    }

    /// Tells the answer, to be kept for so long.
    pub fn finish(&self, answer: &[u8], lasts: Duration) {
        let body = Body::try_new(self.name.seal(answer));
        let taken = body.is_ok_and(|body| self.common.desk.take(Job::Finish(self.name.digest(), body, lasts)));
        self.is_done.store(taken, Relaxed);
        if !taken {
            self.common.fleet.telemetry.claimed(ClaimResult::Unkept);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !*self.is_done.get_mut() {
            self.common.desk.take(Job::Release(self.name.digest(), std::mem::take(&mut self.holder)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Secret,
        digest::Sink as _,
        fleet::{Veil, fixture},
    };

    fn commons() -> Vec<Arc<Common>> {
        fixture::sidecars(2).iter().map(Common::open).collect()
    }

    fn name() -> Veiled {
        let mut name = Veil::new(&Secret::new("secret")).name("claim");
        name.bytes(b"order-1");
        name.finish()
    }

    async fn claim(common: &Arc<Common>) -> Claimed {
        common.claim(&name(), "asked", &mut Patience::of_a_call()).await
    }

    #[tokio::test(start_paused = true)]
    async fn one_makes_the_call_and_the_others_get_its_answer() {
        let all = commons();
        let Claimed::Mine(held) = claim(&all[0]).await else { panic!("nobody else had it") };
        for common in &all {
            assert!(matches!(claim(common).await, Claimed::Elsewhere(asked) if asked == "asked"));
        }
        held.finish(b"an answer", Duration::from_secs(60));
        drop(held);
        all[0].end().await;
        for common in &all {
            assert!(matches!(claim(common).await, Claimed::Answered(bytes, _) if bytes == b"an answer"));
        }
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert!(matches!(claim(&all[1]).await, Claimed::Mine(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_holds_while_it_is_renewed_and_is_given_back_or_ends() {
        let all = commons();
        let Claimed::Mine(held) = claim(&all[0]).await else { panic!("nobody else had it") };
        let _ = tokio::time::timeout(Duration::from_secs(60), held.renew()).await;
        assert!(matches!(claim(&all[1]).await, Claimed::Elsewhere(_)));
        tokio::time::sleep(LEASE).await;
        let Claimed::Mine(late) = claim(&all[1]).await else { panic!("whoever had it has died") };
        // What is no longer its own is not given back.
        drop(held);
        all[0].end().await;
        assert!(matches!(claim(&all[0]).await, Claimed::Elsewhere(_)));
        drop(late);
        all[1].end().await;
        assert!(matches!(claim(&all[0]).await, Claimed::Mine(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_too_large_leaves_the_call_to_the_next() {
        let all = commons();
        let Claimed::Mine(held) = claim(&all[0]).await else { panic!("nobody else had it") };
        held.finish(&vec![0; fusebox_store::body::MOST_BYTES], Duration::from_secs(60));
        drop(held);
        all[0].end().await;
        assert!(matches!(claim(&all[1]).await, Claimed::Mine(_)));
    }
}
