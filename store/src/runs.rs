//! Agent runs whose calls come to several sidecars: each tells its own part, and hears what all others' amount to. A
//! part is told as what it is, so that it may be told again, late, or after the store has lost it.

mod look;
mod tell;

use std::{collections::BTreeMap, time::Duration};

use fusebox_proto::keys::Keys;
use fusebox_rules::{
    fleet::Stamp,
    run::{Repeat, Spent, others::Others},
};

pub use self::{
    look::Look,
    tell::{MOST_PARTS, Tell, Told},
};
use crate::{StoreError, operation::Reply, recent::Recent};

/// Runs that are kept in memory. Those that would be forgotten first give way to more.
const MOST_RUNS: usize = 65_536;

/// In memory, by the run's id and until when it is remembered.
pub(crate) type Held = Recent<Run>;

/// One run, in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    until: Stamp,
    began: Stamp,
    parts: BTreeMap<u64, Spent>,
    sum: Spent,
    worst: Option<Repeat>,
    /// By part, what it told of the tool calls that were asked for.
    told: BTreeMap<u64, BTreeMap<u64, u64>>,
    /// How often each was, over all parts.
    asked: BTreeMap<u64, u64>,
}

/// Where a run is kept.
fn key(keys: &Keys, run: &str) -> String {
    keys.item("run", run, "parts")
}

/// What is known of a run, before anything of it is taken for one's own.
fn known(run: Option<&Run>, prints: impl Iterator<Item = u64>, now: Stamp) -> Others {
    let Some(run) = run else { return Others { asked: prints.map(|print| (print, 0)).collect(), ..Others::default() } };
    let times = |print| run.asked.get(&print).map_or(0, |times| u32::try_from(*times).unwrap_or(u32::MAX));
    Others {
        spent: run.sum,
        ran: now.since(run.began),
        worst: run.worst.clone(),
        asked: prints.map(|print| (print, times(print))).collect(),
    }
}

/// As [`known`], from a script's reply.
fn read(reply: &mut Reply, prints: impl Iterator<Item = u64>) -> Result<Others, StoreError> {
    let ran = Duration::from_millis(reply.number()?);
    let spent = Spent {
        calls: reply.number()?,
        tool_calls: reply.number()?,
        tokens: reply.number()?,
        cost_nanos: reply.number()?,
    };
    let (times, tool) = (reply.number()?, reply.text()?);
    let worst = (times > 0).then_some(Repeat { tool, times });
    let times = |print| Ok((print, u32::try_from(reply.number::<u64>()?).unwrap_or(u32::MAX)));
    Ok(Others { spent, ran, worst, asked: prints.map(times).collect::<Result<_, _>>()? })
}
