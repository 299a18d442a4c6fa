//! What others change, as soon as they say so. What is missed is found at the next synchronisation.

use std::sync::Arc;

use fusebox_store::Told;

use super::{Fleet, Member};

impl Fleet {
    /// Listens. Does not end.
    pub(super) async fn hear(self: Arc<Self>, members: Vec<Member>) {
        let names = members.iter().map(|member| &*member.settings.name);
        let mut news = match self.store.news(names) {
            Ok(news) => news,
            Err(error) => {
                tracing::warn!(target: "fusebox::fleet", %error, "nothing is heard of the fleet between synchronisations");
                return std::future::pending().await;
            }
        };
        loop {
            match news.next().await {
                Told::Breakers(told) => {
                    let clock = self.clock();
                    for one in told {
                        let own = members.iter().find(|member| *member.settings.name == *one.provider);
                        // Before the first reply the shared time is not known, nor what a record's end means.
                        if let Some(member) = own.filter(|_| clock.is_set()) {
                            member.gate.follow(&one.record, &clock);
                        }
                    }
                    // Somebody has to look after what begins with the new state, its end or its probes; not all at once.
                    self.moved.notify_one();
                }
                // What cannot be fetched now is told of, and asked for at the next heartbeat.
                Told::Settings => drop(self.fetch_orders().await),
                Told::Look => {
                    self.bells.news.notify_one();
                    drop(self.fetch_orders().await);
                }
            }
        }
    }
}
