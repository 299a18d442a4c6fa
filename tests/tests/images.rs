//! Images through both doors: what is passed on, what is refused, and what is asked for once memory has run out; and the
//! same for tokens.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use fusebox_proto::v1::{
    GenerateImageRequest, GenerateImageResponse, GenerateRequest, Outcome, Quality, Sampling, Source, media,
};
use fusebox_tests::{
    client::{Answer, grpc::ask, told},
    provider::{
        Provider,
        act::{Act, json as answer, tokens},
    },
    sidecar::{Config, Sidecar},
};
use http::StatusCode;
use serde_json::{Value, json};
use tonic::Code;

const PATH: &str = "/v1/images/generations";

fn no_memory() -> Act {
    answer(500, &json!({"error": {"message": "CUDA out of memory. Tried to allocate 2.00 GiB", "type": "x"}}))
}

fn cat() -> GenerateImageRequest {
    GenerateImageRequest { prompt: "a cat".into(), ..GenerateImageRequest::default() }
}

fn of_size(width: u32, height: u32) -> GenerateImageRequest {
    GenerateImageRequest { width: Some(width), height: Some(height), ..cat() }
}

async fn post(sidecar: &Sidecar, body: &Value) -> Answer {
    sidecar.http().post(PATH, body).send().await
}

async fn draw(sidecar: &Sidecar, request: GenerateImageRequest) -> GenerateImageResponse {
    sidecar.grpc().await.generate_image(request).await.unwrap().into_inner()
}

fn bytes(response: &GenerateImageResponse) -> &[u8] {
    match &response.images[0].source {
        Some(media::Source::Data(data)) => data,
        other => panic!("{other:?}"),
    }
}

/// A provider that runs out of memory once, and a sidecar that may ask it twice.
async fn short_of_memory() -> (Provider, Sidecar) {
    let provider = Provider::start(no_memory().then(tokens(1))).await;
    let config = Config::one(&provider).each(&json!({"retry": {"max_retries": 3}}));
    let sidecar = Sidecar::start(config).await;
    (provider, sidecar)
}

/// The outcome of an answer that was asked for as less, after one attempt that ran out of memory.
fn limited(outcome: &Outcome, warning: &str) {
    assert_eq!(outcome.quality(), Quality::Limited);
    assert_eq!(outcome.warnings, [warning]);
    let kinds: Vec<&str> = outcome.attempts.iter().map(|attempt| attempt.error_kind.as_str()).collect();
    assert_eq!(kinds, ["out_of_memory", ""]);
}

#[tokio::test]
async fn images_pass_with_the_fields_that_nobody_here_knows() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let asked = json!({"model": "chat", "prompt": "a cat", "size": "640x480", "n": 2, "background": "transparent"});
    let answer = post(&sidecar, &asked).await;
    assert_eq!((answer.status, answer.header("x-fusebox-quality")), (StatusCode::OK, Some("full")));
    assert_eq!(answer.json()["data"].as_array().unwrap().len(), 2);
    let seen = &provider.seen()[0];
    assert_eq!(seen.path, PATH);
    let mut expected = asked;
    expected["model"] = "served-a".into();
    assert_eq!(seen.body, expected);
    let metrics = sidecar.metrics().await;
    assert_eq!(metrics.sum("fusebox_calls_total", &[("model", "chat"), ("source", "primary")]), 1.0);
}

#[tokio::test]
async fn an_image_comes_as_bytes_that_say_what_they_are() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let request =
        GenerateImageRequest { num_inference_steps: Some(20), guidance_scale: Some(7.5), ..of_size(640, 480) };
    let response = draw(&sidecar, request).await;
    assert_eq!(response.images[0].mime_type, "image/png");
    assert!(bytes(&response).ends_with(b" 0:0"));
    assert_eq!((response.width, response.height, response.num_inference_steps), (640, 480, 20));
    assert_eq!(response.outcome.unwrap().quality(), Quality::Full);
    let expected = json!({"model": "served-a", "prompt": "a cat", "size": "640x480", "num_inference_steps": 20,
                          "guidance_scale": 7.5, "response_format": "b64_json"});
    assert_eq!(provider.seen()[0].body, expected);
}

#[tokio::test]
async fn out_of_memory_smaller_images_are_asked_for_in_fewer_steps() {
    let (provider, sidecar) = short_of_memory().await;
    let request = GenerateImageRequest { num_inference_steps: Some(50), ..of_size(1024, 768) };
    let response = draw(&sidecar, request).await;
    assert_eq!((response.width, response.height, response.num_inference_steps), (512, 384, 25));
    limited(&response.outcome.unwrap(), "a ran out of memory and was asked for images of 512x384 in 25 steps");
    let seen = provider.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!((&seen[0].body["size"], &seen[0].body["num_inference_steps"]), (&json!("1024x768"), &json!(50)));
    assert_eq!((&seen[1].body["size"], &seen[1].body["num_inference_steps"]), (&json!("512x384"), &json!(25)));

    provider.play(no_memory().then(tokens(1)));
    let asked = json!({"prompt": "a cat", "size": "1024x1024", "num_inference_steps": 12, "seed": 7});
    let answer = post(&sidecar, &asked).await;
    assert_eq!((answer.status, answer.header("x-fusebox-quality")), (StatusCode::OK, Some("limited")));
    let expected =
        json!({"model": "served-a", "prompt": "a cat", "size": "512x512", "num_inference_steps": 10, "seed": 7});
    assert_eq!(provider.seen()[3].body, expected);
}

#[tokio::test]
async fn out_of_memory_twice_is_the_end_there() {
    let provider = Provider::start(no_memory()).await;
    let sidecar = Sidecar::start(Config::one(&provider).each(&json!({"retry": {"max_retries": 3}}))).await;
    let answer = post(&sidecar, &json!({"prompt": "a cat"})).await;
    assert_eq!((answer.status.as_u16(), &answer.error()["type"]), (507, &json!("out_of_memory")));
    assert_eq!(provider.seen()[1].body["size"], "512x512");
    assert_eq!(provider.calls(), 2);
    let status = sidecar.grpc().await.generate_image(of_size(512, 512)).await.unwrap_err();
    assert_eq!((status.code(), told(&status).kind.as_str()), (Code::ResourceExhausted, "out_of_memory"));
    assert_eq!(provider.calls(), 3, "there is nothing less to ask for");
}

#[tokio::test]
async fn an_image_that_is_too_large_reaches_no_provider() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    for (body, path) in [
        (json!({"prompt": "a cat", "size": "1025x1024"}), "size"),
        (json!({"prompt": "a cat", "width": 2048, "height": 2048}), "size"),
        (json!({"prompt": ""}), "prompt"),
        (json!({"prompt": "a cat", "n": 11}), "n"),
        (json!({"prompt": "a cat", "size": "big"}), "size"),
        (json!({"prompt": "a cat", "stream": true}), "stream"),
    ] {
        let answer = post(&sidecar, &body).await;
        assert_eq!((answer.status.as_u16(), &answer.error()["param"]), (422, &json!(path)), "{body}");
    }
    for (request, path) in [
        (of_size(1025, 1024), "width"),
        (GenerateImageRequest::default(), "prompt"),
        (GenerateImageRequest { width: Some(8), ..cat() }, "height"),
        (GenerateImageRequest { num_inference_steps: Some(0), ..cat() }, "num_inference_steps"),
    ] {
        let status = sidecar.grpc().await.generate_image(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(told(&status).fields[0].0, path);
    }
    assert_eq!(provider.calls(), 0);
    assert_eq!(post(&sidecar, &json!({"prompt": "a cat", "size": "2048x512"})).await.status, StatusCode::OK);

    let smaller = Config::one(&provider).with(json!({"validation": {"max_output_pixels": 4096}}));
    let sidecar = Sidecar::start(smaller).await;
    let answer = post(&sidecar, &json!({"prompt": "a cat", "size": "64x65"})).await;
    assert!(answer.error()["message"].as_str().is_some() && answer.status.as_u16() == 422);
    assert!(answer.error()["field_errors"]["size"][0].as_str().unwrap().contains("at most 4096 pixels"));
    draw(&sidecar, of_size(64, 64)).await;
}

#[tokio::test]
async fn a_provider_that_serves_no_images_is_passed_over() {
    let (a, b) = (Provider::start(tokens(1)).await, Provider::start(tokens(1)).await);
    let text_only = a.base_url();
    let config = Config::new()
        .provider_with("a", text_only.trim_end_matches("/v1"), json!({"kind": "anthropic"}))
        .provider("b", &b);
    let sidecar = Sidecar::start(config).await;
    let response = draw(&sidecar, cat()).await;
    assert_eq!(response.outcome.unwrap().provider, "b");
    assert_eq!(post(&sidecar, &json!({"prompt": "a cat"})).await.header("x-fusebox-provider"), Some("b"));
    assert_eq!((a.calls(), b.calls()), (0, 2));
}

#[tokio::test]
async fn a_provider_that_fails_or_draws_nothing_is_followed_by_the_next() {
    for first in [tokens(0), answer(200, &json!({"data": [{"b64_json": ""}]})), answer(503, &json!({}))] {
        let (a, b) = (Provider::start(first).await, Provider::start(tokens(1)).await);
        let sidecar = Sidecar::start(Config::one(&a).provider("b", &b)).await;
        let outcome = draw(&sidecar, cat()).await.outcome.unwrap();
        assert_eq!((outcome.provider.as_str(), outcome.source()), ("b", Source::Fallback));
        let answer = post(&sidecar, &json!({"prompt": "a cat"})).await;
        assert_eq!(answer.header("x-fusebox-provider"), Some("b"));
        assert_eq!((a.calls(), b.calls()), (2, 2));
    }
    let empty = Provider::start(tokens(0)).await;
    let sidecar = Sidecar::start(Config::one(&empty)).await;
    assert_eq!(post(&sidecar, &json!({"prompt": "a cat"})).await.error()["type"], "invalid_response");
}

#[tokio::test]
async fn a_place_is_passed_on_as_one() {
    let provider = Provider::start(answer(200, &json!({"data": [{"url": "https://images.example/cat.png"}]}))).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let response = draw(&sidecar, of_size(256, 128)).await;
    assert_eq!(response.images[0].source, Some(media::Source::Uri("https://images.example/cat.png".into())));
    assert_eq!((response.width, response.height), (256, 128));
}

#[tokio::test]
async fn the_simulated_provider_draws_a_png_of_the_size_asked_for() {
    let config = Config::new().provider_with(
        "a",
        "",
        json!({"kind": "simulated", "base_url": null, "simulated": {"first_token": "0ms"}}),
    );
    let sidecar = Sidecar::start(config).await;
    let response = draw(&sidecar, of_size(640, 480)).await;
    let png = bytes(&response).to_vec();
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    assert_eq!(png[12..24], *b"IHDR\0\0\x02\x80\0\0\x01\xe0");
    assert!(png.ends_with(b"IEND\xae\x42\x60\x82"));
    assert_eq!((response.width, response.height), (640, 480));
    let answer = post(&sidecar, &json!({"prompt": "a cat", "size": "640x480"})).await;
    let again = BASE64_STANDARD.decode(answer.json()["data"][0]["b64_json"].as_str().unwrap()).unwrap();
    assert_eq!(again, png, "the same prompt is the same picture");
    let full = draw(&sidecar, of_size(1024, 1024)).await;
    assert_eq!((full.width, full.height), (1024, 1024));
}

#[tokio::test]
async fn out_of_memory_half_the_tokens_are_asked_for() {
    let (provider, sidecar) = short_of_memory().await;
    let half = "a ran out of memory and was asked for half the tokens";
    let mut asked = 0;
    for (max_tokens, expected) in [(Some(100), 50), (Some(3), 1), (None, 512)] {
        for stream in [false, true] {
            let sampling = Some(Sampling { max_tokens, ..Sampling::default() });
            let request = GenerateRequest { sampling, ..ask("hello") };
            provider.play(no_memory().then(tokens(1)));
            let outcome = if stream {
                let mut messages = sidecar.grpc().await.stream_generate(request).await.unwrap().into_inner();
                let mut last = None;
                while let Some(message) = messages.message().await.unwrap() {
                    last = message.outcome.or(last);
                }
                last
            } else {
                sidecar.grpc().await.generate(request).await.unwrap().into_inner().outcome
            };
            limited(&outcome.unwrap(), half);

            provider.play(no_memory().then(tokens(1)));
            let mut body = json!({"stream": stream, "messages": [{"role": "user", "content": "hello"}]});
            if let Some(tokens) = max_tokens {
                body["max_tokens"] = tokens.into();
            }
            let answer = sidecar.http().chat(&body).send().await;
            assert_eq!((answer.status, answer.header("x-fusebox-quality")), (StatusCode::OK, Some("limited")));
            let seen = provider.seen();
            for first in [asked, asked + 2] {
                let told = max_tokens.map_or(Value::Null, Value::from);
                assert_eq!(seen[first].body["max_tokens"], told);
                assert_eq!(seen[first + 1].body["max_tokens"], expected);
            }
            asked += 4;
        }
    }
}
