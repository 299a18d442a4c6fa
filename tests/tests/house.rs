//! The rules of the house: who knows whom, what is written down about the sidecar, and what no file may hold.

mod rooms;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use fusebox_tests::{
    control_plane::{ControlPlane, Demonstration},
    operator::Fusebox,
    sidecar::Sidecar,
};
use http::Method;
use serde_json::Value;

/// Each crate of the workspace, and which others it may know.
const CRATES: &[(&str, &[&str])] = &[
    ("fusebox-proto", &[]),
    ("fusebox-rules", &[]),
    ("fusebox-base", &["fusebox-rules"]),
    ("fusebox-store", &["fusebox-proto", "fusebox-rules"]),
    ("fusebox-sidecar", &["fusebox-base", "fusebox-proto", "fusebox-rules", "fusebox-store"]),
    // Its tests stand on those of the whole.
    ("fusebox-control-plane", &["fusebox-base", "fusebox-proto", "fusebox-rules", "fusebox-store", "fusebox-tests"]),
    ("fusebox-tests", &["fusebox-proto", "fusebox-rules", "fusebox-store"]),
    ("fusebox-bench", &["fusebox-proto", "fusebox-rules", "fusebox-store"]),
    ("fusebox-fleet-sim", &["fusebox-proto", "fusebox-rules", "fusebox-store"]),
];

/// The commands of the README that a test below tries, but for `curl`, whose body is the README's own.
const COMMANDS: [&str; 10] = [
    "cargo run -p fusebox-sidecar",
    "curl -N http://127.0.0.1:8080/v1/chat/completions -d ",
    "cargo run -p fusebox-sidecar -- --config docs/trouble.yaml",
    "curl -i http://127.0.0.1:8080/v1/chat/completions -d ",
    "curl -i http://127.0.0.1:8080/v1/chat/completions -d ",
    "curl -i http://127.0.0.1:8080/v1/chat/completions -d ",
    "cargo run -p fusebox-sidecar -- check --config docs/example.yaml",
    "demo/run",
    "target/debug/fusebox provider disable vllm --reason \"a drill\"",
    "tests/run",
];

/// The program after `cargo run -p fusebox-sidecar`, on ports that are free.
const FREE_PORTS: [&str; 6] =
    ["--listen-grpc", "127.0.0.1:0", "--listen-http", "127.0.0.1:0", "--listen-admin", "127.0.0.1:0"];

#[test]
fn each_crate_knows_whom_the_table_says() {
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let row = CRATES.iter().find(|(of, _)| *of == name);
        let (_, allowed) = row.unwrap_or_else(|| panic!("the table has no row for {name}"));
        for dependency in package["dependencies"].as_array().unwrap().iter().filter(|one| one["path"].is_string()) {
            let other = dependency["name"].as_str().unwrap();
            assert!(allowed.contains(&other), "{name} must not know {other}");
        }
    }
}

#[test]
fn the_rules_depend_on_nothing() {
    let packages = packages();
    let rules = packages.iter().find(|package| package["name"] == "fusebox-rules").expect("the rules are a crate");
    let dependencies = rules["dependencies"].as_array().unwrap().iter();
    let beyond_tests: Vec<_> = dependencies.filter(|one| one["kind"] != "dev").map(|one| &one["name"]).collect();
    assert!(beyond_tests.is_empty(), "{beyond_tests:?}");
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace_which_forbid_what_is_not_safe() {
    let workspace = read("Cargo.toml");
    assert!(workspace.contains("unsafe_code = \"forbid\""));
    for package in packages() {
        let manifest = package["manifest_path"].as_str().unwrap();
        assert!(fs::read_to_string(manifest).unwrap().contains("[lints]\nworkspace = true"), "{manifest}");
    }
}

#[test]
fn no_file_holds_what_is_unsafe_or_unfinished() {
    // Put together here, so that this file does not hold them.
    let unfinished = [concat!("to", "do!"), concat!("TO", "DO"), concat!("FIX", "ME"), concat!("db", "g!")];
    let unsafe_word = concat!("un", "safe");
    let of_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    for path in committed() {
        // What is not text is a picture or the like.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for word in unfinished {
            assert!(!text.contains(word), "{} holds {word}", path.display());
        }
        if path.extension().is_some_and(|extension| extension == "rs") {
            let word = text.split(|letter| !of_name(letter)).find(|word| *word == unsafe_word);
            assert_eq!(word, None, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn the_commands_of_the_readme_do_what_it_says() {
    let commands = commands(&read("README.md"));
    assert_eq!(commands.len(), COMMANDS.len(), "each of {commands:#?} is tried here");
    for (command, tried) in commands.iter().zip(COMMANDS) {
        let same = if tried.starts_with("curl") { command.starts_with(tried) } else { command == tried };
        assert!(same, "the README says {command}, and {tried} is tried");
    }
    let body = body_of(&commands[1], COMMANDS[1]);

    let sidecar = Sidecar::start_bare(&FREE_PORTS).await;
    let request = sidecar.http().request(Method::POST, "/v1/chat/completions", body);
    // As curl sends what it is given with -d.
    let mut answer = request.header("content-type", "application/x-www-form-urlencoded").open().await;
    assert_eq!(answer.status, 200);
    let events = answer.rest().await;
    let (last, words) = events.split_last().expect("events");
    assert!(last.is_done() && !answer.broken, "{events:#?}");
    assert!(!words.iter().all(|event| event.text().is_empty()), "{events:#?}");

    let admin = sidecar.admin().address().to_string();
    let status = Sidecar::run_bare(&["status", "--admin", &admin], &[], &root()).await;
    assert!(status.status.success() && said(&status).contains("simulated"), "{}", said(&status));

    let executable = |path: &str| fs::metadata(root().join(path)).unwrap().permissions().mode() & 0o111 == 0o111;
    for script in ["demo/run", "tests/run", "tests/bench/run", "tests/fleet/run", "tests/fuzz/run", "tests/soak/run"] {
        assert!(executable(script), "{script}");
    }

    let trouble = root().join("docs/trouble.yaml").display().to_string();
    let sidecar = Sidecar::start_bare(&[&["--config", &trouble], &FREE_PORTS[..]].concat()).await;
    for (command, (status, source)) in
        commands[3..6].iter().zip([(200, Some("fallback")), (200, Some("static")), (422, None)])
    {
        let body = body_of(command, COMMANDS[3]);
        let answer = sidecar.http().post_raw("/v1/chat/completions", body).send().await;
        assert_eq!((answer.status.as_u16(), answer.header("x-fusebox-source")), (status, source), "{command}");
    }
}

#[tokio::test]
async fn the_fleet_to_look_at_is_shown_and_does_what_the_readme_tells_it() {
    let demonstration = Demonstration::start().await;
    let line = COMMANDS[8].strip_prefix("target/debug/fusebox ").unwrap().replace("\"a drill\"", "drill");
    let ended = Fusebox::at(demonstration.grpc_address()).run(&line).await;
    assert!(ended.good().contains("applied by 5 of 5 live sidecars"), "{ended:?}");
}

/// What `curl` is given to send.
fn body_of(command: &str, before: &str) -> String {
    let body = command.strip_prefix(before).unwrap();
    body.strip_prefix('\'').and_then(|body| body.strip_suffix('\'')).expect("a body in quotes").to_owned()
}

#[tokio::test]
async fn the_example_is_neither_wrong_nor_unwise() {
    let key = [("ANTHROPIC_API_KEY".to_owned(), "sk-ant-example".to_owned())];
    let checked = Sidecar::run_bare(&["check", "--config", "docs/example.yaml"], &key, &root()).await;
    assert!(checked.status.success(), "{}", said(&checked));
    assert_eq!(said(&checked), "the configuration is good: 2 providers, 1 model\n");
}

#[tokio::test]
async fn the_table_of_keys_is_what_the_sidecar_prints() {
    let printed = Sidecar::run_bare(&["check", "--keys"], &[], &root()).await;
    let printed = String::from_utf8(printed.stdout).unwrap();
    let written = read("docs/configuration.md");
    let table = written.find("| key |").map(|at| &written[at..]).expect("a table of keys");
    for (written, printed) in table.lines().zip(printed.lines()) {
        assert_eq!(written, printed, "run `fusebox-sidecar check --keys` and paste");
    }
    assert_eq!(table, printed, "run `fusebox-sidecar check --keys` and paste");
    for (key, address) in [("http", "127.0.0.1:8080"), ("grpc", "127.0.0.1:50051"), ("admin", "127.0.0.1:9090")] {
        assert!(table.contains(&format!("| `listen.{key}` | {address} |")), "the README counts on {address}");
    }
}

#[tokio::test]
async fn the_control_planes_table_of_keys_is_what_it_prints() {
    let printed = ControlPlane::run(&["check", "--keys"]).await;
    let printed = String::from_utf8(printed.stdout).unwrap();
    let written = read("docs/control-plane.md");
    let table = written.find("| key |").map(|at| &written[at..]).expect("a table of keys");
    assert_eq!(table, printed, "run `fusebox-control-plane check --keys` and paste");
}

#[test]
fn every_link_and_every_room_of_the_documents_is_there() {
    let mut pages = files(&root().join("docs"), "md");
    pages.push(root().join("README.md"));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        for link in links.filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let file = link.split('#').next().unwrap_or_default();
            assert!(page.parent().unwrap().join(file).exists(), "{} links to {link}", page.display());
        }
    }
    let readme = read("README.md");
    let (_, rooms) = readme.split_once("| room |").expect("a table of rooms");
    let rooms: Vec<&str> = rooms.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert!(rooms.len() > 3, "{rooms:?}");
    for room in rooms {
        assert!(root().join(room).exists(), "the README shows the way to {room}");
    }
}

#[test]
fn the_policy_that_the_documents_add_fits_the_sources() {
    let page = read("docs/policy.md");
    let patches: Vec<_> = page.split("```diff\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(patches.len() > 3, "{patches:#?}");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), patches.concat()).unwrap();
    run(Command::new("git").args(["apply", "--check"]).arg(file.path()));
}

/// The repository's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is in it").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below `folder` with this extension.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}

/// The workspace's crates, as cargo describes them.
fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let described = run(Command::new(cargo).args(["metadata", "--no-deps", "--offline", "--format-version=1"]));
    let described: Value = serde_json::from_slice(&described).unwrap();
    described["packages"].as_array().unwrap().clone()
}

/// Every file that git keeps, or would at the next commit.
fn committed() -> BTreeSet<PathBuf> {
    let listed = run(Command::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]));
    let listed = String::from_utf8(listed).unwrap();
    let paths: BTreeSet<_> = listed.split_terminator('\0').map(|path| root().join(path)).collect();
    assert!(paths.contains(&root().join("README.md")), "git knows this folder");
    paths
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.current_dir(root()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    output.stdout
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The lines of the shell's fences.
fn commands(page: &str) -> Vec<String> {
    let fences = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    fences.flat_map(str::lines).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
