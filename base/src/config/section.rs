//! A cursor over the tree that was typed: it hands out keys, keeps every fault, and knows which keys nobody asked for.
//!
//! The same reader that loads a configuration also lists its keys: with [`Log::recording`], each key that is asked
//! for is noted with its default.

use std::{cell::RefCell, collections::BTreeMap};

use super::{
    fault::{Fault, Place, did_you_mean},
    key::Key,
    value::{MAX_ITEMS, Value},
};

/// One key of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDoc {
    /// `providers[].timeouts.total`.
    pub path: String,
    /// As one would type it; `(required)` where there is none.
    pub default: String,
    /// What it is for.
    pub doc: &'static str,
}

/// What a reading leaves beside the configuration itself.
pub(super) struct Log<'a> {
    faults: RefCell<Vec<Fault>>,
    keys: Option<RefCell<Vec<KeyDoc>>>,
    /// The process's environment, for keys that name a variable.
    pub(super) variables: &'a BTreeMap<String, String>,
    /// Lists every key that there is, for what an unknown one was meant to be.
    all: fn() -> Vec<KeyDoc>,
}

impl<'a> Log<'a> {
    /// For a reading.
    pub(super) const fn reading(variables: &'a BTreeMap<String, String>, all: fn() -> Vec<KeyDoc>) -> Self {
        Self { faults: RefCell::new(Vec::new()), keys: None, variables, all }
    }

    /// For a reading of nothing, which visits each key once.
    pub(super) const fn recording(variables: &'a BTreeMap<String, String>) -> Self {
        Self { faults: RefCell::new(Vec::new()), keys: Some(RefCell::new(Vec::new())), variables, all: Vec::new }
    }

    /// Keeps a fault. A recording has none.
    pub(super) fn fault(&self, path: String, message: String, place: Place) {
        if self.keys.is_none() {
            self.faults.borrow_mut().push(Fault { path, message, place });
        }
    }

    /// Notes a key, if this is a recording.
    pub(super) fn note(&self, path: &str, default: String, doc: &'static str) {
        if let Some(keys) = &self.keys {
            keys.borrow_mut().push(KeyDoc { path: path.to_owned(), default, doc });
        }
    }

    /// Whether this is a recording.
    pub(super) const fn is_recording(&self) -> bool {
        self.keys.is_some()
    }

    /// All that was noted, and all that is wrong.
    pub(super) fn into_parts(self) -> (Vec<KeyDoc>, Vec<Fault>) {
        (self.keys.map(RefCell::into_inner).unwrap_or_default(), self.faults.into_inner())
    }
}

/// A group of keys.
pub struct Section<'a> {
    log: &'a Log<'a>,
    path: String,
    value: Option<&'a Value>,
    place: Place,
    asked: Vec<&'static str>,
    refused: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// Reads the whole of `tree`.
    pub(super) fn root<T>(log: &'a Log<'a>, tree: &'a Value, read: impl FnOnce(&mut Self) -> T) -> T {
        Self::within(log, String::new(), Some(tree), tree.place.clone(), read)
    }

    /// The key `name`, `doc` saying what it is for.
    pub fn key(&mut self, name: &'static str, doc: &'static str) -> Key<'a> {
        let value = self.ask(name);
        Key { log: self.log, path: self.join(name), doc, place: self.place_of(name), value, shown: None }
    }

    /// The group of keys `name`; all defaults if it was not typed.
    pub fn section<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Self) -> T) -> T {
        let value = self.ask(name);
        Self::within(self.log, self.join(name), value, self.place_of(name), read)
    }

    /// The group of keys `name`, or `None` if it was not typed.
    pub fn optional_section<T>(
        &mut self,
        name: &'static str,
        doc: &'static str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        self.log.note(&self.join(name), "null".to_owned(), doc);
        let value = self.ask(name);
        if value.is_none() && !self.log.is_recording() {
            return None;
        }
        let read = Self::within(self.log, self.join(name), value, self.place_of(name), read);
        value.map(|_| read)
    }

    /// The list `name` of groups of keys, or `None` if it was not typed; `shown` says what holds then.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        doc: &'static str,
        shown: &str,
        mut read: impl FnMut(&mut Self) -> T,
    ) -> Option<Vec<T>> {
        let path = self.join(name);
        self.log.note(&path, shown.to_owned(), doc);
        let value = self.ask(name);
        if self.log.is_recording() {
            Self::within(self.log, format!("{path}[]"), None, Place::Nowhere, read);
            return None;
        }
        let value = value?;
        let Some(items) = value.as_list() else {
            self.fault(name, format!("{} is not a list; write each item under a dash", value.found()));
            return None;
        };
        if items.len() > MAX_ITEMS {
            self.fault(name, format!("has {} items; {MAX_ITEMS} is the most allowed", items.len()));
        }
        let items = items.iter().take(MAX_ITEMS).enumerate().map(|(index, item)| {
            Self::within(self.log, format!("{path}[{index}]"), Some(item), item.place.clone(), &mut read)
        });
        Some(items.collect())
    }

    /// Refuses the key `name`, if it was typed, for the reason in `message`.
    pub fn refuse(&mut self, name: &'static str, message: &str) {
        self.refused.push(name);
        if self.typed(name) {
            self.fault(name, message.to_owned());
        }
    }

    /// Whether `name` was typed as a group of keys; in a recording, yes.
    pub fn holds_map(&self, name: &str) -> bool {
        self.log.is_recording() || self.typed_value(name).is_some_and(|value| value.as_map().is_some())
    }

    /// Whether `name` was typed, and not as null.
    pub fn typed(&self, name: &str) -> bool {
        self.typed_value(name).is_some()
    }

    /// Whether `name` was typed as a list of nothing.
    pub fn typed_list_is_empty(&self, name: &str) -> bool {
        self.typed_value(name).and_then(Value::as_list).is_some_and(<[Value]>::is_empty)
    }

    /// Keeps a fault of the key `name`.
    pub fn fault(&self, name: &str, message: String) {
        self.log.fault(self.join(name), message, self.place_of(name));
    }

    /// Keeps a fault of the key at `path`, which was read before, at the place of the key `name` of this group.
    pub fn fault_of(&self, path: String, name: &str, message: String) {
        self.log.fault(path, message, self.place_of(name));
    }

    /// Whether this is no reading, but a visit to each key once in order to list them.
    #[must_use]
    pub const fn is_recording(&self) -> bool {
        self.log.is_recording()
    }

    /// Where this group stands in the configuration: `providers[1]`.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn within<T>(
        log: &'a Log<'a>,
        path: String,
        value: Option<&'a Value>,
        place: Place,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut section = Self { log, path, value, place, asked: Vec::new(), refused: Vec::new() };
        let before = log.faults.borrow().len();
        let read = read(&mut section);
        match value {
            Some(value) if value.as_map().is_none() && !value.is_null() => {
                // What is missing in it follows from what it is: that is said once.
                log.faults.borrow_mut().truncate(before);
                section.not_a_group(value);
            }
            Some(value) => section.unknown_keys(value),
            None => {}
        }
        read
    }

    fn not_a_group(self, value: &Value) {
        let message = format!("{} is not a group of keys; its keys are {}", value.found(), self.asked.join(", "));
        self.log.fault(self.path, message, self.place);
    }

    /// Faults each key that nobody asked for.
    fn unknown_keys(&self, value: &Value) {
        for (name, value) in value.as_map().unwrap_or_default() {
            let is_known = |known: &[&str]| known.contains(&name.as_str());
            if is_known(&self.asked) || is_known(&self.refused) {
                continue;
            }
            let suggestion = match &value.place {
                Place::Variable(variable) => super::variables::suggestion(variable, &(self.log.all)()),
                _ => None,
            };
            let message = format!("unknown key{}", suggestion.unwrap_or_else(|| self.suggestion(name)));
            self.log.fault(self.join(name), message, value.place.clone());
        }
    }

    /// What an unknown key was probably meant to be: a near one beside it, or one of its name elsewhere.
    fn suggestion(&self, name: &str) -> String {
        let near = did_you_mean(name, self.asked.iter().copied());
        if !near.is_empty() {
            return near;
        }
        match (self.log.all)().iter().find_map(|key| up_to(name, &key.path)) {
            Some(elsewhere) => format!("; `{elsewhere}` is one"),
            None => format!("; the keys here are {}", self.asked.join(", ")),
        }
    }

    fn ask(&mut self, name: &'static str) -> Option<&'a Value> {
        self.asked.push(name);
        self.typed_value(name)
    }

    fn typed_value(&self, name: &str) -> Option<&'a Value> {
        self.value?.get(name).filter(|value| !value.is_null())
    }

    /// Where `name` was typed, else where this group was.
    fn place_of(&self, name: &str) -> Place {
        self.value.and_then(|value| value.get(name)).map_or_else(|| self.place.clone(), |value| value.place.clone())
    }

    fn join(&self, name: &str) -> String {
        let name = super::value::clip(name);
        if self.path.is_empty() { name } else { format!("{}.{name}", self.path) }
    }
}

/// `path` as far as its step `name`, if it has one.
fn up_to<'p>(name: &str, path: &'p str) -> Option<&'p str> {
    let mut end = 0;
    for step in path.split('.') {
        end += step.len();
        if step.trim_end_matches("[]") == name {
            return path.get(..end);
        }
        end += 1;
    }
    None
}
