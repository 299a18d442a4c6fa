//! A thousand sidecars as Redis sees them: each with its two connections, asking what a sidecar whose providers are all
//! called asks at a sidecar's own pace. They decide nothing, and all run in this process, so only Redis' own time says anything of a real fleet.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use fusebox_proto::store::{
    Heartbeat,
    heartbeat::{ServedModel, Totals},
};
use fusebox_rules::{
    breaker::{Mode, State},
    fleet::{
        Reason, Record, Report, Stamp,
        bucket::{Ask, Terms, Unit},
        pace,
    },
};
use fusebox_store::{
    Operation, Store, Told,
    alerts::Firing,
    breaker::{self, Commit, Condition},
    errors::{Count, Counts},
    lock::Lock,
    presence::{Beat, Live},
    redis::Address,
    share::Draw,
};
use futures_util::future::join_all;
use tokio::{
    runtime,
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Stage, per_second, percentile,
    servers::{Asked, Redis},
};
use crate::clock;

/// Providers of every sidecar, all shared.
const PROVIDERS: [&str; 5] = ["a", "b", "c", "d", "e"];
/// As the sidecar has them: how long it waits for an answer, and how often it asks for the watch and tells of its calls.
const LIMIT: Duration = Duration::from_millis(500);
const WATCH: Duration = Duration::from_secs(5);
const COUNT: Duration = Duration::from_secs(5);
/// For who opens a breaker: this process may be busier than any sidecar is.
const LONG_LIMIT: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_secs(60);
/// The fleet's budget of retries, in thousandths, and what a sidecar's calls of a second pay in.
const RETRIES: Terms = Terms { per_minute: 600_000, burst: 20_000_000, initial: 10_000 };
const PAID: u64 = 20_000;
/// Answers of which is remembered how long they took.
const SAMPLES: usize = 1 << 20;
/// How long all may take to connect.
const PATIENCE: Duration = Duration::from_secs(60);
/// Who has not heard of an opening after so long is counted as deaf.
const HEARING: Duration = Duration::from_secs(10);
/// Sidecars begun at a time, so that their greetings are answered within their limits.
const AT_ONCE: usize = 50;

/// What Redis bore for a while.
#[derive(Debug)]
pub(super) struct Phase {
    pub(super) name: &'static str,
    /// Redis' time, as a share of one core.
    pub(super) redis_cpu: f64,
    pub(super) requests_per_second: f64,
    /// Requests that so many sidecars would make; fewer came where this process was too slow for them all.
    pub(super) would_be: f64,
    pub(super) bytes_per_second: f64,
    /// How long answers took, this process's own work included.
    pub(super) p50: Option<Duration>,
    pub(super) p99: Option<Duration>,
    /// Questions without a good answer in time.
    pub(super) failed: u64,
}

/// All that was found.
#[derive(Debug)]
pub(super) struct Crowd {
    pub(super) sidecars: usize,
    pub(super) providers: usize,
    pub(super) phases: Vec<Phase>,
    /// How long after its commit an opening was heard by each sidecar, shortest first, of all openings.
    pub(super) heard: Vec<Duration>,
    /// Of all openings, how often one was not heard of in time.
    pub(super) deaf: usize,
}

/// What all simulated sidecars share.
struct World {
    address: Address,
    live: u32,
    clock: fusebox_store::Clock,
    /// Whether every sidecar has something to tell all the time.
    bad_news: AtomicBool,
    failed: AtomicU64,
    took: mpsc::Sender<Duration>,
    /// Who has heard a record's epoch, and when.
    heard: mpsc::Sender<(u64, Instant)>,
}

pub(super) fn run(stage: &Stage<'_>) -> io::Result<Crowd> {
    let redis = Redis::start(stage.redis, stage.directory)?;
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure(stage, &redis))
}

async fn measure(stage: &Stage<'_>, redis: &Redis) -> io::Result<Crowd> {
    let count = stage.scale.simulated;
    let (took, mut taken) = mpsc::channel(SAMPLES);
    let (heard, mut hearing) = mpsc::channel(2 * count);
    let world = Arc::new(World {
        address: Address::parse(&redis.url()).map_err(io::Error::other)?,
        live: u32::try_from(count).unwrap_or(u32::MAX),
        clock: clock::for_store(),
        bad_news: AtomicBool::new(false),
        failed: AtomicU64::new(0),
        took,
        heard,
    });
    let mut sidecars = JoinSet::new();
    let mut ready = Vec::new();
    for number in 0..count {
        let sidecar = Simulated::open(Arc::clone(&world), number)?;
        ready.push(sidecar.store.link_changes());
        sidecars.spawn(sidecar.live());
        if ready.len() == AT_ONCE || number + 1 == count {
            for mut link in ready.drain(..).flatten() {
                let up = timeout(PATIENCE, link.wait_for(|link| link.connected)).await;
                up.map_err(|_| io::Error::other("a simulated sidecar does not connect"))?.map_err(io::Error::other)?;
            }
        }
    }
    // One round of everything, so that whatever is made once is there.
    sleep(WATCH).await;
    let mut phases = Vec::new();
    for (name, bad_news) in [("all is well", false), ("each has bad news all the time", true)] {
        world.bad_news.store(bad_news, Relaxed);
        sleep(pace::beats(world.live)).await;
        phases.push(world.phase(name, redis, &mut taken, stage.scale.crowd).await?);
    }
    world.bad_news.store(false, Relaxed);
    sleep(WATCH).await;
    let mut all = Vec::new();
    for provider in PROVIDERS {
        all.extend(world.opening(provider, count, &mut hearing).await?);
    }
    all.sort_unstable();
    let deaf = PROVIDERS.len() * count - all.len();
    Ok(Crowd { sidecars: count, providers: PROVIDERS.len(), phases, heard: all, deaf })
}

impl World {
    fn store(&self) -> io::Result<Store> {
        Store::redis(self.address.clone(), "crowd", Arc::clone(&self.clock)).map_err(io::Error::other)
    }

    async fn phase(
        &self,
        name: &'static str,
        redis: &Redis,
        taken: &mut mpsc::Receiver<Duration>,
        lasting: Duration,
    ) -> io::Result<Phase> {
        while taken.try_recv().is_ok() {}
        redis.count_anew()?;
        let (begin, cpu, failed) = (clock::now(), redis.cpu()?, self.failed.load(Relaxed));
        sleep(lasting).await;
        let Asked { requests, bytes, .. } = redis.asked()?;
        let took = clock::now().duration_since(begin);
        let cpu = redis.cpu()?.saturating_sub(cpu);
        let mut answers = Vec::new();
        while let Ok(one) = taken.try_recv() {
            answers.push(one);
        }
        answers.sort_unstable();
        Ok(Phase {
            name,
            redis_cpu: cpu.div_duration_f64(took),
            requests_per_second: per_second(requests, took),
            would_be: self.would_be(),
            bytes_per_second: per_second(bytes, took),
            p50: percentile(&answers, 50),
            p99: percentile(&answers, 99),
            failed: self.failed.load(Relaxed) - failed,
        })
    }

    /// Requests a second, at the paces above; and a ping on the connection that only listens.
    fn would_be(&self) -> f64 {
        let reports = if self.bad_news.load(Relaxed) { pace::busy(self.live) } else { pace::IDLE };
        let often = |every: Duration| 1.0 / every.as_secs_f64();
        let of_each = often(reports) + often(draws(self.live)) + often(COUNT);
        let of_all = often(pace::beats(self.live)) + often(WATCH) + 1.0;
        f64::from(self.live) * (PROVIDERS.len() as f64 * of_each + of_all)
    }

    /// One more sidecar opens the provider's breaker; how long after that each of the others has heard.
    async fn opening(
        &self,
        provider: &str,
        count: usize,
        hearing: &mut mpsc::Receiver<(u64, Instant)>,
    ) -> io::Result<Vec<Duration>> {
        let store = self.store()?;
        if let Some(mut link) = store.link_changes() {
            let _ = timeout(PATIENCE, link.wait_for(|link| link.connected)).await;
        }
        let now = store.ask(&Firing, LONG_LIMIT).await.map_err(io::Error::other)?.0;
        let record = Record {
            epoch: now.as_millis(),
            state: State::Open,
            since: now,
            until: Some(now + PATIENCE),
            reason: Reason::ConsecutiveFailures,
            failed_recoveries: 0,
            mode: Mode::Auto,
        };
        let epoch = record.epoch;
        let commit = Commit { provider, record, condition: Condition::IsNewer };
        let begin = clock::now();
        store.ask(&commit, LONG_LIMIT).await.map_err(io::Error::other)?;
        let mut heard = Vec::new();
        let listening = async {
            while heard.len() < count {
                match hearing.recv().await {
                    Some((of, at)) if of == epoch => heard.push(at.duration_since(begin)),
                    Some(_) => {}
                    None => return,
                }
            }
        };
        // Those that have not heard are missing in what is returned.
        let _ = timeout(HEARING, listening).await;
        Ok(heard)
    }
}

/// One simulated sidecar.
struct Simulated {
    world: Arc<World>,
    id: String,
    store: Store,
    /// The epoch that it holds to, of each provider.
    epochs: [AtomicU64; PROVIDERS.len()],
    /// The store's time, in milliseconds, as it was told last.
    now: AtomicU64,
}

impl Simulated {
    fn open(world: Arc<World>, number: usize) -> io::Result<Self> {
        let store = world.store()?;
        let id = format!("deployment-7d9f8b6c5-{number:05}-abcdef");
        Ok(Self { world, id, store, epochs: Default::default(), now: AtomicU64::new(0) })
    }

    async fn live(self) {
        tokio::join!(self.synchronise(), self.draw(), self.beat(), self.watch(), self.count(), self.hear());
    }

    async fn ask<O: Operation>(&self, operation: &O) -> Option<(Stamp, O::Reply)> {
        let begin = clock::now();
        let answer = self.store.ask(operation, LIMIT).await.ok();
        match &answer {
            Some((now, _)) => {
                self.now.store(now.as_millis(), Relaxed);
                // Beyond so many, more say nothing new.
                let _ = self.world.took.try_send(clock::now().duration_since(begin));
            }
            None => drop(self.world.failed.fetch_add(1, Relaxed)),
        }
        answer
    }

    async fn synchronise(&self) {
        loop {
            let begin = clock::now();
            let bad_news = self.world.bad_news.load(Relaxed);
            join_all((0..PROVIDERS.len()).map(|place| self.report(place, bad_news))).await;
            let about = if bad_news { pace::busy(self.world.live) } else { pace::IDLE };
            sleep(jittered(about).saturating_sub(clock::now().duration_since(begin))).await;
        }
    }

    async fn report(&self, place: usize, bad_news: bool) {
        let epoch = self.epochs[place].load(Relaxed);
        // Few enough of many that no breaker would open.
        let failures = u32::from(bad_news);
        let report = Report { epoch, calls: 1_000, failures, run: 0, run_began: None, good_at: None };
        let (provider, sidecar) = (PROVIDERS[place], self.id.as_str());
        let asked = breaker::Report { provider, sidecar, report, window: WINDOW };
        if let Some((_, seen)) = self.ask(&asked).await {
            self.learn(place, seen.record.epoch);
        }
    }

    fn learn(&self, place: usize, epoch: u64) {
        if self.epochs[place].fetch_max(epoch, Relaxed) < epoch {
            // Whoever measures has taken the last one's.
            let _ = self.world.heard.try_send((epoch, clock::now()));
        }
    }

    /// Tells what calls have paid in for retries.
    async fn draw(&self) {
        loop {
            let draw = |provider| async move {
                let ask = Ask { put: PAID, ..Ask::default() };
                self.ask(&Draw { provider, unit: Unit::Retries, terms: RETRIES, ask }).await
            };
            let begin = clock::now();
            join_all(PROVIDERS.map(draw)).await;
            sleep(jittered(draws(self.world.live)).saturating_sub(clock::now().duration_since(begin))).await;
        }
    }

    async fn beat(&self) {
        let providers = PROVIDERS.map(|name| fusebox_proto::store::ProviderBeat {
            name: name.to_owned(),
            ..fusebox_proto::store::ProviderBeat::default()
        });
        let heartbeat = Heartbeat {
            id: self.id.clone(),
            pod: self.id.clone(),
            node: "node".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            calls_per_second: 100.0,
            providers: providers.into(),
            models: vec![ServedModel { name: "chat".to_owned(), providers: PROVIDERS.map(str::to_owned).into() }],
            totals: Some(Totals {
                calls: 1_000_000,
                answers: [("primary".to_owned(), 1_000_000)].into(),
                output_tokens: 1_000_000,
                ..Totals::default()
            }),
            ..Heartbeat::default()
        };
        let every = pace::beats(self.world.live);
        loop {
            let _ = self.ask(&Beat { heartbeat: &heartbeat, every: every * 2 }).await;
            sleep(jittered(every)).await;
        }
    }

    /// Who has the watch reads what all have said.
    async fn watch(&self) {
        loop {
            sleep(jittered(WATCH)).await;
            let lock = Lock { name: "watch", holder: &self.id, lasts: WATCH * 3 };
            if self.ask(&lock).await.is_some_and(|(_, lock)| lock.mine) {
                let _ = self.look().await;
            }
        }
    }

    async fn look(&self) -> Option<()> {
        self.ask(&Firing).await?;
        let mut after = Some(String::new());
        while let Some(from) = after {
            after = self.ask(&Live { after: &from, most: 500, lately: Duration::ZERO }).await?.1.next;
        }
        for provider in PROVIDERS {
            self.ask(&Counts { provider }).await?;
        }
        Some(())
    }

    async fn count(&self) {
        loop {
            sleep(jittered(COUNT)).await;
            let at = Stamp::from_millis(self.now.load(Relaxed));
            for provider in PROVIDERS {
                let count = Count { provider, sidecar: &self.id, at, calls: 500, failures: &[] };
                let _ = self.ask(&count).await;
            }
        }
    }

    async fn hear(&self) {
        let Ok(mut news) = self.store.news(PROVIDERS.into_iter()) else { return };
        loop {
            if let Told::Breakers(told) = news.next().await {
                for one in told {
                    if let Some(place) = PROVIDERS.iter().position(|name| *name == one.provider) {
                        self.learn(place, one.record.epoch);
                    }
                }
            }
        }
    }
}

/// How often one of `live` sidecars tells what calls have paid in.
fn draws(live: u32) -> Duration {
    pace::draw(live).max(pace::PAID)
}

/// Drawn anew as the sidecar draws it, so that a thousand of them do not keep step.
fn jittered(about: Duration) -> Duration {
    about.mul_f64(1.0 + pace::JITTER * (2.0 * fastrand::f64() - 1.0))
}
