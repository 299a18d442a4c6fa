//! The smallest document that fits a JSON Schema, as far as a simulation cares.
//!
//! Patterns, conditions and dependencies are not obeyed.

use serde_json::{Map, Number, Value};

/// Values in one document: a schema that refers to itself would never end.
const MAX_VALUES: usize = 1000;
/// Values inside each other.
const MAX_DEPTH: usize = 32;
/// Characters in a text that must have a length.
const MAX_TEXT: usize = 1000;

/// A document that fits `schema`, with the required properties only. An object, where the schema leaves it open.
pub(super) fn fit(schema: &Value) -> Value {
    let mut left = MAX_VALUES;
    match (Fit { root: schema, left: &mut left }.value(schema, 0)) {
        Value::Null if schema["type"].is_null() => Value::Object(Map::new()),
        fitting => fitting,
    }
}

struct Fit<'a> {
    root: &'a Value,
    left: &'a mut usize,
}

impl Fit<'_> {
    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if depth == MAX_DEPTH || *self.left == 0 {
            return Value::Null;
        }
        *self.left -= 1;
        if let Some(given) = given(schema) {
            return given.clone();
        }
        if let Some(target) = schema["$ref"].as_str().and_then(|name| self.root.pointer(name.strip_prefix('#')?)) {
            let target = target.clone();
            return self.value(&target, depth + 1);
        }
        if let Some(one) = ["anyOf", "oneOf"].iter().find_map(|name| first_not_null(schema[*name].as_array()?)) {
            return self.value(one, depth + 1);
        }
        match type_of(schema) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "string" => text(schema).into(),
            "integer" | "number" => number(schema),
            "boolean" => false.into(),
            _ => Value::Null,
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let mut object = Map::new();
        for part in schema["allOf"].as_array().into_iter().flatten() {
            if let Value::Object(fields) = self.value(part, depth + 1) {
                object.extend(fields);
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if *self.left == 0 {
                break;
            }
            let property = &schema["properties"][name];
            let value = if property.is_object() { self.value(property, depth + 1) } else { Value::Null };
            if property.is_object() || !object.contains_key(name) {
                object.insert(name.to_owned(), value);
            }
        }
        object.into()
    }

    fn array(&mut self, schema: &Value, depth: usize) -> Value {
        let least = schema["minItems"].as_u64().and_then(|least| usize::try_from(least).ok()).unwrap_or(0);
        let first = schema["prefixItems"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut items = Vec::new();
        while items.len() < least && *self.left > 0 {
            let item = first.get(items.len()).unwrap_or(&schema["items"]);
            items.push(self.value(item, depth + 1));
            *self.left = self.left.saturating_sub(1);
        }
        items.into()
    }
}

/// A value that the schema itself gives.
fn given(schema: &Value) -> Option<&Value> {
    let listed = |name: &str| schema[name].as_array().and_then(|values| values.first());
    schema.get("const").or_else(|| schema.get("default")).or_else(|| listed("enum")).or_else(|| listed("examples"))
}

fn first_not_null(schemas: &[Value]) -> Option<&Value> {
    schemas.iter().find(|schema| schema["type"] != "null").or(schemas.first())
}

fn type_of(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(name) => name,
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or("null"),
        _ if ["properties", "required", "allOf"].iter().any(|name| schema.get(*name).is_some()) => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "null",
    }
}

fn text(schema: &Value) -> String {
    let of_format = match schema["format"].as_str() {
        Some("date-time") => "2000-01-01T00:00:00Z",
        Some("date") => "2000-01-01",
        Some("time") => "00:00:00Z",
        Some("duration") => "PT1S",
        Some("email" | "idn-email") => "someone@example.com",
        Some("uri" | "iri") => "https://example.com",
        Some("hostname" | "idn-hostname") => "example.com",
        Some("ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        _ => "text",
    };
    let bound = |name: &str| schema[name].as_u64().and_then(|length| usize::try_from(length).ok());
    let (least, most) = (bound("minLength").unwrap_or(0).min(MAX_TEXT), bound("maxLength").unwrap_or(MAX_TEXT));
    of_format.chars().chain(std::iter::repeat('x')).take(of_format.len().max(least).min(most)).collect()
}

fn number(schema: &Value) -> Value {
    let whole = schema["type"] != "number";
    let step = schema["multipleOf"].as_f64().filter(|step| *step > 0.0).unwrap_or(1.0);
    let least = schema["minimum"].as_f64().unwrap_or(f64::MIN);
    let above = schema["exclusiveMinimum"].as_f64().unwrap_or(f64::MIN);
    let most = schema["maximum"].as_f64().unwrap_or(f64::MAX);
    let below = schema["exclusiveMaximum"].as_f64().unwrap_or(f64::MAX);
    let mut value = 0.0;
    if least > value || above >= value {
        let up = (least.max(above) / step).ceil() * step;
        value = if up > above { up } else { up + step };
    } else if most < value || below <= value {
        let down = (most.min(below) / step).floor() * step;
        value = if down < below { down } else { down - step };
    }
    // Between narrow bounds there may be no whole step.
    if !whole && (value > most || value >= below) {
        value = (least.max(above) + most.min(below)) / 2.0;
    }
    if value.fract() == 0.0 && value.abs() < 9e15 {
        #[allow(clippy::cast_possible_truncation, reason = "whole, and within the range where doubles are exact")]
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_smallest_document_fits() {
        let table = [
            (json!({}), json!({})),
            (json!(true), json!({})),
            (json!({ "type": "object" }), json!({})),
            (json!({ "type": "null" }), json!(null)),
            (json!({ "type": "string" }), json!("text")),
            (json!({ "type": "string", "minLength": 6 }), json!("textxx")),
            (json!({ "type": "string", "maxLength": 2 }), json!("te")),
            (json!({ "type": "string", "format": "date" }), json!("2000-01-01")),
            (json!({ "type": ["null", "boolean"] }), json!(false)),
            (json!({ "type": "integer" }), json!(0)),
            (json!({ "type": "integer", "minimum": 3 }), json!(3)),
            (json!({ "type": "integer", "exclusiveMinimum": 3, "multipleOf": 4 }), json!(4)),
            (json!({ "type": "integer", "exclusiveMinimum": 0 }), json!(1)),
            (json!({ "type": "integer", "maximum": -2 }), json!(-2)),
            (json!({ "type": "number", "minimum": 0.2, "maximum": 0.4 }), json!(0.30000000000000004)),
            (json!({ "enum": ["a", "b"] }), json!("a")),
            (json!({ "const": 7 }), json!(7)),
            (json!({ "type": "array", "items": { "type": "string" } }), json!([])),
            (json!({ "type": "array", "items": { "type": "string" }, "minItems": 2 }), json!(["text", "text"])),
            (json!({ "anyOf": [{ "type": "null" }, { "type": "integer" }] }), json!(0)),
            (
                json!({ "type": "object", "required": ["b", "a"], "properties": {
                    "a": { "$ref": "#/$defs/city" }, "b": { "type": "boolean" }, "c": { "type": "string" },
                }, "$defs": { "city": { "type": "string", "enum": ["Oslo"] } } }),
                json!({ "b": false, "a": "Oslo" }),
            ),
            (
                json!({ "allOf": [
                    { "required": ["a"], "properties": { "a": { "type": "integer" } } },
                    { "required": ["b"], "properties": { "b": { "type": "string" } } },
                ], "required": ["a"] }),
                json!({ "a": 0, "b": "text" }),
            ),
        ];
        for (schema, expected) in table {
            assert_eq!(fit(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn a_schema_that_holds_itself_twice_comes_to_an_end() {
        let schema = json!({ "required": ["a", "b"], "properties": { "a": { "$ref": "#" }, "b": { "$ref": "#" } } });
        assert!(fit(&schema).to_string().len() < 20_000);
        assert!(
            fit(&json!({ "type": "array", "minItems": 1u64 << 60, "items": {} })).as_array().unwrap().len() <= 1000
        );
    }

    proptest! {
        #[test]
        fn numbers_keep_within_their_bounds(least in -1000i64..1000, room in 0i64..1000) {
            let schema = json!({ "type": "integer", "minimum": least, "maximum": least + room });
            let value = fit(&schema).as_i64().unwrap();
            prop_assert!(least <= value && value <= least + room);
        }
    }
}
