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

/// Errors as servers tell them in place of an answer, and the kind that each is.
const TOLD: [(&str, ErrorKind); 7] = [
    (r#"{"error":{"message":"Overloaded","type":"overloaded_error"}}"#, ErrorKind::ModelOverloaded),
    (
        r#"{"object":"error","message":"CUDA out of memory","type":"InternalServerError","code":500}"#,
        ErrorKind::OutOfMemory,
    ),
    (r#"{"object":"error","message":"Rate limit reached","type":"RateLimitError","code":429}"#, ErrorKind::RateLimited),
    (r#"{"type":"error","message":"the model is overloaded"}"#, ErrorKind::ModelOverloaded),
    (r#"{"detail":{"message":"Rate limit reached","code":429}}"#, ErrorKind::RateLimited),
    (r#"{"__type":"com.amazon#ThrottlingException","message":"Rate exceeded"}"#, ErrorKind::RateLimited),
    (r#"[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}]"#, ErrorKind::RateLimited),
];

#[test]
fn an_error_in_any_known_shape_ends_a_stream_as_what_it_is() {
    const WORD: &str = r#"{"choices":[{"index":0,"delta":{"content":"hi"}}]}"#;
    for (event, kind) in TOLD {
        let mut progress = progress(Operation::Chat, r#"{"messages":[{"role":"user","content":"x"}],"stream":true}"#);
        let (chunk, broken) = take(&mut progress, &[WORD, event, WORD]);
        assert_eq!((chunk.tokens, broken.map(|failure| failure.kind)), (1, Some(kind)), "{event}");
    }
}

#[test]
fn an_error_in_any_known_shape_is_no_whole_answer() {
    for (body, kind) in TOLD {
        for (operation, asked) in [
            (Operation::Chat, r#"{"messages":[{"role":"user","content":"x"}]}"#),
            (Operation::Embed, r#"{"input":"x"}"#),
        ] {
            let asked = parse(operation, Bytes::from_static(asked.as_bytes())).unwrap();
            let failure = whole(&asked, Bytes::from_static(body.as_bytes())).unwrap_err();
            assert_eq!(failure.kind, kind, "{body}");
        }
    }
}

#[test]
fn what_only_looks_like_an_error_is_an_answer() {
    let mut progress = progress(Operation::Chat, r#"{"messages":[{"role":"user","content":"x"}],"stream":true}"#);
    let events = [
        r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}],"error":null}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}],"detail":"logged"}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
    ];
    let (chunk, broken) = take(&mut progress, &events);
    assert_eq!((chunk.tokens, broken), (1, None));
}
