//! What was typed: a tree in which each value knows its place, and how later sources overlay earlier ones.

use super::fault::Place;

/// The deepest path that a variable or a flag may name; the deepest key has five steps.
const MAX_STEPS: usize = 8;
/// The longest list that a variable or a flag may grow.
pub(super) const MAX_ITEMS: usize = 1_000;

/// A value and where it was typed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    pub(super) node: Node,
    pub(super) place: Place,
}

/// A value without its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Null,
    Flag(bool),
    Whole(i128),
    Real(f64),
    Text(String),
    List(Vec<Value>),
    /// In the order typed; no key twice.
    Map(Vec<(String, Value)>),
    /// From a variable or a flag: the words as they stand where text is meant, else what they are in YAML.
    Loose {
        text: String,
        meant: Box<Node>,
    },
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Index(usize),
    Key(String),
}

impl Value {
    /// A map without keys, for sources to overlay.
    pub(crate) const fn empty() -> Self {
        Self { node: Node::Map(Vec::new()), place: Place::Nowhere }
    }

    /// The value without what a variable's or a flag's words were.
    fn meant(&self) -> &Node {
        match &self.node {
            Node::Loose { meant, .. } => meant,
            node => node,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.meant(), Node::Null)
    }

    pub(crate) fn as_flag(&self) -> Option<bool> {
        if let Node::Flag(flag) = self.meant() { Some(*flag) } else { None }
    }

    /// A number without a fraction, however it was written.
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
    pub(crate) fn as_whole(&self) -> Option<i128> {
        match self.meant() {
            Node::Whole(number) => Some(*number),
            Node::Real(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(*number as i128),
            _ => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate or a price that needs more than 53 bits is out of range")]
    pub(crate) fn as_number(&self) -> Option<f64> {
        match self.meant() {
            Node::Whole(number) => Some(*number as f64),
            Node::Real(number) if number.is_finite() => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.node {
            Node::Text(text) => Some(text),
            Node::Loose { text, meant } => match &**meant {
                Node::Text(quoted) if text.starts_with(['"', '\'']) => Some(quoted),
                _ => Some(text),
            },
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        if let Node::List(items) = self.meant() { Some(items) } else { None }
    }

    pub(crate) fn as_map(&self) -> Option<&[(String, Self)]> {
        if let Node::Map(entries) = self.meant() { Some(entries) } else { None }
    }

    /// The value of `key`, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The same as JSON. A whole number of more than 64 bits becomes one with a fraction, and what is no number null.
    #[expect(clippy::cast_precision_loss, reason = "beyond 64 bits there is nothing to be exact about")]
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self.meant() {
            Node::Null | Node::Loose { .. } => Json::Null,
            Node::Flag(flag) => Json::from(*flag),
            Node::Whole(number) => i64::try_from(*number)
                .map(Json::from)
                .or_else(|_| u64::try_from(*number).map(Json::from))
                .unwrap_or_else(|_| Json::from(*number as f64)),
            Node::Real(number) => Json::from(*number),
            Node::Text(text) => Json::from(text.as_str()),
            Node::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Node::Map(entries) => {
                Json::Object(entries.iter().map(|(key, value)| (key.clone(), value.to_json())).collect())
            }
        }
    }

    /// The value in a few words for a fault, shortened and without control characters.
    pub(crate) fn found(&self) -> String {
        match &self.node {
            Node::Null => "null".to_owned(),
            Node::Flag(flag) => flag.to_string(),
            Node::Whole(number) => number.to_string(),
            Node::Real(number) => number.to_string(),
            Node::List(_) => "a list".to_owned(),
            Node::Map(_) => "a map".to_owned(),
            Node::Text(text) | Node::Loose { text, .. } if text.is_empty() => "an empty text".to_owned(),
            Node::Text(text) | Node::Loose { text, .. } => clip(text),
        }
    }

    /// Puts `value` at `path`, making what is missing on the way.
    ///
    /// # Errors
    ///
    /// A sentence, if the path is too deep or leads past the end of a list.
    pub(super) fn overlay(&mut self, path: &[Step], value: Self) -> Result<(), String> {
        if path.len() > MAX_STEPS {
            return Err("no key is that deep".to_owned());
        }
        self.overlay_at(path, value)
    }

    fn overlay_at(&mut self, path: &[Step], value: Self) -> Result<(), String> {
        let Some((step, rest)) = path.split_first() else {
            *self = value;
            return Ok(());
        };
        if let Node::Loose { meant, .. } = &mut self.node {
            self.node = std::mem::replace(&mut **meant, Node::Null);
        }
        match step {
            Step::Index(index) => self.item(*index, &value.place)?.overlay_at(rest, value),
            Step::Key(key) => self.entry(key, &value.place)?.overlay_at(rest, value),
        }
    }

    fn item(&mut self, index: usize, place: &Place) -> Result<&mut Self, String> {
        if self.as_map().is_some_and(|entries| !entries.is_empty()) {
            return Err(format!("names item {index} of a map; write a key's name instead"));
        }
        let length = self.as_list().map_or(0, <[Self]>::len);
        let past =
            format!("names item {index} of a list of {length}; items count from 0, and the next one is {length}");
        if length == 0 && index == 0 {
            *self = Self { node: Node::List(Vec::new()), place: place.clone() };
        }
        let Node::List(items) = &mut self.node else { return Err(past) };
        if index == length && length < MAX_ITEMS {
            items.push(Self { node: Node::Null, place: place.clone() });
        }
        items.get_mut(index).ok_or(past)
    }

    fn entry(&mut self, key: &str, place: &Place) -> Result<&mut Self, String> {
        if let Node::List(items) = &self.node {
            let length = items.len();
            return Err(format!(
                "names `{key}` of a list of {length}; write an item's number instead, counting from 0"
            ));
        }
        if !matches!(self.node, Node::Map(_)) {
            *self = Self { node: Node::Map(Vec::new()), place: place.clone() };
        }
        let Node::Map(entries) = &mut self.node else { return Err("is not a map".to_owned()) };
        let at = entries.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
            entries.push((key.to_owned(), Self { node: Node::Null, place: place.clone() }));
            entries.len() - 1
        });
        Ok(&mut entries[at].1)
    }
}

/// `text` cut to a line that fits a fault, its control characters shown as `?`. What follows the word `api_key` is left
/// out, and what follows a colon after another word for a secret: `api_key:secret`, without a space, is a text of its own
/// in YAML.
#[must_use]
pub fn clip(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    const KEY: &str = "api_key";
    const SECRETS: [&str; 5] = ["key:", "password:", "secret:", "token:", "url:"];
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let after_key = text.find(KEY).and_then(|at| Some(at + text.get(at..)?.find(|c| !is_name(c))?));
    let after_another = SECRETS.iter().filter_map(|word| Some(text.find(word)? + word.len() - 1));
    let end = after_another.chain(after_key).min().unwrap_or(text.len());
    let shown = text.get(..end).unwrap_or_default();
    let mut clipped: String = shown.chars().take(MAX_CHARS).map(|c| if c.is_control() { '?' } else { c }).collect();
    if end < text.len() || shown.chars().nth(MAX_CHARS).is_some() {
        clipped.push('…');
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(number: i128) -> Value {
        Value { node: Node::Whole(number), place: Place::Flag("--set".into()) }
    }

    fn key(name: &str) -> Step {
        Step::Key(name.to_owned())
    }

    #[test]
    fn an_overlay_changes_one_leaf_and_leaves_the_rest() {
        let mut tree = Value::empty();
        tree.overlay(&[key("a"), Step::Index(0), key("x")], whole(1)).unwrap();
        tree.overlay(&[key("a"), Step::Index(0), key("y")], whole(2)).unwrap();
        tree.overlay(&[key("a"), Step::Index(1), key("x")], whole(3)).unwrap();
        tree.overlay(&[key("a"), Step::Index(0), key("x")], whole(4)).unwrap();
        let items = tree.get("a").unwrap().as_list().unwrap();
        assert_eq!(items[0].get("x"), Some(&whole(4)));
        assert_eq!(items[0].get("y"), Some(&whole(2)));
        assert_eq!(items[1].get("x"), Some(&whole(3)));
    }

    #[test]
    fn an_overlay_past_the_end_or_into_a_list_by_name_is_a_fault() {
        let mut tree = Value::empty();
        tree.overlay(&[key("a"), Step::Index(0)], whole(1)).unwrap();
        let fault = tree.overlay(&[key("a"), Step::Index(5)], whole(1)).unwrap_err();
        assert_eq!(fault, "names item 5 of a list of 1; items count from 0, and the next one is 1");
        assert!(tree.overlay(&[key("a"), key("b")], whole(1)).unwrap_err().contains("of a list of 1"));
        tree.overlay(&[key("m"), key("x")], whole(1)).unwrap();
        assert!(tree.overlay(&[key("m"), Step::Index(0)], whole(1)).unwrap_err().contains("of a map"));
        assert!(tree.overlay(&vec![key("a"); 100], whole(1)).is_err());
    }

    #[test]
    fn a_tree_is_the_json_that_was_typed() {
        let typed = "{a: [1, -2, 1.5, 'x', true, null], b: {c: 18446744073709551615}}";
        let tree = super::super::loose(typed, &Place::Nowhere);
        let right = serde_json::json!({"a": [1, -2, 1.5, "x", true, null], "b": {"c": u64::MAX}});
        assert_eq!(tree.to_json(), right);
        assert_eq!(whole(i128::MAX).to_json(), serde_json::json!(i128::MAX as f64));
    }

    #[test]
    fn what_is_found_is_short_and_clean() {
        let text = |text: &str| Value { node: Node::Text(text.to_owned()), place: Place::Nowhere };
        assert_eq!(text("a\nb\u{1b}").found(), "a?b?");
        assert_eq!(text(&"é".repeat(200)).found().chars().count(), 61);
        assert_eq!(text("").found(), "an empty text");
        assert_eq!(text("a api_key:hunter2").found(), "a api_key…");
        assert_eq!(text("api_key_fiel").found(), "api_key_fiel");
        assert_eq!(text("user: a password:hunter2").found(), "user: a password…");
        assert_eq!(text("/run/secrets/token").found(), "/run/secrets/token");
    }
}
