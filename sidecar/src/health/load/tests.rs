use super::*;
use crate::config::Config;

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
