//! Answers as sidecars keep them for each other: the store's messages, and what they mean here.
//!
//! A message has been kept by a sidecar of the same fleet, which its seal has shown; of another version, perhaps. What
//! is not understood is not there.

use std::sync::Arc;

use bytes::Bytes;
use fusebox_proto::store::{Answer, Level as WireLevel, answer};
use fusebox_rules::{
    fleet::Stamp,
    image::{Measure, Size},
};
use prost::Message as _;

use super::{
    outcome::{Level, Outcome, Quality, Source},
    recall::{Form, Ready, Remembered},
    resent::Replay,
};
use crate::{
    chat::answer::{Chunk, Finish, Usage, Whole},
    digest::Digest,
};

impl Remembered {
    /// As other sidecars find it; made `at` that time.
    pub(super) fn for_others(&self, at: Stamp) -> Vec<u8> {
        let (whole, events) = match &self.form {
            Form::Whole(bytes) => (Some(bytes.to_vec()), None),
            Form::Events(bytes) => (None, Some(bytes.to_vec())),
        };
        let answer = Answer {
            whole,
            events,
            finish: finish(self.finish).into(),
            usage: self.usage.map(usage),
            model: self.model.clone(),
            provider: self.provider.as_deref().map(str::to_owned),
            provider_model: self.provider_model.as_deref().map(str::to_owned),
            warnings: self.warnings.clone(),
            made_ms: at.as_millis(),
            ..Answer::default()
        };
        answer.encode_to_vec()
    }

    /// What another sidecar has kept, and when it was made.
    pub(super) fn from_others(bytes: &[u8]) -> Option<(Self, Stamp)> {
        let answer = Answer::decode(bytes).ok()?;
        let (finish, made) = (finished(answer.finish()), Stamp::from_millis(answer.made_ms));
        let form = match (answer.whole, answer.events) {
            (Some(whole), None) => Form::Whole(whole.into()),
            (None, Some(events)) => Form::Events(events.into()),
            _ => return None,
        };
        let remembered = Self {
            form,
            finish,
            usage: answer.usage.map(used),
            model: answer.model,
            provider: answer.provider.map(Arc::from),
            provider_model: answer.provider_model.map(Arc::from),
            warnings: answer.warnings,
        };
        Some((remembered, made))
    }
}

/// What another sidecar answered under an idempotency key.
pub(super) enum Resent {
    /// This, at that time.
    Same(Box<Replay>, Stamp),
    /// Something else was asked under the key.
    Other,
}

impl Replay {
    /// As other sidecars find it: the answer to what `asked` stands for, made `at` that time.
    pub(super) fn for_others(outcome: &Outcome, answer: &Ready, asked: &str, at: Stamp) -> Vec<u8> {
        let (whole, chunk) = match answer {
            Ready::Whole(whole) => (Some(whole), None),
            Ready::Events(chunk) => (None, Some(chunk)),
        };
        let (finish_, usage_, model) = match answer {
            Ready::Whole(Whole { finish, usage, model, .. }) | Ready::Events(Chunk { finish, usage, model, .. }) => {
                (*finish, *usage, model.clone())
            }
        };
        let size = outcome.image.size.unwrap_or(Size { width: 0, height: 0 });
        let answer = Answer {
            whole: whole.map(|whole| whole.body.to_vec()),
            events: chunk.map(|chunk| chunk.events.to_vec()),
            tokens: chunk.map_or(0, |chunk| chunk.tokens),
            finish: finish(finish_).into(),
            usage: usage_.map(usage),
            model,
            provider: outcome.provider.as_deref().map(str::to_owned),
            provider_model: outcome.provider_model.as_deref().map(str::to_owned),
            warnings: outcome.warnings.clone(),
            made_ms: at.as_millis(),
            asked: asked.to_owned(),
            quality: quality(outcome.quality).into(),
            limited: outcome.limited,
            level: level(outcome.level).into(),
            width: size.width,
            height: size.height,
            steps: outcome.image.steps,
        };
        answer.encode_to_vec()
    }

    /// What another sidecar answered, if it was asked what `asked` stands for; `fingerprint`: this process's word for that.
    pub(super) fn from_others(bytes: &[u8], asked: &str, fingerprint: Digest) -> Option<Resent> {
        let answer = Answer::decode(bytes).ok()?;
        if answer.asked != asked {
            return Some(Resent::Other);
        }
        let (finish, made) = (finished(answer.finish()), Stamp::from_millis(answer.made_ms));
        let size = Size { width: answer.width, height: answer.height };
        let outcome = Outcome {
            source: Some(Source::Cache),
            quality: match answer.quality() {
                answer::Quality::Full => Quality::Full,
                answer::Quality::Limited => Quality::Limited,
                answer::Quality::Cached => Quality::Cached,
                answer::Quality::Unspecified => return None,
            },
            limited: answer.limited,
            level: match answer.level() {
                WireLevel::Minimal => Level::Minimal,
                WireLevel::Reduced => Level::Reduced,
                WireLevel::Full | WireLevel::Unspecified => Level::Full,
            },
            provider: answer.provider.map(Arc::from),
            provider_model: answer.provider_model.map(Arc::from),
            warnings: answer.warnings,
            image: Measure { size: (size.pixels() > 0).then_some(size), steps: answer.steps },
            // Whoever tells it has a correlation id of its own.
            ..Outcome::untried(&Arc::from(""))
        };
        let (usage, model, tokens) = (answer.usage.map(used), answer.model, answer.tokens);
        let ready = match (answer.whole, answer.events) {
            (Some(whole), None) => Ready::Whole(Whole { body: Bytes::from(whole), finish, usage, model }),
            (None, Some(events)) => Ready::Events(Chunk { events: events.into(), tokens, finish, usage, model }),
            _ => return None,
        };
        Some(Resent::Same(Box::new(Self::new(fingerprint, &outcome, ready)), made))
    }
}

const fn finish(finish: Option<Finish>) -> answer::Finish {
    match finish {
        None => answer::Finish::Unspecified,
        Some(Finish::Stop) => answer::Finish::Stop,
        Some(Finish::Length) => answer::Finish::Length,
        Some(Finish::ToolCalls) => answer::Finish::ToolCalls,
        Some(Finish::ContentFilter) => answer::Finish::ContentFilter,
        Some(Finish::Other) => answer::Finish::Other,
    }
}

const fn finished(finish: answer::Finish) -> Option<Finish> {
    match finish {
        answer::Finish::Unspecified => None,
        answer::Finish::Stop => Some(Finish::Stop),
        answer::Finish::Length => Some(Finish::Length),
        answer::Finish::ToolCalls => Some(Finish::ToolCalls),
        answer::Finish::ContentFilter => Some(Finish::ContentFilter),
        answer::Finish::Other => Some(Finish::Other),
    }
}

const fn quality(quality: Quality) -> answer::Quality {
    match quality {
        Quality::Full => answer::Quality::Full,
        Quality::Limited => answer::Quality::Limited,
        Quality::Cached => answer::Quality::Cached,
        Quality::Unavailable => answer::Quality::Unspecified,
    }
}

const fn level(level: Level) -> WireLevel {
    match level {
        Level::Full => WireLevel::Full,
        Level::Reduced => WireLevel::Reduced,
        Level::Minimal => WireLevel::Minimal,
    }
}

const fn usage(usage: Usage) -> answer::Usage {
    answer::Usage { input_tokens: usage.input_tokens, output_tokens: usage.output_tokens }
}

const fn used(usage: answer::Usage) -> Usage {
    Usage { input_tokens: usage.input_tokens, output_tokens: usage.output_tokens }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        Outcome {
            source: Some(Source::Cache),
            quality: Quality::Limited,
            limited: true,
            level: Level::Reduced,
            provider: Some("a".into()),
            provider_model: Some("m".into()),
            warnings: vec!["shorter".into()],
            image: Measure { size: Some(Size { width: 512, height: 256 }), steps: Some(0) },
            ..Outcome::untried(&"".into())
        }
    }

    fn answers() -> [Ready; 2] {
        let (usage, model) = (Some(Usage { input_tokens: 7, output_tokens: 3 }), Some("served".to_owned()));
        let whole = Whole { body: "{}".into(), finish: Some(Finish::Length), usage, model: model.clone() };
        let events = Chunk { events: "data: {}\n\n".into(), tokens: 3, finish: Some(Finish::ToolCalls), usage, model };
        [Ready::Whole(whole), Ready::Events(events)]
    }

    #[test]
    fn an_answer_under_a_key_comes_back_as_it_was_and_only_to_the_same_question() {
        let (at, asked) = (Stamp::from_millis(77), Digest::of(b"asked"));
        for ready in answers() {
            let bytes = Replay::for_others(&outcome(), &ready, "what", at);
            let Some(Resent::Same(replay, made)) = Replay::from_others(&bytes, "what", asked) else { panic!() };
            let expected = Replay::new(asked, &outcome(), ready);
            assert_eq!((format!("{replay:?}"), made), (format!("{expected:?}"), at));
            assert!(matches!(Replay::from_others(&bytes, "else", asked), Some(Resent::Other)));
        }
        let unavailable = Outcome { quality: Quality::Unavailable, ..outcome() };
        let bytes = Replay::for_others(&unavailable, &answers()[0], "what", at);
        assert!(Replay::from_others(&bytes, "what", asked).is_none());
    }

    #[test]
    fn a_remembered_answer_comes_back_as_it_was() {
        for form in [Form::Whole("{}".into()), Form::Events("data: {}\n\n".into())] {
            let remembered = Remembered {
                form,
                finish: Some(Finish::Stop),
                usage: Some(Usage { input_tokens: 7, output_tokens: 0 }),
                model: Some("served".into()),
                provider: Some("a".into()),
                provider_model: None,
                warnings: vec!["slow".into()],
            };
            let bytes = remembered.for_others(Stamp::from_millis(5));
            let (read, made) = Remembered::from_others(&bytes).unwrap();
            assert_eq!((format!("{read:?}"), made), (format!("{remembered:?}"), Stamp::from_millis(5)));
        }
    }

    #[test]
    fn what_is_not_understood_is_not_there() {
        let none = Answer::default().encode_to_vec();
        let both = Answer { whole: Some(vec![1]), events: Some(vec![1]), ..Answer::default() }.encode_to_vec();
        for bytes in [&b"\xff\xff"[..], &none, &both] {
            assert!(Remembered::from_others(bytes).is_none());
            assert!(Replay::from_others(bytes, "", Digest::of(b"")).is_none());
        }
    }
}
