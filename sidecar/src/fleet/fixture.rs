//! Sidecars that share a store in this process's memory, whose time is tokio's.

use std::sync::Arc;

use fusebox_rules::{fleet::Stamp, moment::Moment};
use fusebox_store::Store;

use super::Fleet;
use crate::{clock, config::Config, telemetry::Telemetry};

pub(super) fn sidecars(count: usize) -> Vec<Arc<Fleet>> {
    let now = || Stamp::from_millis(1_000_000 + u64::try_from(clock::now().since(Moment::ZERO).as_millis()).unwrap());
    let store = Arc::new(Store::here("fleet", Box::new(now)));
    let telemetry = Telemetry::try_new(&Config::default().telemetry, 1).unwrap();
    let one = |number| Fleet::at(Arc::clone(&store), format!("sidecar-{number}").into(), &telemetry);
    (0..count).map(|number| Arc::new(one(number))).collect()
}
