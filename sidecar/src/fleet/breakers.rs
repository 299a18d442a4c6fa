//! Shared breakers, synchronised: reports go out, records come back, and what they say is judged by the rules.

use std::{sync::Arc, time::Duration};

use fusebox_rules::{
    breaker::PROBE_LEASE,
    fleet::{Record, Report, Round, Ticket, Turn, Turns, View, force, judge, pace},
    moment::Moment,
};
use fusebox_store::{
    StoreError,
    breaker::{self, Commit, Condition, Cool, Lease, Probed, Seen},
};
use futures_util::future::join_all;

use super::{Fleet, Member, jittered, until};
use crate::clock;

/// Beyond the time a probe may take, so that its lease outlives it on its way.
const ON_THE_WAY: Duration = Duration::from_secs(1);
/// Of two ends of a cool-down that lie no further apart, neither is the later.
const SAME: Duration = Duration::from_millis(50);

/// One member, and whose turn it is to speak with the store about it.
struct Watched {
    member: Member,
    turns: Turns,
}

impl Fleet {
    /// Synchronises, again and again. Does not end.
    pub(super) async fn synchronise(self: Arc<Self>, members: Vec<Member>) {
        if members.is_empty() {
            return std::future::pending().await;
        }
        let mut watched: Vec<_> =
            members.into_iter().map(|member| Watched { member, turns: Turns::default() }).collect();
        loop {
            let began = clock::now();
            join_all(watched.iter_mut().map(|one| self.one(one))).await;
            self.telemetry.fleet_synchronised(clock::now().since(began));
            let live = self.live();
            let (idle, busy) = (jittered(pace::IDLE), jittered(pace::busy(live)));
            self.wait(&mut watched, &Round { began, live, idle, busy }).await;
            // What only a few have to say does not wait for its turn.
            if !watched.iter().any(Watched::is_one_of_few) {
                until(began + busy).await;
            }
        }
    }

    /// Waits until something is rung or due.
    async fn wait(&self, watched: &mut [Watched], round: &Round) {
        loop {
            let now = clock::now();
            let mut next = Turn::Speak(round.began + round.idle);
            for turn in watched.iter_mut().filter_map(|one| one.next(round, now)) {
                next = next.sooner(turn);
            }
            let (due, draws) = match next {
                Turn::Lease => return,
                Turn::Speak(due) => (due, false),
                Turn::Draw(due) => (due, true),
            };
            tokio::select! {
                () = self.bells.news.notified() => return,
                // What is due next may have changed.
                () = self.moved.notified() => {}
                () = until(due) => if !draws { return },
            }
        }
    }

    /// One provider. What does not come through is told again the next time: nothing is lost by it, and the trouble has
    /// been told of.
    async fn one(&self, watched: &mut Watched) {
        let _ = self.exchange(watched).await;
    }

    async fn exchange(&self, Watched { member, turns }: &mut Watched) -> Result<(), StoreError> {
        let gate = &member.gate;
        self.tell_of_probes(member).await?;
        let Some(report) = gate.report(&self.clock()) else { return Ok(()) };
        let seen = self.report(member, report).await?;
        self.share_cool_down(member, &seen).await?;
        let asks = |view: &mut View| turns.asks(view, clock::now()).then(|| view.record().epoch);
        if let Some(epoch) = gate.with_view(asks).flatten() {
            self.lease(member, epoch).await?;
        }
        Ok(())
    }

    /// Reports, holds to the record that comes back, and moves it if that is due.
    async fn report(&self, member: &Member, report: Report) -> Result<Seen, StoreError> {
        let provider = &*member.settings.name;
        let settings = &member.settings.breaker;
        let asked = breaker::Report { provider, sidecar: &self.id, report, window: settings.window };
        let (now, seen) = self.ask(&asked).await?;
        let known = member.gate.with_view(|view| {
            view.heard(self.live(), clock::now());
            view.record().clone()
        });
        if let Some(known) = known.filter(|known| known.epoch > seen.record.epoch) {
            // It has lost what is remembered here, and no reports of this epoch are with it yet.
            self.commit(member, known, Condition::IsNewer).await?;
            return Ok(seen);
        }
        self.hold_to(member, &seen.record);
        member.gate.with_view(|view| view.hear_of_good(seen.record.epoch, seen.evidence.good_at, &self.clock()));
        let live = self.live();
        let forced = force(&seen.record, self.orders.mode(provider, now), settings, now);
        let judged = || judge(&seen.record, &seen.evidence, settings, live, now).filter(|_| live > 0);
        if let Some(next) = forced.or_else(judged) {
            self.commit(member, next, Condition::Replaces(seen.record.epoch)).await?;
        }
        Ok(seen)
    }

    async fn commit(&self, member: &Member, record: Record, condition: Condition) -> Result<(), StoreError> {
        let (_, committed) = self.ask(&Commit { provider: &member.settings.name, record, condition }).await?;
        self.hold_to(member, &committed.record);
        Ok(())
    }

    fn hold_to(&self, member: &Member, record: &Record) {
        member.gate.follow(record, &self.clock());
    }

    async fn tell_of_probes(&self, member: &Member) -> Result<(), StoreError> {
        let mut over = member.gate.with_view(View::take_results).unwrap_or_default();
        while let Some((ticket, good)) = over.pop() {
            let (epoch, token) = (ticket.epoch, ticket.token);
            let told = self.ask(&Probed { provider: &member.settings.name, epoch, token, good }).await;
            if let Err(error) = told {
                over.push((ticket, good));
                member.gate.with_view(|view| view.untold(over));
                return Err(error);
            }
        }
        Ok(())
    }

    async fn lease(&self, member: &Member, epoch: u64) -> Result<(), StoreError> {
        let settings = &member.settings;
        // A probe of the sidecar's own takes no longer; a caller's call that does is not heard.
        let lasts = settings.timeouts.total.min(PROBE_LEASE) + ON_THE_WAY;
        let most = settings.breaker.half_open_max_calls.max(1);
        let (token, sent) = (fastrand::u64(1..=u64::MAX >> 11), clock::now());
        let (_, leased) = self.ask(&Lease { provider: &settings.name, epoch, token, most, lasts }).await?;
        if leased.granted {
            member.gate.lay_in(Ticket { token, epoch, expires: sent + lasts });
        }
        Ok(())
    }

    /// Of two ends of a cool-down the later wins, here and for all.
    async fn share_cool_down(&self, member: &Member, seen: &Seen) -> Result<(), StoreError> {
        let clock = self.clock();
        let (here, there) = (member.gate.cools_until(), clock.moment(seen.cool_until));
        if there > here + SAME && seen.cool_until.as_millis() > 0 {
            member.gate.cool_until(there);
        } else if here > there + SAME && here > clock::now() {
            self.ask(&Cool { provider: &member.settings.name, until: clock.stamp(here) }).await?;
        }
        Ok(())
    }
}

impl Watched {
    /// What is next for it; `None`: it is not shared.
    fn next(&mut self, round: &Round, now: Moment) -> Option<Turn> {
        self.member.gate.with_view(|view| self.turns.next(view, round, now, fastrand::f64()))
    }

    fn is_one_of_few(&self) -> bool {
        self.turns.is_drawn() || self.member.gate.with_view(|view| view.has_results()).unwrap_or_default()
    }
}
