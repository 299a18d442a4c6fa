//! Alerts of a real fleet, brought to a real receiver by whichever replica is there.

use fusebox_proto::v1;
use fusebox_tests::{
    control_plane::ControlPlane,
    provider::act::json as answer,
    receiver::{Receiver, Told},
};
use serde_json::{Value, json};

use super::Scene;

fn told_to(receiver: &Receiver) -> Value {
    let channel = json!({"name": "hook", "kind": "webhook", "url": receiver.url("/alerts")});
    let route = json!({"group_wait": "0s", "group_interval": "1s"});
    json!({"alerts": {"channels": [channel], "routes": [route]}})
}

fn about_first(told: &Told) -> bool {
    told.body.windows(5).any(|word| word == b"first")
}

#[tokio::test]
async fn when_the_replica_that_delivers_dies_no_alert_is_lost_and_each_keeps_its_key() {
    let receiver = Receiver::start().await;
    let mut scene = Scene::with(1, told_to(&receiver)).await;
    scene.control.logged("that it delivers", |line| line.contains("this replica delivers alerts")).await;
    let other = ControlPlane::of(&scene.redis.url(), told_to(&receiver)).await;
    scene.control.signal("KILL").await;
    scene.control.ended().await;
    scene.first.play(answer(500, &json!({})));
    for _ in 0..6 {
        scene.call_all().await;
    }
    let told = receiver.told_until(|told| told.iter().any(about_first)).await;
    let told = told.into_iter().find(about_first).unwrap();
    assert!(told.header("x-fusebox-dedup-key").is_some(), "{:?}", told.headers);
    let delivered = |fleet: &v1::Fleet| {
        let alert = fleet.firing_alerts.iter().find(|alert| alert.provider == "first");
        alert.is_some_and(|alert| alert.deliveries.iter().any(|one| one.channel == "hook" && one.state == "delivered"))
    };
    let fleet = other.until("what became of it", delivered).await;
    assert_eq!(fleet.channels[0].name, "hook");
}
