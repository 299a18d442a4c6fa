//! The tools of a request, as far as calls of them are checked: their names and their parameters' schemas.

use std::{cell::OnceCell, collections::HashMap, sync::Arc};

use bytes::Bytes;
use memchr::memmem;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    said::Called,
    schema::{Schema, Schemas, Wrong},
};
use crate::error::FieldFault;

/// What a request tells of its tools. They are read when the first of them is called: most answers call none.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    /// `tools`, or in the old way `functions`.
    list: Bytes,
    /// What the list is called in the request.
    field: &'static str,
}

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(default)]
    name: Option<String>,
    #[serde(borrow, default)]
    parameters: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
    #[serde(borrow, default)]
    custom: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(default)]
    name: Option<String>,
    #[serde(borrow, default)]
    parameters: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
}

impl Tools {
    pub(super) const fn new(list: Bytes, field: &'static str) -> Self {
        Self { list, field }
    }

    /// The faults of those schemas that the caller wants to be kept to without fail.
    pub(super) fn strict_faults(&self, schemas: &Schemas) -> Vec<FieldFault> {
        if memmem::find(&self.list, b"\"strict\"").is_none() {
            return Vec::new();
        }
        let mut faults = Vec::new();
        for (index, tool) in self.read().into_iter().enumerate() {
            let (inner, function) = tool.function();
            let (Some(true), Some(parameters)) = (function.strict, function.parameters) else { continue };
            if let Err(fault) = schemas.compiled(parameters.get().as_bytes()) {
                let path = format!("{}[{index}]{inner}.parameters{}", self.field, super::as_path(&fault.pointer));
                faults.push(FieldFault { path, message: fault.message });
            }
        }
        faults
    }

    /// The same, read: for all calls of one answer.
    pub(super) fn open<'a>(&'a self, schemas: &'a Schemas) -> Opened<'a> {
        let mut opened = Opened { schemas, named: HashMap::new(), any_name: false };
        for tool in self.read() {
            opened.any_name |= tool.is_open();
            let Function { name, parameters, .. } = tool.function().1;
            if let Some(name) = name {
                let parameters = parameters.filter(|parameters| parameters.get() != "null");
                opened
                    .named
                    .insert(name, Parameters { text: parameters.map(RawValue::get), compiled: OnceCell::new() });
            }
        }
        opened
    }

    /// Lists of any other shape have been refused, or are of tools that nothing is known of.
    fn read(&self) -> Vec<Tool<'_>> {
        serde_json::from_slice(&self.list).unwrap_or_default()
    }
}

/// A request's tools as the calls of one answer find them: an answer may make many calls, and of one tool.
pub(super) struct Opened<'a> {
    schemas: &'a Schemas,
    named: HashMap<String, Parameters<'a>>,
    /// Whether there is one that may be called by a name that is not known here.
    any_name: bool,
}

/// What a tool may be called with.
struct Parameters<'a> {
    /// Their schema, if there is one.
    text: Option<&'a str>,
    /// The same compiled, once it has been called; `None`: it cannot be.
    compiled: OnceCell<Option<Arc<Schema>>>,
}

impl Opened<'_> {
    /// Holds a call against the tool that it names.
    ///
    /// # Errors
    /// What is wrong with it. What could not be checked is added to `warnings`, once.
    pub(super) fn check(&self, call: &Called, warnings: &mut Vec<String>) -> Result<(), Vec<Wrong>> {
        let Some(parameters) = self.named.get(&call.name) else {
            let nobody = || vec![Wrong::name(format!("there is no tool {:?}", super::cut(&call.name, 80)))];
            return if self.any_name || !call.is_function { Ok(()) } else { Err(nobody()) };
        };
        if !call.is_function {
            return Ok(());
        }
        // A tool without parameters is often called with nothing.
        let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
        let arguments: Value = serde_json::from_str(arguments).map_err(|error| vec![not_json(&error)])?;
        let Some(text) = parameters.text else {
            return if arguments.is_object() { Ok(()) } else { Err(vec![Wrong::new("must be a JSON object")]) };
        };
        let compiled = parameters.compiled.get_or_init(|| {
            let fault = match self.schemas.compiled(text.as_bytes()) {
                Ok(schema) => return Some(schema),
                Err(fault) => fault.message,
            };
            let name = super::cut(&call.name, 80);
            warnings.push(format!("a call of {name} was not checked: the schema of its parameters {fault}"));
            None
        });
        compiled.as_ref().map_or(Ok(()), |schema| schema.check(&arguments))
    }
}

impl<'a> Tool<'a> {
    /// Its name and schema, which stand in `function` or, in other dialects, beside it.
    fn function(self) -> (&'static str, Function<'a>) {
        match self.function {
            Some(function) => (".function", function),
            None => ("", Function { name: self.name, parameters: self.parameters, strict: self.strict }),
        }
    }

    /// Whether it may be called by a name that is not known here.
    const fn is_open(&self) -> bool {
        self.custom.is_some() || (self.function.is_none() && self.name.is_none())
    }
}

fn not_json(error: &serde_json::Error) -> Wrong {
    match error.is_eof() {
        true => Wrong::new("is JSON that breaks off"),
        false => Wrong::new(format!("is not JSON: {error}")),
    }
}
