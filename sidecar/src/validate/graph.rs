//! Every schema within a schema, and which of them it hands a value, or a part of it, on to.
//!
//! Pure, and bounded: it reads references within the schema only, and says so where one leads elsewhere, or nowhere.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Schemas within one schema.
pub(super) const MAX_PARTS: usize = 4096;
/// Patterns within one schema.
pub(super) const MAX_PATTERNS: usize = 64;
/// Bytes of the places of all keywords within one schema: each is written out by who compiles it.
const MAX_PLACES: usize = 16 << 20;

/// Of the parts of a value: the members of an object.
const OBJECT: usize = 0;
/// The elements of a list.
const LIST: usize = 1;

/// What is wrong with a schema, and where: a JSON pointer, empty at its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SchemaFault {
    pub(super) pointer: String,
    pub(super) message: String,
}

/// A schema within the schema, by what it hands its value, or a part of it, on to.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// To these the same value.
    pub(super) same: Vec<usize>,
    /// Of these one takes the member of an object, the element of a list.
    pub(super) one_of: [Vec<usize>; 2],
    /// All of these may take any of them.
    pub(super) any: [Vec<usize>; 2],
    /// Whether it asks those of `same` once more, to learn what they have looked at.
    pub(super) twice: bool,
}

/// Every schema within a schema; the first is the schema itself.
pub(super) struct Graph<'a> {
    root: &'a Value,
    pub(super) parts: Vec<Part>,
    /// By address: a schema that is referred to is one, however often.
    known: HashMap<*const Value, usize>,
    /// Those not yet read, and where they stand.
    unread: Vec<(&'a Value, String)>,
    anchors: HashMap<&'a str, &'a Value>,
    /// Patterns within it.
    pub(super) patterns: usize,
    /// Bytes of the places of its keywords.
    places: usize,
}

impl<'a> Graph<'a> {
    /// That of `root`.
    ///
    /// # Errors
    /// It is too large, or refers to what is not within it.
    pub(super) fn of(root: &'a Value) -> Result<Self, SchemaFault> {
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
    ///
    /// # Errors
    /// There is no such order: it can never be done with a value.
    pub(super) fn innermost_first(&self) -> Result<Vec<usize>, SchemaFault> {
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
