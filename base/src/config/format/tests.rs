use proptest::prelude::*;

use super::*;

fn yaml(text: &str) -> Result<Value, Fault> {
    Format::Yaml.parse(text, &"f".into())
}

fn toml(text: &str) -> Result<Value, Fault> {
    Format::Toml.parse(text, &"f".into())
}

fn line_of(value: &Value) -> u32 {
    let Place::File { line, .. } = value.place else { panic!("{value:?} is not of a file") };
    line
}

/// The same tree without its places.
fn bare(value: &Value) -> String {
    match &value.node {
        Node::List(items) => format!("[{}]", items.iter().map(bare).collect::<Vec<_>>().join(", ")),
        Node::Map(entries) => {
            let mut entries: Vec<_> = entries.iter().map(|(key, value)| format!("{key}: {}", bare(value))).collect();
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        node => format!("{node:?}"),
    }
}

#[test]
fn yaml_and_toml_that_say_the_same_are_the_same_tree() {
    let from_yaml = yaml("a: {b: 1, c: 2.5, d: text, e: true}\nl:\n  - n: x\n  - n: 0x10\n").unwrap();
    let from_toml = toml("[a]\nb = 1\nc = 2.5\nd = 'text'\ne = true\n[[l]]\nn = 'x'\n[[l]]\nn = 0x10\n").unwrap();
    assert_eq!(bare(&from_yaml), bare(&from_toml));
}

#[test]
fn each_value_knows_its_line() {
    for tree in [yaml("a:\n  b: 1\nl:\n  - n: 1\n  - n: 2\n"), toml("[a]\nb = 1\n[[l]]\nn = 1\n[[l]]\nn = 2\n")] {
        let tree = tree.unwrap();
        assert_eq!(line_of(tree.get("a").unwrap()), 1);
        assert_eq!(line_of(tree.get("a").unwrap().get("b").unwrap()), 2);
        let items = tree.get("l").unwrap().as_list().unwrap();
        assert_eq!(line_of(&items[1]), 5);
    }
}

#[test]
fn a_key_that_stands_twice_is_a_fault_with_its_line() {
    let fault = yaml("a: 1\nb: 2\na: 3\n").unwrap_err();
    assert_eq!(fault.place, Place::File { name: "f".into(), line: 3 });
    assert!(fault.message.starts_with("is not valid YAML: "), "{fault}");
    let fault = toml("a = 1\nb = 2\na = 3\n").unwrap_err();
    assert_eq!(fault.place, Place::File { name: "f".into(), line: 3 });
    assert!(fault.message.starts_with("is not valid TOML: "), "{fault}");
}

#[test]
fn anchors_and_merges_are_followed() {
    let tree = yaml("one: &t {x: 1, y: 2}\ntwo: *t\nthree:\n  <<: *t\n  y: 3\n").unwrap();
    assert_eq!(bare(tree.get("one").unwrap()), bare(tree.get("two").unwrap()));
    assert_eq!(bare(tree.get("three").unwrap()), "{x: Whole(1), y: Whole(3)}");
}

#[test]
fn words_are_words_and_only_true_and_false_are_flags() {
    let tree = yaml("[off, no, yes, true, \"1\", 1, ~, '']").unwrap();
    assert_eq!(
        bare(&tree),
        r#"[Text("off"), Text("no"), Text("yes"), Flag(true), Text("1"), Whole(1), Null, Text("")]"#
    );
}

#[test]
fn a_bomb_of_aliases_and_a_deep_nest_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
    }
    assert!(yaml(&bomb).is_err());
    assert!(yaml(&"[".repeat(100_000)).is_err());
    assert!(toml(&format!("a = {}", "[".repeat(100_000))).is_err());
}

#[test]
fn no_fault_of_syntax_quotes_the_text() {
    for text in [
        "api_key: hunter2: x\n",
        "api_key: *hunter2\n",
        "api_key: \"hunter2\n",
        "api_key: [hunter2\n",
        "api_key: !!int hunter2\n",
        "api_key: !!binary hunter2\n",
        "api_key: @hunter2\n",
        "<<: hunter2\n",
        "api_key: 'a\n---\nhunter2\n",
        "api_key: \"\\hunter2\"\n",
    ] {
        if let Err(fault) = yaml(text) {
            assert!(!fault.to_string().contains("hunter2"), "{text}: {fault}");
        }
    }
    for text in [
        "api_key = hunter2\n",
        "api_key = \"hunter2\n",
        "api_key = 1hunter2",
        "api_key hunter2",
        "api_key = \"\\hunter2\"",
    ] {
        let fault = toml(text).unwrap_err();
        assert!(!fault.to_string().contains("hunter2"), "{text}: {fault}");
    }
}

#[test]
fn a_variable_is_text_where_text_is_meant_and_a_number_where_a_number_is() {
    let read = |text| loose(text, &Place::Nowhere);
    assert_eq!((read("5").as_whole(), read("5").as_text()), (Some(5), Some("5")));
    assert_eq!(read("0123").as_text(), Some("0123"));
    assert_eq!(read("\"5\"").as_text(), Some("5"));
    assert_eq!(read("{original_prompt}").as_text(), Some("{original_prompt}"));
    assert_eq!(read("a: b: c").as_text(), Some("a: b: c"));
    assert_eq!(read("[1, 2]").as_list().map(<[Value]>::len), Some(2));
    assert_eq!(read("true").as_flag(), Some(true));
    for empty in ["", "null", "~"] {
        assert!(read(empty).is_null(), "{empty:?}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\PC|\n|\t){0,80}", shaped in "([a-c&*<>|!'\"#%@:,=0-9 \n\\[\\]{}-]){0,80}") {
        for text in [&text, &shaped] {
            let _ = (yaml(text), toml(text), loose(text, &Place::Nowhere));
        }
    }
}
