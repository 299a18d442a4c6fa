//! What a stream's caller gets is whole, or says that it is not. No token comes twice.

use fusebox_tests::{
    provider::{
        Provider, Script,
        act::{Act, tokens},
        faults::{self, MARK},
    },
    sidecar::{Config, Sidecar},
};
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::{
    contract::row,
    support::{Doors, Ended, Way, ms},
};

/// The text of a whole answer of `count` tokens, given the request's place.
fn whole_text(seq: usize, count: usize) -> String {
    (0..count).map(|place| format!("{seq}:{place} ")).collect()
}

fn short() -> serde_json::Value {
    json!({"timeouts": {"first_token": "300ms", "idle": "300ms", "total": "300ms"}})
}

#[tokio::test]
async fn a_stream_that_breaks_after_tokens_ends_with_an_error_that_says_so() {
    for fault in faults::breaks(3) {
        let provider = Provider::start(fault.act.clone()).await;
        let sidecar = Sidecar::start(Config::one(&provider).each(&short())).await;
        let doors = Doors::of(&sidecar).await;
        for (seq, way) in Way::STREAMS.into_iter().enumerate() {
            let ended = doors.call(way, "chat").await;
            let what = format!("{} by {way:?}: {ended:#?}", fault.name);
            let problem = ended.failed();
            assert!(fault.kinds.contains(&problem.kind.as_str()), "{what}");
            assert_eq!(ended.text, whole_text(seq, 3), "{what}");
            assert_eq!(ended.finish, "", "{what}");
            assert_eq!(problem.grpc.unwrap_or(row(&problem.kind).grpc), row(&problem.kind).grpc, "{what}");
            assert_eq!(problem.http, None, "{what}: the status was sent long ago");
            assert!(!ended.everything.contains(MARK), "{what}");
        }
    }
}

#[tokio::test]
async fn of_a_broken_stream_asked_for_anew_nothing_that_differs_is_passed_on() {
    for fault in faults::breaks(1) {
        let provider = Provider::start(fault.act.clone()).await;
        let retry = json!({"retry": {"max_retries": 3, "base_delay": "1ms"}});
        let sidecar = Sidecar::start(Config::one(&provider).each(&short()).each(&retry)).await;
        let ended = Doors::of(&sidecar).await.call(Way::HttpStream, "chat").await;
        assert_eq!(ended.tokens.len(), 1, "{}: {ended:#?}", fault.name);
        assert_eq!(provider.calls(), 2, "{}: once more, for another answer", fault.name);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_before_its_first_token_is_tried_again_unseen() {
    for fault in faults::silences() {
        let script = fault.act.clone().then(tokens(4));
        let provider = Provider::start(script).await;
        let retry = json!({"retry": {"max_retries": 3, "base_delay": "1ms"}});
        let sidecar = Sidecar::start(Config::one(&provider).each(&short()).each(&retry)).await;
        let doors = Doors::of(&sidecar).await;
        let ended = doors.call(Way::HttpStream, "chat").await;
        assert_eq!(ended.good(), whole_text(1, 4), "{}: {ended:#?}", fault.name);
        assert_eq!(ended.attempts, 2, "{}", fault.name);
        provider.play(fault.act.then(tokens(4)));
        assert_eq!(doors.call(Way::GrpcStream, "chat").await.good(), whole_text(3, 4), "{}", fault.name);
    }
}

#[tokio::test]
async fn half_a_document_is_no_answer() {
    let healthy = Provider::start(tokens(3)).await;
    // What lacks nothing but a reason for stopping has its announced length: some servers never give one.
    let whole = |fault: &faults::Fault| fault.name.ends_with("without a finish reason");
    for fault in faults::breaks(3).into_iter().filter(|fault| !whole(fault)) {
        let provider = Provider::start(fault.act.clone()).await;
        let sidecar = Sidecar::start(Config::one(&provider).provider("b", &healthy).each(&short())).await;
        let doors = Doors::of(&sidecar).await;
        for way in [Way::HttpWhole, Way::GrpcWhole] {
            let ended = doors.call(way, "chat").await;
            assert_eq!(ended.provider, "b", "{} by {way:?}: {ended:#?}", fault.name);
            assert_eq!(ended.finish, "stop", "{} by {way:?}: {ended:#?}", fault.name);
        }
    }
}

#[tokio::test]
async fn a_missing_done_after_a_finish_reason_is_a_whole_answer_at_once() {
    for act in [tokens(3).without_done(), tokens(3).hang_after_finish()] {
        let provider = Provider::start(act.clone()).await;
        let idle = json!({"timeouts": {"first_token": "1s", "idle": "1s"}});
        let sidecar = Sidecar::start(Config::one(&provider).each(&idle)).await;
        let doors = Doors::of(&sidecar).await;
        for (seq, way) in Way::STREAMS.into_iter().enumerate() {
            let ended = doors.call(way, "chat").await;
            assert_eq!(ended.good(), whole_text(seq, 3), "{way:?}, {act:?}: {ended:#?}");
            assert_eq!(ended.finish, "stop");
            assert!(ended.took < ms(1500), "{way:?}, {act:?}: {ended:#?}");
        }
    }
}

#[tokio::test]
async fn every_reason_for_stopping_is_passed_on() {
    for reason in ["stop", "length"] {
        let provider = Provider::start(tokens(2).finish(reason)).await;
        let sidecar = Sidecar::start(Config::one(&provider)).await;
        let doors = Doors::of(&sidecar).await;
        for way in Way::ALL {
            assert_eq!(doors.call(way, "chat").await.finish, reason, "{way:?}");
        }
    }
}

#[tokio::test]
async fn however_the_bytes_are_cut_the_tokens_are_the_same() {
    let dressed = [
        tokens(3).crlf(),
        tokens(3).comments(),
        tokens(3).multi_line(),
        tokens(3).byte_by_byte(),
        tokens(3).crlf().comments().byte_by_byte(),
        tokens(3).crlf().multi_line().comments(),
    ];
    for act in dressed {
        let provider = Provider::start(act.clone()).await;
        let sidecar = Sidecar::start(Config::one(&provider)).await;
        let doors = Doors::of(&sidecar).await;
        for (seq, way) in Way::ALL.into_iter().enumerate() {
            let ended = doors.call(way, "chat").await;
            assert_eq!(ended.kind(), "ok", "{way:?}, {act:?}: {ended:#?}");
            assert_eq!(ended.text, whole_text(seq, 3), "{way:?}, {act:?}");
        }
    }
}

#[tokio::test]
async fn a_stream_cut_in_two_writes_at_any_byte_is_the_same() {
    let script: Vec<Act> = (1..900).map(|at| tokens(3).crlf().split_at(at)).collect();
    let count = script.len();
    let provider = Provider::start(Script::from(script)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let doors = Doors::of(&sidecar).await;
    let calls = stream::iter(0..count).map(async |place| {
        let way = Way::STREAMS[place % 2];
        (way, doors.call(way, "chat").await)
    });
    let mut calls = calls.buffer_unordered(8);
    while let Some((way, ended)) = calls.next().await {
        let seq = ended.good().split(':').next().unwrap_or_default().parse().expect("a token begins with its request");
        assert_eq!(ended.text, whole_text(seq, 3), "{way:?}: {ended:#?}");
    }
    assert_eq!(provider.calls(), count);
}

#[tokio::test]
async fn tokens_are_passed_on_as_they_come() {
    let provider = Provider::start(tokens(5).every(ms(60))).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::STREAMS {
        let ended = doors.call(way, "chat").await;
        let spread = ended.tokens[4].0 - ended.tokens[0].0;
        assert!(spread > ms(150), "{way:?}: five tokens came within {spread:?}, so they were held back");
    }
}

#[tokio::test]
async fn a_long_stream_arrives_whole_and_in_order() {
    let provider = Provider::start(tokens(5000)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let doors = Doors::of(&sidecar).await;
    for (seq, way) in Way::ALL.into_iter().enumerate() {
        assert_eq!(doors.call(way, "chat").await.good(), whole_text(seq, 5000), "{way:?}");
    }
}

#[tokio::test]
async fn a_stream_broken_by_its_first_provider_never_repeats_a_token_from_the_second() {
    let broken = Provider::start(tokens(2).cut()).await;
    let healthy = Provider::start(tokens(4)).await;
    let sidecar = Sidecar::start(Config::one(&broken).provider("b", &healthy)).await;
    let doors = Doors::of(&sidecar).await;
    for (seq, way) in Way::STREAMS.into_iter().enumerate() {
        let ended: Ended = doors.call(way, "chat").await;
        assert!(ended.text.starts_with(&whole_text(seq, 2)), "{ended:#?}");
        let tokens: Vec<&str> = ended.tokens.iter().map(|(_, token)| token.as_str()).collect();
        assert!(tokens.iter().all(|token| tokens.iter().filter(|other| other == &token).count() == 1), "{tokens:?}");
        if ended.problem.is_some() {
            assert_eq!(ended.tokens.len(), 2, "{ended:#?}");
        }
    }
}
