//! Whatever a provider answers instead of an answer: it is classified, bounded, and shows no key.

#![no_main]

use fusebox_sidecar::{
    error::Failure,
    provider::fault::{MAX_INSIDE, from_event, from_response, from_success},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

/// Bytes of a sentence for the caller: ours, and the name of a field.
const MAX_MESSAGE: usize = 256;
/// Bytes of a fact for the caller.
const MAX_DETAIL: usize = 128;
/// A day, the longest wait that is believed, in seconds.
const MAX_WAIT: u64 = 24 * 60 * 60;

fuzz_target!(|input: &[u8]| {
    let (status, headers, body) = response(input);
    hold(&from_response(status, &headers, body));
    hold(&from_success(body));
    if let Some(failure) = from_event(body) {
        hold(&failure);
    }
});

/// The input as a response is written: a line of status, lines of headers, an empty line, the body.
fn response(input: &[u8]) -> (u16, HeaderMap, &[u8]) {
    let mut rest = input;
    let mut line = || {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = &rest[..end];
        rest = &rest[rest.len().min(end + 1)..];
        line
    };
    let status = std::str::from_utf8(line()).ok().and_then(|status| status.trim().parse().ok()).unwrap_or(500);
    let mut headers = HeaderMap::new();
    loop {
        let line = line();
        if line.is_empty() {
            break;
        }
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let name = HeaderName::from_bytes(halves.next().unwrap_or_default());
        let value = HeaderValue::from_bytes(halves.next().unwrap_or_default().trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    (status, headers, rest)
}

/// What holds of every failure that a provider's words become.
fn hold(failure: &Failure) {
    assert!(!failure.message.is_empty() && failure.message.len() <= MAX_MESSAGE, "{failure:?}");
    assert!(failure.details.iter().all(|(_, value)| value.len() <= MAX_DETAIL), "{failure:?}");
    assert!(failure.wait.is_none_or(|wait| wait.as_secs() <= MAX_WAIT), "{failure:?}");
    assert!(failure.wait.is_none() || failure.kind.row().retryable, "{failure:?}");
    let inside = failure.inside.as_deref().unwrap_or_default();
    assert!(inside.len() <= MAX_INSIDE, "{} bytes are kept", inside.len());
    assert!(!shows_a_key(inside), "{inside}");
}

/// Whether a word looks like a key that a provider repeats.
fn shows_a_key(text: &str) -> bool {
    let beginnings = ["sk-", "hf_", "gsk_", "nvapi-", "xai-", "AIza", "AKIA"];
    let is_of_key = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '*' | '.');
    let mut words = text.split(|letter| !is_of_key(letter)).filter(|word| word.len() >= 8);
    words.any(|word| beginnings.iter().any(|beginning| word.starts_with(beginning)))
}
