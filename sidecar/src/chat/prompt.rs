//! A request's prompt as a model's window sees it: turns, their texts, and what takes up tokens without being text.
//!
//! It is read only where a prompt may be too long. What it cannot read it does not judge.

use std::borrow::Cow;

use fusebox_rules::truncation::Speaker;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::request::{Operation, Request};

/// What marks a turn's beginning, its speaker and its end.
const TOKENS_A_TURN: u64 = 4;
/// What a prompt begins with, and what begins the answer.
const TOKENS_A_PROMPT: u64 = 3;
/// A picture, whatever its size: providers scale it to some 700 to 1600 tokens.
const TOKENS_AN_IMAGE: u64 = 1100;
/// A picture of which little detail is wanted.
const TOKENS_A_SMALL_IMAGE: u64 = 85;
/// Sounds, films and files: their length says little.
const TOKENS_A_MEDIUM: u64 = 1500;

/// What a model reads before it answers.
#[derive(Debug)]
pub(super) struct Prompt<'a> {
    /// A chat's turns; of other requests, the prompts, each of which is answered by itself.
    pub(super) turns: Vec<Turn<'a>>,
    /// What comes with every turn or prompt: tools, the answer's schema, a suffix.
    pub(super) rest: Passage<'a>,
    /// Whether the turns are one prompt.
    pub(super) together: bool,
}

/// One turn of a chat, or one prompt.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    /// Who speaks.
    pub(super) speaker: Speaker,
    /// What is said.
    pub(super) said: Passage<'a>,
    /// The ids of the tool calls that it makes.
    pub(super) calls: Vec<Cow<'a, str>>,
    /// The id of the tool call that it answers.
    pub(super) answers: Option<Cow<'a, str>>,
}

/// Texts, and what is no text.
#[derive(Debug, Default)]
pub(super) struct Passage<'a> {
    /// In order.
    pub(super) texts: Vec<Cow<'a, str>>,
    /// Tokens of all that is not text.
    pub(super) fixed: u64,
}

impl<'a> Prompt<'a> {
    /// The prompt of `request`; `None` if it is of a shape not known here.
    #[must_use]
    pub(super) fn of(request: &'a Request) -> Option<Self> {
        let document: Document<'a> = serde_json::from_slice(&request.body).ok()?;
        let mut rest = Passage { fixed: TOKENS_A_PROMPT, ..Passage::default() };
        let (turns, together) = match request.operation {
            Operation::Chat => {
                for raw in [document.tools, document.functions, document.response_format].into_iter().flatten() {
                    rest.texts.push(Cow::Borrowed(raw.get()));
                }
                (document.messages?.into_iter().map(Message::turn).collect::<Option<_>>()?, true)
            }
            Operation::Completion => {
                rest.texts.extend(document.suffix.and_then(text));
                (prompts(document.prompt?)?, false)
            }
            Operation::Embed => (prompts(document.input?)?, false),
            // A window is of tokens that a model reads and writes; an image's prompt is cut by its server.
            Operation::Image => return None,
        };
        Some(Self { turns, rest, together })
    }
}

/// What of a request goes into a prompt.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    messages: Option<Vec<Message<'a>>>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    suffix: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    functions: Option<&'a RawValue>,
    #[serde(borrow)]
    response_format: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(borrow)]
    tool_call_id: Option<Text<'a>>,
    #[serde(borrow)]
    function_call: Option<Function<'a>>,
}

/// A text that is borrowed where it holds no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
    #[serde(borrow)]
    custom: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    arguments: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    #[serde(borrow)]
    image_url: Option<Image<'a>>,
}

#[derive(Deserialize)]
struct Image<'a> {
    #[serde(borrow)]
    detail: Option<Text<'a>>,
}

impl<'a> Message<'a> {
    fn turn(self) -> Option<Turn<'a>> {
        let mut said = Passage { fixed: TOKENS_A_TURN, ..Passage::default() };
        for raw in [self.content, self.reasoning_content].into_iter().flatten() {
            said.add(raw)?;
        }
        let speaker = match &*self.role {
            "system" | "developer" => Speaker::System,
            "user" => Speaker::User,
            "tool" | "function" => Speaker::Tool,
            _ => Speaker::Assistant,
        };
        let mut calls = Vec::new();
        for call in self.tool_calls.into_iter().flatten() {
            calls.extend(call.id.map(|id| id.0));
            said.texts.extend(call.custom.map(|raw| Cow::Borrowed(raw.get())));
            if let Some(function) = call.function {
                function.into_texts(&mut said);
            }
        }
        if let Some(function) = self.function_call {
            calls.push(function.name.0.clone());
            function.into_texts(&mut said);
        }
        // A function's answer, the older form of a tool's, names the function.
        let answers = match speaker {
            Speaker::Tool => self.tool_call_id.or(self.name).map(|id| id.0),
            _ => {
                said.texts.extend(self.name.map(|name| name.0));
                None
            }
        };
        Some(Turn { speaker, said, calls, answers })
    }
}

impl<'a> Function<'a> {
    fn into_texts(self, said: &mut Passage<'a>) {
        said.fixed += TOKENS_A_TURN;
        said.texts.push(self.name.0);
        said.texts.extend(self.arguments.map(|arguments| arguments.0));
    }
}

impl<'a> Passage<'a> {
    /// Adds a message's content: a text, or parts.
    fn add(&mut self, content: &'a RawValue) -> Option<()> {
        if let Some(text) = text(content) {
            self.texts.push(text);
            return Some(());
        }
        let parts: Vec<Part<'a>> = serde_json::from_str(content.get()).ok()?;
        for part in parts {
            match &*part.kind {
                "text" => self.texts.extend(part.text.map(|text| text.0)),
                "refusal" => self.texts.extend(part.refusal.map(|text| text.0)),
                "image_url" => {
                    let detail = part.image_url.and_then(|image| image.detail);
                    let small = detail.is_some_and(|detail| detail.0 == "low");
                    self.fixed += if small { TOKENS_A_SMALL_IMAGE } else { TOKENS_AN_IMAGE };
                }
                _ => self.fixed += TOKENS_A_MEDIUM,
            }
        }
        Some(())
    }
}

fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0)
}

/// What is completed or embedded: a text, a list of texts, a list of tokens, or a list of such lists.
fn prompts(raw: &RawValue) -> Option<Vec<Turn<'_>>> {
    if let Some(text) = text(raw) {
        return Some(vec![prompt(vec![text], 0)]);
    }
    let items = items(raw)?;
    if items.first().is_some_and(|item| !item.get().starts_with(['"', '['])) {
        return Some(vec![prompt(Vec::new(), items.len())]);
    }
    let one = |item| match text(item) {
        Some(text) => Some(prompt(vec![text], 0)),
        None => Some(prompt(Vec::new(), items_in(item)?)),
    };
    items.into_iter().map(one).collect()
}

fn prompt(texts: Vec<Cow<'_, str>>, tokens: usize) -> Turn<'_> {
    let said = Passage { texts, fixed: tokens as u64 };
    Turn { speaker: Speaker::User, said, calls: Vec::new(), answers: None }
}

fn items(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

fn items_in(raw: &RawValue) -> Option<usize> {
    items(raw).map(|items| items.len())
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "documents are written where they are used")]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::chat::parse::parse;

    fn request(operation: Operation, body: serde_json::Value) -> Request {
        parse(operation, Bytes::from(body.to_string())).unwrap()
    }

    fn read(operation: Operation, body: serde_json::Value) -> Vec<(Vec<String>, u64)> {
        let request = request(operation, body);
        let prompt = Prompt::of(&request).unwrap();
        let said = |turn: &Turn<'_>| {
            let texts = turn.said.texts.iter().map(ToString::to_string).collect();
            (texts, turn.said.fixed)
        };
        prompt.turns.iter().map(said).collect()
    }

    #[test]
    fn an_image_counts_as_an_image_and_not_as_its_bytes() {
        let url = format!("data:image/png;base64,{}", "A".repeat(100_000));
        let turns = read(
            Operation::Chat,
            serde_json::json!({"messages": [{"role": "user", "content": [
                {"type": "text", "text": "what is \"this\"?"},
                {"type": "image_url", "image_url": {"url": url}},
                {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
            ]}]}),
        );
        let fixed = TOKENS_A_TURN + TOKENS_AN_IMAGE + TOKENS_A_SMALL_IMAGE;
        assert_eq!(turns, [(vec!["what is \"this\"?".to_owned()], fixed)]);
    }

    #[test]
    fn calls_of_tools_and_their_answers_are_known_by_their_ids() {
        let request = request(
            Operation::Chat,
            serde_json::json!({"messages": [
                {"role": "developer", "content": "be brief"},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}},
                ]},
                {"role": "tool", "tool_call_id": "c1", "content": "a tree"},
                {"role": "assistant", "function_call": {"name": "old", "arguments": "{}"}},
                {"role": "function", "name": "old", "content": "done"},
            ], "tools": [{"type": "function", "function": {"name": "look"}}]}),
        );
        let prompt = Prompt::of(&request).unwrap();
        let ids: Vec<_> =
            prompt.turns.iter().map(|turn| (turn.speaker, turn.calls.clone(), turn.answers.clone())).collect();
        assert_eq!(
            ids,
            [
                (Speaker::System, vec![], None),
                (Speaker::Assistant, vec!["c1".into()], None),
                (Speaker::Tool, vec![], Some("c1".into())),
                (Speaker::Assistant, vec!["old".into()], None),
                (Speaker::Tool, vec![], Some("old".into())),
            ]
        );
        assert_eq!(prompt.turns[1].said.texts, ["look", "{\"at\":1}"]);
        assert!(prompt.rest.texts[0].contains("look"));
    }

    #[test]
    fn prompts_and_inputs_are_each_a_prompt_by_itself_and_tokens_are_counted() {
        let text = |text: &str| (vec![text.to_owned()], 0);
        let tokens = |count| (vec![], count);
        for (given, expected) in [
            (serde_json::json!("a"), vec![text("a")]),
            (serde_json::json!(["a", "b"]), vec![text("a"), text("b")]),
            (serde_json::json!([1, 2, 3]), vec![tokens(3)]),
            (serde_json::json!([[1, 2, 3], [4]]), vec![tokens(3), tokens(1)]),
        ] {
            assert_eq!(read(Operation::Completion, serde_json::json!({"prompt": given})), expected);
            assert_eq!(read(Operation::Embed, serde_json::json!({"input": given})), expected);
        }
    }
}
