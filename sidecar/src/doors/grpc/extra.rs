//! A request's `extra`: fields of the provider's own, merged into the document beside the door's.

use prost_types::{Struct, Value, value::Kind};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap as _, SerializeSeq as _},
};

use super::faults::Faults;

/// What a door's method writes itself, and where a caller says it instead.
pub(super) type Taken = &'static [(&'static str, &'static str)];

/// Those of a chat.
pub(super) const OF_CHAT: Taken = &[
    ("model", "is set by model"),
    ("messages", "is set by messages"),
    ("max_tokens", "is set by sampling.max_tokens"),
    ("temperature", "is set by sampling.temperature"),
    ("top_p", "is set by sampling.top_p"),
    ("stop", "is set by sampling.stop"),
    ("seed", "is set by sampling.seed"),
    ("frequency_penalty", "is set by sampling.frequency_penalty"),
    ("presence_penalty", "is set by sampling.presence_penalty"),
    ("response_format", "is set by response_format"),
    ("tools", "is set by tools"),
    ("tool_choice", "is set by tool_choice"),
    ("stream", "is set by the method called"),
    ("stream_options", "is set by the method called"),
    ("n", "would ask for more answers than a response can hold"),
];

/// Below 2^53, every whole number that a double holds is that number.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The fields of `extra`, to be flattened into the document.
#[derive(Debug)]
pub(super) struct Extra<'a>(Vec<(&'a str, &'a Value)>);

impl<'a> Extra<'a> {
    /// Those of a request; a fault for each that is `taken` or that JSON cannot hold.
    pub(super) fn of(extra: Option<&'a Struct>, taken: Taken, faults: &mut Faults) -> Self {
        let fields = || extra.iter().flat_map(|extra| &extra.fields);
        for (key, value) in fields() {
            if let Some((_, why)) = taken.iter().find(|(taken, _)| taken == key) {
                faults.note(format_args!("extra.{key}"), *why);
            }
            if !fits_json(value) {
                faults.note(format_args!("extra.{key}"), "holds a number that is not finite");
            }
        }
        // What is taken has been noted as a fault, and would be one again if it stood in the document twice.
        let free = fields().filter(|(key, _)| !taken.iter().any(|(taken, _)| taken == key));
        Self(free.map(|(key, value)| (key.as_str(), value)).collect())
    }

    /// Whether there is a field of that name, be it null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| *key == name)
    }

    /// Leaves the field of that name out if it is null.
    pub(super) fn drop_null(&mut self, name: &str) {
        self.0.retain(|(key, value)| *key != name || !matches!(value.kind, None | Some(Kind::NullValue(_))));
    }
}

fn fits_json(value: &Value) -> bool {
    match &value.kind {
        Some(Kind::NumberValue(number)) => number.is_finite(),
        Some(Kind::ListValue(list)) => list.values.iter().all(fits_json),
        Some(Kind::StructValue(fields)) => fields.fields.values().all(fits_json),
        Some(Kind::NullValue(_) | Kind::StringValue(_) | Kind::BoolValue(_)) | None => true,
    }
}

impl Serialize for Extra<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, &Plain(value))?;
        }
        map.end()
    }
}

/// A value of a `Struct`, as the JSON that it stands for.
struct Plain<'a>(&'a Value);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.kind {
            None | Some(Kind::NullValue(_)) => serializer.serialize_unit(),
            Some(Kind::BoolValue(flag)) => serializer.serialize_bool(*flag),
            Some(Kind::StringValue(text)) => serializer.serialize_str(text),
            // A Struct knows only doubles, and providers refuse `top_k: 40.0`.
            Some(Kind::NumberValue(number)) if number.fract() == 0.0 && number.abs() < EXACT =>
            {
                #[allow(clippy::cast_possible_truncation, reason = "whole, and far below i64's bounds")]
                serializer.serialize_i64(*number as i64)
            }
            Some(Kind::NumberValue(number)) => serializer.serialize_f64(*number),
            Some(Kind::ListValue(list)) => {
                let mut items = serializer.serialize_seq(Some(list.values.len()))?;
                for value in &list.values {
                    items.serialize_element(&Plain(value))?;
                }
                items.end()
            }
            Some(Kind::StructValue(fields)) => {
                let mut map = serializer.serialize_map(Some(fields.fields.len()))?;
                for (key, value) in &fields.fields {
                    map.serialize_entry(key, &Plain(value))?;
                }
                map.end()
            }
        }
    }
}
