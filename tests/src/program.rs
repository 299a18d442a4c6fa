//! Where cargo has put our programs.

use std::path::{Path, PathBuf};

/// `name` beside this program, in the workspace's target folder, or beside this test's own. The variable `instead` names another.
pub(crate) fn program(name: &str, instead: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(instead) {
        return path.into();
    }
    let this = std::env::current_exe().unwrap();
    let profile = this.parent().and_then(Path::parent).expect("tests run in target/PROFILE/deps");
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    let beside = this.with_file_name(name);
    let places = [beside, target.join(profile.file_name().unwrap()).join(name), profile.join(name)];
    let found = places.iter().find(|place| place.is_file());
    found.cloned().unwrap_or_else(|| panic!("{name} is not built: run `cargo build --workspace` first ({places:?})"))
}
