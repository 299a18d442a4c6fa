//! The policy's tests: one-line checks of each rule, and a model of a fleet's alerts under everything that may happen.

mod model;

use std::{sync::Arc, time::Duration};

use fusebox_rules::fleet::{Alert, AlertKind, Condition, Figures, Stamp};

use super::{Became, Heard, Message, Outcome, Silence, State, Word, state::MOST_CASES};
use crate::alerts::{
    Secret,
    settings::{Channel, ChannelKind, PagerDuty, Route, Settings, Slack},
};

/// When all begins: not at zero, which stands for never.
const BEGIN: u64 = 1_700_000_000_000;

fn slack(name: &str) -> Channel {
    Channel { name: name.into(), kind: ChannelKind::Slack(Slack { url: Secret::new("https://slack.example/x") }) }
}

fn pagerduty(name: &str) -> Channel {
    let kind = ChannelKind::PagerDuty(PagerDuty { routing_key: Secret::new("key"), url: String::new() });
    Channel { name: name.into(), kind }
}

fn breaker(id: u64, provider: &str, at: Stamp) -> Alert {
    let mut condition = Condition::spike(provider, "", Figures::default());
    condition.key.kind = AlertKind::BreakerOpened;
    Alert { id, condition, raised: at, resolved: None, acknowledged: None }
}

fn later(why: &str) -> Outcome {
    Outcome::Later { why: why.into(), after: None }
}

/// A fleet whose replica does what the policy says at once.
struct Fleet {
    state: State,
    settings: Settings,
    silences: Vec<Silence>,
    now: Stamp,
}

impl Fleet {
    fn new(channels: Vec<Channel>) -> Self {
        let settings = Settings { channels, ..Settings::default() };
        Self { state: State::default(), settings, silences: vec![], now: Stamp::from_millis(BEGIN) }
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
    }

    fn raise(&mut self, id: u64) -> Alert {
        let alert = breaker(id, &format!("p{id}"), self.now);
        self.hear(&alert);
        alert
    }

    fn resolve(&mut self, alert: &Alert) -> Alert {
        let over = Alert { resolved: Some(self.now), ..alert.clone() };
        self.hear(&over);
        over
    }

    fn acknowledge(&mut self, alert: &Alert) -> Alert {
        let known = Alert { acknowledged: Some((self.now, "ada".into())), ..alert.clone() };
        self.hear(&known);
        known
    }

    fn hear(&mut self, alert: &Alert) {
        self.state.hear(alert);
        self.state.settle(&self.settings, &self.silences, self.now);
    }

    fn due(&mut self) -> Vec<Message> {
        self.state.settle(&self.settings, &self.silences, self.now);
        self.state.due(&self.settings, &self.silences, self.now)
    }

    /// What is due now, and is taken so by all.
    fn said(&mut self) -> Vec<(String, Word, Vec<u64>)> {
        self.said_with(&Outcome::Delivered)
    }

    fn said_with(&mut self, outcome: &Outcome) -> Vec<(String, Word, Vec<u64>)> {
        let due = self.due();
        for message in &due {
            self.state.answered(message, outcome, self.now, 1.0);
        }
        due.iter().map(|one| (one.channel.to_string(), one.word, ids(one))).collect()
    }

    fn silence(&mut self, provider: &str, seconds: u64) {
        let until = Some(self.now + Duration::from_secs(seconds));
        let (provider, sidecar) = (provider.to_owned(), String::new());
        self.silences.push(Silence { id: 1, kind: None, provider, sidecar, until });
    }
}

fn ids(message: &Message) -> Vec<u64> {
    message.items.iter().map(|item| item.alert.id).collect()
}

fn chat(word: Word, ids: &[u64]) -> (String, Word, Vec<u64>) {
    ("chat".into(), word, ids.into())
}

#[test]
fn alerts_of_one_kind_go_out_together_and_later_ones_after_the_interval() {
    let mut fleet = Fleet::new(vec![slack("chat")]);
    fleet.raise(1);
    fleet.pass(9);
    fleet.raise(2);
    assert_eq!(fleet.said(), []);
    fleet.pass(1);
    assert_eq!(fleet.said(), [chat(Word::Raise, &[1, 2])]);
    fleet.pass(1);
    fleet.raise(3);
    fleet.pass(58);
    fleet.raise(4);
    assert_eq!(fleet.said(), []);
    fleet.pass(1);
    assert_eq!(fleet.said(), [chat(Word::Raise, &[3, 4])]);
}

#[test]
fn alerts_of_two_kinds_or_by_two_routes_are_two_messages() {
    let mut fleet = Fleet::new(vec![slack("chat"), slack("mail")]);
    let to = |channel: &str| Route { channels: vec![channel.into()], ..Route::default() };
    fleet.settings.routes = vec![Route { severities: vec![super::Severity::Critical], ..to("chat") }, to("mail")];
    fleet.raise(1);
    let at = fleet.now;
    fleet.hear(&Alert { condition: Condition::spike("a", "timeout", Figures::default()), ..breaker(2, "", at) });
    fleet.pass(10);
    let mail = |ids: &[u64]| ("mail".to_owned(), Word::Raise, ids.to_vec());
    let mut said = fleet.said();
    said.sort_by(|one, other| (&one.0, &one.2).cmp(&(&other.0, &other.2)));
    assert_eq!(said, [chat(Word::Raise, &[1]), mail(&[1]), mail(&[2])]);
}

#[test]
fn what_fires_is_told_again_at_a_distance_until_somebody_knows() {
    let mut fleet = Fleet::new(vec![slack("chat"), pagerduty("oncall")]);
    let alert = fleet.raise(1);
    fleet.pass(10);
    let both = |word| [chat(word, &[1]), ("oncall".to_owned(), word, vec![1])];
    assert_eq!(fleet.said(), both(Word::Raise));
    fleet.pass(4 * 3_600 - 1);
    assert_eq!(fleet.said(), []);
    fleet.pass(1);
    assert_eq!(fleet.said(), both(Word::Repeat));
    fleet.pass(60);
    let alert = fleet.acknowledge(&alert);
    assert_eq!(fleet.said(), [("oncall".to_owned(), Word::Acknowledge, vec![1])], "only who keeps its state is told");
    fleet.pass(9 * 3_600);
    assert_eq!(fleet.said(), []);
    fleet.resolve(&alert);
    assert_eq!(fleet.said(), both(Word::Resolve));
    fleet.pass(9 * 3_600);
    assert_eq!(fleet.said(), []);
}

#[test]
fn what_came_and_went_before_it_could_be_told_is_told_once_and_in_order_to_who_keeps_its_state() {
    let mut fleet = Fleet::new(vec![slack("chat"), pagerduty("oncall")]);
    let alert = fleet.raise(1);
    fleet.pass(3);
    fleet.resolve(&alert);
    fleet.pass(7);
    assert_eq!(fleet.said(), [chat(Word::Passed, &[1]), ("oncall".to_owned(), Word::Raise, vec![1])]);
    assert_eq!(fleet.said(), [("oncall".to_owned(), Word::Resolve, vec![1])]);
    fleet.pass(9 * 3_600);
    assert_eq!(fleet.said(), []);
}

#[test]
fn the_end_is_told_to_those_alone_who_were_told_of_the_beginning() {
    let mut fleet = Fleet::new(vec![slack("chat"), slack("mail")]);
    let alert = fleet.raise(1);
    fleet.pass(10);
    let due = fleet.due();
    fleet.state.answered(&due[0], &Outcome::Delivered, fleet.now, 1.0);
    fleet.state.answered(&due[1], &Outcome::Refused { why: "no such mailbox".into() }, fleet.now, 1.0);
    fleet.pass(60);
    fleet.resolve(&alert);
    assert_eq!(fleet.said(), [chat(Word::Resolve, &[1])]);
    fleet.pass(9 * 3_600);
    assert_eq!(fleet.said(), []);
}

#[test]
fn a_silence_keeps_all_back_and_what_still_fires_is_told_when_it_ends() {
    let mut fleet = Fleet::new(vec![slack("chat")]);
    let told = fleet.raise(1);
    fleet.pass(10);
    fleet.said();
    fleet.silence("", 3_600);
    let (gone, _fires) = (fleet.raise(2), fleet.raise(3));
    fleet.pass(600);
    fleet.resolve(&told);
    fleet.resolve(&gone);
    assert_eq!(fleet.said(), []);
    fleet.pass(3_000);
    assert_eq!(fleet.said(), [chat(Word::Resolve, &[1]), chat(Word::Raise, &[3])]);
    fleet.pass(9_000);
    assert_eq!(fleet.said(), []);
}

#[test]
fn a_silence_matches_what_it_names_and_nothing_else() {
    let key = |sidecar: &str| Condition::critical(sidecar, "").key;
    let silence = |kind, provider: &str, sidecar: &str| {
        [Silence { id: 7, kind, provider: provider.into(), sidecar: sidecar.into(), until: None }]
    };
    let now = Stamp::from_millis(BEGIN);
    let silenced = |silences: &[Silence]| super::silenced_by(&key("s1"), silences, now).map(|silence| silence.id);
    assert_eq!(silenced(&silence(None, "", "")), Some(7));
    assert_eq!(silenced(&silence(Some(AlertKind::HealthCritical), "", "s1")), Some(7));
    assert_eq!(silenced(&silence(Some(AlertKind::Degraded), "", "s1")), None);
    assert_eq!(silenced(&silence(None, "a", "")), None);
    assert_eq!(silenced(&silence(None, "", "s2")), None);
    let ends = Silence { until: Some(now), ..silence(None, "", "")[0].clone() };
    assert_eq!(silenced(&[ends]), None);
}

#[test]
fn failures_are_tried_again_ever_later_and_given_up_after_a_day() {
    let mut fleet = Fleet::new(vec![slack("chat")]);
    let alert = fleet.raise(1);
    fleet.pass(10);
    let mut waits = Vec::new();
    let began = fleet.now;
    loop {
        let due = fleet.due();
        assert_eq!(due.len(), 1);
        if fleet.state.answered(&due[0], &later("503"), fleet.now, 1.0) == Became::Failed {
            break;
        }
        let told = fleet.state.cases[&1].told["chat"].clone();
        let next = told.trying.unwrap().next;
        waits.push(next.since(fleet.now).as_secs());
        fleet.now = Stamp::from_millis(next.as_millis() - 1);
        assert_eq!(fleet.due(), []);
        fleet.now = next;
    }
    assert_eq!(waits[..11], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert_eq!(fleet.now.since(began).as_secs() / 300, 24 * 12);
    let told = &fleet.state.cases[&1].told["chat"];
    assert_eq!((told.failed, &*told.last_error, told.attempts), (Some(Word::Raise), "503", waits.len() as u32 + 1));
    fleet.pass(4 * 3_600);
    assert_eq!(fleet.said(), [chat(Word::Raise, &[1])], "what still fires is tried anew, where it would be repeated");
    fleet.resolve(&alert);
    fleet.pass(60);
    assert_eq!(fleet.said(), [chat(Word::Resolve, &[1])]);
}

#[test]
fn a_receiver_that_asks_to_be_left_alone_is_and_one_that_fails_holds_up_no_other() {
    let mut fleet = Fleet::new(vec![slack("chat"), slack("mail")]);
    fleet.raise(1);
    fleet.pass(10);
    let due = fleet.due();
    let busy = Outcome::Later { why: "429".into(), after: Some(Duration::from_secs(120)) };
    fleet.state.answered(&due[0], &busy, fleet.now, 0.0);
    assert_eq!(&*fleet.due()[0].channel, "mail");
    fleet.said();
    let at = fleet.now;
    fleet.hear(&Alert { condition: Condition::critical("s1", ""), ..breaker(2, "", at) });
    fleet.pass(119);
    assert_eq!(fleet.said(), [("mail".to_owned(), Word::Raise, vec![2])]);
    fleet.pass(1);
    assert_eq!(fleet.said(), [chat(Word::Raise, &[2]), chat(Word::Raise, &[1])]);
}

#[test]
fn where_each_alert_is_a_message_of_its_own_none_waits_for_another_and_the_end_follows_at_once() {
    let mut fleet = Fleet::new(vec![pagerduty("oncall")]);
    let alerts: Vec<_> = (1..=50).map(|id| fleet.raise(id)).collect();
    fleet.pass(10);
    for id in 1..=50 {
        let message = fleet.due().remove(0);
        assert_eq!((message.word, ids(&message)), (Word::Raise, vec![id]));
        fleet.state.answered(&message, &Outcome::Delivered, fleet.now, 1.0);
    }
    fleet.resolve(&alerts[3]);
    assert_eq!(fleet.said(), [("oncall".to_owned(), Word::Resolve, vec![4])]);
}

#[test]
fn one_message_that_always_fails_holds_up_no_other_for_long() {
    let mut fleet = Fleet::new(vec![pagerduty("oncall")]);
    fleet.raise(1);
    fleet.pass(10);
    let mut delivered = Vec::new();
    for id in 2..40 {
        fleet.raise(id);
        for _ in 0..45 {
            fleet.pass(1);
            while let Some(message) = fleet.due().into_iter().next() {
                let outcome = if ids(&message) == [1] { later("500") } else { Outcome::Delivered };
                fleet.state.answered(&message, &outcome, fleet.now, 1.0);
                delivered.extend((outcome == Outcome::Delivered).then(|| ids(&message)[0]));
            }
        }
    }
    delivered.sort_unstable();
    delivered.dedup();
    assert_eq!(delivered, (2..40).collect::<Vec<_>>());
}

#[test]
fn a_channel_that_is_added_hears_of_what_fires_and_one_that_is_gone_is_forgotten() {
    let mut fleet = Fleet::new(vec![slack("chat")]);
    let over = fleet.raise(1);
    fleet.raise(2);
    fleet.pass(10);
    fleet.said();
    fleet.resolve(&over);
    fleet.settings.channels = vec![slack("mail")];
    assert_eq!(fleet.said(), [("mail".to_owned(), Word::Raise, vec![2])]);
    assert!(!fleet.state.channels.contains_key("chat") && fleet.state.channels.contains_key("mail"));
    assert_eq!(fleet.state.cases[&1].told.len(), 0);
}

#[test]
fn who_was_told_hears_the_end_even_if_no_route_leads_there_any_more() {
    let mut fleet = Fleet::new(vec![slack("chat"), slack("mail")]);
    let alert = fleet.raise(1);
    fleet.pass(10);
    fleet.said();
    fleet.settings.routes = vec![Route { channels: vec!["mail".into()], ..Route::default() }];
    fleet.pass(60);
    fleet.resolve(&alert);
    assert_eq!(fleet.said(), [chat(Word::Resolve, &[1]), ("mail".to_owned(), Word::Resolve, vec![1])]);
}

#[test]
fn an_alert_that_the_store_lost_is_over_after_a_minute_and_one_that_was_missed_is_found() {
    let mut fleet = Fleet::new(vec![slack("chat")]);
    let lost = fleet.raise(1);
    fleet.pass(10);
    fleet.said();
    let found = breaker(5, "p5", fleet.now);
    let unread = breaker(9, "p9", fleet.now);
    fleet.state.compare(&[found.clone(), unread], 5, fleet.now);
    assert!(!fleet.state.cases.contains_key(&9), "its event is still to come");
    fleet.pass(30);
    fleet.state.compare(&[found.clone(), lost.clone()], 5, fleet.now);
    fleet.pass(40);
    fleet.state.compare(std::slice::from_ref(&found), 5, fleet.now);
    fleet.pass(59);
    fleet.state.compare(std::slice::from_ref(&found), 5, fleet.now);
    assert_eq!(fleet.state.cases[&1].alert.resolved, None);
    fleet.pass(1);
    fleet.state.compare(&[found], 5, fleet.now);
    let said = fleet.said();
    assert!(said.contains(&chat(Word::Resolve, &[1])) && said.contains(&chat(Word::Raise, &[5])), "{said:?}");
}

#[test]
fn what_is_told_late_or_again_takes_nothing_back() {
    let mut fleet = Fleet::new(vec![slack("chat")]);
    let alert = fleet.raise(1);
    let known = fleet.acknowledge(&alert);
    let over = fleet.resolve(&known);
    fleet.hear(&alert);
    fleet.hear(&known);
    assert_eq!(fleet.state.cases[&1].alert, over);
    fleet.hear(&Alert { id: 77, ..over });
    assert!(!fleet.state.cases.contains_key(&77), "it was over before anybody delivered anything");
}

#[test]
fn a_message_holds_so_many_alerts_and_all_that_is_remembered_has_a_bound() {
    let mut fleet = Fleet::new(vec![slack("chat")]);
    for id in 1..=450 {
        let alert = breaker(id, &format!("p{id}"), fleet.now);
        fleet.state.hear(&alert);
    }
    fleet.pass(10);
    assert_eq!(fleet.due().iter().map(|one| one.items.len()).collect::<Vec<_>>(), [200, 200, 50]);

    // Too many that wait for a channel that never answers: those that are over go before those that fire.
    for id in 1_000..1_000 + MOST_CASES as u64 {
        let alert = breaker(id, &format!("p{id}"), fleet.now);
        fleet.state.hear(&alert);
        fleet.state.hear(&Alert { resolved: Some(fleet.now), ..alert });
    }
    let untold = fleet.state.settle(&fleet.settings, &[], fleet.now);
    assert_eq!((untold, fleet.state.cases.len()), (450, MOST_CASES));
    assert!(fleet.state.cases.contains_key(&1) && !fleet.state.cases.contains_key(&1_000));

    // Of those of which all is told, the latest are remembered.
    while fleet
        .due()
        .iter()
        .any(|message| fleet.state.clone().answered(message, &Outcome::Delivered, fleet.now, 1.0) == Became::Delivered)
    {
        fleet.said();
        fleet.pass(60);
    }
    fleet.due();
    assert_eq!(fleet.state.cases.len(), 450 + 1_000);
    assert!(fleet.state.cases.values().all(|case| case.told[&Arc::<str>::from("chat")].heard >= Heard::Raised));
}
