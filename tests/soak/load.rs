//! What is asked in a soak: every operation, through both doors, with every option that a caller has.

use fastrand::Rng;
use serde_json::{Value, json};

/// The one good answer in words, each a token.
pub(crate) const WORDS: &[&str] =
    &["Every ", "word ", "in ", "its ", "place, ", "and ", "none ", "of ", "them ", "twice."];
/// The one good answer in JSON.
pub(crate) const JSON_ANSWER: &[&str] = &["{\"answer\"", ": ", "42}"];
/// The answer of last resort.
pub(crate) const SORRY: &str = "Nobody can answer at the moment.";
/// Stands in every invalid request, and in no other.
pub(crate) const INVALID: &str = "xylophone-41-invalid";

/// One request over HTTP.
pub(crate) struct Ask {
    pub(crate) path: &'static str,
    pub(crate) body: Value,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) kind: Kind,
    pub(crate) stream: bool,
    /// Whether the caller hangs up after the first event.
    pub(crate) hangs_up: bool,
    /// Milliseconds that the caller waits.
    pub(crate) patience: u64,
}

/// What a good answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Words,
    Json,
    Embeddings(usize),
    Image,
    Invalid,
}

/// Draws the next request.
pub(crate) fn draw(dice: &mut Rng) -> Ask {
    let mut ask = match dice.u8(0..20) {
        0 | 1 => embeddings(dice),
        2 => image(),
        3 => invalid(dice),
        4 | 5 => structured(dice),
        _ => chat(dice),
    };
    ask.patience = dice.u64(300..2500);
    ask.headers.push(("x-fusebox-timeout-ms", ask.patience.to_string()));
    let some = |dice: &mut Rng, of: &[&str]| dice.choice(of).map(ToString::to_string).unwrap_or_default();
    if dice.u8(0..3) == 0 {
        ask.headers.push(("x-fusebox-cache", some(dice, &["off", "fallback", "prefer"])));
    }
    if dice.u8(0..4) == 0 {
        ask.headers.push(("x-fusebox-priority", some(dice, &["batch", "interactive"])));
    }
    if dice.u8(0..6) == 0 {
        ask.headers.push(("x-fusebox-run-id", format!("run-{}", dice.u32(..))[..6].to_owned()));
    }
    if dice.u8(0..6) == 0 {
        ask.headers.push(("idempotency-key", format!("key-{}", dice.u64(..))));
    }
    if ask.stream && dice.u8(0..4) == 0 {
        ask.headers.push(("x-fusebox-holdback", some(dice, &["3", "20ms", "whole"])));
    }
    ask.hangs_up = ask.stream && dice.u8(0..20) == 0;
    ask
}

fn ask(path: &'static str, body: Value, kind: Kind) -> Ask {
    let stream = body["stream"] == true;
    Ask { path, body, headers: Vec::new(), kind, stream, hangs_up: false, patience: 0 }
}

fn chat(dice: &mut Rng) -> Ask {
    let prompt = format!("question {} {}", dice.u32(0..2000), "and more of it ".repeat(dice.usize(0..60)));
    let messages = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]);
    let body = json!({"messages": messages, "stream": dice.bool(), "max_tokens": 64});
    ask("/v1/chat/completions", body, Kind::Words)
}

fn structured(dice: &mut Rng) -> Ask {
    let schema = json!({"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]});
    let format = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}});
    let prompt = format!("a number, the {}th", dice.u32(..));
    let body =
        json!({"messages": [{"role": "user", "content": prompt}], "response_format": format, "stream": dice.bool()});
    ask("/v1/chat/completions", body, Kind::Json)
}

fn embeddings(dice: &mut Rng) -> Ask {
    let inputs: Vec<String> = (0..dice.usize(1..30)).map(|place| "x".repeat(place + 1)).collect();
    let count = inputs.len();
    ask("/v1/embeddings", json!({"input": inputs}), Kind::Embeddings(count))
}

fn image() -> Ask {
    ask("/v1/images/generations", json!({"prompt": "a fuse", "size": "64x64"}), Kind::Image)
}

fn invalid(dice: &mut Rng) -> Ask {
    let bodies = [
        json!({"messages": [{"role": "nobody", "content": INVALID}]}),
        json!({"messages": [{"role": "user", "content": INVALID}], "temperature": 9}),
        json!({"messages": [], "user": INVALID}),
        json!({"messages": [{"role": "user", "content": INVALID}], "max_tokens": -3, "stream": true}),
        json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{INVALID}")}}]}]}),
    ];
    Ask { stream: false, ..ask("/v1/chat/completions", bodies[dice.usize(..bodies.len())].clone(), Kind::Invalid) }
}
