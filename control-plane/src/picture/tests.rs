use std::sync::Arc;

use fusebox_proto::{
    store::{
        Heartbeat, Level, ProviderBeat, Silence as Body, Word as WireWord,
        breaker_record::State,
        heartbeat::{Health, ServedModel, Totals},
    },
    v1,
};
use fusebox_rules::{
    breaker,
    fleet::{
        Alert, Condition, Figures, Record, Stamp,
        settings::{Change, Settings, Word},
    },
};
use fusebox_store::{
    errors::{Minute, Tally, Total},
    presence::Alive,
    silences,
};

use super::{
    Frame, Seen, Series,
    paint::{paint, silenced},
};
use crate::alerts::Silence;

const NOW: u64 = 1_700_000_000_000;

fn now() -> Stamp {
    Stamp::from_millis(NOW)
}

fn alive(id: &str, version: u64, providers: &[(&str, bool, State)]) -> Alive {
    let beat = |(rank, (name, enabled, state)): (u32, &(&str, bool, State))| ProviderBeat {
        name: (*name).to_owned(),
        enabled: *enabled,
        priority: rank,
        state: (*state).into(),
        shared: true,
        calls_per_second: 2.0,
        errors_per_second: 0.5,
    };
    let names = providers.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let heartbeat = Heartbeat {
        id: id.to_owned(),
        health: Health::Healthy.into(),
        level: Level::Full.into(),
        settings_version: version,
        calls_per_second: 4.0,
        providers: (0..).zip(providers).map(beat).collect(),
        models: vec![ServedModel { name: "chat".into(), providers: names }],
        totals: Some(Totals { calls: 10, answers: [("provider".to_owned(), 9)].into(), ..Totals::default() }),
        ..Heartbeat::default()
    };
    Alive { live: true, seen: now(), heartbeat }
}

fn set(changes: impl IntoIterator<Item = Change>) -> Settings {
    let word = Word { by: "ada".into(), reason: "a drill".into(), at: now(), expires: None };
    changes.into_iter().fold(Settings::default(), |set, change| set.changed(change, word.clone(), now()).unwrap())
}

fn show(seen: &Seen) -> v1::Fleet {
    paint(seen, &Frame { name: "fleet".into(), ..Frame::default() })
}

#[test]
fn a_provider_is_shown_with_its_shared_breaker_and_how_far_the_last_change_has_got() {
    let settings = set([Change::Enabled("b".into(), Some(false))]);
    let version = settings.version;
    let open = Record {
        epoch: 7,
        state: breaker::State::Open,
        until: Some(Stamp::from_millis(NOW + 5_000)),
        ..Record::default()
    };
    let seen = Seen {
        at: now(),
        sidecars: vec![
            alive("s1", version, &[("a", true, State::Open), ("b", false, State::Closed)]),
            alive("s2", version - 1, &[("a", true, State::Closed), ("b", true, State::Closed)]),
            alive("s3", version, &[("a", true, State::Closed)]),
        ],
        settings: Arc::new(settings),
        breakers: [("a".to_owned(), open)].into(),
        ..Seen::default()
    };
    let fleet = show(&seen);
    let [a, b] = &fleet.providers[..] else { panic!("{:?}", fleet.providers) };
    assert_eq!(
        (a.name.as_str(), a.enabled, a.sidecars_total, a.sidecars_applied, a.sidecars_open),
        ("a", true, 3, 2, 1)
    );
    assert_eq!((b.enabled, b.sidecars_total, b.sidecars_applied, b.mixed), (false, 2, 1, true));
    assert_eq!(b.enabled_word.as_ref().map(|word| word.by.as_str()), Some("ada"));
    let breaker = a.breaker.as_ref().unwrap();
    assert_eq!((breaker.state(), breaker.epoch), (v1::BreakerState::Open, 7));
    assert_eq!(breaker.half_open_at.as_ref().map(|at| at.seconds), Some(1_700_000_005));
    assert_eq!(a.models, ["chat"]);
    let model = &fleet.models[0];
    assert_eq!((model.name.as_str(), model.providers.join(","), model.enabled), ("chat", "a,b".to_owned(), 1));
    let totals = fleet.totals.unwrap();
    assert_eq!((totals.calls, totals.answers["provider"], totals.calls_per_second), (30, 27, 12.0));
}

#[test]
fn what_has_expired_is_not_shown_as_set() {
    let word = Word { by: "ada".into(), expires: Some(now()), ..Word::default() };
    let settings = Settings::default().changed(Change::Enabled("a".into(), Some(false)), word, Stamp::from_millis(1));
    let sidecars = vec![alive("s1", 0, &[("a", true, State::Closed)])];
    let seen = Seen { at: now(), sidecars, settings: Arc::new(settings.unwrap()), ..Seen::default() };
    let provider = &show(&seen).providers[0];
    assert_eq!((provider.enabled, provider.enabled_word.is_none()), (true, true));
}

#[test]
fn errors_of_all_providers_are_summed_by_kind_and_by_minute() {
    let total = |calls, kind: &str, many| Total { calls, errors: [(kind.to_owned(), many)].into() };
    let series = |kind: &str| Series {
        tally: Tally {
            since: Stamp::from_millis(NOW - 30 * 60_000),
            minute: total(10, kind, 2),
            hour: total(100, kind, 60),
            patterns: vec![(format!("{kind}:generate"), 60)],
        },
        minutes: vec![Minute { at: Stamp::from_millis(NOW - 60_000), total: total(10, kind, 2) }],
    };
    let of = |name: &str, kind: &str| (name.to_owned(), series(kind));
    let seen = Seen {
        at: now(),
        series: [of("a", "network_error"), of("b", "network_error"), of("c", "rate_limited")].into(),
        ..Seen::default()
    };
    let fleet = show(&seen);
    let errors = fleet.errors.unwrap();
    assert_eq!((errors.calls_1m, errors.errors_1m, errors.rate_1m["network_error"]), (30, 6, 4.0));
    // The fleet is half an hour old.
    assert_eq!(errors.rate_1h["network_error"], 4.0);
    assert_eq!(
        (errors.top_patterns[0].pattern.as_str(), errors.top_patterns[0].count),
        ("network_error:generate", 120)
    );
    assert_eq!((fleet.history.len(), fleet.history[0].calls, fleet.history[0].errors["rate_limited"]), (1, 30, 2));
}

#[test]
fn a_silence_marks_the_alerts_that_it_matches_until_it_ends() {
    let condition = Condition::spike("a", "network_error", Figures::default());
    let alert = Alert { id: 1, condition, raised: now(), resolved: None, acknowledged: None };
    let silence = |provider: &str, expires_ms| {
        let word = Some(WireWord { expires_ms, ..WireWord::default() });
        let kind = v1::AlertKind::ErrorSpike.into();
        silences::Silence { id: 5, body: Body { kind, provider: provider.into(), word, ..Body::default() } }
    };
    for (silence, marked) in [
        (silence("a", NOW + 1), "5"),
        (silence("", NOW + 1), "5"),
        (silence("b", NOW + 1), ""),
        (silence("a", NOW), ""),
    ] {
        let silences = Silence::of(&silence).into_iter().collect();
        let seen = Seen { at: now(), silences, ..Seen::default() };
        assert_eq!(silenced(&alert, &seen).silence, marked);
    }
}

#[test]
fn a_level_for_the_fleet_and_one_for_a_sidecar_are_shown_with_whose_word_they_are() {
    use fusebox_rules::degradation::Level;
    let settings = set([Change::Level(Some(Level::Reduced)), Change::SidecarLevel("s2".into(), Some(Level::Full))]);
    let sidecars = vec![alive("s1", 0, &[]), alive("s2", 0, &[])];
    let seen = Seen { at: now(), sidecars, settings: Arc::new(settings), ..Seen::default() };
    let fleet = show(&seen);
    assert_eq!((fleet.degradation_level(), fleet.degradation_overridden), (v1::DegradationLevel::Reduced, true));
    assert!(fleet.sidecars.iter().all(|sidecar| sidecar.degradation_word.is_some()));
    assert!(fleet.degradation_word.is_some());
}
