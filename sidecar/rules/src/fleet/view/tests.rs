use super::*;
use crate::{
    breaker::{News, Permit},
    fleet::{Evidence, fixture::SETTINGS, force, judge},
};

/// Stamps are seconds after this.
const EPOCH: u64 = 1_000_000;

fn at(secs: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(secs)
}

fn stamp(secs: u64) -> Stamp {
    Stamp::from_millis(EPOCH + secs * 1_000)
}

fn bad() -> Evidence {
    Evidence { run: 4, most_run: 2, ..Evidence::default() }
}

fn opened(secs: u64) -> Record {
    judge(&Record::default(), &bad(), &SETTINGS, 2, stamp(secs)).unwrap()
}

fn half_open(secs: u64) -> Record {
    let seen = Evidence::default();
    judge(&opened(secs - 10), &seen, &SETTINGS, 2, stamp(secs)).unwrap()
}

/// A sidecar whose clock agrees with the store's.
struct Sidecar {
    view: View,
    local: Breaker,
    clock: SharedClock,
}

impl Sidecar {
    fn new(settings: Settings) -> Self {
        let mut clock = SharedClock::default();
        clock.hear(at(0), at(0), stamp(0));
        Self { view: View::new(settings.clone()), local: Breaker::new(settings), clock }
    }

    fn adopt(&mut self, record: &Record, now: u64) -> Option<Transition> {
        self.view.heard(2, at(now));
        self.view.adopt(record, &self.clock, &mut self.local, at(now), 0.0)
    }

    fn lay_in(&mut self, token: u64, epoch: u64, expires: u64, now: u64) -> Ticket {
        let ticket = Ticket { token, epoch, expires: at(expires) };
        self.view.lay_in(ticket.clone(), at(now));
        ticket
    }
}

fn refused(secs: u64) -> Ruling {
    Ruling::Refused(Duration::from_secs(secs))
}

#[test]
fn while_it_is_open_nothing_goes_and_when_nobody_moves_it_on_the_local_one_decides() {
    let mut sidecar = Sidecar::new(SETTINGS);
    assert_eq!(sidecar.view.rule(true, at(1)), Ruling::Local);
    sidecar.adopt(&opened(1), 2);
    assert_eq!(sidecar.view.rule(true, at(2)), refused(9));
    sidecar.view.heard(2, at(11));
    assert_eq!(sidecar.view.rule(true, at(11)), Ruling::Refused(ASK_AGAIN));
    assert_eq!(sidecar.view.rule(true, at(14)), Ruling::Local);
    assert_eq!(sidecar.local.tick(at(14)).unwrap().to, State::HalfOpen);
}

#[test]
fn an_older_record_is_not_adopted_and_a_lost_writes_twin_gives_way_to_the_stores() {
    let mut sidecar = Sidecar::new(SETTINGS);
    sidecar.adopt(&opened(5), 5);
    assert_eq!(sidecar.adopt(&opened(4), 5), None);
    assert_eq!(sidecar.view.record(), &opened(5));
    let twin = Record { state: State::Closed, until: None, reason: Reason::Recovered, ..opened(5) };
    assert_eq!(sidecar.adopt(&twin, 6).unwrap().to, State::Closed);
    assert_eq!(sidecar.view.record(), &twin);
}

#[test]
fn a_record_heard_before_any_time_was_told_is_open_for_as_long_as_it_lasts_from_now() {
    let mut sidecar = Sidecar::new(SETTINGS);
    sidecar.clock = SharedClock::default();
    sidecar.adopt(&opened(100), 3);
    assert_eq!(sidecar.view.rule(true, at(4)), refused(9));
    assert_eq!(sidecar.local.opens_until(), Some(at(13)));
}

#[test]
fn a_clock_that_was_set_back_does_not_keep_a_sidecar_from_its_provider() {
    let mut sidecar = Sidecar::new(SETTINGS);
    sidecar.adopt(&opened(3_600), 1);
    assert_eq!(sidecar.view.open_until(), Some(at(11)));
    let seen = Evidence { probes_good: 1, ..Evidence::default() };
    let closed = judge(&half_open(3_620), &seen, &SETTINGS, 2, stamp(3_621)).unwrap();
    sidecar.adopt(&closed, 12);
    // A ramp that began in an hour would stay at its foot until then.
    assert!(!sidecar.local.admits_freely());
    sidecar.local.tick(at(32));
    assert!(sidecar.local.admits_freely());
}

#[test]
fn a_ticket_is_for_one_probe_of_its_epoch_until_it_ends() {
    let mut sidecar = Sidecar::new(SETTINGS);
    let record = half_open(11);
    sidecar.adopt(&record, 11);
    assert_eq!(sidecar.view.rule(true, at(11)), Ruling::Refused(ASK_AGAIN));
    let ticket = sidecar.lay_in(1, record.epoch, 14, 11);
    assert_eq!(sidecar.view.rule(false, at(12)), Ruling::Refused(ASK_AGAIN));
    assert!(sidecar.view.has_ticket(at(13)) && !sidecar.view.has_ticket(at(14)));
    assert_eq!(sidecar.view.rule(true, at(12)), Ruling::Probe(ticket));
    assert_eq!(sidecar.view.rule(true, at(12)), Ruling::Refused(ASK_AGAIN));
    sidecar.view.heard(2, at(13));
    sidecar.lay_in(2, record.epoch, 14, 13);
    assert_eq!(sidecar.view.rule(true, at(14)), Ruling::Refused(ASK_AGAIN));
}

#[test]
fn where_calls_probe_a_sidecar_without_any_leaves_the_leases_to_others() {
    let mut sidecar = Sidecar::new(SETTINGS);
    sidecar.adopt(&half_open(11), 11);
    assert!(!sidecar.view.wants_ticket(at(11)));
    sidecar.view.rule(true, at(12));
    assert!(sidecar.view.wants_ticket(at(12)) && !sidecar.view.wants_ticket(at(15)));

    let mut prober = Sidecar::new(Settings { probe: Probe::Active, ..SETTINGS });
    prober.adopt(&half_open(11), 11);
    assert!(prober.view.wants_ticket(at(11)));
}

#[test]
fn a_lease_that_is_not_used_is_told_of_so_that_another_sidecar_may_have_it() {
    let mut sidecar = Sidecar::new(SETTINGS);
    let record = half_open(11);
    sidecar.adopt(&record, 11);
    let first = sidecar.lay_in(1, record.epoch, 20, 11);
    let second = sidecar.lay_in(2, record.epoch, 20, 11);
    assert_eq!(sidecar.view.take_results(), [(second, None)]);
    sidecar.adopt(&force(&record, Mode::ForcedOpen, &SETTINGS, stamp(12)).unwrap(), 12);
    assert_eq!(sidecar.view.take_results(), [(first.clone(), None)]);
    sidecar.view.probed(first.clone(), true, at(13));
    let told = sidecar.view.take_results();
    assert_eq!(told, [(first, Some(true))]);
    sidecar.view.untold(told.clone());
    assert_eq!(sidecar.view.take_results(), told);
}

#[test]
fn after_a_probe_of_its_own_has_failed_a_sidecar_rests_in_that_epoch() {
    let mut sidecar = Sidecar::new(Settings { probe: Probe::Active, ..SETTINGS });
    let record = half_open(11);
    sidecar.adopt(&record, 11);
    let ticket = sidecar.lay_in(1, record.epoch, 20, 11);
    assert_eq!(sidecar.view.rule(true, at(11)), Ruling::Probe(ticket.clone()));
    sidecar.view.probed(ticket.clone(), false, at(12));
    assert!(!sidecar.view.wants_ticket(at(16)) && sidecar.view.wants_ticket(at(17)));
    let later = half_open(12);
    sidecar.adopt(&later, 13);
    sidecar.view.probed(ticket, false, at(13));
    assert!(sidecar.view.wants_ticket(at(13)), "what an old probe tells is of an old epoch");
}

#[test]
fn a_sick_sidecar_with_several_probes_under_way_tells_of_one_failure_and_keeps_no_ticket() {
    let mut sidecar = Sidecar::new(Settings { probe: Probe::Active, ..SETTINGS });
    let record = half_open(11);
    sidecar.adopt(&record, 11);
    let probe = |sidecar: &mut Sidecar, token| {
        let ticket = sidecar.lay_in(token, record.epoch, 20, 11);
        assert_eq!(sidecar.view.rule(true, at(11)), Ruling::Probe(ticket.clone()));
        ticket
    };
    let (first, second) = (probe(&mut sidecar, 1), probe(&mut sidecar, 2));
    let unused = sidecar.lay_in(3, record.epoch, 20, 11);
    sidecar.view.probed(first.clone(), false, at(12));
    sidecar.view.probed(second.clone(), false, at(12));
    // Asked for before the failure was known.
    let late = sidecar.lay_in(4, record.epoch, 20, 12);
    assert!(!sidecar.view.has_ticket(at(12)));
    let told = [(unused, None), (first, Some(false)), (second, None), (late, None)];
    assert_eq!(sidecar.view.take_results(), told);
}

#[test]
fn half_open_and_nothing_heard_any_more_each_sidecar_probes_for_itself() {
    let mut sidecar = Sidecar::new(SETTINGS);
    sidecar.adopt(&half_open(11), 11);
    assert_eq!(sidecar.view.rule(true, at(13)), Ruling::Refused(ASK_AGAIN));
    assert_eq!(sidecar.view.rule(true, at(14)), Ruling::Local);
    assert_eq!(sidecar.local.tick(at(14)).unwrap().to, State::HalfOpen);
    sidecar.view.heard(2, at(15));
    assert_eq!(sidecar.view.rule(true, at(15)), Ruling::Refused(ASK_AGAIN));
}

#[test]
fn forced_modes_are_followed_and_left_again_whichever_records_were_missed_between() {
    let forced_open = force(&Record::default(), Mode::ForcedOpen, &SETTINGS, stamp(1)).unwrap();
    let let_go = force(&forced_open, Mode::Auto, &SETTINGS, stamp(2)).unwrap();
    let seen = Evidence { probes_good: 1, ..Evidence::default() };
    let closed = judge(&let_go, &seen, &SETTINGS, 2, stamp(3)).unwrap();
    let open = judge(&closed, &bad(), &SETTINGS, 2, stamp(5)).unwrap();
    let forced_closed = force(&open, Mode::ForcedClosed, &SETTINGS, stamp(5)).unwrap();
    let open_again = Record { epoch: forced_closed.epoch + 1, until: Some(stamp(30)), ..open.clone() };

    let all = [forced_open, let_go, closed, open, forced_closed, open_again];
    for from in 0..all.len() {
        for to in from + 1..all.len() {
            let mut sidecar = Sidecar::new(SETTINGS);
            sidecar.adopt(&all[from], 6);
            sidecar.adopt(&all[to], 6);
            // An open one goes on to be half-open by itself.
            sidecar.local.tick(at(6));
            assert_eq!(
                (sidecar.local.state(), sidecar.local.mode()),
                (all[to].state, all[to].mode),
                "from {from} to {to}"
            );
        }
    }
}

#[test]
fn forced_open_it_refuses_even_when_nothing_is_heard() {
    let mut sidecar = Sidecar::new(SETTINGS);
    sidecar.adopt(&force(&Record::default(), Mode::ForcedOpen, &SETTINGS, stamp(1)).unwrap(), 1);
    assert_eq!(sidecar.view.rule(true, at(9_000)), refused(10));
}

#[test]
fn let_go_after_it_was_forced_closed_a_sick_sidecar_opens_its_own() {
    let mut sidecar = Sidecar::new(SETTINGS);
    let forced = force(&opened(1), Mode::ForcedClosed, &SETTINGS, stamp(2)).unwrap();
    sidecar.adopt(&forced, 2);
    for _ in 0..2 {
        let mut permit = Permit::free(sidecar.local.generation(), at(3));
        assert_eq!(sidecar.local.record(&mut permit, News::Failed, at(3)), None);
    }
    let let_go = force(&forced, Mode::Auto, &SETTINGS, stamp(4)).unwrap();
    assert_eq!(sidecar.adopt(&let_go, 4).unwrap().to, State::Open);
    assert_eq!(sidecar.view.rule(true, at(4)), Ruling::Local);
}

#[test]
fn anothers_good_call_ends_a_run_only_in_the_same_epoch() {
    let mut sidecar = Sidecar::new(SETTINGS);
    sidecar.view.judge(0, at(1), Meaning::NotStarted, at(1));
    sidecar.view.hear_of_good(9, stamp(2), &sidecar.clock);
    sidecar.view.hear_of_good(0, Stamp::default(), &sidecar.clock);
    assert_eq!(sidecar.view.report(&sidecar.clock, at(3)).run, 1);
    sidecar.view.hear_of_good(0, stamp(2), &sidecar.clock);
    assert_eq!(sidecar.view.report(&sidecar.clock, at(3)).run, 0);
}
