//! Any events, coming in any company, become the same chunks: JSON, of which as many as are said to carry tokens do.

#![no_main]

use std::ops::Range;

use bytes::Bytes;
use fusebox_fuzz::cut;
use fusebox_sidecar::{
    chat::{
        answer::{Finish, Usage},
        sse::Reader,
    },
    error::{ErrorKind, Failure},
    provider::anthropic::Progress,
};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;

/// More than the fuzzer ever sends.
const NO_LIMIT: usize = 1 << 20;

/// What a caller gets of a stream, and how it ends.
#[derive(Debug, Default, PartialEq)]
struct Told {
    events: Vec<u8>,
    tokens: u32,
    finish: Option<Finish>,
    usage: Option<Usage>,
    model: Option<String>,
    done: bool,
    broken: Option<ErrorKind>,
    verdict: Option<ErrorKind>,
}

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else { return };
    let include_usage = first % 2 == 1;
    let (text, frames) = cut(rest);
    let whole = translate(text, &[0..text.len()], include_usage);
    assert_eq!(translate(text, &frames, include_usage), whole, "cut as {frames:?}");

    let events = Reader::new(NO_LIMIT).push(whole.events.into()).expect("below the limit");
    let mut chunks = 0;
    for chunk in events.iter() {
        chunks += 1;
        serde_json::from_slice::<IgnoredAny>(&chunk.data).expect("a chunk is JSON");
    }
    assert!(whole.tokens <= chunks, "{} tokens in {chunks} chunks", whole.tokens);
});

fn translate(text: &[u8], frames: &[Range<usize>], include_usage: bool) -> Told {
    let mut reader = Reader::new(NO_LIMIT);
    let mut progress = Progress::new(7, include_usage);
    let mut told = Told::default();
    for frame in frames {
        let events = reader.push(Bytes::copy_from_slice(&text[frame.clone()])).expect("below the limit");
        let (chunk, broken) = progress.take(&events);
        told.events.extend_from_slice(&chunk.events);
        told.tokens += chunk.tokens;
        told.finish = told.finish.or(chunk.finish);
        told.usage = chunk.usage.or(told.usage);
        told.model = chunk.model.or(told.model.take());
        told.done = progress.is_done();
        told.broken = broken.map(|Failure { kind, .. }| kind);
        if told.done || told.broken.is_some() {
            break;
        }
    }
    assert_eq!(progress.has_finished(), told.finish.is_some(), "a finish is told once it is known");
    told.verdict = progress.judge().err().map(|failure| failure.kind);
    told
}
