//! How many wrong tokens are put up with: of each address, and in all. Pure: told the time, it keeps no clock.
//!
//! What is remembered is bounded by what is allowed in all: an address is forgotten once its wrong tokens are, and
//! no more of them can come in that time than [`ALL`] lets through. Behind a proxy, all callers have one address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use fusebox_rules::moment::Moment;

/// Wrong tokens at once from one address; one of them is forgotten in so long.
const EACH: Allowance = Allowance { at_once: 10, forgotten_in: Duration::from_secs(30) };
/// The same of all addresses together.
const ALL: Allowance = Allowance { at_once: 500, forgotten_in: Duration::from_millis(200) };
/// Addresses remembered before those that can be forgotten are.
const SWEEP: usize = 1_024;

/// How much is put up with.
struct Allowance {
    at_once: u32,
    forgotten_in: Duration,
}

/// Wrong tokens that are not forgotten yet.
#[derive(Debug, Default)]
pub struct Attempts {
    of: HashMap<IpAddr, Debt>,
    all: Debt,
    sweep_at: usize,
}

/// When the last of them is forgotten.
#[derive(Debug, Clone, Copy, Default)]
struct Debt(Moment);

/// What came of showing a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tried<T> {
    /// It is known.
    Known(T),
    /// It is not.
    Wrong,
    /// It was not looked at: try again in so long.
    Wait(Duration),
}

impl Attempts {
    /// Somebody at `address` shows a token, which `look` looks at, if it may.
    pub(super) fn attempt<T>(&mut self, address: IpAddr, now: Moment, look: impl FnOnce() -> Option<T>) -> Tried<T> {
        let address = neighbourhood(address);
        let own = self.of.get(&address).copied().unwrap_or_default();
        let wait = own.wait(&EACH, now).max(self.all.wait(&ALL, now));
        if !wait.is_zero() {
            return Tried::Wait(wait);
        }
        if let Some(known) = look() {
            return Tried::Known(known);
        }
        self.all = self.all.more(&ALL, now);
        self.sweep(now);
        self.of.insert(address, own.more(&EACH, now));
        Tried::Wrong
    }

    /// Forgets addresses whose wrong tokens are, whenever there have come to be twice as many as were left last time.
    fn sweep(&mut self, now: Moment) {
        if self.of.len() >= self.sweep_at.max(SWEEP) {
            self.of.retain(|_, debt| debt.0 > now);
            self.sweep_at = self.of.len() * 2;
        }
    }
}

impl Debt {
    fn more(self, allowed: &Allowance, now: Moment) -> Self {
        Self(self.0.max(now) + allowed.forgotten_in)
    }

    /// How long until one more is put up with.
    fn wait(self, allowed: &Allowance, now: Moment) -> Duration {
        self.0.since(now).saturating_sub(allowed.forgotten_in * (allowed.at_once - 1))
    }
}

/// Whom one machine can be taken for: the holder of an IPv6 address has 2^64 of them.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    fn wrong(attempts: &mut Attempts, address: IpAddr, now: Moment) -> Tried<()> {
        attempts.attempt(address, now, || None)
    }

    fn right(attempts: &mut Attempts, address: IpAddr, now: Moment) -> Tried<()> {
        attempts.attempt(address, now, || Some(()))
    }

    #[test]
    fn after_ten_wrong_tokens_an_address_waits_and_others_do_not() {
        let mut attempts = Attempts::default();
        for _ in 0..10 {
            assert_eq!(wrong(&mut attempts, A, at(1)), Tried::Wrong);
        }
        assert_eq!(wrong(&mut attempts, A, at(1)), Tried::Wait(Duration::from_secs(30)));
        assert_eq!(right(&mut attempts, A, at(1)), Tried::Wait(Duration::from_secs(30)), "a right one tells nothing");
        assert_eq!(right(&mut attempts, B, at(1)), Tried::Known(()));
        assert_eq!(right(&mut attempts, A, at(31)), Tried::Known(()));
        assert_eq!(wrong(&mut attempts, A, at(31)), Tried::Wrong);
        assert_eq!(wrong(&mut attempts, A, at(31)), Tried::Wait(Duration::from_secs(30)));
    }

    #[test]
    fn right_tokens_cost_nothing() {
        let mut attempts = Attempts::default();
        assert!((0..10_000).all(|_| right(&mut attempts, A, at(1)) == Tried::Known(())));
        assert!(attempts.of.is_empty());
    }

    #[test]
    fn all_addresses_of_one_ipv6_network_are_one_and_a_mapped_ipv4_address_is_itself() {
        let mut attempts = Attempts::default();
        for last in 0..10 {
            let address = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last));
            assert_eq!(wrong(&mut attempts, address, at(1)), Tried::Wrong);
        }
        let next = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 9, 9, 9, 9));
        assert!(matches!(wrong(&mut attempts, next, at(1)), Tried::Wait(_)));
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(neighbourhood(mapped), A);
    }

    #[test]
    fn many_addresses_together_are_held_back_and_what_is_remembered_of_them_is_bounded() {
        let mut attempts = Attempts::default();
        let (mut most, mut wrongs) = (0, 0);
        for number in 0..200_000_u32 {
            // A thousand new addresses a second.
            let now = Moment::ZERO + Duration::from_millis(u64::from(number));
            let address = IpAddr::V4((0x0a00_0000 + number).into());
            wrongs += u32::from(wrong(&mut attempts, address, now) == Tried::Wrong);
            most = most.max(attempts.of.len());
        }
        assert!((1_400..1_600).contains(&wrongs), "500 at once and 5 a second: {wrongs}");
        assert!(most <= 2 * SWEEP, "{most} addresses are remembered");
    }

    proptest! {
        #[test]
        fn no_address_has_more_wrong_tokens_looked_at_than_it_is_allowed(gaps in prop::collection::vec(0_u64..60, 1..200)) {
            let mut attempts = Attempts::default();
            let (mut now, mut wrongs) = (0_u64, 0_u64);
            for gap in gaps {
                now += gap;
                wrongs += u64::from(wrong(&mut attempts, A, at(now)) == Tried::Wrong);
            }
            prop_assert!(wrongs <= 10 + now / 30 + 1, "{wrongs} in {now} s");
        }
    }
}
