//! Slack, PagerDuty and webhooks, as their receivers see them, and receivers that fail in every way.

use std::time::{Duration, Instant};

use fusebox_control_plane::alerts::{Channel, ChannelKind, Secret, Settings, Webhook};
use fusebox_proto::store::{Silence, Word};
use fusebox_store::silences;
use fusebox_tests::{
    receiver::{Act, Receiver, Told},
    tls::{Authority, Terminator},
};
use ring::hmac;
use serde_json::{Value, json};

use crate::stage::{PATIENCE, Replica, SECRET, at_once, key, now, pagerduty, slack, webhook, words};

/// As the documentation tells a receiver to do it.
fn verify(told: &Told, secret: &str) -> Result<u64, &'static str> {
    let header = told.header("x-fusebox-signature").ok_or("no signature")?;
    let part = |name: &str| header.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    let (seconds, mac) = (part("t").ok_or("no time")?, part("v1").ok_or("no signature of this version")?);
    let bytes: Option<Vec<u8>> =
        (0..mac.len() / 2).map(|at| u8::from_str_radix(mac.get(2 * at..2 * at + 2)?, 16).ok()).collect();
    let signed = [seconds.as_bytes(), b".", &told.body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::verify(&key, &signed, &bytes.ok_or("no digits")?).map_err(|_| "signed by somebody else")?;
    seconds.parse().map_err(|_| "no time")
}

#[tokio::test]
async fn a_webhook_is_told_the_whole_story_of_an_alert_under_one_key_and_signed() {
    let receiver = Receiver::start().await;
    let replica = Replica::alone(vec![webhook(&receiver.url("/hooks/1"))]);
    let alert = replica.raise("a").await;
    receiver.told_until(|told| told.len() == 1).await;
    replica.acknowledge(&alert).await;
    receiver.told_until(|told| told.len() == 2).await;
    replica.resolve(&alert).await;
    let told = receiver.told_until(|told| told.len() == 3).await;
    assert_eq!(words(&told, &alert), ["raised", "acknowledged", "resolved"]);
    for told in &told {
        let signed = verify(told, SECRET).expect("it is signed");
        assert!(now().as_millis() / 1_000 - signed < 60);
        assert!(verify(told, "another").is_err());
        assert_eq!((told.path.as_str(), told.header("content-type")), ("/hooks/1", Some("application/json")));
    }
    let body = told[1].json();
    assert_eq!(
        (&body["fleet"], &body["severity"], &body["kind"]),
        (&json!("eu 1"), &json!("warning"), &json!("error_spike"))
    );
    let one = &body["alerts"][0];
    assert_eq!(
        (&one["dedupKey"], &one["provider"], &one["errorKind"]),
        (&json!(key(&alert)), &json!("a"), &json!("timeout"))
    );
    assert_eq!((&one["acknowledgedBy"], &one["resolvedAt"]), (&json!("ada"), &Value::Null));
    assert_eq!(one["message"], json!(alert.condition.message));
    let delivery = replica.delivery(&alert, |delivery| delivery.state == "delivered").await;
    assert_eq!((delivery.channel.as_str(), delivery.attempts, delivery.last_error.as_str()), ("hook", 1, ""));
}

#[tokio::test]
async fn what_may_pass_is_tried_again_under_the_same_key_until_the_receiver_says_yes() {
    let receiver = Receiver::start().await;
    receiver.follow([Act::status(503), Act::HangUp, Act::status(500)]);
    let replica = Replica::alone(vec![webhook(&receiver.url("/"))]);
    let alert = replica.raise("a").await;
    let tried = replica.delivery(&alert, |delivery| !delivery.last_error.is_empty()).await;
    assert_eq!((tried.state.as_str(), tried.last_error.as_str()), ("pending", "503 Service Unavailable"));
    let told = receiver.told_until(|told| told.len() == 4).await;
    assert!(told.iter().all(|one| one.body == told[0].body && verify(one, SECRET).is_ok()));
    assert!(told.iter().all(|one| one.header("x-fusebox-dedup-key") == Some(&key(&alert))));
    let delivery = replica.delivery(&alert, |delivery| delivery.state == "delivered").await;
    assert_eq!((delivery.attempts, delivery.last_error.as_str()), (4, ""));
    let counts = replica.deliverer.deliveries().counts();
    assert_eq!((counts[0].delivered, counts[0].tried_again, counts[0].failed, counts[0].pending), (1, 3, 0, 0));
    let channel = &replica.deliverer.deliveries().channels()[0];
    assert!(channel.delivered_at.is_some() && channel.failing_since.is_none());
}

#[tokio::test]
async fn a_receiver_that_names_a_time_is_left_alone_until_then() {
    let receiver = Receiver::start().await;
    let headers = vec![("retry-after", "3".to_owned())];
    receiver.follow([Act::Answer { status: 429, headers, body: String::new() }]);
    let replica = Replica::alone(vec![webhook(&receiver.url("/"))]);
    replica.raise("a").await;
    receiver.told_until(|told| told.len() == 1).await;
    let refused = Instant::now();
    // Another alert waits as well.
    replica.raise("b").await;
    receiver.told_until(|told| told.len() > 1).await;
    assert!(refused.elapsed() >= Duration::from_millis(2_900), "{:?}", refused.elapsed());
}

#[tokio::test]
async fn what_will_not_pass_is_given_up_at_once_and_shown_in_the_receivers_words_without_our_secrets() {
    let receiver = Receiver::start().await;
    let body = format!("no\nservice under {SECRET} {}", "x".repeat(200_000));
    receiver.follow([Act::Answer { status: 404, headers: vec![], body }]);
    let replica = Replica::alone(vec![webhook(&receiver.url("/"))]);
    let alert = replica.raise("a").await;
    let delivery = replica.delivery(&alert, |delivery| delivery.state == "failed").await;
    assert!(delivery.last_error.starts_with("404 Not Found: no service under … xxx"), "{}", delivery.last_error);
    assert!(delivery.last_error.len() < 256);
    replica.resolve(&alert).await;
    let other = replica.raise("b").await;
    replica.delivery(&other, |delivery| delivery.state == "delivered").await;
    assert_eq!(receiver.told().len(), 2, "the end is told to those who were told of the beginning");
    assert_eq!(replica.deliverer.deliveries().counts()[0].failed, 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    for status in [301, 307] {
        receiver.follow([Act::Answer { status, headers: vec![("location", elsewhere.url("/"))], body: String::new() }]);
    }
    let replica = Replica::alone(vec![webhook(&receiver.url("/"))]);
    for provider in ["a", "b"] {
        let alert = replica.raise(provider).await;
        let delivery = replica.delivery(&alert, |delivery| delivery.state == "failed").await;
        assert!(delivery.last_error.ends_with("(redirects are not followed)"), "{}", delivery.last_error);
    }
    assert_eq!(elsewhere.told().len(), 0);
}

#[tokio::test]
async fn a_receiver_that_never_answers_and_one_that_is_not_there_hold_up_no_other() {
    let (receiver, hangs) = (Receiver::start().await, Receiver::start().await);
    hangs.follow([Act::Hang]);
    let nowhere = slack("http://127.0.0.1:1/");
    let replica = Replica::alone(vec![pagerduty(&hangs.url("/")), nowhere, webhook(&receiver.url("/"))]);
    let alert = replica.raise("a").await;
    hangs.told_until(|told| told.len() == 1).await;
    let began = Instant::now();
    replica.resolve(&alert).await;
    let told = receiver.told_until(|told| told.iter().any(|one| one.json()["event"] == "resolved")).await;
    assert_eq!(words(&told, &alert), ["raised", "resolved"]);
    assert!(began.elapsed() < Duration::from_secs(9), "it did not wait for the other's ten seconds");
    replica.delivery(&alert, |delivery| delivery.channel == "chat" && !delivery.last_error.is_empty()).await;
    let channels = replica.deliverer.deliveries().channels();
    assert_eq!(
        channels.iter().map(|channel| channel.kind.as_str()).collect::<Vec<_>>(),
        ["pagerduty", "slack", "webhook"]
    );
    assert_eq!((channels[1].pending, channels[1].failing_since.is_some()), (1, true));
    // What hung is tried again, and then the end follows.
    let told = hangs.told_until(|told| told.len() == 3).await;
    let actions: Vec<_> = told.iter().map(|told| told.json()["event_action"].clone()).collect();
    assert_eq!(actions, ["trigger", "trigger", "resolve"]);
}

#[tokio::test]
async fn slack_is_sent_what_its_documentation_asks_for() {
    let receiver = Receiver::start().await;
    let replica = Replica::alone(vec![slack(&receiver.url("/services/T0/B0/x"))]);
    replica.raise("a").await;
    let told = receiver.told_until(|told| told.len() == 1).await.remove(0);
    let body = told.json();
    assert!(body["text"].as_str().is_some_and(|text| text.starts_with("Firing, warning: error spike: a (fleet eu 1)")));
    for block in body["blocks"].as_array().unwrap() {
        let text = match block["type"].as_str().unwrap() {
            "header" => block["text"].clone(),
            "section" => block["text"].clone(),
            "context" => block["elements"][0].clone(),
            other => panic!("{other}"),
        };
        let kind = if block["type"] == "header" { "plain_text" } else { "mrkdwn" };
        assert_eq!(text["type"], kind);
        assert!(text["text"].as_str().is_some_and(|text| !text.is_empty()));
    }
}

#[tokio::test]
async fn pagerduty_has_one_incident_from_its_trigger_to_its_end() {
    let receiver = Receiver::start().await;
    let accepted = json!({ "status": "success", "message": "Event processed", "dedup_key": "x" });
    receiver.follow((0..3).map(|_| Act::Answer { status: 202, headers: vec![], body: accepted.to_string() }));
    let replica = Replica::alone(vec![pagerduty(&receiver.url("/v2/enqueue"))]);
    let alert = replica.raise("a").await;
    receiver.told_until(|told| told.len() == 1).await;
    replica.acknowledge(&alert).await;
    receiver.told_until(|told| told.len() == 2).await;
    replica.resolve(&alert).await;
    let told = receiver.told_until(|told| told.len() == 3).await;
    for (told, action) in told.iter().zip(["trigger", "acknowledge", "resolve"]) {
        let event = told.json();
        assert_eq!(event["event_action"], action);
        assert_eq!((&event["dedup_key"], &event["routing_key"]), (&json!(key(&alert)), &json!("r0uting")));
        assert!(event["dedup_key"].as_str().unwrap().len() <= 255);
    }
    let payload = &told[0].json()["payload"];
    for required in ["summary", "source", "severity"] {
        assert!(payload[required].as_str().is_some_and(|text| !text.is_empty()), "{required}");
    }
    assert_eq!(
        (&payload["severity"], &payload["custom_details"]["error_kind"]),
        (&json!("warning"), &json!("timeout"))
    );
}

#[tokio::test]
async fn alerts_that_come_together_are_one_message_and_those_that_follow_another() {
    let receiver = Receiver::start().await;
    let mut settings = at_once(vec![webhook(&receiver.url("/"))]);
    settings.routes[0].group_wait = Duration::from_secs(2);
    settings.routes[0].group_interval = Duration::from_secs(3);
    let replica = Replica::start("alone", crate::stage::here(), settings);
    let mut alerts = Vec::new();
    for provider in ["a", "b", "c"] {
        alerts.push(replica.raise(provider).await);
    }
    receiver.told_until(|told| told.len() == 1).await;
    alerts.push(replica.raise("d").await);
    let told = receiver.told_until(|told| told.len() == 2).await;
    let keys = |told: &Told| -> Vec<String> {
        told.json()["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["dedupKey"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(keys(&told[0]), alerts[..3].iter().map(key).collect::<Vec<_>>());
    assert_eq!(keys(&told[1]), alerts[3..].iter().map(key).collect::<Vec<_>>());
    assert_ne!(told[0].header("x-fusebox-dedup-key"), told[1].header("x-fusebox-dedup-key"));
}

#[tokio::test]
async fn a_silence_keeps_an_alert_back_until_it_ends() {
    let receiver = Receiver::start().await;
    let replica = Replica::alone(vec![webhook(&receiver.url("/"))]);
    let word = Word { by: "ada".into(), reason: "maintenance".into(), at_ms: 1, expires_ms: 0 };
    let silence = Silence { kind: 0, provider: "quiet".into(), sidecar: String::new(), word: Some(word) };
    let (_, id) = replica.store.ask(&silences::Set { silence: &silence }, PATIENCE).await.unwrap();
    let quiet = replica.raise("quiet").await;
    let loud = replica.raise("loud").await;
    receiver.told_until(|told| told.len() == 1).await;
    let pending = replica.delivery(&quiet, |delivery| delivery.state == "pending").await;
    assert_eq!((pending.attempts, words(&receiver.told(), &loud)), (0, vec!["raised".to_owned()]));
    replica.store.ask(&silences::End { id: id.unwrap() }, PATIENCE).await.unwrap();
    let told = receiver.told_until(|told| told.len() == 2).await;
    assert_eq!(words(&told, &quiet), ["raised"]);
}

#[tokio::test]
async fn settings_are_exchanged_while_it_runs() {
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    let replica = Replica::alone(vec![webhook(&first.url("/"))]);
    let alert = replica.raise("a").await;
    replica.delivery(&alert, |delivery| delivery.state == "delivered").await;
    replica.deliverer.exchange(at_once(vec![webhook(&first.url("/")), pagerduty(&second.url("/"))]));
    second.told_until(|told| told.len() == 1).await;
    assert_eq!(first.told().len(), 1, "it knows already");
    replica.deliverer.exchange(Settings::default());
    replica.resolve(&alert).await;
    assert!(replica.deliverer.deliveries().channels().is_empty());
}

#[tokio::test]
async fn under_tls_a_receiver_is_told_if_its_authority_is_trusted_and_not_otherwise() {
    let receiver = Receiver::start().await;
    let (ours, another) = (Authority::new(), Authority::new());
    let tls = Terminator::start(&ours.issue("receiver"), &["http/1.1"], receiver.address()).await;
    let channel = |authority: &Authority| {
        let url = Secret::new(format!("https://{}/", tls.address()));
        let kind = Webhook { url, secret: None, ca_file: Some(authority.file().into()) };
        Channel { name: "hook".into(), kind: ChannelKind::Webhook(kind) }
    };
    let replica = Replica::alone(vec![channel(&another)]);
    let alert = replica.raise("a").await;
    let delivery = replica.delivery(&alert, |delivery| delivery.attempts > 0).await;
    assert_eq!((delivery.state.as_str(), receiver.told().len()), ("pending", 0), "{}", delivery.last_error);
    replica.deliverer.exchange(at_once(vec![channel(&ours)]));
    let told = receiver.told_until(|told| told.len() == 1).await;
    assert_eq!(words(&told, &alert), ["raised"]);
    assert_eq!(told[0].header("x-fusebox-signature"), None, "there is no secret to sign it with");
}
