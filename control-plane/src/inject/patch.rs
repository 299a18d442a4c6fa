//! A JSON Patch of nothing but additions (RFC 6902), each put together from the steps of its path.

use serde::Serialize;
use serde_json::{Value, json};

/// Additions in the order in which they are to be made.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Patch(Vec<Value>);

impl Patch {
    /// Puts `value` where `path` leads; of an object, in the place of what is there.
    pub(super) fn add(&mut self, path: &[&str], value: Value) {
        let mut addition = json!({"op": "add", "path": pointer(path)});
        addition["value"] = value;
        self.0.push(addition);
    }

    /// Puts `items` at the end of the list where `path` leads, which may not be there yet.
    pub(super) fn append(&mut self, path: &[&str], is_there: bool, items: Vec<Value>) {
        if is_there {
            let end = [path, &["-"]].concat();
            items.into_iter().for_each(|item| self.add(&end, item));
        } else if !items.is_empty() {
            self.add(path, Value::Array(items));
        }
    }

    /// Sets each of `entries` of the object where `path` leads, which may not be there yet.
    pub(super) fn set(&mut self, path: &[&str], is_there: bool, entries: Vec<(String, Value)>) {
        if is_there {
            entries.into_iter().for_each(|(key, value)| self.add(&[path, &[&key]].concat(), value));
        } else if !entries.is_empty() {
            self.add(path, Value::Object(entries.into_iter().collect()));
        }
    }
}

/// A path as JSON Pointer writes it (RFC 6901).
fn pointer(path: &[&str]) -> String {
    path.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_added_to_and_what_is_not_is_made() {
        let mut patch = Patch::default();
        patch.append(&["a"], false, Vec::new());
        patch.append(&["a"], true, vec![json!(1), json!(2)]);
        patch.append(&["b"], false, vec![json!(1)]);
        patch.set(&["m"], true, vec![("fusebox.dev/a~b".to_owned(), json!("x"))]);
        patch.set(&["n"], false, vec![("k".to_owned(), json!("x"))]);
        let right = json!([
            {"op": "add", "path": "/a/-", "value": 1},
            {"op": "add", "path": "/a/-", "value": 2},
            {"op": "add", "path": "/b", "value": [1]},
            {"op": "add", "path": "/m/fusebox.dev~1a~0b", "value": "x"},
            {"op": "add", "path": "/n", "value": {"k": "x"}},
        ]);
        assert_eq!(serde_json::to_value(&patch).unwrap(), right);
    }
}
