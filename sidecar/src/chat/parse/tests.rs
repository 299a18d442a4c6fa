use proptest::prelude::*;

use super::*;

fn chat(body: &str) -> Result<Request, Failure> {
    parse(Operation::Chat, Bytes::copy_from_slice(body.as_bytes()))
}

/// Each fault as `path: message`.
fn faults(operation: Operation, body: &str) -> Vec<String> {
    let failure = parse(operation, Bytes::copy_from_slice(body.as_bytes())).unwrap_err();
    failure.fields.iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect()
}

#[test]
fn a_request_says_what_decisions_need() {
    let body = r#"{ "model" : "ch\u0061t", "messages":[{"role":"user","content":"hi"}], "stream":true,"n":2,"max_tokens": 9,"top_k":[{}] }"#;
    let request = chat(body).unwrap();
    assert_eq!(request.model, "chat");
    assert_eq!(&request.body[request.model_span.clone().unwrap()], br#""ch\u0061t""#);
    assert!(request.stream);
    assert_eq!(request.choices, 2);
    assert_eq!(request.max_tokens, Some(9));
    assert_eq!(&request.body[request.max_tokens_span.clone().unwrap()], b"9");
}

#[test]
fn each_prompt_of_a_completion_has_choices_of_its_own() {
    for (fields, choices) in [
        (r#""prompt":"a""#, 1),
        (r#""prompt":"a","n":3"#, 3),
        (r#""prompt":[]"#, 1),
        (r#""prompt":["a"]"#, 1),
        (r#""prompt":["a","b"]"#, 2),
        (r#""n":3,"prompt":["a","b"]"#, 6),
        (r#""prompt":[1,2,3,4]"#, 1),
        (r#""prompt":[ [1,2], [3] ],"n":2"#, 4),
    ] {
        let request = parse(Operation::Completion, Bytes::from(format!("{{{fields}}}"))).unwrap();
        assert_eq!(request.choices, choices, "{fields}");
    }
    let request = chat(r#"{"prompt":["a","b"],"messages":[{"role":"user","content":"hi"}]}"#).unwrap();
    assert_eq!(request.choices, 1, "a chat has no prompts");
}

#[test]
fn only_the_model_and_the_tokens_are_replaced() {
    let request =
        chat(r#"{"a": 1.0e2,"model":"x","max_tokens":8,"messages":[{"role":"user","content":"é"}]}"#).unwrap();
    assert_eq!(
        request.body_for(Some("y\"z"), Some(4)),
        r#"{"a": 1.0e2,"model":"y\"z","max_tokens":4,"messages":[{"role":"user","content":"é"}]}"#.as_bytes()
    );
    assert_eq!(request.body_for(None, None), request.body);
    assert_eq!(request.body_for(Some("x"), None), request.body);
}

#[test]
fn a_number_of_tokens_is_added_where_none_was_given() {
    for (operation, before, after) in [
        (Operation::Chat, r#"{"messages":[M]}"#, r#"{"max_tokens":4,"messages":[M]}"#),
        (Operation::Chat, r#"{"max_tokens":null,"messages":[M]}"#, r#"{"max_tokens":4,"messages":[M]}"#),
        (
            Operation::Chat,
            r#"{"max_tokens":null,"max_completion_tokens":9,"messages":[M]}"#,
            r#"{"max_tokens":null,"max_completion_tokens":4,"messages":[M]}"#,
        ),
        (
            Operation::Chat,
            r#"{"max_tokens":9,"max_completion_tokens":null,"messages":[M]}"#,
            r#"{"max_tokens":4,"max_completion_tokens":null,"messages":[M]}"#,
        ),
        (Operation::Completion, r#"{"prompt":"x"}"#, r#"{"max_tokens":4,"prompt":"x"}"#),
        (Operation::Embed, r#"{"input":"x"}"#, r#"{"input":"x"}"#),
        (Operation::Image, r#"{"prompt":"x"}"#, r#"{"prompt":"x"}"#),
    ] {
        let document = |text: &str| Bytes::from(text.replace('M', r#"{"role":"user","content":"hi"}"#));
        let request = parse(operation, document(before)).unwrap();
        assert_eq!(request.body_for(None, Some(4)), document(after), "{before}");
        assert_eq!(request.body_for(None, None), request.body);
    }
    let request = chat(r#" {"messages":[{"role":"user","content":"hi"}]}"#).unwrap();
    let both = r#" {"model":"m","max_tokens":4,"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(request.body_for(Some("m"), Some(4)), both.as_bytes());
}

#[test]
fn a_model_is_added_where_none_was_named() {
    let request = chat(r#" {"messages":[{"role":"user","content":"hi"}]}"#).unwrap();
    assert_eq!(
        request.body_for(Some("m"), None),
        r#" {"model":"m","messages":[{"role":"user","content":"hi"}]}"#.as_bytes()
    );
    let request = chat(r#"{"model":null,"messages":[{"role":"user","content":"hi"}]}"#).unwrap();
    assert_eq!(
        request.body_for(Some("m"), None),
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#.as_bytes()
    );
}

#[test]
fn every_fault_is_named_at_once_with_its_path() {
    let body = r#"{"model":7,"temperature":3,"n":0,"stream":"yes","stop":[1],"top_p":null,"max_tokens":1.5,
        "messages":[{"role":"robot","content":"x"},{"content":"x"},{"role":"user"},{"role":"assistant","content":null},
        {"role":"tool","content":"x"},{"role":"user","content":[{"type":"image_url","image_url":{}},{"type":"text"},{"type":"smell"}]}],
        "tools":[{"type":"function","function":{"parameters":[]}}]}"#;
    assert_eq!(
        faults(Operation::Chat, body),
        [
            "model: must be a string, not a number",
            "temperature: must be a number from 0 to 2, not 3",
            "n: must be a whole number from 1 to 128, not 0",
            "stream: must be true or false, not a string",
            "stop[0]: must be a string, not a number",
            "max_tokens: must be a whole number, 1 or more, not 1.5",
            "messages[0].role: must be one of \"system\", \"developer\", \"user\", \"assistant\", \"tool\", \"function\", not \"robot\"",
            "messages[1].role: is required",
            "messages[2].content: is required",
            "messages[3].content: is required where there are no tool_calls",
            "messages[4].tool_call_id: is required of a tool's message",
            "messages[5].content[0].image_url.url: is required",
            "messages[5].content[1].text: is required of a part of type \"text\"",
            "messages[5].content[2].type: must be one of \"text\", \"image_url\", \"input_audio\", \"file\", \"refusal\", \"video_url\", \"audio_url\", not \"smell\"",
            "tools[0].function.parameters: must be an object, not a list",
            "tools[0].function.name: is required",
        ]
    );
}

#[test]
fn what_is_missing_or_given_twice_is_a_fault() {
    assert_eq!(faults(Operation::Chat, "{}"), ["messages: is required"]);
    assert_eq!(faults(Operation::Chat, r#"{"messages":[]}"#), ["messages: must hold at least 1, not 0"]);
    assert_eq!(faults(Operation::Chat, r#"{"messages":null}"#), ["messages: must be a list, not null"]);
    assert_eq!(
        faults(Operation::Chat, r#"{"model":"a","model":"b","messages":[{"role":"user","content":"x"}]}"#),
        ["model: is given twice"]
    );
    assert_eq!(faults(Operation::Completion, "{}"), ["prompt: is required"]);
    assert_eq!(
        faults(
            Operation::Image,
            r#"{"prompt":"","n":11,"size":"8x","width":4,"num_inference_steps":0,"stream":true,"response_format":"png"}"#
        ),
        [
            "prompt: must not be empty",
            "n: must be a whole number from 1 to 10, not 11",
            "size: must be auto or WIDTHxHEIGHT, each from 1 to 65536, not \"8x\"",
            "num_inference_steps: must be a whole number from 1 to 1000, not 0",
            "stream: must be false: this is not streamed",
            "response_format: must be one of \"url\", \"b64_json\", not \"png\"",
            "height: is required where width is given",
        ]
    );
    assert_eq!(
        faults(Operation::Embed, r#"{"encoding_format":"hex"}"#),
        ["encoding_format: must be one of \"float\", \"base64\", not \"hex\"", "input: is required"]
    );
}

#[test]
fn what_is_not_a_json_object_is_told_where_it_breaks() {
    for (body, said) in [
        ("", "the body is not JSON: EOF while parsing a value at line 1 column 0"),
        ("[]", "the body must be a JSON object"),
        ("3", "the body must be a JSON object"),
        (r#"{"a":}"#, "the body is not JSON: expected value at line 1 column 6"),
        (r#"{"messages":[]} x"#, "the body is not JSON: trailing characters at line 1 column 17"),
    ] {
        let failure = chat(body).unwrap_err();
        assert_eq!((failure.message.as_str(), failure.http_status()), (said, 400), "{body}");
    }
}

#[test]
fn what_the_reference_allows_is_allowed() {
    for body in [
        r#"{"messages":[{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"x"}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:,"}}]}],"stop":"x","stream_options":null}"#,
        r#"{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{}}},"logit_bias":{"1":2},"tool_choice":"auto"}"#,
    ] {
        chat(body).unwrap();
    }
    for body in [r#"{"prompt":"x"}"#, r#"{"prompt":[[1,2]]}"#, r#"{"prompt":["x"],"max_tokens":0}"#] {
        parse(Operation::Completion, Bytes::copy_from_slice(body.as_bytes())).unwrap();
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for operation in [Operation::Chat, Operation::Completion, Operation::Embed, Operation::Image] {
            let _ = parse(operation, Bytes::from(body.clone()));
        }
    }

    #[test]
    fn a_replaced_model_is_what_is_read_back(before in "[ \n]{0,3}", name in ".{0,12}", next in ".{1,12}", tokens in 1u32..9) {
        let name_json = serde_json::Value::from(name.as_str());
        let body = format!("{before}{{\"x\":1,\"model\":{name_json},\"max_tokens\":{tokens},\"messages\":[{{\"role\":\"user\",\"content\":\"\"}}]}}");
        let request = chat(&body).unwrap();
        prop_assert_eq!(&request.model, &name);
        let again = chat(std::str::from_utf8(&request.body_for(Some(&next), Some(77))).unwrap()).unwrap();
        prop_assert_eq!((again.model.as_str(), again.max_tokens), (next.as_str(), Some(77)));
    }
}

#[test]
fn inputs_are_counted_as_they_are_read() {
    for (input, expected) in
        [(r#""a""#, 1), ("[1,2,3]", 1), (r#"["a","b"]"#, 2), ("[[1,2],[3]]", 2), ("[]", 1), (r#"["a",7]"#, 1)]
    {
        let request = parse(Operation::Embed, Bytes::from(format!(r#"{{"input":{input}}}"#))).unwrap();
        assert_eq!(request.choices, expected, "{input}");
    }
}
