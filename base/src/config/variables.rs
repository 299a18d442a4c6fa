//! Environment variables as keys: `FUSEBOX_PROVIDERS__0__BASE_URL` is `providers[0].base_url`.

use std::collections::BTreeMap;

use super::{
    KeyDoc,
    fault::{Place, nearest},
    format::loose,
    value::{Step, Value},
};

/// What every variable of ours begins with.
const PREFIX: &str = "FUSEBOX_";
/// Names the file, as `--config` does; no key.
pub(super) const FILE: &str = "FUSEBOX_CONFIG";

/// Names a file to write the addresses to once they are served, for whoever started the program; no key.
pub const READY_FILE: &str = "FUSEBOX_READY_FILE";

/// A value that one variable or flag lays over the tree.
pub(super) struct Overlay {
    pub(super) path: Vec<Step>,
    pub(super) value: Value,
}

/// What the variables among `variables` that are keys lay over the tree, a list's items in the order of their numbers.
pub(super) fn overlays(variables: &BTreeMap<String, String>) -> Vec<Overlay> {
    let ours = variables.iter().filter_map(|(name, value)| {
        let key = name.strip_prefix(PREFIX).filter(|key| !key.is_empty())?;
        let skipped = name == FILE || name == READY_FILE || is_kubernetes_link(name);
        (!skipped).then(|| Overlay {
            path: key.to_ascii_lowercase().split("__").map(Step::of).collect(),
            value: loose(value, &Place::Variable(name.as_str().into())),
        })
    });
    let mut overlays: Vec<_> = ours.collect();
    overlays.sort_by(|one, other| one.path.cmp(&other.path));
    overlays
}

impl Step {
    /// A step as a variable or a flag names it: all digits is a list's item.
    pub(super) fn of(text: &str) -> Self {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            text.parse().map_or_else(|_| Self::Key(text.to_owned()), Self::Index)
        } else {
            Self::Key(text.to_owned())
        }
    }
}

/// `path` as a fault writes it: `providers[0].base_url`.
pub(super) fn show(path: &[Step]) -> String {
    let mut shown = String::new();
    for step in path {
        match step {
            Step::Index(index) => shown.push_str(&format!("[{index}]")),
            Step::Key(key) if shown.is_empty() => shown.push_str(&super::value::clip(key)),
            Step::Key(key) => shown.push_str(&format!(".{}", super::value::clip(key))),
        }
    }
    shown
}

/// The variable that `typed` was probably meant to be. Numbers of items are as typed.
pub(super) fn suggestion(typed: &str, keys: &[KeyDoc]) -> Option<String> {
    let is_number = |step: &str| !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
    let steps = typed.strip_prefix(PREFIX)?.split("__");
    let bare: Vec<_> = steps.clone().map(|step| if is_number(step) { "0" } else { step }).collect();
    let bare = format!("{PREFIX}{}", bare.join("__"));
    let known: Vec<_> = keys.iter().map(|key| name_of(&key.path)).collect();
    let found = nearest(&bare, known.iter().map(String::as_str)).filter(|found| *found != bare)?;
    // A whole name may differ by a third and mean something else altogether: be stricter than for one key.
    if strsim::osa_distance(found, &bare) > 3 {
        return None;
    }
    let mut numbers = steps.filter(|step| is_number(step));
    let found: Vec<_> =
        found.split("__").map(|step| if step == "0" { numbers.next().unwrap_or("0") } else { step }).collect();
    Some(format!("; did you mean `{}`?", found.join("__")))
}

/// The variable of the key at `path`, item 0 standing for any.
fn name_of(path: &str) -> String {
    format!("{PREFIX}{}", path.replace("[]", "__0").replace('.', "__").to_ascii_uppercase())
}

/// Whether Kubernetes made the variable for a Service whose name begins with `fusebox`: `FUSEBOX_SERVICE_HOST`,
/// `FUSEBOX_REDIS_SERVICE_PORT_GRPC`, `FUSEBOX_PORT`, `FUSEBOX_PORT_50051_TCP_ADDR`. They are in every pod of its
/// namespace, and no key of ours has such a name.
fn is_kubernetes_link(name: &str) -> bool {
    let link = |rest: &str| {
        let mut parts = rest.split('_');
        parts.next().is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
            && matches!(parts.next(), Some("TCP" | "UDP" | "SCTP"))
            && matches!((parts.next(), parts.next()), (None | Some("ADDR" | "PORT" | "PROTO"), None))
    };
    !name.contains("__")
        && (name.ends_with("_SERVICE_HOST")
            || name.ends_with("_SERVICE_PORT")
            || name.contains("_SERVICE_PORT_")
            || name.ends_with("_PORT")
            || name.match_indices("_PORT_").any(|(at, found)| link(&name[at + found.len()..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Vec<String> {
        let variables = names.iter().map(|name| ((*name).to_owned(), "1".to_owned())).collect();
        overlays(&variables).iter().map(|overlay| show(&overlay.path)).collect()
    }

    #[test]
    fn a_variable_is_the_key_of_its_name() {
        assert_eq!(of(&["FUSEBOX_LISTEN__GRPC", "PATH", "FUSEBOX_", "FUSEBOXES"]), ["listen.grpc"]);
        assert_eq!(of(&["FUSEBOX_PROVIDERS__0__BASE_URL"]), ["providers[0].base_url"]);
    }

    #[test]
    fn the_tenth_item_comes_after_the_ninth_and_a_whole_list_before_its_items() {
        let names = ["FUSEBOX_MODELS__10__NAME", "FUSEBOX_MODELS__9__NAME", "FUSEBOX_MODELS"];
        assert_eq!(of(&names), ["models", "models[9].name", "models[10].name"]);
    }

    #[test]
    fn what_kubernetes_sets_for_a_service_and_the_files_name_are_no_keys() {
        let names = [
            "FUSEBOX_CONFIG",
            "FUSEBOX_READY_FILE",
            "FUSEBOX_SERVICE_HOST",
            "FUSEBOX_REDIS_SERVICE_PORT",
            "FUSEBOX_CONTROL_PLANE_SERVICE_PORT_GRPC",
            "FUSEBOX_PORT",
            "FUSEBOX_PORT_50051_TCP",
            "FUSEBOX_PORT_50051_TCP_ADDR",
            "FUSEBOX_REDIS_PORT_6379_UDP_PROTO",
        ];
        assert_eq!(of(&names), [""; 0]);
        assert_eq!(of(&["FUSEBOX_PORT_50051_TCP_NONSENSE", "FUSEBOX_PORT_A_TCP"]).len(), 2);
    }

    #[test]
    fn a_misspelt_variable_is_told_the_right_one_with_its_own_numbers() {
        let key = |path: &str| KeyDoc { path: path.to_owned(), default: "null".to_owned(), doc: "what it is for" };
        let keys = [
            "listen.grpc",
            "listen.http",
            "providers[].base_url",
            "providers[].timeouts.total",
            "models[].providers[].model",
        ]
        .map(key);
        for (typed, right) in [
            ("FUSEBOX_LISTEN_GRPC", "FUSEBOX_LISTEN__GRPC"),
            ("FUSEBOX_PROVIDERS__3__BASEURL", "FUSEBOX_PROVIDERS__3__BASE_URL"),
            ("FUSEBOX_PROVIDERS__1__TIMEOUT__TOTAL", "FUSEBOX_PROVIDERS__1__TIMEOUTS__TOTAL"),
            ("FUSEBOX_MODELS__2__PROVIDERS__7__MODLE", "FUSEBOX_MODELS__2__PROVIDERS__7__MODEL"),
        ] {
            assert_eq!(suggestion(typed, &keys), Some(format!("; did you mean `{right}`?")));
        }
        assert_eq!(suggestion("FUSEBOX_ENTIRELY_OTHER", &keys), None);
    }
}
