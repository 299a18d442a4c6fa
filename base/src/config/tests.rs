//! The framework under a small configuration of its own; what programs make of it is tested with their keys.

use super::*;

/// A configuration of notes.
#[derive(Debug, PartialEq)]
pub(super) struct Notes {
    pub(super) name: String,
    pub(super) keys: Vec<Option<(Secret, PathBuf)>>,
    pages: u32,
}

impl Document for Notes {
    const EXAMPLE: &'static str = "name=mine";
    const ASSUMED: &'static [(&'static str, &'static str)] = &[("paper", "{ pages: 7 }")];

    fn read(at: &mut Section<'_>) -> Self {
        Self {
            name: at.key("name", "what they are called").text("notes", a_name),
            keys: at
                .list("keys", "what opens them", "[]", |at| at.key("file", "where it stands").optional_secret_file())
                .unwrap_or_default(),
            pages: at.section("paper", |at| at.key("pages", "how many").count(1, 1..=100)),
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        self.keys.iter().flatten().map(|(_, file)| file.clone()).collect()
    }
}

fn typed(flags: &[&str]) -> Sources {
    let mut sources = Sources::default();
    flags.iter().for_each(|flag| sources.set(flag));
    sources
}

fn faults(flags: &[&str]) -> String {
    load::<Notes>(&typed(flags)).unwrap_err().to_string()
}

#[test]
fn what_is_assumed_gives_way_to_anything_typed_but_null() {
    for (flags, pages) in [(&[][..], 7), (&["paper="], 7), (&["paper.pages=3"], 3), (&["paper={}"], 1)] {
        assert_eq!(load::<Notes>(&typed(flags)).unwrap().pages, pages, "{flags:?}");
    }
    assert_eq!(default::<Notes>(), load(&Sources::default()).unwrap());
}

#[test]
fn an_unknown_key_is_told_of_near_ones_and_of_those_elsewhere_in_the_same_configuration() {
    assert_eq!(faults(&["nmae=x"]), "nmae: unknown key; did you mean `name`? (--set)");
    assert_eq!(faults(&["pages=3"]), "pages: unknown key; `paper.pages` is one (--set)");
    assert_eq!(faults(&["providers=3"]), "providers: unknown key; the keys here are name, keys, paper (--set)");
    let mut sources = typed(&[]);
    sources.variables.insert("FUSEBOX_PAPER_PAGES".to_owned(), "3".to_owned());
    let fault = load::<Notes>(&sources).unwrap_err().to_string();
    assert_eq!(fault, "paper_pages: unknown key; did you mean `FUSEBOX_PAPER__PAGES`? (FUSEBOX_PAPER_PAGES)");
}

#[test]
fn a_flag_that_sets_nothing_is_shown_an_example_of_this_configuration() {
    assert_eq!(faults(&["name"]), "write KEY=VALUE, such as name=mine (--set)");
}

#[test]
fn each_key_is_listed_with_its_default_and_its_word_of_explanation() {
    let table = table(&keys::<Notes>());
    assert_eq!(
        table,
        "| key | default | what it is |\n| --- | --- | --- |\n| `name` | notes | what they are called |\n\
         | `keys` | [] | what opens them |\n| `keys[].file` | null | where it stands |\n| `paper.pages` | 1 | how many |\n"
    );
}
