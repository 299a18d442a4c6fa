//! An inference server's queue and key-value cache, as its own page of metrics tells them.

use std::time::Duration;

use fusebox_rules::{degradation::Reading, limit::Queue, moment::Moment};

use super::exposition::samples;
use crate::{
    clock,
    provider::page::{Page, Read},
};

/// How long a server without a page, or with one that says nothing of these things, is left alone.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// What one server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Said {
    /// `None`: it does not say how many wait.
    pub(super) queue: Option<Queue>,
    /// The share of its key-value cache that is in use, from 0 to 1.
    pub(super) cache: Option<f64>,
}

/// A server that is asked.
#[derive(Debug)]
pub(super) struct Server {
    /// Its provider's place in the configuration.
    pub(super) provider: usize,
    page: Page,
    said: Option<Reading<Said>>,
    /// It is not asked before.
    rests_until: Moment,
}

impl Server {
    /// A server whose page is at `url`.
    ///
    /// # Errors
    /// Why its page cannot be asked for.
    pub(super) fn try_new(provider: usize, url: &str, connect: Duration) -> Result<Self, String> {
        Ok(Self { provider, page: Page::try_new(url, connect)?, said: None, rests_until: Moment::ZERO })
    }

    /// Asks, for at most `patience`.
    pub(super) async fn ask(&mut self, patience: Duration) {
        if clock::now() < self.rests_until {
            return;
        }
        let read = tokio::time::timeout(patience, self.page.read()).await.unwrap_or(Read::Failed);
        let now = clock::now();
        let said = match read {
            Read::Text(text) => read_page(&String::from_utf8_lossy(&text)),
            Read::Absent => None,
            Read::Failed => return,
        };
        match said {
            Some(value) => self.said = Some(Reading { value, at: now }),
            None => {
                self.said = None;
                self.rests_until = now + ASK_AGAIN;
            }
        }
    }

    /// What it said, unless that is older than `good_for`.
    pub(super) fn said(&self, now: Moment, good_for: Duration) -> Option<Said> {
        self.said.and_then(|said| said.fresh(now, good_for))
    }
}

/// What a sample says.
#[derive(Clone, Copy)]
enum What {
    Running,
    Waiting,
    Cache,
}

/// Names of vLLM (two for its cache, which was renamed), SGLang, TGI and llama.cpp.
const NAMES: [(&str, What); 12] = [
    ("vllm:num_requests_running", What::Running),
    ("vllm:num_requests_waiting", What::Waiting),
    ("vllm:kv_cache_usage_perc", What::Cache),
    ("vllm:gpu_cache_usage_perc", What::Cache),
    ("sglang:num_running_reqs", What::Running),
    ("sglang:num_queue_reqs", What::Waiting),
    ("sglang:token_usage", What::Cache),
    ("tgi_batch_current_size", What::Running),
    ("tgi_queue_size", What::Waiting),
    ("llamacpp:requests_processing", What::Running),
    ("llamacpp:requests_deferred", What::Waiting),
    ("llamacpp:kv_cache_usage_ratio", What::Cache),
];

/// What a page says; `None`: nothing of these things. Counts of several engines are added up, and of their caches the
/// fullest is taken.
fn read_page(page: &str) -> Option<Said> {
    let (mut running, mut waiting, mut cache) = (0.0, None, None);
    for sample in samples(page).filter(|sample| sample.value.is_finite() && sample.value >= 0.0) {
        let Some((_, what)) = NAMES.iter().find(|(name, _)| *name == sample.name) else { continue };
        match what {
            What::Running => running += sample.value,
            What::Waiting => waiting = Some(waiting.unwrap_or(0.0) + sample.value),
            What::Cache => cache = Some(sample.value.min(1.0).max(cache.unwrap_or(0.0))),
        }
    }
    let queue = waiting.map(|waiting| Queue { running: count(running), waiting: count(waiting) });
    (queue.is_some() || cache.is_some()).then_some(Said { queue, cache })
}

fn count(number: f64) -> u32 {
    #[expect(clippy::cast_sign_loss, reason = "clamped to what is not negative")]
    let count = number.clamp(0.0, f64::from(u32::MAX)) as u32;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(running: u32, waiting: u32, cache: Option<f64>) -> Option<Said> {
        Some(Said { queue: Some(Queue { running, waiting }), cache })
    }

    #[test]
    fn each_server_is_understood() {
        for (page, expected) in [
            (
                "vllm:num_requests_running{engine=\"0\"} 12\nvllm:num_requests_waiting{engine=\"0\"} 3\nvllm:kv_cache_usage_perc{engine=\"0\"} 0.5\n",
                said(12, 3, Some(0.5)),
            ),
            (
                "vllm:num_requests_running 12\nvllm:num_requests_waiting 3\nvllm:gpu_cache_usage_perc 0.25\n",
                said(12, 3, Some(0.25)),
            ),
            ("sglang:num_running_reqs 5\nsglang:num_queue_reqs 8\nsglang:token_usage 0.28\n", said(5, 8, Some(0.28))),
            ("tgi_batch_current_size 4\ntgi_queue_size 9\n", said(4, 9, None)),
            (
                "llamacpp:requests_processing 1\nllamacpp:requests_deferred 2\nllamacpp:kv_cache_usage_ratio 0.75\n",
                said(1, 2, Some(0.75)),
            ),
        ] {
            assert_eq!(read_page(page), expected, "{page}");
        }
    }

    #[test]
    fn several_engines_queues_add_up_and_the_fullest_cache_counts() {
        let page = "vllm:num_requests_waiting{engine=\"0\"} 3\nvllm:num_requests_waiting{engine=\"1\"} 4\n\
                    vllm:kv_cache_usage_perc{engine=\"0\"} 0.2\nvllm:kv_cache_usage_perc{engine=\"1\"} 0.9\n";
        assert_eq!(read_page(page), said(0, 7, Some(0.9)));
    }

    #[test]
    fn a_page_of_something_else_says_nothing() {
        assert_eq!(read_page(""), None);
        assert_eq!(read_page("process_cpu_seconds_total 3\nvllm:num_requests_waiting_by_reason 4\n<html>"), None);
        assert_eq!(read_page("vllm:num_requests_waiting NaN\nvllm:kv_cache_usage_perc -1\n"), None);
        assert_eq!(read_page("vllm:num_requests_waiting 1e300\n"), said(0, u32::MAX, None));
    }
}
