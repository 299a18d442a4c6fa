//! Where a fault stands in the contract's own request, told from where it stands in the document made of it.

use crate::chat::request::Operation;

/// The caller's name for `path`, a place in OpenAI's JSON for `operation` as this door writes it.
pub(super) fn sent(operation: Operation, path: &str) -> String {
    match operation {
        Operation::Embed if path.starts_with("input") => path.replacen("input", "inputs", 1),
        Operation::Embed => path.to_owned(),
        Operation::Image => match path {
            "" | "model" | "prompt" | "width" | "height" | "num_inference_steps" | "guidance_scale" => path.to_owned(),
            _ => format!("extra.{path}"),
        },
        Operation::Chat | Operation::Completion => of_chat(path),
    }
}

fn of_chat(path: &str) -> String {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    match &path[..end] {
        "max_tokens" | "temperature" | "top_p" | "stop" | "seed" | "frequency_penalty" | "presence_penalty" => {
            format!("sampling.{path}")
        }
        "tool_choice" => "tool_choice".to_owned(),
        "tools" => path.replace(".function", ""),
        "messages" => {
            path.replace(".function.", ".").replace(".image_url.url", ".image").replace(".file.file_data", ".image")
        }
        "" | "model" | "response_format" => path.to_owned(),
        _ => format!("extra.{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_the_callers_own_name() {
        for (written, said) in [
            ("model", "model"),
            ("stop[1]", "sampling.stop[1]"),
            ("messages", "messages"),
            ("messages[2].content", "messages[2].content"),
            ("messages[2].content[1].text", "messages[2].content[1].text"),
            ("messages[2].content[1].image_url.url", "messages[2].content[1].image"),
            ("messages[0].tool_calls[1].function.name", "messages[0].tool_calls[1].name"),
            ("messages[0].tool_calls[1].id", "messages[0].tool_calls[1].id"),
            ("tools[4].function.parameters.properties", "tools[4].parameters.properties"),
            ("tool_choice.function.name", "tool_choice"),
            ("response_format.json_schema.name", "response_format.json_schema.name"),
            ("logit_bias.x", "extra.logit_bias.x"),
        ] {
            assert_eq!(sent(Operation::Chat, written), said);
        }
        assert_eq!(sent(Operation::Embed, "input[3]"), "inputs[3]");
        assert_eq!(sent(Operation::Embed, "model"), "model");
        assert_eq!(sent(Operation::Image, "prompt"), "prompt");
        assert_eq!(sent(Operation::Image, "seed"), "extra.seed");
    }
}
