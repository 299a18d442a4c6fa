//! Whatever a caller sends: it is refused, or it is a request that stays itself when its model is replaced.

#![no_main]

use bytes::Bytes;
use fusebox_sidecar::chat::{
    parse::parse,
    request::{Operation, Request},
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Names with what JSON must escape; the second is for requests that name the first already.
const NAMES: [&str; 2] = ["other \"é\\\u{0}\n/model", "another"];
const TOKENS: u64 = 7;

fuzz_target!(|input: &[u8]| {
    let body = Bytes::copy_from_slice(input);
    for operation in [Operation::Chat, Operation::Completion, Operation::Embed, Operation::Image] {
        if let Ok(request) = parse(operation, body.clone()) {
            assert_eq!(request.body_for(None, None), request.body, "nothing is asked to change");
            if request.removed == 0 {
                assert_eq!(request.body, body, "nothing was taken out");
            } else {
                assert!(request.body.len() < body.len());
            }
            other_model(&request);
            other_tokens(&request);
            if let Some(complaining) = request.complaining() {
                assert_eq!(complaining.model, request.model);
            }
        }
    }
});

fn other_model(request: &Request) {
    let name = if request.model == NAMES[0] { NAMES[1] } else { NAMES[0] };
    let again = parse(request.operation, request.body_for(Some(name), None)).expect("a good request stays one");
    assert_eq!(again.model, name);
    assert_eq!(without_spans(&again, ""), without_spans(request, ""));
    // What the walk does not look at may be JSON that nobody can hold, such as 1e999.
    if let Ok(mut expected) = serde_json::from_slice::<Value>(&request.body) {
        expected["model"] = name.into();
        assert_eq!(serde_json::from_slice::<Value>(&again.body).expect("JSON"), expected);
    }
    assert_eq!(parse(request.operation, again.body.clone()).expect("the same"), again);
}

fn other_tokens(request: &Request) {
    assert_eq!(request.max_tokens.is_some(), request.max_tokens_span.is_some());
    let again = parse(request.operation, request.body_for(None, Some(TOKENS))).expect("a good request stays one");
    let expected = request.max_tokens.map(|_| TOKENS);
    assert_eq!(again.max_tokens, expected);
    assert_eq!(
        Request { max_tokens: request.max_tokens, ..without_spans(&again, &request.model) },
        without_spans(request, &request.model)
    );
}

/// `request` but for what a longer or shorter model moves.
fn without_spans(request: &Request, model: &str) -> Request {
    Request { body: Bytes::new(), model: model.to_owned(), model_span: None, max_tokens_span: None, removed: 0, ..request.clone() }
}
