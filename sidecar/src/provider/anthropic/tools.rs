//! Tools and the choice among them, as the Messages API writes them.

use serde_json::{Map, Value, json};

use super::CannotServe;

/// Moves `tools`, `tool_choice` and `parallel_tool_calls` from `asked` to `body`. `called` names the tools
/// that earlier turns call.
pub(super) fn translate(
    asked: &mut Map<String, Value>,
    called: &[String],
    body: &mut Map<String, Value>,
    warnings: &mut Vec<String>,
) -> Result<(), CannotServe> {
    let choice = asked.remove("tool_choice").unwrap_or_default();
    let one_at_a_time = asked.remove("parallel_tool_calls") == Some(Value::Bool(false));
    let given = match asked.remove("tools") {
        Some(Value::Array(tools)) => tools,
        _ => Vec::new(),
    };
    let mut tools = Vec::with_capacity(given.len());
    for tool in given {
        tools.push(translate_tool(tool, warnings)?);
    }
    if tools.is_empty() {
        if !called.is_empty() {
            // The API refuses a conversation that calls tools it was not told of.
            body.insert("tools".into(), called.iter().map(|name| declare(name)).collect());
            body.insert("tool_choice".into(), json!({ "type": "none" }));
        }
        return Ok(());
    }
    body.insert("tools".into(), tools.into());
    let mut choice = translate_choice(&choice, warnings);
    if one_at_a_time && choice.as_ref().is_none_or(|choice| choice["type"] != "none") {
        choice.get_or_insert_with(|| json!({ "type": "auto" }))["disable_parallel_tool_use"] = true.into();
    }
    body.extend(choice.map(|choice| ("tool_choice".to_owned(), choice)));
    Ok(())
}

fn translate_tool(mut tool: Value, warnings: &mut Vec<String>) -> Result<Value, CannotServe> {
    let of_its_own = tool.get("input_schema").is_some() || tool["type"] != "function" && tool["type"] != "custom";
    if of_its_own && tool["name"].is_string() {
        return Ok(tool);
    }
    let Some(function) = tool.get_mut("function").filter(|function| function["name"].is_string()) else {
        return Err(CannotServe::new("tools that are not functions"));
    };
    let mut translated = declare(function["name"].as_str().unwrap_or_default());
    if let Some(description) = function.get_mut("description").filter(|text| text.is_string()) {
        translated["description"] = description.take();
    }
    if let Some(Value::Object(parameters)) = function.get_mut("parameters").map(Value::take) {
        translated["input_schema"] = parameters.into();
        if translated["input_schema"]["type"].is_null() {
            translated["input_schema"]["type"] = "object".into();
        }
    }
    if function["strict"] == true {
        warnings.push(format!("strict was left out of the tool {}", translated["name"]));
    }
    if let Some(mark) = tool.get_mut("cache_control").filter(|mark| mark.is_object()) {
        translated["cache_control"] = mark.take();
    }
    Ok(translated)
}

/// A tool of which the name alone is known.
fn declare(name: &str) -> Value {
    json!({ "name": name, "input_schema": { "type": "object" } })
}

fn translate_choice(choice: &Value, warnings: &mut Vec<String>) -> Option<Value> {
    let word = match choice["type"].as_str() {
        Some("function") => {
            return choice["function"]["name"].as_str().map(|name| json!({ "type": "tool", "name": name }));
        }
        Some("allowed_tools") => {
            warnings.push("every tool is allowed: this provider cannot be told of some only".into());
            choice["allowed_tools"]["mode"].as_str()
        }
        _ => choice.as_str(),
    };
    match word? {
        "none" => Some(json!({ "type": "none" })),
        "required" => Some(json!({ "type": "any" })),
        "auto" => Some(json!({ "type": "auto" })),
        other => {
            warnings.push(format!("tool_choice {other:?} was left out: this provider does not know it"));
            None
        }
    }
}
