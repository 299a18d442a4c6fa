use proptest::prelude::*;

use super::*;
use crate::chat::media;

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
        (r#""prompt":[7]"#, 1),
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
            "prompt: must not be empty or blank",
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

const USER: &str = r#"{"role":"user","content":"x"}"#;

/// A chat with these fields beside its one message.
fn with(fields: &str) -> String {
    format!(r#"{{"messages":[{USER}],{fields}}}"#)
}

/// A chat of these messages.
fn of(messages: &str) -> String {
    format!(r#"{{"messages":[{messages}]}}"#)
}

#[test]
fn every_field_of_a_chat_is_held_to_what_it_may_be() {
    let calls =
        r#"{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]}"#;
    let tools = r#""tools":[{"type":"function","function":{"name":"look"}}]"#;
    for (body, fault) in [
        (of(r#"{"role":"user","content":""}"#), "messages[0].content: must not be empty or blank"),
        (of(r#"{"role":"user","content":" \n\u0000"}"#), "messages[0].content: must not be empty or blank"),
        (of(r#"{"role":"user","content":[]}"#), "messages[0].content: must not be empty or blank"),
        (
            of(r#"{"role":"user","content":[{"type":"text","text":" "}]}"#),
            "messages[0].content: must not be empty or blank",
        ),
        (
            of(r#"{"role":"tool","tool_call_id":"c1","content":"x"}"#),
            "messages[0].tool_call_id: must be the id of one of the tool_calls of an earlier message",
        ),
        (
            of(&format!(r#"{calls},{{"role":"tool","tool_call_id":"c2","content":"x"}}"#)),
            "messages[1].tool_call_id: must be the id of one of the tool_calls of an earlier message",
        ),
        (
            of(&format!(r#"{{"role":"user","name":"{}","content":"x"}}"#, "n".repeat(257))),
            "messages[0].name: must have at most 256 characters, not 257",
        ),
        (
            of(r#"{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf"}}]}"#),
            "messages[0].content[0].file.file_data: is required where there is no file_id",
        ),
        (
            of(r#"{"role":"user","content":[{"type":"file","file":7}]}"#),
            "messages[0].content[0].file: must be an object, not a number",
        ),
        (
            of(r#"{"role":"assistant","tool_calls":[{"id":"","function":{"name":"f","arguments":""}}]}"#),
            "messages[0].tool_calls[0].id: must not be empty",
        ),
        (with(r#""stop":["a",""]"#), "stop[1]: must not be empty"),
        (with(r#""stop":"""#), "stop: must not be empty"),
        (with(r#""stream_options":{"include_usage":true}"#), "stream_options: may stand only where stream is true"),
        (with(r#""top_logprobs":2"#), "top_logprobs: may stand only where logprobs is true"),
        (with(r#""logit_bias":{"12":101}"#), "logit_bias.12: must be a number from -100 to 100, not 101"),
        (with(r#""logit_bias":{"cat":1}"#), "logit_bias.cat: must be named after a token's number"),
        (with(r#""logit_bias":[1]"#), "logit_bias: must be an object, not a list"),
        (with(r#""metadata":{"a":1}"#), "metadata.a: must be a string, not a number"),
        (with(r#""user":7"#), "user: must be a string, not a number"),
        (with(&format!(r#""user":"{}""#, "u".repeat(1025))), "user: must have at most 1024 characters, not 1025"),
        (
            with(r#""tool_choice":"must""#),
            "tool_choice: must be one of \"none\", \"auto\", \"required\", \"any\", or an object, not \"must\"",
        ),
        (with(r#""tool_choice":"required""#), "tool_choice: requires a tool, but there are none"),
        (
            with(&format!(r#""tool_choice":{{"type":"function","function":{{"name":"lok"}}}},{tools}"#)),
            "tool_choice.function.name: must be the name of one of the tools",
        ),
        (
            with(&format!(r#""tool_choice":{{"type":"function"}},{tools}"#)),
            "tool_choice.function: is required where type is \"function\"",
        ),
        (
            with(
                r#""tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"a"}}]"#,
            ),
            "tools[1].function.name: is the name of another tool, too",
        ),
        (with(r#""tools":[{"type":"function"}]"#), "tools[0].function: is required where type is \"function\""),
        (
            with(r#""response_format":{"type":"json_schema"}"#),
            "response_format.json_schema: is required where type is \"json_schema\"",
        ),
        (
            with(r#""response_format":{"type":"json_schema","json_schema":{"name":"n"}}"#),
            "response_format.json_schema.schema: is required",
        ),
        (with(r#""response_format":{"type":""}"#), "response_format.type: must not be empty"),
        (
            with(&format!(r#""vendor":{}{}"#, "[".repeat(101), "]".repeat(101))),
            "vendor: is nested more than 100 levels deep",
        ),
        (with(r#""store":"yes""#), "store: must be true or false, not a string"),
        (with(r#""reasoning_effort":7"#), "reasoning_effort: must be a string, not a number"),
        (with(r#""function_call":{"name":""}"#), "function_call.name: must not be empty"),
    ] {
        assert_eq!(faults(Operation::Chat, &body), [fault], "{body}");
    }
}

#[test]
fn every_field_of_a_completion_and_of_an_embedding_is_held_to_what_it_may_be() {
    for (operation, body, fault) in [
        (Operation::Completion, r#"{"prompt":""}"#, "prompt: must not be empty or blank"),
        (Operation::Completion, r#"{"prompt":" \n"}"#, "prompt: must not be empty or blank"),
        (Operation::Completion, r#"{"prompt":[]}"#, "prompt: must hold at least 1, not 0"),
        (Operation::Completion, r#"{"prompt":["a",""]}"#, "prompt[1]: must not be empty or blank"),
        (
            Operation::Completion,
            r#"{"prompt":["a",7]}"#,
            "prompt: must hold strings only, tokens only, or lists of tokens only",
        ),
        (Operation::Completion, r#"{"prompt":[[1,-2]]}"#, "prompt[0][1]: must be a whole number, 0 or more, not -2"),
        (
            Operation::Completion,
            r#"{"prompt":[1.5]}"#,
            "prompt[0]: must be a string, a token, or a list of tokens, not 1.5",
        ),
        (Operation::Completion, r#"{"prompt":"a","best_of":2,"n":3}"#, "best_of: must not be less than n"),
        (Operation::Completion, r#"{"prompt":"a","suffix":7}"#, "suffix: must be a string, not a number"),
        (Operation::Embed, r#"{"input":[]}"#, "input: must hold at least 1, not 0"),
        (Operation::Embed, r#"{"input":""}"#, "input: must not be empty"),
        (Operation::Embed, r#"{"input":["a","\u0000"]}"#, "input[1]: must not be empty"),
        (Operation::Embed, r#"{"input":[[]]}"#, "input[0]: must hold at least 1, not 0"),
        (
            Operation::Embed,
            r#"{"input":{"text":"a"}}"#,
            "input: must be a string, a list of strings, or tokens, not an object",
        ),
        (Operation::Embed, r#"{"input":"a","dimensions":0}"#, "dimensions: must be a whole number, 1 or more, not 0"),
    ] {
        assert_eq!(faults(operation, body), [fault], "{body}");
    }
}

#[test]
fn what_some_provider_takes_is_not_refused() {
    let tools = r#""tools":[{"type":"function","function":{"name":"look"}},{"type":"custom","custom":{"name":"run"}},{"type":"web_search"}]"#;
    for body in [
        of(r#"{"role":"system","content":""},{"role":"user","content":"x"}"#),
        of(
            r#"{"role":"user","content":[{"type":"text","text":""},{"type":"image_url","image_url":{"url":"file:///x.png"}}]}"#,
        ),
        of(r#"{"role":"user","content":[{"type":"file","file":{"file_id":"f1"}}]}"#),
        with(r#""stop":["a","b","c","d","e"]"#),
        with(r#""logprobs":true,"top_logprobs":50"#),
        with(r#""top_logprobs":0"#),
        with(&format!(r#""tool_choice":"any",{tools}"#)),
        with(&format!(r#"{tools},"tool_choice":{{"type":"custom","custom":{{"name":"run"}}}}"#)),
        with(r#""tool_choice":"none""#),
        with(r#""response_format":{"type":"json_object","schema":{}}"#),
        with(r#""response_format":{"type":"json_schema","schema":{}}"#),
        with(r#""response_format":{"type":"structural_tag","structures":[]}"#),
        with(&format!(r#""vendor":{}{}"#, "[".repeat(100), "]".repeat(100))),
        with(r#""vendor":"\ud800 and 1e999","big":1e999"#),
        with(r#""logit_bias":null,"tool_choice":null,"stream_options":null,"metadata":null"#),
    ] {
        chat(&body).unwrap_or_else(|failure| panic!("{body}: {failure:?}"));
    }
    for body in [r#"{"input":" "}"#, r#"{"input":[1,2]}"#, r#"{"input":[[1],[2]]}"#, r#"{"input":["a","b"]}"#] {
        parse(Operation::Embed, Bytes::copy_from_slice(body.as_bytes())).unwrap();
    }
}

#[test]
fn characters_are_counted_over_all_that_the_model_reads() {
    let bounds = |max_input_chars| Bounds { max_input_chars, media: None };
    for (operation, body, characters, path) in [
        (
            Operation::Chat,
            of(r#"{"role":"system","content":"äb"},{"role":"user","content":[{"type":"text","text":"cde"}]}"#),
            5,
            "messages",
        ),
        (Operation::Completion, r#"{"prompt":["ab","c"],"suffix":"d"}"#.to_owned(), 4, "prompt"),
        (Operation::Embed, r#"{"input":["ab","日本"],"user":"not counted"}"#.to_owned(), 4, "input"),
    ] {
        admit(operation, Bytes::from(body.clone()), bounds(characters)).unwrap();
        let failure = admit(operation, Bytes::from(body), bounds(characters - 1)).unwrap_err();
        let told: Vec<_> = failure.fields.iter().map(|fault| (fault.path.as_str(), fault.message.as_str())).collect();
        let expected =
            format!("holds {characters} characters; {} are allowed (validation.max_input_chars)", characters - 1);
        assert_eq!(told, [(path, expected.as_str())]);
    }
}

#[test]
fn media_are_looked_at_where_a_door_wants_it() {
    let bounds = media::Bounds { max_image_bytes: 12, max_document_bytes: 20 };
    let bounds = Bounds { max_input_chars: 1000, media: Some(bounds) };
    let image = |url: &str| {
        of(&format!(r#"{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}"#))
    };
    let file =
        |data: &str| of(&format!(r#"{{"role":"user","content":[{{"type":"file","file":{{"file_data":"{data}"}}}}]}}"#));
    for (body, part) in [
        (image("data:image/png;base64,R0lGODlh"), "image/png, but the bytes are image/gif"),
        (image("data:image/gif;base64,R0lGODlhAAAAAAAAAAAA"), "holds 15 bytes; an image may have 12"),
        (image("data:image/gif;base64,R0lG*Dlh"), "is not base64"),
        (image("data:image/gif,GIF89a"), "must read data:TYPE;base64,BYTES"),
        (image("R0lGODlh"), "must be an https or http address"),
        (image(""), "must be an https or http address"),
        (file("data:application/pdf;base64,R0lGODlh"), "application/pdf, but the bytes are image/gif"),
        (file("JVBERi0xLjcAAAAAAAAAAAAAAAAAAAAA"), "holds 24 bytes; a document may have 20"),
        (file("%PDF-1.7"), "is not base64"),
    ] {
        let failure = admit(Operation::Chat, Bytes::from(body.clone()), bounds).unwrap_err();
        let field = if body.contains("image_url") { "image_url.url" } else { "file.file_data" };
        assert_eq!(failure.fields[0].path, format!("messages[0].content[0].{field}"), "{body}");
        assert!(failure.fields[0].message.contains(part), "{body}: {:?}", failure.fields);
        chat(&body).unwrap();
    }
    for body in [
        image("data:image/gif;base64,R0lGODlh"),
        image("https://example.com/cat.png"),
        file("JVBERi0xLjc="),
        file("https://example.com/a.pdf"),
    ] {
        let request = admit(Operation::Chat, Bytes::from(body.clone()), bounds).unwrap();
        assert_eq!(request.body, body.as_bytes());
    }
}

#[test]
fn control_characters_and_broken_ones_are_taken_out_of_texts_and_nothing_else_changes() {
    for (operation, before, after, removed) in [
        (
            Operation::Chat,
            r#"{ "x":1.0e2,"messages":[{"role":"user","content":"a\u0000b\u001b[0m","vendor":"\u0000"}], "stop":["\u0000"]}"#,
            r#"{ "x":1.0e2,"messages":[{"role":"user","content":"ab[0m","vendor":"\u0000"}], "stop":["\u0000"]}"#,
            2,
        ),
        (
            Operation::Chat,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"\ud83d x \ud83d\ude00\b"}]}],"model":"\u006d"}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":" x \ud83d\ude00"}]}],"model":"\u006d"}"#,
            2,
        ),
        (Operation::Completion, "{\"prompt\":[\"a\u{7f}\",\"b\"]}", r#"{"prompt":["a","b"]}"#, 1),
        (Operation::Completion, r#"{"prompt":"\u0085a\n\t\u0001"}"#, r#"{"prompt":"\u0085a\n\t"}"#, 1),
        (Operation::Embed, "{\"input\":\"\u{9b}a\"}", r#"{"input":"a"}"#, 1),
    ] {
        let request = parse(operation, Bytes::copy_from_slice(before.as_bytes())).unwrap();
        assert_eq!(std::str::from_utf8(&request.body).unwrap(), after);
        assert_eq!(request.removed, removed, "{before}");
        let again = parse(operation, request.body.clone()).unwrap();
        assert_eq!(again, Request { removed: 0, ..request });
    }
    let failure = chat(r#"{"messages":[{"role":"user","content":"\ud83d"}]"#).unwrap_err();
    assert!(failure.message.starts_with("the body is not JSON: "), "{}", failure.message);
}

/// Any JSON, with keys and words that mean something here more often than not.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let word = prop_oneof![
        proptest::sample::select(vec![
            "user",
            "assistant",
            "tool",
            "text",
            "function",
            "c1",
            "data:image/png;base64,AAAA",
            "json_schema",
            "",
            "\0",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        (0_i64..3).prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        word.prop_map(serde_json::Value::from),
    ];
    let key = proptest::sample::select(vec![
        "messages",
        "role",
        "content",
        "type",
        "text",
        "prompt",
        "input",
        "tools",
        "tool_calls",
        "tool_call_id",
        "id",
        "function",
        "name",
        "arguments",
        "image_url",
        "url",
        "file",
        "file_data",
        "stop",
        "n",
        "model",
        "max_tokens",
        "tool_choice",
        "response_format",
        "logit_bias",
        "12",
        "vendor",
        "stream",
    ]);
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            proptest::collection::vec((key.clone(), inner), 0..6).prop_map(|fields| {
                fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<serde_json::Map<_, _>>().into()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_refused_or_passes_as_it_is_but_for_what_was_taken_out(
        mut json in any_json(), content in any::<String>(), extra in any_json(),
    ) {
        if let Some(fields) = json.as_object_mut() {
            if fields.get("messages").is_none_or(serde_json::Value::is_null) {
                fields.insert("messages".into(), serde_json::json!([{"role": "user", "content": content, "x": extra}]));
            }
            fields.entry("prompt").or_insert_with(|| content.clone().into());
            fields.entry("input").or_insert_with(|| content.into());
        }
        let body = Bytes::from(json.to_string());
        let bounds = media::Bounds { max_image_bytes: 9, max_document_bytes: 9 };
        for operation in [Operation::Chat, Operation::Completion, Operation::Embed] {
            match admit(operation, body.clone(), Bounds { max_input_chars: 1000, media: Some(bounds) }) {
                Ok(request) if request.removed == 0 => prop_assert_eq!(&request.body, &body),
                Ok(request) => {
                    prop_assert!(request.body.len() < body.len());
                    let again = parse(operation, request.body.clone()).unwrap();
                    prop_assert_eq!(again, Request { removed: 0, ..request });
                }
                Err(failure) => prop_assert_eq!(failure.kind, ErrorKind::InvalidInput),
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for operation in [Operation::Chat, Operation::Completion, Operation::Embed, Operation::Image] {
            let _ = parse(operation, Bytes::from(body.clone()));
        }
    }

    #[test]
    fn a_replaced_model_is_what_is_read_back(before in "[ \n]{0,3}", name in ".{0,12}", next in ".{1,12}", tokens in 1u32..9) {
        let name_json = serde_json::Value::from(name.as_str());
        let body = format!("{before}{{\"x\":1,\"model\":{name_json},\"max_tokens\":{tokens},\"messages\":[{{\"role\":\"user\",\"content\":\"c\"}}]}}");
        let request = chat(&body).unwrap();
        prop_assert_eq!(&request.model, &name);
        let again = chat(std::str::from_utf8(&request.body_for(Some(&next), Some(77))).unwrap()).unwrap();
        prop_assert_eq!((again.model.as_str(), again.max_tokens), (next.as_str(), Some(77)));
    }
}

#[test]
fn inputs_are_counted_as_they_are_read() {
    for (input, expected) in
        [(r#""a""#, 1), ("[1,2,3]", 1), (r#"["a","b"]"#, 2), ("[[1,2],[3]]", 2), (r#"[" "]"#, 1), (r#"[" "," "]"#, 2)]
    {
        let request = parse(Operation::Embed, Bytes::from(format!(r#"{{"input":{input}}}"#))).unwrap();
        assert_eq!(request.choices, expected, "{input}");
    }
}
