//! Agent runs: what all calls under one `x-fusebox-run-id` may spend together, and when a run goes in circles.

use std::collections::BTreeMap;

use fusebox_proto::v1::{GenerateRequest, Message, Role, ToolCall};
use fusebox_tests::{
    client::{
        grpc::{ask, message},
        told,
    },
    provider::{
        Provider,
        act::{Act, document, json as answer, tokens},
    },
    sidecar::{Config, Sidecar},
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tonic::{Request, Status, metadata::MetadataValue};
use tonic_types::StatusExt as _;

use crate::support::{Doors, Way, ms};

/// How one call of a run went.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// `ok`, or the error's kind.
    pub(crate) kind: String,
    message: String,
    /// HTTP's status, or gRPC's code.
    code: i32,
    retryable: bool,
    waits: bool,
    /// What was spent, by measure.
    details: BTreeMap<String, String>,
    warnings: Vec<String>,
}

impl Turn {
    /// Asserts that the run's budget is spent, `measure` being the reason.
    pub(crate) fn spent(&self, way: Way, measure: &str, value: &str) {
        assert_eq!(self.kind, "budget_exceeded", "{way:?}: {self:?}");
        let expected = if matches!(way, Way::HttpWhole | Way::HttpStream) { 429 } else { 8 };
        assert_eq!(self.code, expected, "{way:?}: {self:?}");
        assert!(!self.retryable && !self.waits, "{way:?}: coming back is of no use: {self:?}");
        assert_eq!(self.details.get(measure).map(String::as_str), Some(value), "{way:?}: {self:?}");
    }

    pub(crate) fn good(&self, way: Way) {
        assert_eq!(self.kind, "ok", "{way:?}: {self:?}");
    }
}

/// An agent under one run id.
pub(crate) struct Agent<'a> {
    doors: &'a Doors,
    way: Way,
    pub(crate) run: String,
}

impl<'a> Agent<'a> {
    pub(crate) fn new(doors: &'a Doors, way: Way, run: &str) -> Self {
        Self { doors, way, run: format!("{run}-{way:?}") }
    }

    pub(crate) async fn turn(&self) -> Turn {
        self.after(0).await
    }

    /// A call whose conversation shows that the same tool was called so often, its arguments written in two ways.
    async fn after(&self, calls: usize) -> Turn {
        match self.way {
            Way::HttpWhole | Way::HttpStream => self.http(calls).await,
            Way::GrpcWhole | Way::GrpcStream => self.grpc(calls).await,
        }
    }

    async fn http(&self, calls: usize) -> Turn {
        let mut messages = vec![json!({"role": "user", "content": "find it"})];
        for number in 0..calls {
            let function = json!({"name": "search", "arguments": arguments(number)});
            let call = json!({"id": format!("c{number}"), "type": "function", "function": function});
            messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
            messages.push(json!({"role": "tool", "tool_call_id": format!("c{number}"), "content": "nothing"}));
        }
        let mut body = json!({"model": "chat", "messages": messages, "stream": self.way.streams()});
        if self.way.streams() {
            body["stream_options"] = json!({"include_usage": true});
        }
        let answer = self.doors.http.chat(&body).header("x-fusebox-run-id", &self.run).send().await;
        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
        let mut turn = Turn {
            kind: "ok".to_owned(),
            code: i32::from(answer.status.as_u16()),
            waits: answer.header("retry-after").is_some(),
            warnings: answer.headers.get_all("x-fusebox-warning").iter().map(text).collect(),
            ..Turn::default()
        };
        if !answer.status.is_success() {
            let error = answer.error();
            turn.kind = error["type"].as_str().unwrap().to_owned();
            turn.message = error["message"].as_str().unwrap().to_owned();
            turn.retryable = error["retryable"] == true;
            let details = error["details"].as_object().unwrap().iter();
            turn.details = details.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
        } else if self.way.streams() {
            assert!(answer.events().last().unwrap().is_done(), "{}", answer.text());
        }
        turn
    }

    async fn grpc(&self, calls: usize) -> Turn {
        let mut messages = vec![message(Role::User, "find it")];
        for number in 0..calls {
            let id = format!("c{number}");
            let call = ToolCall { id: id.clone(), name: "search".into(), arguments: arguments(number) };
            messages.push(Message { role: Role::Assistant.into(), tool_calls: vec![call], ..Message::default() });
            messages.push(Message { tool_call_id: id, ..message(Role::Tool, "nothing") });
        }
        let mut request = Request::new(GenerateRequest { messages, ..ask("") });
        request.metadata_mut().insert("x-fusebox-run-id", MetadataValue::try_from(&self.run).unwrap());
        let mut client = self.doors.grpc.clone();
        let outcome = if self.way.streams() {
            let mut stream = match client.stream_generate(request).await {
                Ok(stream) => stream.into_inner(),
                Err(status) => return refused(&status),
            };
            let mut outcome = None;
            loop {
                match stream.message().await {
                    Ok(Some(message)) => outcome = message.outcome.or(outcome),
                    Ok(None) => break,
                    Err(status) => return refused(&status),
                }
            }
            outcome
        } else {
            match client.generate(request).await {
                Ok(answer) => answer.into_inner().outcome,
                Err(status) => return refused(&status),
            }
        };
        let warnings = outcome.expect("an outcome").warnings;
        Turn { kind: "ok".to_owned(), warnings, ..Turn::default() }
    }
}

fn arguments(number: usize) -> String {
    if number.is_multiple_of(2) { r#"{"q":"x","n":1}"#.to_owned() } else { r#"{ "n": 1, "q": "x" }"#.to_owned() }
}

fn refused(status: &Status) -> Turn {
    let told = told(status);
    Turn {
        kind: told.kind,
        message: status.message().to_owned(),
        code: status.code().into(),
        retryable: told.retryable.as_deref() == Some("true"),
        waits: told.wait.is_some(),
        details: status.get_error_details().error_info().unwrap().metadata.clone().into_iter().collect(),
        warnings: Vec::new(),
    }
}

/// One provider under these budgets.
async fn under(budgets: Value, provider: &Provider) -> (Sidecar, Doors) {
    let sidecar = Sidecar::start(Config::one(provider).with(json!({"run_budgets": budgets}))).await;
    let doors = Doors::of(&sidecar).await;
    (sidecar, doors)
}

fn searching() -> Act {
    tokens(1).tool("search", &["{\"q\":", "\"x\"}"])
}

#[tokio::test]
async fn a_run_that_has_spent_its_calls_is_refused_before_a_provider_is_asked() {
    let provider = Provider::start(tokens(1)).await;
    let (sidecar, doors) = under(json!({"max_calls": 2}), &provider).await;
    for way in Way::ALL {
        let (agent, other) = (Agent::new(&doors, way, "one"), Agent::new(&doors, way, "other"));
        for _ in 0..2 {
            agent.turn().await.good(way);
        }
        let asked = provider.calls();
        for _ in 0..2 {
            let turn = agent.turn().await;
            turn.spent(way, "calls", "2 of 2");
            assert!(turn.message.contains("calls 2 of 2"), "{turn:?}");
            let names: Vec<&str> = ["tool_calls", "runtime", "tokens"].into();
            assert!(names.iter().all(|name| turn.details.contains_key(*name)), "all is told: {turn:?}");
        }
        assert_eq!(provider.calls(), asked, "{way:?}");
        other.turn().await.good(way);
        // A call without a run is nobody's.
        assert_eq!(doors.call(way, "chat").await.kind(), "ok");
    }
    assert_eq!(sidecar.admin().get("/status").send().await.json()["runs"], 8);
    assert_eq!(sidecar.metrics().await.sum("fusebox_calls_total", &[("kind", "budget_exceeded")]), 8.0);
}

#[tokio::test]
async fn calls_at_once_through_both_doors_cannot_overrun_their_run() {
    let provider = Provider::start(tokens(1).after(ms(200))).await;
    let (_sidecar, doors) = under(json!({"max_calls": 3}), &provider).await;
    let calls = (0..12).map(|number| {
        let agent = Agent { doors: &doors, way: Way::ALL[number % 4], run: "shared".to_owned() };
        async move { agent.turn().await.kind }
    });
    let kinds = join_all(calls).await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "ok").count(), 3, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| *kind == "budget_exceeded").count(), 9, "{kinds:?}");
    assert_eq!(provider.calls(), 3);
}

#[tokio::test]
async fn tokens_and_money_are_counted_and_refused_once_spent() {
    // Seven of the prompt and three of the answer, at one a token.
    let provider = Provider::start(tokens(3)).await;
    let priced = |budgets: Value| {
        let served = json!([{"provider": "a", "model": "m", "cost_per_1k_tokens": 1000.0}]);
        let models = json!([{"name": "chat", "providers": served}]);
        Config::one(&provider).with(json!({"run_budgets": budgets, "models": models}))
    };
    for (budgets, measure, value) in
        [(json!({"max_tokens": 15}), "tokens", "20 of 15"), (json!({"max_cost": 15.5}), "cost", "20 of 15.5")]
    {
        let sidecar = Sidecar::start(priced(budgets)).await;
        let doors = Doors::of(&sidecar).await;
        for way in Way::ALL {
            let agent = Agent::new(&doors, way, "one");
            for _ in 0..2 {
                agent.turn().await.good(way);
            }
            agent.turn().await.spent(way, measure, value);
        }
        assert_eq!(sidecar.metrics().await.sum("fusebox_cost_total", &[("provider", "a")]), 80.0);
    }
}

#[tokio::test]
async fn an_attempt_that_failed_is_paid_for_all_the_same() {
    let usage = json!({"prompt_tokens": 50, "completion_tokens": 0});
    let choice =
        |inside: &str| json!([{"index": 0, inside: {"role": "assistant", "content": ""}, "finish_reason": "stop"}]);
    let whole = json!({"id": "1", "model": "m", "choices": choice("message"), "usage": usage});
    let chunk = json!({"id": "1", "model": "m", "choices": choice("delta")});
    let last = json!({"id": "1", "model": "m", "choices": [], "usage": usage});
    let empty_stream = format!("data: {chunk}\n\ndata: {last}\n\ndata: [DONE]\n\n");
    for way in Way::ALL {
        let empty = match way.streams() {
            true => document(200, "text/event-stream", empty_stream.clone()),
            false => answer(200, &whole),
        };
        let provider = Provider::start(empty.then(tokens(3))).await;
        let config = Config::one(&provider).each(&json!({"retry": {"max_retries": 1}}));
        let sidecar = Sidecar::start(config.with(json!({"run_budgets": {"max_tokens": 55}}))).await;
        let doors = Doors::of(&sidecar).await;
        let agent = Agent::new(&doors, way, "one");
        agent.turn().await.good(way);
        assert_eq!(provider.calls(), 2, "{way:?}: the empty answer was asked for again");
        agent.turn().await.spent(way, "tokens", "60 of 55");
        let input = [("provider", "a"), ("direction", "input")];
        assert_eq!(sidecar.metrics().await.sum("fusebox_tokens_total", &input), 57.0, "{way:?}");
    }
}

#[tokio::test]
async fn a_stream_whose_provider_does_not_count_is_counted_by_its_events() {
    let provider = Provider::start(tokens(20)).await;
    let (_sidecar, doors) = under(json!({"max_tokens": 15}), &provider).await;
    let body = json!({"messages": [{"role": "user", "content": "hello"}], "stream": true});
    let call = || doors.http.chat(&body).header("x-fusebox-run-id", "uncounted").send();
    assert_eq!(call().await.status, 200);
    assert_eq!(call().await.error()["details"]["tokens"], "20 of 15");
}

#[tokio::test]
async fn tool_calls_that_models_ask_for_are_counted() {
    let two = tokens(1).tool("open", &["{\"a\"", ":1}"]).tool("close", &["{}"]);
    let provider = Provider::start(two).await;
    let (_sidecar, doors) = under(json!({"max_tool_calls": 4}), &provider).await;
    for way in Way::ALL {
        let agent = Agent::new(&doors, way, "one");
        for _ in 0..2 {
            agent.turn().await.good(way);
        }
        agent.turn().await.spent(way, "tool_calls", "4 of 4");
    }
}

#[tokio::test]
async fn a_run_that_repeats_a_tool_call_is_told_so_and_then_stopped() {
    let provider = Provider::start(searching()).await;
    let (_sidecar, doors) = under(json!({}), &provider).await;
    for way in Way::ALL {
        let agent = Agent::new(&doors, way, "circles");
        for turn in 1..=5 {
            let told = agent.turn().await;
            told.good(way);
            let warned = told
                .warnings
                .iter()
                .any(|warning| warning.contains(&format!("\"search\" was asked for {} times", turn - 1)));
            assert_eq!(warned, turn > 3, "{way:?}, turn {turn}: {told:?}");
        }
        let asked = provider.calls();
        let turn = agent.turn().await;
        turn.spent(way, "repeats", "search 5 of 5");
        assert!(turn.message.contains("\"search\" 5 times"), "{turn:?}");
        agent.turn().await.spent(way, "repeats", "search 5 of 5");
        assert_eq!(provider.calls(), asked, "{way:?}");
    }
}

#[tokio::test]
async fn what_a_conversation_repeats_is_seen_though_its_answers_were_not() {
    let provider = Provider::start(tokens(1)).await;
    let (_sidecar, doors) = under(json!({}), &provider).await;
    for way in Way::ALL {
        let agent = Agent::new(&doors, way, "shown");
        assert!(agent.after(2).await.warnings.is_empty(), "{way:?}");
        let told = agent.after(3).await;
        assert!(told.warnings.iter().any(|warning| warning.contains("\"search\" was asked for 3 times")), "{told:?}");
        agent.after(5).await.spent(way, "repeats", "search 5 of 5");
    }
}

#[tokio::test]
async fn an_answer_from_the_cache_is_a_call_without_tokens_and_its_tool_calls_count() {
    for way in Way::ALL {
        let provider = Provider::start(searching()).await;
        let budgets = json!({"max_tokens": 15, "max_cost": null});
        let settings = json!({"run_budgets": budgets, "cache": {"mode": "prefer"}});
        let sidecar = Sidecar::start(Config::one(&provider).with(settings)).await;
        let doors = Doors::of(&sidecar).await;
        let agent = Agent::new(&doors, way, "cached");
        for _ in 0..5 {
            agent.turn().await.good(way);
        }
        let turn = agent.turn().await;
        turn.spent(way, "repeats", "search 5 of 5");
        assert_eq!(
            (turn.details["calls"].as_str(), turn.details["tokens"].as_str()),
            ("5 of 20", "11 of 15"),
            "{way:?}"
        );
        assert_eq!(provider.calls(), 1, "{way:?}");
    }
}

#[tokio::test]
async fn the_model_is_told_too_where_that_is_wanted() {
    let provider = Provider::start(tokens(1)).await;
    for tell in [true, false] {
        let (_sidecar, doors) = under(json!({"tell_model": tell}), &provider).await;
        for way in Way::ALL {
            Agent::new(&doors, way, "told").after(3).await.good(way);
            let asked = provider.seen().last().unwrap().body.clone();
            let last = asked["messages"].as_array().unwrap().last().unwrap().clone();
            let heard = last["role"] == "user" && last.to_string().contains("3 times with the same arguments");
            assert_eq!(heard, tell, "{way:?}: {last}");
        }
    }
}

#[tokio::test]
async fn a_run_whose_time_is_up_is_refused() {
    let provider = Provider::start(tokens(1).after(ms(1_100))).await;
    let (_sidecar, doors) = under(json!({"max_runtime": "1s"}), &provider).await;
    join_all(Way::ALL.map(async |way| {
        let agent = Agent::new(&doors, way, "slow");
        agent.turn().await.good(way);
        agent.turn().await.spent(way, "runtime", "1 s of 1 s");
    }))
    .await;
}

#[tokio::test]
async fn a_caller_that_hangs_up_has_made_its_call() {
    let provider = Provider::start(tokens(5).every(ms(5_000))).await;
    let (_sidecar, doors) = under(json!({"max_calls": 1}), &provider).await;
    let body = json!({"messages": [{"role": "user", "content": "hello"}], "stream": true});
    let call = || doors.http.chat(&body).header("x-fusebox-run-id", "gone");
    let mut open = call().open().await;
    open.event().await.expect("a first event");
    drop(open);
    provider.gone(0).await;
    assert_eq!(call().send().await.error()["details"]["calls"], "1 of 1");
    assert_eq!(provider.calls(), 1);
}
