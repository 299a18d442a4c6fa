//! Anthropic's Messages API: the translation from and to the shape that the inside speaks.
//!
//! Waiting and retrying are not done here. Only [`Operation::Chat`] can be served.

pub mod answer;
mod client;
mod progress;
pub mod request;
pub mod stream;
mod tools;
mod turns;
mod wire;

use std::fmt;

pub use client::Anthropic;
pub use progress::Progress;

use http::{HeaderMap, HeaderName, HeaderValue, header::InvalidHeaderValue};

#[cfg(doc)]
use crate::chat::request::Operation;
use crate::{
    config::Secret,
    error::{ErrorKind, Failure},
};

/// The endpoint below a provider's base URL (`https://api.anthropic.com/v1`).
pub const PATH: &str = "/messages";

/// The version of the API that is spoken here.
pub const VERSION: &str = "2023-06-01";

/// Adds the API's own headers: its version, and the key, marked as one that is never printed.
///
/// # Errors
/// If the key holds what no header may.
pub fn add_headers(headers: &mut HeaderMap, key: Option<&Secret>) -> Result<(), InvalidHeaderValue> {
    headers.insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static(VERSION));
    if let Some(key) = key {
        let mut value = HeaderValue::from_str(key.reveal())?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static("x-api-key"), value);
    }
    Ok(())
}

/// Why this API cannot serve a request that is good in itself. Another provider may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannotServe {
    /// What the API lacks, for the caller: `more than one choice (n)`.
    pub what: String,
}

impl CannotServe {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }

    /// The failure of a provider that was passed over for this. Its kind is one that fails over, says nothing about
    /// the provider's health, and has the caller told that nothing here serves what was asked.
    #[must_use]
    pub fn failure(&self) -> Failure {
        Failure::new(ErrorKind::ModelNotFound, self.to_string()).unasked()
    }
}

impl fmt::Display for CannotServe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the Messages API cannot serve {}", self.what)
    }
}

impl std::error::Error for CannotServe {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_goes_in_its_header_and_is_not_printed() {
        let mut headers = HeaderMap::new();
        add_headers(&mut headers, Some(&Secret::new("sk-ant-1"))).unwrap();
        assert_eq!(headers["x-api-key"], "sk-ant-1");
        assert_eq!(headers["anthropic-version"], "2023-06-01");
        assert!(!format!("{headers:?}").contains("sk-ant-1"));
        assert!(add_headers(&mut headers, Some(&Secret::new("sk\n"))).is_err());
    }
}
