use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use fusebox_rules::{breaker::Asker, error::ErrorKind};

use super::*;
use crate::{call::Current, config::Config, gate::Gate, telemetry::Telemetry};

const SECOND: Duration = Duration::from_secs(1);

/// Two simulated providers, `a` that answers and `b` that fails, and the checks of them.
struct Case {
    shared: Shared,
    checks: Arc<Checks>,
    /// Percent of the GPU's memory that is in use; 0: there is none.
    gpu: Arc<AtomicU32>,
    tasks: JoinSet<()>,
}

fn case(change: impl FnOnce(&mut Config)) -> Case {
    let mut config = Config::default();
    let mut failing = (*config.providers[0]).clone();
    failing.name = "b".into();
    failing.simulated.failure_rate = 1.0;
    Arc::make_mut(&mut config.providers[0]).name = "a".into();
    config.providers.push(Arc::new(failing));
    change(&mut config);
    let telemetry = Telemetry::try_new(&config.telemetry, 1).unwrap();
    let gate = |settings: &Arc<config::Provider>| {
        Arc::new(Gate::new(settings, &Config::default().retry_budget, Box::new(|_| {}), None))
    };
    let labels = Arc::new(telemetry.labels_for(&config));
    let plan = Plan::try_new(config, 1, None, gate).unwrap();
    let shared = Shared::new(Current { plan, labels }, telemetry);
    let gpu = Arc::new(AtomicU32::new(0));
    let read = Arc::clone(&gpu);
    let checks = Checks::new(Arc::new(move || match read.load(Relaxed) {
        0 => None,
        percent => Some(f64::from(percent) / 100.0),
    }));
    let tasks = checks.start(&shared);
    Case { shared, checks, gpu, tasks }
}

impl Case {
    /// The finding of that name, a while later.
    async fn after(&self, wait: Duration, name: &str) -> Option<Finding> {
        sleep(wait).await;
        let plan = &self.shared.current.load().plan;
        self.checks.findings(plan).into_iter().find(|finding| finding.name == name)
    }

    fn gate(&self, place: usize) -> Arc<Gate> {
        Arc::clone(&self.shared.current.load().plan.upstreams[place].gate)
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_enough_that_one_provider_answers_and_worth_saying_that_another_does_not() {
    let case = case(|_| {});
    let together = case.after(SECOND, "model").await.unwrap();
    assert!(together.healthy && together.critical, "{together:?}");
    assert_eq!(together.message, "1 of 2 providers asked answer");
    let (a, b) = (case.after(SECOND, "model:a").await.unwrap(), case.after(SECOND, "model:b").await.unwrap());
    assert!(a.healthy && !b.healthy && !b.critical, "{a:?} {b:?}");
    assert!(a.took >= Duration::from_millis(50) && b.message.contains("provider_error"), "{a:?} {b:?}");
}

#[tokio::test(start_paused = true)]
async fn once_none_answers_the_model_is_gone() {
    let case = case(|config| Arc::make_mut(&mut config.providers[0]).enabled = false);
    let together = case.after(SECOND, "model").await.unwrap();
    assert!(!together.healthy && together.critical, "{together:?}");
    assert!(case.after(SECOND, "model:a").await.is_none(), "it is switched off");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_where_it_is_not_wanted() {
    let off = case(|config| config.health.model = ModelChecks::Off);
    assert_eq!(off.after(SECOND, "model").await, None);
    let elsewhere = case(|config| {
        for provider in &mut config.providers {
            let provider = Arc::make_mut(provider);
            (provider.kind, provider.base_url) = (config::ProviderKind::OpenAi, "https://api.example.com/v1".into());
        }
    });
    assert_eq!(elsewhere.after(SECOND, "model").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_provider_whose_breaker_is_open_is_not_asked() {
    let case = case(|_| {});
    case.after(SECOND, "model").await;
    let gate = case.gate(0);
    for _ in 0..5 {
        let _ = gate.admit(Asker::Caller, || 1).unwrap().failed(ErrorKind::ProviderError, None);
    }
    let found = case.after(Duration::from_secs(31), "model:a").await.unwrap();
    assert!(!found.healthy && found.message.contains("breaker is open"), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn a_gpu_is_shown_while_it_can_be_read() {
    let case = case(|config| config.health.critical = vec![Check::Gpu]);
    assert_eq!(case.after(SECOND, "gpu").await, None);
    for (percent, healthy) in [(50, true), (95, false), (94, true)] {
        case.gpu.store(percent, Relaxed);
        let found = case.after(6 * SECOND, "gpu").await.unwrap();
        assert!(found.healthy == healthy && found.critical, "{found:?}");
    }
    case.gpu.store(0, Relaxed);
    assert_eq!(case.after(6 * SECOND, "gpu").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_refused_is_bad_until_it_changes_or_works() {
    let case = case(|config| config.health.model = ModelChecks::Off);
    let gate = case.gate(1);
    let refuse = || gate.admit(Asker::Caller, || 1).unwrap().failed(ErrorKind::Authentication, None).is_none();
    assert!(case.after(SECOND, "keys").await.unwrap().healthy);
    assert!(refuse(), "a key moves no breaker");
    let found = case.after(SECOND, "keys").await.unwrap();
    assert!(!found.healthy && !found.critical && found.message.contains("refused by b"), "{found:?}");
    // It is tried again after a while; that alone makes it no better.
    let minutes = Duration::from_secs(600);
    assert!(!gate.would_admit());
    assert!(!case.after(minutes, "keys").await.unwrap().healthy && gate.would_admit());
    gate.key_changed();
    assert!(case.after(SECOND, "keys").await.unwrap().healthy);
    assert!(refuse());
    assert!(!case.after(minutes, "keys").await.unwrap().healthy);
    let _ = gate.admit(Asker::Caller, || 1).unwrap().succeeded();
    assert!(case.after(SECOND, "keys").await.unwrap().healthy);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_asked_is_no_longer_shown() {
    let mut case = case(|_| {});
    assert!(case.after(SECOND, "model:b").await.is_some());
    let mut config = case.shared.current.load().plan.config.clone();
    config.providers.truncate(1);
    let telemetry = Arc::clone(&case.shared.telemetry);
    let labels = Arc::new(telemetry.labels_for(&config));
    let gate = |settings: &Arc<config::Provider>| {
        Arc::new(Gate::new(settings, &Config::default().retry_budget, Box::new(|_| {}), None))
    };
    let plan = Plan::try_new(config, 1, None, gate).unwrap();
    case.shared.current.store(Arc::new(Current { plan, labels }));
    case.tasks = case.checks.start(&case.shared);
    assert!(case.after(SECOND, "model:a").await.is_some());
    assert_eq!(case.after(SECOND, "model:b").await, None);
}
