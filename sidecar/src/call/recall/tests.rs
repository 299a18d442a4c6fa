use super::*;
use crate::{
    call::{Current, Options, Shared, Sidecar, TraceContext, plan::Plan},
    chat::{parse::parse, request::Operation},
    gate::Gate,
    telemetry::{Door, Telemetry},
};

fn current(telemetry: &Arc<Telemetry>) -> Current {
    let config = Config::default();
    let labels = Arc::new(telemetry.labels_for(&config));
    let budget = config.retry_budget.clone();
    let plan =
        Plan::try_new(config, 1, None, |settings| Arc::new(Gate::new(settings, &budget, Box::new(|_| {}), None)));
    Current { plan: plan.unwrap(), labels }
}

fn sidecar() -> Sidecar {
    let telemetry = Telemetry::try_new(&Config::default().telemetry, 1).unwrap();
    Sidecar::new(Arc::new(Shared::new(current(&telemetry), telemetry)), 0)
}

fn call(body: &'static str) -> Call {
    Call {
        request: parse(Operation::Chat, Bytes::from_static(body.as_bytes())).unwrap(),
        door: Door::Http,
        arrived: clock::now(),
        timeout: None,
        correlation_id: "c".into(),
        options: Options::default(),
        trace: TraceContext::default(),
    }
}

const HELLO: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}"#;

fn answered(sidecar: &Sidecar, while_asked: impl FnOnce()) -> usize {
    let mut way = Way::begin(sidecar, call(HELLO)).unwrap();
    (way.outcome.source, way.outcome.quality) = (Some(Source::Primary), Quality::Full);
    while_asked();
    let whole = Whole { body: Bytes::from_static(b"{}"), finish: Some(Finish::Stop), usage: None, model: None };
    way.ended(&End::whole(&whole));
    sidecar.shared.memory.answers.held().1
}

#[tokio::test]
async fn an_answer_that_comes_after_a_reload_is_not_kept_for_what_may_be_another_model() {
    let sidecar = sidecar();
    assert_eq!(answered(&sidecar, || {}), 1);
    let shared = &sidecar.shared;
    shared.memory.answers.trim(0);
    assert_eq!(answered(&sidecar, || shared.replace(current(&shared.telemetry))), 0);
    assert_eq!(answered(&sidecar, || {}), 1);
}

#[tokio::test]
async fn the_question_is_the_callers_own_whatever_was_asked_instead_of_it() {
    let sidecar = sidecar();
    let key = |body| Way::begin(&sidecar, call(body)).unwrap().key();
    let mut way = Way::begin(&sidecar, call(HELLO)).unwrap();
    way.call.request = way.call.request.with_max_tokens(4).unwrap();
    assert_eq!(way.key(), key(HELLO));
    let streamed = r#"{"max_tokens":9,"messages":[{"role":"user","content":"hello"}],"stream":true,"model":"m"}"#;
    assert_eq!(way.key(), key(streamed));
    let fewer = r#"{"model":"m","max_tokens":4,"messages":[{"role":"user","content":"hello"}]}"#;
    assert_ne!(way.key(), key(fewer));
}
