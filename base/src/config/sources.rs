//! Where a configuration comes from, and loading it: defaults < file < environment < flags.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Document,
    fault::{Fault, Faults, Place},
    format::{Format, loose},
    read, units,
    value::{Step, Value},
    variables::{self, Overlay},
};

/// Larger than any configuration: a file past it is the wrong file.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Where a configuration comes from. Holds secrets, and so shows nothing.
#[derive(Clone, Default)]
pub struct Sources {
    /// YAML, JSON or TOML, by its extension; YAML without one.
    pub file: Option<PathBuf>,
    /// The environment. Only `FUSEBOX_…` are keys; the others are for `api_key_env`.
    pub variables: BTreeMap<String, String>,
    /// Keys set on the command line, in order.
    pub flags: Vec<Setting>,
}

/// One key set on the command line.
#[derive(Clone)]
pub struct Setting {
    /// The flag: `--set`, `--listen-grpc`.
    pub flag: &'static str,
    /// `listen.grpc`, `providers[0].base_url` or `providers.0.base_url`.
    pub key: String,
    /// As a YAML scalar, list or map.
    pub value: String,
}

impl Sources {
    /// No file and no flags: the environment alone, and the file that it names.
    #[must_use]
    pub fn from_environment() -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let variables: BTreeMap<_, _> = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        let file = variables.get(variables::FILE).filter(|file| !file.is_empty()).map(PathBuf::from);
        Self { file, variables, flags: Vec::new() }
    }

    /// Adds one `--set KEY=VALUE`, as `typed`.
    pub fn set(&mut self, typed: &str) {
        let (key, value) = typed.split_once('=').unwrap_or((typed, ""));
        // Without `=` there is nothing to set: an empty key is refused when it is loaded, with an example.
        let key = if typed.contains('=') { key.trim() } else { "" };
        self.flags.push(Setting { flag: "--set", key: key.to_owned(), value: value.to_owned() });
    }

    /// Adds a flag that stands for one key, if it was typed.
    pub fn flag(&mut self, flag: &'static str, key: &str, typed: Option<&str>) {
        self.flags.extend(typed.map(|value| Setting { flag, key: key.to_owned(), value: value.to_owned() }));
    }
}

/// The configuration that `sources` make.
///
/// # Errors
///
/// Everything that is wrong with it, at once.
pub fn load<C: Document>(sources: &Sources) -> Result<C, Faults> {
    let mut faults = Vec::new();
    let mut tree = match &sources.file {
        Some(file) => parse_file(file)?,
        None => Value::empty(),
    };
    let mut overlays = variables::overlays(&sources.variables);
    for setting in &sources.flags {
        match overlay_of(setting, C::EXAMPLE) {
            Ok(overlay) => overlays.push(overlay),
            Err(fault) => faults.push(fault),
        }
    }
    for Overlay { path, value } in overlays {
        let place = value.place.clone();
        if let Err(message) = tree.overlay(&path, value) {
            faults.push(Fault { path: variables::show(&path), message, place });
        }
    }
    let (config, more) = read::<C>(&tree, &sources.variables);
    faults.extend(more);
    Faults::try_new(faults).map_or(Ok(config), Err)
}

fn overlay_of(setting: &Setting, example: &str) -> Result<Overlay, Fault> {
    let place = Place::Flag(setting.flag.into());
    let dotted = setting.key.replace('[', ".").replace(']', "");
    if dotted.is_empty() || dotted.split('.').any(str::is_empty) {
        let message = format!("write KEY=VALUE, such as {example}");
        return Err(Fault { path: String::new(), message, place });
    }
    Ok(Overlay { path: dotted.split('.').map(Step::of).collect(), value: loose(&setting.value, &place) })
}

fn parse_file(path: &Path) -> Result<Value, Fault> {
    let name: Arc<str> = path.to_string_lossy().into();
    let fault =
        |message: String| Fault { path: String::new(), message, place: Place::File { name: name.clone(), line: 0 } };
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    let format = Format::of(extension.as_deref())
        .ok_or_else(|| fault("is of no known format; name it .yaml, .yml, .json or .toml".to_owned()))?;
    let tree = format.parse(&read_file(path, MAX_FILE_BYTES).map_err(fault)?, &name)?;
    // A file of comments alone is a file in which nothing was typed.
    Ok(if tree.is_null() { Value::empty() } else { tree })
}

/// The file at `path`, open. Not a pipe: it could be read only once, and a configuration is read again and again.
///
/// # Errors
///
/// A clause that says why not.
pub(super) fn open_file(path: &Path) -> Result<File, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err("is not a file".to_owned());
    }
    File::open(path).map_err(cannot)
}

/// The text of the file at `path`, if it is text of `max_bytes` at most.
///
/// # Errors
///
/// A clause that says why not, without a word of it.
pub fn read_file(path: &Path, max_bytes: u64) -> Result<String, String> {
    let mut text = String::new();
    let length = open_file(path)?.take(max_bytes + 1).read_to_string(&mut text);
    let length = length.map_err(|error| format!("cannot be read: {error}"))?;
    if u64::try_from(length).unwrap_or(u64::MAX) > max_bytes {
        return Err(format!("is larger than {}", units::show_size(max_bytes)));
    }
    Ok(text)
}
