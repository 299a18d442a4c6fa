//! What is sent and what is answered: one request of a kibibyte, one completion of about as much, one stream.

use std::net::SocketAddr;

/// The request's body, in bytes.
pub(crate) const REQUEST_BYTES: usize = 1024;
/// What the completion says, and therefore what a caller must find in it.
pub(crate) const COMPLETION: &str = "The answer that the mock provider always gives";
/// The model that everyone asks for.
pub(crate) const MODEL: &str = "bench";

/// A chat completion request of exactly [`REQUEST_BYTES`].
pub(crate) fn request_body(stream: bool) -> String {
    let begin = format!(r#"{{"model":"{MODEL}","#)
        + if stream { r#""stream":true,"# } else { "" }
        + r#""temperature":0.7,"max_tokens":256,"messages":[{"role":"system","content":"You are terse."},{"role":"user","content":""#;
    let end = r#""}]}"#;
    let padding = "Tell me about fuses. ".chars().cycle();
    let room = REQUEST_BYTES.saturating_sub(begin.len() + end.len());
    begin + &padding.take(room).collect::<String>() + end
}

/// The same as a whole HTTP/1.1 request to `host`.
pub(crate) fn request(host: SocketAddr, stream: bool) -> Vec<u8> {
    let body = request_body(stream);
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer none\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

/// A whole HTTP/1.1 response that bears a chat completion.
pub(crate) fn completion() -> Vec<u8> {
    let text = [COMPLETION; 15].join(". ");
    ok(&format!(
        r#"{{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"{MODEL}","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":215,"completion_tokens":135,"total_tokens":350}}}}"#
    ))
}

/// A whole HTTP/1.1 response of a provider that has failed.
pub(crate) fn failure() -> Vec<u8> {
    let body = r#"{"error":{"message":"broken on purpose","type":"server_error"}}"#;
    let head = "HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A whole HTTP/1.1 response that lists the models: what health checks are answered with.
pub(crate) fn models() -> Vec<u8> {
    ok(&format!(
        r#"{{"object":"list","data":[{{"id":"{MODEL}","object":"model","created":1700000000,"owned_by":"bench"}}]}}"#
    ))
}

/// The pieces of a streamed answer, each written at once.
pub(crate) struct StreamPieces {
    /// The head and the first token.
    pub(crate) first: Vec<u8>,
    /// Each later token.
    pub(crate) token: Vec<u8>,
    /// The finish reason, `[DONE]` and the end of the body.
    pub(crate) last: Vec<u8>,
}

impl StreamPieces {
    pub(crate) fn new() -> Self {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        let first = event(r#"{"role":"assistant","content":"Fuse"}"#, "null");
        let last = event("{}", r#""stop""#) + &chunk("data: [DONE]\n\n") + "0\r\n\r\n";
        Self {
            first: [head, &first].concat().into_bytes(),
            token: event(r#"{"content":" token"}"#, "null").into_bytes(),
            last: last.into_bytes(),
        }
    }
}

fn event(delta: &str, finish_reason: &str) -> String {
    chunk(&format!(
        "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\
         \"model\":\"{MODEL}\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\
         \"finish_reason\":{finish_reason}}}]}}\n\n"
    ))
}

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::wire;

    #[test]
    fn a_request_is_valid_json_of_a_kibibyte() {
        for stream in [false, true] {
            let body = request_body(stream);
            assert_eq!(body.len(), REQUEST_BYTES);
            let parsed: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(parsed["stream"].as_bool().unwrap_or(false), stream);
        }
    }

    #[test]
    fn the_completion_is_about_as_large_as_the_request() {
        let completion = completion();
        let body = wire::body(&completion).unwrap();
        assert!((900..1200).contains(&body.len()), "{}", body.len());
        let parsed: Value = serde_json::from_slice(&body).unwrap();
        assert!(parsed["choices"][0]["message"]["content"].as_str().unwrap().starts_with(COMPLETION));
    }

    #[test]
    fn the_pieces_of_a_stream_are_one_message_of_valid_events() {
        let pieces = StreamPieces::new();
        let whole = [pieces.first, pieces.token, pieces.last].concat();
        assert_eq!(wire::message_len(&whole), Ok(Some(whole.len())));
        let body = String::from_utf8(wire::body(&whole).unwrap().into_owned()).unwrap();
        let events: Vec<&str> =
            body.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap()).collect();
        let (done, chunks) = events.split_last().unwrap();
        assert_eq!(*done, "[DONE]");
        let chunks: Vec<Value> = chunks.iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect();
        assert_eq!(chunks.len(), 3);
        assert_eq!(chunks[2]["choices"][0]["finish_reason"], "stop");
    }
}
