//! What a simulated provider is asked, as far as it understands it, and what it makes of that.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    fit::fit,
    script::{Answer, Breaks, Pace, Script, ends},
};
use crate::{
    chat::{
        answer::Finish,
        request::{Operation, Request},
    },
    clock, config,
    error::{ErrorKind, Failure, FieldFault},
    provider::fault,
};

/// Choices in one answer.
const MAX_CHOICES: usize = 128;
/// Characters of a user's message that are echoed.
const MAX_ECHO: usize = 1000;
/// What a simulated limit asks for where the request does not say.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A request as far as a simulation understands it.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    document: Value,
    settings: &'a config::Simulated,
    pace: Pace,
    breaks: Option<Breaks>,
    /// Half of the tokens come before it breaks.
    halfway: bool,
}

impl<'a> Asked<'a> {
    /// Reads `request`; `dice`, from 0 to 1, decides whether the configured failure happens.
    pub(super) fn read(request: &Request, settings: &'a config::Simulated, dice: f64) -> Result<Self, Failure> {
        let document: Value = serde_json::from_slice(&request.body)
            .map_err(|error| Failure::new(ErrorKind::InvalidInput, format!("the body is not JSON: {error}")))?;
        let told = &document["simulate"];
        let millis = |name: &str| told[name].as_f64().and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
        let pace = Pace {
            first_token: millis("first_token_ms").unwrap_or(settings.first_token),
            tokens_per_second: told["tokens_per_second"].as_f64().unwrap_or(settings.tokens_per_second),
        };
        let kind = match told["fail"].as_str() {
            Some(name) => Some(kind_named(name)?),
            None => (dice < settings.failure_rate).then_some(settings.failure),
        };
        let after = told["after_tokens"].as_f64().map(whole_number);
        let failure = |kind: ErrorKind| {
            let wait = millis("retry_after_ms").or_else(|| (kind == ErrorKind::RateLimited).then_some(RETRY_AFTER));
            Failure::new(kind, fault::sentence(kind)).wait(wait).inside("simulated")
        };
        let breaks = kind.map(|kind| match (kind, after) {
            (ErrorKind::InferenceTimeout, after) => Breaks::Silently { tokens: after.unwrap_or(0) },
            (ErrorKind::StreamBroken, None) => Breaks::After { tokens: 0, failure: failure(kind) },
            (_, None) => Breaks::AtOnce(failure(kind)),
            (_, Some(tokens)) => Breaks::After { tokens, failure: failure(kind) },
        });
        let halfway = kind == Some(ErrorKind::StreamBroken) && after.is_none();
        Ok(Self { document, settings, pace, breaks, halfway })
    }

    pub(super) fn document(&self) -> &Value {
        &self.document
    }

    pub(super) fn breaks(&self) -> Option<&Breaks> {
        self.breaks.as_ref()
    }

    pub(super) fn first_token(&self) -> Duration {
        self.pace.first_token
    }

    /// Whether what has no tokens, embeddings and images, is given: after any failure that was asked for it is not.
    pub(super) async fn outcome_without_tokens(self) -> Result<(), Failure> {
        match self.breaks {
            None => Ok(()),
            Some(breaks) => Err(breaks.failure().await),
        }
    }

    /// The plan for a chat or a completion.
    pub(super) fn script(self, request: &Request, model: &str, max_tokens: Option<u64>) -> Result<Script, Failure> {
        let prompts = self.prompts(request.operation);
        let choices = self.document["n"].as_u64().map_or(1, |n| usize::try_from(n).unwrap_or(usize::MAX)).max(1);
        if prompts.len().saturating_mul(choices) > MAX_CHOICES {
            let message = format!("at most {MAX_CHOICES} choices can be simulated in one answer");
            return Err(Failure::fields(vec![FieldFault { path: "n".into(), message }]));
        }
        let most = max_tokens.map_or(usize::MAX, |tokens| usize::try_from(tokens).unwrap_or(usize::MAX));
        let answers = prompts.iter().map(|prompt| self.answer(prompt, most)).collect();
        let prefix = if request.operation == Operation::Chat { "chatcmpl" } else { "cmpl" };
        let mut script = Script {
            operation: request.operation,
            id: format!("{prefix}-simulated-{:016x}", fastrand::u64(..)),
            created: clock::unix_now().as_secs(),
            model: if model.is_empty() { "simulated" } else { model }.to_owned(),
            answers,
            choices,
            prompt_tokens: u32::try_from(self.prompt_tokens(&prompts)).unwrap_or(u32::MAX),
            include_usage: self.document["stream_options"]["include_usage"] == true,
            breaks: self.breaks,
            pace: self.pace,
        };
        let half = script.steps().div_ceil(2);
        if let Some(Breaks::After { tokens, .. }) = script.breaks.as_mut().filter(|_| self.halfway) {
            *tokens = half;
        }
        Ok(script)
    }

    /// What is to be answered: the last user message, or each prompt.
    fn prompts(&self, operation: Operation) -> Vec<String> {
        if operation == Operation::Completion {
            return match &self.document["prompt"] {
                Value::Array(prompts) if prompts.iter().all(|prompt| !prompt.is_number()) && !prompts.is_empty() => {
                    prompts.iter().map(text_of).collect()
                }
                one => vec![text_of(one)],
            };
        }
        let messages = self.document["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let last = messages.iter().rev().find(|message| message["role"] == "user");
        vec![last.map(|message| text_of(&message["content"])).unwrap_or_default()]
    }

    fn prompt_tokens(&self, prompts: &[String]) -> usize {
        match self.document["messages"].as_array() {
            Some(messages) => messages.iter().map(|message| ends(&text_of(&message["content"])).count()).sum(),
            None => prompts.iter().map(|prompt| ends(prompt).count()).sum(),
        }
    }

    fn answer(&self, prompt: &str, most: usize) -> Answer {
        let tool = self.tool_to_call();
        let Some(tool) = tool else {
            let mut words = self.unsaid(self.words(prompt));
            if let Some(at) = self.stops().filter_map(|stop| words.find(stop)).min() {
                words.truncate(at);
            }
            return Answer::new(words, None, Finish::Stop, most);
        };
        let name = tool["name"].as_str().unwrap_or_default().to_owned();
        Answer::new(fit(&tool["parameters"]).to_string(), Some(name), Finish::ToolCalls, most)
    }

    /// `words` without what an assistant's last message has said of them already.
    fn unsaid(&self, words: String) -> String {
        let last = self.document["messages"].as_array().and_then(|messages| messages.last());
        let begun = last.filter(|last| last["role"] == "assistant").map(|last| text_of(&last["content"]));
        match begun.and_then(|begun| words.strip_prefix(begun.as_str()).map(str::to_owned)) {
            Some(rest) => rest,
            None => words,
        }
    }

    fn stops(&self) -> impl Iterator<Item = &str> {
        let stops = match &self.document["stop"] {
            Value::Array(stops) => stops.as_slice(),
            one => std::slice::from_ref(one),
        };
        stops.iter().filter_map(Value::as_str).filter(|stop| !stop.is_empty())
    }

    /// The function that the caller insists on.
    fn tool_to_call(&self) -> Option<&Value> {
        let mut functions = self.document["tools"].as_array()?.iter().map(|tool| &tool["function"]);
        match &self.document["tool_choice"] {
            Value::String(word) if word == "required" => functions.next(),
            choice => {
                let name = choice["function"]["name"].as_str()?;
                functions.find(|function| function["name"] == name)
            }
        }
    }

    fn words(&self, prompt: &str) -> String {
        let words = match &self.settings.answer {
            Some(answer) => answer.clone(),
            None if prompt.trim().is_empty() => "Hello from Fusebox's simulated provider.".to_owned(),
            None => {
                let echo: String = prompt.chars().take(MAX_ECHO).collect();
                format!("Hello from Fusebox's simulated provider. You said: {echo}")
            }
        };
        let format = &self.document["response_format"];
        match format["type"].as_str() {
            Some("json_object" | "json_schema")
                if serde_json::from_str::<Value>(&words).is_ok_and(|it| it.is_object()) =>
            {
                words
            }
            Some("json_object") => json!({ "answer": words }).to_string(),
            Some("json_schema") => fit(&format["json_schema"]["schema"]).to_string(),
            _ => words,
        }
    }
}

fn kind_named(name: &str) -> Result<ErrorKind, Failure> {
    ErrorKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
        let message = "no such kind of error; rate_limited is one that there is".to_owned();
        Failure::fields(vec![FieldFault { path: "simulate.fail".into(), message }])
    })
}

/// The text of a message's content or of a prompt, whatever shape it has.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let words =
                parts.iter().filter_map(|part| part["text"].as_str().map(str::to_owned).or_else(|| number(part)));
            words.collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

/// A prompt may be given as numbers, which stand for tokens that only its model knows.
fn number(part: &Value) -> Option<String> {
    part.is_number().then(|| part.to_string())
}

/// A number from JSON, which a gRPC caller's always have with a fraction.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
fn whole_number(number: f64) -> usize {
    number.clamp(0.0, f64::from(u32::MAX)) as usize
}
