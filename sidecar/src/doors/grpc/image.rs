//! `GenerateImage`: from the contract's request to OpenAI's JSON, and from an answer back to the contract's images.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fusebox_proto::v1::{self, media::Source};
use fusebox_rules::image::{Measure, Size};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    extra::{Extra, Taken},
    faults::Faults,
    pixels,
    said::text_of,
};
use crate::{
    chat::{answer::Whole, media},
    error::{ErrorKind, Failure},
};

/// What the door writes itself, and where a caller says it instead.
const TAKEN: Taken = &[
    ("model", "is set by model"),
    ("prompt", "is set by prompt"),
    ("size", "is set by width and height"),
    ("width", "is set by width"),
    ("height", "is set by height"),
    ("num_inference_steps", "is set by num_inference_steps"),
    ("steps", "is set by num_inference_steps"),
    ("guidance_scale", "is set by guidance_scale"),
    ("stream", "cannot be set: images come whole"),
];

/// The field of `extra` by which a caller has images told otherwise than as bytes, or, being null, leaves that to a
/// provider that refuses the field.
const FORMAT: &str = "response_format";

/// OpenAI's `/images/generations`, as this door writes it.
#[derive(Debug, Serialize)]
pub(super) struct ImageBody<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    prompt: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_inference_steps: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guidance_scale: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<&'static str>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

/// `request` as OpenAI has it. The document is good only if no fault was noted.
pub(super) fn body<'a>(request: &'a v1::GenerateImageRequest, faults: &mut Faults) -> ImageBody<'a> {
    if request.prompt.is_empty() {
        faults.note("prompt", "must not be empty");
    }
    let size = match (request.width, request.height) {
        (None, None) => None,
        (Some(width @ 1..=65_536), Some(height @ 1..=65_536)) => Some(format!("{width}x{height}")),
        // Which of them is wrong is told below.
        (Some(_), Some(_)) => None,
        (Some(_), None) => missing("height", "width", faults),
        (None, Some(_)) => missing("width", "height", faults),
    };
    let counts = [
        ("width", request.width, 65_536),
        ("height", request.height, 65_536),
        ("num_inference_steps", request.num_inference_steps, 1_000),
    ];
    for (name, value, most) in counts {
        if value.is_some_and(|value| !(1..=most).contains(&value)) {
            faults.note(name, format!("must be a number from 1 to {most}"));
        }
    }
    // No range contains NaN.
    if request.guidance_scale.is_some_and(|scale| !(0.0..=1000.0).contains(&scale)) {
        faults.note("guidance_scale", "must be a number from 0 to 1000");
    }
    let mut extra = Extra::of(request.extra.as_ref(), TAKEN, faults);
    let format_is_given = extra.has(FORMAT);
    extra.drop_null(FORMAT);
    ImageBody {
        model: &request.model,
        prompt: &request.prompt,
        size,
        num_inference_steps: request.num_inference_steps,
        guidance_scale: request.guidance_scale,
        response_format: (!format_is_given).then_some("b64_json"),
        extra,
    }
}

fn missing(name: &str, other: &str, faults: &mut Faults) -> Option<String> {
    faults.note(name, format!("is required where {other} is given"));
    None
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    data: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, default)]
    b64_json: Option<&'a RawValue>,
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
}

/// A list of images as the answer to `GenerateImage`. Their size is what the first one's bytes say, else what `asked`,
/// the request that was answered, says; zero: not known.
pub(super) fn answer(
    whole: &Whole,
    asked: Measure,
    outcome: v1::Outcome,
) -> Result<v1::GenerateImageResponse, Failure> {
    let document: Document<'_> = serde_json::from_slice(&whole.body)
        .map_err(|error| invalid("the provider's answer could not be read").inside(error.to_string()))?;
    let images: Vec<v1::Media> = document.data.iter().map(image).collect::<Result<_, _>>()?;
    let seen = images.iter().find_map(|image| match &image.source {
        Some(Source::Data(data)) => pixels::size(data),
        _ => None,
    });
    let size = seen.or(asked.size).unwrap_or(Size { width: 0, height: 0 });
    Ok(v1::GenerateImageResponse {
        images,
        width: size.width,
        height: size.height,
        num_inference_steps: asked.steps.unwrap_or(0),
        outcome: Some(outcome),
    })
}

fn image(item: &Item<'_>) -> Result<v1::Media, Failure> {
    let [bytes, url] = [item.b64_json, item.url].map(|text| text.map(text_of).unwrap_or_default());
    if bytes.is_empty() {
        if url.is_empty() {
            return Err(invalid("the provider's answer holds an image without bytes or a place"));
        }
        return Ok(v1::Media { mime_type: String::new(), source: Some(Source::Uri(url)) });
    }
    let data = STANDARD.decode(bytes).map_err(|error| {
        invalid("the provider's answer holds an image that is not base64").inside(error.to_string())
    })?;
    let mime_type = media::detected(&data).unwrap_or_default().to_owned();
    Ok(v1::Media { mime_type, source: Some(Source::Data(data.into())) })
}

fn invalid(message: &str) -> Failure {
    Failure::new(ErrorKind::InvalidResponse, message)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost_types::{Struct, value::Kind};
    use serde_json::{Value, json};

    use super::*;
    use crate::chat::{parse::parse, request::Operation};

    fn struct_of(fields: &[(&str, Kind)]) -> Option<Struct> {
        let value = |kind: &Kind| prost_types::Value { kind: Some(kind.clone()) };
        Some(Struct { fields: fields.iter().map(|(name, kind)| ((*name).to_owned(), value(kind))).collect() })
    }

    fn written(request: &v1::GenerateImageRequest) -> Result<Value, Vec<String>> {
        let mut faults = Faults::default();
        let body = serde_json::to_value(body(request, &mut faults)).unwrap();
        let faults: Vec<String> = faults.paths().into_iter().map(str::to_owned).collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        parse(Operation::Image, Bytes::from(body.to_string())).expect("what the door writes is good");
        Ok(body)
    }

    fn cat() -> v1::GenerateImageRequest {
        v1::GenerateImageRequest { prompt: "a cat".into(), ..v1::GenerateImageRequest::default() }
    }

    #[test]
    fn every_field_has_its_place() {
        assert_eq!(written(&cat()), Ok(json!({"prompt": "a cat", "response_format": "b64_json"})));
        let request = v1::GenerateImageRequest {
            model: "chat".into(),
            width: Some(640),
            height: Some(480),
            num_inference_steps: Some(30),
            guidance_scale: Some(7.5),
            extra: struct_of(&[("n", Kind::NumberValue(2.0)), ("negative_prompt", Kind::StringValue("a dog".into()))]),
            ..cat()
        };
        let expected = json!({
            "model": "chat", "prompt": "a cat", "size": "640x480", "num_inference_steps": 30, "guidance_scale": 7.5,
            "response_format": "b64_json", "n": 2, "negative_prompt": "a dog",
        });
        assert_eq!(written(&request), Ok(expected));
    }

    #[test]
    fn how_images_are_told_may_be_said_otherwise_or_not_at_all() {
        let told = |kind| v1::GenerateImageRequest { extra: struct_of(&[(FORMAT, kind)]), ..cat() };
        let expected = json!({"prompt": "a cat", "response_format": "url"});
        assert_eq!(written(&told(Kind::StringValue("url".into()))), Ok(expected));
        assert_eq!(written(&told(Kind::NullValue(0))), Ok(json!({"prompt": "a cat"})));
    }

    #[test]
    fn every_fault_is_named_as_the_caller_wrote_it() {
        let request = v1::GenerateImageRequest {
            width: Some(0),
            num_inference_steps: Some(1001),
            guidance_scale: Some(f64::NAN),
            extra: struct_of(&[("size", Kind::StringValue("8x8".into()))]),
            ..v1::GenerateImageRequest::default()
        };
        let expected = ["prompt", "height", "width", "num_inference_steps", "guidance_scale", "extra.size"];
        assert_eq!(written(&request), Err(expected.map(str::to_owned).to_vec()));
        let alone = v1::GenerateImageRequest { height: Some(8), ..cat() };
        assert_eq!(written(&alone), Err(vec!["width".to_owned()]));
    }

    fn read(document: &Value, asked: Measure) -> Result<v1::GenerateImageResponse, Failure> {
        let whole = Whole { body: document.to_string().into(), finish: None, usage: None, model: None };
        answer(&whole, asked, v1::Outcome::default())
    }

    #[test]
    fn bytes_say_what_they_are_and_how_large() {
        let gif = b"GIF89a\x40\x01\xf0\x00rest";
        let data = json!({"data": [{"b64_json": STANDARD.encode(gif), "url": null}, {"b64_json": "AAAA"}]});
        let asked = Measure { size: Some(Size { width: 8, height: 8 }), steps: Some(20) };
        let answer = read(&data, asked).unwrap();
        let source = Some(Source::Data(Bytes::from_static(gif)));
        assert_eq!(answer.images[0], v1::Media { mime_type: "image/gif".into(), source });
        assert_eq!(answer.images[1].mime_type, "");
        assert_eq!((answer.width, answer.height, answer.num_inference_steps), (320, 240, 20));
    }

    #[test]
    fn a_place_is_passed_on_with_the_size_that_was_asked_for() {
        let asked = Measure { size: Some(Size { width: 8, height: 16 }), steps: None };
        let answer = read(&json!({"data": [{"url": "https://example.org/cat.png"}]}), asked).unwrap();
        assert_eq!(answer.images[0].source, Some(Source::Uri("https://example.org/cat.png".into())));
        assert_eq!((answer.width, answer.height, answer.num_inference_steps), (8, 16, 0));
    }

    #[test]
    fn what_is_no_image_is_an_invalid_response() {
        for data in [json!([{}]), json!([{"b64_json": "%"}]), json!("cat"), json!([1])] {
            let failure = read(&json!({"data": data}), Measure::default()).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::InvalidResponse, "{data}");
        }
    }
}
