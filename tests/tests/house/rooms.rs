//! Who knows whom inside the sidecar: the table, and the sources held against it.
//!
//! Tests of a room may know more than the room does; they are not read here. `main` wires, and so knows all.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::{files, root};

/// A room, what it knows, and why each.
type Row = (&'static str, &'static [(&'static str, &'static str)]);

/// Rooms by what they know. A row that is no longer needed is struck out: the table must be true, not only kept.
const TABLE: &[Row] = &[
    ("cache", &[("digest", "by which answers are found"), ("rules", "moments, and so ages")]),
    (
        "call",
        &[
            ("base", "the trace context that a call brings"),
            ("cache", "where answers are remembered"),
            ("chat", "what is asked and what is answered"),
            ("clock", "when a deadline falls and a wait ends"),
            ("config", "the plan is made from it"),
            ("digest", "what stands for a question, a key or a token"),
            ("error", "every way ends with one or without"),
            ("fleet", "what other sidecars know: what runs have spent, whose a call is, what was answered"),
            ("gate", "who may be asked"),
            ("proto", "an answer as other sidecars find it"),
            ("provider", "who is asked"),
            ("rules", "what is decided"),
            ("telemetry", "each step is told once"),
            ("validate", "what an answer is held to"),
        ],
    ),
    (
        "chat",
        &[
            ("error", "what is wrong with a request, field by field"),
            ("rules", "tokens and tool calls are counted in its words, and a broken answer is joined to its rest"),
        ],
    ),
    (
        "cli",
        &[
            ("base", "the table of keys"),
            ("chat", "`call` reads the events of an answer"),
            ("config", "`check` judges it, the others find the doors in it"),
        ],
    ),
    ("config", &[("base", "how what was typed is read and watched"), ("rules", "each rule says what configures it")]),
    (
        "doors",
        &[
            ("base", "the type of a page of metrics"),
            ("call", "what a door translates to"),
            ("chat", "the documents that it translates"),
            ("clock", "when a call began"),
            ("config", "the limits of a caller's request, and the cache's modes that a caller may name"),
            ("error", "told in each door's words"),
            ("proto", "the wire types of gRPC"),
            ("provider", "its `Gathered`, the one reader of bodies in pieces"),
            ("rules", "moments, and what checks come to"),
            ("telemetry", "refusals, and the page of metrics"),
        ],
    ),
    ("digest", &[]),
    ("error", &[("rules", "the kinds and their table are theirs")]),
    (
        "fleet",
        &[
            ("clock", "when a run was last heard of, and what the store's time is here"),
            ("config", "which fleet it is and its secret, and how a provider's breaker is set"),
            ("digest", "names under the secret are written as its digests are"),
            ("gate", "where what is heard is laid, for calls to find"),
            ("proto", "the heartbeat"),
            ("rules", "what is shared, and what it means"),
            ("store", "where it is shared"),
            ("telemetry", "whether the store answers; what is counted for the fleet"),
        ],
    ),
    (
        "gate",
        &[
            ("clock", "what is now, for the rules"),
            ("config", "how its provider is to be treated"),
            ("rules", "the breaker, the shares of what is allowed, and the budget of retries"),
        ],
    ),
    (
        "health",
        &[
            ("call", "a probe asks as a call does, of the same upstream"),
            ("chat", "what a probe asks"),
            ("clock", "when to probe and when to read"),
            ("config", "what to look at and what of the load counts, and how often"),
            ("error", "what a probe finds"),
            ("gate", "leases probes, hears what they find, and closes the windows of its limits"),
            ("provider", "whom a probe asks, and the page on which a server tells of its queue"),
            ("rules", "probes, moments, what a finding and what a load means"),
            ("telemetry", "the load is told of as it is read, and a critical finding at once"),
        ],
    ),
    (
        "life",
        &[
            ("base", "the log, the listeners and their certificate"),
            ("call", "the engine that is started and drained"),
            ("clock", "how long ago the configuration was loaded"),
            ("config", "loaded at the start, and anew"),
            ("doors", "opened and closed"),
            ("fleet", "joined, left, and obeyed"),
            ("gate", "taken over by the next generation, with the bells it rings"),
            ("health", "its probes and checks are started"),
            ("proto", "the sidecar's picture of itself"),
            ("rules", "what a breaker begins with"),
            ("telemetry", "set up first, flushed last"),
        ],
    ),
    (
        "provider",
        &[
            ("call", "the trace context that is sent on"),
            ("chat", "what is translated to and from"),
            ("clock", "when the bytes of a stream come"),
            ("config", "the provider's address, key and timeouts"),
            ("error", "what an attempt ends with"),
            ("rules", "the classification of failures, and what answers say is left of limits"),
        ],
    ),
    (
        "telemetry",
        &[
            ("base", "where spans go, and how a page of metrics is written"),
            ("call", "its outcome is what is recorded"),
            ("chat", "operations, finishes and usage are labels"),
            ("clock", "how long things took"),
            ("config", "names, which become labels"),
            ("error", "kinds, which become labels"),
            ("rules", "moments, the breaker's states, units of limits, and the ladder's steps"),
        ],
    ),
    (
        "validate",
        &[("chat", "what is asked and what is answered"), ("error", "what is wrong with the one or the other")],
    ),
];

#[test]
fn each_room_knows_whom_the_table_says_and_nobody_else() {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let sources = root().join("sidecar/src");
    for path in files(&sources, "rs") {
        let place = path.strip_prefix(&sources).unwrap();
        let room = room_of(place);
        if matches!(room.as_str(), "main" | "lib") || is_of_tests(place) {
            continue;
        }
        let text = code(&fs::read_to_string(&path).unwrap());
        assert!(!climbs_out(&text, place), "{} leaves its room by `super`: write `crate::`", place.display());
        let known = known_to(&text).into_iter().filter(|known| *known != room);
        found.entry(room.clone()).or_default().extend(known);
    }
    let table = TABLE.iter().map(|(room, known)| {
        ((*room).to_owned(), known.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>())
    });
    let table: BTreeMap<_, _> = table.collect();
    for (room, known) in &found {
        let allowed = table.get(room).unwrap_or_else(|| panic!("the table has no row for {room}"));
        let unheard: Vec<_> = known.difference(allowed).collect();
        assert!(unheard.is_empty(), "`{room}` must not know {unheard:?}; or the table must say why it does");
        let unneeded: Vec<_> = allowed.difference(known).collect();
        assert!(unneeded.is_empty(), "`{room}` no longer needs {unneeded:?}: strike it out");
    }
    let gone: Vec<_> = table.keys().filter(|room| !found.contains_key(*room)).collect();
    assert!(gone.is_empty(), "there is no room {gone:?}");
}

#[test]
fn the_rules_name_no_clock_no_dice_and_nothing_that_waits() {
    for path in files(&root().join("sidecar/rules/src"), "rs") {
        let text = code(&fs::read_to_string(&path).unwrap());
        for word in ["Instant", "SystemTime", "async", "await", "rand", "fastrand", "tokio", "std::thread", "std::fs"] {
            assert!(!has_word(&text, word), "{} names {word}", path.display());
        }
    }
}

#[test]
fn the_reader_of_sources_sees_every_way_of_naming_a_room() {
    let text = code(
        "use crate::{call::{self, Call}, chat::{a::{b, c}}, r#config, error};
        // crate::gate in a comment
        fn f() -> crate::health::Probe { fusebox_rules::moment::Moment::ZERO }
        use super::super::serve;
        #[cfg(test)]\nmod tests { use crate::telemetry; }",
    );
    let known: Vec<String> = known_to(&text).into_iter().collect();
    assert_eq!(known, ["call", "chat", "config", "error", "health", "rules"]);
    assert!(climbs_out(&text, Path::new("gate/mod.rs")) && climbs_out(&text, Path::new("gate/inner.rs")));
    assert!(!climbs_out(&text, Path::new("gate/inner/deep.rs")));
    assert!(is_of_tests(Path::new("a/tests.rs")) && is_of_tests(Path::new("a/tests/b.rs")));
    assert!(has_word("let x = Instant::now()", "Instant") && !has_word("let instants = 1", "instant"));
}

fn room_of(place: &Path) -> String {
    let first = place.components().next().expect("a file has a name");
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

fn is_of_tests(place: &Path) -> bool {
    let mut names = place.iter().filter_map(|name| name.to_str());
    names.any(|name| matches!(name, "tests" | "tests.rs" | "fixture.rs"))
}

/// A file without its comments and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The rooms and workspace crates that `code` names.
fn known_to(code: &str) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        match code[at + "crate::".len()..].strip_prefix('{') {
            Some(group) => known.extend(heads(group)),
            None => known.extend(head(&code[at + "crate::".len()..])),
        }
    }
    let crates =
        ["base", "rules", "proto", "store"].into_iter().filter(|name| code.contains(&format!("fusebox_{name}::")));
    known.extend(crates.map(str::to_owned));
    known
}

/// The first step of each path of a `use` group, whose opening brace has been read.
fn heads(group: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut heads: Vec<String> = head(group).into_iter().collect();
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.extend(head(&group[at + 1..])),
            _ => {}
        }
    }
    heads
}

fn head(path: &str) -> Option<String> {
    let path = path.trim_start();
    let path = path.strip_prefix("r#").unwrap_or(path);
    let end = path.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(path.len());
    (end > 0).then(|| path[..end].to_owned())
}

/// Whether a chain of `super` in the file at `place` is long enough to reach the crate's root.
fn climbs_out(code: &str, place: &Path) -> bool {
    let steps = place.iter().count() - usize::from(place.ends_with("mod.rs"));
    code.contains(&"super::".repeat(steps))
}

/// Whether `word` stands in `code` by itself.
fn has_word(code: &str, word: &str) -> bool {
    let of_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(of_name) && !code[at + word.len()..].starts_with(of_name))
}
