//! The fields of OpenAI's requests that Fusebox holds callers to.
//!
//! Types and ranges as the API's reference gives them. What providers add of their own is not here,
//! and so passes.

use super::{
    image::MAX_SIDE,
    shape::{Field, Holder, Keys, Mark, Need, Rule, Shape, Shape::*, Table},
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
    Field { name, shape, required: false, aside: false }
}

/// A field that has no part in the answer. The model is one: which of them answers is told by what its name stands for.
const fn aside(name: &'static str, shape: Shape) -> Field {
    Field { aside: true, ..may(name, shape) }
}

const fn must(name: &'static str, shape: Shape) -> Field {
    Field { required: true, ..may(name, shape) }
}

const fn plain(fields: &'static [Field]) -> Table {
    assert!(fields.len() <= 64, "those seen must fit a mask");
    Table { fields, rule: Rule::None }
}

/// `/chat/completions`
pub(super) static CHAT: Table = plain(&[
    aside("model", NAME),
    may("max_tokens", Whole(1, i64::MAX)),
    may("max_completion_tokens", Whole(1, i64::MAX)),
    aside("stream", Flag),
    may("n", Whole(1, 128)),
    must("messages", List(1, usize::MAX, &Object(&MESSAGE))),
    aside("stream_options", Object(&STREAM_OPTIONS)),
    may("temperature", Number(0.0, 2.0)),
    may("top_p", Number(0.0, 1.0)),
    may("stop", TextOr(&Word, &Word)),
    may("seed", Whole(i64::MIN, i64::MAX)),
    may("frequency_penalty", Number(-2.0, 2.0)),
    may("presence_penalty", Number(-2.0, 2.0)),
    may("tools", List(0, 1024, &Object(&TOOL))),
    may("tool_choice", WordOr(TOOL_CHOICES, &TOOL_CHOICE)),
    may("parallel_tool_calls", Flag),
    may("response_format", Object(&RESPONSE_FORMAT)),
    may("logprobs", Flag),
    may("top_logprobs", MANY_LOGPROBS),
    may("logit_bias", Map(Keys::Tokens, &Number(-100.0, 100.0))),
    aside("user", NAME),
    aside("metadata", Map(Keys::Any, &Line(0, 4096))),
    may("modalities", List(0, 16, &Word)),
    may("audio", Object(&ANYTHING)),
    may("prediction", Object(&ANYTHING)),
    may("reasoning_effort", Word),
    may("verbosity", Word),
    aside("service_tier", Word),
    aside("store", Flag),
    aside("prompt_cache_key", NAME),
    aside("prompt_cache_retention", Word),
    aside("safety_identifier", NAME),
    may("web_search_options", Object(&ANYTHING)),
    may("functions", List(0, 1024, &Object(&OLD_FUNCTION))),
    may("function_call", WordOr(&["none", "auto"], &NAMED)),
]);

/// `/completions`
pub(super) static COMPLETION: Table = plain(&[
    aside("model", NAME),
    may("max_tokens", Whole(0, i64::MAX)),
    aside("stream", Flag),
    may("n", Whole(1, 128)),
    must("prompt", Prompt(Need::Words)),
    aside("stream_options", Object(&STREAM_OPTIONS)),
    may("temperature", Number(0.0, 2.0)),
    may("top_p", Number(0.0, 1.0)),
    may("stop", TextOr(&Word, &Word)),
    may("seed", Whole(i64::MIN, i64::MAX)),
    may("frequency_penalty", Number(-2.0, 2.0)),
    may("presence_penalty", Number(-2.0, 2.0)),
    may("logprobs", MANY_LOGPROBS),
    may("logit_bias", Map(Keys::Tokens, &Number(-100.0, 100.0))),
    may("best_of", Whole(1, 128)),
    may("echo", Flag),
    may("suffix", Prose(Need::Nothing)),
    aside("user", NAME),
]);

/// `/embeddings`
pub(super) static EMBEDDING: Table = plain(&[
    aside("model", NAME),
    must("input", Prompt(Need::Text)),
    may("encoding_format", OneOf(&["float", "base64"])),
    may("dimensions", Whole(1, i64::MAX)),
    aside("user", NAME),
]);

/// `/images/generations`, with what diffusion servers add to it.
pub(super) static IMAGE: Table = Table {
    fields: &[
        aside("model", NAME),
        must("prompt", Prose(Need::Words)),
        may("n", Whole(1, MAX_IMAGES)),
        may("size", Size),
        may("width", Whole(1, MAX_SIDE as i64)),
        may("height", Whole(1, MAX_SIDE as i64)),
        may("num_inference_steps", Whole(1, MAX_STEPS)),
        may("steps", Whole(1, MAX_STEPS)),
        may("guidance_scale", Number(0.0, 1000.0)),
        may("response_format", OneOf(&["url", "b64_json"])),
        may("negative_prompt", Prose(Need::Nothing)),
        may("seed", Whole(i64::MIN, i64::MAX)),
        aside("user", NAME),
        // Partial images are not passed on.
        aside("stream", Off),
    ],
    rule: Rule::Image,
};

/// What a caller, a model or a cache is called. Models are also called by where their files are.
const NAME: Shape = Line(0, 1024);

/// Servers set their own bound, and to some of them -1 is all of the vocabulary.
const MANY_LOGPROBS: Shape = Whole(-1, i64::MAX);

/// `any` is some providers' word for `required`.
const TOOL_CHOICES: &[&str] = &["none", "auto", "required", "any"];

static STREAM_OPTIONS: Table = plain(&[may("include_usage", Flag)]);

static MESSAGE: Table = Table {
    fields: &[
        must("role", OneOf(ROLES)),
        may("content", TextOr(&Prose(Need::Nothing), &Object(&PART))),
        may("name", Line(0, 256)),
        may("tool_calls", List(0, 1024, &Object(&TOOL_CALL))),
        may("tool_call_id", Marked(Mark::Answer)),
        may("function_call", Object(&CALLED)),
        may("refusal", Text),
        may("audio", Any),
    ],
    rule: Rule::Message,
};

static PART: Table = Table {
    fields: &[
        must("type", OneOf(PARTS)),
        may("text", Prose(Need::Nothing)),
        may("image_url", Object(&IMAGE_URL)),
        may("input_audio", Any),
        may("file", Object(&FILE)),
        may("refusal", Text),
        may("video_url", Any),
        may("audio_url", Any),
    ],
    rule: Rule::Part,
};

static IMAGE_URL: Table = plain(&[must("url", Media(Holder::Url)), may("detail", Text)]);

static FILE: Table = Table {
    fields: &[may("file_data", Media(Holder::File)), may("file_id", Word), may("filename", Line(0, 1024))],
    rule: Rule::Either("file_data", "file_id"),
};

static TOOL_CALL: Table = plain(&[
    may("type", Text),
    must("id", Marked(Mark::Call)),
    may("function", Object(&CALLED)),
    may("custom", Object(&NAMED)),
]);

static CALLED: Table = plain(&[must("name", Line(1, 256)), must("arguments", Prose(Need::Nothing))]);

static TOOL: Table = Table {
    fields: &[
        must("type", Hint(&["function", "custom"])),
        may("function", Object(&FUNCTION)),
        may("custom", Object(&CUSTOM)),
    ],
    rule: Rule::Holds(&[&["function"], &["custom"]]),
};

static FUNCTION: Table = plain(&[
    must("name", Marked(Mark::Tool)),
    may("description", Text),
    may("parameters", Object(&ANYTHING)),
    may("strict", Flag),
]);

static CUSTOM: Table = plain(&[must("name", Marked(Mark::Tool)), may("description", Text)]);

static OLD_FUNCTION: Table =
    plain(&[must("name", Line(1, 256)), may("description", Text), may("parameters", Object(&ANYTHING))]);

static TOOL_CHOICE: Table = Table {
    fields: &[
        must("type", Hint(&["function", "custom"])),
        may("function", Object(&CHOSEN)),
        may("custom", Object(&CHOSEN)),
    ],
    rule: Rule::Holds(&[&["function"], &["custom"]]),
};

static CHOSEN: Table = plain(&[must("name", Marked(Mark::Choice))]);

static NAMED: Table = plain(&[must("name", Line(1, 256))]);

static RESPONSE_FORMAT: Table = Table {
    fields: &[
        must("type", Hint(&["json_schema"])),
        may("json_schema", Object(&JSON_SCHEMA)),
        may("schema", Object(&ANYTHING)),
    ],
    // Some servers take the schema without its wrapping.
    rule: Rule::Holds(&[&["json_schema", "schema"]]),
};

static JSON_SCHEMA: Table = plain(&[
    must("name", Line(1, 256)),
    may("description", Text),
    must("schema", Object(&ANYTHING)),
    may("strict", Flag),
]);

static ANYTHING: Table = plain(&[]);
