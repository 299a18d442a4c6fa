//! What is wrong with an answer, told twice: to the caller as a failure, to the model as further messages.

use serde_json::{Value, json};

use super::{MAX_FAULTS, cut, said::Said, schema::Wrong};
use crate::{
    chat::answer::Finish,
    error::{ErrorKind, Failure},
};

/// Bytes of a faulty answer that its model is shown again.
const MAX_SHOWN: usize = 16 << 10;

/// The faults of one choice.
pub(super) struct Complaint<'a> {
    said: &'a Said,
    /// Where in the answer the choice stands: `choices[0].message`.
    place: String,
    /// Each with the field of the message that it is in.
    wrong: Vec<(Field, Wrong)>,
}

/// A field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Content,
    /// The call with this index.
    Call(usize),
    /// A call in the old way.
    Function,
}

impl<'a> Complaint<'a> {
    /// No complaint yet about the choice at `place`.
    pub(super) fn new(place: usize, said: &'a Said) -> Self {
        Self { said, place: format!("choices[{place}].message"), wrong: Vec::new() }
    }

    /// Adds what is wrong with the text.
    pub(super) fn about_text(mut self, wrong: Vec<Wrong>) -> Self {
        self.wrong.extend(wrong.into_iter().map(|wrong| (Field::Content, wrong)));
        self
    }

    /// Adds what is wrong with the call with this index; `None`: with the one made in the old way.
    pub(super) fn add_call(&mut self, index: Option<usize>, wrong: Vec<Wrong>) {
        let field = index.map_or(Field::Function, Field::Call);
        self.wrong.extend(wrong.into_iter().map(|wrong| (field, wrong)));
    }

    /// The failure that the faults come to; nothing if there are none.
    pub(super) fn into_result(self, finish: Option<Finish>) -> Result<(), Failure> {
        if self.wrong.is_empty() { Ok(()) } else { Err(self.into_failure(finish)) }
    }

    /// The failure that the faults come to.
    pub(super) fn into_failure(self, finish: Option<Finish>) -> Failure {
        let told: Vec<String> = self.wrong.iter().map(|(field, wrong)| self.told(*field, wrong)).collect();
        let first = told.first().map_or("", String::as_str);
        let cut_short = match finish {
            Some(Finish::Length) => "; it ended at its limit of tokens",
            _ => "",
        };
        let message = format!("the provider's answer is not what was asked for: {first}{cut_short}");
        // Cut off by a filter, it is a refusal however it was to end.
        let kind = match finish {
            Some(Finish::ContentFilter) => ErrorKind::ContentFiltered,
            _ => ErrorKind::InvalidResponse,
        };
        let faults = told.join("; ");
        let messages =
            if self.protocol_allows() { self.as_tools_answers(finish) } else { self.as_conversation(finish) };
        Failure { complaint: Some(messages.into()), ..Failure::new(kind, message) }
            .detail("faults", cut(&faults, MAX_FAULTS))
    }

    fn told(&self, field: Field, wrong: &Wrong) -> String {
        let field = match field {
            Field::Content => "content".to_owned(),
            Field::Call(index) => format!("tool_calls[{index}].function.{}", wrong.of_name()),
            Field::Function => format!("function_call.{}", wrong.of_name()),
        };
        let at = if wrong.pointer.is_empty() { String::new() } else { format!(" at {}", cut(&wrong.pointer, 200)) };
        format!("{}.{field}{at}: {}", self.place, wrong.told)
    }

    /// Whether the calls can stand in the conversation as calls: providers refuse those without ids, or with arguments
    /// that are no JSON object.
    fn protocol_allows(&self) -> bool {
        let is_object = |arguments: &str| matches!(serde_json::from_str(arguments), Ok(Value::Object(_)));
        let calls = &self.said.calls;
        let good = calls.iter().all(|call| !call.id.is_empty() && !call.name.is_empty() && is_object(&call.arguments));
        !calls.is_empty() && good && self.said.function.is_none()
    }

    /// The calls, and as each one's result what was wrong with it.
    fn as_tools_answers(&self, finish: Option<Finish>) -> Vec<Value> {
        let calls = &self.said.calls;
        let call = |call: &super::said::Called| {
            json!({ "id": call.id, "type": "function",
                    "function": { "name": call.name, "arguments": call.arguments } })
        };
        let content = if self.said.text.is_empty() { Value::Null } else { cut(&self.said.text, MAX_SHOWN).into() };
        let mut messages = vec![json!({
            "role": "assistant", "content": content, "tool_calls": calls.iter().map(call).collect::<Vec<_>>(),
        })];
        for (index, call) in calls.iter().enumerate() {
            let wrong = self.listed(|field| field == Field::Call(index));
            let content = match wrong.is_empty() {
                true => "This call was not made, because another one beside it was wrong. Make it again.".to_owned(),
                false => format!(
                    "This call was not made, because it was wrong:\n{wrong}{}Make it again, right.",
                    limit(finish)
                ),
            };
            messages.push(json!({ "role": "tool", "tool_call_id": call.id, "content": content }));
        }
        messages
    }

    /// The answer as a text, and what was wrong with it as the user's next message.
    fn as_conversation(&self, finish: Option<Finish>) -> Vec<Value> {
        let mut shown = self.said.text.clone();
        for call in self.said.calls.iter().chain(&self.said.function) {
            shown.push_str(&format!("\nCall {} with {}", call.name, call.arguments));
        }
        let shown = cut(shown.trim(), MAX_SHOWN);
        let wrong = self.listed(|_| true);
        let again = match self.said.calls_tools() {
            true => "Call the tool again, right.",
            false => "Answer the request above again, with nothing but the JSON that it asks for.",
        };
        let complaint = format!("Your previous answer was not what was asked for:\n{wrong}{}{again}", limit(finish));
        // Some servers refuse a message that says nothing.
        let answer = (!shown.is_empty()).then(|| json!({ "role": "assistant", "content": shown }));
        answer.into_iter().chain([json!({ "role": "user", "content": complaint })]).collect()
    }

    /// Those faults whose field `is_meant`, one a line.
    fn listed(&self, is_meant: impl Fn(Field) -> bool) -> String {
        let meant = self.wrong.iter().filter(|(field, _)| is_meant(*field));
        let line = |(field, wrong): &(Field, Wrong)| {
            let what = match (field, wrong.pointer.is_empty()) {
                (_, false) => format!("at {}", cut(&wrong.pointer, 200)),
                (Field::Content, true) => "the answer".to_owned(),
                (_, true) if wrong.is_of_name => "the name".to_owned(),
                (_, true) => "the arguments".to_owned(),
            };
            format!("- {what}: {}\n", wrong.said)
        };
        meant.map(line).collect()
    }
}

/// A word on the limit of tokens, if the answer ended there.
const fn limit(finish: Option<Finish>) -> &'static str {
    match finish {
        Some(Finish::Length) => "It ended at the limit of tokens: be shorter.\n",
        _ => "",
    }
}
