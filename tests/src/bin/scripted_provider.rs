//! The scripted provider as a program, for tests in other languages.
//!
//! Its one argument is a script in JSON. It prints `{"base_url": …}` on one line, and then answers
//! each line it reads with one: `seen` lists the calls so far, any other line is the script from then
//! on (`{}`). It ends with its standard input.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's own program")]

use fusebox_tests::provider::{Provider, Script, Seen, json};
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let script = std::env::args().nth(1).unwrap_or_else(|| r#"[{"tokens": 3}]"#.to_owned());
    let provider = Provider::start(parse(&script)).await;
    println!("{}", json!({"base_url": provider.base_url()}));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line == "seen" {
            println!("{}", provider.seen().iter().map(told).collect::<Value>());
        } else {
            provider.play(parse(&line));
            println!("{{}}");
        }
    }
}

fn parse(script: &str) -> Script {
    json::parse(script).unwrap_or_else(|why| panic!("the script is wrong: {why}"))
}

fn told(seen: &Seen) -> Value {
    let pair =
        |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), value.to_str().unwrap_or_default().into());
    let headers: Map<String, Value> = seen.headers.iter().map(pair).collect();
    json!({"method": seen.method.as_str(), "path": seen.path, "headers": headers, "body": seen.body,
           "gone": seen.gone.is_some()})
}
