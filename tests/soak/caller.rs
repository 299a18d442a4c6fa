//! One of many callers: asks, reads to the end or hangs up, and has each answer judged.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use fastrand::Rng;
use fusebox_proto::v1::{
    GenerateRequest, Outcome, StreamGenerateResponse, inference_service_client::InferenceServiceClient,
};
use fusebox_tests::{
    client::{
        Http,
        grpc::{ask as asking, text_of},
        told,
    },
    sidecar::Sidecar,
};
use serde_json::Value;
use tonic::{Code, Status, transport::Channel};

use super::{
    bystander::Bystander,
    judge::{Ended, Verdict},
    load::{Ask, Kind, draw},
};

/// The longest that a caller thinks between two calls.
const THOUGHT: u64 = 300;

pub(crate) struct Caller {
    http: Http,
    grpc: InferenceServiceClient<Channel>,
    dice: Rng,
    verdict: Arc<Verdict>,
    bystander: Bystander,
}

impl Caller {
    pub(crate) async fn new(sidecar: &Sidecar, seed: u64, verdict: Arc<Verdict>, bystander: Bystander) -> Self {
        let http = Http::new(sidecar.http().address());
        Self { http, grpc: sidecar.grpc().await, dice: Rng::with_seed(seed), verdict, bystander }
    }

    pub(crate) async fn call_until(mut self, over: Arc<AtomicBool>) {
        while !over.load(Relaxed) {
            let ask = draw(&mut self.dice);
            let by_grpc = ask.kind == Kind::Words && self.dice.u8(0..3) == 0;
            let began = Instant::now();
            let mut ended = if by_grpc { self.by_grpc(&ask).await } else { self.by_http(&ask).await };
            let now = Instant::now();
            ended.took = now.duration_since(began);
            ended.stood_still = self.bystander.stood_still(began, now);
            self.verdict.judge(&ask, &ended);
            tokio::time::sleep(Duration::from_millis(self.dice.u64(..THOUGHT))).await;
        }
    }

    async fn by_http(&self, ask: &Ask) -> Ended {
        let request = self.http.post(ask.path, &ask.body);
        let request = ask.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let mut open = request.open().await;
        let mut ended = Ended {
            source: open.header("x-fusebox-source").unwrap_or_default().to_owned(),
            attempts: open.header("x-fusebox-attempts").and_then(|text| text.parse().ok()).unwrap_or(0),
            status: open.status.as_u16(),
            ..Ended::default()
        };
        if !open.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
            let answer = open.whole().await;
            ended.document(&answer.json());
            return ended;
        }
        while let Some(event) = open.event().await {
            if ask.hangs_up {
                ended.hung_up = true;
                return ended;
            }
            if event.is_done() {
                ended.done += 1;
                continue;
            }
            ended.text.push_str(&event.text());
            ended.event(&event.json());
        }
        ended.broken = open.broken;
        ended
    }

    async fn by_grpc(&mut self, ask: &Ask) -> Ended {
        let prompt = ask.body["messages"][1]["content"].as_str().unwrap_or_default();
        let mut request = tonic::Request::new(asking(prompt));
        request.set_timeout(Duration::from_millis(ask.patience));
        if ask.stream { self.streamed(ask, request).await } else { self.whole(request).await }
    }

    async fn whole(&mut self, request: tonic::Request<GenerateRequest>) -> Ended {
        match self.grpc.generate(request).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                let outcome = answer.outcome.clone().unwrap_or_default();
                Ended {
                    text: answer.message.as_ref().map(text_of).unwrap_or_default(),
                    finishes: usize::from(answer.finish_reason != 0),
                    done: 1,
                    status: 200,
                    source: source_of(&outcome),
                    attempts: outcome.attempts.len(),
                    ..Ended::default()
                }
            }
            Err(status) => refused(&status),
        }
    }

    async fn streamed(&mut self, ask: &Ask, request: tonic::Request<GenerateRequest>) -> Ended {
        let mut parts = match self.grpc.stream_generate(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return refused(&status),
        };
        let mut ended = Ended { status: 200, ..Ended::default() };
        loop {
            match parts.message().await {
                Ok(Some(part)) => {
                    ended.part(&part);
                    if ask.hangs_up {
                        ended.hung_up = true;
                        return ended;
                    }
                }
                Ok(None) => return Ended { done: 1, ..ended },
                Err(status) => return Ended { kind: kind_of(&status), ..ended },
            }
        }
    }
}

/// Where an answer came from, in the word that HTTP's header has for it.
fn source_of(outcome: &Outcome) -> String {
    outcome.source().as_str_name().trim_start_matches("SOURCE_").to_lowercase()
}

fn refused(status: &Status) -> Ended {
    let attempts = told(status).outcome.map_or(0, |outcome| outcome.attempts.len());
    Ended { kind: kind_of(status), attempts, ..Ended::default() }
}

/// The error's kind. A caller's own timer may fire before the sidecar's word of the same deadline is there: it is then
/// the one end that its caller hears of.
fn kind_of(status: &Status) -> String {
    if status.code() == Code::Cancelled && status.message() == "Timeout expired" {
        return "own_timer".to_owned();
    }
    told(status).kind
}

impl Ended {
    fn document(&mut self, json: &Value) {
        self.done = 1;
        self.kind = json["error"]["type"].as_str().unwrap_or_default().to_owned();
        let choice = &json["choices"][0];
        self.text = choice["message"]["content"].as_str().unwrap_or_default().to_owned();
        self.finishes = usize::from(choice["finish_reason"].is_string());
        let lengths = |data: &Vec<Value>| data.iter().map(|one| one["embedding"][1].as_f64().unwrap_or(-1.0)).collect();
        self.lengths = json["data"].as_array().map(lengths).unwrap_or_default();
    }

    fn event(&mut self, json: &Value) {
        if let Some(kind) = json["error"]["type"].as_str() {
            kind.clone_into(&mut self.kind);
        }
        self.finishes += usize::from(json["choices"][0]["finish_reason"].is_string());
        self.tools |= json["choices"][0]["delta"]["tool_calls"].is_array();
    }

    fn part(&mut self, part: &StreamGenerateResponse) {
        self.text.push_str(&part.text_delta);
        self.finishes += usize::from(part.finish_reason != 0);
        self.tools |= !part.tool_call_deltas.is_empty();
        if let Some(outcome) = &part.outcome {
            self.source = source_of(outcome);
            self.attempts = outcome.attempts.len();
        }
    }
}
