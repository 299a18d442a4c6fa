//! A sidecar's share of what a provider allows the whole fleet: leased from the store ahead of need, so that no call
//! waits for it. Of one unit, such as requests or tokens.
//!
//! **The bound.** In any span of time all sidecars together take no more than flows into the bucket in that span and
//! [`LASTS`] before it, what the bucket holds at most (or what the largest call asks for, if that is more), and once more what
//! it holds at most for calls on credit. To that comes what calls turn out to use beyond what they took: it is charged
//! to what comes after. A share that dies with its sidecar is lost: less is used, never more. Each time the store is
//! lost, or found, costs at most one more filling of the bucket; without it sidecars that know how many they are keep
//! to the limit together. How shares and the store's bucket speak to each other is decided elsewhere.

mod lots;

use std::time::Duration;

use self::lots::Lots;
use super::{
    Stamp,
    bucket::{Ask, Bucket, Drawn, MOST_UNITS, Terms},
};
use crate::moment::Moment;

/// How long what is leased may be used, from when it was asked for.
pub const LASTS: Duration = Duration::from_secs(4);
/// What was leased so long ago is leased anew ahead of its end, and then given back.
const TURNED_OVER: Duration = Duration::from_millis(1_500);
/// Leases within it end as the first of them does, so that there are few.
const TOGETHER: Duration = Duration::from_millis(500);
/// A sidecar without calls for so long leases nothing ahead.
const IDLE: Duration = Duration::from_secs(5);
/// The soonest that the store may be asked again: what a call that comes short waits at least.
pub const EXCHANGE: Duration = Duration::from_millis(100);

/// What is leased from a bucket of the store, as whoever speaks with the store sees it.
pub trait Leased {
    /// What the bucket is like, with as many sidecars as were there at the last ask.
    fn terms(&self) -> &Terms;

    /// What to ask of the store now, with `live` sidecars; `None`: nothing. What it says is told once: if it is lost on
    /// its way, less can be used. While the store does not answer, there is always something to ask.
    fn ask(&mut self, live: u32, now: Moment) -> Option<Ask>;

    /// The store answered `ask`, which was sent at `sent`, with `drawn`, at `now`.
    fn hear(&mut self, ask: &Ask, drawn: &Drawn, sent: Moment, now: Moment);

    /// The store did not answer. What is leased may be used; then it goes on by itself.
    fn lost(&mut self);

    /// The store did not even see `ask`: all that it says still is to be told.
    fn untold(&mut self, ask: &Ask);
}

/// What one sidecar holds of one unit.
#[derive(Debug, Clone)]
pub struct Share {
    terms: Terms,
    lots: Lots,
    /// Used beyond what was leased, and not yet charged.
    debt: u64,
    /// Whether a call went on credit since the store was last heard of.
    on_credit: bool,
    /// What the provider said is left, until it starts afresh.
    told: Option<(u64, Moment)>,
    usage: Usage,
    /// What the largest call needs that came short since the last ask.
    needed: u64,
    /// Of what the store answered last.
    heard: Heard,
    alone: Alone,
    live: u32,
}

/// What goes on while there is no store: an equal part of the whole, in a time that passes as many times more slowly as
/// there are sidecars, so that nothing has to be divided.
#[derive(Debug, Clone, Copy, Default)]
struct Alone {
    bucket: Bucket,
    /// The slow time, in nanoseconds, at a moment.
    passed: u64,
    at: Moment,
}

/// What a call took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "it is settled at the call's end"]
pub struct Portion {
    leased: u64,
    alone: u64,
}

/// Whether a call may take what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// It may, and has.
    Taken(Portion),
    /// There is not enough now, and nothing was taken.
    Short {
        /// How soon it is worth another try.
        retry_after: Duration,
    },
}

#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    /// Whether the store answers.
    well: bool,
    /// Whether it gave less than was wanted.
    scarce: bool,
    left: u64,
    ready: Moment,
}

/// What was asked for of late, granted or not.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    second: u64,
    this: u64,
    last: u64,
    typical: u64,
    touched: Option<Moment>,
}

impl Share {
    /// A share of what `terms` say, with nothing leased and no store heard of yet.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        Self {
            terms: terms.bounded(),
            lots: Lots::default(),
            debt: 0,
            on_credit: false,
            told: None,
            usage: Usage::default(),
            needed: 0,
            heard: Heard::default(),
            alone: Alone::default(),
            live: 1,
        }
    }

    /// Other terms, from now on. What is leased stays.
    pub fn hold_to(&mut self, terms: Terms) {
        self.terms = terms.bounded();
    }

    /// A call that needs `units` wants to begin. More than flows in a minute is taken for that; what it then uses is
    /// charged.
    pub fn take(&mut self, units: u64, now: Moment) -> Take {
        let units = units.min(self.terms.per_minute.max(self.terms.burst));
        self.usage.note(units, now);
        self.lots.forget(now);
        if self.lots.held() >= units {
            return Take::Taken(Portion { leased: self.lots.take(units), alone: 0 });
        }
        if !self.heard.well {
            return self.take_alone(units, now);
        }
        if units <= self.credit() {
            self.on_credit = true;
            self.debt = self.debt.saturating_add(units);
            return Take::Taken(Portion { leased: units, alone: 0 });
        }
        self.needed = self.needed.max(units);
        Take::Short { retry_after: self.heard.ready.since(now).max(EXCHANGE) }
    }

    /// A call that took `portion` has used `used` units in truth.
    pub fn settle(&mut self, portion: Portion, used: u64, now: Moment) {
        let (Portion { leased, alone }, used) = (portion, used.min(MOST_UNITS));
        if alone > 0 {
            let (put, charge) = (alone.saturating_sub(used), used.saturating_sub(alone));
            self.draw_alone(&Ask { put, charge, ..Ask::default() }, now);
            return;
        }
        self.lots.forget(now);
        let more = used.saturating_sub(leased);
        self.debt = self.debt.saturating_add(more - self.lots.take(more));
        // What was used on credit is not owed if it was not used.
        let less = leased.saturating_sub(used);
        let owed = less.min(self.debt);
        self.debt -= owed;
        self.lots.bring_back(less - owed);
    }

    /// The provider says that `remaining` units are left of its own limit, which starts afresh after `resets_in`.
    pub fn correct(&mut self, remaining: u64, resets_in: Duration, now: Moment) {
        if resets_in.is_zero() {
            return;
        }
        if !self.heard.well {
            let remaining = Some(remaining / u64::from(self.live));
            self.draw_alone(&Ask { remaining, ..Ask::default() }, now);
        }
        let known = self.told.filter(|(_, until)| *until > now).map_or(u64::MAX, |(units, _)| units);
        // More than the bucket was last seen to hold tells it nothing.
        if remaining < known.min(self.heard.left.max(1)) {
            self.told = Some((remaining, now + resets_in));
            self.heard.left = self.heard.left.min(remaining);
        }
    }

    /// Units that are leased now.
    #[must_use]
    pub fn left(&self, now: Moment) -> u64 {
        self.lots.held_at(now)
    }

    /// Units that a call could take now: leased, or on credit; or, while the store does not answer, of its own part.
    #[must_use]
    pub fn at_hand(&self, now: Moment) -> u64 {
        let more = if self.heard.well {
            self.credit()
        } else {
            let mut alone = self.alone;
            alone.pass(self.live, now);
            alone.draw(self.live, &self.terms, &Ask::default()).left
        };
        self.left(now).max(more)
    }

    /// What a call may take before the store has been asked. If each sidecar's did so, the bucket would still pay for it.
    fn credit(&self) -> u64 {
        if self.on_credit { 0 } else { self.heard.left / u64::from(self.live) }
    }

    /// What it should hold: twice what calls asked for in the last second, and two calls more; where there is little,
    /// no more than its part of it; and always what a call waits for.
    fn desired(&self, now: Moment) -> u64 {
        let Some(_) = self.usage.touched.filter(|touched| now.since(*touched) < IDLE) else { return self.needed };
        let desired = self.usage.recent(now).saturating_add(self.usage.typical).saturating_mul(2);
        let most = if self.heard.scarce {
            self.terms.per_minute * LASTS.as_secs() / 60 / u64::from(self.live)
        } else {
            self.terms.burst / 2
        };
        desired.min(most).max(self.needed)
    }

    fn take_alone(&mut self, units: u64, now: Moment) -> Take {
        let drawn = self.draw_alone(&Ask { want: units, least: units, ..Ask::default() }, now);
        if drawn.granted == 0 {
            return Take::Short { retry_after: drawn.ready_in.saturating_mul(self.live).max(EXCHANGE) };
        }
        Take::Taken(Portion { leased: 0, alone: units })
    }

    fn draw_alone(&mut self, ask: &Ask, now: Moment) -> Drawn {
        self.alone.pass(self.live, now);
        self.alone.draw(self.live, &self.terms, ask)
    }
}

impl Leased for Share {
    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn ask(&mut self, live: u32, now: Moment) -> Option<Ask> {
        self.alone.pass(self.live, now);
        self.live = live.max(1);
        self.lots.forget(now);
        let desired = self.desired(now);
        let fresh = self.lots.turn_over(desired, now);
        let remaining = self.told.take().filter(|(_, until)| *until > now).map(|(units, _)| units);
        let least = self.needed.saturating_sub(self.lots.held());
        let want = desired.saturating_sub(fresh).max(least);
        let least = if want > 0 { least.max(1) } else { 0 };
        let ask = Ask { put: self.lots.take_back(), charge: self.debt, remaining, want, least };
        (self.debt, self.needed) = (0, 0);
        (!ask.is_empty() || !self.heard.well).then_some(ask)
    }

    fn hear(&mut self, ask: &Ask, drawn: &Drawn, sent: Moment, now: Moment) {
        let scarce = if ask.want > 0 { drawn.granted < ask.want } else { self.heard.scarce };
        self.heard = Heard { well: true, scarce, left: drawn.left, ready: now + drawn.ready_in };
        self.on_credit = false;
        if drawn.granted > 0 && now < sent + LASTS {
            self.lots.add(drawn.granted, sent);
        }
    }

    fn lost(&mut self) {
        self.heard.well = false;
    }

    fn untold(&mut self, ask: &Ask) {
        self.lots.give_back(ask.put);
        self.debt = self.debt.saturating_add(ask.charge);
    }
}

impl Alone {
    fn pass(&mut self, live: u32, now: Moment) {
        let slowly = now.since(self.at) / live;
        self.passed = self.passed.saturating_add(u64::try_from(slowly.as_nanos()).unwrap_or(u64::MAX));
        self.at = self.at.max(now);
    }

    /// Draws of the part that one of `live` has.
    fn draw(&mut self, live: u32, terms: &Terms, ask: &Ask) -> Drawn {
        let burst = (terms.burst / u64::from(live)).max(1);
        self.bucket.draw(&Terms { burst, ..*terms }, ask, Stamp::from_millis(self.passed / 1_000_000))
    }
}

impl Usage {
    fn note(&mut self, units: u64, now: Moment) {
        let second = now.since(Moment::ZERO).as_secs();
        if second != self.second {
            let follows = second == self.second + 1;
            (self.second, self.last, self.this) = (second, if follows { self.this } else { 0 }, 0);
        }
        self.this = self.this.saturating_add(units);
        self.typical = if self.touched.is_none() { units } else { (self.typical * 7 + units).div_ceil(8) };
        self.touched = Some(now);
    }

    /// In the last whole second, or in the present one if that has more already.
    fn recent(&self, now: Moment) -> u64 {
        match now.since(Moment::ZERO).as_secs().saturating_sub(self.second) {
            0 => self.last.max(self.this),
            1 => self.this,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
