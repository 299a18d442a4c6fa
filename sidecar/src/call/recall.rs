//! Answers of before to equal questions: which are kept, when they are read, and how they are told again.
//!
//! Two questions are equal if they ask the same, in the same bytes, of the same model for the same holder of a token;
//! how the answer is to be sent makes no difference. Any provider's answer stands for the model, as the configuration
//! says it may. Callers are told apart by their bearer tokens and by nothing else, so those without one share.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use fusebox_rules::{fleet::Stamp, moment::Moment};
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
    digest::{Digest, Digester, Sink},
    fleet::{Common, Fetched, Veil, Veiled},
    telemetry::CacheResult,
};

/// Bytes of a request beyond which it is not looked for: its digest would hold up the thread's other calls.
const MAX_READ: usize = 4 << 20;

/// The same, of one that is looked for in the fleet's store.
const MAX_SHARED: usize = 1 << 20;

/// An answer that is kept.
#[derive(Debug)]
pub(super) struct Remembered {
    pub(super) form: Form,
    pub(super) finish: Option<Finish>,
    pub(super) usage: Option<Usage>,
    pub(super) model: Option<String>,
    pub(super) provider: Option<Arc<str>>,
    pub(super) provider_model: Option<Arc<str>>,
    pub(super) warnings: Vec<String>,
}

/// How the answer came, which is how it is kept; the other form is made when somebody asks for it.
#[derive(Debug)]
pub(super) enum Form {
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
pub(super) struct Question {
    /// The request's body, as it was asked first.
    body: Bytes,
    /// What of it does not shape the answer.
    aside: Aside,
    /// The key, once it has been read.
    key: Option<Digest>,
}

/// The question that `call` asks; `None`: its answer is neither looked for nor kept.
pub(super) fn question(call: &Call, config: &Config) -> Option<Question> {
    let body = &call.request.body;
    let is_off = mode(call, config) == CacheMode::Off || config.cache.capacity == 0 || body.len() > MAX_READ;
    if is_off {
        return None;
    }
    Some(Question { body: body.clone(), aside: call.request.aside.clone()?, key: None })
}

impl Question {
    /// Writes all that makes its answer differ from another's, but for what the model's name stands for.
    fn write(&self, call: &Call, config: &Config, into: &mut impl Sink) {
        Token::write(call.options.token.as_ref(), into);
        into.bytes(call.request.operation.name().as_bytes());
        into.bytes(model(&call.request, config).as_bytes());
        into.pieces(self.aside.rest(&self.body));
    }
}

/// Writes what the model's name stands for, which another sidecar's configuration may say otherwise.
fn meaning(call: &Call, config: &Config, into: &mut impl Sink) {
    let name = model(&call.request, config);
    let named = config.models.iter().find(|model| *model.name == *name);
    let served = named.into_iter().flat_map(|model| &model.providers);
    let seats: Vec<_> = match named {
        Some(_) => served.map(|served| (&config.providers[served.provider], served.model.as_deref())).collect(),
        None => config.providers.iter().map(|provider| (provider, None)).collect(),
    };
    into.number(seats.len() as u64);
    for (provider, model) in seats {
        into.bytes(provider.name.as_bytes());
        into.mark(u8::from(model.is_some()));
        into.bytes(model.unwrap_or_default().as_bytes());
    }
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
    pub(super) async fn recall_first(&mut self) -> Option<Ready> {
        if mode(&self.call, &self.plan().config) != CacheMode::Prefer {
            return None;
        }
        let ready = self.recall().await?;
        let age = seconds(self.outcome.age.unwrap_or_default());
        self.warn(format!("the answer to an equal call, {age} old"));
        Some(ready)
    }

    /// The key of what was asked, read no more than once.
    pub(super) fn key(&mut self) -> Option<Digest> {
        let key = self.read()?;
        self.question.as_mut()?.key = Some(key);
        Some(key)
    }

    fn read(&self) -> Option<Digest> {
        let question = self.question.as_ref()?;
        Some(question.key.unwrap_or_else(|| {
            let mut digester = Digester::new();
            question.write(&self.call, &self.plan().config, &mut digester);
            digester.finish()
        }))
    }

    /// Where other sidecars look for, and find, the answer to what was asked; `None`: it is not shared.
    fn shared(&self) -> Option<(&Arc<Common>, Veiled)> {
        let (config, question) = (&self.plan().config, self.question.as_ref()?);
        let common = self.shared.common.as_ref().filter(|_| config.cache.shared)?;
        if question.body.len() > MAX_SHARED {
            return None;
        }
        let mut name = Veil::new(config.fleet.secret.as_ref()?).name("cache");
        question.write(&self.call, config, &mut name);
        meaning(&self.call, config, &mut name);
        Some((common, name.finish()))
    }

    /// The answer of before, and in the outcome how it came about.
    pub(super) async fn recall(&mut self) -> Option<Ready> {
        let key = self.key()?;
        let (known, age) = match self.find(key) {
            Some(found) => found,
            None => self.fetch(key).await?,
        };
        let Some(ready) = known.tell(&self.call.request) else {
            self.trace.looked_up(CacheResult::Miss);
            return None;
        };
        let outcome = &mut self.outcome;
        outcome.source = Some(Source::Cache);
        outcome.quality = Quality::Cached;
        outcome.age = Some(age);
        outcome.provider.clone_from(&known.provider);
        outcome.provider_model.clone_from(&known.provider_model);
        outcome.warnings.extend_from_slice(&known.warnings);
        Some(ready)
    }

    /// What is remembered here, and how old it is.
    fn find(&mut self, key: Digest) -> Option<(Arc<Remembered>, Duration)> {
        let found = self.shared.memory.answers.find(key, self.plan().config.cache.ttl, clock::now());
        let (result, found) = match found {
            Found::Fresh(known, age) => (CacheResult::Hit, Some((known, age))),
            Found::Stale => (CacheResult::Stale, None),
            Found::Nothing => (CacheResult::Miss, None),
        };
        self.trace.looked_up(result);
        found
    }

    /// What another sidecar remembers, and how old it is. From then on it is remembered here too.
    async fn fetch(&mut self, key: Digest) -> Option<(Arc<Remembered>, Duration)> {
        let mut patience = self.patience;
        let (common, name) = self.shared()?;
        let fetched = common.fetch(&name, &mut patience).await;
        self.patience = patience;
        let current = Arc::clone(&self.current);
        let cache = &current.plan.config.cache;
        let known = match fetched {
            Fetched::Unanswered => Err(CacheResult::FleetUnanswered),
            Fetched::Nothing => Err(CacheResult::FleetMiss),
            Fetched::Answer(bytes, now) => Remembered::from_others(&bytes)
                .map(|(known, made)| (Arc::new(known), now.since(made)))
                .filter(|(_, age)| *age <= cache.ttl)
                .ok_or(CacheResult::FleetMiss),
        };
        self.trace.looked_up(known.as_ref().map_or_else(|result| *result, |_| CacheResult::FleetHit));
        let (known, age) = known.ok()?;
        let now = clock::now();
        // What is older than this process cannot be dated here.
        if now.since(Moment::ZERO) > age {
            let since = Moment::ZERO + (now.since(Moment::ZERO) - age);
            let _ = self.shared.memory.answers.keep(key, Arc::clone(&known), cache.capacity, since);
        }
        Some((known, age))
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
        self.keep_for_others(&remembered);
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

    /// Has an answer kept where other sidecars find it. Nothing waits for that.
    fn keep_for_others(&self, remembered: &Remembered) {
        let Some((common, name)) = self.shared() else { return };
        let now = common.now();
        let kept =
            now != Stamp::default() && common.keep(&name, &remembered.for_others(now), self.plan().config.cache.ttl);
        self.trace.cache(if kept { CacheResult::FleetStored } else { CacheResult::FleetUnkept }, 1);
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
