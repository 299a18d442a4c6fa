//! How long calls still reach a provider that an operator has switched off, and how long it takes until every sidecar has
//! said that they no longer do. The sidecars are processes, called all the time; the provider notes what arrives. The
//! operator asks a control plane, by each of its doors in turn.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    runtime,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Stage,
    operator::{Door, Operator},
    servers::{self, ControlPlane, Redis, Sidecar},
    traffic::{self, Board},
};
use crate::{clock, payload::MODEL};

/// How long calls may take to arrive, or to be refused.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at what tells nobody that it has come about.
const LOOK: Duration = Duration::from_millis(5);

/// One time that the provider was switched off.
#[derive(Debug, Clone)]
pub(super) struct Switching {
    pub(super) door: Door,
    /// From just before it was asked for, to each sidecar's last call that arrived; none: its last one had.
    pub(super) last_calls: Vec<Duration>,
    /// From the same, to the answer that all sidecars have done it.
    pub(super) acknowledged: Duration,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Switches {
    pub(super) processes: usize,
    pub(super) switchings: Vec<Switching>,
    /// Calls that were neither answered nor refused.
    pub(super) failed: u64,
}

pub(super) fn run(stage: &Stage<'_>) -> io::Result<Switches> {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let board = Board::new(stage.scale.processes);
    let (provider, _provider) = runtime.block_on(traffic::provide(&board))?;
    let redis = Redis::start(stage.redis, stage.directory)?;
    let control = ControlPlane::start(stage.control_plane, stage.directory, &redis)?;
    let start = |number| {
        let mut config = servers::config(Some(&redis), &[(MODEL, provider)], "error");
        config["providers"][0]["base_url"] = format!("http://{provider}/{number}/v1").into();
        Sidecar::begin(stage.sidecar, stage.directory, &format!("switched-{number}"), &config)
    };
    let mut sidecars = (0..stage.scale.processes).map(start).collect::<io::Result<Vec<_>>>()?;
    sidecars.iter_mut().try_for_each(Sidecar::await_ready)?;
    sidecars.iter().try_for_each(|sidecar| sidecar.await_fleet(stage.scale.processes))?;
    runtime.block_on(async {
        let mut callers = JoinSet::new();
        for (number, sidecar) in sidecars.iter().enumerate() {
            callers.spawn(traffic::call(Arc::clone(&board), number, sidecar.http));
        }
        let operator = Operator::of(&control, &stage.control_plane.with_file_name("fusebox"), sidecars.len())?;
        let mut switchings = Vec::new();
        for door in Door::ALL {
            for _ in 0..stage.scale.openings {
                switchings.push(switch_off_and_on(&operator, door, &board).await?);
            }
        }
        Ok(Switches { processes: sidecars.len(), switchings, failed: board.failed() })
    })
}

/// Switches it off while all are called, and then on again.
async fn switch_off_and_on(operator: &Operator, door: Door, board: &Board) -> io::Result<Switching> {
    let began = clock::now();
    until("calls of all to arrive", || board.arrivals(began).iter().all(Option::is_some)).await?;
    let off_at = clock::now();
    operator.set(door, MODEL, false).await?;
    let acknowledged = clock::now().duration_since(off_at);
    // What was under way has arrived by the time that the next call is refused.
    let then = clock::now();
    until("calls of all to be refused", || board.all_refused(then)).await?;
    let last_calls = board.arrivals(off_at).into_iter().map(Option::unwrap_or_default).collect();
    operator.set(door, MODEL, true).await?;
    Ok(Switching { door, last_calls, acknowledged })
}

async fn until(what: &str, holds: impl Fn() -> bool) -> io::Result<()> {
    let wait = async {
        while !holds() {
            sleep(LOOK).await;
        }
    };
    timeout(PATIENCE, wait).await.map_err(|_| io::Error::other(format!("waited {PATIENCE:?} for {what}")))
}
