//! Load: how busy the inference server says it is decides what callers are given, and every answer says so; and a
//! provider gets no more calls than it can take.

use std::time::{Duration, Instant};

use fusebox_proto::v1::{
    CallOptions, EmbedRequest, GenerateImageRequest, GenerateRequest, GenerateResponse, Outcome, Priority, Quality,
    Sampling, Source, StreamGenerateResponse,
};
use fusebox_tests::{
    client::{grpc::ask, told},
    provider::{
        Provider,
        act::{hang, json, tokens},
    },
    sidecar::{Config, Sidecar},
};
use serde_json::{Value, json};

use crate::support::{Doors, Way, hello, ms};

/// What a caller is told of one call, whichever door it came by.
#[derive(Debug, Default)]
struct Reply {
    /// `ok`, or the error's kind.
    kind: String,
    level: String,
    quality: String,
    source: String,
    warnings: Vec<String>,
    wait: Option<Duration>,
    code: i32,
    attempts: usize,
}

/// How a call is made, beyond its way.
#[derive(Debug, Clone, Copy, Default)]
struct Asking {
    max_tokens: Option<u32>,
    batch: bool,
    /// Told by gRPC only: the OpenAI surface has no word for it.
    no_less: bool,
}

const HUNDRED: Asking = Asking { max_tokens: Some(100), batch: false, no_less: false };

async fn call(doors: &Doors, way: Way, asking: Asking) -> Reply {
    match way {
        Way::HttpWhole | Way::HttpStream => by_http(doors, way, asking).await,
        Way::GrpcWhole | Way::GrpcStream => by_grpc(doors, way, asking).await,
    }
}

async fn by_http(doors: &Doors, way: Way, asking: Asking) -> Reply {
    let mut body = hello("chat", way.streams());
    if let Some(tokens) = asking.max_tokens {
        body["max_tokens"] = json!(tokens);
    }
    let mut request = doors.http.chat(&body);
    if asking.batch {
        request = request.header("x-fusebox-priority", "batch");
    }
    let open = request.open().await;
    let header = |name: &str| open.header(name).unwrap_or_default().to_owned();
    let mut reply = Reply {
        kind: "ok".into(),
        level: header("x-fusebox-degradation-level"),
        quality: header("x-fusebox-quality"),
        source: header("x-fusebox-source"),
        warnings: open.headers.get_all("x-fusebox-warning").iter().map(|v| v.to_str().unwrap().to_owned()).collect(),
        wait: open.header("retry-after-ms").map(|millis| ms(millis.parse().unwrap())),
        code: open.status.as_u16().into(),
        attempts: header("x-fusebox-attempts").parse().unwrap(),
    };
    let whole = open.whole().await;
    if !whole.status.is_success() {
        reply.kind = whole.error()["type"].as_str().unwrap().to_owned();
    }
    reply
}

async fn by_grpc(doors: &Doors, way: Way, asking: Asking) -> Reply {
    let options = CallOptions {
        priority: if asking.batch { Priority::Batch.into() } else { 0 },
        allow_degraded: asking.no_less.then_some(false),
        ..CallOptions::default()
    };
    let sampling = asking.max_tokens.map(|tokens| Sampling { max_tokens: Some(tokens), ..Sampling::default() });
    let request = GenerateRequest { model: "chat".into(), sampling, options: Some(options), ..ask("hello") };
    let mut client = doors.grpc.clone();
    let ended = if way.streams() {
        match client.stream_generate(request).await {
            Err(status) => Err(status),
            Ok(answer) => {
                let mut stream = answer.into_inner();
                let mut last = Ok(None);
                while let Some(message) = stream.message().await.transpose() {
                    last = message.map(|StreamGenerateResponse { outcome, .. }| outcome);
                }
                last
            }
        }
    } else {
        client.generate(request).await.map(|answer| {
            let GenerateResponse { outcome, .. } = answer.into_inner();
            outcome
        })
    };
    match ended {
        Ok(outcome) => of_outcome(&outcome.expect("the last message has an outcome"), "ok"),
        Err(status) => {
            let told = told(&status);
            let outcome = told.outcome.expect("an error has an outcome");
            Reply { wait: told.wait, code: told.code.into(), ..of_outcome(&outcome, &told.kind) }
        }
    }
}

fn of_outcome(outcome: &Outcome, kind: &str) -> Reply {
    let word = |name: &str, prefix: &str| name.trim_start_matches(prefix).to_lowercase();
    Reply {
        kind: kind.to_owned(),
        level: word(outcome.degradation_level().as_str_name(), "DEGRADATION_LEVEL_"),
        quality: word(Quality::as_str_name(&outcome.quality()), "QUALITY_"),
        source: word(Source::as_str_name(&outcome.source()), "SOURCE_"),
        warnings: outcome.warnings.clone(),
        attempts: outcome.attempts.len(),
        ..Reply::default()
    }
}

/// What follows the queue of the scripted provider, and nothing that this machine does.
fn following(more: Value) -> Value {
    let mut degradation = json!({
        "enabled": true, "interval": "50ms", "hold": "100ms", "queue_full": 10,
        "cpu": false, "memory": false, "gpu": "off",
    });
    degradation.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"degradation": degradation})
}

async fn reaches(sidecar: &Sidecar, level: f64) {
    let what = format!("the level to be {level}");
    sidecar.metrics_until(&what, |metrics| metrics.sum("fusebox_degradation_level", &[]) == level).await;
}

/// One provider, whose page of metrics is read where it is by default.
fn heard(provider: &Provider) -> Config {
    Config::one(provider).each(&json!({"metrics_url": "auto"}))
}

#[tokio::test]
async fn the_level_follows_the_servers_own_queue_up_and_down_and_every_answer_says_so() {
    let provider = Provider::start(tokens(1)).await;
    provider.works_on(4, 0, 0.1);
    let sidecar = Sidecar::start(heard(&provider).with(following(json!({})))).await;
    let doors = Doors::of(&sidecar).await;
    for (waiting, cache, number, level, asked) in [
        (0, 0.1, 0.0, "full", 100),
        (8, 0.1, 1.0, "reduced", 70),
        (40, 0.1, 2.0, "minimal", 40),
        (0, 0.1, 0.0, "full", 100),
        (0, 0.75, 1.0, "reduced", 70),
    ] {
        provider.works_on(4, waiting, cache);
        reaches(&sidecar, number).await;
        for way in Way::ALL {
            let reply = call(&doors, way, HUNDRED).await;
            let seen = provider.seen();
            let body = &seen.last().unwrap().body;
            assert_eq!((&*reply.kind, &*reply.level), ("ok", level), "{way:?}");
            assert_eq!(body["max_tokens"], asked, "{way:?} at {level}");
            let quality = if asked == 100 { "full" } else { "limited" };
            assert_eq!((&*reply.quality, &*reply.source), (quality, "primary"), "{way:?} at {level}");
            let says = |warning: &String| warning.contains(level) && warning.contains(&asked.to_string());
            assert_eq!(reply.warnings.iter().any(says), asked != 100, "{way:?} at {level}: {:?}", reply.warnings);
            // A limit that nobody set would cut answers off.
            let reply = call(&doors, way, Asking::default()).await;
            assert_eq!((&*reply.level, &*reply.quality), (level, "full"), "{way:?}");
            assert_eq!(provider.seen().last().unwrap().body["max_tokens"], Value::Null, "{way:?} at {level}");
        }
    }
    let status = sidecar.admin().get("/status").send().await.json();
    assert_eq!((&status["degradation_level"], &status["load"]["kv_cache"]), (&json!("reduced"), &json!(0.75)));
    let limit = status["places"][0]["limit"].as_u64().unwrap_or_else(|| panic!("{status}"));
    assert!((8..=1024).contains(&limit), "{status}");
    let page = sidecar.metrics().await;
    assert_eq!(page.sum("fusebox_load", &[("part", "kv_cache")]), 0.75);
    assert!(page.sum("fusebox_load", &[("part", "memory")]) > 0.0, "what does not count is shown all the same");
}

#[tokio::test]
async fn a_call_that_sets_no_number_of_tokens_is_given_fewer_of_what_it_is_taken_to_ask_for() {
    let provider = Provider::start(tokens(1)).await;
    provider.works_on(4, 8, 0.1);
    let sidecar = Sidecar::start(heard(&provider).with(following(json!({"assumed_max_tokens": 1000})))).await;
    reaches(&sidecar, 1.0).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        let reply = call(&doors, way, Asking::default()).await;
        assert_eq!((&*reply.quality, reply.warnings.len()), ("limited", 1), "{way:?}");
        assert_eq!(provider.seen().last().unwrap().body["max_tokens"], 700, "{way:?}");
    }
}

#[tokio::test]
async fn at_the_minimal_level_batch_calls_are_shed_and_reach_no_provider() {
    let provider = Provider::start(tokens(1)).await;
    provider.works_on(4, 40, 0.1);
    let sidecar = Sidecar::start(heard(&provider).with(following(json!({"hold": "2s"})))).await;
    reaches(&sidecar, 2.0).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        let reply = call(&doors, way, Asking { batch: true, ..HUNDRED }).await;
        assert_eq!((&*reply.kind, &*reply.level, reply.attempts), ("shed", "minimal", 0), "{way:?}");
        assert!([503, 8].contains(&reply.code), "{way:?}: {}", reply.code);
        let wait = reply.wait.unwrap_or_else(|| panic!("{way:?} is not told how long to stay away"));
        assert!((ms(2000)..=ms(4000)).contains(&wait), "{way:?}: {wait:?}");
    }
    assert_eq!(provider.calls(), 0);
    for way in Way::ALL {
        assert_eq!(call(&doors, way, HUNDRED).await.kind, "ok", "{way:?}");
    }
    let page = sidecar.metrics().await;
    assert_eq!(page.sum("fusebox_shed_total", &[("priority", "batch")]), 4.0);
    assert_eq!(page.sum("fusebox_shed_total", &[("priority", "interactive")]), 0.0);
}

#[tokio::test]
async fn at_the_minimal_level_the_models_smaller_sibling_is_asked_and_the_answer_says_so() {
    let large = Provider::start(tokens(1)).await;
    let small = Provider::start(tokens(1)).await;
    large.works_on(4, 0, 0.1);
    let config = heard(&large)
        .apart("b", &small.base_url(), json!({"metrics_url": "off"}))
        .model("small", &["b"])
        .with(following(json!({})));
    let mut config: Value = serde_json::from_str(&config.text()).unwrap();
    config["models"][0]["smaller"] = json!("small");
    let sidecar = Sidecar::start(Config::new().with(config)).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        assert_eq!(call(&doors, way, HUNDRED).await.source, "primary", "{way:?}");
    }
    assert_eq!((large.calls(), small.calls()), (4, 0));
    large.works_on(4, 40, 0.1);
    reaches(&sidecar, 2.0).await;
    for way in Way::ALL {
        let reply = call(&doors, way, HUNDRED).await;
        assert_eq!((&*reply.kind, &*reply.quality, &*reply.source), ("ok", "limited", "fallback"), "{way:?}");
        assert!(reply.warnings.iter().any(|warning| warning.contains("smaller model small")), "{:?}", reply.warnings);
        let body = &small.seen().last().unwrap().body.clone();
        assert_eq!((&body["model"], &body["max_tokens"]), (&json!("small"), &json!(40)), "{way:?}");
    }
    assert_eq!((large.calls(), small.calls(), small.page_reads()), (4, 4, 0));
}

#[tokio::test]
async fn a_caller_that_will_have_no_less_is_given_all_of_it() {
    let provider = Provider::start(tokens(1)).await;
    provider.works_on(4, 40, 0.1);
    let sidecar = Sidecar::start(heard(&provider).with(following(json!({})))).await;
    reaches(&sidecar, 2.0).await;
    let doors = Doors::of(&sidecar).await;
    for way in [Way::GrpcWhole, Way::GrpcStream] {
        let reply = call(&doors, way, Asking { no_less: true, ..HUNDRED }).await;
        assert_eq!((&*reply.level, &*reply.quality), ("minimal", "full"), "{way:?}");
        assert_eq!(provider.seen().last().unwrap().body["max_tokens"], 100, "{way:?}");
    }
}

#[tokio::test]
async fn a_call_that_fails_while_load_is_high_is_tried_once_more_for_half_the_tokens() {
    let refusal = json(500, &json!({"error": {"message": "no"}}));
    let provider = Provider::start(tokens(1)).await;
    provider.works_on(4, 0, 0.1);
    let sidecar = Sidecar::start(heard(&provider).with(following(json!({})))).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        provider.play(refusal.clone().then(tokens(1)));
        assert_eq!(call(&doors, way, HUNDRED).await.kind, "provider_error", "{way:?}: there is no emergency");
    }
    provider.works_on(4, 8, 0.1);
    reaches(&sidecar, 1.0).await;
    for way in Way::ALL {
        let before = provider.calls();
        provider.play(refusal.clone().then(tokens(1)));
        let reply = call(&doors, way, HUNDRED).await;
        assert_eq!((&*reply.kind, &*reply.quality, reply.attempts), ("ok", "limited", 2), "{way:?}");
        let asked: Vec<_> = provider.seen()[before..].iter().map(|seen| seen.body["max_tokens"].clone()).collect();
        assert_eq!(asked, [70, 35], "{way:?}");
        assert!(reply.warnings.iter().any(|warning| warning.contains("35")), "{way:?}: {:?}", reply.warnings);
    }
    for way in Way::ALL {
        let before = provider.calls();
        provider.play(refusal.clone());
        assert_eq!(call(&doors, way, HUNDRED).await.kind, "provider_error", "{way:?}");
        assert_eq!(provider.calls() - before, 2, "{way:?}: once more, and no more");
    }
}

#[tokio::test]
async fn a_smaller_model_that_is_asked_after_an_emergency_is_not_asked_for_half_the_tokens_in_silence() {
    let large = Provider::start(json(500, &json!({"error": {"message": "no"}}))).await;
    let small = Provider::start(tokens(1)).await;
    large.works_on(4, 8, 0.1);
    let config = heard(&large).apart("b", &small.base_url(), json!({"metrics_url": "off"})).model("small", &["b"]);
    let sidecar = Sidecar::start(config.with(following(json!({"fallback_model": "small"})))).await;
    reaches(&sidecar, 1.0).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        assert_eq!(call(&doors, way, HUNDRED).await.kind, "ok", "{way:?}");
        assert_eq!(small.seen().last().unwrap().body["max_tokens"], 70, "{way:?}");
    }
    assert_eq!((large.calls(), small.calls()), (8, 4));
}

#[tokio::test]
async fn images_are_asked_for_in_fewer_steps_and_embeddings_in_smaller_batches() {
    let provider = Provider::start(tokens(1)).await;
    provider.works_on(4, 8, 0.1);
    let sidecar = Sidecar::start(heard(&provider).with(following(json!({})))).await;
    reaches(&sidecar, 1.0).await;
    let mut grpc = sidecar.grpc().await;
    let steps = |provider: &Provider| provider.seen().last().unwrap().body["num_inference_steps"].clone();
    let image = json!({"model": "chat", "prompt": "a cat", "size": "64x64", "num_inference_steps": 30});
    let answer = sidecar.http().post("/v1/images/generations", &image).send().await;
    assert_eq!(answer.header("x-fusebox-quality"), Some("limited"), "{}", answer.everything());
    assert_eq!(steps(&provider), 21);
    let image = GenerateImageRequest { prompt: "a cat".into(), num_inference_steps: Some(30), ..Default::default() };
    let answer = grpc.generate_image(image).await.unwrap().into_inner();
    let outcome = answer.outcome.unwrap();
    assert_eq!((answer.num_inference_steps, outcome.quality()), (21, Quality::Limited));
    assert_eq!(steps(&provider), 21);
    assert!(outcome.warnings.iter().any(|warning| warning.contains("21 steps")), "{outcome:?}");

    let inputs: Vec<String> = (0..9).map(|number| format!("text {number}")).collect();
    let asked = |from: usize| -> Vec<usize> {
        provider.seen()[from..].iter().map(|seen| seen.body["input"].as_array().unwrap().len()).collect()
    };
    let before = provider.calls();
    let answer = sidecar.http().post("/v1/embeddings", &json!({"model": "chat", "input": inputs})).send().await;
    assert_eq!(answer.json()["data"].as_array().map(Vec::len), Some(9), "{}", answer.everything());
    assert_eq!((answer.header("x-fusebox-quality"), asked(before)), (Some("full"), vec![6, 3]));
    let before = provider.calls();
    let answer = grpc.embed(EmbedRequest { inputs, ..EmbedRequest::default() }).await.unwrap().into_inner();
    assert_eq!((answer.embeddings.len(), asked(before)), (9, vec![6, 3]));
    let outcome = answer.outcome.unwrap();
    assert!(outcome.warnings.iter().any(|warning| warning.contains("6 at a time")), "{outcome:?}");
}

#[tokio::test]
async fn a_server_without_a_page_is_no_fault_and_one_that_falls_silent_keeps_nothing_down() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(heard(&provider).with(following(json!({})))).await;
    let doors = Doors::of(&sidecar).await;
    let page = sidecar.metrics_until("a load", |metrics| metrics.has("fusebox_load", &[("part", "memory")])).await;
    assert!(!page.has("fusebox_load", &[("part", "queue")]) && !page.has("fusebox_load", &[("part", "kv_cache")]));
    assert_eq!(call(&doors, Way::HttpWhole, HUNDRED).await.level, "full");
    assert_eq!(provider.page_reads(), 1, "a page that is not there is not asked for again soon");
    // One that had a page and is then in trouble.
    let other = Provider::start(tokens(1)).await;
    other.works_on(4, 8, 0.1);
    let sidecar = Sidecar::start(heard(&other).with(following(json!({})))).await;
    reaches(&sidecar, 1.0).await;
    other.shows(503, "not now");
    reaches(&sidecar, 0.0).await;
    assert_eq!(call(&Doors::of(&sidecar).await, Way::GrpcWhole, HUNDRED).await.level, "full");
    assert!(!sidecar.metrics().await.has("fusebox_load", &[("part", "queue")]));
}

/// A sidecar before providers that may hang for as long as a test takes.
async fn patient(config: Config, changes: Value) -> Sidecar {
    let timeouts = json!({"timeouts": {"first_token": "5m", "idle": "5m", "total": "5m", "stream_total": "5m"}});
    Sidecar::start(config.each(&timeouts).with(changes)).await
}

/// Two places, and one who may wait.
fn two_places() -> Value {
    let mut config = following(json!({"enabled": false}));
    config["overload"] = json!({"min_limit": 1, "max_limit": 2, "max_queue": 1, "max_queue_wait": "30s"});
    config
}

async fn waits(sidecar: &Sidecar, count: f64) {
    let what = format!("{count} calls to wait");
    sidecar.metrics_until(&what, |metrics| metrics.sum("fusebox_waiting", &[]) == count).await;
}

#[tokio::test]
async fn a_provider_gets_no_more_calls_than_its_limit_and_a_full_queue_sheds_at_once() {
    let provider = Provider::start(hang()).await;
    let sidecar = patient(Config::one(&provider), two_places()).await;
    let doors = Doors::of(&sidecar).await;
    let mut two = Box::pin(futures_util::future::join(
        call(&doors, Way::HttpStream, HUNDRED),
        call(&doors, Way::GrpcWhole, HUNDRED),
    ));
    tokio::select! { _ = &mut two => panic!("over too soon"), _ = provider.saw(2) => {} }
    for way in Way::ALL {
        let mut third = Box::pin(call(&doors, way, HUNDRED));
        tokio::select! { biased; _ = &mut two => panic!(), _ = &mut third => panic!("{way:?} did not wait"), () = waits(&sidecar, 1.0) => {} }
        for other in Way::ALL {
            let began = Instant::now();
            let reply = tokio::select! { _ = &mut two => panic!(), _ = &mut third => panic!(), reply = call(&doors, other, HUNDRED) => reply };
            assert_eq!((&*reply.kind, reply.attempts), ("shed", 0), "{other:?}");
            assert!(reply.wait.is_some_and(|wait| wait >= ms(1000)), "{other:?}: {:?}", reply.wait);
            assert!(began.elapsed() < ms(5000), "{other:?} waited");
        }
        drop(third);
        tokio::select! { biased; _ = &mut two => panic!(), () = waits(&sidecar, 0.0) => {} }
    }
    assert_eq!(provider.calls(), 2);
    // A caller that hangs up leaves its place to whoever waits.
    let third = call(&doors, Way::GrpcStream, HUNDRED);
    let hang_up = async {
        tokio::select! { biased; _ = &mut two => panic!(), () = waits(&sidecar, 1.0) => {} }
        provider.play(tokens(1));
        drop(two);
    };
    let (third, ()) = futures_util::future::join(third, hang_up).await;
    assert_eq!(third.kind, "ok");
    assert_eq!(provider.calls(), 3);
}

#[tokio::test]
async fn a_batch_call_may_not_have_the_last_places_and_gives_way_in_the_queue() {
    let provider = Provider::start(hang()).await;
    let sidecar = patient(Config::one(&provider), two_places()).await;
    let doors = Doors::of(&sidecar).await;
    let mut first = Box::pin(call(&doors, Way::HttpWhole, HUNDRED));
    tokio::select! { _ = &mut first => panic!("over too soon"), _ = provider.saw(1) => {} }
    // One place is free, and it is not for a batch call.
    for way in Way::ALL {
        let mut batch = Box::pin(call(&doors, way, Asking { batch: true, ..HUNDRED }));
        tokio::select! { biased; _ = &mut first => panic!(), _ = &mut batch => panic!("{way:?} did not wait"), () = waits(&sidecar, 1.0) => {} }
        let seen = provider.calls();
        let mut second = Box::pin(call(&doors, way, HUNDRED));
        tokio::select! { biased; _ = &mut first => panic!(), _ = &mut batch => panic!(), _ = &mut second => panic!(), _ = provider.saw(seen + 1) => {} }
        // Now both are taken, and an interactive call takes the batch call's place in the queue.
        let third = call(&doors, way, HUNDRED);
        let shed = tokio::select! { _ = &mut first => panic!(), _ = &mut second => panic!(), _ = third => panic!(), shed = &mut batch => shed };
        assert_eq!((&*shed.kind, shed.attempts), ("shed", 0), "{way:?}");
        drop(second);
        tokio::select! { biased; _ = &mut first => panic!(), () = waits(&sidecar, 0.0) => {} }
        provider.gone(seen).await;
    }
}

#[tokio::test]
async fn a_call_for_which_its_first_provider_has_no_room_goes_to_the_next() {
    let (full, other) = (Provider::start(hang()).await, Provider::start(tokens(1)).await);
    let sidecar = patient(Config::one(&full).provider("b", &other), two_places()).await;
    let doors = Doors::of(&sidecar).await;
    let mut two = Box::pin(futures_util::future::join(
        call(&doors, Way::HttpWhole, HUNDRED),
        call(&doors, Way::GrpcStream, HUNDRED),
    ));
    tokio::select! { _ = &mut two => panic!("over too soon"), _ = full.saw(2) => {} }
    for way in Way::ALL {
        let reply = tokio::select! { _ = &mut two => panic!(), reply = call(&doors, way, HUNDRED) => reply };
        assert_eq!((&*reply.kind, &*reply.source, reply.attempts), ("ok", "fallback", 1), "{way:?}");
    }
    assert_eq!((full.calls(), other.calls()), (2, 4));
}

#[tokio::test]
async fn a_call_that_nobody_would_wait_for_is_shed_when_its_time_is_up() {
    let provider = Provider::start(hang()).await;
    let mut config = two_places();
    config["overload"]["max_queue_wait"] = json!("200ms");
    let sidecar = patient(Config::one(&provider), config).await;
    let doors = Doors::of(&sidecar).await;
    let mut two = Box::pin(futures_util::future::join(
        call(&doors, Way::HttpWhole, HUNDRED),
        call(&doors, Way::GrpcStream, HUNDRED),
    ));
    tokio::select! { _ = &mut two => panic!("over too soon"), _ = provider.saw(2) => {} }
    for way in Way::ALL {
        let began = Instant::now();
        let reply = tokio::select! { _ = &mut two => panic!(), reply = call(&doors, way, HUNDRED) => reply };
        assert_eq!(reply.kind, "shed", "{way:?}");
        assert!(began.elapsed() >= ms(195) && began.elapsed() < ms(3000), "{way:?}: {:?}", began.elapsed());
    }
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn a_server_in_which_requests_wait_is_sent_fewer() {
    let provider = Provider::start(hang()).await;
    provider.works_on(2, 0, 0.1);
    let mut config = two_places();
    config["overload"] = json!({"min_limit": 1, "max_limit": 100, "max_queue": 0});
    let sidecar = patient(heard(&provider), config).await;
    let doors = Doors::of(&sidecar).await;
    let mut ten = Box::pin(futures_util::future::join_all((0..10).map(|_| call(&doors, Way::HttpStream, HUNDRED))));
    tokio::select! { _ = &mut ten => panic!("over too soon"), _ = provider.saw(10) => {} }
    let limit = |most: f64| {
        sidecar.metrics_until("the limit", move |metrics| {
            metrics.has("fusebox_concurrency_limit", &[]) && metrics.sum("fusebox_concurrency_limit", &[]) <= most
        })
    };
    let page = tokio::select! { _ = &mut ten => panic!(), page = limit(100.0) => page };
    assert_eq!(page.sum("fusebox_concurrency_limit", &[]), 100.0, "nothing waits, so nobody is held back");
    provider.works_on(2, 8, 0.1);
    let page = tokio::select! { _ = &mut ten => panic!(), page = limit(10.0) => page };
    assert_eq!(page.sum("fusebox_concurrency_limit", &[]), 3.0, "two that run, and one");
    for way in Way::ALL {
        let reply = tokio::select! { _ = &mut ten => panic!(), reply = call(&doors, way, HUNDRED) => reply };
        assert_eq!((&*reply.kind, &*reply.level), ("shed", "full"), "{way:?}");
    }
}
