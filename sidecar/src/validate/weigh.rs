//! What holding a document against a schema can cost, told from the schema alone.
//!
//! Schemas come from callers. One of a few hundred bytes can ask for more work than a thread has time for, or for more
//! stack than it has: references fan out, and lead round in circles. So a schema is weighed before it is compiled, and
//! a document's size is held against that weight before it is checked. Pure: it compiles and checks nothing.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Schemas within one schema.
const MAX_PARTS: usize = 4096;
/// Patterns within one schema.
const MAX_PATTERNS: usize = 64;
/// Bytes of the places of all keywords within one schema: each is written out by who compiles it.
const MAX_PLACES: usize = 16 << 20;
/// Parts that look at one and the same value, one inside the other.
const MAX_NESTED: u32 = 128;
/// Parts that look at one and the same value.
const MAX_AT_ONCE: u64 = 1024;
/// Levels of a document; no reader here goes deeper.
const MAX_LEVELS: usize = 128;

/// How a schema's cost grows with a document's depth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Weight {
    /// For documents of 0, 1, 2, … levels; deeper ones cost as the last.
    levels: Vec<Level>,
    /// Schemas within it.
    parts: u64,
    /// Patterns within it.
    pub(super) patterns: usize,
}

/// The cost of a document of a certain depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Level {
    /// Parts that may look at the values on the way to one leaf.
    pub(super) visits: u64,
    /// Parts that are open at once, one inside the other.
    pub(super) nested: u32,
}

/// What is wrong with a schema, and where: a JSON pointer, empty at its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SchemaFault {
    pub(super) pointer: String,
    pub(super) message: String,
}

impl Weight {
    /// Weighs `schema`.
    ///
    /// # Errors
    /// It is too large, refers to what is not within it, or can never be done with a value.
    pub(super) fn of(schema: &Value) -> Result<Self, SchemaFault> {
        let graph = Graph::of(schema)?;
        let order = graph.innermost_first()?;
        let mut levels: Vec<Level> = Vec::new();
        let mut below = vec![Costs::default(); graph.parts.len()];
        for level in 0..=MAX_LEVELS {
            let mut costs = vec![Costs::default(); graph.parts.len()];
            for &part in &order {
                costs[part] = graph.parts[part].costs(&costs, &below);
            }
            levels.push(costs[0].most());
            if level == 0 && (levels[0].nested > MAX_NESTED || levels[0].visits > MAX_AT_ONCE) {
                let message = format!("looks at one value in more than {MAX_NESTED} steps, or {MAX_AT_ONCE} ways");
                return Err(SchemaFault { pointer: String::new(), message });
            }
            if costs == below {
                break;
            }
            below = costs;
        }
        Ok(Self { levels, parts: graph.parts.len() as u64, patterns: graph.patterns })
    }

    /// The cost of a document of so many levels.
    pub(super) fn at(&self, levels: usize) -> Level {
        self.levels.get(levels).or(self.levels.last()).copied().unwrap_or_default()
    }

    /// Schemas within it.
    pub(super) const fn parts(&self) -> u64 {
        self.parts
    }
}

/// The costs of one part: of an object, of a list. What applies to the one does not apply to the other.
type Costs = [Level; 2];

trait Most {
    fn most(&self) -> Level;
}

impl Most for Costs {
    fn most(&self) -> Level {
        Level { visits: self[0].visits.max(self[1].visits), nested: self[0].nested.max(self[1].nested) }
    }
}

impl Level {
    fn add(&mut self, other: Self) {
        self.visits = self.visits.saturating_add(other.visits);
        self.nested = self.nested.max(other.nested);
    }
}

/// A schema within the schema, by what it hands its value, or a part of it, on to.
#[derive(Debug, Default)]
struct Part {
    /// To these the same value.
    same: Vec<usize>,
    /// Of these one takes the member of an object, the element of a list.
    one_of: [Vec<usize>; 2],
    /// All of these may take any of them.
    any: [Vec<usize>; 2],
    /// Whether it asks those of `same` once more, to learn what they have looked at.
    twice: bool,
}

impl Part {
    fn costs(&self, here: &[Costs], below: &[Costs]) -> Costs {
        [0, 1].map(|kind| {
            let mut cost = Level::default();
            for part in &self.same {
                cost.add(here[*part][kind]);
            }
            if self.twice {
                cost.visits = cost.visits.saturating_mul(2);
            }
            for part in &self.any[kind] {
                cost.add(below[*part].most());
            }
            let named = self.one_of[kind].iter().map(|part| below[*part].most());
            cost.add(named.fold(Level::default(), |most, cost| [most, cost].most()));
            Level { visits: cost.visits.saturating_add(1), nested: cost.nested.saturating_add(1) }
        })
    }
}

/// Every schema within a schema; the first is the schema itself.
struct Graph<'a> {
    root: &'a Value,
    parts: Vec<Part>,
    /// By address: a schema that is referred to is one, however often.
    known: HashMap<*const Value, usize>,
    /// Those not yet read, and where they stand.
    unread: Vec<(&'a Value, String)>,
    anchors: HashMap<&'a str, &'a Value>,
    patterns: usize,
    /// Bytes of the places of its keywords.
    places: usize,
}

impl<'a> Graph<'a> {
    fn of(root: &'a Value) -> Result<Self, SchemaFault> {
        let mut anchors = HashMap::new();
        find_anchors(root, &mut anchors);
        let (parts, known, unread) = (Vec::new(), HashMap::new(), Vec::new());
        let mut graph = Self { root, parts, known, unread, anchors, patterns: 0, places: 0 };
        graph.part(root, String::new());
        let mut next = 0;
        while let Some((schema, pointer)) = graph.unread.get(next).cloned() {
            if let Value::Object(fields) = schema {
                graph.parts[next] = graph.read(fields, &pointer, next == 0)?;
            }
            next += 1;
            if graph.is_too_large() {
                let message =
                    format!("holds more than {MAX_PARTS} schemas or {MAX_PATTERNS} patterns, or names too long");
                return Err(SchemaFault { pointer: String::new(), message });
            }
        }
        Ok(graph)
    }

    const fn is_too_large(&self) -> bool {
        self.parts.len() > MAX_PARTS || self.patterns > MAX_PATTERNS || self.places > MAX_PLACES
    }

    /// The number of `schema`, which is read later if it is new.
    fn part(&mut self, schema: &'a Value, pointer: String) -> usize {
        let next = self.parts.len();
        *self.known.entry(std::ptr::from_ref(schema)).or_insert_with(|| {
            self.parts.push(Part::default());
            let keywords = schema.as_object().map_or(0, Map::len);
            self.places = self.places.saturating_add(pointer.len().saturating_mul(keywords + 1));
            self.unread.push((schema, pointer));
            next
        })
    }

    fn read(&mut self, fields: &'a Map<String, Value>, pointer: &str, is_root: bool) -> Result<Part, SchemaFault> {
        const OBJECT: usize = 0;
        const LIST: usize = 1;
        let mut part = Part::default();
        for (key, value) in fields {
            if self.is_too_large() {
                break;
            }
            let here = format!("{pointer}/{}", escaped(key));
            match (key.as_str(), value) {
                ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(reference)) => {
                    let Some((target, at)) = self.resolved(reference) else {
                        let message = format!("{reference:?} is not within this schema, and no other is read");
                        return Err(SchemaFault { pointer: here, message });
                    };
                    part.same.push(self.part(target, at));
                }
                ("$id" | "id", Value::String(id)) if !is_root && !id.starts_with('#') => {
                    let message = "a schema within the schema may have no id of its own".to_owned();
                    return Err(SchemaFault { pointer: here, message });
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(all)) => self.list(all, &here, &mut part.same),
                ("not" | "if" | "then" | "else", one) => part.same.push(self.part(one, here)),
                ("dependentSchemas" | "dependencies", Value::Object(all)) => self.members(all, &here, &mut part.same),
                ("properties", Value::Object(all)) => self.members(all, &here, &mut part.one_of[OBJECT]),
                ("patternProperties", Value::Object(all)) => {
                    self.patterns += all.len();
                    self.members(all, &here, &mut part.any[OBJECT]);
                }
                ("additionalProperties" | "propertyNames", one) => part.any[OBJECT].push(self.part(one, here)),
                ("unevaluatedProperties", one) => {
                    part.twice = true;
                    part.any[OBJECT].push(self.part(one, here));
                }
                ("prefixItems" | "items", Value::Array(all)) => self.list(all, &here, &mut part.one_of[LIST]),
                ("items" | "additionalItems" | "contains", one) => part.any[LIST].push(self.part(one, here)),
                ("unevaluatedItems", one) => {
                    part.twice = true;
                    part.any[LIST].push(self.part(one, here));
                }
                ("pattern", _) => self.patterns += 1,
                _ => {}
            }
        }
        Ok(part)
    }

    fn list(&mut self, all: &'a [Value], pointer: &str, to: &mut Vec<usize>) {
        for (index, one) in all.iter().enumerate() {
            if self.is_too_large() {
                break;
            }
            to.push(self.part(one, format!("{pointer}/{index}")));
        }
    }

    fn members(&mut self, all: &'a Map<String, Value>, pointer: &str, to: &mut Vec<usize>) {
        for (name, one) in all {
            if self.is_too_large() {
                break;
            }
            to.push(self.part(one, format!("{pointer}/{}", escaped(name))));
        }
    }

    /// What a reference within the schema refers to: the whole, a pointer, or an anchor.
    fn resolved(&self, reference: &str) -> Option<(&'a Value, String)> {
        let fragment = reference.strip_prefix('#')?;
        if fragment.is_empty() {
            return Some((self.root, String::new()));
        }
        match percent_decoded(fragment) {
            pointer if pointer.starts_with('/') => Some((self.root.pointer(&pointer)?, pointer)),
            anchor => Some((*self.anchors.get(anchor.as_str())?, format!("#{anchor}"))),
        }
    }

    /// Every part after those that it hands its own value on to.
    fn innermost_first(&self) -> Result<Vec<usize>, SchemaFault> {
        #[derive(Clone, Copy, PartialEq)]
        enum Seen {
            Not,
            Open,
            Done,
        }
        let mut seen = vec![Seen::Not; self.parts.len()];
        let mut order = Vec::with_capacity(self.parts.len());
        for first in 0..self.parts.len() {
            let mut open = vec![(first, 0)];
            while let Some((part, next)) = open.pop() {
                if next == 0 && seen[part] == Seen::Done {
                    continue;
                }
                seen[part] = Seen::Open;
                match self.parts[part].same.get(next) {
                    None => {
                        seen[part] = Seen::Done;
                        order.push(part);
                    }
                    Some(inner) if seen[*inner] == Seen::Open => {
                        let message = "refers to itself before it has looked at anything of the value".to_owned();
                        return Err(SchemaFault { pointer: self.unread[*inner].1.clone(), message });
                    }
                    Some(inner) => open.extend([(part, next + 1), (*inner, 0)]),
                }
            }
        }
        Ok(order)
    }
}

/// Names that a reference may use, wherever they stand.
fn find_anchors<'a>(value: &'a Value, anchors: &mut HashMap<&'a str, &'a Value>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| find_anchors(one, anchors)),
        Value::Object(fields) => {
            for (key, inner) in fields {
                match (key.as_str(), inner) {
                    ("$anchor" | "$dynamicAnchor", Value::String(name)) => drop(anchors.insert(name, value)),
                    ("$id" | "id", Value::String(name)) if name.starts_with('#') => {
                        anchors.insert(&name[1..], value);
                    }
                    _ => find_anchors(inner, anchors),
                }
            }
        }
        _ => {}
    }
}

/// A key as a JSON pointer writes it.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn percent_decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        let digits = others.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "documents are written where they are used")]
mod tests {
    use serde_json::json;

    use super::*;

    fn weight(schema: Value) -> Weight {
        Weight::of(&schema).unwrap()
    }

    fn fault(schema: Value) -> SchemaFault {
        Weight::of(&schema).unwrap_err()
    }

    #[test]
    fn a_plain_schema_costs_what_its_deepest_path_does() {
        let plain = weight(json!({
            "type": "object",
            "properties": { "a": { "items": { "type": "string", "pattern": "x" } }, "b": { "allOf": [{}, {}] } },
        }));
        assert_eq!(plain.at(0), Level { visits: 1, nested: 1 });
        assert_eq!(plain.at(1), Level { visits: 4, nested: 3 });
        assert_eq!(plain.at(100), Level { visits: 4, nested: 3 }, "deeper than the schema costs no more");
        assert_eq!((plain.parts(), plain.patterns), (6, 1));
    }

    #[test]
    fn a_tree_costs_a_step_a_level() {
        let tree = json!({ "$defs": { "node": { "properties": { "children": { "items": { "$ref": "#/$defs/node" } } } } }, "$ref": "#/$defs/node" });
        let tree = weight(tree);
        assert_eq!((tree.at(0).visits, tree.at(2).visits, tree.at(4).visits), (2, 5, 8));
        assert_eq!(tree.at(500), tree.at(MAX_LEVELS));
        let any = json!({ "anyOf": [{ "items": { "$ref": "#" } }, { "additionalProperties": { "$ref": "#" } }] });
        assert!(weight(any).at(MAX_LEVELS).visits < 600, "a value is an object or a list, not both");
    }

    #[test]
    fn references_that_fan_out_are_seen() {
        let mut definitions = Map::new();
        for number in 0..30 {
            let next = json!({ "$ref": format!("#/$defs/a{}", number + 1) });
            definitions.insert(format!("a{number}"), json!({ "anyOf": [next, next] }));
        }
        definitions.insert("a30".into(), json!({ "type": "string" }));
        let bomb = fault(json!({ "$defs": definitions, "$ref": "#/$defs/a0" }));
        assert!(bomb.message.contains("1024"), "{bomb:?}");

        let twice = json!({ "$ref": "#/$defs/n", "$defs": { "n": {
            "properties": { "a": { "$ref": "#/$defs/n" } }, "allOf": [{ "properties": { "a": { "$ref": "#/$defs/n" } } }] } } });
        let twice = weight(twice);
        assert!(twice.at(3).visits < 100 && twice.at(100).visits > 1 << 60);
        let again =
            json!({ "unevaluatedProperties": false, "allOf": [{ "unevaluatedProperties": false, "allOf": [{}] }] });
        assert_eq!(weight(again).at(0).visits, 1 + 2 * (1 + 2));
    }

    #[test]
    fn a_schema_that_cannot_be_weighed_is_refused_with_its_place() {
        for (schema, pointer) in [
            (json!({ "properties": { "a/b": { "$ref": "https://example.com/x" } } }), "/properties/a~1b/$ref"),
            (json!({ "$ref": "other.json" }), "/$ref"),
            (json!({ "$ref": "#/$defs/none" }), "/$ref"),
            (json!({ "items": { "$id": "https://example.com/x" } }), "/items/$id"),
            (json!({ "$ref": "#" }), ""),
            (
                json!({ "$defs": { "a": { "anyOf": [{ "$ref": "#/$defs/b" }] }, "b": { "$ref": "#/$defs/a" } }, "$ref": "#/$defs/a" }),
                "/$defs/a",
            ),
        ] {
            assert_eq!(fault(schema.clone()).pointer, pointer, "{schema}");
        }
        let wide: Vec<Value> = (0..=MAX_PARTS).map(|_| json!({})).collect();
        assert!(fault(json!({ "prefixItems": wide })).message.contains("4096"));
        let long = json!({ "properties": { "x".repeat(100_000): { "prefixItems": vec![json!({ "type": "string" }); 1000] } } });
        assert!(fault(long).message.contains("names too long"));
        let patterns: Map<String, Value> = (0..=MAX_PATTERNS).map(|n| (format!("p{n}"), json!({}))).collect();
        assert!(fault(json!({ "patternProperties": patterns })).message.contains("64"));
    }

    #[test]
    fn references_by_anchor_and_in_percent_signs_are_followed() {
        let schema = json!({
            "$defs": { "a b": { "type": "string" }, "c": { "$anchor": "see", "allOf": [{}] } },
            "properties": { "x": { "$ref": "#/$defs/a%20b" }, "y": { "$ref": "#see" } },
        });
        assert_eq!(weight(schema).at(1), Level { visits: 4, nested: 4 });
    }
}
