//! What the tests of the crates above share.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails a test"
)]

pub mod certificates;
pub mod page;

use crate::config::{Format, Value};

/// Every leaf of a document in YAML: its path, an item of a list written `[]`, and its value as a fault would show it.
#[must_use]
pub fn leaves(yaml: &str) -> Vec<(String, String)> {
    let tree = Format::Yaml.parse(yaml, &"yaml".into()).expect("YAML");
    let mut leaves = Vec::new();
    leaves_of(&tree, "", &mut leaves);
    leaves
}

fn leaves_of(value: &Value, path: &str, leaves: &mut Vec<(String, String)>) {
    if let Some(entries) = value.as_map() {
        for (key, value) in entries {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            leaves_of(value, &path, leaves);
        }
    } else if let Some(items) = value.as_list() {
        items.iter().for_each(|item| leaves_of(item, &format!("{path}[]"), leaves));
    } else {
        leaves.push((path.to_owned(), value.found()));
    }
}
