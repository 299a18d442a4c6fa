//! A script written as JSON, for tests in other languages: a list of acts, each an object.
//!
//! `{"tokens": 3}`, `{"text": ["a", "b"]}`, `{"status": 429, "body": {…}}` or `{"hang": true}` say what
//! happens; `end` (`cut`, `reset`, `hang`, `end`, `without_done`, `malformed`), `headers`, `tools`
//! (`[{"name", "arguments": […]}]`), `finish`, `reasoning`, `refusal`, `extra`, `after_ms`, `every_ms` shape it.

use std::time::Duration;

use serde_json::Value;

use super::{
    act::{Act, hang, json, text, tokens},
    script::Script,
};

/// Reads a script. `Err` says which act is wrong, and how.
pub fn parse(script: &str) -> Result<Script, String> {
    let acts: Vec<Value> = serde_json::from_str(script).map_err(|error| error.to_string())?;
    let acts = acts.iter().enumerate().map(|(place, act)| parse_act(act).map_err(|why| format!("act {place}: {why}")));
    Ok(Script::from(acts.collect::<Result<Vec<Act>, String>>()?))
}

fn parse_act(value: &Value) -> Result<Act, String> {
    let members = value.as_object().ok_or("not an object")?;
    let mut act = start(value)?;
    for (name, value) in members {
        act = match name.as_str() {
            "tokens" | "text" | "status" | "body" | "hang" => act,
            "tools" => strings_of_tools(value)?.into_iter().fold(act, |act, (name, pieces)| {
                act.tool(&name, &pieces.iter().map(String::as_str).collect::<Vec<_>>())
            }),
            "headers" => {
                let headers = value.as_object().ok_or("headers: not an object")?;
                headers.iter().fold(act, |act, (name, value)| act.header(name, value.as_str().unwrap_or_default()))
            }
            "finish" => act.finish(value.as_str().unwrap_or_default()),
            "reasoning" => act.reasoning(&strings(value)?.iter().map(String::as_str).collect::<Vec<_>>()),
            "refusal" => act.refusal(value.as_str().unwrap_or_default()),
            "extra" => act.extra(value.as_str().unwrap_or_default()),
            "after_ms" => act.after(millis(value)),
            "every_ms" => act.every(millis(value)),
            "end" => end(act, value.as_str().unwrap_or_default())?,
            other => return Err(format!("{other} is no member of an act")),
        };
    }
    Ok(act)
}

fn start(value: &Value) -> Result<Act, String> {
    if value["hang"] == true {
        return Ok(hang());
    }
    if let Some(status) = value["status"].as_u64() {
        let status = u16::try_from(status).map_err(|error| error.to_string())?;
        return Ok(json(status, &value["body"]));
    }
    if let Some(count) = value["tokens"].as_u64() {
        return Ok(tokens(u32::try_from(count).map_err(|error| error.to_string())?));
    }
    match &value["text"] {
        Value::Null => Ok(tokens(0)),
        words => Ok(text(&strings(words)?.iter().map(String::as_str).collect::<Vec<_>>())),
    }
}

fn end(act: Act, name: &str) -> Result<Act, String> {
    Ok(match name {
        "cut" => act.cut(),
        "reset" => act.reset(),
        "hang" => act.hang(),
        "end" => act.end(),
        "without_done" => act.without_done(),
        "malformed" => act.malformed(),
        other => return Err(format!("{other} is no ending")),
    })
}

fn strings(value: &Value) -> Result<Vec<String>, String> {
    let list = value.as_array().ok_or("not a list of strings")?;
    list.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(|| format!("{item} is no string"))).collect()
}

fn strings_of_tools(value: &Value) -> Result<Vec<(String, Vec<String>)>, String> {
    let tools = value.as_array().ok_or("tools: not a list")?;
    let one = |tool: &Value| {
        let name = tool["name"].as_str().ok_or("a tool has no name")?;
        Ok((name.to_owned(), strings(&tool["arguments"])?))
    };
    tools.iter().map(one).collect()
}

fn millis(value: &Value) -> Duration {
    Duration::from_millis(value.as_u64().unwrap_or(0))
}
