//! From a chat request to a Messages API body.
//!
//! What the API calls otherwise is renamed, what it lacks is left out and said so, and what cannot be
//! left out without changing the question makes the request one that this provider cannot serve.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{CannotServe, tools, turns};
use crate::chat::request::{Operation, Request};

/// The API wants a limit on the answer; this many tokens where the caller set none.
pub const DEFAULT_MAX_TOKENS: u64 = 4096;

/// A request as the API takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Translated {
    /// The document to send.
    pub body: Bytes,
    /// For people: what the caller asked for and does not get.
    pub warnings: Vec<String>,
    /// Whether the caller wants a stream's usage as a chunk of its own.
    pub include_usage: bool,
}

/// Fields of this API's own, passed on as they came.
const PASSED_ON: [&str; 4] = ["top_k", "output_config", "context_management", "container"];

/// Fields without which the answer is no worse.
const OF_NO_MATTER: [&str; 10] = [
    "model",
    "stream",
    "n",
    "store",
    "metadata",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "simulate",
];

/// Names at most so many fields that were left out.
const MAX_NAMED: usize = 16;

/// Translates `request` for `model`; `max_tokens` comes before what the request says.
///
/// `response_format` becomes an instruction in the system prompt, since the API's own way to promise a
/// format is not open to every model.
///
/// # Errors
/// If the request asks for what the API does not have: another operation, several choices, audio.
pub fn translate(request: &Request, model: &str, max_tokens: Option<u64>) -> Result<Translated, CannotServe> {
    match request.operation {
        Operation::Chat => {}
        other => return Err(CannotServe::new(format!("{} requests", other.name()))),
    }
    if request.choices > 1 {
        return Err(CannotServe::new("more than one choice (n)"));
    }
    let Ok(mut asked) = serde_json::from_slice::<Map<String, Value>>(&request.body) else {
        return Err(CannotServe::new("a body that is not a JSON object"));
    };
    let mut warnings = Vec::new();
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    let limit = max_tokens.or(request.max_tokens).unwrap_or(DEFAULT_MAX_TOKENS);
    body.insert("max_tokens".into(), limit.max(1).into());
    for spelling in ["max_tokens", "max_completion_tokens"] {
        asked.remove(spelling);
    }
    if request.stream {
        body.insert("stream".into(), true.into());
    }

    let instruction = asked.remove("response_format").as_ref().and_then(format_instruction);
    let turns = turns::translate(asked.remove("messages"), instruction, &mut warnings)?;
    if let Some(system) = turns.system {
        body.insert("system".into(), system);
    }
    body.insert("messages".into(), turns.messages.into());
    tools::translate(&mut asked, &turns.called, &mut body, &mut warnings)?;
    sampling(&mut asked, &mut body, &mut warnings);
    if let Some(thinking) = asked.remove("thinking").filter(|thinking| !thinking.is_null()) {
        // The API wants its signed thoughts back before each tool call, and this shape has no place for them.
        if turns.called.is_empty() {
            body.insert("thinking".into(), thinking);
        } else {
            warnings.push("thinking was left out: earlier turns call tools, and their thoughts are not kept".into());
        }
    }
    let user = asked.remove("user").or_else(|| asked.remove("safety_identifier"));
    if let Some(user) = user.filter(Value::is_string) {
        body.insert("metadata".into(), json!({ "user_id": user }));
    }
    let include_usage = asked.remove("stream_options").is_some_and(|options| options["include_usage"] == true);
    rest(asked, &mut body, &mut warnings)?;
    Ok(Translated { body: Value::from(body).to_string().into(), warnings, include_usage })
}

/// `temperature`, `top_p` and `stop`.
fn sampling(asked: &mut Map<String, Value>, body: &mut Map<String, Value>, warnings: &mut Vec<String>) {
    let temperature = asked.remove("temperature").as_ref().and_then(Value::as_f64);
    if let Some(temperature) = temperature {
        if !(0.0..=1.0).contains(&temperature) {
            warnings.push(format!("temperature {temperature} was brought within 0 to 1, this provider's range"));
        }
        body.insert("temperature".into(), temperature.clamp(0.0, 1.0).into());
    }
    if let Some(top_p) = asked.remove("top_p").as_ref().and_then(Value::as_f64) {
        // Newer models refuse the two together.
        if temperature.is_none() {
            body.insert("top_p".into(), top_p.into());
        } else if top_p < 1.0 {
            warnings.push("top_p was left out: this provider takes it or temperature, not both".into());
        }
    }
    let stop = match asked.remove("stop") {
        Some(Value::Array(stops)) => stops,
        Some(one @ Value::String(_)) => vec![one],
        _ => return,
    };
    let asked_for = stop.len();
    let stop: Vec<_> =
        stop.into_iter().filter(|stop| stop.as_str().is_some_and(|stop| !stop.trim().is_empty())).collect();
    if stop.len() < asked_for {
        warnings.push("stop sequences of white space were left out: this provider does not take them".into());
    }
    if !stop.is_empty() {
        body.insert("stop_sequences".into(), stop.into());
    }
}

/// What to tell the model so that it answers in the format asked for.
fn format_instruction(format: &Value) -> Option<String> {
    const ONLY_JSON: &str =
        "Answer with one JSON document and nothing else: no prose before or after it, no code fence.";
    match format["type"].as_str()? {
        "json_object" => Some(format!("{ONLY_JSON} The document is an object.")),
        "json_schema" => match &format["json_schema"]["schema"] {
            Value::Null => Some(ONLY_JSON.into()),
            schema => Some(format!("{ONLY_JSON} The document fits this JSON Schema:\n{schema}")),
        },
        _ => None,
    }
}

/// Everything that no other function took.
fn rest(
    asked: Map<String, Value>,
    body: &mut Map<String, Value>,
    warnings: &mut Vec<String>,
) -> Result<(), CannotServe> {
    let mut left_out = Vec::new();
    for (name, value) in asked {
        match name.as_str() {
            "modalities" if value.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "audio")) => {
                return Err(CannotServe::new("answers in audio"));
            }
            "functions" | "function_call" if !is_neutral(&value) => {
                return Err(CannotServe::new("functions, which tools have replaced"));
            }
            known if PASSED_ON.contains(&known) => {
                body.insert(name, value);
            }
            known if OF_NO_MATTER.contains(&known) || known == "modalities" || is_neutral(&value) => {}
            _ => left_out.push(name),
        }
    }
    if !left_out.is_empty() {
        left_out.sort_unstable();
        let more = left_out.len().saturating_sub(MAX_NAMED);
        left_out.truncate(MAX_NAMED);
        let and_more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let names = left_out.join(", ");
        warnings.push(format!("left out, because this provider has nothing like it: {names}{and_more}"));
    }
    Ok(())
}

/// Whether a field set to `value` asks for nothing.
fn is_neutral(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) => false,
    }
}

#[cfg(test)]
mod tests;
