//! A second attempt beside one that is late: whoever answers first is heard, and the other is given up.
//!
//! Off unless configured. What is late is learnt at each seat from its own latest answers.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use fusebox_rules::{breaker, quantile::Recent, tokens::Size};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::{
    attempt::{self, Got},
    chain::{Asked, Next, able, takes_calls},
    estimate::tokens,
    outcome::{Attempt, WaitReason},
    plan::Seat,
    spent::{Cost, Lost},
    way::Way,
};
use crate::{
    chat::request::Request,
    clock,
    error::{ErrorKind, Failure},
    gate::Pass,
};

/// How long a seat's latest answers took: to the first token of streams, and to the end of those that came whole.
#[derive(Debug, Default)]
pub struct Times {
    streams: Mutex<Recent>,
    wholes: Mutex<Recent>,
}

/// What an attempt came to; `None`: it is given up.
type Made = Option<Result<(Got, Vec<String>), Failure>>;

impl Times {
    const fn of(&self, stream: bool) -> &Mutex<Recent> {
        if stream { &self.streams } else { &self.wholes }
    }
}

impl Way {
    /// Asks one provider once, and one of `rest` beside it if it is late.
    pub(super) async fn hedged(
        &mut self,
        seat: &Seat,
        rest: &[&Seat],
        pass: Pass,
        next: &mut Next,
    ) -> Result<Asked, Failure> {
        let others = able(rest);
        let Some(late) = self.late_after(seat).filter(|_| others > 0 && next.changes.is_none()) else {
            return self.attempt(seat, pass, next, others).await.map(Asked::Answered);
        };
        self.place.move_to(&seat.upstream.gate);
        let may_ask_twice = self.attempts_left > 1;
        let size = self.size();
        let mut asker = self.asking();
        let request = &asker.call.request;
        let mut first = asker.of(seat, pass, &next.changes, others);
        let (one, mut two): (Made, Made);
        two = None;
        let mut second = None;
        {
            let mut asking = pin!(first.make());
            match timeout(late, &mut asking).await {
                Ok(result) => one = Some(result),
                Err(_) => match may_ask_twice.then(|| beside(rest, request, size)).flatten() {
                    None => one = Some(asking.await),
                    Some((other, pass)) => {
                        asker.trace.hedged(seat.upstream.index, other.upstream.index, late);
                        let (_, beside) =
                            second.insert((other, asker.of(other, pass, &next.changes, others.saturating_sub(1))));
                        (one, two) = race(asking, beside.make()).await;
                    }
                },
            }
        }
        let (first, second) = (first.asked(), second.map(|(other, asking)| (other, asking.asked())));
        let Some((other, second)) = second else {
            return self.end_of(seat, first, next, one).map(Asked::Answered);
        };
        self.attempts_left = self.attempts_left.saturating_sub(1);
        // The one that is heard comes last, as the attempt that answered.
        if matches!(two, Some(Ok(_))) {
            let _ = self.end_of(seat, first, next, one);
            let answer = self.end_of(other, second, &mut Next::default(), two)?;
            self.place.move_to(&other.upstream.gate);
            let place = self.route.seats.iter().position(|seat| std::ptr::eq(seat, other)).unwrap_or_default();
            return Ok(Asked::AnsweredBy(place, answer));
        }
        let _ = self.end_of(other, second, &mut Next::default(), two);
        self.end_of(seat, first, next, one).map(Asked::Answered)
    }

    /// Notes how long a seat took to answer, where that is wanted.
    pub(super) fn note_time(&self, seat: &Seat, took: Duration) {
        if self.plan().config.hedging.enabled {
            seat.times.of(self.call.request.stream).lock().record(took);
        }
    }

    /// How long an attempt there may take before it is late; `None`: nobody knows, or it does not matter.
    fn late_after(&self, seat: &Seat) -> Option<Duration> {
        let hedging = &self.plan().config.hedging;
        if !hedging.enabled {
            return None;
        }
        seat.times.of(self.call.request.stream).lock().quantile(hedging.quantile, hedging.minimum_samples)
    }

    fn end_of(
        &mut self,
        seat: &Seat,
        asked: attempt::Asked,
        next: &mut Next,
        made: Made,
    ) -> Result<attempt::Answer, Failure> {
        match made {
            Some(result) => self.conclude(seat, asked, next, result),
            None => Err(self.give_up(seat, &asked)),
        }
    }

    /// Notes that an attempt is given up because another one answered. That says nothing of its provider, beyond that
    /// it took at least so long.
    fn give_up(&mut self, seat: &Seat, asked: &attempt::Asked) -> Failure {
        let took = clock::now().since(asked.started);
        self.note_time(seat, took);
        self.lost.push(Lost { provider: seat.upstream.index, cost: Cost::default(), told: false });
        self.outcome.attempts.push(Attempt {
            provider: Arc::clone(&seat.upstream.settings.name),
            started_after: asked.started.since(self.call.arrived),
            took,
            error: Some(ErrorKind::Cancelled),
            waited: Duration::ZERO,
            wait_reason: WaitReason::None,
        });
        Failure::new(ErrorKind::Cancelled, "another provider answered first")
    }
}

/// The first of `rest` that may be asked beside a late one, and leave to do so. It is paid for as a retry is.
fn beside<'a>(rest: &[&'a Seat], request: &Request, size: Size) -> Option<(&'a Seat, Pass)> {
    let other = rest.iter().find(|seat| takes_calls(seat))?;
    if !other.upstream.gate.withdraw() {
        return None;
    }
    let pass = other.upstream.gate.admit(breaker::Asker::Caller, || tokens(request, size, other)).ok()?;
    Some((*other, pass))
}

/// Waits for the first good answer of two, or for both to fail.
async fn race<T>(
    one: impl Future<Output = Result<T, Failure>>,
    two: impl Future<Output = Result<T, Failure>>,
) -> (Option<Result<T, Failure>>, Option<Result<T, Failure>>) {
    let (mut one, mut two) = (pin!(one), pin!(two));
    tokio::select! {
        biased;
        first = &mut one => match first {
            Ok(_) => (Some(first), None),
            // A refusal is an answer, and no hedge gets round it.
            Err(Failure { kind: ErrorKind::ContentFiltered, .. }) => (Some(first), None),
            Err(_) => (Some(first), Some(two.await)),
        },
        second = &mut two => match second {
            Ok(_) => (None, Some(second)),
            Err(_) => (Some(one.await), Some(second)),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    fn failed() -> Result<u8, Failure> {
        Err(Failure::new(ErrorKind::NetworkError, "down"))
    }

    #[tokio::test]
    async fn the_first_good_answer_wins_and_a_failure_waits_for_the_other() {
        assert_eq!(race(ready(Ok(1)), pending()).await, (Some(Ok(1)), None));
        assert_eq!(race(pending(), ready(Ok(2))).await, (None, Some(Ok(2))));
        assert_eq!(race(ready(failed()), ready(Ok(2))).await, (Some(failed()), Some(Ok(2))));
        let late = async {
            tokio::task::yield_now().await;
            Ok(1)
        };
        assert_eq!(race(late, ready(failed())).await, (Some(Ok(1)), Some(failed())));
        assert_eq!(race(ready(failed()), ready(failed())).await, (Some(failed()), Some(failed())));
        let refused = || Err(Failure::new(ErrorKind::ContentFiltered, "no"));
        assert_eq!(race(ready(refused()), ready(Ok(2))).await, (Some(refused()), None), "no hedge gets round it");
    }
}
