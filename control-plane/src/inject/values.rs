//! What the values of a pod's annotations may be. Each reader's error is a clause that follows the value.

use fusebox_base::config::{a_filter, read_url};
use serde_json::{Map, Value};

use super::{
    quantity::{MEBI, MILLI, Quantity},
    yaml,
};

/// The longest name of an object.
const MAX_NAME: usize = 253;
/// The longest reference to an image.
const MAX_IMAGE: usize = 1_024;

/// `true` or `false`.
pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("is neither true nor false; write \"true\" or \"false\"".to_owned()),
    }
}

/// The name of a Secret or a ConfigMap.
pub(super) fn name(text: &str) -> Result<String, String> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "is not the name of an object; names have up to {MAX_NAME} lower-case letters, digits, `-` and `.`, and begin \
         and end with a letter or a digit"
    ))
}

/// Whether `text` can be the name of an object: parts of letters, digits and dashes, with dots between them.
pub(super) fn is_name(text: &str) -> bool {
    let of_part = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    let is_part =
        |part: &str| !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.bytes().all(of_part);
    text.len() <= MAX_NAME && text.split('.').all(is_part)
}

/// Whether `text` can be the value of a label.
pub(super) fn is_label(text: &str) -> bool {
    let ends_well = |letter: Option<u8>| letter.is_none_or(|letter| letter.is_ascii_alphanumeric());
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || b"-_.".contains(&letter);
    text.len() <= 63 && ends_well(text.bytes().next()) && ends_well(text.bytes().last()) && text.bytes().all(fits)
}

/// A reference to an image: where it is, its tag, its digest.
pub(super) fn image(text: &str) -> Result<String, String> {
    if text.len() <= MAX_IMAGE && is_image(text) {
        return Ok(text.to_owned());
    }
    Err("is not a reference to an image; write one such as registry.example/fusebox-sidecar:1.2.3".to_owned())
}

fn is_image(text: &str) -> bool {
    let (named, digest) = text.split_once('@').map_or((text, None), |(named, digest)| (named, Some(digest)));
    let tagged = named.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
    let (path, tag) = tagged.map_or((named, None), |(path, tag)| (path, Some(tag)));
    let is_digest = |digest: &str| {
        let letters = digest.split_once(':').filter(|(kind, _)| !kind.is_empty()).map_or("", |(_, letters)| letters);
        letters.len() >= 32 && letters.bytes().all(|letter| letter.is_ascii_hexdigit())
    };
    let is_tag = |tag: &str| {
        let fits = |letter: u8| letter.is_ascii_alphanumeric() || b"_.-".contains(&letter);
        (1..=128).contains(&tag.len()) && !tag.starts_with(['.', '-']) && tag.bytes().all(fits)
    };
    let is_part = |part: &str| {
        let ends =
            |letter: Option<u8>| letter.is_some_and(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit());
        let fits = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"_.-".contains(&letter);
        ends(part.bytes().next()) && ends(part.bytes().last()) && part.bytes().all(fits)
    };
    let (host, rest) = path
        .split_once('/')
        .filter(|(first, _)| is_host(first))
        .map_or((None, path), |(host, rest)| (Some(host), rest));
    host.is_none_or(|host| host.bytes().all(|letter| letter.is_ascii_alphanumeric() || b".:-[]".contains(&letter)))
        && rest.split('/').all(is_part)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest)
}

/// Whether the first part of an image's path is where it is.
fn is_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

/// An amount of processor.
pub(super) fn cpu(text: &str) -> Result<Quantity, String> {
    Quantity::read(text)
        .filter(|amount| *amount >= MILLI)
        .ok_or_else(|| "is not an amount of processor; write one from 1m on, such as 500m or 2".to_owned())
}

/// An amount of memory.
pub(super) fn memory(text: &str) -> Result<Quantity, String> {
    Quantity::read(text)
        .filter(|amount| *amount >= MEBI)
        .ok_or_else(|| "is not an amount of memory; write one from 1Mi on, such as 256Mi or 1Gi".to_owned())
}

/// What to log.
pub(super) fn log(text: &str) -> Result<String, String> {
    let right = "is not a level or a filter; write error, warn, info, debug or trace";
    a_filter(text).map(|()| text.to_owned()).map_err(|_| right.to_owned())
}

/// Where the pod's own inference server is: a port of this pod, or a base URL.
pub(super) fn upstream(text: &str) -> Result<String, String> {
    if text.bytes().all(|letter| letter.is_ascii_digit()) {
        let port = text.parse::<u16>().ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| "is not a port; write one from 1 to 65535, or a base URL".to_owned())?;
        return Ok(format!("http://127.0.0.1:{port}/v1"));
    }
    let right = "is neither a port nor a base URL; write one such as 8000 or http://127.0.0.1:8000/v1";
    read_url(text).map_err(|_| right.to_owned())
}

/// A whole configuration of a sidecar: a map in YAML. What its keys are is the sidecar's business.
pub(super) fn config(text: &str) -> Result<Map<String, Value>, String> {
    match yaml::read(text)? {
        Value::Object(map) => Ok(map),
        _ => Err("is not a configuration; write a map of keys, as in a sidecar's configuration file".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_objects_are_what_kubernetes_takes() {
        for right in ["a", "keys", "a-b.c-1", "0", &"a".repeat(253)] {
            assert_eq!(name(right).as_deref(), Ok(right));
        }
        for wrong in ["", "-a", "a-", "a..b", ".a", "A", "a_b", "a b", "é", &"a".repeat(254)] {
            assert!(name(wrong).unwrap_err().starts_with("is not the name of an object"), "{wrong}");
        }
    }

    #[test]
    fn values_of_labels_are_what_kubernetes_takes() {
        assert!(["", "true", "A_b.c-1", &"a".repeat(63)].into_iter().all(is_label));
        assert!(!["a ", "-a", "a.", "é", "a/b", &"a".repeat(64)].into_iter().any(is_label));
    }

    #[test]
    fn images_are_what_a_registry_takes() {
        let digest = format!("fusebox@sha256:{}", "0a".repeat(32));
        let both = format!("localhost:5000/a/b__c:v1.2_x@sha256:{}", "0A".repeat(32));
        for right in ["fusebox", "fusebox:1", "ghcr.io/fusebox/fusebox-sidecar:0.1.0", "[::1]:5000/a", &digest, &both] {
            assert_eq!(image(right).as_deref(), Ok(right));
        }
        for wrong in ["", "a b", "Fusebox", "a:", "a:b:c", "a/", "/a", "a//b", "a@sha256:0", "a:-x", "a\n", "ghcr.io/"]
        {
            assert!(image(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn amounts_that_nothing_could_run_with_are_no_amounts() {
        assert!(cpu("1m").is_ok() && cpu("2").is_ok() && memory("128Mi").is_ok() && memory("1e9").is_ok());
        assert!(cpu("0").is_err() && cpu("0.5m").is_err() && cpu("128Mi ").is_err() && cpu("-1").is_err());
        // Thousandths of a byte, where millions of them were meant.
        assert!(memory("400m").is_err() && memory("128").is_err() && memory("0").is_err());
    }

    #[test]
    fn an_upstream_is_a_port_of_the_pod_or_a_base_url() {
        assert_eq!(upstream("8000").as_deref(), Ok("http://127.0.0.1:8000/v1"));
        assert_eq!(upstream("https://vllm:8000/v1/").as_deref(), Ok("https://vllm:8000/v1"));
        for wrong in ["", "0", "65536", "vllm", "ftp://a", "http://u:p@a", "http://a/?q=1", "99999999999"] {
            assert!(upstream(wrong).unwrap_err().starts_with("is n"), "{wrong}");
        }
    }

    #[test]
    fn a_configuration_is_a_map_and_a_fault_says_its_line() {
        assert_eq!(config("a: {b: [1]}").unwrap()["a"]["b"][0], 1);
        assert!(config("- a").unwrap_err().starts_with("is not a configuration"));
        assert!(config("").unwrap_err().starts_with("is not a configuration"));
        let fault = config("a: 1\nb: [").unwrap_err();
        assert!(fault.starts_with("is not valid YAML: line "), "{fault}");
        assert!(config("a: 1\na: 2").is_err(), "a key that stands there twice");
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text in "\\PC{0,40}", near in "[a-z0-9.:/@\\[\\]{}-]{0,40}") {
            for text in [&text, &near] {
                let _ = (yes_or_no(text), name(text), image(text), cpu(text), memory(text), log(text), upstream(text), config(text));
            }
        }
    }
}
