use super::*;
use crate::chat::{parse::parse, sse::Reader};

fn progress(operation: Operation, body: &'static str) -> Progress {
    Progress::new(&parse(operation, Bytes::from_static(body.as_bytes())).unwrap())
}

/// Reads `events`, one a line.
fn take(progress: &mut Progress, events: &[&str]) -> (Chunk, Option<Failure>) {
    let lines: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    progress.take(&Reader::new(1 << 16).push(Bytes::from(lines)).unwrap())
}

#[test]
fn a_stream_to_several_prompts_has_finished_only_once_every_choice_has() {
    let mut progress = progress(Operation::Completion, r#"{"prompt":["a","b"],"n":2,"stream":true}"#);
    for index in 0..4 {
        assert!(!progress.has_finished(), "before choice {index} has stopped");
        let event = format!(r#"{{"choices":[{{"index":{index},"text":"x","finish_reason":"stop"}}]}}"#);
        assert_eq!(take(&mut progress, &[&event]).1, None);
    }
    assert!(progress.has_finished());
    assert_eq!(progress.judge(), Ok(()));
}

#[test]
fn a_stream_that_ends_before_every_prompt_is_answered_is_broken() {
    let mut progress = progress(Operation::Completion, r#"{"prompt":["a","b"],"stream":true}"#);
    let first = r#"{"choices":[{"index":0,"text":"x","finish_reason":"stop"}]}"#;
    assert_eq!(take(&mut progress, &[first]).1, None);
    assert_eq!(progress.judge().unwrap_err().kind, ErrorKind::StreamBroken);
}
