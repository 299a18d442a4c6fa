//! One key: what may be typed there, and what is said when something else was.

use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use fusebox_rules::holdback::Holdback;
use http::Uri;

use super::{
    fault::{Place, did_you_mean},
    secret::Secret,
    section::Log,
    sources::open_file,
    units,
    value::{Node, Value, clip},
};

/// The longest text of any key that is not a prompt.
const MAX_TEXT_CHARS: usize = 1_024;
/// The longest prompt or answer.
const MAX_PROMPT_CHARS: usize = 100_000;

/// A key that was asked for, and what was typed there. Each method says what it is to be, and gives the default after
/// keeping the fault if it is something else.
pub struct Key<'a> {
    pub(super) log: &'a Log<'a>,
    pub(super) path: String,
    pub(super) doc: &'static str,
    pub(super) place: Place,
    pub(super) value: Option<&'a Value>,
    pub(super) shown: Option<&'static str>,
}

impl<'a> Key<'a> {
    /// The same, its default described as `shown`, for a default that is not a constant.
    #[must_use]
    pub fn shown(mut self, shown: &'static str) -> Self {
        self.shown = Some(shown);
        self
    }

    /// True or false.
    pub fn flag(self, default: bool) -> bool {
        let read =
            |value: &Value| value.as_flag().ok_or_else(|| format!("{} is neither true nor false", value.found()));
        self.or(default, ToString::to_string, read)
    }

    /// A duration, written with its unit; `0` needs none.
    pub fn duration(self, default: Duration, range: RangeInclusive<Duration>) -> Duration {
        self.or(default, |default| units::show_duration(*default), |value| read_duration(value, &range))
    }

    /// A duration, or none.
    pub fn optional_duration(self, range: RangeInclusive<Duration>) -> Option<Duration> {
        self.optional(|value| read_duration(value, &range))
    }

    /// What is held back of a stream.
    pub fn holdback(self) -> Holdback {
        self.or(
            Holdback::NONE,
            |_| "0".to_owned(),
            |value| {
                let tokens = value.as_whole().map(|whole| u32::try_from(whole).ok().map(Holdback::Tokens));
                tokens.unwrap_or_else(|| value.as_text().and_then(units::holdback)).ok_or_else(|| {
                    let right = "write a number of tokens, a duration such as 250ms, or whole";
                    format!("{} is nothing that can be held back; {right}", value.found())
                })
            },
        )
    }

    /// A whole number.
    pub fn count<N: TryFrom<i128> + Into<i128> + Copy>(self, default: N, range: RangeInclusive<N>) -> N {
        self.or(default, |default| (*default).into().to_string(), |value| read_count(value, &range))
    }

    /// A whole number, or none.
    pub fn optional_count<N: TryFrom<i128> + Into<i128> + Copy>(self, range: RangeInclusive<N>) -> Option<N> {
        self.optional(|value| read_count(value, &range))
    }

    /// A number that may have a fraction.
    pub fn number(self, default: f64, range: RangeInclusive<f64>) -> f64 {
        self.or(default, |default| format!("{default:?}"), |value| read_number(value, &range))
    }

    /// A number that may have a fraction, or none.
    pub fn optional_number(self, range: RangeInclusive<f64>) -> Option<f64> {
        self.optional(|value| read_number(value, &range))
    }

    /// A share, from 0 to 1.
    pub fn ratio(self, default: f64) -> f64 {
        self.number(default, 0.0..=1.0)
    }

    /// A number of bytes.
    pub fn size(self, default: u64, range: RangeInclusive<u64>) -> usize {
        let bytes = self.or(default, |default| units::show_size(*default), |value| read_size(value, &range));
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// One of `words`.
    pub fn word<T: Copy + PartialEq>(self, default: T, words: &[(&'static str, T)]) -> T {
        self.or(default, |default| name_of(default, words).to_owned(), |value| read_word(value, words))
    }

    /// A list of some of `words`; it may be empty.
    pub fn words<T: Copy + PartialEq>(self, default: &[T], words: &[(&'static str, T)]) -> Vec<T> {
        let show = |chosen: &Vec<T>| {
            let names: Vec<_> = chosen.iter().map(|word| name_of(word, words)).collect();
            format!("[{}]", names.join(", "))
        };
        self.or(default.to_vec(), show, |value| match value.as_list() {
            Some(items) => items.iter().map(|item| read_word(item, words)).collect(),
            None => Err(format!("{} is not a list; write one such as [{}]", value.found(), words[0].0)),
        })
    }

    /// One of `words`, which must be typed.
    pub fn required_word<T: Copy>(mut self, words: &[(&'static str, T)]) -> Option<T> {
        self.require();
        self.optional(|value| read_word(value, words))
    }

    /// A list of texts, each of which `check` lets through; it may be empty.
    pub fn texts(self, most: usize, check: impl Fn(&str) -> Result<(), String>) -> Vec<String> {
        self.or(
            Vec::new(),
            |_| "[]".to_owned(),
            |value| {
                let items =
                    value.as_list().ok_or_else(|| format!("{} is not a list; write one in brackets", value.found()))?;
                if items.len() > most {
                    return Err(format!("has {} items; {most} is the most allowed", items.len()));
                }
                let named = |(index, item)| {
                    read_text(item, MAX_TEXT_CHARS, &check).map_err(|fault| format!("item {index} of it: {fault}"))
                };
                items.iter().enumerate().map(named).collect()
            },
        )
    }

    /// An IP address and a port.
    pub fn address(self, default: SocketAddr) -> SocketAddr {
        self.or(default, ToString::to_string, read_address)
    }

    /// An IP address and a port, or none.
    pub fn optional_address(self) -> Option<SocketAddr> {
        self.optional(read_address)
    }

    /// Whatever was typed, as JSON: for what others say the shape of.
    pub fn json(self) -> Option<serde_json::Value> {
        self.optional(|value| Ok(value.to_json()))
    }

    /// Text that `check` lets through; its error follows the text in the fault.
    pub fn text(self, default: &str, check: impl Fn(&str) -> Result<(), String>) -> String {
        self.or(default.to_owned(), Clone::clone, |value| read_text(value, MAX_TEXT_CHARS, check))
    }

    /// Text that `check` lets through, or none.
    pub fn optional_text(self, check: impl Fn(&str) -> Result<(), String>) -> Option<String> {
        self.optional(|value| read_text(value, MAX_TEXT_CHARS, check))
    }

    /// Text that may be long and have lines.
    pub fn optional_prompt(self) -> Option<String> {
        self.optional(|value| read_text(value, MAX_PROMPT_CHARS, |_| Ok(())))
    }

    /// Text that must be typed; empty after a fault.
    pub fn required(mut self, check: impl Fn(&str) -> Result<(), String>) -> String {
        self.require();
        self.text("", check)
    }

    /// A file that can be opened.
    pub fn optional_file(self) -> Option<PathBuf> {
        self.optional(|value| {
            let path = PathBuf::from(read_text(value, MAX_TEXT_CHARS, |_| Ok(()))?);
            match open_file(&path) {
                Ok(_) => Ok(path),
                Err(fault) => Err(format!("{} {fault}", value.found())),
            }
        })
    }

    /// A file that must be named and can be opened; empty after a fault.
    pub fn required_file(mut self) -> PathBuf {
        self.require();
        self.optional_file().unwrap_or_default()
    }

    /// An `http` or `https` URL without user, query or fragment, given back without a trailing slash.
    pub fn optional_url(self) -> Option<String> {
        self.optional(|value| read_url(&read_text(value, MAX_TEXT_CHARS, |_| Ok(()))?))
    }

    /// A URL of one of `schemes`, which may hold a password and is not quoted in any fault.
    pub fn optional_secret_url(self, schemes: &[&str]) -> Option<Secret> {
        self.optional(|value| {
            let text = value.as_text().unwrap_or_default();
            match schemes.iter().find_map(|scheme| text.strip_prefix(scheme)?.strip_prefix("://")) {
                Some(rest) if !rest.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                    Ok(Secret::new(text))
                }
                _ => Err(format!("is not a URL that begins with {}://", schemes.join("://, "))),
            }
        })
    }

    /// The key that the variable named here holds.
    pub fn optional_secret_variable(self) -> Option<Secret> {
        let variables = self.log.variables;
        self.optional(|value| {
            let name = value.as_text().unwrap_or_default();
            let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !is_name {
                // Not quoted: a key pasted here by mistake is still a secret.
                return Err("is not the name of a variable; write the name, not the key itself".to_owned());
            }
            let key = variables.get(name).ok_or_else(|| format!("the variable {name} is not set"))?;
            Secret::try_key(key).map_err(|fault| format!("the variable {name} {fault}"))
        })
    }

    /// The key that the file named here holds, and the file.
    pub fn optional_secret_file(self) -> Option<(Secret, PathBuf)> {
        self.optional(|value| {
            let path = PathBuf::from(read_text(value, MAX_TEXT_CHARS, |_| Ok(()))?);
            match Secret::try_from_file(&path) {
                Ok(key) => Ok((key, path)),
                Err(fault) => Err(format!("the file {} {fault}", value.found())),
            }
        })
    }

    fn require(&mut self) {
        self.shown = Some("(required)");
        if self.value.is_none() {
            self.log.fault(self.path.clone(), "is missing".to_owned(), self.place.clone());
        }
    }

    fn or<T>(
        self,
        default: T,
        show: impl FnOnce(&T) -> String,
        read: impl FnOnce(&'a Value) -> Result<T, String>,
    ) -> T {
        if self.log.is_recording() {
            self.log.note(&self.path, self.shown.map_or_else(|| show(&default), str::to_owned), self.doc);
        }
        self.read(read).unwrap_or(default)
    }

    fn optional<T>(self, read: impl FnOnce(&'a Value) -> Result<T, String>) -> Option<T> {
        self.log.note(&self.path, self.shown.unwrap_or("null").to_owned(), self.doc);
        self.read(read)
    }

    fn read<T>(self, read: impl FnOnce(&'a Value) -> Result<T, String>) -> Option<T> {
        match read(self.value?) {
            Ok(read) => Some(read),
            Err(message) => {
                self.log.fault(self.path, message, self.place);
                None
            }
        }
    }
}

fn name_of<T: PartialEq>(word: &T, words: &[(&'static str, T)]) -> &'static str {
    words.iter().find(|(_, other)| other == word).map_or("", |(name, _)| name)
}

fn read_word<T: Copy>(value: &Value, words: &[(&'static str, T)]) -> Result<T, String> {
    let typed = value.as_text().unwrap_or_default();
    words.iter().find(|(name, _)| *name == typed).map(|(_, word)| *word).ok_or_else(|| {
        let names = words.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let near = did_you_mean(typed, names.iter().copied());
        format!("{} is not one of {}{near}", value.found(), names.join(", "))
    })
}

fn read_address(value: &Value) -> Result<SocketAddr, String> {
    value
        .as_text()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("{} is not an address; write an IP and a port, such as 127.0.0.1:8080", value.found()))
}

fn read_duration(value: &Value, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let example = "write a number with a unit, such as 30s or 500ms";
    let duration = match value.as_whole() {
        Some(0) => Duration::ZERO,
        Some(_) => return Err(format!("{} has no unit; {example}", value.found())),
        None => value
            .as_text()
            .and_then(units::duration)
            .ok_or_else(|| format!("{} is not a duration; {example}", value.found()))?,
    };
    within(duration, range, |duration| units::show_duration(*duration))
}

fn read_count<N: TryFrom<i128> + Into<i128> + Copy>(value: &Value, range: &RangeInclusive<N>) -> Result<N, String> {
    let (least, most) = ((*range.start()).into(), (*range.end()).into());
    let right = if most >= i64::MAX.into() { format!("from {least}") } else { format!("from {least} to {most}") };
    let whole =
        value.as_whole().ok_or_else(|| format!("{} is not a whole number; write one {right}", value.found()))?;
    let whole = within(whole, &(least..=most), ToString::to_string)?;
    N::try_from(whole).map_err(|_| format!("{whole} is too large"))
}

fn read_number(value: &Value, range: &RangeInclusive<f64>) -> Result<f64, String> {
    let number = value.as_number().ok_or_else(|| {
        format!("{} is not a number; write one from {} to {}", value.found(), range.start(), range.end())
    })?;
    within(number, range, ToString::to_string)
}

fn read_size(value: &Value, range: &RangeInclusive<u64>) -> Result<u64, String> {
    let plain = value.as_whole().and_then(|whole| u64::try_from(whole).ok());
    let size = plain.or_else(|| value.as_text().and_then(units::size));
    let size = size.ok_or_else(|| {
        format!("{} is not a size; write a number of bytes or one with a unit, such as 64MiB", value.found())
    })?;
    within(size, range, |size| units::show_size(*size))
}

fn read_text(value: &Value, max_chars: usize, check: impl Fn(&str) -> Result<(), String>) -> Result<String, String> {
    let text = value.as_text().ok_or_else(|| match value.node {
        Node::Map(_) | Node::List(_) => format!("{} stands where text is meant", value.found()),
        _ => format!("{} stands where text is meant; put it in quotes", value.found()),
    })?;
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.chars().nth(max_chars).is_some() {
        return Err(format!("is longer than {max_chars} characters"));
    }
    check(text)?;
    Ok(text.to_owned())
}

/// `text` as an `http` or `https` URL without user, query or fragment, given back without a trailing slash.
///
/// # Errors
///
/// A clause that says what is wrong with it. Nothing of the URL is quoted: a password may be in it.
pub fn read_url(text: &str) -> Result<String, String> {
    let example = "write one such as http://127.0.0.1:8000/v1";
    let uri: Uri = text.parse().map_err(|_| format!("is not a URL; {example}"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(format!("is not an http:// or https:// URL; {example}"));
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err("holds a user or a password; name the key by api_key_env or api_key_file instead".to_owned());
    }
    let host = uri.host().unwrap_or_default();
    let port = authority.strip_prefix(host).unwrap_or_default();
    if host.is_empty() || (!port.is_empty() && uri.port_u16().is_none_or(|port| port == 0)) {
        return Err(format!("has no host or a bad port; {example}"));
    }
    if uri.query().is_some() || text.contains('#') {
        return Err("has a query or a fragment; a base URL ends with its path".to_owned());
    }
    let scheme = uri.scheme_str().unwrap_or_default();
    Ok(format!("{scheme}://{authority}{}", uri.path().trim_end_matches('/')))
}

fn within<T: PartialOrd>(value: T, range: &RangeInclusive<T>, show: impl Fn(&T) -> String) -> Result<T, String> {
    if value < *range.start() {
        Err(format!("{} is less than {}, the least allowed", show(&value), show(range.start())))
    } else if value > *range.end() {
        Err(format!("{} is more than {}, the most allowed", show(&value), show(range.end())))
    } else {
        Ok(value)
    }
}

/// Lets any text through.
///
/// # Errors
///
/// None.
pub fn anything(_: &str) -> Result<(), String> {
    Ok(())
}

/// Lets through what can be a label, a part of a Redis key and a part of a file name.
///
/// # Errors
///
/// A clause that says what a name is.
pub fn a_name(text: &str) -> Result<(), String> {
    let fits = text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    fault_unless(fits, || {
        format!("{} is not a name; use up to 64 letters, digits, `.`, `_` and `-`, a letter or digit first", clip(text))
    })
}

/// The fault that `fault` makes, unless all is well.
///
/// # Errors
///
/// That fault.
pub fn fault_unless<F: Display>(well: bool, fault: impl FnOnce() -> F) -> Result<(), String> {
    if well { Ok(()) } else { Err(fault().to_string()) }
}
