//! The fields of OpenAI's requests that Fusebox holds callers to.
//!
//! Types and ranges as the API's reference gives them. What providers add of their own is not here,
//! and so passes.

use super::{
    image::MAX_SIDE,
    shape::{Field, Rule, Shape, Shape::*, Table},
};

/// Images in one answer.
const MAX_IMAGES: i64 = 10;

/// Steps of inference for one image.
const MAX_STEPS: i64 = 1000;

/// Who may speak.
pub(super) const ROLES: &[&str] = &["system", "developer", "user", "assistant", "tool", "function"];

/// The parts of a message whose field bears the name of their type.
pub(super) const PARTS: &[&str] = &["text", "image_url", "input_audio", "file", "refusal", "video_url", "audio_url"];

const fn may(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false }
}

const fn must(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true }
}

const fn plain(fields: &'static [Field]) -> Table {
    assert!(fields.len() <= 32, "those seen must fit a mask");
    Table { fields, rule: Rule::None }
}

/// `/chat/completions`
pub(super) static CHAT: Table = plain(&[
    may("model", Text),
    may("max_tokens", Whole(1, i64::MAX)),
    may("max_completion_tokens", Whole(1, i64::MAX)),
    may("stream", Flag),
    may("n", Whole(1, 128)),
    must("messages", List(1, usize::MAX, &Object(&MESSAGE))),
    may("stream_options", Object(&STREAM_OPTIONS)),
    may("temperature", Number(0.0, 2.0)),
    may("top_p", Number(0.0, 1.0)),
    may("stop", TextOr(&Text)),
    may("seed", Whole(i64::MIN, i64::MAX)),
    may("frequency_penalty", Number(-2.0, 2.0)),
    may("presence_penalty", Number(-2.0, 2.0)),
    may("logprobs", Flag),
    may("top_logprobs", Whole(0, 20)),
    may("user", Text),
    may("tools", List(0, 1024, &Object(&TOOL))),
    may("functions", List(0, 1024, &Object(&FUNCTION))),
    may("parallel_tool_calls", Flag),
    may("response_format", Object(&RESPONSE_FORMAT)),
]);

/// `/completions`
pub(super) static COMPLETION: Table = plain(&[
    may("model", Text),
    may("max_tokens", Whole(0, i64::MAX)),
    may("stream", Flag),
    may("n", Whole(1, 128)),
    must("prompt", TextOr(&Any)),
    may("stream_options", Object(&STREAM_OPTIONS)),
    may("temperature", Number(0.0, 2.0)),
    may("top_p", Number(0.0, 1.0)),
    may("stop", TextOr(&Text)),
    may("seed", Whole(i64::MIN, i64::MAX)),
    may("frequency_penalty", Number(-2.0, 2.0)),
    may("presence_penalty", Number(-2.0, 2.0)),
    may("logprobs", Whole(0, 20)),
    may("best_of", Whole(1, 128)),
    may("echo", Flag),
    may("suffix", Text),
    may("user", Text),
]);

/// `/embeddings`
pub(super) static EMBEDDING: Table = plain(&[
    may("model", Text),
    must("input", TextOr(&Any)),
    may("encoding_format", OneOf(&["float", "base64"])),
    may("dimensions", Whole(1, i64::MAX)),
    may("user", Text),
]);

/// `/images/generations`, with what diffusion servers add to it.
pub(super) static IMAGE: Table = Table {
    fields: &[
        may("model", Text),
        must("prompt", Word),
        may("n", Whole(1, MAX_IMAGES)),
        may("size", Size),
        may("width", Whole(1, MAX_SIDE as i64)),
        may("height", Whole(1, MAX_SIDE as i64)),
        may("num_inference_steps", Whole(1, MAX_STEPS)),
        may("steps", Whole(1, MAX_STEPS)),
        may("guidance_scale", Number(0.0, 1000.0)),
        may("response_format", OneOf(&["url", "b64_json"])),
        may("negative_prompt", Text),
        may("seed", Whole(i64::MIN, i64::MAX)),
        may("user", Text),
        // Partial images are not passed on.
        may("stream", Off),
    ],
    rule: Rule::Image,
};

static STREAM_OPTIONS: Table = plain(&[may("include_usage", Flag)]);

static MESSAGE: Table = Table {
    fields: &[
        must("role", OneOf(ROLES)),
        may("content", TextOr(&Object(&PART))),
        may("name", Text),
        may("tool_calls", List(0, 1024, &Object(&TOOL_CALL))),
        may("tool_call_id", Word),
        may("function_call", Object(&CALLED)),
        may("refusal", Text),
        may("audio", Any),
    ],
    rule: Rule::Message,
};

static PART: Table = Table {
    fields: &[
        must("type", OneOf(PARTS)),
        may("text", Text),
        may("image_url", Object(&IMAGE_URL)),
        may("input_audio", Any),
        may("file", Any),
        may("refusal", Text),
        may("video_url", Any),
        may("audio_url", Any),
    ],
    rule: Rule::Part,
};

static IMAGE_URL: Table = plain(&[must("url", Word), may("detail", Text)]);

static TOOL_CALL: Table =
    plain(&[may("type", Text), must("id", Word), may("function", Object(&CALLED)), may("custom", Any)]);

static CALLED: Table = plain(&[must("name", Word), must("arguments", Text)]);

static TOOL: Table = plain(&[must("type", Word), may("function", Object(&FUNCTION))]);

static FUNCTION: Table =
    plain(&[must("name", Word), may("description", Text), may("parameters", Object(&ANYTHING)), may("strict", Flag)]);

static RESPONSE_FORMAT: Table = plain(&[must("type", Word), may("json_schema", Object(&JSON_SCHEMA))]);

static JSON_SCHEMA: Table = plain(&[must("name", Word), may("schema", Object(&ANYTHING)), may("strict", Flag)]);

static ANYTHING: Table = plain(&[]);
