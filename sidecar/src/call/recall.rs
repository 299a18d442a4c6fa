//! Answers of before to equal questions: which are kept, when they are read, and how they are told again.
//!
//! Two questions are equal if they ask the same, in the same bytes, of the same model for the same holder of a token; how
//! the answer is to be sent makes no difference. Any provider's answer stands for the model, as the configuration says it may. Callers
//! are told apart by their bearer tokens and by nothing else, so those without one share.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use memchr::memmem;

use super::{
    Answered, Call, Reply, Token,
    outcome::{Quality, Source},
    resent::Replay,
    stream::Stream,
    way::{End, Way},
};
use crate::{
    cache::{Found, Kept, Store, Weigh},
    chat::{
        answer::{Chunk, Finish, Usage, Whole},
        aside::Aside,
        replay,
        request::Request,
    },
    clock,
    config::{CacheMode, Config},
    digest::{Digest, Digester},
    telemetry::CacheResult,
};

/// Bytes of a request beyond which it is not looked for: its digest would hold up the thread's other calls.
const MAX_READ: usize = 4 << 20;

/// An answer that is kept.
#[derive(Debug)]
pub(super) struct Remembered {
    form: Form,
    finish: Option<Finish>,
    usage: Option<Usage>,
    model: Option<String>,
    provider: Option<Arc<str>>,
    provider_model: Option<Arc<str>>,
    warnings: Vec<String>,
}

/// How the answer came, which is how it is kept; the other form is made when somebody asks for it.
#[derive(Debug)]
enum Form {
    Whole(Bytes),
    Events(Bytes),
}

/// An answer as its first caller got it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Made<'a> {
    /// A document.
    Whole(&'a [u8]),
    /// All of a stream's events.
    Events(&'a [u8]),
}

/// An answer that needs nobody any more, in the form that was asked for.
#[derive(Debug, Clone)]
pub(super) enum Ready {
    Whole(Whole),
    Events(Chunk),
}

impl Weigh for Remembered {
    fn weigh(&self) -> usize {
        let (Form::Whole(bytes) | Form::Events(bytes)) = &self.form;
        let warnings: usize = self.warnings.iter().map(|warning| warning.len() + size_of::<String>()).sum();
        // The names are the configuration's own, or as short.
        bytes.len() + self.model.as_ref().map_or(0, String::len) + warnings
    }
}

/// When `call` reads the cache.
pub(super) fn mode(call: &Call, config: &Config) -> CacheMode {
    call.options.cache.unwrap_or(config.cache.mode)
}

/// What was asked, whose digest is the key under which the answer is looked for and kept. It is read once that is
/// needed, and so not on the way to a provider.
#[derive(Debug)]
pub(super) enum Question {
    /// The request's body, as it was asked first, and what of it does not shape the answer.
    Unread(Bytes, Aside),
    /// By this key.
    Read(Digest),
}

/// The question that `call` asks; `None`: its answer is neither looked for nor kept.
pub(super) fn question(call: &Call, config: &Config) -> Option<Question> {
    let body = &call.request.body;
    let is_off = mode(call, config) == CacheMode::Off || config.cache.capacity == 0 || body.len() > MAX_READ;
    if is_off { None } else { Some(Question::Unread(body.clone(), call.request.aside.clone()?)) }
}

/// The key of a question with this `body`.
fn key(call: &Call, body: &[u8], aside: &Aside, config: &Config) -> Digest {
    let mut digester = Digester::new();
    Token::write(call.options.token.as_ref(), &mut digester);
    digester.bytes(call.request.operation.name().as_bytes());
    digester.bytes(model(&call.request, config).as_bytes());
    digester.pieces(aside.rest(body));
    digester.finish()
}

/// Bytes of the largest answer that is kept.
pub(super) const fn max_entry(config: &Config) -> usize {
    Store::<Remembered>::max_entry(config.cache.capacity)
}

/// The model that `request` names, or the default.
pub(super) fn model<'a>(request: &'a Request, config: &'a Config) -> &'a str {
    match config.models.first() {
        Some(first) if request.model.is_empty() => &first.name,
        _ => &request.model,
    }
}

impl Way {
    /// The answer of before, where it is to be read first. Nobody is asked, so nothing need admit the call.
    pub(super) fn recall_first(&mut self) -> Option<Ready> {
        if mode(&self.call, &self.plan().config) != CacheMode::Prefer {
            return None;
        }
        let ready = self.recall()?;
        let age = seconds(self.outcome.age.unwrap_or_default());
        self.warn(format!("the answer to an equal call, {age} old"));
        Some(ready)
    }

    /// The key of what was asked, read no more than once.
    pub(super) fn key(&mut self) -> Option<Digest> {
        let key = self.read();
        self.question = key.map(Question::Read);
        key
    }

    fn read(&self) -> Option<Digest> {
        Some(match self.question.as_ref()? {
            Question::Unread(body, aside) => key(&self.call, body, aside, &self.plan().config),
            Question::Read(key) => *key,
        })
    }

    /// The answer of before, and in the outcome how it came about.
    pub(super) fn recall(&mut self) -> Option<Ready> {
        let key = self.key()?;
        let found = self.shared.memory.answers.find(key, self.plan().config.cache.ttl, clock::now());
        let (known, age) = match found {
            Found::Fresh(known, age) => (known, age),
            Found::Stale => return self.missed(CacheResult::Stale),
            Found::Nothing => return self.missed(CacheResult::Miss),
        };
        let Some(ready) = known.tell(&self.call.request) else { return self.missed(CacheResult::Miss) };
        self.trace.cache(CacheResult::Hit, 1);
        let outcome = &mut self.outcome;
        outcome.source = Some(Source::Cache);
        outcome.quality = Quality::Cached;
        outcome.age = Some(age);
        outcome.provider.clone_from(&known.provider);
        outcome.provider_model.clone_from(&known.provider_model);
        outcome.warnings.extend_from_slice(&known.warnings);
        Some(ready)
    }

    fn missed(&self, result: CacheResult) -> Option<Ready> {
        self.trace.cache(result, 1);
        None
    }

    /// Keeps the answer that the call ended with, if it is all that was asked for and as a provider made it.
    pub(super) fn remember(&self, end: &End<'_>) {
        let (Some(_), Some(made), None) = (&self.question, end.answer, end.error) else { return };
        let (Made::Whole(bytes) | Made::Events(bytes)) = made;
        // After a reload the same name may stand for another model, and what this one answered is forgotten.
        let in_force = Arc::ptr_eq(&self.shared.current.load(), &self.current);
        if !in_force || !self.is_good(end.finish, bytes) {
            return;
        }
        let config = &self.plan().config;
        if bytes.len() > max_entry(config) {
            self.trace.cache(CacheResult::TooLarge, 1);
            return;
        }
        let Some(key) = self.read() else { return };
        // A copy, for what came off the wire may be a small part of a large buffer.
        let form = match made {
            Made::Whole(bytes) => Form::Whole(Bytes::copy_from_slice(bytes)),
            Made::Events(bytes) => Form::Events(Bytes::copy_from_slice(bytes)),
        };
        let remembered = Remembered {
            form,
            finish: end.finish,
            usage: end.usage,
            model: end.model.map(str::to_owned),
            provider: self.outcome.provider.clone(),
            provider_model: self.outcome.provider_model.clone(),
            warnings: self.outcome.warnings.clone(),
        };
        match self.shared.memory.answers.keep(key, Arc::new(remembered), config.cache.capacity, clock::now()) {
            Kept::Stored { evicted } => {
                self.trace.cache(CacheResult::Stored, 1);
                if evicted > 0 {
                    self.trace.cache(CacheResult::Evicted, evicted);
                }
            }
            Kept::TooLarge => self.trace.cache(CacheResult::TooLarge, 1),
        }
    }

    /// Whether an answer may stand for every later one: not what a filter cut, and nothing less than was asked for.
    fn is_good(&self, finish: Option<Finish>, bytes: &[u8]) -> bool {
        let outcome = &self.outcome;
        let whole = outcome.quality == Quality::Full && !outcome.limited;
        let made = matches!(outcome.source, Some(Source::Primary | Source::Fallback));
        let finished = match finish {
            None | Some(Finish::Stop | Finish::Length | Finish::ToolCalls) => true,
            Some(Finish::ContentFilter | Finish::Other) => false,
        };
        // Why a choice beside the first one stopped is not known here.
        let others_filtered = || self.call.request.choices > 1 && memmem::find(bytes, b"\"content_filter\"").is_some();
        whole && made && finished && !others_filtered()
    }

    /// Answers with what needs nobody any more.
    pub(super) fn answered_with(mut self, ready: Ready) -> Answered {
        match ready {
            Ready::Whole(whole) => {
                let outcome = self.ended(&End { answer: None, ..End::whole(&whole) });
                Answered { outcome, reply: Reply::Whole(whole) }
            }
            Ready::Events(chunk) => {
                self.trace.first_token();
                if let Some(run) = &mut self.run {
                    run.recalled(&chunk);
                }
                let (finish, usage, model) = (chunk.finish, chunk.usage, chunk.model.as_deref());
                let outcome = self.ended(&End { finish, usage, model, ..End::default() });
                Answered { reply: Reply::Stream(Stream::ready(chunk, outcome.clone())), outcome }
            }
        }
    }
}

impl Remembered {
    /// In the form that `request` asks for; `None`: it cannot be put into it.
    fn tell(&self, request: &Request) -> Option<Ready> {
        let &Self { finish, usage, ref model, .. } = self;
        let model = model.clone();
        if !request.stream {
            let body = match &self.form {
                Form::Whole(body) => body.clone(),
                Form::Events(events) => replay::whole(request.operation, events)?,
            };
            return Some(Ready::Whole(Whole { body, finish, usage, model }));
        }
        let counted = replay::asks_for_usage(&request.body);
        let told = match &self.form {
            Form::Whole(body) => replay::events(request.operation, body, counted)?,
            Form::Events(events) if counted => Chunk { events: events.clone(), tokens: 1, ..Chunk::default() },
            Form::Events(events) => Chunk { events: replay::without_usage(events), tokens: 1, ..Chunk::default() },
        };
        Some(Ready::Events(Chunk { finish, usage, model, ..told }))
    }
}

/// What is remembered over calls and over reloads.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// By question.
    pub(super) answers: Store<Remembered>,
    /// By idempotency key.
    pub(super) replays: Store<Replay>,
}

impl Memory {
    /// Takes over a new configuration: what a changed model answered is forgotten, and what is too much given up.
    pub(super) fn adopt(&self, before: &Config, after: &Config) {
        let servers = |config: &Config| -> Vec<_> {
            config.providers.iter().map(|one| (Arc::clone(&one.name), one.kind, one.base_url.clone())).collect()
        };
        let same = before.models == after.models && servers(before) == servers(after);
        self.answers.trim(if same && after.cache.mode != CacheMode::Off { after.cache.capacity } else { 0 });
        self.replays.trim(after.idempotency.capacity);
    }
}

/// How old an answer is, for people.
pub(super) fn seconds(age: Duration) -> String {
    format!("{} s", age.as_secs())
}

#[cfg(test)]
mod tests;
