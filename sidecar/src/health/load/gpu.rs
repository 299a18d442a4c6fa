//! Use of GPUs and of their memory, by NVIDIA's management library, which is loaded while running: without it, or
//! without a GPU, there is nothing to read and nothing wrong.

use std::time::Duration;

use fusebox_rules::moment::Moment;
use nvml_wrapper::Nvml;

/// How long a machine without the library is left alone: drivers may come with a later container.
const TRY_AGAIN: Duration = Duration::from_secs(600);

/// The library, where there is one.
#[derive(Debug, Default)]
pub(super) struct Gpus {
    library: Option<Nvml>,
    tried: Option<Moment>,
}

/// The busiest and the fullest, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Used {
    pub(super) compute: Option<f64>,
    pub(super) memory: Option<f64>,
}

impl Gpus {
    /// Reads all of them. May block for some time while the library is loaded.
    pub(super) fn read(&mut self, now: Moment) -> Used {
        if self.library.is_none() && self.tried.is_none_or(|tried| now.since(tried) >= TRY_AGAIN) {
            self.tried = Some(now);
            self.library = Nvml::init()
                .inspect_err(|error| tracing::debug!(target: "fusebox::load", %error, "GPUs cannot be read"))
                .ok();
        }
        let Some(library) = &self.library else { return Used::default() };
        let Ok(count) = library.device_count() else {
            // The driver may have been taken away.
            self.library = None;
            return Used::default();
        };
        (0..count).filter_map(|index| library.device_by_index(index).ok()).fold(Used::default(), |worst, device| {
            let compute = device.utilization_rates().ok().map(|rates| f64::from(rates.gpu) / 100.0);
            let memory = device.memory_info().ok().filter(|memory| memory.total > 0);
            let memory = memory.map(|memory| memory.used as f64 / memory.total as f64);
            Used { compute: higher(worst.compute, compute), memory: higher(worst.memory, memory) }
        })
    }
}

fn higher(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_gpus_the_worst_counts_and_what_one_does_not_tell_is_left_out() {
        assert_eq!(higher(Some(0.2), Some(0.8)), Some(0.8));
        assert_eq!(
            (higher(None, Some(0.8)), higher(Some(0.2), None), higher(None, None)),
            (Some(0.8), Some(0.2), None)
        );
    }

    /// On a machine with a GPU this reads it; on any other it finds nothing, and does not look again for a while.
    #[test]
    fn a_machine_without_the_library_has_no_gpu_and_no_fault() {
        let mut gpus = Gpus::default();
        let used = gpus.read(Moment::ZERO);
        for part in [used.compute, used.memory].into_iter().flatten() {
            assert!((0.0..=1.0).contains(&part), "{part}");
        }
        if gpus.library.is_none() {
            assert_eq!(used, Used::default());
            gpus.read(Moment::ZERO + TRY_AGAIN / 2);
            assert_eq!(gpus.tried, Some(Moment::ZERO));
            gpus.read(Moment::ZERO + TRY_AGAIN);
            assert_eq!(gpus.tried, Some(Moment::ZERO + TRY_AGAIN));
        }
    }
}
