//! OpenAI's wire format, as OpenAI, vLLM, SGLang, TGI, llama.cpp, Ollama and others serve it.
//!
//! Requests and answers pass as the bytes they are; only the model's name is put in, and only the
//! facts that decisions need are read.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Uri, header::AUTHORIZATION};

use super::{
    Answer, Ask, Reply, fault,
    http::{Client, announces},
    said_nothing,
    stream::{Chunks, Dialect},
};
use crate::{
    chat::{
        answer::{Chunk, Finish, Whole},
        inspect::{Facts, inspect},
        request::{Operation, Request},
        sse::Events,
    },
    config,
    error::{ErrorKind, Failure},
};

/// A provider that speaks OpenAI's wire format.
#[derive(Debug)]
pub struct OpenAi {
    client: Client,
    endpoints: Box<Endpoints>,
}

#[derive(Debug)]
struct Endpoints {
    chat: Uri,
    completions: Uri,
    embeddings: Uri,
    images: Uri,
}

impl OpenAi {
    /// The provider that `settings` describe.
    ///
    /// # Errors
    /// Its address or key cannot be used.
    pub fn try_new(settings: &Arc<config::Provider>, max_answer: usize) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &settings.api_key {
            let mut bearer = HeaderValue::try_from(format!("Bearer {}", key.reveal()))
                .map_err(|_| "the key holds characters that no header may hold".to_owned())?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        let uri = |operation: Operation| {
            format!("{}{}", settings.base_url, operation.path())
                .parse()
                .map_err(|error| format!("base_url is not a URL: {error}"))
        };
        Ok(Self {
            client: Client::try_new(settings, headers, max_answer)?,
            endpoints: Box::new(Endpoints {
                chat: uri(Operation::Chat)?,
                completions: uri(Operation::Completion)?,
                embeddings: uri(Operation::Embed)?,
                images: uri(Operation::Image)?,
            }),
        })
    }

    /// Asks once.
    ///
    /// # Errors
    /// Whatever went wrong, classified.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Reply, Failure> {
        let request = ask.request;
        let uri = match request.operation {
            Operation::Chat => &self.endpoints.chat,
            Operation::Completion => &self.endpoints.completions,
            Operation::Embed => &self.endpoints.embeddings,
            Operation::Image => &self.endpoints.images,
        };
        let body = request.body_for(ask.model, ask.max_tokens);
        let response = self.client.post(uri.clone(), body, &ask).await?;
        let (head, body) = response.into_parts();
        if request.stream && announces(&head.headers, "text/event-stream") {
            let dialect = Dialect::OpenAi(Progress::new(request));
            return Ok(Answer::Stream(Chunks::from_http(body, dialect, self.client.max_answer())).into());
        }
        if request.stream || !announces(&head.headers, "application/json") {
            return Err(fault::from_success(&self.client.read_whole(body).await?));
        }
        let body = self.client.read_whole(body).await?;
        whole(request, body).map(|whole| Answer::Whole(whole).into())
    }
}

/// Judges an answer that came whole.
fn whole(request: &Request, body: Bytes) -> Result<Whole, Failure> {
    let facts = inspect(&body).map_err(|error| {
        fault::from_event(&body).unwrap_or_else(|| {
            Failure::new(ErrorKind::InvalidResponse, "the provider's answer is not the JSON it should be")
                .inside(error.to_string())
        })
    })?;
    if let Some(failure) = told_instead(&facts, &body, "the provider failed") {
        return Err(failure.used(facts.usage));
    }
    // Cut off by its filter: what came before that is no answer, and another instruction may still get one.
    if facts.finish == Some(Finish::ContentFilter) {
        return Err(said_nothing(facts.finish).used(facts.usage));
    }
    let says_something = match request.operation {
        Operation::Embed => facts.items > 0,
        Operation::Image => facts.images > 0,
        Operation::Chat | Operation::Completion => facts.tokens || may_be_empty(request.may_be_empty, facts.finish),
    };
    if !says_something {
        return Err(said_nothing(facts.finish).used(facts.usage));
    }
    // Which text would each of them be of?
    if request.operation == Operation::Embed && facts.items != usize::try_from(request.choices).unwrap_or(usize::MAX) {
        let message = format!(
            "the provider gave a number of embeddings, {}, other than of inputs, {}",
            facts.items, request.choices
        );
        return Err(Failure::new(ErrorKind::InvalidResponse, message));
    }
    // Cut short in the making, it would be whole JSON all the same.
    if facts.finished != facts.choices {
        let message = "the provider's answer does not say why it finished";
        return Err(Failure::new(ErrorKind::InvalidResponse, message).used(facts.usage));
    }
    let (finish, usage, model) = (facts.finish, facts.usage, facts.model.map(std::borrow::Cow::into_owned));
    Ok(Whole { body, finish, usage, model })
}

/// Whether an answer that ended as `finish` may be empty; `stopped`: also if it ended of itself.
fn may_be_empty(stopped: bool, finish: Option<Finish>) -> bool {
    finish == Some(Finish::Length) || (stopped && finish == Some(Finish::Stop))
}

/// The failure that `json`, whose facts these are, tells of in place of an answer; `failed` is said of one that names
/// nothing more. Some servers mark an error by other fields than `error`: those are looked for where nothing is
/// answered.
fn told_instead(facts: &Facts<'_>, json: &[u8], failed: &str) -> Option<Failure> {
    let answers = facts.choices != 0 || facts.usage.is_some() || facts.items > 0;
    if answers && !facts.error {
        return None;
    }
    let told = fault::from_event(json);
    told.or_else(|| facts.error.then(|| Failure::new(ErrorKind::ProviderError, failed)))
}

/// How far an OpenAI stream has got.
#[derive(Debug)]
pub(super) struct Progress {
    /// Choices asked for.
    asked: u32,
    present: u128,
    finished: u128,
    finish: Option<Finish>,
    said_anything: bool,
    may_be_empty: bool,
    model_known: bool,
    done: bool,
}

impl Progress {
    fn new(request: &Request) -> Self {
        Self {
            asked: request.choices,
            present: 0,
            finished: 0,
            finish: None,
            said_anything: false,
            may_be_empty: request.may_be_empty,
            model_known: false,
            done: false,
        }
    }

    /// Reads whole events. What follows a fault among them is not read; what came before it is given first.
    pub(super) fn take(&mut self, events: &Events) -> (Chunk, Option<Failure>) {
        let mut chunk = Chunk::default();
        let mut until = events.bytes().len();
        let mut broken = None;
        for event in events.iter() {
            if event.data.trim_ascii() == b"[DONE]" {
                self.done = true;
                until = event.span.start;
                break;
            }
            // llama.cpp begins some streams with it.
            if event.data.trim_ascii() == b"null" {
                continue;
            }
            if let Err(failure) = self.read(event.name, &event.data, &mut chunk) {
                broken = Some(failure);
                until = event.span.start;
                break;
            }
        }
        chunk.events = events.bytes().slice(..until);
        (chunk, broken)
    }

    fn read(&mut self, name: Option<&str>, data: &[u8], chunk: &mut Chunk) -> Result<(), Failure> {
        const FAILED: &str = "the provider failed in mid-answer";
        let facts = inspect(data).map_err(|error| {
            fault::from_event(data).unwrap_or_else(|| {
                Failure::new(ErrorKind::StreamBroken, "the provider's stream held an event that is not JSON")
                    .inside(error.to_string())
            })
        })?;
        if let Some(failure) = told_instead(&facts, data, FAILED) {
            return Err(failure);
        }
        if name == Some("error") {
            return Err(fault::from_event(data).unwrap_or_else(|| Failure::new(ErrorKind::ProviderError, FAILED)));
        }
        self.present |= facts.choices;
        self.finished |= facts.finished;
        self.finish = self.finish.or(facts.finish);
        self.said_anything |= facts.tokens;
        chunk.tokens += u32::from(facts.tokens);
        chunk.finish = chunk.finish.or(facts.finish);
        chunk.usage = facts.usage.or(chunk.usage);
        if !self.model_known
            && let Some(model) = facts.model
        {
            self.model_known = true;
            chunk.model = Some(model.into_owned());
        }
        Ok(())
    }

    /// Whether `[DONE]` came: nothing follows.
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Whether every choice asked for has said why it stopped, so that at most its cost may follow.
    pub(super) const fn has_finished(&self) -> bool {
        self.finished.count_ones() >= self.asked
    }

    /// What the stream was, now that it has ended.
    ///
    /// # Errors
    /// `stream_broken` if a choice never said why it stopped; `invalid_response` or `content_filtered`
    /// if the answer is complete and empty.
    pub(super) fn judge(&self) -> Result<(), Failure> {
        let all_stopped = self.present != 0 && self.finished & self.present == self.present;
        if !(all_stopped && (self.done || self.has_finished())) {
            return Err(Failure::new(
                ErrorKind::StreamBroken,
                "the provider's stream ended without saying why it finished",
            ));
        }
        if !self.said_anything && !may_be_empty(self.may_be_empty, self.finish) {
            return Err(said_nothing(self.finish));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
