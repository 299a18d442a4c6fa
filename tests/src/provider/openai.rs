//! Answers in OpenAI's shapes, as OpenAI and vLLM write them.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{
    asked::{Asked, Event, Shape, Telling, quoted},
    parts::Answer,
};

const CREATED: u64 = 1_750_000_000;
const PROMPT_TOKENS: usize = 7;

/// The document of an answer that is not streamed; `finish` is JSON, `null` included.
pub(super) fn whole(answer: &Answer, asked: &Asked, finish: bool) -> String {
    match asked.shape {
        Shape::Embeddings => embeddings(asked),
        Shape::Images => images(answer, asked),
        Shape::Models => models(),
        _ => completion(answer, asked, finish),
    }
}

fn completion(answer: &Answer, asked: &Asked, finish: bool) -> String {
    let finish = if finish { quoted(answer.finish_reason()) } else { "null".to_owned() };
    let choice = |index: u64| {
        let inside = if asked.shape == Shape::Completion {
            format!("\"text\":{}", quoted(&answer.words(asked.seq).concat()))
        } else {
            format!("\"message\":{}", message(answer, asked.seq))
        };
        let logprobs = logprobs(asked, &answer.words(asked.seq));
        format!(r#"{{"index":{index},{inside},"logprobs":{logprobs},"finish_reason":{finish}}}"#)
    };
    let choices: Vec<String> = (0..asked.choices()).map(choice).collect();
    let object = if asked.shape == Shape::Completion { "text_completion" } else { "chat.completion" };
    let usage = usage(answer, asked);
    format!("{{{},\"choices\":[{}],\"usage\":{usage}}}", front(answer, asked, object), choices.join(","))
}

fn message(answer: &Answer, seq: usize) -> String {
    let words = answer.words(seq).concat();
    let silent = answer.refusal.is_some() || (!answer.tools.is_empty() && words.is_empty());
    let content = if silent { Value::Null } else { Value::from(words) };
    let mut message = json!({"role": "assistant", "content": content, "refusal": answer.refusal});
    if !answer.reasoning.is_empty() {
        message["reasoning_content"] = answer.reasoning.concat().into();
    }
    if !answer.tools.is_empty() {
        let call = |(index, tool): (usize, &super::act::Tool)| {
            json!({"id": tool_id(seq, index), "type": "function",
                   "function": {"name": tool.name, "arguments": tool.arguments.concat()}})
        };
        message["tool_calls"] = answer.tools.iter().enumerate().map(call).collect();
    }
    message.to_string()
}

/// The events of a streamed answer.
pub(super) fn telling(answer: &Answer, asked: &Asked) -> Telling {
    let mut telling = Telling::default();
    let each_choice = |delta: &dyn Fn() -> String, finish: &str, word: Option<&str>| -> Vec<Event> {
        (0..asked.choices()).map(|index| chunk(answer, asked, index, &delta(), finish, word)).collect()
    };
    if asked.shape == Shape::Chat {
        telling.opening = each_choice(&|| r#"{"role":"assistant","content":""}"#.to_owned(), "null", None);
    }
    for thought in &answer.reasoning {
        let delta = || json!({"reasoning_content": thought}).to_string();
        telling.tokens.push(each_choice(&delta, "null", None));
    }
    for word in answer.words(asked.seq) {
        telling.tokens.push(each_choice(&|| json!({"content": word}).to_string(), "null", Some(&word)));
    }
    if let Some(refusal) = &answer.refusal {
        telling.tokens.push(each_choice(&|| json!({"refusal": refusal}).to_string(), "null", None));
    }
    for (index, tool) in answer.tools.iter().enumerate() {
        let opening = json!({"tool_calls": [{"index": index, "id": tool_id(asked.seq, index), "type": "function",
                             "function": {"name": tool.name, "arguments": ""}}]});
        telling.tokens.push(each_choice(&|| opening.to_string(), "null", None));
        for piece in &tool.arguments {
            let delta = json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]});
            telling.tokens.push(each_choice(&|| delta.to_string(), "null", None));
        }
    }
    telling.finish = each_choice(&|| "{}".to_owned(), &quoted(answer.finish_reason()), None);
    if asked.body["stream_options"]["include_usage"] == true {
        let front = front(answer, asked, object_of_chunk(asked));
        telling.finish.push(Event::data(format!("{{{front},\"choices\":[],\"usage\":{}}}", usage(answer, asked))));
    }
    telling.done = vec![Event::data("[DONE]")];
    telling
}

fn chunk(answer: &Answer, asked: &Asked, index: u64, delta: &str, finish: &str, word: Option<&str>) -> Event {
    let inside = if asked.shape == Shape::Completion {
        format!("\"text\":{}", quoted(word.unwrap_or_default()))
    } else {
        format!("\"delta\":{delta}")
    };
    let logprobs = word.map_or("null".to_owned(), |word| logprobs(asked, &[word.to_owned()]));
    let front = front(answer, asked, object_of_chunk(asked));
    Event::data(format!(
        r#"{{{front},"choices":[{{"index":{index},{inside},"logprobs":{logprobs},"finish_reason":{finish}}}]}}"#
    ))
}

const fn object_of_chunk(asked: &Asked) -> &'static str {
    match asked.shape {
        Shape::Completion => "text_completion",
        _ => "chat.completion.chunk",
    }
}

/// The members that every document begins with.
fn front(answer: &Answer, asked: &Asked, object: &str) -> String {
    let model = quoted(answer.model.as_deref().unwrap_or(asked.model()));
    let extra = answer.extra.as_ref().map(|members| format!(",{members}")).unwrap_or_default();
    format!(r#""id":"chatcmpl-{}","object":"{object}","created":{CREATED},"model":{model}{extra}"#, asked.seq)
}

fn usage(answer: &Answer, asked: &Asked) -> String {
    let tokens = answer.tokens(asked.seq) * usize::try_from(asked.choices()).unwrap();
    let total = PROMPT_TOKENS + tokens;
    format!(r#"{{"prompt_tokens":{PROMPT_TOKENS},"completion_tokens":{tokens},"total_tokens":{total}}}"#)
}

fn logprobs(asked: &Asked, words: &[String]) -> String {
    if asked.shape != Shape::Chat || asked.body["logprobs"] != true {
        return "null".to_owned();
    }
    let one = |word: &String| json!({"token": word, "logprob": -0.25, "bytes": word.as_bytes(), "top_logprobs": []});
    json!({"content": words.iter().map(one).collect::<Vec<_>>(), "refusal": null}).to_string()
}

fn tool_id(seq: usize, index: usize) -> String {
    format!("call_{seq}_{index}")
}

/// Each input's vector is its place, its length and a fraction, so that mixed-up vectors show.
fn embeddings(asked: &Asked) -> String {
    let inputs: Vec<&Value> = match &asked.body["input"] {
        Value::Array(inputs) if !inputs.iter().any(Value::is_number) => inputs.iter().collect(),
        one => vec![one],
    };
    let vector = |(index, input): (usize, &&Value)| {
        let length = u16::try_from(input.as_str().map_or(0, str::len)).unwrap_or(u16::MAX);
        let values = [f32::from(u16::try_from(index).unwrap()), f32::from(length), -0.5];
        let embedding = if asked.body["encoding_format"] == "base64" {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            Value::from(BASE64_STANDARD.encode(bytes))
        } else {
            json!(values)
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    let data: Vec<Value> = inputs.iter().enumerate().map(vector).collect();
    json!({"object": "list", "data": data, "model": asked.model(), "usage": {"prompt_tokens": 3, "total_tokens": 3}})
        .to_string()
}

/// Each image is the head of a PNG of the size asked for, and then the request's number and its own; none where the
/// answer says nothing. By address where that is what is asked for.
fn images(answer: &Answer, asked: &Asked) -> String {
    let size = asked.body["size"].as_str().unwrap_or("256x256");
    let side = |text: &str| text.parse::<u32>().unwrap_or(256).to_be_bytes();
    let (width, height) =
        size.split_once('x').map_or((side(""), side("")), |(width, height)| (side(width), side(height)));
    let image = |index: u64| {
        if asked.body["response_format"] == "url" {
            return json!({"url": format!("https://images.example/{}/{index}.png", asked.seq)});
        }
        let head = [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".as_slice(), &width, &height].concat();
        let bytes = [head, format!(" {}:{index}", asked.seq).into_bytes()].concat();
        json!({"b64_json": BASE64_STANDARD.encode(bytes)})
    };
    let count = if answer.tokens(asked.seq) == 0 { 0 } else { asked.choices() };
    json!({"created": CREATED, "data": (0..count).map(image).collect::<Vec<_>>()}).to_string()
}

fn models() -> String {
    let model = json!({"id": "scripted", "object": "model", "created": CREATED, "owned_by": "script"});
    json!({"object": "list", "data": [model]}).to_string()
}

/// An error told in a stream that has begun.
pub(super) fn error(kind: &str, message: &str) -> Event {
    Event::data(json!({"error": {"message": message, "type": kind, "param": null, "code": null}}).to_string())
}

impl Answer {
    /// The tokens of text of an answer to request `seq`.
    pub(super) fn words(&self, seq: usize) -> Vec<String> {
        if self.text.is_empty() {
            (0..self.numbered).map(|place| format!("{seq}:{place} ")).collect()
        } else {
            self.text.clone()
        }
    }

    /// How many tokens an answer to request `seq` has, of any kind.
    pub(super) fn tokens(&self, seq: usize) -> usize {
        let tools: usize = self.tools.iter().map(|tool| 1 + tool.arguments.len()).sum();
        self.reasoning.len() + self.words(seq).len() + usize::from(self.refusal.is_some()) + tools
    }

    /// Why the model stopped, in OpenAI's words.
    pub(super) fn finish_reason(&self) -> &str {
        match &self.finish {
            Some(reason) => reason,
            None if self.tools.is_empty() => "stop",
            None => "tool_calls",
        }
    }
}
