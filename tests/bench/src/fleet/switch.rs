//! How long calls still reach a provider that an operator has switched off, and how long it takes until every sidecar has
//! said that they no longer do. The sidecars are processes, called all the time; the provider notes what arrives.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use fusebox_rules::fleet::settings::{Change, Word};
use fusebox_store::{
    Operation, Store,
    presence::Live,
    redis::Address,
    settings::{Condition, GetSettings, PutSettings},
};
use tokio::{
    runtime,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Stage,
    servers::{self, Redis, Sidecar},
    traffic::{self, Board},
};
use crate::{clock, payload::MODEL};

/// How long the store may take for an answer, and all sidecars for what they are told.
const LIMIT: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at what tells nobody that it has come about.
const LOOK: Duration = Duration::from_millis(5);

/// One time that the provider was switched off.
#[derive(Debug, Clone)]
pub(super) struct Switching {
    /// From just before the settings were sent, to each sidecar's last call that arrived; none: its last one had.
    pub(super) last_calls: Vec<Duration>,
    /// From the same, to the last sidecar's word that it has done it.
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

/// An operator, and what it looks at.
struct Operator {
    store: Store,
    board: Arc<Board>,
    sidecars: usize,
}

pub(super) fn run(stage: &Stage<'_>) -> io::Result<Switches> {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let board = Board::new(stage.scale.processes);
    let (provider, _provider) = runtime.block_on(traffic::provide(&board))?;
    let redis = Redis::start(stage.redis, stage.directory)?;
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
        let operator = Operator::open(&redis, &board, sidecars.len()).await?;
        let mut switchings = Vec::new();
        for _ in 0..stage.scale.openings {
            switchings.push(operator.switch_off_and_on().await?);
        }
        Ok(Switches { processes: sidecars.len(), switchings, failed: board.failed() })
    })
}

impl Operator {
    async fn open(redis: &Redis, board: &Arc<Board>, sidecars: usize) -> io::Result<Self> {
        let address = Address::parse(&redis.url()).map_err(io::Error::other)?;
        let store = Store::redis(address, "default", clock::for_store()).map_err(io::Error::other)?;
        if let Some(mut link) = store.link_changes() {
            let up = timeout(PATIENCE, link.wait_for(|link| link.connected)).await;
            up.map_err(io::Error::other)?.map_err(io::Error::other)?;
        }
        Ok(Self { store, board: Arc::clone(board), sidecars })
    }

    /// Switches it off while all are called, and then on again.
    async fn switch_off_and_on(&self) -> io::Result<Switching> {
        let began = clock::now();
        self.until("calls of all to arrive", || self.board.arrivals(began).iter().all(Option::is_some)).await?;
        let (off_at, version) = self.set(false).await?;
        self.until_acknowledged(version).await?;
        let acknowledged = clock::now().duration_since(off_at);
        // What was under way has arrived by the time that the next call is refused.
        let then = clock::now();
        self.until("calls of all to be refused", || self.board.all_refused(then)).await?;
        let last_calls = self.board.arrivals(off_at).into_iter().map(Option::unwrap_or_default).collect();
        let (_, version) = self.set(true).await?;
        self.until_acknowledged(version).await?;
        Ok(Switching { last_calls, acknowledged })
    }

    /// When it began to say so, and the settings' version.
    async fn set(&self, on: bool) -> io::Result<(Instant, u64)> {
        let at = clock::now();
        let (now, settings) = self.store.ask(&GetSettings, LIMIT).await.map_err(io::Error::other)?;
        let word = Word { by: "bench".to_owned(), reason: String::new(), at: now, expires: None };
        let next = settings.changed(Change::Enabled(MODEL.to_owned(), Some(on)), word, now);
        let next = next.map_err(|refusal| io::Error::other(format!("{refusal:?}")))?;
        let put = PutSettings { settings: &next, condition: Condition::Replaces(settings.version) };
        let placed = self.ask(&put).await?;
        if placed.won { Ok((at, next.version)) } else { Err(io::Error::other("somebody else has set something")) }
    }

    async fn until_acknowledged(&self, version: u64) -> io::Result<()> {
        let began = clock::now();
        loop {
            let page = self.ask(&Live { after: "", most: 500, lately: Duration::ZERO }).await?;
            let done = page.sidecars.iter().filter(|one| one.heartbeat.settings_version == version).count();
            if done == self.sidecars {
                return Ok(());
            }
            if clock::now().duration_since(began) > PATIENCE {
                return Err(io::Error::other(format!("{done} of {} have done it", self.sidecars)));
            }
            sleep(LOOK).await;
        }
    }

    async fn until(&self, what: &str, holds: impl Fn() -> bool) -> io::Result<()> {
        let wait = async {
            while !holds() {
                sleep(LOOK).await;
            }
        };
        timeout(PATIENCE, wait).await.map_err(|_| io::Error::other(format!("waited {PATIENCE:?} for {what}")))
    }

    async fn ask<O: Operation>(&self, operation: &O) -> io::Result<O::Reply> {
        Ok(self.store.ask(operation, LIMIT).await.map_err(io::Error::other)?.1)
    }
}
