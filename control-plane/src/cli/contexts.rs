//! The contexts file: where several fleets' control planes are, and how to call each.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use fusebox_base::config::{Secret, read_file};
use serde::{Deserialize, Deserializer};

use super::exit::{Exit, Failure};

/// A file past it is the wrong file, in bytes.
pub(crate) const MAX_BYTES: u64 = 1 << 20;

/// The bits of a file's mode by which others than its owner read it.
const OTHERS_READ: u32 = 0o044;

/// Looks a variable of the environment up; one that is empty counts as not set.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where a control plane is, and how to call it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Context {
    pub(crate) address: Option<String>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) server_name: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
    #[serde(deserialize_with = "secret")]
    pub(crate) token: Option<Secret>,
    /// The fleet that must answer there.
    pub(crate) fleet: Option<String>,
}

/// The file as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Contexts {
    path: Option<PathBuf>,
    text: String,
    pub(crate) current: Option<String>,
    pub(crate) all: BTreeMap<String, Context>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    current: Option<String>,
    contexts: BTreeMap<String, Context>,
}

impl Contexts {
    /// Reads the file that was named, or the one at its usual place if there is one.
    ///
    /// # Errors
    /// It cannot be read, is wrong, or holds a token and may be read by others.
    pub(crate) fn load(named: Option<&Path>, variables: Variables<'_>) -> Result<Self, Failure> {
        let Some(path) = named.map(Path::to_owned).or_else(|| usual(variables)) else { return Ok(Self::default()) };
        let text = match read_file(&path, MAX_BYTES) {
            Err(_) if named.is_none() && !path.exists() => String::new(),
            read => read.map_err(|fault| wrong(&path, &fault))?,
        };
        let mut contexts = Self::parse(&text).map_err(|fault| wrong(&path, &fault))?;
        if contexts.all.values().any(|context| context.token.is_some()) {
            let mode = fs::metadata(&path).map_or(0, |metadata| metadata.permissions().mode());
            if mode & OTHERS_READ != 0 {
                let fault = format!("holds a token and may be read by others (mode {:o})", mode & 0o777);
                let path = path.display();
                return Err(Failure::usage(format!("{path} {fault}")).advise(format!("chmod 600 {path}")));
            }
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        let home = variables("HOME").map(PathBuf::from);
        for context in contexts.all.values_mut() {
            for file in [&mut context.ca, &mut context.cert, &mut context.key, &mut context.token_file] {
                *file = file.take().map(|file| found(&file, folder, home.as_deref()));
            }
        }
        Ok(Self { path: Some(path), text, ..contexts })
    }

    /// What `text` says; empty text says nothing.
    fn parse(text: &str) -> Result<Self, String> {
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        let options = serde_saphyr::options! {
            strict_booleans: true,
            with_snippet: false,
            budget: serde_saphyr::budget! { max_depth: 8, max_nodes: 10_000 },
        };
        let written: Written = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())?;
        if let Some(current) = written.current.as_ref().filter(|current| !written.contexts.contains_key(*current)) {
            return Err(format!("current: there is no context {current}; {}", names(&written.contexts)));
        }
        Ok(Self { current: written.current, all: written.contexts, ..Self::default() })
    }

    /// The context of this name.
    ///
    /// # Errors
    /// There is none; those that there are, are named.
    pub(crate) fn named(&self, name: &str) -> Result<&Context, Failure> {
        self.all.get(name).ok_or_else(|| {
            let place = self.path.as_ref().map_or("no contexts file".to_owned(), |path| path.display().to_string());
            Failure::usage(format!("{place}: there is no context {name}; {}", names(&self.all)))
        })
    }

    /// Writes down that `name` is used from now on. All else in the file stays as it was written.
    ///
    /// # Errors
    /// There is no such context, or the file cannot be written.
    pub(crate) fn choose(&self, name: &str) -> Result<(), Failure> {
        self.named(name)?;
        let Some(path) = &self.path else { return Err(Failure::usage("there is no contexts file")) };
        let text = with_current(&self.text, name);
        let meant = Self::parse(&text).ok();
        if meant.and_then(|meant| meant.current).as_deref() != Some(name) {
            let fault = format!("`current` cannot be changed in it as it is written: write `current: {name}` into it");
            return Err(wrong(path, &fault));
        }
        replace(path, &text)
            .map_err(|error| Failure::new(Exit::Failed, format!("{} cannot be written: {error}", path.display())))
    }
}

/// `text` with its line that says which context is current replaced, or with one at its head.
fn with_current(text: &str, name: &str) -> String {
    let line = format!("current: {}", serde_json::Value::from(name));
    let mut lines: Vec<&str> = text.lines().collect();
    match lines.iter().position(|line| line.starts_with("current:")) {
        Some(at) => lines[at] = &line,
        None => {
            let head = lines.iter().take_while(|line| line.starts_with('#') || line.trim() == "---").count();
            lines.insert(head, &line);
        }
    }
    lines.join("\n") + "\n"
}

/// Puts `text` in the place of the file at `path`, whole or not at all, with the rights that it had.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A link stays a link to the file that is changed.
    let path = fs::canonicalize(path)?;
    let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
    let mut beside = path.clone().into_os_string();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, &path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    Option::<String>::deserialize(from).map(|text| text.map(Secret::new))
}

/// Where the file is if nobody says.
fn usual(variables: Variables<'_>) -> Option<PathBuf> {
    let folder = match variables("XDG_CONFIG_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute()) {
        Some(folder) => folder,
        None => PathBuf::from(variables("HOME")?).join(".config"),
    };
    Some(folder.join("fusebox/contexts.yaml"))
}

/// A file that the contexts file names: beside it, unless it says where.
fn found(file: &Path, folder: &Path, home: Option<&Path>) -> PathBuf {
    match (file.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => folder.join(file),
    }
}

fn names(contexts: &BTreeMap<String, Context>) -> String {
    if contexts.is_empty() {
        return "there are none".to_owned();
    }
    format!("there are {}", contexts.keys().cloned().collect::<Vec<_>>().join(", "))
}

fn wrong(path: &Path, fault: &str) -> Failure {
    Failure::usage(format!("{}: {fault}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "# ours\ncurrent: north\n\ncontexts:\n  north: { address: https://north:50052, fleet: north }\n  \
                       # the other\n  south:\n    address: south:50052\n    ca: ca.pem\n    token_file: ~/tokens/south\n";

    struct Home(tempfile::TempDir);

    impl Home {
        fn with(text: &str, mode: u32) -> Self {
            let home = Self(tempfile::tempdir().unwrap());
            fs::create_dir_all(home.file().parent().unwrap()).unwrap();
            fs::write(home.file(), text).unwrap();
            fs::set_permissions(home.file(), fs::Permissions::from_mode(mode)).unwrap();
            home
        }

        fn file(&self) -> PathBuf {
            self.0.path().join(".config/fusebox/contexts.yaml")
        }

        fn load(&self) -> Result<Contexts, Failure> {
            let home = self.0.path().to_str().unwrap().to_owned();
            Contexts::load(None, &|name| (name == "HOME").then(|| home.clone()))
        }
    }

    #[test]
    fn contexts_are_read_and_their_files_found() {
        let home = Home::with(TWO, 0o644);
        let contexts = home.load().unwrap();
        assert_eq!(contexts.current.as_deref(), Some("north"));
        assert_eq!(contexts.named("north").unwrap().fleet.as_deref(), Some("north"));
        let south = contexts.named("south").unwrap();
        assert_eq!(south.ca, Some(home.file().with_file_name("ca.pem")));
        assert_eq!(south.token_file, Some(home.0.path().join("tokens/south")));
        let fault = contexts.named("east").unwrap_err();
        assert!(fault.what().ends_with("there is no context east; there are north, south"), "{}", fault.what());
    }

    #[test]
    fn without_a_file_there_are_no_contexts_unless_it_was_named() {
        assert_eq!(Contexts::load(None, &|_| None), Ok(Contexts::default()));
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().to_str().unwrap().to_owned();
        let none = Contexts::load(None, &|name| (name == "XDG_CONFIG_HOME").then(|| elsewhere.clone())).unwrap();
        assert!(none.all.is_empty());
        let named = folder.path().join("mine.yaml");
        let fault = Contexts::load(Some(&named), &|_| None).unwrap_err();
        assert_eq!(fault.exit(), Exit::Usage);
        assert!(fault.what().contains("mine.yaml: cannot be read: "), "{}", fault.what());
    }

    #[test]
    fn a_file_with_a_token_is_its_owners_alone() {
        let text = "contexts: { north: { address: north:1, token: s3cret } }\n";
        for mode in [0o644, 0o640, 0o604] {
            let fault = Home::with(text, mode).load().unwrap_err();
            assert_eq!(fault.exit(), Exit::Usage);
            assert!(fault.text().contains("chmod 600 ") && !fault.text().contains("s3cret"), "{}", fault.text());
        }
        let contexts = Home::with(text, 0o600).load().unwrap();
        let token = contexts.named("north").unwrap().token.clone().unwrap();
        assert_eq!((token.reveal(), format!("{token:?}").as_str()), ("s3cret", "Secret(…)"));
    }

    #[test]
    fn what_is_wrong_in_the_file_is_said() {
        for (text, right) in [
            ("contexts: { a: { adress: x } }", "unknown field `adress`"),
            ("contexts: [a]", "contexts.yaml: "),
            ("current: b\ncontexts: { a: {} }", "current: there is no context b; there are a"),
            ("other: 1", "unknown field `other`"),
        ] {
            let fault = Home::with(text, 0o600).load().unwrap_err();
            assert!(fault.what().contains(right), "{text}: {}", fault.what());
        }
        assert!(Home::with("# nothing yet\n", 0o600).load().unwrap().all.is_empty());
    }

    #[test]
    fn choosing_one_changes_a_line_and_nothing_else() {
        let home = Home::with(TWO, 0o640);
        home.load().unwrap().choose("south").unwrap();
        assert_eq!(fs::read_to_string(home.file()).unwrap(), TWO.replace("current: north", "current: \"south\""));
        assert_eq!(fs::metadata(home.file()).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(home.load().unwrap().current.as_deref(), Some("south"));
        assert_eq!(fs::read_dir(home.file().parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");

        let home = Home::with("# mine\ncontexts:\n  a: {}\n", 0o600);
        home.load().unwrap().choose("a").unwrap();
        assert_eq!(fs::read_to_string(home.file()).unwrap(), "# mine\ncurrent: \"a\"\ncontexts:\n  a: {}\n");
        assert!(home.load().unwrap().choose("b").is_err());
    }

    #[test]
    fn a_file_that_is_written_otherwise_is_left_alone() {
        let text = "{ current: a, contexts: { a: {}, b: {} } }\n";
        let home = Home::with(text, 0o600);
        let fault = home.load().unwrap().choose("b").unwrap_err();
        assert!(fault.what().contains("write `current: b` into it"), "{}", fault.what());
        assert_eq!(fs::read_to_string(home.file()).unwrap(), text);
    }
}
