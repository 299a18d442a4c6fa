use fusebox_proto::store::{Heartbeat, ProviderBeat, heartbeat::ServedModel};
use fusebox_store::presence::Alive;

use super::*;

fn at(millis: u64) -> Stamp {
    Stamp::from_millis(millis)
}

fn word(expires: Option<u64>) -> Word {
    Word { by: "ada".into(), reason: "a drill".into(), at: at(1_000), expires: expires.map(at) }
}

/// A sidecar with these providers, by rank, all of them serving `chat` and the first alone `embed`.
fn alive(id: &str, providers: &[(&str, bool)]) -> Alive {
    let names = || providers.iter().map(|(name, _)| (*name).to_owned());
    let beat = |(rank, (name, enabled)): (u32, &(&str, bool))| ProviderBeat {
        name: (*name).to_owned(),
        enabled: *enabled,
        priority: rank,
        ..ProviderBeat::default()
    };
    let heartbeat = Heartbeat {
        id: id.to_owned(),
        providers: (0..).zip(providers).map(beat).collect(),
        models: vec![
            ServedModel { name: "chat".into(), providers: names().collect() },
            ServedModel { name: "embed".into(), providers: names().take(1).collect() },
        ],
        ..Heartbeat::default()
    };
    Alive { live: true, seen: at(1_000), heartbeat }
}

fn seen(sidecars: Vec<Alive>) -> Seen {
    Seen { at: at(1_000), sidecars, ..Seen::default() }
}

fn off(name: &str) -> Wish {
    Wish::Provider { name: name.into(), enabled: Some(false), priority: None }
}

fn plan(wish: &Wish, held: &Settings, seen: &Seen) -> Plan {
    wish.plan(held, seen, &word(None), at(1_000)).unwrap()
}

#[test]
fn a_plan_says_what_it_would_do_to_whom_and_who_would_be_left() {
    let fleet = seen(vec![alive("s1", &[("a", true), ("b", true)]), alive("s2", &[("b", true)])]);
    let plan = plan(&off("a"), &Settings::default(), &fleet);
    assert_eq!(plan.concerned, ["s1"]);
    assert_eq!(plan.forsaken, ["embed"]);
    assert_eq!(
        plan.effects,
        [
            "provider a: switched off at 1 sidecar (was as each configuration says)",
            "chat: left to serve it: b",
            "embed: nobody is left to serve it at 1 of 1 sidecars",
        ]
    );
    assert_eq!(plan.settings.provider("a", at(1_000)).enabled.map(|said| said.value), Some(false));
}

#[test]
fn one_sidecar_at_which_nobody_is_left_is_enough_to_ask_for_force() {
    let fleet = seen(vec![alive("s1", &[("b", true), ("a", true)]), alive("s2", &[("b", false), ("a", true)])]);
    let plan = plan(&off("a"), &Settings::default(), &fleet);
    assert_eq!(plan.forsaken, ["chat"]);
    assert_eq!(plan.effects[1], "chat: nobody is left to serve it at 1 of 2 sidecars");
}

#[test]
fn a_provider_that_is_forced_open_already_is_nobody_who_is_left() {
    let fleet = seen(vec![alive("s1", &[("b", true), ("a", true)])]);
    let forced = Change::Breaker("b".into(), Some(Mode::ForcedOpen));
    let held = Settings::default().changed(forced, word(None), at(1_000)).unwrap();
    assert_eq!(plan(&off("a"), &held, &fleet).forsaken, ["chat"]);
    let expired = held.changed(Change::Breaker("b".into(), None), word(None), at(1_000)).unwrap();
    assert!(plan(&off("a"), &expired, &fleet).forsaken.is_empty());
}

#[test]
fn forcing_a_breaker_open_is_like_switching_off_and_anything_else_leaves_all() {
    let fleet = seen(vec![alive("s1", &[("a", true)])]);
    let forced = |mode| Wish::Breaker { name: "a".into(), mode };
    assert_eq!(plan(&forced(Mode::ForcedOpen), &Settings::default(), &fleet).forsaken, ["chat", "embed"]);
    for wish in
        [forced(Mode::ForcedClosed), forced(Mode::Auto), Wish::Level { sidecar: None, level: Some(Level::Minimal) }]
    {
        assert!(plan(&wish, &Settings::default(), &fleet).forsaken.is_empty(), "{wish:?}");
    }
}

#[test]
fn a_reset_hands_switch_and_rank_back_and_leaves_the_breaker() {
    let fleet = seen(vec![alive("s1", &[("a", true), ("b", true)]), alive("s2", &[("b", true)])]);
    let wish = Wish::Provider { name: "a".into(), enabled: Some(false), priority: Some(7) };
    let held = plan(&wish, &Settings::default(), &fleet).settings;
    let held = plan(&Wish::Breaker { name: "a".into(), mode: Mode::ForcedOpen }, &held, &fleet).settings;
    let plan = plan(&Wish::Reset { name: "a".into() }, &held, &fleet);
    let set = plan.settings.provider("a", at(1_000));
    assert_eq!((set.enabled, set.priority), (None, None));
    assert_eq!(set.breaker.map(|said| said.value), Some(Mode::ForcedOpen));
    assert!(plan.settings.version > held.version);
    assert_eq!(plan.concerned, ["s1"]);
    assert_eq!(
        plan.effects,
        ["provider a: switch and rank as each configuration says at 1 sidecar (the switch was off, the rank was 7)"]
    );
}

#[test]
fn a_late_sidecar_is_not_counted_on_and_one_without_models_serves_any() {
    let mut late = alive("s1", &[("a", true)]);
    late.live = false;
    let mut bare = alive("s2", &[("a", true), ("b", true)]);
    bare.heartbeat.models.clear();
    let plan = plan(&off("a"), &Settings::default(), &seen(vec![late, bare]));
    assert_eq!((plan.concerned, plan.forsaken), (vec!["s2".to_owned()], Vec::<String>::new()));
    assert_eq!(plan.effects[1], "any model: left to serve it: b");
}

#[test]
fn switch_and_rank_are_one_change_that_says_what_was_set_before_and_when_it_ends() {
    let fleet = seen(vec![alive("s1", &[("a", true), ("b", true)])]);
    let held = plan(&off("b"), &Settings::default(), &fleet).settings;
    let wish = Wish::Provider { name: "b".into(), enabled: Some(true), priority: Some(7) };
    let plan = wish.plan(&held, &fleet, &word(Some(91_000)), at(1_000)).unwrap();
    assert_eq!(
        plan.effects,
        [
            "provider b: switched on at 1 sidecar (was off)",
            "provider b: rank 7 at 1 sidecar (was as each configuration says)",
            "undone by itself after 1 min 30 s",
        ]
    );
    let set = plan.settings.provider("b", at(2_000));
    assert_eq!((set.enabled.map(|said| said.value), set.priority.map(|said| said.value)), (Some(true), Some(7)));
    assert!(plan.settings.version > held.version);
}
