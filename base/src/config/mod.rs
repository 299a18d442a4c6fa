//! The reading of a configuration: from what was typed in a file, in variables and in flags to what was meant, with
//! every fault at once. What its keys are, each program says for itself, by a [`Document`].

mod advice;
mod fault;
mod format;
mod key;
mod secret;
mod section;
mod shared;
mod sources;
pub mod units;
mod value;
mod variables;
mod watch;

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

#[cfg(any(test, feature = "testing"))]
pub(crate) use self::format::Format;
pub(crate) use self::value::Value;
pub use self::{
    advice::{Advice, Found},
    fault::{Fault, Faults, Place, did_you_mean},
    key::{Key, a_name, anything, fault_unless, read_url},
    secret::{Secret, same},
    section::{KeyDoc, Section},
    shared::{LogFormat, REDIS_SCHEMES, Telemetry, Tls, a_filter},
    sources::{Setting, Sources, load, read_file},
    value::clip,
    variables::READY_FILE,
    watch::{Cause, Watch},
};
use self::{format::loose, section::Log, value::Node};

/// A configuration: how it is read, and which files it names.
pub trait Document: Sized {
    /// A key and a value of it, for the fault of a flag that sets nothing: `listen.grpc=127.0.0.1:50051`.
    const EXAMPLE: &'static str;

    /// What is taken as typed where one of the outermost keys was not: the key, and its value in YAML.
    const ASSUMED: &'static [(&'static str, &'static str)] = &[];

    /// What was meant. Asks `at` for every key that there is, whatever was typed.
    fn read(at: &mut Section<'_>) -> Self;

    /// Every file that it was read from beside its own: keys, tokens, certificates.
    fn files(&self) -> Vec<PathBuf>;
}

/// Every key of `C` that a file, a variable or `--set` may hold, with its default.
#[must_use]
pub fn keys<C: Document>() -> Vec<KeyDoc> {
    let variables = BTreeMap::new();
    let log = Log::recording(&variables);
    Section::root(&log, &Value::empty(), C::read);
    log.into_parts().0
}

/// What nothing typed means.
#[must_use]
pub fn default<C: Document>() -> C {
    read(&Value::empty(), &BTreeMap::new()).0
}

/// `keys` as a table in Markdown.
#[must_use]
pub fn table(keys: &[KeyDoc]) -> String {
    let mut table = String::from("| key | default | what it is |\n| --- | --- | --- |\n");
    for key in keys {
        let _ = writeln!(table, "| `{}` | {} | {} |", key.path, key.default, key.doc.replace('|', "\\|"));
    }
    table
}

/// The configuration that `tree` holds, and what is wrong with it; a default stands for each key with a fault.
fn read<C: Document>(tree: &Value, variables: &BTreeMap<String, String>) -> (C, Vec<Fault>) {
    let log = Log::reading(variables, keys::<C>);
    let tree = completed::<C>(tree);
    let config = Section::root(&log, &tree, C::read);
    (config, log.into_parts().1)
}

/// `tree` with what is assumed.
fn completed<C: Document>(tree: &Value) -> Value {
    let mut tree = tree.clone();
    if let Node::Map(entries) = &mut tree.node {
        for (key, yaml) in C::ASSUMED {
            if !entries.iter().any(|(name, value)| name == key && !value.is_null()) {
                entries.retain(|(name, _)| name != key);
                entries.push(((*key).to_owned(), loose(yaml, &Place::Nowhere)));
            }
        }
    }
    tree
}

#[cfg(test)]
mod tests;
