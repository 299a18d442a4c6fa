//! What a provider allows the whole fleet, and what retries its calls pay for: a bucket each, from which sidecars draw
//! ahead of need. What is drawn and given back are increments: a request is sent once, and one that is lost leaves less
//! to use, never more. A store that was emptied begins with new buckets.

use std::{collections::HashMap, time::Duration};

use fusebox_proto::{keys::Keys, scripts};
pub use fusebox_rules::fleet::bucket::Unit;
use fusebox_rules::fleet::{
    Stamp,
    bucket::{Ask, Bucket, Drawn, Terms},
};

use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, digits},
};

/// In memory, by provider.
pub(crate) type Held = HashMap<String, [Bucket; 3]>;

/// Does with a provider's bucket what `ask` says.
#[derive(Debug, Clone)]
pub struct Draw<'a> {
    /// Whose.
    pub provider: &'a str,
    /// Which.
    pub unit: Unit,
    /// What the bucket is like, as whoever asks knows it.
    pub terms: Terms,
    /// What is asked.
    pub ask: Ask,
}

impl Operation for Draw<'_> {
    type Reply = Drawn;

    const SCRIPT: &'static str = scripts::DRAW;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![keys.provider(self.provider, &format!("share:{}", self.unit.name()))]
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        let terms = self.terms.bounded();
        let ask = self.ask.bounded(&terms);
        let mut arguments: Vec<_> =
            [terms.per_minute, terms.burst, terms.initial, ask.put, ask.charge].map(digits).into();
        arguments.extend([ask.remaining.map(digits).unwrap_or_default(), digits(ask.want), digits(ask.least)]);
        arguments
    }

    fn read(&self, reply: &mut Reply) -> Result<Drawn, StoreError> {
        let (granted, left) = (reply.number()?, reply.number()?);
        Ok(Drawn { granted, left, ready_in: Duration::from_millis(reply.number()?) })
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Drawn {
        let buckets = memory.shares.entry(self.provider.to_owned()).or_default();
        buckets[self.unit as usize].draw(&self.terms, &self.ask, now)
    }
}
