//! Embeddings that mean nothing: unit vectors, the same for the same text everywhere and always.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{asked::text_of, script::ends};
use crate::{
    chat::answer::{Usage, Whole},
    error::{Failure, FieldFault},
};

/// The length of a vector where the request does not say.
const DIMENSIONS: usize = 256;
/// The longest vector.
const MAX_DIMENSIONS: u64 = 4096;
/// Texts in one request.
const MAX_INPUTS: usize = 2048;

/// The answer to an embeddings request.
pub(super) fn embeddings(asked: &Value, model: &str) -> Result<Whole, Failure> {
    let inputs: Vec<String> = match &asked["input"] {
        Value::Array(inputs) if !inputs.iter().any(Value::is_number) => inputs.iter().map(text_of).collect(),
        one => vec![text_of(one)],
    };
    let dimensions = match &asked["dimensions"] {
        Value::Null => DIMENSIONS,
        given => given
            .as_u64()
            .filter(|length| (1..=MAX_DIMENSIONS).contains(length))
            .and_then(|length| usize::try_from(length).ok())
            .ok_or_else(|| refused("dimensions", &format!("must be a number from 1 to {MAX_DIMENSIONS}")))?,
    };
    if inputs.len() > MAX_INPUTS {
        return Err(refused("input", &format!("at most {MAX_INPUTS} texts can be embedded at once")));
    }
    let as_base64 = asked["encoding_format"] == "base64";
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = unit_vector(text, dimensions);
            let embedding = if as_base64 { STANDARD.encode(little_endian(&vector)).into() } else { json!(vector) };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        })
        .collect();
    let tokens = inputs.iter().map(|text| ends(text).count()).sum::<usize>();
    let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
    let model = if model.is_empty() { "simulated" } else { model };
    let document = json!({
        "object": "list",
        "data": data,
        "model": model,
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    });
    Ok(Whole {
        body: document.to_string().into(),
        finish: None,
        usage: Some(Usage { input_tokens: tokens, output_tokens: 0 }),
        model: Some(model.to_owned()),
    })
}

pub(super) fn refused(path: &str, message: &str) -> Failure {
    Failure::fields(vec![FieldFault { path: path.to_owned(), message: message.to_owned() }])
}

/// A direction that `text` alone decides.
fn unit_vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut state = fnv_1a(text.as_bytes());
    let raw: Vec<f32> = (0..dimensions).map(|_| from_minus_one_to_one(split_mix(&mut state))).collect();
    let length = raw.iter().map(|part| part * part).sum::<f32>().sqrt();
    raw.into_iter().map(|part| part / length).collect()
}

/// The hash of Fowler, Noll and Vo in its 64-bit variant 1a.
pub(super) fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Steele, Lea and Flood's SplitMix64.
pub(super) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// An odd number of half steps, so that no vector is all zeros.
fn from_minus_one_to_one(bits: u64) -> f32 {
    let [.., high, low] = (bits >> 48).to_be_bytes();
    let step = f32::from(u16::from_be_bytes([high, low]));
    (2.0 * step + 1.0) / 65536.0 - 1.0
}

fn little_endian(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|part| part.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(asked: &Value) -> Vec<Vec<f64>> {
        let whole = embeddings(asked, "m").unwrap();
        let document: Value = serde_json::from_slice(&whole.body).unwrap();
        let read = |item: &Value| serde_json::from_value(item["embedding"].clone()).unwrap();
        document["data"].as_array().unwrap().iter().map(read).collect()
    }

    #[test]
    fn vectors_have_the_length_one_and_depend_on_the_text_alone() {
        let found = vectors(&json!({ "input": ["a", "b", "a", ""], "dimensions": 64 }));
        for vector in &found {
            assert_eq!(vector.len(), 64);
            assert!((vector.iter().map(|part| part * part).sum::<f64>() - 1.0).abs() < 1e-5);
        }
        assert_eq!(found[0], found[2]);
        assert_ne!(found[0], found[1]);
        assert_eq!(vectors(&json!({ "input": "a", "dimensions": 64 }))[0], found[0]);
        assert_eq!(vectors(&json!({ "input": [1, 2] })).len(), 1, "tokens are one text");
    }

    #[test]
    fn base64_holds_the_same_numbers() {
        let whole = embeddings(&json!({ "input": "a", "encoding_format": "base64" }), "m").unwrap();
        let document: Value = serde_json::from_slice(&whole.body).unwrap();
        let bytes = STANDARD.decode(document["data"][0]["embedding"].as_str().unwrap()).unwrap();
        let read: Vec<f32> = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        assert_eq!(read, unit_vector("a", DIMENSIONS));
    }

    #[test]
    fn a_length_out_of_range_names_its_field() {
        for dimensions in [json!(0), json!(4097), json!("many"), json!(-1)] {
            let failure = embeddings(&json!({ "input": "a", "dimensions": dimensions }), "m").unwrap_err();
            assert_eq!(failure.fields[0].path, "dimensions");
        }
    }
}
