//! Text that is never printed, and where it comes from.

use std::{fmt, path::Path, sync::Arc};

use super::sources::read_file;

/// Longer than any key; a file past it is the wrong file.
const MAX_KEY_BYTES: u64 = 16 * 1024;

/// Text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes `text` into keeping.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// A key as it will stand in a header: one trailing newline is forgiven, anything but visible ASCII is not.
    ///
    /// # Errors
    ///
    /// A clause that says what is wrong with it, without a word of it.
    pub fn try_key(text: &str) -> Result<Self, &'static str> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err("is empty");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("holds a space, a control character or something else that no key holds");
        }
        Ok(Self::new(text))
    }

    /// The key that `file` holds.
    ///
    /// # Errors
    ///
    /// A clause that says why it cannot be had, without a word of it.
    pub fn try_from_file(file: &Path) -> Result<Self, String> {
        Self::try_key(&read_file(file, MAX_KEY_BYTES)?).map_err(str::to_owned)
    }

    /// The text itself, for the one place that must send it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it is `text`. Compares all bytes, however early they differ.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        same(self.0.as_bytes(), text.as_bytes())
    }
}

/// Whether two texts are the same. Compares all bytes, however early they differ; only their lengths can be timed.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && std::hint::black_box(a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b))) == 0
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_trimmed_of_its_newline_and_refused_for_what_no_header_takes() {
        for good in ["sk-1", "sk-1\n", "sk-1\r\n"] {
            assert_eq!(Secret::try_key(good).unwrap().reveal(), "sk-1");
        }
        for bad in ["", "\n", "sk\n-1", "sk-1\n\n", "sk-\u{7}1", " sk-1", "sk-é"] {
            let fault = Secret::try_key(bad).unwrap_err();
            assert!(!fault.contains("sk"), "{fault}");
        }
    }

    #[test]
    fn a_file_that_is_missing_or_far_too_long_is_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        assert!(Secret::try_from_file(&file).unwrap_err().starts_with("cannot be read"));
        std::fs::write(&file, "k".repeat(20_000)).unwrap();
        assert_eq!(Secret::try_from_file(&file).unwrap_err(), "is larger than 16KiB");
        std::fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(Secret::try_from_file(&file).unwrap_err().starts_with("cannot be read"));
    }

    #[test]
    fn only_the_very_same_text_is_it() {
        let secret = Secret::new("hunter2");
        for (text, is) in [("hunter2", true), ("hunter3", false), ("gunter2", false), ("hunter", false), ("", false)] {
            assert_eq!(secret.is(text), is, "{text}");
        }
        assert!(Secret::new("").is(""));
    }

    #[test]
    fn debug_says_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }
}
