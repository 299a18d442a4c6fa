//! Holds answers to what their callers asked for: JSON where JSON was wanted, the caller's schema, the tools' parameters.
//!
//! A request that wants none of it has no [`Checker`], and its answers are not read here. Nothing is asked again here
//! and nothing decided: a fault is a failure like any other, which carries what the model is to be told.

mod complaint;
mod find;
mod graph;
mod said;
mod schema;
mod stream;
mod tools;
mod weigh;

use std::{ops::Range, sync::Arc};

use serde_json::Value;

use self::{
    complaint::Complaint,
    said::{Document, Said},
    schema::{Schema, Wrong},
    tools::{Opened, Tools},
};
pub use self::{schema::Schemas, stream::StreamCheck};
use crate::{
    chat::{
        answer::{Finish, Whole},
        edit::{edited, span_in},
        request::Request,
    },
    error::{ErrorKind, Failure, FieldFault},
};

/// Bytes of text and arguments of one answer; what is longer is not held in memory to be checked.
const MAX_SAID: usize = 1 << 20;
/// Bytes of a fault's wording for the caller.
const MAX_FAULTS: usize = 1024;

/// What one request's answers are held to.
#[derive(Debug, Clone)]
pub struct Checker(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    text: Text,
    tools: Option<Tools>,
    schemas: Arc<Schemas>,
}

/// What an answer's text is to be.
#[derive(Debug)]
enum Text {
    Any,
    Json,
    Fits(Arc<Schema>),
}

/// An answer that is what was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The answer; where its JSON stood in prose, without the prose.
    pub whole: Whole,
    /// For people: what was left out, and what could not be checked.
    pub warnings: Vec<String>,
}

impl Checker {
    /// What answers to `request` are held to; `None`: to nothing. Decided by what the parser noted, so that a plain
    /// call pays nothing for it.
    ///
    /// # Errors
    /// `invalid_input`: a schema cannot be held to, with its place in the request.
    pub fn for_request(request: &Request, schemas: &Arc<Schemas>) -> Result<Option<Self>, Failure> {
        let formats = &request.formats;
        if formats.are_none() {
            return Ok(None);
        }
        let span = |span: &Option<Range<usize>>| span.clone().map(|span| request.body.slice(span));
        let text = match span(&formats.response_format) {
            Some(format) => text_wanted(&format, schemas)?,
            None => Text::Any,
        };
        let new = span(&formats.tools).map(|list| Tools::new(list, "tools"));
        let tools = new.or_else(|| span(&formats.functions).map(|list| Tools::new(list, "functions")));
        let faults = tools.as_ref().map(|tools| tools.strict_faults(schemas)).unwrap_or_default();
        if !faults.is_empty() {
            return Err(Failure::fields(faults));
        }
        if matches!(text, Text::Any) && tools.is_none() {
            return Ok(None);
        }
        Ok(Some(Self(Arc::new(Rules { text, tools, schemas: Arc::clone(schemas) }))))
    }

    /// Checks an answer that came whole.
    ///
    /// # Errors
    /// `invalid_response`, with what is wrong and what to tell the model.
    pub fn whole(&self, whole: Whole) -> Result<Checked, Failure> {
        let Ok(document) = serde_json::from_slice::<Document<'_>>(&whole.body) else {
            return Err(Failure::new(ErrorKind::InvalidResponse, "the provider's answer could not be read"));
        };
        let mut judging = Judging::default();
        let mut edits = Vec::new();
        let mut left = MAX_SAID;
        for (place, choice) in document.choices.iter().flatten().enumerate() {
            let Some(message) = &choice.message else { continue };
            let mut said = Said::default();
            left = left.checked_sub(said.add(message)).ok_or_else(too_long)?;
            let judged = Judged { place, finish: choice.finish(), said: &said };
            match self.0.judge(&judged, &mut judging)? {
                Stands::AsItIs => {}
                Stands::Within(json) => {
                    let content = message.content.map(|content| span_in(&whole.body, content.get()));
                    edits.extend(content.map(|span| (span, Value::from(json).to_string())));
                }
            }
        }
        let mut warnings = judging.warnings;
        if edits.is_empty() {
            return Ok(Checked { whole, warnings });
        }
        warnings.push("the JSON was taken out of the prose around it".to_owned());
        let body = edited(&whole.body, &edits);
        Ok(Checked { whole: Whole { body, ..whole }, warnings })
    }

    /// A check of an answer that comes in pieces.
    #[must_use]
    pub fn stream(&self) -> StreamCheck {
        StreamCheck::new(self.clone())
    }
}

/// One choice, as it stands at its end.
struct Judged<'a> {
    /// Its place among the choices.
    place: usize,
    finish: Option<Finish>,
    said: &'a Said,
}

/// What is kept from one choice of an answer to the next.
#[derive(Default)]
struct Judging<'a> {
    /// The tools, once one of them has been called.
    tools: Option<Opened<'a>>,
    /// What could not be checked.
    warnings: Vec<String>,
}

/// Where the JSON of a text stands.
enum Stands<'a> {
    AsItIs,
    Within(&'a str),
}

impl Rules {
    /// Checks one choice, and finds its JSON.
    fn judge<'r, 'a>(&'r self, judged: &Judged<'a>, judging: &mut Judging<'r>) -> Result<Stands<'a>, Failure> {
        let said = judged.said;
        if let Some(tools) = self.tools.as_ref().filter(|_| said.calls_tools()) {
            let Judging { tools: opened, warnings } = judging;
            let opened = opened.get_or_insert_with(|| tools.open(&self.schemas));
            let mut complaint = Complaint::new(judged.place, said);
            for (index, call) in said.calls.iter().enumerate() {
                if let Err(wrong) = opened.check(call, warnings) {
                    complaint.add_call(Some(index), wrong);
                }
            }
            if let Some(Err(wrong)) = said.function.as_ref().map(|call| opened.check(call, warnings)) {
                complaint.add_call(None, wrong);
            }
            complaint.into_result(judged.finish)?;
        }
        // Who calls a tool, or declines, does not answer yet.
        if matches!(self.text, Text::Any) || (said.calls_tools() && self.tools.is_some()) || said.refused {
            return Ok(Stands::AsItIs);
        }
        let text = said.text.as_str();
        let wrong_text = |wrong| Complaint::new(judged.place, said).about_text(wrong).into_failure(judged.finish);
        let (document, found) = match serde_json::from_str::<Value>(text) {
            Ok(document) => (document, Stands::AsItIs),
            Err(error) => match find::within(text).and_then(|json| Some((serde_json::from_str(json).ok()?, json))) {
                Some((document, json)) => (document, Stands::Within(json)),
                None => return Err(wrong_text(vec![not_json(text, &error)])),
            },
        };
        match &self.text {
            Text::Fits(schema) => match schema.check(&document) {
                Ok(()) => Ok(found),
                Err(wrong) => Err(wrong_text(wrong)),
            },
            Text::Json | Text::Any => Ok(found),
        }
    }
}

/// What `response_format` asks of the text.
fn text_wanted(format: &[u8], schemas: &Schemas) -> Result<Text, Failure> {
    #[derive(serde::Deserialize)]
    struct Format<'a> {
        #[serde(default)]
        r#type: String,
        #[serde(borrow, default)]
        json_schema: Option<Named<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        #[serde(borrow, default)]
        schema: Option<&'a serde_json::value::RawValue>,
    }
    // Of another shape it has been refused, or it is null.
    let Ok(format) = serde_json::from_slice::<Format<'_>>(format) else { return Ok(Text::Any) };
    match format.r#type.as_str() {
        "json_object" => Ok(Text::Json),
        "json_schema" => {
            let Some(schema) = format.json_schema.and_then(|named| named.schema) else { return Ok(Text::Json) };
            let compiled = schemas.compiled(schema.get().as_bytes()).map_err(|fault| {
                let path = format!("response_format.json_schema.schema{}", as_path(&fault.pointer));
                Failure::fields(vec![FieldFault { path, message: fault.message }])
            });
            compiled.map(Text::Fits)
        }
        _ => Ok(Text::Any),
    }
}

fn not_json(text: &str, error: &serde_json::Error) -> Wrong {
    match text.trim().is_empty() {
        true => Wrong::new("is empty"),
        false if error.is_eof() => Wrong::new("is JSON that breaks off"),
        false => Wrong::new(format!("is not JSON: {error}")),
    }
}

fn too_long() -> Failure {
    let message = format!("the provider's answer is longer than the {MAX_SAID} bytes that can be checked");
    Failure::new(ErrorKind::InvalidResponse, message)
}

/// A JSON pointer as a path goes on in this contract: `/items/0/a` as `.items[0].a`.
fn as_path(pointer: &str) -> String {
    let mut path = String::new();
    for step in pointer.split('/').skip(1) {
        match step.parse::<usize>() {
            Ok(index) => path.push_str(&format!("[{index}]")),
            Err(_) => path.push_str(&format!(".{}", step.replace("~1", "/").replace("~0", "~"))),
        }
    }
    path
}

/// At most `most` bytes of `text`, in whole characters.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests;
