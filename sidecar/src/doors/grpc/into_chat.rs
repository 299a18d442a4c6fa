//! From the contract's requests to OpenAI's JSON, noting every fault on the way.
//!
//! The documents borrow from the request, so that text and images are copied once: into the JSON.
//! What only OpenAI's own rules forbid is left to `chat::parse`, which reads the result.

use std::{collections::HashSet, fmt};

use fusebox_proto::v1::{self, Role, part::Kind as PartKind, response_format::Kind as FormatKind};
use serde_json::value::RawValue;

use super::{
    body::{
        Called, CalledFunction, ChatBody, ChatMessage, ChatPart, Content, EmbedBody, Format, Function, Named,
        NamedSchema, StreamOptions, Tool, ToolChoice,
    },
    extra::{Extra, OF_CHAT},
    faults::Faults,
    media,
};
use crate::chat::bounds::Bounds;

/// What a schema is called where the caller did not say; OpenAI requires a name.
const SCHEMA_NAME: &str = "answer";

/// How a request is to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    pub(super) stream: bool,
    pub(super) bounds: Bounds,
}

/// `request` as a chat completion. The document is good only if no fault was noted.
pub(super) fn chat<'a>(request: &'a v1::GenerateRequest, how: How, faults: &mut Faults) -> ChatBody<'a> {
    let stream = how.stream;
    if request.messages.is_empty() {
        faults.note("messages", "must hold at least one message");
    }
    let messages = request.messages.iter().enumerate();
    let messages =
        messages.map(|(index, sent)| message(sent, how.bounds, format_args!("messages[{index}]"), faults)).collect();
    let sampling = request.sampling.as_ref();
    if let Some(sampling) = sampling {
        check_sampling(sampling, faults);
    }
    ChatBody {
        model: &request.model,
        max_tokens: sampling.and_then(|sampling| sampling.max_tokens),
        stream,
        stream_options: stream.then_some(StreamOptions { include_usage: true }),
        messages,
        temperature: sampling.and_then(|sampling| sampling.temperature),
        top_p: sampling.and_then(|sampling| sampling.top_p),
        stop: sampling.map_or(&[], |sampling| &sampling.stop),
        seed: sampling.and_then(|sampling| sampling.seed),
        frequency_penalty: sampling.and_then(|sampling| sampling.frequency_penalty),
        presence_penalty: sampling.and_then(|sampling| sampling.presence_penalty),
        response_format: format(request, faults),
        tools: tools(request, faults),
        tool_choice: tool_choice(request, faults),
        extra: Extra::of(request.extra.as_ref(), OF_CHAT, faults),
    }
}

/// `request` as OpenAI's embeddings. The document is good only if no fault was noted.
pub(super) fn embeddings<'a>(request: &'a v1::EmbedRequest, faults: &mut Faults) -> EmbedBody<'a> {
    if request.inputs.is_empty() {
        faults.note("inputs", "must hold at least one text");
    }
    EmbedBody { model: &request.model, encoding_format: "float", input: &request.inputs }
}

fn message<'a>(
    sent: &'a v1::Message,
    bounds: Bounds,
    path: fmt::Arguments<'_>,
    faults: &mut Faults,
) -> ChatMessage<'a> {
    let role = Role::try_from(sent.role).unwrap_or(Role::Unspecified);
    let spoken = match role {
        Role::Unspecified => {
            faults.note(format_args!("{path}.role"), "must be system, user, assistant or tool");
            ""
        }
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    if role != Role::Assistant && !sent.tool_calls.is_empty() {
        faults.note(format_args!("{path}.tool_calls"), "may stand only on an assistant's message");
    }
    match (role, sent.tool_call_id.is_empty()) {
        (Role::Tool, true) => faults.note(format_args!("{path}.tool_call_id"), "must name the call that is answered"),
        (Role::System | Role::User | Role::Assistant, false) => {
            faults.note(format_args!("{path}.tool_call_id"), "may stand only on a tool's message");
        }
        _ => {}
    }
    let calls = sent.tool_calls.iter().enumerate();
    ChatMessage {
        role: spoken,
        content: content(sent, Place { role, bounds, path }, faults),
        name: &sent.name,
        tool_calls: calls
            .map(|(index, call)| called(call, format_args!("{path}.tool_calls[{index}]"), faults))
            .collect(),
        tool_call_id: &sent.tool_call_id,
    }
}

/// A single text goes as a string: not every server understands parts.
fn content<'a>(sent: &'a v1::Message, place: Place<'_>, faults: &mut Faults) -> Option<Content<'a>> {
    let Place { role, path, .. } = place;
    match sent.content.as_slice() {
        [] if role == Role::Assistant && !sent.tool_calls.is_empty() => None,
        // A tool may well have nothing to say.
        [] if role == Role::Tool => Some(Content::Text("")),
        [] => {
            faults.note(format_args!("{path}.content"), "must hold at least one part");
            None
        }
        [v1::Part { kind: Some(PartKind::Text(text)) }] => Some(Content::Text(text)),
        parts => {
            let parts = parts.iter().enumerate();
            let parts = parts.map(|(index, part)| {
                let path = format_args!("{path}.content[{index}]");
                // What is faulty keeps its place, so that the others keep theirs.
                chat_part(part, Place { path, ..place }, faults).unwrap_or(ChatPart::Text { r#type: "text", text: "-" })
            });
            Some(Content::Parts(parts.collect()))
        }
    }
}

/// Where in a request a piece stands.
#[derive(Clone, Copy)]
struct Place<'p> {
    role: Role,
    bounds: Bounds,
    path: fmt::Arguments<'p>,
}

fn chat_part<'a>(sent: &'a v1::Part, place: Place<'_>, faults: &mut Faults) -> Option<ChatPart<'a>> {
    let Place { role, bounds, path } = place;
    match &sent.kind {
        None => {
            faults.note(path, "must hold a text or an image");
            None
        }
        Some(PartKind::Text(text)) => Some(ChatPart::Text { r#type: "text", text }),
        Some(PartKind::Image(media)) => {
            if matches!(role, Role::System | Role::Assistant) {
                faults.note(format_args!("{path}.image"), "may stand only on a user's or a tool's message");
            }
            media::part(media, bounds.media, format_args!("{path}.image"), faults).map(ChatPart::Media)
        }
    }
}

fn called<'a>(call: &'a v1::ToolCall, path: fmt::Arguments<'_>, faults: &mut Faults) -> Called<'a> {
    if call.id.is_empty() {
        faults.note(format_args!("{path}.id"), "must not be empty");
    }
    if call.name.is_empty() {
        faults.note(format_args!("{path}.name"), "must not be empty");
    }
    // Models call a tool without parameters with nothing; providers want an object back.
    let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
    Called { id: &call.id, r#type: "function", function: CalledFunction { name: &call.name, arguments } }
}

fn check_sampling(sampling: &v1::Sampling, faults: &mut Faults) {
    if sampling.max_tokens == Some(0) {
        faults.note("sampling.max_tokens", "must be at least 1");
    }
    let ranges = [
        ("temperature", sampling.temperature, 0.0, 2.0),
        ("top_p", sampling.top_p, 0.0, 1.0),
        ("frequency_penalty", sampling.frequency_penalty, -2.0, 2.0),
        ("presence_penalty", sampling.presence_penalty, -2.0, 2.0),
    ];
    for (name, value, least, most) in ranges {
        // No range contains NaN.
        if value.is_some_and(|value| !(least..=most).contains(&value)) {
            faults.note(format_args!("sampling.{name}"), format!("must be a number from {least} to {most}"));
        }
    }
    for (index, stop) in sampling.stop.iter().enumerate() {
        if stop.is_empty() {
            faults.note(format_args!("sampling.stop[{index}]"), "must not be empty");
        }
    }
}

fn format<'a>(request: &'a v1::GenerateRequest, faults: &mut Faults) -> Option<Format<'a>> {
    match request.response_format.as_ref()?.kind.as_ref()? {
        FormatKind::JsonObject(wanted) => wanted.then_some(Format::JsonObject),
        FormatKind::JsonSchema(sent) => {
            let schema = schema(&sent.schema, format_args!("response_format.json_schema.schema"), faults);
            let name = if sent.name.is_empty() { SCHEMA_NAME } else { &sent.name };
            Some(Format::JsonSchema { json_schema: NamedSchema { name, schema } })
        }
    }
}

fn tools<'a>(request: &'a v1::GenerateRequest, faults: &mut Faults) -> Vec<Tool<'a>> {
    let mut tools = Vec::with_capacity(request.tools.len());
    let mut names = HashSet::new();
    for (index, sent) in request.tools.iter().enumerate() {
        let path = format_args!("tools[{index}]");
        if sent.name.is_empty() {
            faults.note(format_args!("{path}.name"), "must not be empty");
        } else if !names.insert(sent.name.as_str()) {
            faults.note(format_args!("{path}.name"), "is the name of another tool, too");
        }
        let parameters = match sent.parameters.as_str() {
            "" => None,
            text => schema(text, format_args!("{path}.parameters"), faults),
        };
        let function = Function { name: &sent.name, description: &sent.description, parameters };
        tools.push(Tool { r#type: "function", function });
    }
    tools
}

fn tool_choice<'a>(request: &'a v1::GenerateRequest, faults: &mut Faults) -> Option<ToolChoice<'a>> {
    match request.tool_choice.as_str() {
        "" => None,
        // Providers refuse a choice among no tools, even one that asks for none.
        "auto" | "none" if request.tools.is_empty() => None,
        word @ ("auto" | "none") => Some(ToolChoice::Word(word)),
        "required" if request.tools.is_empty() => {
            faults.note("tool_choice", "requires a tool, but there are none");
            None
        }
        word @ "required" => Some(ToolChoice::Word(word)),
        name if request.tools.iter().any(|tool| tool.name == name) => {
            Some(ToolChoice::Function { r#type: "function", function: Named { name } })
        }
        _ => {
            faults.note("tool_choice", "must be auto, none, required, or the name of one of the tools");
            None
        }
    }
}

/// A JSON Schema document, passed on as it was written.
fn schema<'a>(text: &'a str, path: fmt::Arguments<'_>, faults: &mut Faults) -> Option<&'a RawValue> {
    if text.is_empty() {
        faults.note(path, "is required: a JSON Schema, which is an object");
        return None;
    }
    match serde_json::from_str::<&RawValue>(text) {
        Ok(value) if value.get().starts_with('{') => Some(value),
        Ok(_) => {
            faults.note(path, "must be a JSON Schema, which is an object");
            None
        }
        Err(error) => {
            faults.note(path, format!("is not JSON: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests;
