//! An image or a document in a message, as OpenAI's JSON names it.

use std::fmt;

use base64::{display::Base64Display, engine::general_purpose::STANDARD};
use fusebox_proto::v1::{self, media::Source};
use serde::{Serialize, Serializer};

use super::faults::Faults;
use crate::chat::media::{self, Bounds, PDF, Wrong};

/// A part of a message that is not text, as OpenAI's JSON has it.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum MediaPart<'a> {
    ImageUrl { image_url: ImageUrl<'a> },
    File { file: File<'a> },
}

#[derive(Debug, Serialize)]
pub(super) struct ImageUrl<'a> {
    url: Url<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct File<'a> {
    // OpenAI refuses bytes without a name for them.
    filename: &'static str,
    file_data: Url<'a>,
}

/// A place on the web, or the bytes themselves, encoded only as they are written.
#[derive(Debug)]
enum Url<'a> {
    Sent(&'a str),
    Bytes { mime: &'a str, data: &'a [u8] },
}

impl Serialize for Url<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Sent(url) => serializer.serialize_str(url),
            Self::Bytes { mime, data } => {
                serializer.collect_str(&format_args!("data:{mime};base64,{}", Base64Display::new(data, &STANDARD)))
            }
        }
    }
}

/// `media` as OpenAI's JSON has it; `None`: faults were noted below `path`. Without bounds it is not looked at closely.
pub(super) fn part<'a>(
    media: &'a v1::Media,
    bounds: Option<Bounds>,
    path: fmt::Arguments<'_>,
    faults: &mut Faults,
) -> Option<MediaPart<'a>> {
    let bounds = bounds.unwrap_or(Bounds { max_image_bytes: usize::MAX, max_document_bytes: usize::MAX });
    let declared = media.mime_type.as_str();
    if !declared.is_empty() && !is_mime_type(declared) {
        faults.note(format_args!("{path}.mime_type"), "must be a type and a subtype, such as image/png");
        return None;
    }
    let (field, judged, url) = match &media.source {
        None => {
            faults.note(path, "has no source: give data or uri");
            return None;
        }
        Some(Source::Data(data)) => {
            let judged = media::of_bytes(declared, data, bounds);
            let mime = judged.as_ref().copied().unwrap_or_default();
            ("data", judged, Url::Bytes { mime, data })
        }
        Some(Source::Uri(uri)) if media::is_data_url(uri) => {
            ("uri", media::of_data_url(declared, uri, bounds), Url::Sent(uri))
        }
        Some(Source::Uri(uri)) => ("uri", behind(declared, uri), Url::Sent(uri)),
    };
    let mime = match judged {
        Ok(mime) => mime,
        Err(Wrong::Type(message)) => {
            faults.note(format_args!("{path}.mime_type"), message);
            return None;
        }
        Err(Wrong::Bytes(message)) => {
            faults.note(format_args!("{path}.{field}"), message);
            return None;
        }
    };
    if !mime.eq_ignore_ascii_case(PDF) {
        return Some(MediaPart::ImageUrl { image_url: ImageUrl { url } });
    }
    if matches!(url, Url::Sent(uri) if !media::is_data_url(uri)) {
        faults.note(format_args!("{path}.uri"), "a PDF must be sent as data, not by its address");
        return None;
    }
    Some(MediaPart::File { file: File { filename: "document.pdf", file_data: url } })
}

/// The type of what `uri` names, as far as that can be told without fetching it; empty: it cannot.
fn behind<'a>(declared: &'a str, uri: &str) -> Result<&'a str, Wrong> {
    let parsed = uri.parse::<http::Uri>().ok();
    let on_the_web =
        parsed.is_some_and(|uri| matches!(uri.scheme_str(), Some("https" | "http")) && uri.host().is_some());
    if on_the_web { Ok(declared) } else { Err(Wrong::Bytes("must be an https, http or data URI".to_owned())) }
}

fn is_mime_type(text: &str) -> bool {
    let token = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !part.is_empty() && part.len() <= 127 && part.bytes().all(allowed)
    };
    text.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0rest";

    fn translated(mime: &str, source: Option<Source>) -> Result<Value, Vec<String>> {
        let media = v1::Media { mime_type: mime.to_owned(), source };
        let mut faults = Faults::default();
        let bounds = Bounds { max_image_bytes: 64, max_document_bytes: 64 };
        let part = part(&media, Some(bounds), format_args!("image"), &mut faults);
        match part {
            Some(part) => Ok(serde_json::to_value(part).unwrap()),
            None => Err(faults.paths().into_iter().map(str::to_owned).collect()),
        }
    }

    fn data(bytes: &'static [u8]) -> Option<Source> {
        Some(Source::Data(Bytes::from_static(bytes)))
    }

    fn uri(text: &str) -> Option<Source> {
        Some(Source::Uri(text.to_owned()))
    }

    #[test]
    fn the_bytes_say_what_they_are() {
        let table: [(&'static [u8], &str); 5] = [
            (JPEG, "image/jpeg"),
            (PNG, "image/png"),
            (b"GIF87a..", "image/gif"),
            (b"GIF89a..", "image/gif"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        ];
        for (bytes, mime) in table {
            let url = format!("data:{mime};base64,{}", STANDARD.encode(bytes));
            let expected = json!({"type": "image_url", "image_url": {"url": url}});
            assert_eq!(translated("", data(bytes)), Ok(expected.clone()), "{mime} detected");
            assert_eq!(translated(mime, data(bytes)), Ok(expected), "{mime} declared");
        }
        assert!(translated("image/jpg", data(JPEG)).is_ok(), "a common alias");
        assert!(translated("IMAGE/PNG", data(PNG)).is_ok(), "types have no case");
    }

    #[test]
    fn a_pdf_goes_as_a_file() {
        let file = json!({"filename": "document.pdf", "file_data": format!("data:application/pdf;base64,{}", STANDARD.encode("%PDF-1.7"))});
        let expected = Ok(json!({"type": "file", "file": file}));
        assert_eq!(translated("", data(b"%PDF-1.7")), expected);
        let inline = format!("data:application/pdf;base64,{}", STANDARD.encode("%PDF-1.7"));
        assert_eq!(translated("", uri(&inline)), expected);
    }

    #[test]
    fn an_address_is_passed_on_as_it_is() {
        let inline = format!("data:image/png;base64,{}", STANDARD.encode(PNG));
        for sent in ["https://example.com/cat.png?size=1", "http://images.internal/cat", &inline] {
            assert_eq!(translated("", uri(sent)), Ok(json!({"type": "image_url", "image_url": {"url": sent}})));
        }
    }

    #[test]
    fn bytes_of_no_known_kind_are_what_they_are_said_to_be() {
        let url = format!("data:image/bmp;base64,{}", STANDARD.encode("BM1234"));
        assert_eq!(
            translated("image/bmp", data(b"BM1234")),
            Ok(json!({"type": "image_url", "image_url": {"url": url}}))
        );
    }

    #[test]
    fn every_fault_is_named_where_it_is() {
        let png_called_jpeg = format!("data:image/jpeg;base64,{}", STANDARD.encode(PNG));
        let table: [(&str, Option<Source>, &str); 16] = [
            ("", None, "image"),
            ("", data(b""), "image.data"),
            ("", data(b"nothing known"), "image.mime_type"),
            ("image/png", data(JPEG), "image.mime_type"),
            ("image/bmp", data(PNG), "image.mime_type"),
            ("image/png", data(b"nothing known"), "image.mime_type"),
            ("png", data(PNG), "image.mime_type"),
            ("image/png; q=1", data(PNG), "image.mime_type"),
            ("", uri(""), "image.uri"),
            ("", uri("/etc/passwd"), "image.uri"),
            ("", uri("file:///etc/passwd"), "image.uri"),
            ("", uri("data:image/png;base64,***"), "image.uri"),
            ("", uri(&png_called_jpeg), "image.mime_type"),
            ("application/pdf", uri("https://example.com/a.pdf"), "image.uri"),
            ("", data(&[0xff; 65]), "image.mime_type"),
            ("x/y", data(&[b'x'; 65]), "image.data"),
        ];
        for (mime, source, path) in table {
            let name = format!("{mime:?} {source:?}");
            assert_eq!(translated(mime, source), Err(vec![path.to_owned()]), "{name}");
        }
    }
}
