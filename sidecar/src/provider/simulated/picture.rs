//! Simulated images: a mirrored pattern of four colours, the same for the same prompt everywhere and always.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fusebox_rules::image::Size;
use serde_json::{Value, json};

use super::{
    png,
    vector::{fnv_1a, refused, split_mix},
};
use crate::{
    chat::{answer::Whole, request::Request},
    clock,
    error::Failure,
};

/// The size of an image where the request does not say.
const SIZE: Size = Size { width: 512, height: 512 };
/// Pixels of all images in one answer.
const MAX_PIXELS: u64 = 1 << 24;
/// The pattern's cells along each side.
const CELLS: u32 = 16;

/// The answer to a request for images, whose document `asked` is.
pub(super) fn images(request: &Request, asked: &Value, model: &str) -> Result<Whole, Failure> {
    let size = request.measure().size.unwrap_or(SIZE);
    if size.pixels().saturating_mul(u64::from(request.choices)) > MAX_PIXELS {
        return Err(refused("n", &format!("at most {MAX_PIXELS} pixels can be drawn in one answer")));
    }
    let prompt = asked["prompt"].as_str().unwrap_or_default();
    let seed = fnv_1a(prompt.as_bytes()) ^ fnv_1a(asked["seed"].to_string().as_bytes());
    let by_url = asked["response_format"] == "url";
    let image = |index: u32| {
        let bytes = STANDARD.encode(draw(size, seed.wrapping_add(u64::from(index))));
        if by_url { json!({ "url": format!("data:image/png;base64,{bytes}") }) } else { json!({ "b64_json": bytes }) }
    };
    let data: Vec<Value> = (0..request.choices).map(image).collect();
    let document = json!({
        "created": clock::unix_now().as_secs(),
        "data": data,
        "size": format!("{}x{}", size.width, size.height),
        "output_format": "png",
    });
    let model = if model.is_empty() { "simulated" } else { model };
    Ok(Whole { body: document.to_string().into(), finish: None, usage: None, model: Some(model.to_owned()) })
}

/// A PNG of that size which `seed` alone decides.
fn draw(size: Size, mut seed: u64) -> Vec<u8> {
    let palette = [(); 4].map(|()| {
        let [red, green, blue, ..] = split_mix(&mut seed).to_be_bytes();
        [red, green, blue]
    });
    let cells: Vec<u64> = (0..CELLS).map(|_| split_mix(&mut seed)).collect();
    let colour = |cells: u64, x: u32| {
        let cell = u64::from(x) * u64::from(CELLS) / u64::from(size.width);
        let mirrored = cell.min(u64::from(CELLS) - 1 - cell);
        u8::try_from(cells >> (2 * mirrored) & 0b11).unwrap_or(0)
    };
    let rows: Vec<Vec<u8>> = cells.iter().map(|cells| (0..size.width).map(|x| colour(*cells, x)).collect()).collect();
    let row = |y: u32| {
        let cell = u64::from(y) * u64::from(CELLS) / u64::from(size.height);
        rows[usize::try_from(cell).unwrap_or(0)].as_slice()
    };
    png::four_colours(size, &palette, row)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::chat::{parse::parse, request::Operation};

    fn asked(document: &Value) -> Result<Value, Failure> {
        let request = parse(Operation::Image, Bytes::from(document.to_string())).unwrap();
        images(&request, document, "m").map(|whole| serde_json::from_slice(&whole.body).unwrap())
    }

    fn bytes(document: &Value, index: usize) -> Vec<u8> {
        STANDARD.decode(asked(document).unwrap()["data"][index]["b64_json"].as_str().unwrap()).unwrap()
    }

    #[test]
    fn an_image_depends_on_its_prompt_seed_and_number_alone() {
        let cat = json!({"prompt": "a cat", "size": "64x32", "n": 2});
        assert_eq!(bytes(&cat, 0), bytes(&cat, 0));
        assert_ne!(bytes(&cat, 0), bytes(&cat, 1));
        assert_ne!(bytes(&cat, 0), bytes(&json!({"prompt": "a dog", "size": "64x32"}), 0));
        assert_ne!(bytes(&cat, 0), bytes(&json!({"prompt": "a cat", "size": "64x32", "seed": 7}), 0));
        assert_eq!(asked(&cat).unwrap()["data"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn an_image_may_be_asked_for_as_a_place() {
        let document = asked(&json!({"prompt": "a cat", "size": "8x8", "response_format": "url"})).unwrap();
        assert!(document["data"][0]["url"].as_str().unwrap().starts_with("data:image/png;base64,iVBOR"));
    }

    #[test]
    fn more_than_it_can_draw_names_its_field() {
        let failure = asked(&json!({"prompt": "a cat", "size": "4096x4096", "n": 2})).unwrap_err();
        assert_eq!(failure.fields[0].path, "n");
    }
}
