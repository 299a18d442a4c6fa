//! Who is there: a heartbeat of each sidecar, which holds until a few were missed.

mod beat;
mod leave;
mod live;

use std::time::Duration;

use fusebox_proto::store::Heartbeat;
use fusebox_rules::fleet::Stamp;

pub use self::{
    beat::{Beat, Beaten},
    leave::Leave,
    live::{Alive, Live, Page},
};
use crate::recent::Recent;

/// Heartbeats that are missed until a sidecar is taken for gone.
pub const MISSED: u32 = 3;

/// Sidecars of a fleet. Those that have been silent longest give way to more.
const MOST_SIDECARS: u32 = 20_000;
/// How long those are remembered whose heartbeats were missed, for people to see.
pub const LATELY: Duration = Duration::from_secs(60);
/// Sidecars forgotten by one heartbeat that comes, at most.
const SWEEP: usize = 16;
/// How long a fleet of which nothing is heard is remembered.
const KEPT: Duration = Duration::from_secs(3_600);
/// What the scripts touch.
const KEYS: [&str; 3] = ["beats", "live", "ids"];

/// In memory: heartbeats with when they came, by when they end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held(Recent<(Stamp, Heartbeat)>);

impl Held {
    fn live(&self, now: Stamp) -> u32 {
        u32::try_from(self.0.later_than(now)).unwrap_or(u32::MAX)
    }
}
