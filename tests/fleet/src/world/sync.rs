//! Each sidecar's loops with the store: reports, records, probes on lease, heartbeats, hints.

use std::{rc::Rc, time::Duration};

use fusebox_rules::{
    breaker::State,
    fleet::{
        Record, Stamp, Ticket, Turn,
        invariants::{invariant_epochs_grow, invariant_one_state_per_epoch},
        judge, pace,
    },
    moment::Moment,
};
use fusebox_store::breaker::{Condition, Seen};

use super::{Event, Request, Step, World};
use crate::{
    redis::{Answer, Question},
    sidecar::{LEASE, LIMIT, Phase},
};

/// How long it takes until another server has taken over.
const FAIL_OVER: Duration = Duration::from_secs(5);
/// How long the last hints are under way as the old one dies.
const LAST_WORDS: Duration = Duration::from_millis(20);
/// The longest that a sidecar waits until it tries to connect again.
const BACKOFF: Duration = Duration::from_secs(2);

impl World {
    pub(super) fn wake(&mut self, side: usize, turn: u32) {
        if self.sides[side].turn != turn {
            return;
        }
        match self.sides[side].phase {
            Phase::Looking { draws: true } => self.look(side),
            Phase::Looking { draws: false } => self.rest(side),
            Phase::Resting => self.begin_round(side),
            Phase::Telling(..) | Phase::Reporting | Phase::Committing | Phase::Leasing { .. } => {}
        }
    }

    /// Something should be told, or looked at, at once.
    pub(super) fn ring(&mut self, side: usize) {
        match self.sides[side].phase {
            Phase::Looking { .. } => self.rest(side),
            _ => self.sides[side].rung = true,
        }
    }

    fn rest(&mut self, side: usize) {
        let own = &mut self.sides[side];
        own.phase = Phase::Resting;
        own.turn += 1;
        // What only a few have to say does not wait for its turn.
        let few = own.turns.is_drawn() || own.gate.has_results();
        let at = if few { self.now } else { (own.round.began + own.round.busy).max(self.now) };
        self.agenda.put(at, Event::Wake(side, own.turn));
    }

    fn begin_round(&mut self, side: usize) {
        let own = &mut self.sides[side];
        own.round.began = self.now;
        own.over = own.gate.take_results();
        self.tell_next(side);
    }

    fn end_round(&mut self, side: usize) {
        let own = &mut self.sides[side];
        own.draw_waits(&mut self.dice);
        if std::mem::take(&mut own.rung) {
            return self.rest(side);
        }
        self.look(side);
    }

    /// What is due next, if nothing is rung?
    fn look(&mut self, side: usize) {
        let (now, dice) = (self.now, self.dice.share());
        let own = &mut self.sides[side];
        let Some(view) = own.gate.view() else { return };
        let (draws, due) = match own.turns.next(view, &own.round, now, dice) {
            Turn::Lease => return self.rest(side),
            Turn::Speak(due) => (false, due),
            Turn::Draw(due) => (true, due),
        };
        own.phase = Phase::Looking { draws };
        own.turn += 1;
        self.agenda.put(due.max(now), Event::Wake(side, own.turn));
    }

    fn tell_next(&mut self, side: usize) {
        let own = &mut self.sides[side];
        match own.over.pop() {
            Some((ticket, good)) => {
                own.phase = Phase::Telling(ticket.clone(), good);
                self.send(side, Question::Probed(ticket, good));
            }
            None => self.report(side),
        }
    }

    fn report(&mut self, side: usize) {
        let own = &mut self.sides[side];
        let Some(view) = own.gate.view() else { return };
        let report = view.report(&own.clock, self.now);
        own.phase = Phase::Reporting;
        self.send(side, Question::Report(report));
    }

    pub(super) fn send(&mut self, side: usize, question: Question) {
        let way = self.dice.way();
        self.put(way, Event::Arrive(Box::new(Request { side, sent: self.now, question })));
    }

    pub(super) fn arrive(&mut self, request: &Request) {
        let Request { side, sent, question } = request;
        let beat = matches!(question, Question::Beat);
        let done = self.redis.take(&self.sides[*side].name, question, self.sides.len(), self.now);
        let back = done.as_ref().map(|done| done.at + self.dice.way());
        let in_time = back.filter(|back| back.since(*sent) <= LIMIT);
        match (done, in_time) {
            (Some(done), back) => {
                match back {
                    Some(back) => {
                        let answered = (*side, *sent, done.stamp, done.answer);
                        self.agenda.put(back, Event::Answered(Box::new(answered)));
                    }
                    None => self.agenda.put(*sent + LIMIT, Event::Lost(*side, beat)),
                }
                if let Some(record) = done.news {
                    self.publish(record, done.at);
                }
            }
            (None, _) => self.agenda.put(*sent + LIMIT, Event::Lost(*side, beat)),
        }
    }

    fn publish(&mut self, record: Record, at: Moment) {
        let opens = record.state == State::Open;
        let record = Rc::new(record);
        for side in 0..self.sides.len() {
            let passed_on = Duration::from_micros(side as u64);
            let way = self.dice.way();
            self.agenda.put(at + passed_on + way, Event::Hint(side, Rc::clone(&record)));
        }
        if opens && self.plan.loses_first_opening && !self.lost_opening {
            self.lost_opening = true;
            self.agenda.put(at + LAST_WORDS, Event::Step(Step::StoreGoes));
            self.agenda.put(at + FAIL_OVER, Event::Step(Step::StoreFailsOver));
        }
    }

    pub(super) fn store_comes(&mut self) {
        self.redis.come_back(self.now);
        for side in 0..self.sides.len() {
            let after = BACKOFF.mul_f64(self.dice.share());
            self.put(after, Event::Look(side));
        }
    }

    pub(super) fn hint(&mut self, side: usize, record: &Record) {
        if self.sides[side].clock.is_set() {
            self.follow(side, record);
        }
        // What is due next may have changed.
        if matches!(self.sides[side].phase, Phase::Looking { .. }) {
            self.look(side);
        }
    }

    fn follow(&mut self, side: usize, record: &Record) {
        let (now, dice) = (self.now, self.dice.share());
        let own = &mut self.sides[side];
        let Some(before) = own.record().cloned() else { return };
        own.gate.follow(record, &own.clock, now, dice);
        let Some(after) = own.record() else { return };
        let grows = invariant_epochs_grow(&before, after);
        let same = invariant_one_state_per_epoch(&before, record);
        self.watch.check(grows, "a sidecar went back to an older record");
        self.watch.check(same, "a sidecar heard of two records of one epoch");
        self.note(side);
        self.prober_hears(side);
    }

    pub(super) fn lost(&mut self, side: usize, beat: bool) {
        self.watch.unanswered += 1;
        if beat {
            return self.beat_again(side);
        }
        let own = &mut self.sides[side];
        if let Phase::Telling(ticket, good) = own.phase.clone() {
            own.over.push((ticket, good));
            let over = std::mem::take(&mut own.over);
            if let Some(view) = &mut own.gate.judges.fleet {
                view.untold(over);
            }
        }
        self.end_round(side);
    }

    fn beat_again(&mut self, side: usize) {
        let next = self.dice.jittered(pace::beats(self.sides[side].live));
        self.put(next, Event::Beat(side));
    }

    pub(super) fn answered(&mut self, side: usize, sent: Moment, stamp: Stamp, answer: Answer) {
        self.sides[side].clock.hear(sent, self.now, stamp);
        match answer {
            Answer::Beaten(beaten) => {
                let now = self.now;
                let own = &mut self.sides[side];
                own.live = beaten.live;
                if let Some(view) = &mut own.gate.judges.fleet {
                    view.heard(own.live, now);
                }
                self.beat_again(side);
            }
            Answer::Noted => self.tell_next(side),
            Answer::Seen(seen) => self.seen(side, stamp, &seen),
            Answer::Committed(committed) => {
                self.follow(side, &committed.record);
                self.lease(side);
            }
            Answer::Leased(leased) => {
                if let (true, Phase::Leasing { epoch, token, sent }) = (leased.granted, self.sides[side].phase.clone())
                {
                    self.lay_in(side, Ticket { token, epoch, expires: sent + LEASE });
                }
                self.end_round(side);
            }
        }
    }

    fn seen(&mut self, side: usize, stamp: Stamp, seen: &Seen) {
        let now = self.now;
        let own = &mut self.sides[side];
        let Some(view) = &mut own.gate.judges.fleet else { return };
        view.heard(own.live, now);
        let known = view.record().clone();
        if known.epoch > seen.record.epoch {
            own.phase = Phase::Committing;
            return self.send(side, Question::Commit(known, Condition::IsNewer));
        }
        self.follow(side, &seen.record);
        let own = &mut self.sides[side];
        if let Some(view) = &mut own.gate.judges.fleet {
            view.hear_of_good(seen.record.epoch, seen.evidence.good_at, &own.clock);
        }
        let next = (own.live > 0).then(|| judge(&seen.record, &seen.evidence, &self.plan.settings, own.live, stamp));
        match next.flatten() {
            Some(next) => {
                own.phase = Phase::Committing;
                self.send(side, Question::Commit(next, Condition::Replaces(seen.record.epoch)));
            }
            None => self.lease(side),
        }
    }

    fn lease(&mut self, side: usize) {
        let (now, token) = (self.now, self.dice.token());
        let own = &mut self.sides[side];
        let Some(view) = own.gate.judges.fleet.as_ref().filter(|view| own.turns.asks(view, now)) else {
            return self.end_round(side);
        };
        let epoch = view.record().epoch;
        own.phase = Phase::Leasing { epoch, token, sent: now };
        self.send(side, Question::Lease { epoch, token, lasts: LEASE });
    }

    fn lay_in(&mut self, side: usize, ticket: Ticket) {
        let own = &mut self.sides[side];
        if let Some(view) = &mut own.gate.judges.fleet {
            view.lay_in(ticket, self.now);
        }
        own.gate.moves += 1;
        self.prober_hears(side);
    }
}
