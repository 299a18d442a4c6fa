//! Any bytes, cut at any places, say what they say uncut.

#![no_main]

use std::ops::Range;

use bytes::Bytes;
use fusebox_fuzz::cut;
use fusebox_sidecar::chat::sse::{Events, Reader};
use libfuzzer_sys::fuzz_target;

/// More than the fuzzer ever sends.
const NO_LIMIT: usize = 1 << 20;
/// Less than many of the events that it sends.
const SMALL_LIMIT: usize = 24;

type Said = (Option<String>, Vec<u8>);

fuzz_target!(|input: &[u8]| {
    let (text, frames) = cut(input);
    let whole = read(text, &[0..text.len()]);
    assert_eq!(read(text, &frames), whole, "cut as {frames:?}");

    let mut reader = Reader::new(SMALL_LIMIT);
    for frame in frames {
        let Ok(events) = reader.push(Bytes::copy_from_slice(&text[frame])) else { return };
        for event in events.iter() {
            assert!(event.span.len() <= SMALL_LIMIT, "an event past the limit: {event:?}");
        }
    }
});

/// What `text` says in these frames, the end's leftovers included.
fn read(text: &[u8], frames: &[Range<usize>]) -> Vec<Said> {
    let mut reader = Reader::new(NO_LIMIT);
    let mut all = Vec::new();
    for frame in frames {
        let events = reader.push(Bytes::copy_from_slice(&text[frame.clone()])).expect("below the limit");
        all.extend(said(&events));
    }
    all.extend(said(&reader.finish()));
    assert!(reader.finish().is_empty(), "the leftovers are given once");
    all
}

fn said(events: &Events) -> Vec<Said> {
    let mut at = 0;
    events
        .iter()
        .map(|event| {
            assert!(at <= event.span.start && event.span.end <= events.bytes().len(), "spans follow each other");
            at = event.span.end;
            (event.name.map(str::to_owned), event.data.into_owned())
        })
        .collect()
}
