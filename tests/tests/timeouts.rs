//! Each wait has a timer of its own, and none outlives the caller's deadline.

use std::{ops::Range, time::Duration};

use fusebox_tests::{
    client::grpc::ask,
    provider::{
        Provider, Unreachable,
        act::{hang, headers, json as answer, tokens},
    },
    sidecar::{Config, Sidecar},
};
use prost::Message as _;
use serde_json::{Value, json};

use crate::support::{Doors, Ended, Way, hello, ms};

/// What a busy machine may add to a timer before a test calls it late.
const MARGIN: Duration = ms(150);

/// One provider whose timers are all long but for `short`.
async fn with_timeouts(provider: &Provider, short: Value) -> (Sidecar, Doors) {
    let sidecar = Sidecar::start(Config::one(provider).each(&json!({"timeouts": short}))).await;
    let doors = Doors::of(&sidecar).await;
    (sidecar, doors)
}

#[track_caller]
fn timed(ended: &Ended, kinds: &[&str], around: Duration) {
    let range: Range<Duration> = around..around + MARGIN;
    assert!(kinds.contains(&ended.kind()), "{ended:#?}");
    assert!(range.contains(&ended.took), "took {:?}, not {range:?}: {ended:#?}", ended.took);
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_is_given_up_after_connect() {
    let nowhere = Unreachable::start().await;
    let healthy = Provider::start(tokens(2)).await;
    let short = json!({"timeouts": {"connect": "200ms"}});
    let config = Config::new()
        .apart("nowhere", &nowhere.base_url(), short)
        .provider("healthy", &healthy)
        .model("alone", &["nowhere"])
        .model("both", &["nowhere", "healthy"]);
    let sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        timed(&doors.call(way, "alone").await, &["network_error"], ms(200));
        timed(&doors.call(way, "both").await, &["ok"], ms(200));
    }
}

#[tokio::test]
async fn a_stream_without_a_first_token_is_given_up_after_first_token() {
    let silences = [
        hang(),
        headers().hang(),
        headers().keep_alives(ms(20)),
        tokens(0).hang(),
        tokens(1).first_token_after(ms(3000)),
    ];
    for silence in silences {
        let provider = Provider::start(silence).await;
        let (_sidecar, doors) = with_timeouts(&provider, json!({"first_token": "200ms"})).await;
        for way in Way::STREAMS {
            timed(&doors.call(way, "chat").await, &["inference_timeout"], ms(200));
        }
    }
}

#[tokio::test]
async fn a_whole_answer_is_not_held_to_first_token() {
    let provider = Provider::start(tokens(2).after(ms(300))).await;
    let (_sidecar, doors) = with_timeouts(&provider, json!({"first_token": "100ms"})).await;
    for way in [Way::HttpWhole, Way::GrpcWhole] {
        timed(&doors.call(way, "chat").await, &["ok"], ms(300));
    }
}

#[tokio::test]
async fn a_stream_that_stalls_is_given_up_after_idle() {
    for stall in [tokens(2).hang(), tokens(2).keep_alives(ms(20))] {
        let provider = Provider::start(stall).await;
        let (_sidecar, doors) = with_timeouts(&provider, json!({"idle": "200ms"})).await;
        for way in Way::STREAMS {
            let ended = doors.call(way, "chat").await;
            timed(&ended, &["stream_broken"], ms(200));
            assert_eq!(ended.tokens.len(), 2, "{ended:#?}");
        }
    }
}

#[tokio::test]
async fn the_first_token_and_the_gaps_have_timers_of_their_own() {
    let provider = Provider::start(tokens(3).first_token_after(ms(300))).await;
    let (_sidecar, doors) = with_timeouts(&provider, json!({"first_token": "2s", "idle": "100ms"})).await;
    assert_eq!(doors.call(Way::HttpStream, "chat").await.kind(), "ok", "a late first token is no stall");
    let provider = Provider::start(tokens(6).every(ms(80))).await;
    let (_sidecar, doors) = with_timeouts(&provider, json!({"first_token": "200ms", "idle": "300ms"})).await;
    assert_eq!(doors.call(Way::HttpStream, "chat").await.kind(), "ok", "gaps do not add up");
}

#[tokio::test]
async fn thinking_aloud_is_progress() {
    let provider = Provider::start(tokens(1).reasoning(&["let ", "me ", "think ", "on ", "it"]).every(ms(100))).await;
    let (_sidecar, doors) = with_timeouts(&provider, json!({"first_token": "300ms", "idle": "300ms"})).await;
    for way in Way::STREAMS {
        assert_eq!(doors.call(way, "chat").await.kind(), "ok", "{way:?}");
    }
}

#[tokio::test]
async fn a_whole_answer_is_given_up_after_total() {
    for slow in [hang(), headers().hang(), tokens(3).hang(), tokens(3).after(ms(3000))] {
        let provider = Provider::start(slow).await;
        let (_sidecar, doors) = with_timeouts(&provider, json!({"total": "200ms"})).await;
        for way in [Way::HttpWhole, Way::GrpcWhole] {
            timed(&doors.call(way, "chat").await, &["inference_timeout"], ms(200));
        }
    }
}

#[tokio::test]
async fn a_stream_that_goes_on_and_on_is_given_up_after_stream_total() {
    let provider = Provider::start(tokens(1000).every(ms(20))).await;
    let (_sidecar, doors) = with_timeouts(&provider, json!({"stream_total": "300ms"})).await;
    for way in Way::STREAMS {
        let ended = doors.call(way, "chat").await;
        timed(&ended, &["inference_timeout", "stream_broken"], ms(300));
        assert!(ended.tokens.len() > 3, "{ended:#?}");
    }
}

#[tokio::test]
async fn no_call_outlives_its_callers_deadline() {
    let provider = Provider::start(hang()).await;
    let retry = json!({"retry": {"max_retries": 10, "base_delay": "1ms"}, "timeouts": {"connect": "50ms", "first_token": "70ms", "total": "70ms"}});
    let sidecar = Sidecar::start(Config::one(&provider).each(&retry)).await;
    let doors = Doors::of(&sidecar).await;
    for way in [Way::HttpWhole, Way::HttpStream] {
        let ended = doors.call_within(way, "chat", Some(ms(250))).await;
        assert_eq!(ended.kind(), "inference_timeout", "{ended:#?}");
        assert!(ended.took < ms(250) + MARGIN, "{ended:#?}");
    }
}

#[tokio::test]
async fn a_callers_deadline_ends_a_stream_that_has_begun() {
    let provider = Provider::start(tokens(1000).every(ms(20))).await;
    let (_sidecar, doors) = with_timeouts(&provider, json!({})).await;
    for way in Way::STREAMS {
        let ended = doors.call_within(way, "chat", Some(ms(300))).await;
        timed(&ended, &["inference_timeout", "stream_broken"], ms(300));
        assert!(ended.tokens.len() > 3, "{ended:#?}");
    }
}

#[tokio::test]
async fn grpc_timeout_is_the_servers_deadline_too() {
    let provider = Provider::start(hang()).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    // By hand: the library's own client would give up by itself at the same moment.
    let request = ask("hello").encode_to_vec();
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(request.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(&request);
    let client = fusebox_tests::client::Http::h2c(sidecar.grpc_address());
    let call = client.request(http::Method::POST, "/fusebox.v1.InferenceService/Generate", framed);
    let call = call.header("content-type", "application/grpc").header("te", "trailers").header("grpc-timeout", "200m");
    let answer = call.send().await;
    assert_eq!(answer.header("grpc-status"), Some("4"), "{answer:?}");
    assert!((ms(200)..ms(200) + MARGIN).contains(&answer.took), "{:?}", answer.took);
    provider.gone(0).await;
}

#[tokio::test]
async fn a_silent_provider_costs_its_first_token_once() {
    let silent = Provider::start(hang()).await;
    let healthy = Provider::start(tokens(2)).await;
    let slow = json!({"retry": {"max_retries": 3}, "timeouts": {"first_token": "200ms", "total": "200ms"}});
    let sidecar = Sidecar::start(Config::one(&silent).provider("b", &healthy).each(&slow)).await;
    let doors = Doors::of(&sidecar).await;
    for (calls, way) in Way::ALL.into_iter().enumerate() {
        let ended = doors.call(way, "chat").await;
        timed(&ended, &["ok"], ms(200));
        assert_eq!(silent.calls(), calls + 1, "{way:?}: it is not tried again while another can take the call");
    }
}

#[tokio::test]
async fn a_silent_provider_that_is_alone_is_given_longer_the_second_time() {
    for way in Way::ALL {
        let provider = Provider::start(hang().then(tokens(2).after(ms(300)))).await;
        let slow = json!({"retry": {"max_retries": 1}, "timeouts": {"first_token": "200ms", "total": "200ms"}});
        let sidecar = Sidecar::start(Config::one(&provider).each(&slow)).await;
        // Without a deadline of the caller's, a provider that is alone has used up all the time there is.
        let ended = Doors::of(&sidecar).await.call_within(way, "chat", Some(ms(2000))).await;
        assert_eq!(ended.kind(), "ok", "{way:?}: {ended:#?}");
        assert_eq!(ended.attempts, 2);
    }
}

#[tokio::test]
async fn a_deadline_that_is_no_number_is_refused() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    for nonsense in ["soon", "-5", "1.5s", "0"] {
        let answer = sidecar.http().chat(&hello("chat", false)).header("x-fusebox-timeout-ms", nonsense).send().await;
        assert!(matches!(answer.status.as_u16(), 400 | 422), "{nonsense}: {}", answer.everything());
        assert_eq!(answer.error()["type"], "invalid_input");
        assert!(answer.text().contains("x-fusebox-timeout-ms"), "{}", answer.text());
    }
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_refusal_whose_body_stalls_keeps_its_kind_and_its_wait() {
    let limited = || answer(429, &json!({"error": {"message": "slow down"}})).header("retry-after", "7");
    for stalling in [limited().hang(), limited().keep_alives(ms(20))] {
        for way in Way::ALL {
            let provider = Provider::start(stalling.clone()).await;
            let (_sidecar, doors) = with_timeouts(&provider, json!({"total": "4s", "first_token": "4s"})).await;
            let ended = doors.call(way, "chat").await;
            assert_eq!((ended.kind(), ended.failed().wait), ("rate_limited", Some(ms(7000))), "{ended:#?}");
            assert!(ended.took < ms(2000), "{ended:#?}");
        }
    }
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_not_waited_for_past_the_callers_deadline() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let began = std::time::Instant::now();
    let head =
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-fusebox-timeout-ms: 200\r\ncontent-length: 99\r\n\r\n{";
    let answer = sidecar.http().wire(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(answer.contains("\"inference_timeout\""), "{answer}");
    assert!(began.elapsed() >= ms(190) && began.elapsed() < ms(1500), "{:?}", began.elapsed());
    assert_eq!(provider.calls(), 0);
}
