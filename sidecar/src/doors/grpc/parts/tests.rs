use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use prost::Message as _;
use tonic::Code;

use super::*;
use crate::call::outcome::{Attempt, WaitReason};

/// Gives what it holds; then the end. Tells when it is dropped.
struct Script {
    chunks: VecDeque<Result<Chunk, Failure>>,
    _alive: Arc<()>,
}

impl Stream for Script {
    type Item = Result<Chunk, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.chunks.pop_front())
    }
}

fn how() -> Outcome {
    Outcome {
        source: Some(crate::call::outcome::Source::Primary),
        quality: Quality::Full,
        limited: false,
        level: fusebox_rules::degradation::Level::Full,
        age: None,
        provider: Some("p".into()),
        provider_model: None,
        warnings: Vec::new(),
        attempts: Vec::new(),
        correlation_id: "id".into(),
        image: fusebox_rules::image::Measure::default(),
    }
}

fn parts(chunks: Vec<Result<Chunk, Failure>>) -> (Parts<Script>, std::sync::Weak<()>) {
    let alive = Arc::new(());
    let watch = Arc::downgrade(&alive);
    (Parts::begun(Script { chunks: chunks.into(), _alive: alive }, how()), watch)
}

fn events(events: &str) -> Chunk {
    Chunk { events: Bytes::from(events.to_owned()), ..Chunk::default() }
}

fn says(text: &str) -> String {
    format!("data: {{\"id\":\"r\",\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
}

fn ends(finish: Finish) -> Chunk {
    let event = "data: {\"id\":\"r\",\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    Chunk { finish: Some(finish), ..events(event) }
}

async fn all(mut parts: Parts<Script>) -> Vec<Result<v1::StreamGenerateResponse, Status>> {
    let mut seen = Vec::new();
    while let Some(next) = parts.next().await {
        seen.push(next);
    }
    assert!(parts.next().await.is_none(), "after the end comes nothing");
    seen
}

#[tokio::test]
async fn each_event_that_shows_something_is_a_message_and_the_last_tells_how_it_ended() {
    let counted = Chunk {
        usage: Some(Usage { input_tokens: 2, output_tokens: 3 }),
        ..events("data: {\"id\":\"r\",\"choices\":[]}\n\n")
    };
    let opening = "data: {\"id\":\"r\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    let (parts, _) = parts(vec![
        Ok(events(opening)),
        Ok(events(&format!("{}: a comment\r\n\r\n{}", says("one"), says(" two")))),
        Ok(ends(Finish::Length)),
        Ok(counted),
    ]);
    let seen: Vec<_> = all(parts).await.into_iter().map(Result::unwrap).collect();
    let [one, two, last] = seen.as_slice() else { panic!("three messages, not {seen:?}") };
    for (message, text) in [(one, "one"), (two, " two")] {
        let expected = v1::StreamGenerateResponse { id: "r".into(), text_delta: text.into(), ..Default::default() };
        assert_eq!(*message, expected);
    }
    assert_eq!((last.text_delta.as_str(), last.id.as_str()), ("", "r"));
    assert_eq!(last.finish_reason(), v1::FinishReason::Length);
    assert_eq!(last.usage, Some(v1::Usage { input_tokens: 2, output_tokens: 3 }));
    assert_eq!(last.outcome.as_ref().unwrap().provider, "p");
}

#[tokio::test]
async fn a_stream_that_breaks_after_its_finish_shows_no_finish() {
    let (parts, source) = parts(vec![
        Ok(events(&says("half"))),
        Ok(ends(Finish::Stop)),
        Err(Failure::new(ErrorKind::StreamBroken, "cut")),
    ]);
    let seen = all(parts).await;
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].as_ref().unwrap().finish_reason(), v1::FinishReason::Unspecified);
    assert_eq!(seen[1].as_ref().unwrap_err().code(), Code::Unavailable);
    assert_eq!(source.strong_count(), 0, "the source is dropped");
}

#[tokio::test]
async fn a_stream_that_ends_without_a_reason_is_broken() {
    let seen = all(parts(vec![Ok(events(&says("half")))]).0).await;
    let status = seen[1].as_ref().unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "the answer ended without saying why"));
}

#[tokio::test]
async fn an_event_that_cannot_be_read_ends_the_answer_with_an_error() {
    let (parts, source) =
        parts(vec![Ok(events(&format!("{}data: {{oops\n\n{}", says("a"), says("b")))), Ok(ends(Finish::Stop))]);
    let seen = all(parts).await;
    assert_eq!(seen.len(), 2, "what follows is not told");
    assert_eq!(seen[1].as_ref().unwrap_err().code(), Code::Unavailable);
    assert_eq!(source.strong_count(), 0);
}

#[tokio::test]
async fn the_source_is_dropped_once_it_has_ended_and_before_the_last_message_is_taken() {
    let (mut parts, source) = parts(vec![Ok(events(&says("a"))), Ok(ends(Finish::Stop))]);
    parts.next().await.unwrap().unwrap();
    assert_eq!(source.strong_count(), 1);
    let last = parts.next().await.unwrap().unwrap();
    assert_eq!(last.finish_reason(), v1::FinishReason::Stop);
    assert_eq!(source.strong_count(), 0);
}

#[tokio::test]
async fn a_broken_streams_outcome_is_that_of_a_failure() {
    let (mut parts, _) =
        parts(vec![Ok(events(&says("half"))), Err(Failure::new(ErrorKind::StreamBroken, "cut").by(&"p".into()))]);
    let attempt = |provider: &str, error| Attempt {
        provider: provider.into(),
        started_after: Duration::ZERO,
        took: Duration::ZERO,
        error,
        waited: Duration::ZERO,
        wait_reason: WaitReason::None,
    };
    parts.how.attempts = vec![attempt("first", Some(ErrorKind::NetworkError)), attempt("p", None)];
    let seen = all(parts).await;
    let told = seen[1].as_ref().unwrap_err();
    let details = tonic_types::pb::Status::decode(told.details()).unwrap().details;
    let outcome = details.iter().find(|detail| detail.type_url.ends_with("fusebox.v1.Outcome")).unwrap();
    let outcome = v1::Outcome::decode(outcome.value.as_slice()).unwrap();
    assert_eq!((outcome.source(), outcome.quality()), (v1::Source::Unspecified, v1::Quality::Unavailable));
    let kinds: Vec<_> = outcome.attempts.iter().map(|attempt| attempt.error_kind.as_str()).collect();
    assert_eq!(kinds, ["network_error", "stream_broken"]);
}
