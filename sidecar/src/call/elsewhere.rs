//! A call under an idempotency key, claimed for this sidecar among all of its fleet.

use std::{sync::Arc, time::Duration};

use fusebox_rules::moment::Moment;

use super::{
    Token, abroad::Resent, inflight, outcome::Outcome, recall::Ready, resent::Replay, told::too_late, way::Way,
};
use crate::{
    clock,
    digest::{Digest, Sink as _},
    error::Failure,
    fleet::{Claimed, Common, Held, Patience, Veil, Veiled},
    telemetry::ClaimResult,
};

/// Between two looks at a call that is under way elsewhere: at first, and in the end.
const LOOKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));
/// How long nothing may be heard of it before the call is made here.
const GIVE_UP: Duration = Duration::from_secs(1);

/// What a call is known by everywhere in the fleet.
pub(super) struct Known {
    common: Arc<Common>,
    name: Veiled,
    /// Stands for what is asked.
    asked: String,
}

/// Where a call's answer comes from.
pub(super) enum Whose {
    /// It is made here, and others wait for it.
    Mine(Box<Held>),
    /// It is made here, and nobody knows.
    Alone,
    /// It has been made, so long ago.
    Made(Box<Replay>, Duration),
    /// Not from here.
    Refused(Failure),
}

/// What a claim came to.
enum Judged {
    Known(ClaimResult, Whose),
    /// Somebody else makes the call.
    UnderWay,
}

impl Known {
    /// By which the call of `way` is known; `None`: it is nobody else's matter.
    pub(super) fn of(way: &Way) -> Option<Self> {
        let config = &way.plan().config;
        let common = way.shared.common.as_ref().filter(|_| config.idempotency.shared)?;
        let veil = Veil::new(config.fleet.secret.as_ref()?);
        let key = way.call.options.idempotency_key.as_ref()?;
        let (mut name, mut asked) = (veil.name("claim"), veil.name("asked"));
        Token::write(way.call.options.token.as_ref(), &mut name);
        name.bytes(key.as_bytes());
        asked.bytes(way.call.request.operation.name().as_bytes());
        asked.bytes(&way.call.request.body);
        Some(Self { common: Arc::clone(common), name: name.finish(), asked: asked.text() })
    }

    /// Claims the call, or waits for whoever has; no longer than until `way`'s deadline. `fingerprint` is this process's
    /// own word for what is asked.
    pub(super) async fn claim(&self, way: &mut Way, fingerprint: Digest) -> Whose {
        let mut patience = way.patience;
        let claimed = self.common.claim(&self.name, &self.asked, &mut patience).await;
        way.patience = patience;
        let known = match self.judged(claimed, fingerprint) {
            Judged::Known(result, whose) => Ok((result, whose)),
            Judged::UnderWay => self.wait_for(way, fingerprint).await,
        };
        match known {
            Ok((result, whose)) => {
                way.shared.telemetry.claimed(result);
                whose
            }
            Err(failure) => Whose::Refused(failure),
        }
    }

    async fn wait_for(&self, way: &mut Way, fingerprint: Digest) -> Result<(ClaimResult, Whose), Failure> {
        way.has_place()?;
        way.shared.telemetry.claimed(ClaimResult::Waited);
        let began = clock::now();
        let known = self.wait(way.deadline, fingerprint).await;
        way.trace.waited(clock::now().since(began));
        known
    }

    /// Looks again and again at a call that is under way elsewhere: others may answer it, or leave it to this one.
    async fn wait(&self, deadline: Moment, fingerprint: Digest) -> Result<(ClaimResult, Whose), Failure> {
        let (mut pause, mut heard) = (LOOKS.0, clock::now());
        loop {
            let left = deadline.since(clock::now());
            if left.is_zero() {
                return Err(too_late());
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(LOOKS.1);
            let claimed = self.common.claim(&self.name, &self.asked, &mut Patience::of_a_call()).await;
            let is_silent = matches!(claimed, Claimed::Unanswered);
            if is_silent && clock::now().since(heard) < GIVE_UP {
                continue;
            }
            match self.judged(claimed, fingerprint) {
                Judged::Known(result, whose) => return Ok((result, whose)),
                Judged::UnderWay => heard = clock::now(),
            }
        }
    }

    fn judged(&self, claimed: Claimed, fingerprint: Digest) -> Judged {
        let (result, whose) = match claimed {
            Claimed::Mine(held) => (ClaimResult::Mine, Whose::Mine(held)),
            Claimed::Elsewhere(asked) if asked == self.asked => return Judged::UnderWay,
            Claimed::Elsewhere(_) => (ClaimResult::InUse, Whose::Refused(inflight::in_use())),
            Claimed::Unanswered => (ClaimResult::Unanswered, Whose::Alone),
            Claimed::Answered(bytes, now) => match Replay::from_others(&bytes, &self.asked, fingerprint) {
                Some(Resent::Same(replay, made)) => (ClaimResult::Replayed, Whose::Made(replay, now.since(made))),
                Some(Resent::Other) => (ClaimResult::InUse, Whose::Refused(inflight::in_use())),
                // It was kept by another version, whose words are not known here.
                None => (ClaimResult::Unanswered, Whose::Alone),
            },
        };
        Judged::Known(result, whose)
    }

    /// Tells the answer to those who wait for it elsewhere, and to those who come later.
    pub(super) fn answered(&self, held: &Held, outcome: &Outcome, answer: &Ready, lasts: Duration) {
        held.finish(&Replay::for_others(outcome, answer, &self.asked, self.common.now()), lasts);
    }
}
