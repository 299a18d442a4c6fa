//! The keys of what a call meets beside providers: the cache, validation, what follows an overflow or a refusal,
//! degradation, budgets of agent runs, health checks.

use std::{path::PathBuf, sync::Arc, time::Duration};

use fusebox_base::config::{Key, Section, anything, clip, did_you_mean};
use fusebox_rules::{degradation, health, limit, quantile::KEPT, run};

use super::{
    super::{
        Cache, CacheMode, ContentFilter, ContextOverflow, Degradation, GpuCounts, Health, Hedging, Idempotency, Model,
        ModelChecks, Overload, RunBudgets, Streams, Validation,
    },
    DAY, GIB, HOUR, KIB, MIB, MILLISECOND, MINUTE, SECOND, count,
};

/// What stands for the last user message in a simplified prompt.
const ORIGINAL: &str = "{original_prompt}";

/// What is said where sidecars are to share what only a secret hides.
const NO_SECRET: &str = "needs a secret of the fleet's own; put 16 random characters or more into a file that all \
                         sidecars have, and name it by fleet.secret_file";

/// Whether sidecars share something, for which they need a secret.
fn shared(at: &mut Section<'_>, doc: &'static str, has_secret: bool) -> bool {
    let shared = at.key("shared", doc).flag(false);
    if shared && !has_secret {
        at.fault("shared", NO_SECRET.to_owned());
    }
    shared
}

pub(super) fn cache(at: &mut Section<'_>, has_secret: bool) -> Cache {
    let modes = [("off", CacheMode::Off), ("fallback", CacheMode::Fallback), ("prefer", CacheMode::Prefer)];
    Cache {
        mode: at
            .key("mode", "read never, once every provider has failed, or first: off, fallback, prefer")
            .word(CacheMode::Fallback, &modes),
        capacity: at.key("capacity", "memory that it may take").size(64 * MIB, 0..=64 * GIB),
        ttl: at.key("ttl", "how old an answer may be").duration(HOUR, SECOND..=30 * DAY),
        shared: shared(at, "whether sidecars share it through Redis; needs fleet.secret_file", has_secret),
    }
}

pub(super) fn idempotency(at: &mut Section<'_>, has_secret: bool) -> Idempotency {
    Idempotency {
        ttl: at
            .key("ttl", "how long a call sent again under its idempotency key gets the same answer")
            .duration(10 * MINUTE, SECOND..=30 * DAY),
        capacity: at
            .key("capacity", "memory that these answers may take; 0B: only calls in flight share theirs")
            .size(16 * MIB, 0..=64 * GIB),
        shared: shared(
            at,
            "whether calls under one key are one call over all sidecars; needs fleet.secret_file",
            has_secret,
        ),
    }
}

pub(super) fn streams(at: &mut Section<'_>) -> Streams {
    let holdback = "what is held back at a stream's start, so that a break within it is mended unseen: a number of \
                    tokens, a duration, or whole";
    Streams { holdback: at.key("holdback", holdback).holdback() }
}

pub(super) fn hedging(at: &mut Section<'_>) -> Hedging {
    let kept = u32::try_from(KEPT).unwrap_or(u32::MAX);
    Hedging {
        enabled: at.key("enabled", "whether a second provider is asked beside one that is late").flag(false),
        quantile: at
            .key("quantile", "late is later than this share of the provider's latest answers")
            .number(0.95, 0.5..=0.999),
        minimum_samples: at.key("minimum_samples", "answers before that is known").count(20, 1..=kept),
    }
}

pub(super) fn validation(at: &mut Section<'_>) -> Validation {
    Validation {
        check_output: at
            .key("check_output", "whether answers are held to the JSON, the schema and the tools asked for")
            .flag(true),
        max_reprompts: at.key("max_reprompts", "times that an answer with a fault is asked for again").count(3, 0..=10),
        max_input_chars: count(
            at.key("max_input_chars", "characters of all messages together").count(1_000_000, 1..=100_000_000),
        ),
        max_image_bytes: at.key("max_image_bytes", "one image").size(10 * MIB, KIB..=GIB),
        max_document_bytes: at.key("max_document_bytes", "one document").size(32 * MIB, KIB..=GIB),
        max_output_pixels: at
            .key("max_output_pixels", "one image that is asked for, width times height")
            .count(1_048_576_u64, 4_096..=67_108_864),
    }
}

pub(super) fn context_overflow(at: &mut Section<'_>) -> ContextOverflow {
    at.key("context_overflow", "a larger window and then an error, an error, or fewer turns: failover, error, truncate")
        .word(
            ContextOverflow::Failover,
            &[
                ("failover", ContextOverflow::Failover),
                ("error", ContextOverflow::Error),
                ("truncate", ContextOverflow::Truncate),
            ],
        )
}

pub(super) fn content_filter(at: &mut Section<'_>) -> ContentFilter {
    let words = at.key(
        "content_filter",
        "what follows a refusal: error, failover (the next provider), or { rewrite: \"an instruction\" }",
    );
    if !at.holds_map("content_filter") {
        return word_of_content_filter(words);
    }
    if at.is_recording() {
        word_of_content_filter(words);
    }
    let rewrite = at.section("content_filter", |at| {
        let rewrite = at.key("rewrite", "the instruction under which to ask once more").optional_prompt();
        if !at.typed("rewrite") {
            at.fault("rewrite", "is missing; write the instruction under which to ask once more".to_owned());
        }
        rewrite
    });
    rewrite.map_or(ContentFilter::Error, ContentFilter::Rewrite)
}

fn word_of_content_filter(key: Key<'_>) -> ContentFilter {
    let failover = key.word(false, &[("error", false), ("failover", true)]);
    if failover { ContentFilter::Failover } else { ContentFilter::Error }
}

pub(super) fn degradation(at: &mut Section<'_>, models: &[Arc<Model>]) -> Degradation {
    let levels = degradation::Settings {
        reduced_above: at.key("reduced_above", "the load, from 0 to 1, above which quality is reduced").ratio(0.7),
        minimal_above: at.key("minimal_above", "the load above which it is minimal").ratio(0.9),
        hold: at
            .key("hold", "how long the load must have been low before the next better level")
            .duration(10 * SECOND, Duration::ZERO..=HOUR),
    };
    let gpu = [("auto", GpuCounts::Auto), ("on", GpuCounts::On), ("off", GpuCounts::Off)];
    let read = Degradation {
        enabled: at.key("enabled", "whether load is read and followed").flag(true),
        interval: at.key("interval", "between two readings of the load").duration(SECOND, 50 * MILLISECOND..=HOUR),
        levels,
        queue_full: at
            .key("queue_full", "requests waiting in an inference server that are a load of 1")
            .count(32, 1..=1_000_000),
        cpu: at.key("cpu", "whether the use of processors counts").flag(true),
        memory: at.key("memory", "whether the use of memory counts").flag(true),
        gpu: at
            .key(
                "gpu",
                "whether GPUs and their memory count: auto (while no inference server tells of its queue), on, off",
            )
            .word(GpuCounts::Auto, &gpu),
        assumed_max_tokens: at
            .key(
                "assumed_max_tokens",
                "what a call that sets no max_tokens is taken to ask for; null: it is never given fewer",
            )
            .optional_count(1..=1_000_000_000),
        fallback_response: at.key("fallback_response", "the answer of last resort").optional_prompt(),
        fallback_model: at.key("fallback_model", "a smaller model, by its name under models").optional_text(anything),
        simplified_prompt: at
            .key("simplified_prompt", "a shorter prompt; {original_prompt} stands for the last user message")
            .optional_prompt(),
    };
    let (reduced, minimal) = (read.levels.reduced_above, read.levels.minimal_above);
    if reduced >= minimal {
        let key = if at.typed("reduced_above") { "reduced_above" } else { "minimal_above" };
        at.fault(
            key,
            format!(
                "reduced_above ({reduced}) must be below minimal_above ({minimal}): quality is reduced before it is minimal",
            ),
        );
    }
    if let Some(name) = &read.fallback_model
        && !models.is_empty()
        && !models.iter().any(|model| *model.name == **name)
    {
        let near = did_you_mean(name, models.iter().map(|model| &*model.name));
        at.fault("fallback_model", format!("{} is not a name under models{near}", clip(name)));
    }
    if read.simplified_prompt.as_ref().is_some_and(|prompt| !prompt.contains(ORIGINAL)) {
        at.fault("simplified_prompt", format!("does not hold {ORIGINAL}: what the caller asked would be lost"));
    }
    read
}

pub(super) fn overload(at: &mut Section<'_>) -> Overload {
    let read = Overload {
        enabled: at.key("enabled", "whether each provider's calls in flight are limited by what it can do").flag(true),
        limit: limit::Settings {
            min: at.key("min_limit", "calls in flight that every provider may have").count(8, 1..=1_000_000),
            max: at.key("max_limit", "calls in flight that none may have more of").count(1_024, 1..=1_000_000),
        },
        max_queue: count(at.key("max_queue", "calls that may wait for one provider").count(128, 0..=100_000)),
        max_queue_wait: at
            .key("max_queue_wait", "how long one may wait; a call that would wait longer is shed at once")
            .duration(500 * MILLISECOND, Duration::ZERO..=MINUTE),
    };
    if read.limit.min > read.limit.max {
        let key = if at.typed("min_limit") { "min_limit" } else { "max_limit" };
        at.fault(key, format!("min_limit ({}) is more than max_limit ({})", read.limit.min, read.limit.max));
    }
    read
}

pub(super) fn run_budgets(at: &mut Section<'_>) -> RunBudgets {
    let limits = run::Limits {
        max_calls: at
            .key(
                "max_calls",
                "calls of one agent run; where a fleet shares it, those begun elsewhere in the last 0.4s may come on top",
            )
           .count(20_u64, 1..=1_000_000_000),
        max_tool_calls: at.key("max_tool_calls", "tool calls that models asked for").count(50_u64, 0..=1_000_000_000),
        max_runtime: at.key("max_runtime", "from its first call").duration(5 * MINUTE, SECOND..=30 * DAY),
        max_tokens: at.key("max_tokens", "tokens, in and out").count(100_000_u64, 1..=1_000_000_000_000),
        max_cost: at
            .key("max_cost", "in the currency of cost_per_1k_tokens; null: unlimited")
            .optional_number(0.0..=1e12),
        warn_repeats: at
            .key("warn_repeats", "equal tool calls, with equal arguments, from which on a run is warned")
            .count(3, 2..=1_000_000),
        max_repeats: at.key("max_repeats", "equal tool calls from which on it is stopped").count(5, 2..=1_000_000),
    };
    let tell_model =
        at.key("tell_model", "whether a warning is also put to the model, as one more message of the user").flag(false);
    RunBudgets { limits, tell_model }
}

pub(super) fn health(at: &mut Section<'_>) -> Health {
    Health {
        interval: at.key("interval", "between two checks").duration(5 * SECOND, 100 * MILLISECOND..=HOUR),
        disk_path: PathBuf::from(at.key("disk_path", "whose free space is watched").text("/", anything)),
        limits: health::Limits {
            min_disk_free: at.key("min_disk_free", "the share of it, from 0 to 1, that must be free").ratio(0.1),
            max_gpu_memory: at.key("max_gpu_memory", "the share of a GPU's memory that may be in use").ratio(0.95),
        },
        model: at
            .key("model", "which providers are asked for a token now and then: auto (on this machine), off, always")
            .word(
                ModelChecks::Auto,
                &[("auto", ModelChecks::Auto), ("off", ModelChecks::Off), ("always", ModelChecks::Always)],
            ),
        model_interval: at.key("model_interval", "between two such questions").duration(30 * SECOND, SECOND..=DAY),
        critical: at
            .key("critical", "checks without which the sidecar is critical, of model, disk, gpu and keys")
            .words(
                &[health::Check::Model, health::Check::Disk],
                &health::Check::ALL.map(|check| (check.name(), check)),
            ),
    }
}
