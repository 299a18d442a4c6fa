//! What is published is heard, also after the server was away.

use fusebox_store::redis::{Batch, Heard, Hints, Script, Value};
use tokio::time::timeout;

use super::server::{LIMIT, LONG, Server, ask, connected, until};

pub(crate) async fn next(hints: &mut Hints) -> Heard {
    timeout(LONG, hints.next()).await.expect("something is heard")
}

pub(crate) fn hint(channel: &str, payload: &[u8]) -> Heard {
    Heard::Hint { channel: channel.to_owned(), payload: payload.to_vec() }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn hints_are_heard_and_after_a_restart_subscribed_anew() {
    let mut server = Server::start(&[]).await;
    let link = connected(server.address()).await;
    let mut hints = Hints::open(server.address(), names(&["a", "b"])).unwrap();
    assert_eq!(next(&mut hints).await, Heard::Subscribed { generation: 1 });
    let publish = Script::new("return redis.call(ARGV[1], KEYS[1], ARGV[2])");
    let words = vec![link.publish_command().as_bytes().to_vec(), vec![0, 255]];
    let batch = Batch::new().script(&publish, vec![b"b".to_vec()], words);
    assert_eq!(link.request(&batch, LIMIT).await, [Ok(Value::Int(1))]);
    assert_eq!(next(&mut hints).await, hint("b", &[0, 255]));

    server.kill().await;
    until(&link, |state| !state.connected).await;
    server.restart().await;
    assert_eq!(next(&mut hints).await, Heard::Subscribed { generation: 2 });
    until(&link, |state| state.connected).await;
    assert_eq!(ask(&link, &["PUBLISH", "a", "again"]).await, Ok(Value::Int(1)));
    assert_eq!(next(&mut hints).await, hint("a", b"again"));
}

#[tokio::test]
async fn a_frozen_server_is_noticed_by_who_only_listens() {
    let server = Server::start(&[]).await;
    let mut hints = Hints::open(server.address(), names(&["a"])).unwrap();
    assert_eq!(next(&mut hints).await, Heard::Subscribed { generation: 1 });
    server.freeze().await;
    // The server accepts nobody while it is frozen, so the second subscription comes after it.
    assert!(timeout(std::time::Duration::from_secs(3), hints.next()).await.is_err());
    server.thaw().await;
    assert_eq!(next(&mut hints).await, Heard::Subscribed { generation: 2 });
}

#[tokio::test]
async fn other_channels_are_listened_to_when_wanted() {
    let server = Server::start(&[]).await;
    let link = connected(server.address()).await;
    let mut hints = Hints::open(server.address(), names(&["a"])).unwrap();
    assert_eq!(next(&mut hints).await, Heard::Subscribed { generation: 1 });
    hints.listen_to(names(&["b"]));
    assert_eq!(next(&mut hints).await, Heard::Subscribed { generation: 2 });
    ask(&link, &["PUBLISH", "a", "old"]).await.unwrap();
    ask(&link, &["PUBLISH", "b", "new"]).await.unwrap();
    assert_eq!(next(&mut hints).await, hint("b", b"new"));
}
