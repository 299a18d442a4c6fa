//! What is unwise in a configuration that is not wrong: how it is said. What it is, each program knows of its own keys.

use std::{fmt, os::unix::fs::PermissionsExt as _, path::Path};

/// One thing that is unwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// Which key: `providers[1].retry.max_retries`.
    pub path: String,
    /// What is unwise about it, and what to do.
    pub message: String,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub struct Found(pub Vec<Advice>);

impl Found {
    /// `message` about the key `path`.
    pub fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Advice { path: path.into(), message: message.into() });
    }

    /// The same, where it is `unwise`.
    pub fn add_if(&mut self, unwise: bool, path: impl Into<String>, message: impl Into<String>) {
        if unwise {
            self.add(path, message);
        }
    }

    /// Advises against a secret that other users of the machine can read.
    pub fn rights(&mut self, path: impl Into<String>, file: &Path) {
        let open = std::fs::metadata(file).is_ok_and(|data| data.permissions().mode() & 0o004 != 0);
        let message = "every user of this machine can read the file; take that right away (chmod o-r, or defaultMode \
                       0440 of a Secret's volume)";
        self.add_if(open, path, message);
    }
}
