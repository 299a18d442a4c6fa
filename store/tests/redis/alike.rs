//! The same steps in memory and in a Redis, in a time that the test sets, with the replies held against each other.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use fusebox_proto::keys::Keys;
use fusebox_rules::fleet::Stamp;
use fusebox_store::{
    Operation, Store,
    operation::{Place, Reply},
    redis::{Link, cmd},
};

use super::server::{LIMIT, Server, connected};

/// How the scripts read the time.
const TIME: &str = "redis.call('TIME')";

pub(crate) struct Alike {
    here: Store,
    link: Link,
    keys: Keys,
    now: Arc<AtomicU64>,
    _server: Server,
}

impl Alike {
    pub(crate) async fn start() -> Self {
        let server = Server::start(&[]).await;
        let link = connected(server.address()).await;
        let now = Arc::new(AtomicU64::new(1_700_000_000_000));
        let time = Arc::clone(&now);
        let here = Store::here("fleet", Box::new(move || Stamp::from_millis(time.load(Ordering::Relaxed))));
        Self { here, link, keys: Keys::new("", "fleet"), now, _server: server }
    }

    pub(crate) fn now(&self) -> Stamp {
        Stamp::from_millis(self.now.load(Ordering::Relaxed))
    }

    pub(crate) fn later(&self, millis: u64) {
        self.now.fetch_add(millis, Ordering::Relaxed);
    }

    /// The reply that both give.
    pub(crate) async fn ask<O: Operation>(&self, operation: &O) -> O::Reply
    where
        O::Reply: PartialEq,
    {
        let (_, here) = self.here.ask(operation, LIMIT).await.unwrap();
        let there = self.ask_redis(operation).await;
        assert_eq!(here, there, "in memory and in Redis, at {:?}: {operation:?}", self.now());
        here
    }

    async fn ask_redis<O: Operation>(&self, operation: &O) -> O::Reply {
        let keys = operation.keys(&self.keys);
        let tag = |key: &String| key[..=key.find('}').unwrap()].to_owned();
        assert!(keys.iter().all(|key| tag(key) == tag(&keys[0])), "of several slots: {keys:?}");
        assert!(O::SCRIPT.contains(TIME));
        let millis = self.now().as_millis();
        let time = format!("{{ '{}', '{}' }}", millis / 1_000, millis % 1_000 * 1_000);
        let mut command = cmd("EVAL");
        command.arg(O::SCRIPT.replace(TIME, &time)).arg(keys.len()).arg(keys);
        for argument in operation.arguments(&Place { keys: &self.keys, publish: "PUBLISH" }) {
            command.arg(argument);
        }
        let value = self.link.command(command, LIMIT).await.unwrap_or_else(|error| panic!("{operation:?}: {error}"));
        let (now, mut reply) = Reply::begin(value).unwrap();
        assert_eq!(now, self.now());
        operation.read(&mut reply).unwrap_or_else(|error| panic!("{operation:?}: {error}"))
    }
}
