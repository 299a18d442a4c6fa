//! The bearer tokens that may call.

use std::{fs, path::Path};

use crate::config::Secret;

/// Who may call: anyone, or the holders of these tokens.
#[derive(Debug)]
pub struct Tokens(Option<Vec<Secret>>);

impl Tokens {
    /// Anyone.
    #[must_use]
    pub const fn anyone() -> Self {
        Self(None)
    }

    /// The holders of the tokens in `file`: one a line; empty lines and those that begin with `#` are passed over.
    ///
    /// # Errors
    /// The file cannot be read or holds no token.
    pub fn read(file: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(file)
            .map_err(|error| format!("auth.tokens_file: {} cannot be read: {error}", file.display()))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let tokens: Vec<Secret> = lines.map(Secret::new).collect();
        if tokens.is_empty() {
            return Err(format!("auth.tokens_file: {} holds no token; put one on each line", file.display()));
        }
        Ok(Self(Some(tokens)))
    }

    /// Whether the holder of `token`, or of none, may call. Takes the same time whichever token it is, or nearly is.
    #[must_use]
    pub fn allow(&self, token: Option<&str>) -> bool {
        let Some(known) = &self.0 else { return true };
        let Some(token) = token else { return false };
        known.iter().fold(false, |found, one| found | one.is(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Result<Tokens, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Tokens::read(file.path())
    }

    #[test]
    fn only_a_known_token_may_call() {
        let tokens = tokens("# team a\nabc\n\n def \n").unwrap();
        for (token, may) in
            [(Some("abc"), true), (Some("def"), true), (Some("abd"), false), (Some(""), false), (None, false)]
        {
            assert_eq!(tokens.allow(token), may, "{token:?}");
        }
        assert!(Tokens::anyone().allow(None));
    }

    #[test]
    fn a_file_without_a_token_lets_nobody_in_unseen() {
        assert!(tokens("# none\n").unwrap_err().contains("holds no token"));
        assert!(Tokens::read(Path::new("/does/not/exist")).unwrap_err().contains("cannot be read"));
    }
}
