//! From a provider's error, in whatever shape it comes, to a [`Failure`].
//!
//! Which kind it is and how long to stay away are decided by the rules; here the words are found. The
//! caller is told our own sentence and bare facts; the provider's words stay inside.

mod context;
mod words;

use std::{borrow::Cow, time::Duration};

use fusebox_rules::{
    classify::{self, Evidence},
    come_back::{
        self,
        left::{AllLeft, left},
    },
};
use http::{HeaderMap, HeaderName, header};
use serde_json::Value;
use words::Words;

use crate::{
    clock,
    error::{ErrorKind, Failure},
};

/// Bytes of a provider's raw words that are kept.
pub const MAX_INSIDE: usize = 2048;
/// Bytes of an error's wording that are looked at; what matters comes first.
const MAX_WORDING: usize = 8192;

/// The failure that a response is whose status is not a success. `body` may be anything, and cut.
#[must_use]
pub fn from_response(status: u16, headers: &HeaderMap, body: &[u8]) -> Failure {
    let mut words = match serde_json::from_slice::<Value>(body) {
        Ok(document) => Words::of_document(&document),
        Err(_) => Words::of_text(&String::from_utf8_lossy(body), is_html(headers, body)),
    };
    if words.error_type.is_empty()
        && let Some(name) = header_text(headers, &HeaderName::from_static("x-amzn-errortype"))
    {
        words.error_type = name.split(':').next().unwrap_or_default().to_owned();
    }
    let kind = classify(Some(status), &words, body.trim_ascii().is_empty());
    let wait = wait_in_headers(kind, headers).or_else(|| wait_in_words(kind, &words));
    let failure = failure(kind, &words).wait(wait).detail("provider_status", status);
    Failure { final_here: come_back::forbids_retry(texts(headers)), ..failure }
        .inside(inside(&format!("HTTP {status}: "), body))
}

/// The failure that an event of a stream, or an answer with a status of success, tells of in place of an answer;
/// `None` if `json` is not an error in any of the shapes known.
#[must_use]
pub fn from_event(json: &[u8]) -> Option<Failure> {
    let document: Value = serde_json::from_slice(json).ok()?;
    if !words::is_error(&document) {
        return None;
    }
    let words = Words::of_document(&document);
    let kind = classify(words.status, &words, false);
    Some(failure(kind, &words).wait(wait_in_words(kind, &words)).inside(inside("", json)))
}

/// The failure that a response is whose status is a success and whose body is no answer: an error told with
/// status 200, or another server's page.
#[must_use]
pub fn from_success(body: &[u8]) -> Failure {
    from_event(body).unwrap_or_else(|| {
        Failure::new(ErrorKind::InvalidResponse, "the provider answered with something else than was asked for")
            .inside(inside("", body))
    })
}

fn classify(status: Option<u16>, words: &Words, empty: bool) -> ErrorKind {
    classify::classify(&Evidence {
        status,
        code: &words.code,
        error_type: &words.error_type,
        message: &words.message,
        html: words.html,
        empty,
    })
}

fn failure(kind: ErrorKind, words: &Words) -> Failure {
    let mut failure = Failure::new(kind, sentence(kind));
    if kind == ErrorKind::ContextLengthExceeded {
        let facts = context::Facts::find(&words.message);
        let facts =
            context::Facts { limit: words.limit.or(facts.limit), length: words.length.or(facts.length), ..facts };
        failure.details.extend(facts.limit.map(|tokens| ("context_limit_tokens", tokens.to_string())));
        failure.details.extend(facts.length.map(|tokens| ("context_length_tokens", tokens.to_string())));
        failure.details.extend(facts.prompt.map(|tokens| ("prompt_tokens", tokens.to_string())));
    }
    if kind == ErrorKind::InvalidInput
        && let Some(param) = &words.param
    {
        failure.message = format!("the provider found a fault in `{param}`");
        failure = failure.detail("param", param);
    }
    failure
}

/// What the caller is told.
pub(super) const fn sentence(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::RateLimited => "the provider asked for fewer calls",
        ErrorKind::InferenceTimeout => "the provider did not answer in time",
        ErrorKind::NetworkError => "the provider could not be reached",
        ErrorKind::ProviderError => "the provider failed",
        ErrorKind::ModelOverloaded => "the provider has more work than it can take",
        ErrorKind::ModelLoadingFailed => "the provider has not loaded the model",
        ErrorKind::OutOfMemory => "the provider ran out of memory on this call",
        ErrorKind::GenerationFailed => "the model began and failed",
        ErrorKind::StreamBroken => "the provider's stream broke",
        ErrorKind::InvalidResponse => "the provider's answer is no good",
        ErrorKind::ContentFiltered => "the provider refused the content of this call",
        ErrorKind::ContextLengthExceeded => "the prompt does not fit the model's window",
        ErrorKind::Authentication => "the provider refused the key that it was given",
        ErrorKind::PermissionDenied => "the provider does not allow this with the key that it was given",
        ErrorKind::ModelNotFound => "the provider has no such model",
        ErrorKind::InvalidInput => "the provider found the request wrong",
        ErrorKind::CircuitOpen => "the provider is left alone after failures",
        ErrorKind::BudgetExceeded => "the budget for this provider is spent",
        ErrorKind::Shed => "the provider refused the call to protect others",
        ErrorKind::ShuttingDown => "the provider is shutting down",
        ErrorKind::Cancelled => "the call was cancelled",
        ErrorKind::InternalError => "the sidecar made a mistake",
    }
}

fn wait_in_headers(kind: ErrorKind, headers: &HeaderMap) -> Option<Duration> {
    // Providers tell when their limits reset on every response; only a refusal for the limit is about that.
    let matters = |name: &str| kind == ErrorKind::RateLimited || name.contains("retry-");
    if !kind.row().retryable {
        return None;
    }
    come_back::wait(texts(headers).filter(|(name, _)| matters(name)), clock::unix_now())
}

/// What an answer's head says is left of the provider's rate limits.
pub(super) fn left_in_headers(headers: &HeaderMap) -> AllLeft {
    left(texts(headers), clock::unix_now())
}

/// The headers that are text.
fn texts(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
}

fn wait_in_words(kind: ErrorKind, words: &Words) -> Option<Duration> {
    if !kind.row().retryable {
        return None;
    }
    words.wait.filter(|wait| *wait <= come_back::MAX_WAIT).or_else(|| come_back::wait_in_words(&words.message))
}

fn is_html(headers: &HeaderMap, body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    let start = &start[..start.len().min(14)].to_ascii_lowercase();
    start.starts_with(b"<!doctype html")
        || start.starts_with(b"<html")
        || header_text(headers, &header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"))
}

fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The provider's raw words for the log, cut, and without what looks like a key.
fn inside(before: &str, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(2 * MAX_INSIDE)]);
    let mut words = String::with_capacity(before.len() + text.len());
    words.push_str(before);
    words.push_str(&without_keys(&text));
    cut(&mut words, MAX_INSIDE);
    words
}

fn cut(text: &mut String, most: usize) {
    text.truncate(text.floor_char_boundary(most));
}

/// Providers repeat the key that they refuse.
fn without_keys(text: &str) -> Cow<'_, str> {
    const BEGINNINGS: [&str; 7] = ["sk-", "hf_", "gsk_", "nvapi-", "xai-", "AIza", "AKIA"];
    let is_of_key = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '*' | '.');
    let mut shown = String::new();
    let mut from = 0;
    for word in text.split(|letter| !is_of_key(letter)).filter(|word| word.len() >= 8) {
        if BEGINNINGS.iter().any(|beginning| word.starts_with(beginning)) {
            let at = word.as_ptr() as usize - text.as_ptr() as usize;
            shown.push_str(&text[from..at]);
            shown.push_str("[key]");
            from = at + word.len();
        }
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    shown.push_str(&text[from..]);
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests;
