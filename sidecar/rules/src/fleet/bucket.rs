//! A token bucket in whole numbers: what a provider allows the whole fleet, or what retries its calls pay for.
//!
//! The store keeps one for each, in Redis by a script that does exactly what [`Bucket::draw`] does; a sidecar without a
//! store keeps its own. Who draws from it in time, and how much, is the share's affair.

use std::time::Duration;

use super::Stamp;

/// What a bucket is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Requests that the provider allows.
    Requests,
    /// Tokens that the provider allows, in and out.
    Tokens,
    /// Thousandths of a retry.
    Retries,
}

/// What a bucket is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Units that flow in each minute.
    pub per_minute: u64,
    /// Units that it holds at most.
    pub burst: u64,
    /// Units that a new one holds.
    pub initial: u64,
}

/// What is asked of a bucket at once. In this order: units are put in, charged, limited to what the provider says is
/// left, and drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ask {
    /// Units given back, or paid in.
    pub put: u64,
    /// Units used that were never drawn. What would take the bucket further than a minute's worth below nothing is
    /// forgotten.
    pub charge: u64,
    /// What the provider itself says is left; `None`: nothing new. A bucket never holds more for it.
    pub remaining: Option<u64>,
    /// Units wanted.
    pub want: u64,
    /// Fewer are of no use: they are not given. More than `want` is taken for `want`. More than the bucket ever holds
    /// is given once it is full, and owed; more than flows in a minute is taken for that.
    pub least: u64,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drawn {
    /// Units given.
    pub granted: u64,
    /// Whole units left.
    pub left: u64,
    /// Where nothing was given although something was asked for: how soon `least` is there, if nobody else comes. An
    /// hour at most.
    pub ready_in: Duration,
}

/// What a bucket holds. [`Bucket::default`] is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bucket(Option<Held>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    /// In parts of a unit. Less than nothing: owed.
    balance: i64,
    /// When it was that.
    at: Stamp,
}

/// More of anything than anyone means; keeps all sums exact, in the script's numbers too.
pub const MOST_UNITS: u64 = 10_000_000_000;
/// A bucket of which nothing is heard for so long is a new one.
pub const REMEMBERED: Duration = Duration::from_secs(3_600);
/// Parts of a unit: as many as there are milliseconds in a minute, so that what flows in is always whole.
const PARTS: i64 = 60_000;
/// The part of a minute's limit that is saved up.
const BURST_PART: u64 = 10;

impl Unit {
    /// All, in their order.
    pub const ALL: [Self; 3] = [Self::Requests, Self::Tokens, Self::Retries];

    /// Its name on every wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Retries => "retries",
        }
    }
}

impl Terms {
    /// Of a provider's limit: a tenth of a minute's worth is saved up, and at least one unit.
    #[must_use]
    pub fn of_limit(per_minute: u64) -> Self {
        let burst = per_minute.div_ceil(BURST_PART);
        Self { per_minute, burst, initial: burst }.bounded()
    }

    /// With everything in range.
    #[must_use]
    pub fn bounded(self) -> Self {
        let burst = self.burst.clamp(1, MOST_UNITS);
        Self { per_minute: self.per_minute.min(MOST_UNITS), burst, initial: self.initial.min(burst) }
    }
}

impl Ask {
    /// With everything in range.
    #[must_use]
    pub fn bounded(self, terms: &Terms) -> Self {
        let want = self.want.max(self.least).min(MOST_UNITS);
        Self {
            put: self.put.min(MOST_UNITS),
            charge: self.charge.min(MOST_UNITS),
            remaining: self.remaining.map(|units| units.min(MOST_UNITS)),
            want,
            least: self.least.min(terms.per_minute.max(terms.burst)),
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Bucket {
    /// Does what `ask` says at `now`. What it gives in any time is no more than flows in then, and what it holds at
    /// most, or the largest `least` if that is more, and what was put in.
    pub fn draw(&mut self, terms: &Terms, ask: &Ask, now: Stamp) -> Drawn {
        let (terms, ask) = (terms.bounded(), ask.bounded(&terms.bounded()));
        let (rate, full) = (signed(terms.per_minute), parts(terms.burst));
        let mut balance = (self.balance(&terms, now) + parts(ask.put)).min(full);
        balance = balance.min((balance - parts(ask.charge)).max(-parts(terms.per_minute)));
        if let Some(remaining) = ask.remaining {
            balance = balance.min(parts(remaining));
        }
        let mut granted = ask.want.min(whole(balance));
        if granted < ask.least {
            granted = if ask.least > terms.burst && balance >= full { ask.least } else { 0 };
        }
        balance -= parts(granted);
        self.0 = Some(Held { balance, at: now });
        let missing = parts(ask.least).min(full) - balance;
        let ready_in = match granted {
            0 if ask.least > 0 && rate > 0 => millis(missing.div_euclid(rate) + i64::from(missing % rate > 0)),
            0 if ask.least > 0 => REMEMBERED,
            _ => Duration::ZERO,
        };
        Drawn { granted, left: whole(balance), ready_in: ready_in.min(REMEMBERED) }
    }

    /// With what has flowed in until `now`. A clock that goes back lets nothing in.
    fn balance(&self, terms: &Terms, now: Stamp) -> i64 {
        let known = self.0.filter(|held| now.since(held.at) < REMEMBERED);
        let Some(Held { balance, at }) = known else { return parts(terms.initial) };
        let elapsed = i64::try_from(now.since(at).as_millis()).unwrap_or(i64::MAX);
        balance.saturating_add(elapsed.saturating_mul(signed(terms.per_minute))).min(parts(terms.burst))
    }
}

fn parts(units: u64) -> i64 {
    signed(units).saturating_mul(PARTS)
}

fn whole(parts: i64) -> u64 {
    u64::try_from(parts / PARTS).unwrap_or(0)
}

fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Stamp {
        Stamp::from_millis(1_000_000 + millis)
    }

    fn want(want: u64, least: u64) -> Ask {
        Ask { want, least, ..Ask::default() }
    }

    #[test]
    fn it_gives_what_it_has_up_to_what_is_asked_and_says_when_more_comes() {
        let (terms, mut bucket) = (Terms::of_limit(600), Bucket::default());
        assert_eq!(bucket.draw(&terms, &want(50, 1), at(0)), Drawn { granted: 50, left: 10, ..Drawn::default() });
        assert_eq!(bucket.draw(&terms, &want(50, 1), at(0)).granted, 10);
        let nothing = Drawn { ready_in: Duration::from_millis(100), ..Drawn::default() };
        assert_eq!(bucket.draw(&terms, &want(50, 1), at(0)), nothing);
        assert_eq!(bucket.draw(&terms, &want(50, 1), at(99)).granted, 0);
        assert_eq!(bucket.draw(&terms, &want(50, 1), at(100)).granted, 1);
        assert_eq!(bucket.draw(&terms, &want(100, 0), at(60_000)).granted, 60, "no more is saved up");
    }

    #[test]
    fn one_that_needs_more_than_is_ever_there_waits_for_a_full_bucket_and_owes_the_rest() {
        let (terms, mut bucket) = (Terms::of_limit(600), Bucket::default());
        assert_eq!(bucket.draw(&terms, &want(200, 200), at(0)).granted, 200);
        let drawn = bucket.draw(&terms, &want(200, 200), at(0));
        assert_eq!((drawn.granted, drawn.ready_in), (0, Duration::from_secs(20)));
        assert_eq!(bucket.draw(&terms, &want(5_000, 5_000), at(20_000)).granted, 600, "a minute's worth is the most");
    }

    #[test]
    fn what_was_used_undrawn_is_charged_and_what_the_provider_says_is_left_is_believed_if_it_is_less() {
        let (terms, mut bucket) = (Terms::of_limit(600), Bucket::default());
        let charge = |charge| Ask { charge, ..Ask::default() };
        assert_eq!(bucket.draw(&terms, &charge(20), at(0)).left, 40);
        assert_eq!(bucket.draw(&terms, &Ask { remaining: Some(100), ..Ask::default() }, at(0)).left, 40);
        assert_eq!(bucket.draw(&terms, &Ask { remaining: Some(3), ..Ask::default() }, at(0)).left, 3);
        bucket.draw(&terms, &charge(u64::MAX), at(0));
        assert_eq!(bucket.draw(&terms, &want(1, 1), at(0)).ready_in, Duration::from_millis(60_100));
        assert_eq!(bucket.draw(&terms, &Ask { put: u64::MAX, ..Ask::default() }, at(0)).left, 60);
    }

    proptest! {
        #[test]
        fn in_no_time_does_it_give_more_than_flows_in_and_what_it_may_hold(
            per_minute in 0_u64..5_000,
            steps in prop::collection::vec((0_u64..9_000, 0_u64..900, 0_u64..900), 1..80),
        ) {
            let (terms, mut bucket) = (Terms::of_limit(per_minute), Bucket::default());
            let most_least = steps.iter().map(|(_, _, least)| *least).max().unwrap_or(0).min(per_minute);
            let (mut now, mut given) = (0, Vec::new());
            for (wait, more, least) in steps {
                now += wait;
                given.push((now, bucket.draw(&terms, &want(more, least), at(now)).granted));
            }
            for from in 0..given.len() {
                let mut sum = 0;
                for to in from..given.len() {
                    sum += given[to].1;
                    let flowed = (given[to].0 - given[from].0) * per_minute / 60_000 + 1;
                    prop_assert!(sum <= flowed + terms.burst.max(most_least), "{sum} from {from} to {to}");
                }
            }
        }
    }
}
