//! What a pod's annotations ask for: each read into what it means, with every fault at once.

use fusebox_base::config::{clip, did_you_mean};

use super::{PREFIX, quantity::Quantity, values};

/// Every annotation of ours, as people write it, without what all begin with.
pub(super) const KNOWN: [&str; 14] = [
    "inject",
    "config",
    "config-map",
    "secret",
    "tokens-secret",
    "image",
    "cpu-request",
    "cpu-limit",
    "memory-request",
    "memory-limit",
    "log",
    "upstream",
    "app-env",
    INJECTED,
];

/// Written back: by which template a pod was injected.
pub(super) const INJECTED: &str = "injected";
/// Holds the sidecar's configuration.
pub(super) const CONFIG: &str = "config";

/// What a pod asks for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Wishes {
    pub(super) config: Source,
    /// The Secret whose keys become variables.
    pub(super) secret: Option<String>,
    /// The Secret with the tokens of callers.
    pub(super) tokens_secret: Option<String>,
    pub(super) image: Option<String>,
    pub(super) resources: Vec<Resource>,
    pub(super) log: Option<String>,
    /// The base URL of the pod's own inference server.
    pub(super) upstream: Option<String>,
    /// Whether the application's containers are left without variables of ours.
    pub(super) bare_app: bool,
}

/// Where the sidecar's configuration is.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Source {
    /// In the template.
    #[default]
    Template,
    /// In the pod's own annotation.
    Own {
        /// Whether it names a provider.
        has_provider: bool,
    },
    /// In this ConfigMap.
    ConfigMap(String),
}

/// An amount that a pod asks for.
#[derive(Debug, PartialEq)]
pub(super) struct Resource {
    /// `requests` or `limits`.
    pub(super) group: &'static str,
    /// `cpu` or `memory`.
    pub(super) name: &'static str,
    /// As it was written.
    pub(super) text: String,
    pub(super) amount: Quantity,
}

/// Whether a pod asks to be injected or not to be; `None`: it leaves that to its namespace.
///
/// # Errors
/// What is wrong with the annotation.
pub(super) fn wanted<'a>(mut notes: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Option<bool>, String> {
    let inject = notes.find(|(key, _)| key.strip_prefix(PREFIX) == Some("inject"));
    inject.map(|(_, value)| values::yes_or_no(value).map_err(|fault| faulted("inject", value, &fault))).transpose()
}

/// Unknown annotations that are told of: who has more has read enough.
const MAX_UNKNOWN: usize = 20;
/// No name that is near one of ours is longer.
const MAX_NEAR: usize = 40;

/// What is said of annotations of ours that there are not.
pub(super) fn unknown<'a>(notes: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let ours = notes.filter_map(|(key, _)| key.strip_prefix(PREFIX));
    let unknown = ours.filter(|name| !KNOWN.contains(name));
    let said = |name: &str| {
        // What is written back is nothing to be written.
        let written = KNOWN.into_iter().filter(|known| *known != INJECTED && name.len() <= MAX_NEAR);
        let near = did_you_mean(name, written);
        format!("fusebox: there is no annotation {PREFIX}{}{near}", clip(name))
    };
    unknown.take(MAX_UNKNOWN).map(said).collect()
}

impl Wishes {
    /// What the annotations ask for.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub(super) fn read<'a>(notes: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, Vec<String>> {
        let (mut wishes, mut faults) = (Self::default(), Vec::new());
        let ours = notes.filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value)));
        for (name, value) in ours {
            if let Err(fault) = wishes.take(name, value) {
                faults.push(faulted(name, value, &fault));
            }
        }
        if faults.is_empty() { Ok(wishes) } else { Err(faults) }
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            CONFIG => {
                let providers = values::config(value)?.get("providers").cloned();
                let has_provider = providers.is_some_and(|list| list.as_array().is_some_and(|list| !list.is_empty()));
                self.from(Source::Own { has_provider })?;
            }
            "config-map" => self.from(Source::ConfigMap(values::name(value)?))?,
            "secret" => self.secret = Some(values::name(value)?),
            "tokens-secret" => self.tokens_secret = Some(values::name(value)?),
            "image" => self.image = Some(values::image(value)?),
            "cpu-request" => self.amount("requests", "cpu", value, values::cpu(value)?),
            "cpu-limit" => self.amount("limits", "cpu", value, values::cpu(value)?),
            "memory-request" => self.amount("requests", "memory", value, values::memory(value)?),
            "memory-limit" => self.amount("limits", "memory", value, values::memory(value)?),
            "log" => self.log = Some(values::log(value)?),
            "upstream" => self.upstream = Some(values::upstream(value)?),
            "app-env" => self.bare_app = !values::yes_or_no(value)?,
            // Whether it is wanted was asked before, and what there is not was told of.
            _ => {}
        }
        Ok(())
    }

    fn from(&mut self, source: Source) -> Result<(), String> {
        if self.config != Source::Template {
            return Err(format!("stands beside another: name either {PREFIX}config or {PREFIX}config-map"));
        }
        self.config = source;
        Ok(())
    }

    fn amount(&mut self, group: &'static str, name: &'static str, text: &str, amount: Quantity) {
        self.resources.push(Resource { group, name, text: text.to_owned(), amount });
    }
}

/// A fault with its annotation and value; of a configuration, nothing is quoted.
fn faulted(name: &str, value: &str, fault: &str) -> String {
    if name == CONFIG {
        format!("{PREFIX}{name} {fault}")
    } else {
        format!("{PREFIX}{name}: \"{}\" {fault}", clip(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(notes: &[(&str, &str)]) -> Result<Wishes, Vec<String>> {
        let notes: Vec<_> = notes.iter().map(|(name, value)| (format!("{PREFIX}{name}"), *value)).collect();
        Wishes::read(notes.iter().map(|(name, value)| (name.as_str(), *value)).chain([("other.example/log", "?")]))
    }

    #[test]
    fn each_annotation_is_read_into_what_it_means() {
        let all = [
            ("config-map", "mine"),
            ("secret", "keys"),
            ("tokens-secret", "tokens"),
            ("image", "fusebox:2"),
            ("cpu-limit", "2"),
            ("memory-request", "1Gi"),
            ("log", "debug"),
            ("upstream", "8000"),
            ("app-env", "false"),
        ];
        let amount = |text| Quantity::read(text).unwrap();
        let right = Wishes {
            config: Source::ConfigMap("mine".to_owned()),
            secret: Some("keys".to_owned()),
            tokens_secret: Some("tokens".to_owned()),
            image: Some("fusebox:2".to_owned()),
            resources: vec![
                Resource { group: "limits", name: "cpu", text: "2".to_owned(), amount: amount("2") },
                Resource { group: "requests", name: "memory", text: "1Gi".to_owned(), amount: amount("1Gi") },
            ],
            log: Some("debug".to_owned()),
            upstream: Some("http://127.0.0.1:8000/v1".to_owned()),
            bare_app: true,
        };
        assert_eq!(read(&all).unwrap(), right);
        assert_eq!(read(&[("inject", "true"), ("injected", "0123"), ("app-env", "true")]).unwrap(), Wishes::default());
        let has_provider =
            |yaml| matches!(read(&[("config", yaml)]).unwrap().config, Source::Own { has_provider: true });
        assert!(has_provider("providers: [{name: a}]") && !has_provider("providers: []") && !has_provider("a: 1"));
    }

    #[test]
    fn every_fault_is_named_at_once_with_its_annotation_its_value_and_what_is_allowed() {
        let wrong = [
            ("cpu-limit", "two"),
            ("image", "a b"),
            ("app-env", "no"),
            ("secret", "My_Keys"),
            ("config", "hunter2: ["),
        ];
        let faults = read(&wrong).unwrap_err();
        assert_eq!(
            faults[..3],
            [
                "fusebox.dev/cpu-limit: \"two\" is not an amount of processor; write one from 1m on, such as 500m or 2",
                "fusebox.dev/image: \"a b\" is not a reference to an image; write one such as registry.example/fusebox-sidecar:1.2.3",
                "fusebox.dev/app-env: \"no\" is neither true nor false; write \"true\" or \"false\"",
            ]
        );
        assert!(faults[3].starts_with("fusebox.dev/secret: \"My_Keys\" is not the name of an object; names have"));
        assert!(faults[4].starts_with("fusebox.dev/config is not valid YAML: line ") && !faults[4].contains("hunter2"));
        let both = read(&[("config", "{}"), ("config-map", "a")]).unwrap_err();
        assert_eq!(
            both,
            [
                "fusebox.dev/config-map: \"a\" stands beside another: name either fusebox.dev/config or fusebox.dev/config-map"
            ]
        );
    }

    #[test]
    fn what_is_near_an_annotation_is_told_the_right_one() {
        let said = unknown(
            [
                ("fusebox.dev/cpu-limits", "1"),
                ("fusebox.dev/injection", "enabled"),
                ("fusebox.dev/zzz", ""),
                ("other/x", ""),
                ("fusebox.dev/log", ""),
            ]
            .into_iter(),
        );
        assert_eq!(
            said,
            [
                "fusebox: there is no annotation fusebox.dev/cpu-limits; did you mean `cpu-limit`?",
                "fusebox: there is no annotation fusebox.dev/injection; did you mean `inject`?",
                "fusebox: there is no annotation fusebox.dev/zzz"
            ]
        );
    }

    #[test]
    fn whether_it_is_wanted_is_yes_no_or_left_open() {
        let wanted = |value| wanted([("fusebox.dev/inject", value)].into_iter());
        assert_eq!((wanted("true"), wanted("false")), (Ok(Some(true)), Ok(Some(false))));
        assert_eq!(super::wanted([("a", "b")].into_iter()), Ok(None));
        assert!(wanted("yes").unwrap_err().starts_with("fusebox.dev/inject: \"yes\" is neither true nor false"));
    }
}
