//! Callers' JSON Schemas, compiled: within bounds, with nothing fetched, and kept for the next call.

use std::{collections::HashMap, fmt, sync::Arc};

use bytes::Bytes;
use jsonschema::{PatternOptions, Validator};
use parking_lot::Mutex;
use serde_json::Value;

use super::{graph::SchemaFault, weigh::Weight};

/// Bytes of one schema.
const MAX_SCHEMA: usize = 256 << 10;
/// Bytes that one compiled pattern may take, and its matcher again.
const MAX_PATTERN: usize = 256 << 10;
/// Parts of a schema that look at the values of one document: no thread is held for much longer than a second.
const MAX_VISITS: u64 = 10_000_000;
/// The same, where every fault is to be told, which is dearer.
const MAX_VISITS_TOLD: u64 = 200_000;
/// Parts of a schema that are open at once, one inside the other: they take stack.
const MAX_NESTED: u32 = 1024;
/// Faults of one document that are told.
const MAX_TOLD: usize = 5;
/// Bytes that compiled schemas may take, by estimate.
const MAX_KEPT: usize = 64 << 20;
/// What a compiled schema takes, however short it is.
const KEPT_AT_LEAST: usize = 4 << 10;
/// What it takes more, a byte of its text.
const KEPT_A_BYTE: usize = 32;

/// A compiled schema.
pub(super) struct Schema {
    validator: Validator,
    weight: Weight,
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Where in the document: a JSON pointer, empty for the whole.
    pub(super) pointer: String,
    /// For the caller, without the document's own words.
    pub(super) told: String,
    /// For the model, whose words they are.
    pub(super) said: String,
    /// Whether it is wrong with a tool's name, not with its arguments.
    pub(super) is_of_name: bool,
}

impl Wrong {
    /// Something that is wrong with the whole document.
    pub(super) fn new(what: impl Into<String>) -> Self {
        let told = what.into();
        Self { pointer: String::new(), said: told.clone(), told, is_of_name: false }
    }

    /// Something that is wrong with a tool's name.
    pub(super) fn name(what: impl Into<String>) -> Self {
        Self { is_of_name: true, ..Self::new(what) }
    }

    /// The field of a call that it is in.
    pub(super) const fn of_name(&self) -> &'static str {
        if self.is_of_name { "name" } else { "arguments" }
    }
}

impl Schema {
    fn try_new(text: &[u8]) -> Result<Self, SchemaFault> {
        let fault = |message: String| SchemaFault { pointer: String::new(), message };
        if text.len() > MAX_SCHEMA {
            return Err(fault(format!("is larger than {MAX_SCHEMA} bytes")));
        }
        let schema: Value = serde_json::from_slice(text).map_err(|error| fault(format!("is not JSON: {error}")))?;
        let weight = Weight::of(&schema)?;
        let patterns = PatternOptions::regex().size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN);
        let compiled = jsonschema::options().offline().with_pattern_options(patterns).build(&schema);
        let validator = compiled.map_err(|error| SchemaFault {
            pointer: error.instance_path().to_string(),
            message: format!("is no JSON Schema: {}", short(&error.to_string())),
        })?;
        Ok(Self { validator, weight })
    }

    /// Holds `document` against the schema.
    ///
    /// # Errors
    /// What is wrong with it, at least one thing.
    pub(super) fn check(&self, document: &Value) -> Result<(), Vec<Wrong>> {
        let size = Size::of(document);
        let level = self.weight.at(size.levels);
        // What a part has found of a value is remembered, so that none looks at it over and over.
        let visits = level.visits.min(self.weight.parts()).saturating_mul(size.values);
        if visits > MAX_VISITS || level.nested > MAX_NESTED {
            return Err(vec![Wrong::new("is too large or too deep to be held against the schema")]);
        }
        if self.validator.is_valid(document) {
            return Ok(());
        }
        if level.visits.saturating_mul(size.values) > MAX_VISITS_TOLD {
            return Err(vec![Wrong::new("does not fit the schema")]);
        }
        let wrong = self.validator.iter_errors(document).take(MAX_TOLD).map(|error| Wrong {
            pointer: error.instance_path().to_string(),
            told: short(&error.masked().to_string()),
            said: short(&error.to_string()),
            is_of_name: false,
        });
        Err(wrong.collect())
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").field("weight", &self.weight).finish_non_exhaustive()
    }
}

/// How large a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    values: u64,
    levels: usize,
}

impl Size {
    /// As deep as JSON is read here, so it may call itself.
    fn of(document: &Value) -> Self {
        let mut size = Self { values: 1, levels: 0 };
        let mut add = |inner: &Value| {
            let inner = Self::of(inner);
            size.values += inner.values;
            size.levels = size.levels.max(inner.levels + 1);
        };
        match document {
            Value::Array(all) => all.iter().for_each(&mut add),
            Value::Object(all) => all.values().for_each(&mut add),
            _ => {}
        }
        size
    }
}

/// At most 200 bytes of `text`, in whole characters.
fn short(text: &str) -> String {
    const MOST: usize = 200;
    let cut = &text[..text.floor_char_boundary(MOST)];
    if cut.len() < text.len() { format!("{cut}…") } else { cut.to_owned() }
}

/// Compiled schemas by their text, those least lately used given up first.
#[derive(Debug, Default)]
pub struct Schemas(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    all: HashMap<Bytes, Entry>,
    /// Of all entries together, in bytes by estimate.
    size: usize,
    /// Counts uses.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    schema: Arc<Schema>,
    size: usize,
    used: u64,
}

impl Schemas {
    /// The schema that `text` is, compiled, kept for the next time.
    pub(super) fn compiled(&self, text: &[u8]) -> Result<Arc<Schema>, SchemaFault> {
        if let Some(schema) = self.0.lock().find(text) {
            return Ok(schema);
        }
        let schema = Arc::new(Schema::try_new(text)?);
        let size = KEPT_AT_LEAST + text.len() * KEPT_A_BYTE + schema.weight.patterns * 2 * MAX_PATTERN;
        self.0.lock().keep(Bytes::copy_from_slice(text), &schema, size);
        Ok(schema)
    }
}

impl Kept {
    fn find(&mut self, text: &[u8]) -> Option<Arc<Schema>> {
        self.clock += 1;
        let entry = self.all.get_mut(text)?;
        entry.used = self.clock;
        Some(Arc::clone(&entry.schema))
    }

    fn keep(&mut self, text: Bytes, schema: &Arc<Schema>, size: usize) {
        if size > MAX_KEPT {
            return;
        }
        let entry = Entry { schema: Arc::clone(schema), size, used: self.clock };
        self.size += size;
        if let Some(before) = self.all.insert(text, entry) {
            self.size -= before.size;
        }
        while self.size > MAX_KEPT {
            let oldest = self.all.iter().min_by_key(|(_, entry)| entry.used).map(|(text, _)| text.clone());
            let Some(gone) = oldest.and_then(|text| self.all.remove(&text)) else { break };
            self.size -= gone.size;
        }
    }
}

#[cfg(test)]
mod tests {

    use serde_json::json;

    use super::*;

    fn schema(schema: &Value) -> Schema {
        Schema::try_new(schema.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_document_that_does_not_fit_is_told_where_and_why() {
        let schema = schema(&json!({
            "type": "object",
            "properties": { "name": { "type": "string" }, "age": { "type": "integer", "minimum": 0 } },
            "required": ["name"],
            "additionalProperties": false,
        }));
        assert_eq!(schema.check(&json!({ "name": "a", "age": 1 })), Ok(()));
        let wrong = schema.check(&json!({ "age": "secret", "x": 1 })).unwrap_err();
        let mut places: Vec<&str> = wrong.iter().map(|wrong| wrong.pointer.as_str()).collect();
        places.sort_unstable();
        assert_eq!(places, ["", "", "/age"], "{wrong:?}");
        let age = wrong.iter().find(|wrong| wrong.pointer == "/age").unwrap();
        assert!(age.said.contains("secret") && !age.told.contains("secret") && age.told.contains("integer"), "{age:?}");
    }

    #[test]
    fn what_is_no_schema_is_refused_with_its_place() {
        for (schema, pointer, word) in [
            (json!({ "properties": { "a": { "type": "strin" } } }), "/properties/a/type", "strin"),
            (json!({ "items": { "pattern": "(" } }), "/items/pattern", "("),
            (json!({ "pattern": "a(?!b)" }), "/pattern", "a(?!b)"),
            (json!({ "pattern": "(\\w{1000}){1000}" }), "/pattern", "w{1000}"),
            (json!({ "required": "a" }), "/required", "array"),
            (json!([1]), "", ""),
        ] {
            let fault = Schema::try_new(schema.to_string().as_bytes()).unwrap_err();
            assert_eq!(fault.pointer, pointer, "{fault:?}");
            assert!(fault.message.contains(word), "{fault:?}");
        }
        let large = json!({ "description": "x".repeat(MAX_SCHEMA) });
        assert!(Schema::try_new(large.to_string().as_bytes()).unwrap_err().message.contains("larger"));
    }

    #[test]
    fn nothing_that_a_schema_asks_for_takes_a_threads_time_or_stack() {
        let node = json!({ "$ref": "#/$defs/n" });
        let doubling = schema(&json!({ "$ref": "#/$defs/n", "$defs": { "n": {
            "properties": { "a": node }, "allOf": [{ "properties": { "a": node } }], "required": ["b"] } } }));
        let mut chain = serde_json::Map::new();
        for number in 0..MAX_NESTED_TESTED {
            let next = json!({ "allOf": [{ "$ref": format!("#/$defs/a{}", number + 1) }] });
            chain.insert(format!("a{number}"), next);
        }
        chain.insert(format!("a{MAX_NESTED_TESTED}"), json!({ "properties": { "a": { "$ref": "#/$defs/a0" } } }));
        let long = schema(&json!({ "$defs": chain, "$ref": "#/$defs/a0" }));
        let deep = (0..120).fold(json!({ "b": 1 }), |inner, _| json!({ "a": inner, "b": 1 }));
        let broken = (0..120).fold(json!({}), |inner, _| json!({ "a": inner, "b": 1 }));
        assert_eq!(doubling.check(&deep), Ok(()));
        assert_eq!(doubling.check(&broken).unwrap_err()[0].told, "does not fit the schema");
        assert!(long.check(&deep).unwrap_err()[0].told.contains("too deep"));
        let shallow = (0..7).fold(json!({}), |inner, _| json!({ "a": inner }));
        assert_eq!(long.check(&shallow), Ok(()));
        let wide = schema(&json!({ "items": { "allOf": vec![json!({ "type": "integer" }); 1000] } }));
        assert!(wide.check(&json!(vec![1; 100_000])).unwrap_err()[0].told.contains("too large"));
    }

    /// Steps of the longest chain that is no fault by itself; each takes two parts.
    const MAX_NESTED_TESTED: usize = 40;

    #[test]
    fn schemas_are_kept_within_bounds() {
        let schemas = Schemas::default();
        let text = |number: usize| json!({ "const": number, "description": "x".repeat(100 << 10) }).to_string();
        let first = schemas.compiled(text(0).as_bytes()).unwrap();
        for number in 1..40 {
            schemas.compiled(text(number).as_bytes()).unwrap();
            let again = schemas.compiled(text(0).as_bytes()).unwrap();
            assert!(Arc::ptr_eq(&first, &again), "what is in use is kept");
        }
        let kept = schemas.0.lock();
        assert!(kept.size <= MAX_KEPT && kept.all.len() < 25, "{} of {} bytes", kept.all.len(), kept.size);
        assert_eq!(kept.size, kept.all.values().map(|entry| entry.size).sum::<usize>());
        assert!(!kept.all.contains_key(text(1).as_bytes()));
    }
}
