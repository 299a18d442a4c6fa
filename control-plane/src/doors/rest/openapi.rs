//! The OpenAPI document: made from the table of paths and from the messages' own descriptors, so that it says what the
//! door does.

use std::{collections::BTreeSet, sync::LazyLock};

use bytes::Bytes;
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::{
    ROOT,
    routes::{Body, Parameter, ROUTES, Route},
};
use crate::{access::Role, json};

const PACKAGE: &str = "fusebox.v1";

static MADE: LazyLock<Result<Bytes, String>> = LazyLock::new(make);

/// The document, made once.
///
/// # Errors
/// The descriptors built into the program cannot be read, or do not have a message that the table names.
pub(super) fn document() -> Result<Bytes, String> {
    MADE.clone()
}

fn make() -> Result<Bytes, String> {
    let pool = json::pool().map_err(|fault| fault.to_string())?;
    let mut schemas = Schemas { pool, made: Map::new(), left: BTreeSet::new() };
    let mut paths = Map::new();
    for route in ROUTES {
        let operation = operation(route, &mut schemas)?;
        let path = paths.entry(format!("{ROOT}{}", route.path)).or_insert_with(|| json!({}));
        path[route.method] = operation;
    }
    schemas.finish()?;
    schemas.made.insert("Error".to_owned(), error());
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Fusebox control plane",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The fleet at a glance, and its providers' switches. Messages are those of fusebox.v1 \
                            in Protocol Buffers' JSON mapping: 64-bit integers are texts.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.made,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "fusebox_session"},
            },
        },
    });
    serde_json::to_vec(&document).map(Bytes::from).map_err(|error| error.to_string())
}

fn operation(route: &Route, schemas: &mut Schemas<'_>) -> Result<Value, String> {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    parameters.extend(route.query.iter().map(|Parameter { name, kind, summary }| {
        json!({"name": name, "in": "query", "required": false, "description": summary, "schema": {"type": kind}})
    }));
    let mut answers = json!({"default": {
        "description": "Why it was not done.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }});
    let status = if matches!(route.gives, Body::Nothing) { "204" } else { "200" };
    answers[status] = json!({"description": "Done."});
    if let Some(content) = content(&route.gives, schemas)? {
        answers[status]["content"] = content;
    }
    let security = match route.role {
        None => json!([]),
        Some(_) => json!([{"token": []}, {"session": []}]),
    };
    let role = match route.role {
        None => "Open to all.",
        Some(Role::Viewer) => "Needs the role viewer.",
        Some(Role::Operator) => "Needs the role operator.",
    };
    let mut operation = json!({
        "summary": route.summary, "description": role, "parameters": parameters, "responses": answers,
        "security": security,
    });
    if let Some(content) = content(&route.takes, schemas)? {
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    Ok(operation)
}

fn content(body: &Body, schemas: &mut Schemas<'_>) -> Result<Option<Value>, String> {
    Ok(Some(match body {
        Body::Nothing => return Ok(None),
        Body::Message(name, []) => json!({"application/json": {"schema": schemas.reference(name)}}),
        Body::Message(name, without) => json!({"application/json": {"schema": schemas.inline(name, without)?}}),
        Body::Events(event, name) => json!({"text/event-stream": {
            "schema": {"type": "string"},
            "x-event": event,
            "x-data": schemas.reference(name),
        }}),
        Body::Lines(name) => json!({"application/x-ndjson": {"schema": schemas.reference(name)}}),
        Body::Texts(names) => {
            let properties: Map<String, Value> =
                names.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
            json!({"application/json": {"schema":
                {"type": "object", "properties": properties, "required": names, "additionalProperties": false}}})
        }
        Body::Document => json!({"application/json": {"schema": {"type": "object"}}}),
    }))
}

/// Messages' schemas, as they are needed.
struct Schemas<'a> {
    pool: &'a DescriptorPool,
    made: Map<String, Value>,
    left: BTreeSet<String>,
}

impl Schemas<'_> {
    fn reference(&mut self, name: &str) -> Value {
        if !self.made.contains_key(name) {
            self.left.insert(name.to_owned());
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    /// The schema of a message without some of its fields, where it stands.
    fn inline(&mut self, name: &str, without: &[&str]) -> Result<Value, String> {
        let message = self.message(name)?;
        Ok(self.object(&message, without))
    }

    /// Makes what was referred to, and what that refers to.
    fn finish(&mut self) -> Result<(), String> {
        while let Some(name) = self.left.pop_first() {
            let message = self.message(&name)?;
            // Before its fields, which may be of its own kind.
            self.made.insert(name.clone(), Value::Null);
            let object = self.object(&message, &[]);
            self.made.insert(name, object);
        }
        Ok(())
    }

    fn message(&self, name: &str) -> Result<MessageDescriptor, String> {
        let found = self.pool.get_message_by_name(&format!("{PACKAGE}.{name}"));
        found.ok_or_else(|| format!("there is no message {PACKAGE}.{name}"))
    }

    fn object(&mut self, message: &MessageDescriptor, without: &[&str]) -> Value {
        let fields = message.fields().filter(|field| !without.contains(&field.name()));
        let properties: Map<String, Value> =
            fields.map(|field| (field.json_name().to_owned(), self.field(&field))).collect();
        json!({"type": "object", "properties": properties, "additionalProperties": false})
    }

    fn field(&mut self, field: &FieldDescriptor) -> Value {
        if field.is_map() {
            let Kind::Message(entry) = field.kind() else { return json!({}) };
            let value = self.kind(&entry.map_entry_value_field().kind());
            return json!({"type": "object", "additionalProperties": value});
        }
        let one = self.kind(&field.kind());
        if field.is_list() { json!({"type": "array", "items": one}) } else { one }
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Bool => json!({"type": "boolean"}),
            Kind::String | Kind::Bytes => json!({"type": "string"}),
            Kind::Float | Kind::Double => json!({"type": "number"}),
            Kind::Uint64 | Kind::Fixed64 => json!({"type": "string", "pattern": "^[0-9]+$"}),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => json!({"type": "string", "pattern": "^-?[0-9]+$"}),
            Kind::Uint32 | Kind::Fixed32 => json!({"type": "integer", "minimum": 0}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({"type": "integer"}),
            Kind::Enum(values) => {
                let names: Vec<_> = values.values().map(|value| value.name().to_owned()).collect();
                json!({"type": "string", "enum": names})
            }
            Kind::Message(message) => match message.full_name() {
                "google.protobuf.Timestamp" => json!({"type": ["string", "null"], "format": "date-time"}),
                "google.protobuf.Duration" => json!({"type": ["string", "null"], "pattern": "^-?[0-9]+(\\.[0-9]+)?s$"}),
                _ => {
                    let name = message.name().to_owned();
                    self.reference(&name)
                }
            },
        }
    }
}

/// The shape of an error.
fn error() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "additionalProperties": false,
        "properties": {"error": {
            "type": "object",
            "required": ["code", "message"],
            "additionalProperties": false,
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "fields": {"type": "array", "items": {
                    "type": "object",
                    "required": ["field", "message"],
                    "additionalProperties": false,
                    "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                }},
                "details": {"type": "object"},
            },
        }},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_and_every_message_that_it_needs_is_in_the_document() {
        let document: Value = serde_json::from_slice(&document().unwrap()).unwrap();
        for route in ROUTES {
            let operation = &document["paths"][format!("{ROOT}{}", route.path)][route.method];
            assert_eq!(operation["summary"], route.summary, "{}", route.path);
        }
        let text = document.to_string();
        let needed = text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next());
        for name in needed {
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
        let provider = &document["components"]["schemas"]["Provider"]["properties"];
        assert_eq!(provider["sidecarsApplied"]["type"], "integer");
        let body = &document["paths"]["/api/v1/providers/{name}"]["patch"]["requestBody"]["content"];
        assert!(body["application/json"]["schema"]["properties"].get("name").is_none(), "it stands in the path");
    }
}
