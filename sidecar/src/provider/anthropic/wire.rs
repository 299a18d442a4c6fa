//! What whole answers and streams have in common: stop reasons and token counts.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::chat::answer::{Finish, Usage};

/// A `stop_reason` and OpenAI's word for it. A turn paused for the server's own tools, or stopped by the
/// window's end, is cut short as one stopped by `max_tokens` is.
pub(super) fn finish(stop_reason: &str) -> (Finish, &'static str) {
    match stop_reason {
        "end_turn" | "stop_sequence" => (Finish::Stop, "stop"),
        "max_tokens" | "model_context_window_exceeded" | "pause_turn" => (Finish::Length, "length"),
        "tool_use" => (Finish::ToolCalls, "tool_calls"),
        "refusal" => (Finish::ContentFilter, "content_filter"),
        _ => (Finish::Other, "stop"),
    }
}

/// `usage`, of which a stream's events each tell a part.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
}

impl Counts {
    /// Takes over what `later` says; it counts from the beginning too.
    pub(super) fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.cache_creation_input_tokens = later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
    }

    pub(super) fn usage(&self) -> Usage {
        let narrow = |tokens: u64| u32::try_from(tokens).unwrap_or(u32::MAX);
        Usage { input_tokens: narrow(self.prompt()), output_tokens: narrow(self.answer()) }
    }

    /// As OpenAI writes it: there the prompt's tokens include those read from the cache.
    pub(super) fn document(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt(),
            "completion_tokens": self.answer(),
            "total_tokens": self.prompt().saturating_add(self.answer()),
            "prompt_tokens_details": { "cached_tokens": self.cache_read_input_tokens.unwrap_or(0) },
        })
    }

    fn prompt(&self) -> u64 {
        [self.input_tokens, self.cache_creation_input_tokens, self.cache_read_input_tokens]
            .into_iter()
            .flatten()
            .fold(0, u64::saturating_add)
    }

    fn answer(&self) -> u64 {
        self.output_tokens.unwrap_or(0)
    }
}
