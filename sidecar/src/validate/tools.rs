//! The tools of a request, as far as calls of them are checked: their names and their parameters' schemas.

use bytes::Bytes;
use memchr::memmem;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    said::Called,
    schema::{Schemas, Wrong},
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

    /// Holds a call against the tool that it names.
    ///
    /// # Errors
    /// What is wrong with it. What could not be checked is added to `warnings`.
    pub(super) fn check(&self, call: &Called, schemas: &Schemas, warnings: &mut Vec<String>) -> Result<(), Vec<Wrong>> {
        let tools = self.read();
        let named = tools.into_iter().map(|tool| (tool.is_open(), tool.function().1));
        let mut open = false;
        let mut found = None;
        for (is_open, function) in named {
            open |= is_open;
            if function.name.as_ref().is_some_and(|name| *name == call.name) {
                found = Some(function);
            }
        }
        let Some(tool) = found else {
            let nobody = || vec![Wrong::name(format!("there is no tool {:?}", super::cut(&call.name, 80)))];
            return if open || !call.is_function { Ok(()) } else { Err(nobody()) };
        };
        if !call.is_function {
            return Ok(());
        }
        // A tool without parameters is often called with nothing.
        let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
        let arguments: Value = serde_json::from_str(arguments).map_err(|error| vec![not_json(&error)])?;
        let Some(parameters) = tool.parameters.filter(|parameters| parameters.get() != "null") else {
            return if arguments.is_object() { Ok(()) } else { Err(vec![Wrong::new("must be a JSON object")]) };
        };
        match schemas.compiled(parameters.get().as_bytes()) {
            Ok(schema) => schema.check(&arguments),
            Err(fault) => {
                let name = super::cut(&call.name, 80);
                warnings
                    .push(format!("a call of {name} was not checked: the schema of its parameters {}", fault.message));
                Ok(())
            }
        }
    }

    /// Lists of any other shape have been refused, or are of tools that nothing is known of.
    fn read(&self) -> Vec<Tool<'_>> {
        serde_json::from_slice(&self.list).unwrap_or_default()
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
