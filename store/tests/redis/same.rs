//! Each operation does in memory what its script does in Redis: random sequences of all of them, by several sidecars, of
//! several epochs and at many times, are answered alike. The memory's clock shows what Redis's did.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fusebox_proto::keys::Keys;
use fusebox_rules::{
    breaker::{Mode, State},
    fleet::{Reason, Record, Report as Reported, Stamp},
};
use fusebox_store::{
    Operation, Store,
    breaker::{Commit, Condition, Cool, Lease, Look, Probed, Report},
    redis::{Link, Value},
};
use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};

use super::server::{LIMIT, LONG, Server, ask, clock, connected};

/// Which epoch a step names.
#[derive(Debug, Clone, Copy)]
enum Which {
    Current,
    Former,
    Later,
    None,
}

#[derive(Debug, Clone)]
enum Step {
    /// Times are milliseconds before (or, negative, after) the last reply's.
    Report {
        sidecar: u8,
        epoch: Which,
        counts: (u32, u32, u32),
        began: Option<i64>,
        good: Option<i64>,
        window: u64,
    },
    Commit {
        replaces: Option<Which>,
        step: i64,
        state: State,
        reason: Reason,
        mode: Mode,
        lasts: u64,
        recoveries: u32,
    },
    Lease {
        epoch: Which,
        token: u64,
        most: u32,
        lasts: u64,
    },
    Probed {
        epoch: Which,
        token: u64,
        good: Option<bool>,
    },
    Cool {
        ahead: i64,
    },
    Look,
    /// Some time passes.
    Pass {
        requests: u8,
    },
}

fn any_which() -> impl Strategy<Value = Which> {
    prop_oneof![8 => Just(Which::Current), 2 => Just(Which::Former), 1 => Just(Which::Later), 1 => Just(Which::None)]
}

fn any_step() -> impl Strategy<Value = Step> {
    let ago = || prop::option::weighted(0.7, -10_i64..30);
    let report = (0_u8..20, any_which(), (0_u32..9, 0_u32..9, 0_u32..4), ago(), ago(), 0_u64..25);
    let report = report.prop_map(|(sidecar, epoch, counts, began, good, window)| Step::Report {
        sidecar,
        epoch,
        counts,
        began,
        good,
        window,
    });
    let state = prop_oneof![Just(State::Closed), Just(State::Open), Just(State::HalfOpen)];
    let reason = prop_oneof![
        Just(Reason::ConsecutiveFailures),
        Just(Reason::FailureRate),
        Just(Reason::ProbeFailed),
        Just(Reason::Recovered),
        Just(Reason::OpenExpired),
        Just(Reason::Forced),
        Just(Reason::New),
    ];
    let mode = prop_oneof![Just(Mode::Auto), Just(Mode::ForcedOpen), Just(Mode::ForcedClosed)];
    let commit = (prop::option::weighted(0.7, any_which()), -2_i64..4, state, reason, mode, 0_u64..50, 0_u32..5);
    let commit = commit.prop_map(|(replaces, step, state, reason, mode, lasts, recoveries)| Step::Commit {
        replaces,
        step,
        state,
        reason,
        mode,
        lasts,
        recoveries,
    });
    let lease = (any_which(), 0_u64..12, 0_u32..4, 0_u64..10);
    let lease = lease.prop_map(|(epoch, token, most, lasts)| Step::Lease { epoch, token, most, lasts });
    let probed = (any_which(), 0_u64..12, prop::option::weighted(0.8, any::<bool>()));
    let probed = probed.prop_map(|(epoch, token, good)| Step::Probed { epoch, token, good });
    prop_oneof![
        10 => report,
        1 => commit,
        4 => lease,
        4 => probed,
        1 => (-10_i64..30).prop_map(|ahead| Step::Cool { ahead }),
        2 => Just(Step::Look),
        1 => (0_u8..60).prop_map(|requests| Step::Pass { requests }),
    ]
}

/// One store in Redis and one here, asked the same.
struct Both {
    redis: Store,
    here: Store,
    link: Link,
    now: Arc<AtomicU64>,
    runs: AtomicU64,
}

impl Both {
    async fn open(server: &Server) -> Self {
        let redis = Store::redis(server.address(), "fleet", clock()).unwrap();
        let mut changes = redis.link_changes().unwrap();
        tokio::time::timeout(LONG, changes.wait_for(|state| state.connected)).await.expect("connects").unwrap();
        let now = Arc::new(AtomicU64::new(0));
        let time = Arc::clone(&now);
        let here = Store::here("fleet", Box::new(move || Stamp::from_millis(time.load(Ordering::Relaxed))));
        Self { redis, here, link: connected(server.address()).await, now, runs: AtomicU64::new(0) }
    }

    async fn ask<O: Operation>(&self, operation: O) -> Result<O::Reply, TestCaseError>
    where
        O::Reply: PartialEq + Debug,
    {
        let (now, there) = self.redis.ask(&operation, LIMIT).await.expect("is answered");
        self.now.store(now.as_millis(), Ordering::Relaxed);
        let (_, here) = self.here.ask(&operation, LIMIT).await.expect("is answered");
        prop_assert_eq!(&here, &there, "{:?} at {:?}", operation, now);
        Ok(there)
    }

    fn stamp(&self, ago: i64) -> Stamp {
        Stamp::from_millis(self.now.load(Ordering::Relaxed).saturating_add_signed(-ago))
    }

    async fn run(&self, steps: &[Step]) -> Result<(), TestCaseError> {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let providers = [format!("a{run}"), format!("b{run}")];
        let mut epochs = [(0, 0); 2];
        for (at, step) in steps.iter().enumerate() {
            let which = usize::from(at % 5 == 4);
            self.take(step, &providers[which], &mut epochs[which]).await?;
        }
        Ok(())
    }

    async fn take(&self, step: &Step, provider: &str, epochs: &mut (u64, u64)) -> Result<(), TestCaseError> {
        let named = |which: Which| match which {
            Which::Current => epochs.0,
            Which::Former => epochs.1,
            Which::Later => epochs.0 + 7,
            Which::None => 0,
        };
        match step {
            Step::Report { sidecar, epoch, counts: (calls, failures, run), began, good, window } => {
                let report = Reported {
                    epoch: named(*epoch),
                    calls: *calls,
                    failures: *failures.min(calls),
                    run: *run,
                    run_began: began.map(|ago| self.stamp(ago)),
                    good_at: good.map(|ago| self.stamp(ago)),
                };
                let (sidecar, window) = (&format!("s{sidecar}"), Duration::from_millis(*window));
                self.ask(Report { provider, sidecar, report, window }).await?;
            }
            Step::Commit { replaces, step, state, reason, mode, lasts, recoveries } => {
                // Now and then one that was long under way.
                let since = self.stamp(if *step == 3 { 1_000 } else { 0 });
                // A newer one that is not is told, too.
                let epoch = if *step > 0 { epochs.0.max(since.as_millis()) } else { epochs.0 };
                let record = Record {
                    epoch: epoch.saturating_add_signed(*step).max(1),
                    state: *state,
                    since,
                    until: (*lasts > 0).then(|| since + Duration::from_millis(*lasts)),
                    reason: *reason,
                    failed_recoveries: *recoveries,
                    mode: *mode,
                };
                let condition = replaces.map_or(Condition::IsNewer, |which| Condition::Replaces(named(which)));
                let committed = self.ask(Commit { provider, record, condition }).await?;
                if committed.won {
                    *epochs = (committed.record.epoch, epochs.0);
                }
            }
            Step::Lease { epoch, token, most, lasts } => {
                let lasts = Duration::from_millis(*lasts);
                self.ask(Lease { provider, epoch: named(*epoch), token: *token, most: *most, lasts }).await?;
            }
            Step::Probed { epoch, token, good } => {
                self.ask(Probed { provider, epoch: named(*epoch), token: *token, good: *good }).await?;
            }
            Step::Cool { ahead } => {
                self.ask(Cool { provider, until: self.stamp(-ahead) }).await?;
            }
            Step::Look => {
                self.ask(Look { provider }).await?;
            }
            Step::Pass { requests } => {
                for _ in 0..*requests {
                    ask(&self.link, &["PING"]).await.unwrap();
                }
            }
        }
        Ok(())
    }
}

#[test]
fn random_sequences_of_all_operations_are_answered_alike_in_memory_and_in_redis() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (_server, both) = runtime.block_on(async {
        let server = Server::start(&[]).await;
        let both = Both::open(&server).await;
        (server, both)
    });
    let config =
        ProptestConfig { cases: 48, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() };
    let steps = prop::collection::vec(any_step(), 1..250);
    TestRunner::new(config).run(&steps, |steps| runtime.block_on(both.run(&steps))).unwrap();
    runtime.block_on(async {
        let Value::Array(keys) = ask(&both.link, &["KEYS", "*"]).await.unwrap() else { panic!() };
        assert!(!keys.is_empty());
        for key in keys {
            let Value::BulkString(key) = key else { panic!() };
            let key = String::from_utf8(key).unwrap();
            let ends = ask(&both.link, &["PTTL", &key]).await.unwrap() != Value::Int(-1);
            assert_eq!(ends, !key.ends_with(":breaker"), "all but the records end by themselves: {key}");
        }
    });
}

#[tokio::test]
async fn a_key_that_redis_evicted_leaves_no_wrong_sums_behind() {
    let server = Server::start(&[]).await;
    let both = Both::open(&server).await;
    let keys = Keys::new("", "fleet");
    for what in ["reports", "failures", "seen", "runs", "sums"] {
        let report = async |sidecar, calls| {
            let report = Reported { calls, failures: calls, ..Reported::default() };
            let operation = Report { provider: what, sidecar, report, window: Duration::from_secs(60) };
            both.redis.ask(&operation, LIMIT).await.unwrap().1.evidence
        };
        report("one", 5).await;
        assert_eq!(report("two", 3).await.calls, 8);
        ask(&both.link, &["DEL", &keys.provider(what, what)]).await.unwrap();
        report("one", 5).await;
        let evidence = report("two", 4).await;
        assert_eq!((evidence.calls, evidence.failures, evidence.most_failures), (9, 9, 5), "{what}");
    }
}
