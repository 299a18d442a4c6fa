//! The words of an error, found in whichever of the known shapes a provider puts them.

use std::time::Duration;

use serde_json::Value;

use super::{MAX_WORDING, cut};

/// What an error says. A text that is absent is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Words {
    pub(super) code: String,
    pub(super) error_type: String,
    pub(super) message: String,
    /// The faulty field, if its name is a plain path.
    pub(super) param: Option<String>,
    /// A wait told in a field of its own.
    pub(super) wait: Option<Duration>,
    /// The status told in the document, for want of a real one.
    pub(super) status: Option<u16>,
    /// The window, in tokens, where a field tells it.
    pub(super) limit: Option<u64>,
    /// The prompt's length, in tokens, where a field tells it.
    pub(super) length: Option<u64>,
    pub(super) html: bool,
}

/// Whether `document`, which came in place of an answer, tells of an error.
pub(super) fn is_error(document: &Value) -> bool {
    let document = first(document);
    let says = |name: &str| document.get(name).is_some_and(|value| !value.is_null() && *value != false);
    says("error")
        || document["object"] == "error"
        || document["type"] == "error"
        || says("__type")
        || says("detail") && !says("choices")
}

impl Words {
    /// The words of a JSON document. Never fails: an unknown shape has few words.
    pub(super) fn of_document(document: &Value) -> Self {
        let mut words = Self::default();
        words.read(first(document));
        if words.message.is_empty() && !document.is_object() {
            words.message = document.as_str().map_or_else(|| document.to_string(), str::to_owned);
        }
        cut(&mut words.message, MAX_WORDING);
        words
    }

    /// The words of a body that is no JSON; of a page of HTML, its title.
    pub(super) fn of_text(text: &str, html: bool) -> Self {
        let text = if html { title(text).unwrap_or_default() } else { text.trim() };
        let mut message = text.to_owned();
        cut(&mut message, MAX_WORDING);
        Self { message, html, ..Self::default() }
    }

    /// Reads the outer object: `error`, `detail`, or words of its own.
    fn read(&mut self, outer: &Value) {
        match &outer["error"] {
            error @ Value::Object(_) => self.read_inner(error),
            error @ Value::Array(_) => self.read_inner(first(error)),
            Value::String(text) => text.clone_into(&mut self.message),
            _ => match &outer["errors"] {
                errors @ Value::Array(_) => self.read_inner(first(errors)),
                _ => self.read_inner(outer),
            },
        }
        match &outer["detail"] {
            Value::String(text) if self.message.is_empty() => text.clone_into(&mut self.message),
            detail @ Value::Object(_) if self.message.is_empty() => self.read_inner(detail),
            Value::Array(faults) => self.read_faults(faults),
            _ => {}
        }
        fill(&mut self.error_type, text(outer, &["error_type"]));
        fill(&mut self.code, text(outer, &["__type", "error_code"]).map(after_hash));
        for part in [outer, &outer["error"]] {
            let seconds = ["retry_after", "estimated_time"].iter().find_map(|name| part[*name].as_f64());
            self.wait = self.wait.or(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()));
        }
    }

    /// Reads the object that holds the message.
    fn read_inner(&mut self, error: &Value) {
        if let Value::String(text) = error {
            text.clone_into(&mut self.message);
        }
        fill(&mut self.message, text(error, &["message", "Message", "msg", "error"]));
        // A gateway puts the words of whoever stands behind it here.
        if let Some(raw) = error["metadata"]["raw"].as_str() {
            self.message.push_str(": ");
            self.message.push_str(raw);
        }
        fill(&mut self.error_type, text(error, &["type", "status"]));
        fill(&mut self.code, text(error, &["code"]).map(after_hash));
        let number = error["code"].as_u64().or(error["status"].as_u64());
        self.status = number.and_then(|code| u16::try_from(code).ok()).filter(|code| (400..600).contains(code));
        if self.code.is_empty() {
            self.code = number.map(|code| code.to_string()).unwrap_or_default();
        }
        for inner in ["innererror", "inner_error"] {
            fill(&mut self.error_type, text(&error[inner], &["code"]));
        }
        self.param = error["param"].as_str().and_then(plain_path);
        self.limit = error["n_ctx"].as_u64();
        self.length = error["n_prompt_tokens"].as_u64();
        for detail in error["details"].as_array().into_iter().flatten() {
            if let Some(reason) = detail["reason"].as_str() {
                reason.clone_into(&mut self.code);
            }
            let delay = detail["retryDelay"].as_str().and_then(|delay| delay.strip_suffix('s')?.parse().ok());
            self.wait = self.wait.or(delay.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()));
        }
    }

    /// Reads the list that FastAPI makes of a request's faults.
    fn read_faults(&mut self, faults: &[Value]) {
        for fault in faults {
            let steps = fault["loc"].as_array().map(Vec::as_slice).unwrap_or_default();
            let mut path = String::new();
            for step in steps.iter().filter(|step| **step != "body") {
                match step {
                    Value::String(name) if path.is_empty() => path.push_str(name),
                    Value::String(name) => path.extend([".", name]),
                    index => path.push_str(&format!("[{index}]")),
                }
            }
            let separator = if self.message.is_empty() { "" } else { "; " };
            let said = text(fault, &["msg", "message"]).unwrap_or_default();
            self.message.push_str(&format!("{separator}{path}: {said}"));
            self.param = self.param.take().or_else(|| plain_path(&path));
            if self.message.len() > MAX_WORDING {
                break;
            }
        }
    }
}

/// The document itself, or the first of a list.
fn first(document: &Value) -> &Value {
    document.as_array().and_then(|items| items.first()).unwrap_or(document)
}

/// The first of these fields that is a text which says something.
fn text<'a>(object: &'a Value, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| object[*name].as_str().filter(|text| !text.is_empty()))
}

fn fill(empty: &mut String, text: Option<&str>) {
    if let Some(text) = text.filter(|_| empty.is_empty()) {
        text.clone_into(empty);
        cut(empty, MAX_WORDING);
    }
}

/// AWS puts a namespace before a `#`.
fn after_hash(code: &str) -> &str {
    code.rsplit('#').next().unwrap_or(code)
}

/// `path` if it is a field's, and nothing that could carry other words to the caller.
fn plain_path(path: &str) -> Option<String> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '[' | ']');
    let fits = !path.is_empty() && path.len() <= 64 && path.chars().all(is_plain);
    fits.then(|| path.to_owned())
}

fn title(page: &str) -> Option<&str> {
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let length = lower[start..].find("</title>")?;
    Some(page[start..start + length].trim())
}
