use serde_json::json;

use super::*;
use crate::chat::answer::Finish;

fn told(words: &str, thoughts: &str) -> SoFar {
    let event = |delta: Value| {
        let chunk = json!({"id": "first", "created": 1, "choices": [{"index": 0, "delta": delta}]});
        format!("data: {chunk}\n\n")
    };
    let events = event(json!({"reasoning_content": thoughts})) + &event(json!({"content": words}));
    SoFar::read(events.as_bytes())
}

fn chunk(deltas: &[Value], finish: Option<&str>) -> Chunk {
    let mut events = String::new();
    for delta in deltas {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": null});
        events += &format!("data: {}\n\n", json!({"id": "second", "created": 2, "model": "m", "choices": [choice]}));
    }
    if let Some(finish) = finish {
        let choice = json!({"index": 0, "delta": {}, "finish_reason": finish});
        events += &format!("data: {}\n\n", json!({"id": "second", "created": 2, "choices": [choice]}));
    }
    Chunk { events: events.into(), tokens: 9, finish: finish.map(|_| Finish::Stop), ..Chunk::default() }
}

fn words(words: &[&str], finish: Option<&str>) -> Chunk {
    let mut deltas = vec![json!({"role": "assistant", "content": ""})];
    deltas.extend(words.iter().map(|word| json!({"content": word})));
    chunk(&deltas, finish)
}

fn documents(chunk: &Chunk) -> Vec<Value> {
    let text = std::str::from_utf8(&chunk.events).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[test]
fn a_continued_answer_goes_on_under_the_first_ones_name_and_says_its_role_once() {
    let mut joined = Joined::continuing(&told("Hello ", ""), true, Spent::default());
    let new = joined.take(&words(&[" ", "world"], Some("stop"))).unwrap();
    assert_eq!((new.tokens, new.finish), (1, Some(Finish::Stop)));
    let documents = documents(&new);
    assert_eq!(documents.len(), 2, "{documents:#?}");
    assert_eq!((&documents[0]["id"], &documents[0]["created"]), (&json!("first"), &json!(1)));
    assert_eq!(documents[0]["model"], "m");
    assert_eq!(documents[0]["choices"][0]["delta"], json!({"content": "world"}));
    assert_eq!(documents[1]["choices"][0]["finish_reason"], "stop");
}

#[test]
fn white_space_that_was_not_cut_is_the_new_answers_own() {
    let mut joined = Joined::continuing(&told("Hello ", ""), false, Spent::default());
    let new = joined.take(&words(&[" world"], None)).unwrap();
    assert_eq!(documents(&new)[0]["choices"][0]["delta"]["content"], " world");
}

#[test]
fn of_an_equal_answer_only_what_is_new_is_passed_on() {
    let mut joined = Joined::anew(&told("Hello w", ""), Spent::default());
    let nothing = joined.take(&words(&["Hel", "lo"], None)).unwrap();
    assert!(nothing.events.is_empty() && nothing.tokens == 0 && !joined.is_past());
    let new = joined.take(&words(&[" world", "!"], Some("stop"))).unwrap();
    assert!(joined.is_past());
    let said: String =
        documents(&new).iter().filter_map(|document| document["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!((said.as_str(), new.tokens), ("orld!", 2));
}

#[test]
fn another_answer_is_found_out_wherever_it_differs() {
    let tool = json!({"tool_calls": [{"index": 0, "function": {"name": "f"}}]});
    for (what, other) in [
        ("another word", words(&["Hi"], None)),
        ("an earlier end", words(&["Hello"], Some("stop"))),
        ("a tool instead", chunk(&[tool], None)),
        ("parts instead", chunk(&[json!({"content": [{"type": "text", "text": "Hello w"}]})], None)),
    ] {
        assert_eq!(Joined::anew(&told("Hello w", ""), Spent::default()).take(&other), Err(Diverged), "{what}");
    }
}

#[test]
fn thoughts_are_matched_until_words_were_said_and_dropped_then() {
    let think = |thought: &str| json!({"reasoning_content": thought});
    let mut joined = Joined::anew(&told("", "hm, "), Spent::default());
    let new = joined.take(&chunk(&[think("hm"), think(", yes"), json!({"content": "Hi"})], Some("stop"))).unwrap();
    let deltas: Vec<Value> =
        documents(&new).into_iter().map(|document| document["choices"][0]["delta"].clone()).collect();
    assert_eq!(deltas, [json!({"reasoning_content": "yes"}), json!({"content": "Hi"}), json!({})]);

    let early = chunk(&[think("hm"), json!({"content": "Hi"})], None);
    assert_eq!(Joined::anew(&told("", "hm, "), Spent::default()).take(&early), Err(Diverged));

    for mut joined in [
        Joined::anew(&told("Hi", "hm"), Spent::default()),
        Joined::continuing(&told("Hi", "hm"), false, Spent::default()),
    ] {
        let new = joined.take(&chunk(&[think("oh")], None)).unwrap();
        assert!(new.events.is_empty(), "{new:?}");
    }
}

#[test]
fn a_tool_may_be_called_after_the_words_that_were_said() {
    let tool = json!({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]});
    let mut joined = Joined::continuing(&told("Hi", ""), false, Spent::default());
    assert_eq!(joined.take(&chunk(&[tool], Some("tool_calls"))).unwrap().tokens, 1);
}

#[test]
fn a_text_completion_is_joined_likewise() {
    let event = |text: &str| Bytes::from(format!("data: {}\n\n", json!({"choices": [{"index": 0, "text": text}]})));
    let mut joined = Joined::anew(&SoFar::read(&event("ab")), Spent::default());
    let new = joined.take(&Chunk { events: event("abc"), tokens: 1, ..Chunk::default() }).unwrap();
    assert_eq!(documents(&new)[0]["choices"][0]["text"], "c");
}

#[test]
fn usage_counts_every_attempt() {
    let spent = Spent { known: Usage { input_tokens: 0, output_tokens: 4 }, unknown_prompts: 2, repeated: 3 };
    let own = Usage { input_tokens: 10, output_tokens: 5 };
    let all = Usage { input_tokens: 24, output_tokens: 9 };
    assert_eq!((spent.and(own), spent.prompt_of(own)), (all, 7));
    let usage =
        json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "x": 1}});
    let chunk = Chunk { events: format!("data: {usage}\n\n").into(), usage: Some(own), ..Chunk::default() };
    let new = Joined::continuing(&told("Hi", ""), false, spent).take(&chunk).unwrap();
    assert_eq!(new.usage, Some(all));
    assert_eq!(
        documents(&new)[0]["usage"],
        json!({"prompt_tokens": 24, "completion_tokens": 9, "total_tokens": 33, "x": 1})
    );
}
