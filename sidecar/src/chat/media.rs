//! What the bytes of an image or a document are, held against what a caller says that they are.
//!
//! Only the first bytes are looked at; whether the rest can be shown is the provider's affair. What is
//! named by an address is not fetched.

use std::borrow::Cow;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// The one type of document that is known by its bytes.
pub const PDF: &str = "application/pdf";

/// What [`detected`] can answer.
const KNOWN: [&str; 5] = ["image/jpeg", "image/png", "image/gif", "image/webp", PDF];

/// Base64 with or without its padding: not every encoder writes it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Letters decoded at a time: a whole number of groups of four.
const STEP: usize = 4096;

/// Bytes by which a type is told.
const HEAD: usize = 16;

/// How large a caller's media may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of one image.
    pub max_image_bytes: usize,
    /// Bytes of one document.
    pub max_document_bytes: usize,
}

/// What is wrong with an image or a document, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// With the type that it is said to have.
    Type(String),
    /// With its bytes, or how they are written down.
    Bytes(String),
}

impl Wrong {
    /// The sentence alone.
    #[must_use]
    pub fn into_message(self) -> String {
        match self {
            Self::Type(message) | Self::Bytes(message) => message,
        }
    }
}

/// The type of `data`, said to be `claimed`; empty: nothing is said.
///
/// # Errors
/// There are none, or too many, or they are something else. Bytes of no known kind are what they are said to be.
pub fn of_bytes<'a>(claimed: &'a str, data: &[u8], bounds: Bounds) -> Result<&'a str, Wrong> {
    judged(claimed, data, data.len(), bounds)
}

/// The type of what a data URL holds, said to be `claimed` beside what the URL says itself.
///
/// # Errors
/// As [`of_bytes`], and where the URL holds no base64.
pub fn of_data_url<'a>(claimed: &'a str, url: &'a str, bounds: Bounds) -> Result<&'a str, Wrong> {
    let form = || Wrong::Bytes("must read data:TYPE;base64,BYTES".to_owned());
    let (stated, text) = url.get(DATA.len()..).and_then(|rest| rest.split_once(',')).ok_or_else(form)?;
    let (stated, encoding) = stated.rsplit_once(';').ok_or_else(form)?;
    if !encoding.trim().eq_ignore_ascii_case("base64") {
        return Err(form());
    }
    let stated = stated.split_once(';').map_or(stated, |(mime, _parameters)| mime);
    of_base64(if claimed.is_empty() { stated } else { claimed }, text, bounds)
}

/// The type of what `text` encodes, said to be `claimed`.
///
/// # Errors
/// As [`of_bytes`], and where the text is no base64.
pub fn of_base64<'a>(claimed: &'a str, text: &str, bounds: Bounds) -> Result<&'a str, Wrong> {
    // Tools that wrap lines are common, and servers read what they write.
    let text: Cow<'_, str> = if text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        text.split_ascii_whitespace().collect::<String>().into()
    } else {
        text.into()
    };
    let letters = text.trim_end_matches('=');
    let mut head = [0; HEAD];
    let known = decoded_head(letters, &mut head)?;
    let mime = judged(claimed, &head[..known], letters.len() / 4 * 3 + letters.len() % 4 * 3 / 4, bounds)?;
    whole(&text)?;
    Ok(mime)
}

/// Whether `url` holds its bytes itself.
#[must_use]
pub fn is_data_url(url: &str) -> bool {
    url.get(..DATA.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(DATA))
}

/// Whether `url` begins with a scheme, `https:` or any other.
#[must_use]
pub fn has_scheme(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once(':') else { return false };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !rest.is_empty()
}

/// `None` for nothing said; the registered name for a common alias.
#[must_use]
pub fn canonical(claimed: &str) -> Option<&str> {
    match claimed {
        "" => None,
        unsaid if unsaid.eq_ignore_ascii_case("application/octet-stream") => None,
        alias if alias.eq_ignore_ascii_case("image/jpg") => Some("image/jpeg"),
        other => Some(other),
    }
}

const DATA: &str = "data:";

fn judged<'a>(claimed: &'a str, head: &[u8], bytes: usize, bounds: Bounds) -> Result<&'a str, Wrong> {
    if bytes == 0 {
        return Err(Wrong::Bytes("must not be empty".to_owned()));
    }
    let mime = agreed(claimed, detected(head))?;
    let (what, most, key) = if mime.get(..6).is_some_and(|kind| kind.eq_ignore_ascii_case("image/")) {
        ("an image", bounds.max_image_bytes, "max_image_bytes")
    } else {
        ("a document", bounds.max_document_bytes, "max_document_bytes")
    };
    if bytes > most {
        return Err(Wrong::Bytes(format!("holds {bytes} bytes; {what} may have {most} (validation.{key})")));
    }
    Ok(mime)
}

/// The type that claim and bytes agree on.
fn agreed<'a>(claimed: &'a str, detected: Option<&'static str>) -> Result<&'a str, Wrong> {
    match (canonical(claimed), detected) {
        (None, Some(detected)) => Ok(detected),
        (None, None) => Err(Wrong::Type("cannot be told from the bytes, and must be given, such as image/png".into())),
        (Some(claimed), Some(detected)) if claimed.eq_ignore_ascii_case(detected) => Ok(detected),
        (Some(claimed), None) if !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(claimed)) => Ok(claimed),
        (Some(claimed), detected) => {
            let claimed: String = claimed.chars().take(80).collect();
            let bytes = detected.unwrap_or("something else");
            Err(Wrong::Type(format!("is said to be {claimed}, but the bytes are {bytes}")))
        }
    }
}

/// What the first bytes say that all of them are.
#[must_use]
pub fn detected(data: &[u8]) -> Option<&'static str> {
    match data {
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'%', b'P', b'D', b'F', b'-', ..] => Some(PDF),
        _ => None,
    }
}

/// Decodes the first bytes of `letters` into `head`, and says how many there are.
fn decoded_head(letters: &str, head: &mut [u8; HEAD]) -> Result<usize, Wrong> {
    let first = letters.as_bytes();
    let first = &first[..first.len().min(HEAD / 3 * 4)];
    BASE64.decode_slice(first, head).map_err(|_| broken())
}

/// Whether all of `text` is base64, told without room for what it stands for.
fn whole(text: &str) -> Result<(), Wrong> {
    let mut room = [0; STEP / 4 * 3];
    let mut steps = text.as_bytes().chunks(STEP).peekable();
    while let Some(step) = steps.next() {
        let bytes = BASE64.decode_slice(step, &mut room).map_err(|_| broken())?;
        // Padding may stand only at the very end.
        if steps.peek().is_some() && bytes < room.len() {
            return Err(broken());
        }
    }
    Ok(())
}

fn broken() -> Wrong {
    Wrong::Bytes("is not base64: use the letters A-Z, a-z, 0-9, + and /, in groups of four".to_owned())
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { max_image_bytes: 100, max_document_bytes: 200 };

    fn padded(start: &[u8], bytes: usize) -> Vec<u8> {
        let mut data = start.to_vec();
        data.resize(bytes, b'x');
        data
    }

    #[test]
    fn the_bytes_say_what_they_are() {
        let table: [(&[u8], &str); 6] = [
            (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
            (b"\x89PNG\r\n\x1a\nrest", "image/png"),
            (b"GIF87a..", "image/gif"),
            (b"GIF89a..", "image/gif"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
            (b"%PDF-1.7", PDF),
        ];
        for (data, mime) in table {
            for claimed in ["", mime, "application/octet-stream", &mime.to_uppercase()] {
                assert_eq!(of_bytes(claimed, data, BOUNDS), Ok(mime), "{claimed}");
                let url = format!("data:{claimed};base64,{}", STANDARD.encode(data));
                assert_eq!(of_data_url("", &url, BOUNDS), Ok(mime), "{url}");
            }
        }
        assert_eq!(of_bytes("image/jpg", b"\xff\xd8\xff\xe0", BOUNDS), Ok("image/jpeg"), "a common alias");
        assert_eq!(of_bytes("image/bmp", b"BM1234", BOUNDS), Ok("image/bmp"), "of no known kind");
    }

    #[test]
    fn what_is_claimed_falsely_is_told() {
        for (claimed, data) in [
            ("image/png", &b"\xff\xd8\xff\xe0"[..]),
            ("image/bmp", b"GIF89a"),
            ("image/png", b"nothing known"),
            (PDF, b"<html>"),
            ("", b"nothing known"),
        ] {
            assert!(matches!(of_bytes(claimed, data, BOUNDS), Err(Wrong::Type(_))), "{claimed}");
            let encoded = STANDARD.encode(data);
            assert!(matches!(of_base64(claimed, &encoded, BOUNDS), Err(Wrong::Type(_))), "{claimed}");
        }
    }

    #[test]
    fn images_and_documents_have_their_own_sizes_to_the_byte() {
        let table: [(&[u8], usize); 3] = [(b"GIF89a", 100), (b"\x89PNG\r\n\x1a\n", 100), (b"%PDF-", 200)];
        for (start, most) in table {
            for bytes in [most - 2, most - 1, most] {
                let data = padded(start, bytes);
                assert!(of_bytes("", &data, BOUNDS).is_ok(), "{bytes}");
                assert!(of_base64("", &STANDARD.encode(&data), BOUNDS).is_ok(), "{bytes}");
            }
            for bytes in [most + 1, most + 2, most + 3] {
                let data = padded(start, bytes);
                let said = format!("holds {bytes} bytes");
                for found in [of_bytes("", &data, BOUNDS), of_base64("", &STANDARD.encode(&data), BOUNDS)] {
                    assert!(matches!(&found, Err(Wrong::Bytes(why)) if why.contains(&said)), "{found:?}");
                }
            }
        }
    }

    #[test]
    fn broken_base64_is_told_as_such() {
        let whole = STANDARD.encode(padded(b"GIF89a", 90));
        for text in [
            "***".to_owned(),
            format!("{whole}*"),
            format!("{}*{}", &whole[..40], &whole[41..]),
            format!("{}={}", &whole[..40], &whole[41..]),
            format!("{}-{}", &whole[..40], &whole[41..]),
        ] {
            let found = of_base64("", &text, BOUNDS);
            assert!(matches!(&found, Err(Wrong::Bytes(why)) if why.contains("base64")), "{text}: {found:?}");
        }
        assert!(of_base64("", whole.trim_end_matches('='), BOUNDS).is_ok(), "unpadded");
        let wrapped = format!("{}\r\n{}\n", &whole[..20], &whole[20..]);
        assert!(of_base64("", &wrapped, BOUNDS).is_ok(), "wrapped");
        for url in ["data:image/png,plain", "data:", "data:image/png;base64", "data:;base64,"] {
            assert!(matches!(of_data_url("", url, BOUNDS), Err(Wrong::Bytes(_))), "{url}");
        }
    }

    #[test]
    fn padding_inside_a_long_text_is_found() {
        let bounds = Bounds { max_image_bytes: 1 << 20, max_document_bytes: 1 << 20 };
        let mut text = STANDARD.encode(padded(b"GIF89a", 30_000));
        assert!(of_base64("", &text, bounds).is_ok());
        text.replace_range(STEP - 1..STEP, "=");
        assert!(of_base64("", &text, bounds).is_err());
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_whole_and_its_size_is_known(data in proptest::collection::vec(any::<u8>(), 1..300)) {
            let exact = Bounds { max_image_bytes: data.len(), max_document_bytes: data.len() };
            let tight = Bounds { max_image_bytes: data.len() - 1, max_document_bytes: data.len() - 1 };
            let text = STANDARD.encode(&data);
            prop_assume!(detected(&data).is_none());
            prop_assert_eq!(of_base64("x/y", &text, exact), Ok("x/y"));
            prop_assert!(of_base64("x/y", &text, tight).is_err());
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = of_base64("", &text, BOUNDS);
            let _ = of_data_url("", &format!("data:{text}"), BOUNDS);
            let _ = of_data_url("", &text, BOUNDS);
            let _ = has_scheme(&text);
        }
    }
}
