//! Answers of before: when they are read, who may read them, and what is never kept.

use fusebox_tests::{
    provider::{
        Provider,
        act::{Act, hang, json as answer, text, tokens},
    },
    sidecar::{Config, Sidecar},
};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    options::{Ask, Told, ask},
    support::{Doors, Way, hello, ms},
};

/// A sidecar with one provider and the cache in this mode.
async fn cached(provider: &Provider, mode: &str) -> (Sidecar, Doors) {
    let sidecar = Sidecar::start(Config::one(provider).with(json!({"cache": {"mode": mode}}))).await;
    let doors = Doors::of(&sidecar).await;
    (sidecar, doors)
}

fn down() -> Act {
    answer(500, &json!({"error": {"message": "down"}}))
}

#[tokio::test]
async fn an_answer_stands_in_once_every_provider_has_failed() {
    for way in Way::ALL {
        let provider = Provider::start(tokens(3).times(1, down())).await;
        let (sidecar, doors) = cached(&provider, "fallback").await;
        let first = ask(&doors, way, &Ask::default()).await;
        assert_eq!(first.how(), ("0:0 0:1 0:2 ", "primary", "full"), "{way:?}");
        let second = ask(&doors, way, &Ask::default()).await;
        assert_eq!(second.how(), ("0:0 0:1 0:2 ", "cache", "cached"), "{way:?}");
        assert_eq!((&second.finish, &second.id, &second.provider), (&first.finish, &first.id, &"a".to_owned()));
        assert!(second.warnings.contains("no provider could answer (provider_error)"), "{second:?}");
        assert_eq!(second.age.is_some(), matches!(way, Way::HttpWhole | Way::HttpStream), "{second:?}");
        assert_eq!(provider.calls(), 2, "the provider was asked first");
        let other = ask(&doors, way, &Ask { prompt: "something else", ..Ask::default() }).await;
        assert_eq!(other.kind, "provider_error", "{way:?}");
        let metrics = sidecar.metrics().await;
        assert_eq!(metrics.sum("fusebox_calls_total", &[("source", "cache")]), 1.0);
        for (result, count) in [("hit", 1.0), ("miss", 1.0), ("stored", 1.0)] {
            assert_eq!(metrics.sum("fusebox_cache_requests_total", &[("result", result)]), count, "{result}");
        }
    }
}

#[tokio::test]
async fn read_first_it_spares_the_provider() {
    for way in Way::ALL {
        let provider = Provider::start(tokens(3)).await;
        let (_sidecar, doors) = cached(&provider, "prefer").await;
        let first = ask(&doors, way, &Ask::default()).await;
        for _ in 0..3 {
            let again = ask(&doors, way, &Ask::default()).await;
            assert_eq!(again.how(), (&*first.text, "cache", "cached"), "{way:?}");
            assert!(again.warnings.contains("an equal call"), "{again:?}");
        }
        assert_eq!(provider.calls(), 1, "{way:?}");
    }
}

#[tokio::test]
async fn what_a_caller_says_of_one_call_goes_before_the_configuration() {
    for way in Way::ALL {
        let provider = Provider::start(tokens(1)).await;
        let (_sidecar, doors) = cached(&provider, "prefer").await;
        let off = Ask { cache: Some("off"), ..Ask::default() };
        let fallback = Ask { cache: Some("fallback"), ..Ask::default() };
        // Neither written nor read, then written, then read.
        for (how, source) in [(&off, "primary"), (&fallback, "primary"), (&off, "primary"), (&Ask::default(), "cache")]
        {
            assert_eq!(ask(&doors, way, how).await.source, source, "{way:?} {how:?}");
        }
        assert_eq!(provider.calls(), 3);
    }
}

#[tokio::test]
async fn one_door_and_form_serve_the_others() {
    let call = || tokens(2).tool("look", &["{\"at\"", ":\"it\"}"]).finish("tool_calls");
    for (act, finish) in [(tokens(3), "stop"), (tokens(3).finish("length"), "length"), (call(), "tool_calls")] {
        // The doors write their questions differently, so each has an answer of its own.
        for [one, other] in [[Way::HttpWhole, Way::HttpStream], [Way::GrpcWhole, Way::GrpcStream]] {
            for [first, second] in [[one, other], [other, one]] {
                let provider = Provider::start(act.clone()).await;
                let (_sidecar, doors) = cached(&provider, "prefer").await;
                let made = ask(&doors, first, &Ask::default()).await;
                let told = ask(&doors, second, &Ask::default()).await;
                let expected = Told { source: "cache".into(), quality: "cached".into(), ..made.clone() };
                assert_eq!(told, Told { warnings: told.warnings.clone(), age: told.age.clone(), ..expected });
                assert_eq!((provider.calls(), &*told.finish), (1, finish), "{first:?} {second:?}");
                assert!(told.output_tokens.is_some(), "{told:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_caller_that_did_not_ask_for_the_count_of_tokens_does_not_get_it() {
    let provider = Provider::start(tokens(2)).await;
    let (sidecar, _doors) = cached(&provider, "prefer").await;
    let mut counted = hello("chat", true);
    counted["stream_options"] = json!({"include_usage": true});
    let with = sidecar.http().chat(&counted).send().await;
    let without = sidecar.http().chat(&hello("chat", true)).send().await;
    assert!(with.text().contains("completion_tokens") && !without.text().contains("completion_tokens"));
    assert!(without.events().iter().all(|event| event.is_done() || event.json()["choices"] != json!([])));
    assert_eq!(without.header("x-fusebox-source"), Some("cache"));
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn what_has_no_part_in_the_answer_does_not_count_and_whatever_else_stands_there_does() {
    let provider = Provider::start(tokens(1)).await;
    let (sidecar, _doors) = cached(&provider, "prefer").await;
    let source = async |body: String| {
        let answer = sidecar.http().post_raw("/v1/chat/completions", body).send().await;
        answer.header("x-fusebox-source").unwrap_or_default().to_owned()
    };
    let turn = r#"{"role":"user","content":"hi"}"#;
    let one = format!(r#"{{"model":"chat","messages":[{turn}],"temperature":0.5}}"#);
    assert_eq!(source(one).await, "primary");
    for same in [
        format!(r#"{{"messages":[{turn}],"model":"chat","temperature":0.5}}"#),
        format!(r#"{{"user":"u","messages":[{turn}],"temperature":0.5,"stream":false,"store":true}}"#),
        format!(r#"{{"messages":[{turn}],"metadata":{{"a":"b"}},"temperature":0.5}}"#),
    ] {
        assert_eq!(source(same.clone()).await, "cache", "{same}");
    }
    for other in [
        format!(r#"{{"messages":[{turn}],"temperature":0.25}}"#),
        format!(r#"{{"messages":[{turn}],"temperature":0.5,"max_tokens":5}}"#),
        format!(r#"{{"messages":[{turn},{turn}],"temperature":0.5}}"#),
        format!(r#"{{"messages":[{turn}],"temperature":0.5,"some_providers_own":1}}"#),
        format!(r#"{{"temperature":0.5,"messages":[{turn}]}}"#),
        r#"{"messages":[{"role":"system","content":"hi"}],"temperature":0.5}"#.to_owned(),
    ] {
        assert_eq!(source(other.clone()).await, "primary", "{other}");
    }
}

#[tokio::test]
async fn one_token_never_reads_what_another_was_answered() {
    let tokens_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(tokens_file.path(), "team-a\nteam-b\n").unwrap();
    for way in Way::ALL {
        let provider = Provider::start(tokens(1)).await;
        let guarded = json!({"cache": {"mode": "prefer"}, "auth": {"tokens_file": tokens_file.path()},
                             "telemetry": {"log": "trace"}});
        let sidecar = Sidecar::start(Config::one(&provider).with(guarded)).await;
        let doors = Doors::of(&sidecar).await;
        for (token, source) in [("team-a", "primary"), ("team-b", "primary"), ("team-a", "cache"), ("team-b", "cache")]
        {
            let told = ask(&doors, way, &Ask { token: Some(token), ..Ask::default() }).await;
            assert_eq!(told.source, source, "{way:?} {token}");
        }
        assert_eq!(provider.calls(), 2);
    }
}

#[tokio::test]
async fn what_is_less_than_was_asked_for_is_not_kept() {
    let out_of_memory = || answer(500, &json!({"error": {"message": "CUDA out of memory. Tried to allocate 2 GiB"}}));
    let scripts = [
        ("filtered", tokens(2).finish("content_filter").then(tokens(1)), 2),
        ("halved", out_of_memory().then(tokens(1)), 3),
        ("broken", tokens(2).cut().then(tokens(1)), 2),
    ];
    for (what, script, calls) in scripts {
        for way in Way::STREAMS {
            let provider = Provider::start(script.clone()).await;
            let retries = if what == "halved" { 1 } else { 0 };
            let config = Config::one(&provider).each(&json!({"retry": {"max_retries": retries}}));
            let sidecar = Sidecar::start(config.with(json!({"cache": {"mode": "prefer"}}))).await;
            let doors = Doors::of(&sidecar).await;
            ask(&doors, way, &Ask::default()).await;
            let second = ask(&doors, way, &Ask::default()).await;
            assert_eq!((&*second.kind, &*second.finish), ("ok", "stop"), "{what} {way:?} {second:?}");
            if what != "broken" {
                assert_eq!((&*second.source, provider.calls()), ("primary", calls), "{what} {way:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_too_large_for_an_eighth_of_the_memory_is_not_kept() {
    let provider = Provider::start(text(&["word "; 3000])).await;
    let small = json!({"cache": {"mode": "prefer", "capacity": "64KiB"}});
    let sidecar = Sidecar::start(Config::one(&provider).with(small)).await;
    let doors = Doors::of(&sidecar).await;
    for way in [Way::HttpWhole, Way::HttpStream] {
        ask(&doors, way, &Ask::default()).await;
        assert_eq!(ask(&doors, way, &Ask::default()).await.source, "primary");
    }
    let metrics = sidecar.metrics().await;
    assert_eq!(metrics.sum("fusebox_cache_requests_total", &[("result", "stored")]), 0.0);
    assert!(metrics.sum("fusebox_cache_requests_total", &[("result", "too_large")]) >= 2.0);
}

#[tokio::test]
async fn equal_calls_at_once_wait_for_the_first() {
    for way in Way::ALL {
        let provider = Provider::start(tokens(3).after(ms(150))).await;
        let (sidecar, doors) = cached(&provider, "prefer").await;
        let how = Ask::default();
        let told = join_all((0..6).map(|_| ask(&doors, way, &how))).await;
        let made = told.iter().filter(|one| one.source == "primary").count();
        assert_eq!((made, provider.calls()), (1, 1), "{way:?} {told:#?}");
        for one in &told {
            assert_eq!((&*one.kind, &one.text), ("ok", &told[0].text));
            assert!(one.source == "primary" || one.quality == "cached", "{one:?}");
        }
        let metrics = sidecar.metrics_until("six outcomes", |metrics| {
            metrics.sum("fusebox_calls_total", &[("kind", "ok")]) == 6.0 && metrics.sum("fusebox_in_flight", &[]) == 0.0
        });
        assert_eq!(metrics.await.sum("fusebox_cache_requests_total", &[("result", "shared")]), 5.0);
    }
}

#[tokio::test]
async fn if_the_first_fails_the_next_goes_on() {
    for way in Way::ALL {
        let provider = Provider::start(down().after(ms(150)).then(tokens(2))).await;
        let (_sidecar, doors) = cached(&provider, "prefer").await;
        let how = Ask::default();
        let told = join_all((0..4).map(|_| ask(&doors, way, &how))).await;
        let failed = told.iter().filter(|one| one.kind == "provider_error").count();
        let good = told.iter().filter(|one| one.kind == "ok").count();
        assert_eq!((failed, good, provider.calls()), (1, 3, 2), "{way:?} {told:#?}");
    }
}

#[tokio::test]
async fn the_first_ones_hanging_up_does_not_fail_those_who_wait() {
    let provider = Provider::start(tokens(2).after(ms(300))).await;
    let (sidecar, _doors) = cached(&provider, "prefer").await;
    let call = || sidecar.http().chat(&hello("chat", false));
    let mut first = Box::pin(call().open());
    tokio::select! { biased; _ = &mut first => panic!("answered too soon"), _ = provider.saw(1) => {} }
    let mut second = Box::pin(call().send());
    // The second joins while the first still waits.
    tokio::select! { biased; _ = &mut second => panic!("answered too soon"), () = tokio::time::sleep(ms(100)) => {} }
    drop(first);
    let answer = second.await;
    assert_eq!((answer.status.as_u16(), answer.header("x-fusebox-quality")), (200, Some("cached")));
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn who_waits_keeps_a_deadline_of_its_own_and_outlives_a_shorter_one() {
    let provider = Provider::start(tokens(10).every(ms(60))).await;
    let (sidecar, _doors) = cached(&provider, "prefer").await;
    let call = |timeout: &str| sidecar.http().chat(&hello("chat", true)).header("x-fusebox-timeout-ms", timeout).send();
    // Whichever of them is the first.
    let (short, long) = tokio::join!(call("250"), call("5000"));
    assert!(short.text().contains("inference_timeout") && !short.text().contains("[DONE]"), "{}", short.text());
    assert!(long.events().last().unwrap().is_done(), "{}", long.text());
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn embeddings_and_completions_are_kept_too() {
    for (path, body) in [
        ("/v1/embeddings", json!({"model": "chat", "input": ["a", "b"]})),
        ("/v1/completions", json!({"model": "chat", "prompt": "once"})),
    ] {
        let provider = Provider::start(tokens(2).then(down())).await;
        let (sidecar, _doors) = cached(&provider, "fallback").await;
        let first = sidecar.http().post(path, &body).send().await;
        let second = sidecar.http().post(path, &body).send().await;
        assert_eq!((first.status.as_u16(), &first.body), (200, &second.body), "{path}");
        assert_eq!(second.header("x-fusebox-quality"), Some("cached"));
    }
}

#[tokio::test]
async fn grpc_embeddings_are_kept_too() {
    let provider = Provider::start(tokens(2).then(down())).await;
    let (sidecar, _doors) = cached(&provider, "fallback").await;
    let mut client = sidecar.grpc().await;
    let request = fusebox_proto::v1::EmbedRequest { inputs: vec!["a".into()], ..Default::default() };
    let first = client.embed(request.clone()).await.unwrap().into_inner();
    let second = client.embed(request).await.unwrap().into_inner();
    assert_eq!(first.embeddings, second.embeddings);
    assert_eq!(second.outcome.unwrap().source(), fusebox_proto::v1::Source::Cache);
}

#[tokio::test]
async fn a_changed_model_forgets_what_it_answered() {
    let provider = Provider::start(tokens(1)).await;
    let (sidecar, doors) = cached(&provider, "prefer").await;
    ask(&doors, Way::HttpWhole, &Ask::default()).await;
    assert_eq!(ask(&doors, Way::HttpWhole, &Ask::default()).await.source, "cache");
    let other: Value = json!({"cache": {"mode": "prefer"}, "models": [{"name": "chat", "providers": [{"provider": "a", "model": "another"}]}]});
    sidecar.rewrite(&Config::one(&provider).with(other));
    sidecar.signal("HUP").await;
    sidecar.logged("the new configuration", |log| log.contains("loaded anew")).await;
    assert_eq!(ask(&doors, Way::HttpWhole, &Ask::default()).await.source, "primary");
    assert_eq!(provider.seen().last().unwrap().body["model"], "another");
}

#[tokio::test]
async fn a_call_that_is_shed_is_answered_from_the_cache() {
    let provider = Provider::start(tokens(1).then(hang())).await;
    let config = Config::one(&provider).with(json!({"cache": {"mode": "fallback"}, "limits": {"max_in_flight": 1}}));
    let sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    let kept = ask(&doors, Way::HttpWhole, &Ask::default()).await;
    let hanging = Ask { prompt: "another", ..Ask::default() };
    let mut first = Box::pin(ask(&doors, Way::HttpWhole, &hanging));
    tokio::select! { biased; _ = &mut first => panic!("answered too soon"), _ = provider.saw(2) => {} }
    for way in [Way::HttpWhole, Way::HttpStream] {
        let told = ask(&doors, way, &Ask::default()).await;
        assert_eq!(told.how(), (&*kept.text, "cache", "cached"), "{way:?}");
        assert!(told.warnings.contains("(shed)"), "{told:?}");
        assert_eq!(ask(&doors, way, &Ask { prompt: "a third", ..Ask::default() }).await.kind, "shed");
    }
}
