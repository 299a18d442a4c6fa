//! Answers held to what was asked for, whole and in pieces.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::chat::{answer::Chunk, parse::parse, request::Operation};

/// A request with these fields beside its one message.
fn request(fields: &Value) -> Request {
    let mut document = json!({ "messages": [{ "role": "user", "content": "hi" }] });
    document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    parse(Operation::Chat, Bytes::from(document.to_string())).unwrap()
}

fn checker(fields: &Value) -> Checker {
    Checker::for_request(&request(fields), &Arc::default()).unwrap().unwrap()
}

fn person() -> Checker {
    checker(&json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "person", "schema": {
        "type": "object", "properties": { "age": { "type": "integer" } }, "required": ["age"] } } } }))
}

fn weather() -> Checker {
    checker(&json!({ "tools": [
        { "type": "function", "function": { "name": "weather", "parameters": {
            "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] } } },
        { "type": "function", "function": { "name": "now" } },
        { "type": "function", "function": { "name": "odd", "parameters": { "type": "nonsense" } } },
    ] }))
}

fn whole(message: &Value, finish: &str) -> Whole {
    let body = json!({ "id": "1", "choices": [{ "index": 0, "message": message, "finish_reason": finish }] });
    let finish = crate::chat::inspect::finish(finish);
    Whole { body: body.to_string().into(), finish: Some(finish), usage: None, model: None }
}

fn says(text: &str) -> Whole {
    whole(&json!({ "role": "assistant", "content": text }), "stop")
}

fn calls(name: &str, arguments: &str) -> Whole {
    let call = json!({ "id": "c1", "type": "function", "function": { "name": name, "arguments": arguments } });
    whole(&json!({ "role": "assistant", "content": null, "tool_calls": [call] }), "tool_calls")
}

fn content(checked: &Checked) -> Value {
    serde_json::from_slice::<Value>(&checked.whole.body).unwrap()["choices"][0]["message"]["content"].clone()
}

#[test]
fn a_plain_request_is_not_checked() {
    for fields in [
        json!({}),
        json!({ "response_format": null, "tools": null }),
        json!({ "response_format": { "type": "text" } }),
        json!({ "response_format": { "type": "grammar", "json_schema": null } }),
    ] {
        assert!(Checker::for_request(&request(&fields), &Arc::default()).unwrap().is_none(), "{fields}");
    }
}

#[test]
fn json_is_passed_on_as_it_came_and_taken_out_of_prose() {
    for (text, expected) in [
        ("{\"age\": 1}", "{\"age\": 1}"),
        (" \n{\"age\":1}\n", " \n{\"age\":1}\n"),
        ("```json\n{\"age\": 1}\n```", "{\"age\": 1}"),
        ("Sure \"{age}\": {\"age\": 1} Bye.", "{\"age\": 1}"),
    ] {
        let answer = says(text);
        let checked = person().whole(answer.clone()).unwrap();
        assert_eq!(content(&checked), expected, "{text}");
        assert_eq!(checked.warnings.is_empty(), text == expected, "{text}");
        assert_eq!(checked.whole.body == answer.body, text == expected, "what is good is not touched");
    }
}

#[test]
fn only_the_content_is_edited_and_of_each_choice() {
    let checker = checker(&json!({ "response_format": { "type": "json_object" }, "n": 2 }));
    let body = r#"{ "a" : 1.50e1, "choices":[{"index":0,"message":{"content":"[1] ok"},"finish_reason":"stop"},{"index":1,"message":{"content":"```{\"b\":\"\\n\"}```"},"finish_reason":"stop","x":2.0}] }"#;
    let answer = Whole { body: Bytes::from(body), finish: Some(Finish::Stop), usage: None, model: None };
    let expected = r#"{ "a" : 1.50e1, "choices":[{"index":0,"message":{"content":"[1]"},"finish_reason":"stop"},{"index":1,"message":{"content":"{\"b\":\"\\n\"}"},"finish_reason":"stop","x":2.0}] }"#;
    assert_eq!(checker.whole(answer).unwrap().whole.body, expected);
}

#[test]
fn a_faulty_text_is_told_to_the_caller_and_to_the_model() {
    for (answer, told, said) in [
        (says("{\"age\": \"old\"}"), "choices[0].message.content at /age: ", "at /age: \"old\" is not of type"),
        (says("I do not know."), "choices[0].message.content: is not JSON", "the answer: is not JSON"),
        (says("  "), "choices[0].message.content: is empty", "the answer: is empty"),
        (says("{\"age\": 1"), "is JSON that breaks off", "breaks off"),
        (whole(&json!({ "content": "{\"age" }), "length"), "it ended at its limit of tokens", "be shorter"),
    ] {
        let failure = person().whole(answer.clone()).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::InvalidResponse);
        assert!(failure.message.contains(told) && !failure.message.contains("old\""), "{}", failure.message);
        assert!(failure.details[0].0 == "faults" && !failure.details[0].1.contains("old\""), "{:?}", failure.details);
        let complaint = failure.complaint.unwrap();
        let last = complaint.last().unwrap();
        assert_eq!(last["role"], "user");
        assert!(last["content"].as_str().unwrap().contains(said), "{last}");
        let text = content(&Checked { whole: answer, warnings: Vec::new() });
        let shown = complaint.iter().find(|message| message["role"] == "assistant").map(|message| &message["content"]);
        assert_eq!(shown.is_none(), text.as_str().unwrap().trim().is_empty());
        assert!(shown.is_none_or(|shown| *shown == text));
    }
}

#[test]
fn who_calls_a_tool_or_declines_owes_no_json() {
    let both = checker(&json!({ "response_format": { "type": "json_object" },
        "tools": [{ "type": "function", "function": { "name": "now" } }] }));
    assert!(both.whole(calls("now", "{}")).is_ok());
    assert!(both.whole(whole(&json!({ "content": null, "refusal": "no" }), "stop")).is_ok());
    assert!(both.whole(says("now")).is_err());
}

#[test]
fn a_call_of_a_tool_where_none_was_offered_stands_for_no_json() {
    let failure = person().whole(calls("weather", "{}")).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::InvalidResponse);
}

#[test]
fn calls_are_held_to_their_tools() {
    let warned = |answer| weather().whole(answer).unwrap().warnings;
    assert_eq!(warned(calls("weather", "{\"city\":\"Ulm\"}")), Vec::<String>::new());
    for arguments in ["", " ", "{}", "{\"x\":1}"] {
        assert_eq!(warned(calls("now", arguments)), Vec::<String>::new());
    }
    let unchecked = warned(calls("odd", "{}"));
    assert!(unchecked[0].contains("a call of odd was not checked"), "{unchecked:?}");
    for (name, arguments, told) in [
        ("weather", "", "tool_calls[0].function.arguments: "),
        ("weather", "{\"city\":1}", "tool_calls[0].function.arguments at /city: "),
        ("weather", "{\"city\":", "arguments: is JSON that breaks off"),
        ("weather", "Ulm", "arguments: is not JSON"),
        ("wether", "{}", "tool_calls[0].function.name: there is no tool \"wether\""),
        ("now", "[1]", "arguments: must be a JSON object"),
        ("now", "{", "breaks off"),
    ] {
        let failure = weather().whole(calls(name, arguments)).unwrap_err();
        assert!(failure.message.contains(told), "{}", failure.message);
    }
    assert!(weather().whole(says("no tool is needed")).is_ok());
}

#[test]
fn a_faulty_call_stands_in_the_conversation_as_one_only_where_providers_take_it() {
    let complaint = |answer| weather().whole(answer).unwrap_err().complaint.unwrap();
    let good_form = complaint(calls("weather", "{\"city\":1}"));
    assert_eq!(good_form[0]["tool_calls"][0]["function"]["arguments"], "{\"city\":1}");
    assert_eq!((&good_form[1]["role"], &good_form[1]["tool_call_id"]), (&json!("tool"), &json!("c1")));
    assert!(good_form[1]["content"].as_str().unwrap().contains("at /city: 1 is not of type"), "{good_form:?}");
    let bad_form = complaint(calls("weather", "{\"city\":"));
    assert_eq!(bad_form[0], json!({ "role": "assistant", "content": "Call weather with {\"city\":" }));
    assert_eq!(bad_form[1]["role"], "user");
}

#[test]
fn tools_in_other_dialects_are_known_by_their_names() {
    let custom = json!({ "content": null, "tool_calls": [{ "id": "1", "type": "custom", "custom": { "name": "c", "input": "x" } }] });
    let open = checker(&json!({ "tools": [{ "type": "custom", "custom": { "name": "c" } }] }));
    assert!(open.whole(whole(&custom, "tool_calls")).is_ok());
    let hosted = checker(&json!({ "tools": [{ "type": "web_search_20250305", "name": "web_search" }] }));
    assert!(hosted.whole(calls("web_search", "{\"query\":\"x\"}")).is_ok());
    assert!(hosted.whole(calls("search", "{}")).is_err());
    let old =
        checker(&json!({ "functions": [{ "name": "f", "parameters": { "type": "object", "required": ["x"] } }] }));
    let called = |arguments| {
        whole(&json!({ "content": null, "function_call": { "name": "f", "arguments": arguments } }), "stop")
    };
    assert!(old.whole(called("{\"x\":1}")).is_ok());
    let failure = old.whole(called("{}")).unwrap_err();
    assert!(failure.message.contains("function_call.arguments: "), "{}", failure.message);
}

#[test]
fn a_schema_that_cannot_be_held_to_is_refused_with_its_place() {
    let faults = |fields: Value| {
        let failure = Checker::for_request(&request(&fields), &Arc::default()).unwrap_err();
        assert_eq!((failure.kind, failure.http_status()), (ErrorKind::InvalidInput, 422));
        failure.fields.into_iter().map(|fault| fault.path).collect::<Vec<_>>()
    };
    let format = |schema: Value| json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "x", "schema": schema } } });
    let root = "response_format.json_schema.schema";
    assert_eq!(
        faults(format(json!({ "properties": { "a b": { "type": "in" } } }))),
        [format!("{root}.properties.a b.type")]
    );
    assert_eq!(
        faults(format(json!({ "prefixItems": [{ "$ref": "http://x/y" }] }))),
        [format!("{root}.prefixItems[0].$ref")]
    );
    let tool = |strict| json!({ "type": "function", "function": { "name": format!("f_{strict}"), "strict": strict, "parameters": { "type": "in" } } });
    assert_eq!(faults(json!({ "tools": [tool(false), tool(true)] })), ["tools[1].function.parameters.type"]);
    assert!(Checker::for_request(&request(&json!({ "tools": [tool(false)] })), &Arc::default()).unwrap().is_some());
}

#[test]
fn a_call_that_cannot_be_checked_is_told_of_once_however_often_it_is_made() {
    let call = json!({ "id": "c", "type": "function", "function": { "name": "odd", "arguments": "{}" } });
    let message = json!({ "role": "assistant", "content": null, "tool_calls": vec![call; 100] });
    let checked = weather().whole(whole(&message, "tool_calls")).unwrap();
    assert_eq!(checked.warnings.len(), 1, "{:?}", checked.warnings);
    assert!(checked.warnings[0].contains("odd"), "{:?}", checked.warnings);
}

/// An event with this delta, and why the choice stopped, if it did.
fn event(index: u32, delta: &Value, finish: Option<&str>) -> String {
    let choice = json!({ "index": index, "delta": delta, "finish_reason": finish });
    format!("data: {}\n\n", json!({ "id": "1", "choices": [choice] }))
}

fn chunk(events: &[String]) -> Chunk {
    Chunk { events: events.concat().into(), ..Chunk::default() }
}

#[test]
fn a_stream_is_judged_where_it_stops() {
    let word = |text: &str| event(0, &json!({ "content": text }), None);
    let stop = || event(0, &json!({}), Some("stop"));
    for (words, good) in [
        (vec!["{\"age\"", ": 1}"], true),
        (vec![" {\"age\": 1}", "\n"], true),
        (vec!["{\"age\": true}"], false),
        (vec!["{\"age\": 1"], false),
        (vec!["```json\n{\"age\": 1}\n```"], false),
        (vec!["Sure: {\"age\": 1}"], false),
        (vec![], false),
    ] {
        let mut check = person().stream();
        for text in &words {
            assert_eq!(check.add(&mut chunk(&[word(text)])), Ok(()), "{words:?}");
        }
        let mut last = chunk(&[": a comment\n\n".to_owned(), stop(), event(0, &json!({}), None)]);
        let whole = last.events.clone();
        let verdict = check.add(&mut last);
        assert_eq!(verdict.is_ok(), good, "{words:?}: {verdict:?}");
        assert_eq!(last.events == whole, good);
        assert!(good || !last.events.windows(4).any(|bytes| bytes == b"stop"), "no finish follows a fault");
        if let Err(failure) = verdict {
            assert_eq!(failure.kind, ErrorKind::InvalidResponse);
            assert!(failure.complaint.is_some());
        }
    }
}

#[test]
fn events_that_come_together_are_passed_on_up_to_the_fault() {
    let mut check = person().stream();
    let good = event(0, &json!({ "content": "no" }), None);
    let mut both = chunk(&[good.clone(), event(0, &json!({ "content": "." }), Some("stop"))]);
    both.finish = Some(Finish::Stop);
    assert!(check.add(&mut both).is_err());
    assert_eq!((both.events, both.finish), (Bytes::from(good), None));
}

#[test]
fn a_streams_calls_and_choices_are_checked_each() {
    let piece = |arguments: &str| json!({ "tool_calls": [{ "index": 0, "id": "1", "function": { "name": "weather", "arguments": arguments } }] });
    for (arguments, good) in [(["{\"city\":", "\"Ulm\"}"], true), (["{\"city\":", "1}"], false)] {
        let mut check = weather().stream();
        let mut events = arguments.map(|arguments| event(0, &piece(arguments), None)).to_vec();
        events.push(event(0, &json!({}), Some("tool_calls")));
        assert_eq!(check.add(&mut chunk(&events)).is_ok(), good);
    }
    let mut check = person().stream();
    let say = |index, text: &str| event(index, &json!({ "content": text }), Some("stop"));
    assert!(check.add(&mut chunk(&[say(1, "{\"age\":1}")])).is_ok());
    assert!(check.add(&mut chunk(&[say(0, "{\"age\":null}")])).is_err());
    let mut check = person().stream();
    check.add(&mut chunk(&[event(0, &json!({ "content": "{" }), None)])).unwrap();
    assert!(check.finish().is_err(), "it never said why it stopped");
}

#[test]
fn what_a_filter_cut_off_is_a_refusal() {
    let mut check = person().stream();
    let cut = event(0, &json!({ "content": "{\"ag" }), Some("content_filter"));
    assert_eq!(check.add(&mut chunk(&[cut])).unwrap_err().kind, ErrorKind::ContentFiltered);
}

#[test]
fn no_more_is_collected_than_can_be_checked() {
    let long = "x".repeat(MAX_SAID / 2);
    assert!(person().whole(says(&"x".repeat(MAX_SAID + 1))).unwrap_err().message.contains("longer than"));
    let mut check = person().stream();
    let mut add = || check.add(&mut chunk(&[event(0, &json!({ "content": long }), None)]));
    assert!(add().is_ok() && add().is_ok());
    assert!(add().unwrap_err().message.contains("longer than"));
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(text in any::<String>(), arguments in any::<String>(), name in ".{0,8}") {
        let _ = person().whole(says(&text));
        let _ = weather().whole(calls(&name, &arguments));
        let _ = person().whole(Whole { body: Bytes::from(text.clone()), finish: None, usage: None, model: None });
        let _ = person().stream().add(&mut Chunk { events: Bytes::from(text), ..Chunk::default() });
    }

    #[test]
    fn pieces_are_judged_as_the_whole_is(text in "[\\{\\}\\[\\]\":,0-9a-c ]{0,20}", at in 0_usize..20) {
        let at = at.min(text.len());
        let events = [&text[..at], &text[at..]].map(|part| event(0, &json!({ "content": part }), None));
        let checker = checker(&json!({ "response_format": { "type": "json_object" } }));
        let mut check = checker.stream();
        let stop = event(0, &json!({}), Some("stop"));
        let streamed = check.add(&mut chunk(&[events.concat(), stop]));
        let came = checker.whole(says(&text));
        prop_assert_eq!(streamed.is_ok(), came.is_ok_and(|checked| checked.warnings.is_empty()));
    }
}
