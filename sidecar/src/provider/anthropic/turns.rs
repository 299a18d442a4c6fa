//! Messages as OpenAI writes them to a system prompt and turns as the Messages API wants them.
//!
//! The API wants a user's turn first, no empty text, and tool results in the user's turn after the
//! call; consecutive messages of one role are one turn.

use serde_json::{Map, Value, json};

use super::CannotServe;

/// A conversation as the API takes it.
pub(super) struct Turns {
    /// A string, or blocks where the caller marked some for caching.
    pub(super) system: Option<Value>,
    /// Turns of user and assistant.
    pub(super) messages: Vec<Value>,
    /// The names of the tools called in it, each once.
    pub(super) called: Vec<String>,
}

/// What stands in for a user's turn where a conversation begins with the assistant's.
const OPENING: &str = "Go on.";

/// Translates the value of `messages`, with `instruction` at the end of the system prompt.
pub(super) fn translate(
    messages: Option<Value>,
    instruction: Option<String>,
    warnings: &mut Vec<String>,
) -> Result<Turns, CannotServe> {
    let Some(Value::Array(messages)) = messages else {
        return Err(CannotServe::new("a request without a list of messages"));
    };
    let mut talk = Talk::default();
    let mut named = false;
    for message in messages {
        let Value::Object(mut message) = message else {
            return Err(CannotServe::new("a message that is not an object"));
        };
        named |= message.get("name").is_some_and(|name| !name.is_null());
        talk.take(&mut message, warnings)?;
    }
    if named {
        warnings.push("the names of messages' authors were left out: this provider takes none".into());
    }
    Ok(talk.end(instruction))
}

#[derive(Default)]
struct Talk {
    system: Vec<Value>,
    turns: Vec<(&'static str, Vec<Value>)>,
    called: Vec<String>,
}

impl Talk {
    fn take(&mut self, message: &mut Map<String, Value>, warnings: &mut Vec<String>) -> Result<(), CannotServe> {
        let content = message.remove("content").unwrap_or_default();
        match message.get("role").and_then(Value::as_str).unwrap_or_default() {
            "system" | "developer" => self.system.extend(blocks(content)?),
            "user" => self.say("user", blocks(content)?),
            "assistant" => {
                let mut said = blocks(content)?;
                if let Some(Value::Array(calls)) = message.remove("tool_calls") {
                    for call in calls {
                        said.push(self.tool_use(call, warnings)?);
                    }
                }
                if message.get("function_call").is_some_and(|call| !call.is_null()) {
                    return Err(CannotServe::new("functions, which tools have replaced"));
                }
                self.say("assistant", said);
            }
            "tool" => {
                let id = message.get("tool_call_id").and_then(Value::as_str).unwrap_or_default();
                let mut result = json!({ "type": "tool_result", "tool_use_id": tool_id(id) });
                let said = blocks(content)?;
                if !said.is_empty() {
                    result["content"] = said.into();
                }
                self.say("user", vec![result]);
            }
            other => return Err(CannotServe::new(format!("messages of the role {other:?}"))),
        }
        Ok(())
    }

    fn say(&mut self, role: &'static str, said: Vec<Value>) {
        match self.turns.last_mut() {
            _ if said.is_empty() => {}
            Some((last, blocks)) if *last == role => blocks.extend(said),
            _ => self.turns.push((role, said)),
        }
    }

    fn tool_use(&mut self, mut call: Value, warnings: &mut Vec<String>) -> Result<Value, CannotServe> {
        let Some(name) = call["function"]["name"].as_str().map(str::to_owned) else {
            return Err(CannotServe::new("calls of tools that are not functions"));
        };
        let arguments = taken(&mut call, "/function/arguments");
        let input = match &arguments {
            Value::String(text) if text.trim().is_empty() => json!({}),
            Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
            Value::Null => json!({}),
            other => other.clone(),
        };
        // The API takes objects only. A model may have written something else, and should see that it did.
        let input = if input.is_object() {
            input
        } else {
            warnings.push(format!("the arguments of a call of {name} are no JSON object and were wrapped in one"));
            json!({ "arguments": arguments })
        };
        let id = tool_id(call["id"].as_str().unwrap_or_default());
        let block =
            object([("type", "tool_use".into()), ("id", id.into()), ("name", name.clone().into()), ("input", input)]);
        if !self.called.contains(&name) {
            self.called.push(name);
        }
        Ok(block)
    }

    fn end(mut self, instruction: Option<String>) -> Turns {
        if self.turns.is_empty() {
            // A system prompt alone is a question here: the API wants at least one turn.
            let mut said = std::mem::take(&mut self.system);
            if said.is_empty() {
                said.push(text_block(OPENING.into()));
            }
            self.turns.push(("user", said));
        } else if self.turns[0].0 == "assistant" {
            self.turns.insert(0, ("user", vec![text_block(OPENING.into())]));
        }
        // An assistant's last turn is one to be continued, and the API refuses it if it ends in white space.
        if let Some(("assistant", blocks)) = self.turns.last_mut()
            && let Some(Value::String(text)) = blocks.last_mut().and_then(|block| block.get_mut("text"))
        {
            text.truncate(text.trim_end().len());
        }
        self.system.extend(instruction.map(text_block));
        let messages = self
            .turns
            .into_iter()
            .map(|(role, content)| object([("role", role.into()), ("content", content.into())]))
            .collect();
        Turns { system: system(self.system), messages, called: self.called }
    }
}

/// The system prompt as one string, or as blocks where one is marked for caching.
fn system(blocks: Vec<Value>) -> Option<Value> {
    let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
    match texts.as_slice() {
        [] => None,
        _ if blocks.iter().any(|block| block.get("cache_control").is_some()) => Some(blocks.into()),
        texts => Some(texts.join("\n\n").into()),
    }
}

/// A message's content as blocks. Text that is empty says nothing, and the API refuses it.
fn blocks(content: Value) -> Result<Vec<Value>, CannotServe> {
    let parts = match content {
        Value::Array(parts) => parts,
        Value::String(text) => return Ok(Some(text_block(text)).filter(says_something).into_iter().collect()),
        Value::Null => return Ok(Vec::new()),
        _ => return Err(CannotServe::new("content that is neither text nor parts")),
    };
    let mut blocks = Vec::with_capacity(parts.len());
    for part in parts {
        let block = block(part)?;
        if says_something(&block) {
            blocks.push(block);
        }
    }
    Ok(blocks)
}

fn block(mut part: Value) -> Result<Value, CannotServe> {
    let mark = Some(taken(&mut part, "/cache_control")).filter(Value::is_object);
    let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
    let mut block = match kind {
        "text" => text_block(text_of(taken(&mut part, "/text"))?),
        "refusal" => text_block(text_of(taken(&mut part, "/refusal"))?),
        "image_url" => {
            let image = taken(&mut part, "/image_url");
            let url = if image.is_string() { &image } else { &image["url"] };
            let source = source(url.as_str().unwrap_or_default(), "images")?;
            object([("type", "image".into()), ("source", source)])
        }
        "file" => {
            let data = taken(&mut part, "/file/file_data");
            let source = source(data.as_str().unwrap_or_default(), "files")?;
            object([("type", "document".into()), ("source", source)])
        }
        other => return Err(CannotServe::new(format!("content of the type {other:?}"))),
    };
    if let Some(mark) = mark {
        block["cache_control"] = mark;
    }
    Ok(block)
}

fn text_of(value: Value) -> Result<String, CannotServe> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(CannotServe::new("a text part without text")),
    }
}

/// What stands at `pointer`, null where nothing does; the value itself may be of any type.
fn taken(value: &mut Value, pointer: &str) -> Value {
    value.pointer_mut(pointer).map(Value::take).unwrap_or_default()
}

fn text_block(text: String) -> Value {
    object([("type", "text".into()), ("text", text.into())])
}

/// An object of these fields, which are moved: `json!` would copy images and whole conversations.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn says_something(block: &Value) -> bool {
    block["type"] != "text" || block["text"].as_str().is_some_and(|text| !text.trim().is_empty())
}

/// Where an image or a document comes from: a data URL's bytes, or a web address.
fn source(url: &str, what: &str) -> Result<Value, CannotServe> {
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(json!({ "type": "url", "url": url }));
    }
    let parts = url.strip_prefix("data:").and_then(|rest| rest.split_once(','));
    let Some((kind, data)) = parts.and_then(|(kind, data)| Some((kind.strip_suffix(";base64")?, data))) else {
        return Err(CannotServe::new(format!("{what} that are neither web addresses nor base64 data")));
    };
    let media_type = match kind.split(';').next().unwrap_or_default().to_ascii_lowercase() {
        jpeg if jpeg == "image/jpg" => "image/jpeg".into(),
        other => other,
    };
    Ok(json!({ "type": "base64", "media_type": media_type, "data": data }))
}

/// `id` as the API takes it. Other vendors put dots and colons into theirs; call and result stay paired.
fn tool_id(id: &str) -> String {
    let fit = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    if id.is_empty() { "call".into() } else { id.chars().map(fit).collect() }
}
