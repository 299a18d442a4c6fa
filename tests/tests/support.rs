//! What several tests share: one call through either door, told in the same words; an idle
//! connection.

use std::time::{Duration, Instant};

use fusebox_proto::v1::{
    FinishReason, GenerateRequest, StreamGenerateResponse, inference_service_client::InferenceServiceClient,
};
use fusebox_tests::{
    client::{
        Answer, Http, Told,
        grpc::{ask, text_of},
        told,
    },
    sidecar::Sidecar,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{Request, Status, transport::Channel};

/// Milliseconds.
pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The two doors, each with a whole answer and a streamed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    HttpWhole,
    HttpStream,
    GrpcWhole,
    GrpcStream,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::HttpWhole, Self::HttpStream, Self::GrpcWhole, Self::GrpcStream];
    pub(crate) const STREAMS: [Self; 2] = [Self::HttpStream, Self::GrpcStream];

    pub(crate) const fn streams(self) -> bool {
        matches!(self, Self::HttpStream | Self::GrpcStream)
    }

    const fn is_http(self) -> bool {
        matches!(self, Self::HttpWhole | Self::HttpStream)
    }
}

/// How a call ended, whichever way it went.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ended {
    /// The text received, of an answer good or broken.
    pub(crate) text: String,
    /// Why the model stopped, in OpenAI's words; empty where nobody said.
    pub(crate) finish: String,
    /// How often a streamed answer said so.
    pub(crate) finishes: usize,
    /// Tokens, one entry each, as they came.
    pub(crate) tokens: Vec<(Instant, String)>,
    /// What went wrong; `None`: the answer is good.
    pub(crate) problem: Option<Problem>,
    /// The provider that answered.
    pub(crate) provider: String,
    /// `primary`, `fallback`, …
    pub(crate) source: String,
    /// Attempts made.
    pub(crate) attempts: usize,
    /// From the call's start to its end.
    pub(crate) took: Duration,
    /// All that was received, to look for what must not be in it.
    pub(crate) everything: String,
}

/// What went wrong.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Problem {
    pub(crate) kind: String,
    pub(crate) message: String,
    /// `None` where it was told in a stream that had begun.
    pub(crate) http: Option<u16>,
    pub(crate) grpc: Option<i32>,
    pub(crate) retryable: bool,
    /// As told with the most precision.
    pub(crate) wait: Option<Duration>,
    /// gRPC's outcome, as provider and kind; over HTTP nothing.
    pub(crate) tried: Vec<(String, String)>,
}

impl Ended {
    /// The problem's kind, or `ok`.
    pub(crate) fn kind(&self) -> &str {
        self.problem.as_ref().map_or("ok", |problem| &problem.kind)
    }

    /// The problem, which there must be.
    pub(crate) fn failed(&self) -> &Problem {
        self.problem.as_ref().unwrap_or_else(|| panic!("the call was answered: {self:#?}"))
    }

    /// Asserts that the answer is good and returns its text.
    pub(crate) fn good(&self) -> &str {
        assert!(self.problem.is_none(), "{self:#?}");
        &self.text
    }
}

/// Clients for both doors of one sidecar.
#[derive(Debug, Clone)]
pub(crate) struct Doors {
    pub(crate) http: Http,
    pub(crate) grpc: InferenceServiceClient<Channel>,
}

impl Doors {
    pub(crate) async fn of(sidecar: &Sidecar) -> Self {
        Self { http: sidecar.http().clone(), grpc: sidecar.grpc().await }
    }

    /// One call of `model`, with a prompt that is of no importance.
    pub(crate) async fn call(&self, way: Way, model: &str) -> Ended {
        self.call_within(way, model, None).await
    }

    /// One call of `model` whose caller waits so long.
    pub(crate) async fn call_within(&self, way: Way, model: &str, timeout: Option<Duration>) -> Ended {
        let began = Instant::now();
        let mut ended =
            if way.is_http() { self.http(way, model, timeout).await } else { self.grpc(way, model, timeout).await };
        ended.took = began.elapsed();
        ended
    }

    /// One call as this body asks it over HTTP, or this request over gRPC. `stream` is put in as the way wants it.
    pub(crate) async fn ask(&self, way: Way, body: &Value, request: &GenerateRequest) -> Ended {
        if way.is_http() {
            let mut body = body.clone();
            body["stream"] = way.streams().into();
            return self.http_of(way, &body, None).await;
        }
        self.grpc_of(way, Request::new(request.clone())).await
    }

    async fn http(&self, way: Way, model: &str, timeout: Option<Duration>) -> Ended {
        self.http_of(way, &hello(model, way.streams()), timeout).await
    }

    async fn http_of(&self, way: Way, body: &Value, timeout: Option<Duration>) -> Ended {
        let mut request = self.http.chat(body);
        if let Some(timeout) = timeout {
            request = request.header("x-fusebox-timeout-ms", &timeout.as_millis().to_string());
        }
        let mut open = request.open().await;
        let headers = format!("{:?}", open.headers);
        let header = |name: &str| open.header(name).unwrap_or_default().to_owned();
        let mut ended = Ended {
            provider: header("x-fusebox-provider"),
            source: header("x-fusebox-source"),
            attempts: header("x-fusebox-attempts").parse().unwrap_or(0),
            ..Ended::default()
        };
        if !open.status.is_success() || !way.streams() {
            of_whole(&open.whole().await, &mut ended);
            return ended;
        }
        let mut done = false;
        while let Some(event) = open.event().await {
            assert!(!done && ended.problem.is_none(), "an event after the end: {}", event.data);
            let json = event.json();
            done = event.is_done();
            if json["error"].is_object() {
                ended.problem = Some(problem(&json["error"], None));
            }
            if let Some(finish) = json["choices"][0]["finish_reason"].as_str() {
                ended.finish = finish.to_owned();
                ended.finishes += 1;
            }
            if !event.text().is_empty() {
                ended.text.push_str(&event.text());
                ended.tokens.push((event.at, event.text()));
            }
            ended.everything.push_str(&event.data);
        }
        ended.everything.push_str(&headers);
        assert!(!open.broken, "the door itself broke off: {ended:#?}");
        assert_eq!(done, ended.problem.is_none(), "a stream ends with an error or with [DONE]: {ended:#?}");
        ended
    }

    async fn grpc(&self, way: Way, model: &str, timeout: Option<Duration>) -> Ended {
        let mut request = Request::new(GenerateRequest { model: model.to_owned(), ..ask("hello") });
        if let Some(timeout) = timeout {
            request.set_timeout(timeout);
        }
        self.grpc_of(way, request).await
    }

    async fn grpc_of(&self, way: Way, request: Request<GenerateRequest>) -> Ended {
        let mut client = self.grpc.clone();
        let mut ended = Ended::default();
        if way.streams() {
            match client.stream_generate(request).await {
                Err(status) => fail(&mut ended, &status),
                Ok(answer) => {
                    let mut stream = answer.into_inner();
                    loop {
                        match stream.message().await {
                            Ok(None) => break,
                            Ok(Some(message)) => add(&mut ended, &message),
                            Err(status) => {
                                fail(&mut ended, &status);
                                break;
                            }
                        }
                    }
                    assert!(ended.problem.is_some() || !ended.source.is_empty(), "no outcome: {ended:#?}");
                }
            }
            return ended;
        }
        match client.generate(request).await {
            Err(status) => fail(&mut ended, &status),
            Ok(answer) => {
                let answer = answer.into_inner();
                ended.everything = format!("{answer:?}");
                ended.text = answer.message.as_ref().map(text_of).unwrap_or_default();
                ended.finish = finish(answer.finish_reason());
                outcome(&mut ended, answer.outcome.as_ref());
            }
        }
        ended
    }
}

/// A chat of one message.
pub(crate) fn hello(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}]})
}

/// An error's body, or one event's, as a problem.
pub(crate) fn problem(error: &Value, status: Option<u16>) -> Problem {
    Problem {
        kind: error["type"].as_str().unwrap_or_default().to_owned(),
        message: error["message"].as_str().unwrap_or_default().to_owned(),
        http: status,
        retryable: error["retryable"].as_bool().unwrap_or_else(|| panic!("retryable is missing in {error}")),
        wait: error["retry_after"].as_f64().map(Duration::from_secs_f64),
        ..Problem::default()
    }
}

fn of_whole(answer: &Answer, ended: &mut Ended) {
    ended.everything = answer.everything();
    let json = answer.json();
    if !answer.status.is_success() {
        let mut problem = problem(&answer.error(), Some(answer.status.as_u16()));
        if let Some(millis) = answer.header("retry-after-ms") {
            problem.wait = Some(ms(millis.parse().expect("milliseconds")));
        }
        ended.problem = Some(problem);
        return;
    }
    let choice = &json["choices"][0];
    ended.text = choice["message"]["content"].as_str().unwrap_or_default().to_owned();
    ended.finish = choice["finish_reason"].as_str().unwrap_or_default().to_owned();
}

fn add(ended: &mut Ended, message: &StreamGenerateResponse) {
    ended.everything.push_str(&format!("{message:?}"));
    if !message.text_delta.is_empty() {
        ended.text.push_str(&message.text_delta);
        ended.tokens.push((Instant::now(), message.text_delta.clone()));
    }
    let finish = finish(message.finish_reason());
    if !finish.is_empty() {
        ended.finish = finish;
        ended.finishes += 1;
    }
    outcome(ended, message.outcome.as_ref());
}

fn finish(reason: FinishReason) -> String {
    match reason {
        FinishReason::Unspecified => String::new(),
        reason => reason.as_str_name().trim_start_matches("FINISH_REASON_").to_lowercase(),
    }
}

fn outcome(ended: &mut Ended, outcome: Option<&fusebox_proto::v1::Outcome>) {
    let Some(outcome) = outcome else { return };
    ended.provider.clone_from(&outcome.provider);
    ended.source = outcome.source().as_str_name().trim_start_matches("SOURCE_").to_lowercase();
    ended.attempts = outcome.attempts.len();
}

fn fail(ended: &mut Ended, status: &Status) {
    let Told { kind, retryable, wait, outcome, .. } = told(status);
    ended.everything.push_str(&format!("{status:?}"));
    let tried = |outcome: &fusebox_proto::v1::Outcome| {
        outcome.attempts.iter().map(|attempt| (attempt.provider.clone(), attempt.error_kind.clone())).collect()
    };
    ended.attempts = outcome.as_ref().map_or(0, |outcome| outcome.attempts.len());
    ended.problem = Some(Problem {
        kind,
        message: status.message().to_owned(),
        http: None,
        grpc: Some(status.code().into()),
        retryable: retryable.as_deref() == Some("true"),
        wait,
        tried: outcome.as_ref().map(tried).unwrap_or_default(),
    });
}

/// A connection that has had its answer and waits for the next request.
pub(crate) async fn idle(sidecar: &Sidecar) -> TcpStream {
    let mut stream = TcpStream::connect(sidecar.http().address()).await.unwrap();
    stream.write_all(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"}") {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "it is kept open");
    }
    stream
}
