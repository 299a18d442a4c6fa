//! Answers held to what was asked for: JSON, a schema, the tools; what happens to those that are not.

use fusebox_proto::v1::{GenerateRequest, JsonSchema, ResponseFormat, Tool, response_format::Kind as Format};
use fusebox_tests::{
    client::{grpc::ask, told},
    provider::{
        Provider,
        act::{Act, json as answer, text, tokens},
    },
    sidecar::{Config, Sidecar},
};
use serde_json::{Value, json};

use crate::support::{Doors, Ended, Way, hello, ms};

const WHOLE: [Way; 2] = [Way::HttpWhole, Way::GrpcWhole];

/// The same question for both doors.
struct Question {
    body: Value,
    request: GenerateRequest,
}

impl Question {
    fn plain() -> Self {
        Self { body: hello("chat", false), request: GenerateRequest { model: "chat".into(), ..ask("hello") } }
    }

    fn json_object() -> Self {
        let mut question = Self::plain();
        question.body["response_format"] = json!({"type": "json_object"});
        question.request.response_format = Some(ResponseFormat { kind: Some(Format::JsonObject(true)) });
        question
    }

    fn schema(schema: &Value) -> Self {
        let mut question = Self::plain();
        question.body["response_format"] =
            json!({"type": "json_schema", "json_schema": {"name": "person", "schema": schema}});
        let schema = JsonSchema { name: "person".into(), schema: schema.to_string() };
        question.request.response_format = Some(ResponseFormat { kind: Some(Format::JsonSchema(schema)) });
        question
    }

    /// For a person with an age.
    fn person() -> Self {
        Self::schema(&json!({"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}))
    }

    /// With a tool that takes a city.
    fn weather() -> Self {
        let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
        let mut question = Self::plain();
        question.body["tools"] =
            json!([{"type": "function", "function": {"name": "weather", "parameters": parameters}}]);
        let tool = Tool { name: "weather".into(), parameters: parameters.to_string(), ..Tool::default() };
        question.request.tools = vec![tool];
        question
    }

    async fn ask(&self, doors: &Doors, way: Way) -> Ended {
        doors.ask(way, &self.body, &self.request).await
    }
}

fn says(words: &str) -> Act {
    text(&[words])
}

/// A call of the tool with these arguments.
fn calls(name: &str, arguments: &[&str]) -> Act {
    text(&[]).tool(name, arguments)
}

/// Retried without a wait worth the name.
fn config(provider: &Provider) -> Config {
    Config::one(provider).each(&retries())
}

fn retries() -> Value {
    json!({"retry": {"max_retries": 5, "base_delay": "1ms"}})
}

async fn start(config: Config) -> (Sidecar, Doors) {
    let sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    (sidecar, doors)
}

/// The messages of the request that came as number `at`.
fn messages(provider: &Provider, at: usize) -> Vec<Value> {
    provider.seen()[at].body["messages"].as_array().expect("messages").clone()
}

#[tokio::test]
async fn json_is_taken_out_of_fences_and_prose() {
    for way in WHOLE {
        for words in ["```json\n{\"age\": 3}\n```", "Of course {here}: {\"age\": 3} Anything else?"] {
            let provider = Provider::start(says(words)).await;
            let (_sidecar, doors) = start(config(&provider)).await;
            for question in [Question::person(), Question::json_object()] {
                let ended = question.ask(&doors, way).await;
                assert_eq!(ended.good(), "{\"age\": 3}", "{way:?}");
                assert_eq!(ended.attempts, 1);
                assert!(ended.everything.contains("the JSON was taken out of the prose around it"), "{ended:#?}");
            }
            let plain = Question::plain().ask(&doors, way).await;
            assert_eq!(plain.good(), words, "a plain call is let be");
            assert!(!plain.everything.contains("prose"), "{plain:#?}");
        }
    }
}

#[tokio::test]
async fn an_answer_with_a_fault_is_asked_for_again_with_the_fault() {
    for way in WHOLE {
        let provider = Provider::start(says("{\"age\": \"old\"}").then(says("three")).then(says("{\"age\": 3}"))).await;
        let (sidecar, doors) = start(config(&provider)).await;
        let ended = Question::person().ask(&doors, way).await;
        assert_eq!((ended.good(), ended.attempts, provider.calls()), ("{\"age\": 3}", 3, 3), "{way:?}");
        assert_eq!(messages(&provider, 0), [json!({"role": "user", "content": "hello"})]);
        let second = messages(&provider, 1);
        assert_eq!(second[1], json!({"role": "assistant", "content": "{\"age\": \"old\"}"}), "{way:?}");
        let complaint = second[2]["content"].as_str().unwrap();
        assert!(second.len() == 3 && second[2]["role"] == "user" && complaint.contains("at /age"), "{second:?}");
        let third = messages(&provider, 2);
        assert_eq!(third[1]["content"], "three", "the last answer is shown, not every one");
        assert!(third.len() == 3 && third[2]["content"].as_str().unwrap().contains("is not JSON"), "{third:?}");
        let metrics = sidecar.metrics().await;
        let faulty = [("provider", "a"), ("kind", "invalid_response")];
        assert_eq!(metrics.sum("fusebox_attempts_total", &faulty), 2.0);
    }
}

#[tokio::test]
async fn complaints_are_bounded_and_then_the_next_provider_is_asked_afresh() {
    for way in WHOLE {
        let a = Provider::start(says("{\"age\": \"secret\"}")).await;
        let b = Provider::start(says("{\"age\": 3}")).await;
        let two = json!({"validation": {"max_reprompts": 2}});
        let (_sidecar, doors) = start(config(&a).with(two.clone())).await;
        let ended = Question::person().ask(&doors, way).await;
        let problem = ended.failed();
        assert_eq!((problem.kind.as_str(), a.calls(), ended.attempts), ("invalid_response", 3, 3), "{way:?}");
        assert!(problem.retryable && problem.message.contains("content at /age: "), "{problem:?}");
        assert_eq!(
            (problem.http, problem.grpc),
            if way == Way::HttpWhole { (Some(502), None) } else { (None, Some(14)) }
        );
        assert!(ended.everything.contains("faults"), "{ended:#?}");
        assert!(!ended.everything.contains("secret"), "the model's words stay between it and us: {ended:#?}");

        let both = config(&a).provider("b", &b).each(&retries()).with(two);
        let (_sidecar, doors) = start(both).await;
        let ended = Question::person().ask(&doors, way).await;
        assert_eq!((ended.good(), ended.source.as_str()), ("{\"age\": 3}", "fallback"), "{way:?}");
        assert_eq!((a.calls(), b.calls()), (6, 1));
        assert_eq!(messages(&b, 0).len(), 1, "another model's answer is nothing to complain of");
    }
}

#[tokio::test]
async fn a_stream_that_is_not_what_was_asked_for_ends_with_an_error_in_place_of_its_finish() {
    for way in Way::STREAMS {
        for (words, good) in [
            (vec!["{\"age\"", ": 3}"], true),
            (vec!["\n {\"age\": 3}", " \n"], true),
            (vec!["{\"age\": ", "\"old\"}"], false),
            (vec!["Here: ", "{\"age\": 3}"], false),
            (vec!["{\"age\"", ": 3"], false),
        ] {
            for act in [text(&words), text(&words).without_done(), text(&words).byte_by_byte()] {
                // Were all of it there with the first token, it would be asked for again.
                let provider = Provider::start(act.every(ms(20))).await;
                let (_sidecar, doors) = start(config(&provider)).await;
                let ended = Question::person().ask(&doors, way).await;
                assert_eq!(ended.text, words.concat(), "{way:?}");
                assert_eq!((ended.kind(), provider.calls()), (if good { "ok" } else { "invalid_response" }, 1));
                assert_eq!(ended.finish, if good { "stop" } else { "" }, "{way:?} {words:?}");
                if !good && way == Way::GrpcStream {
                    assert_eq!(ended.failed().tried, [("a".to_owned(), "invalid_response".to_owned())]);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_stream_of_which_nothing_was_sent_yet_is_asked_for_again() {
    for way in Way::STREAMS {
        let bad = text(&["{\"age\": ", "\"old\"}"]);
        let provider = Provider::start(bad.clone().then(text(&["{\"age\"", ": 3}"]))).await;
        let held = json!({"streams": {"holdback": "whole"}});
        let (_sidecar, doors) = start(config(&provider).with(held.clone())).await;
        let ended = Question::person().ask(&doors, way).await;
        assert_eq!((ended.good(), provider.calls()), ("{\"age\": 3}", 2), "{way:?}: {ended:#?}");
        let complaint = messages(&provider, 1)[2]["content"].to_string();
        assert!(complaint.contains("at /age"), "{complaint}");
        let provider = Provider::start(bad).await;
        let (_sidecar, doors) = start(config(&provider).with(held)).await;
        let ended = Question::person().ask(&doors, way).await;
        assert_eq!((ended.kind(), ended.text.as_str(), provider.calls()), ("invalid_response", "", 4), "{way:?}");
    }
}

#[tokio::test]
async fn a_call_of_a_tool_is_held_to_the_tool() {
    for way in Way::ALL {
        for (name, arguments, good) in [
            ("weather", &["{\"city\":", " \"Ulm\"}"][..], true),
            ("weather", &["{\"city\":", " 7}"], false),
            ("weather", &["{\"city\":"], false),
            ("weather", &[" "], false),
            ("wether", &["{\"city\": \"Ulm\"}"], false),
        ] {
            let provider =
                Provider::start(calls(name, arguments).every(ms(20)).then(calls("weather", &["{\"city\":\"Bonn\"}"])))
                    .await;
            let (_sidecar, doors) = start(config(&provider)).await;
            let ended = Question::weather().ask(&doors, way).await;
            let expected = if good || !way.streams() { "ok" } else { "invalid_response" };
            assert_eq!(ended.kind(), expected, "{way:?} {name} {arguments:?}: {ended:#?}");
            assert_eq!(provider.calls(), if good || way.streams() { 1 } else { 2 }, "{way:?} {name} {arguments:?}");
            assert_eq!(ended.everything.contains("Bonn"), !good && !way.streams(), "{way:?} {name} {arguments:?}");
        }
    }
}

#[tokio::test]
async fn a_faulty_call_is_answered_in_the_tools_name() {
    for way in WHOLE {
        let provider = Provider::start(calls("weather", &["{\"city\": 7}"]).then(tokens(2))).await;
        let (_sidecar, doors) = start(config(&provider)).await;
        Question::weather().ask(&doors, way).await.good();
        let second = messages(&provider, 1);
        let called = &second[1]["tool_calls"][0];
        assert_eq!(called["function"], json!({"name": "weather", "arguments": "{\"city\": 7}"}));
        assert_eq!((&second[2]["role"], &second[2]["tool_call_id"]), (&json!("tool"), &called["id"]));
        assert!(second[2]["content"].as_str().unwrap().contains("at /city: 7 is not"), "{second:?}");
    }
}

#[tokio::test]
async fn a_schema_that_cannot_be_held_to_reaches_no_provider() {
    let provider = Provider::start(says("{}")).await;
    let (_sidecar, doors) = start(config(&provider)).await;
    let chain: Value = (0..40)
        .map(|n| {
            let next = json!({"$ref": format!("#/$defs/a{}", n + 1)});
            (format!("a{n}"), json!({"anyOf": [next, next]}))
        })
        .chain([("a40".to_owned(), json!({}))])
        .collect();
    for (schema, place) in [
        (json!({"properties": {"age": {"type": "inteeger"}}}), ".properties.age.type"),
        (json!({"properties": {"age": {"$ref": "http://169.254.169.254/x"}}}), ".properties.age.$ref"),
        (json!({"properties": {"age": {"$ref": "file:///etc/passwd"}}}), ".properties.age.$ref"),
        (json!({"items": [{"pattern": "(a"}]}), ".items"),
        (json!({"$defs": chain, "$ref": "#/$defs/a0"}), ""),
    ] {
        let path = format!("response_format.json_schema.schema{place}");
        let question = Question::schema(&schema);
        for way in Way::ALL {
            let ended = question.ask(&doors, way).await;
            assert_eq!(ended.kind(), "invalid_input", "{way:?} {schema}");
            assert!(ended.failed().http.is_none_or(|status| status == 422), "{ended:#?}");
            assert!(ended.failed().message.starts_with(&path), "{way:?}: {:?}", ended.failed());
        }
        let status = doors.grpc.clone().generate(question.request.clone()).await.unwrap_err();
        assert!(told(&status).fields[0].0.starts_with(&path), "{status:?}");
    }
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn an_answer_without_room_is_told_so() {
    for way in Way::ALL {
        let provider = Provider::start(text(&["{\"age", "\""]).every(ms(20)).finish("length")).await;
        let (_sidecar, doors) = start(config(&provider).with(json!({"validation": {"max_reprompts": 1}}))).await;
        let ended = Question::person().ask(&doors, way).await;
        assert_eq!(ended.kind(), "invalid_response");
        assert!(ended.failed().message.contains("limit of tokens"), "{:?}", ended.failed());
        assert_eq!(provider.calls(), if way.streams() { 1 } else { 2 });
        if !way.streams() {
            let complaint = messages(&provider, 1)[2]["content"].to_string();
            assert!(complaint.contains("be shorter"), "{complaint}");
        }
    }
}

#[tokio::test]
async fn the_check_can_be_switched_off() {
    let provider = Provider::start(says("no JSON")).await;
    let (_sidecar, doors) = start(config(&provider).with(json!({"validation": {"check_output": false}}))).await;
    for way in Way::ALL {
        assert_eq!(Question::person().ask(&doors, way).await.good(), "no JSON", "{way:?}");
    }
    assert_eq!(provider.calls(), 4);
}

#[tokio::test]
async fn the_messages_api_is_told_what_was_wrong_too() {
    for way in WHOLE {
        let provider =
            Provider::start(says("Sorry?").then(calls("weather", &["{\"city\": 7}"])).then(says("{}"))).await;
        let changes = json!({"kind": "anthropic", "retry": retries()["retry"]});
        let (_sidecar, doors) = start(Config::new().provider_with("a", &provider.base_url(), changes)).await;
        let mut question = Question::weather();
        let json = Question::json_object();
        question.body["response_format"] = json.body["response_format"].clone();
        question.request.response_format = json.request.response_format;
        assert_eq!(question.ask(&doors, way).await.good(), "{}", "{way:?}");
        let seen: Vec<Value> = provider.seen().iter().map(|seen| seen.body["messages"].clone()).collect();
        assert_eq!((&seen[1][1]["role"], seen.len()), (&json!("assistant"), 3), "{seen:#?}");
        assert!(seen[1].to_string().contains("Sorry?") && seen[1].to_string().contains("is not JSON"), "{seen:#?}");
        let result = &seen[2][2]["content"][0];
        assert_eq!(result["type"], "tool_result", "{seen:#?}");
        assert!(result.to_string().contains("at /city"), "{seen:#?}");
    }
}

#[tokio::test]
async fn no_complaint_outlives_the_deadline_or_the_callers_attempts() {
    let provider = Provider::start(says("no JSON")).await;
    let (sidecar, _doors) = start(config(&provider)).await;
    let mut body = Question::person().body;
    body["stream"] = false.into();
    let slow = says("no JSON").after(std::time::Duration::from_millis(120));
    provider.play(slow);
    let answer = sidecar.http().chat(&body).header("x-fusebox-timeout-ms", "200").send().await;
    assert_eq!(answer.status.as_u16() / 100, 5, "{}", answer.everything());
    assert!(provider.calls() <= 2, "{} calls", provider.calls());
    provider.play(answer_of_three());
    let before = provider.calls();
    let answer = sidecar.http().chat(&body).header("x-stainless-retry-count", "4").send().await;
    assert_eq!((answer.status.as_u16(), provider.calls() - before), (502, 2), "the SDK's retries are taken off");
}

fn answer_of_three() -> Act {
    answer(
        200,
        &json!({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "three"}, "finish_reason": "stop"}]}),
    )
}
