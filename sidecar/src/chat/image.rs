//! A request for images: how large they are to be, read from its document, and the same request for less.
//!
//! Servers differ in how they are told: `size` is OpenAI's; `width` and `height` are others', as are the two names for
//! the steps of inference.

use std::borrow::Cow;

use fusebox_rules::image::{Measure, Size, less};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::request::{Operation, Request};

/// The longest side that a request may name, in pixels.
pub(super) const MAX_SIDE: u32 = 65_536;

/// What leaves an image's size to the provider.
pub(super) const AUTO: &str = "auto";

#[derive(Deserialize, Default)]
struct Said<'a> {
    #[serde(borrow)]
    size: Option<Cow<'a, str>>,
    width: Option<u32>,
    height: Option<u32>,
    num_inference_steps: Option<u32>,
    steps: Option<u32>,
}

impl Said<'_> {
    fn sides(&self) -> Option<Size> {
        self.width.zip(self.height).map(|(width, height)| Size { width, height })
    }
}

/// `1024x768`, each side from 1 to [`MAX_SIDE`] pixels.
pub(super) fn size(text: &str) -> Option<Size> {
    let side = |digits: &str| {
        let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        all_digits.then(|| digits.parse().ok()).flatten().filter(|side| (1..=MAX_SIDE).contains(side))
    };
    let (width, height) = text.split_once('x')?;
    Some(Size { width: side(width)?, height: side(height)? })
}

impl Request {
    /// What is asked for; nothing of what is no request for images. Where the size is told twice, the larger.
    #[must_use]
    pub fn measure(&self) -> Measure {
        if self.operation != Operation::Image {
            return Measure::default();
        }
        let said: Said<'_> = serde_json::from_slice(&self.body).unwrap_or_default();
        let sizes = [said.sides(), said.size.as_deref().and_then(size)];
        Measure {
            size: sizes.into_iter().flatten().max_by_key(|size| size.pixels()),
            steps: said.num_inference_steps.or(said.steps),
        }
    }

    /// The same request for smaller images in fewer steps, told as the caller told it; `None` if it asks for as little
    /// already, or for no images.
    #[must_use]
    pub fn for_less_image(&self) -> Option<Self> {
        if self.operation != Operation::Image {
            return None;
        }
        self.of_measure(less(self.measure())?)
    }

    /// The same request in so many steps, told as the caller told them; `None` if it told none.
    #[must_use]
    pub fn with_steps(&self, steps: u32) -> Option<Self> {
        self.measure().steps?;
        self.of_measure(Measure { size: None, steps: Some(steps) })
    }

    fn of_measure(&self, less: Measure) -> Option<Self> {
        let given = |fields: &Map<String, Value>, name: &str| fields.get(name).is_some_and(|it| !it.is_null());
        self.amended(|document| {
            let fields = document.as_object_mut()?;
            if let Some(Size { width, height }) = less.size {
                let by_sides = given(fields, "width");
                if by_sides {
                    fields.insert("width".into(), width.into());
                    fields.insert("height".into(), height.into());
                }
                if !by_sides || given(fields, "size") {
                    fields.insert("size".into(), format!("{width}x{height}").into());
                }
            }
            for name in ["num_inference_steps", "steps"] {
                if let Some(steps) = less.steps.filter(|_| given(fields, name)) {
                    fields.insert(name.into(), steps.into());
                }
            }
            Some(())
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::chat::parse::parse;

    fn request(changes: &Value) -> Request {
        let mut document = json!({"prompt": "a cat", "strength": 1.5, "model": "m"});
        document.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        parse(Operation::Image, Bytes::from(document.to_string())).unwrap()
    }

    fn measure(size: Option<(u32, u32)>, steps: Option<u32>) -> Measure {
        Measure { size: size.map(|(width, height)| Size { width, height }), steps }
    }

    #[test]
    fn a_size_is_two_numbers_and_a_cross() {
        for (text, expected) in [
            ("1024x768", Some((1024, 768))),
            ("1x65536", Some((1, 65536))),
            ("0x8", None),
            ("8x65537", None),
            ("8", None),
            ("8x", None),
            ("+8x8", None),
            ("8x8x8", None),
            ("8 x 8", None),
            ("99999999999x1", None),
        ] {
            assert_eq!(size(text), expected.map(|(width, height)| Size { width, height }), "{text}");
        }
    }

    #[test]
    fn what_is_asked_for_is_read_however_it_is_told() {
        for (told, expected) in [
            (json!({}), measure(None, None)),
            (json!({"size": "auto", "num_inference_steps": null}), measure(None, None)),
            (json!({"size": "640x480", "num_inference_steps": 30}), measure(Some((640, 480)), Some(30))),
            (json!({"width": 64, "height": 32, "steps": 4}), measure(Some((64, 32)), Some(4))),
            (json!({"width": 64, "height": 32, "size": "8x8"}), measure(Some((64, 32)), None)),
        ] {
            assert_eq!(request(&told).measure(), expected, "{told}");
        }
        let chat =
            parse(Operation::Chat, Bytes::from_static(br#"{"messages":[{"role":"user","content":"x"}]}"#)).unwrap();
        assert_eq!((chat.measure(), chat.for_less_image()), (Measure::default(), None));
    }

    #[test]
    fn less_is_asked_for_in_the_callers_own_fields_and_nothing_else_changes() {
        for (told, expected) in [
            (
                json!({"size": "1024x768", "num_inference_steps": 50}),
                json!({"size": "512x384", "num_inference_steps": 25}),
            ),
            (json!({"width": 1024, "height": 512, "steps": 16}), json!({"width": 512, "height": 256, "steps": 10})),
            (json!({}), json!({"size": "512x512"})),
            (json!({"size": "auto"}), json!({"size": "512x512"})),
        ] {
            let less = request(&told).for_less_image().unwrap();
            let mut whole = json!({"prompt": "a cat", "strength": 1.5, "model": "m"});
            whole.as_object_mut().unwrap().extend(expected.as_object().unwrap().clone());
            assert_eq!(serde_json::from_slice::<Value>(&less.body).unwrap(), whole, "{told}");
        }
        assert_eq!(request(&json!({"size": "512x512", "num_inference_steps": 8})).for_less_image(), None);
        let fewer = request(&json!({"size": "1024x1024", "steps": 9})).with_steps(6).unwrap();
        assert_eq!(fewer.measure(), measure(Some((1024, 1024)), Some(6)));
        assert_eq!(request(&json!({})).with_steps(6), None);
    }
}
