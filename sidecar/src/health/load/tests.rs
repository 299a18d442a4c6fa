use fusebox_base::testing::page::Page;
use fusebox_rules::{error::ErrorKind, line::Class};
use tokio::time::sleep;

use super::*;
use crate::{
    call::plan::Plan,
    config::{self, Config},
    gate::Gate,
    telemetry::Telemetry,
};

/// A configuration under which limits follow what happens and the load is not read.
fn following() -> Config {
    let mut config = Config::default();
    config.degradation.enabled = false;
    config
}

fn current(config: Config, telemetry: &Arc<Telemetry>) -> Current {
    let gate = |settings: &Arc<config::Provider>| {
        Arc::new(Gate::new(settings, &Config::default().retry_budget, Box::new(|_| {}), None))
    };
    let labels = Arc::new(telemetry.labels_for(&config));
    Current { plan: Plan::try_new(config, 1, None, gate).unwrap(), labels }
}

fn shared(config: Config) -> Arc<Shared> {
    let telemetry = Telemetry::try_new(&config.telemetry, 1).unwrap();
    Arc::new(Shared::new(current(config, &telemetry), telemetry))
}

#[test]
fn what_is_told_not_to_count_does_not() {
    let load = Load { cpu: Some(0.9), memory: Some(0.8), kv_cache: Some(0.7), ..Load::default() };
    let settings = |cpu, memory| Degradation { cpu, memory, ..Config::default().degradation };
    for (cpu, memory, worst) in [(true, true, "cpu"), (false, true, "memory"), (false, false, "kv_cache")] {
        assert_eq!(counting(load, &settings(cpu, memory)).worst().unwrap().0, worst);
    }
}

#[test]
fn gpus_count_only_while_no_server_tells_of_its_queue_unless_told_otherwise() {
    let busy = Load { gpu: Some(1.0), gpu_memory: Some(0.95), cpu: Some(0.1), ..Load::default() };
    let told = Load { queue: Some(0.0), ..busy };
    for (gpu, load, counted) in [
        (GpuCounts::Auto, busy, Some(1.0)),
        (GpuCounts::Auto, told, Some(0.1)),
        (GpuCounts::On, told, Some(1.0)),
        (GpuCounts::Off, busy, Some(0.1)),
    ] {
        let settings = Degradation { gpu, ..Config::default().degradation };
        assert_eq!(counting(load, &settings).worst().map(|(_, worst)| worst), counted, "{gpu:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gpus_driver_that_hangs_keeps_nothing_else_from_being_read() {
    let (_driver, aside) = Aside::asked();
    let mut sources = Sources { machine: Machine::new("/"), gpus: Arc::default(), aside, servers: Vec::new() };
    for _ in 0..2 {
        let load = sources.load(&Config::default().degradation, PATIENCE, clock::now()).await;
        assert_eq!((load.gpu, load.memory.is_some()), (None, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_judged_each_second_however_seldom_the_load_is_read() {
    let mut config = following();
    config.degradation.interval = Duration::from_secs(3_600);
    let shared = shared(config);
    let _readers = start(&shared);
    sleep(WINDOW / 2).await;
    let limiter = Arc::clone(shared.current.load().plan.upstreams[0].gate.limiter());
    let before = limiter.places().limit.unwrap();
    drop(limiter.try_take(Class::Interactive).unwrap());
    limiter.failed(ErrorKind::ModelOverloaded);
    sleep(WINDOW).await;
    assert!(limiter.places().limit.unwrap() < before);
}

#[tokio::test(start_paused = true)]
async fn limits_that_are_no_longer_followed_are_no_longer_told() {
    let told = |shared: &Shared| {
        Page::read(&shared.telemetry.render(fusebox_base::prometheus::Format::default()))
            .value("fusebox_waiting{provider=\"simulated\"}")
    };
    let mut config = following();
    let shared = shared(config.clone());
    let readers = start(&shared);
    sleep(WINDOW / 2).await;
    assert_eq!(told(&shared), Some(0.0));
    config.overload.enabled = false;
    shared.replace(current(config, &shared.telemetry));
    drop(readers);
    let _readers = start(&shared);
    sleep(WINDOW).await;
    assert_eq!(told(&shared), None);
}
