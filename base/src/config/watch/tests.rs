use std::{fs, os::unix::fs::symlink};

use super::{super::tests::Notes, *};

/// A watch of `file` that is deaf to signals: they reach the whole process, and so every test in it.
fn begin(file: &Path) -> (Notes, Watch<Notes>) {
    let sources = Sources { file: Some(file.to_owned()), ..Sources::default() };
    let (config, mut watch) = Watch::begin(sources).unwrap();
    watch.hangups = None;
    (config, watch)
}

/// Whether the next cause comes within ten looks; time is paused and passes by itself.
async fn next(watch: &mut Watch<Notes>) -> Option<Cause> {
    tokio::time::timeout(10 * LOOK_EVERY, watch.changed()).await.ok()
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_is_told_of_once_and_an_unchanged_one_never() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.yaml");
    fs::write(&file, "name: one").unwrap();
    let (config, mut watch) = begin(&file);
    assert_eq!(config.name, "one");
    assert_eq!(next(&mut watch).await, None);
    fs::write(&file, "name: other").unwrap();
    assert_eq!(next(&mut watch).await, Some(Cause::File(file.clone())));
    assert_eq!(watch.reload().unwrap().name, "other");
    assert_eq!(next(&mut watch).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_still_being_written_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.yaml");
    fs::write(&file, "").unwrap();
    let (_, mut watch) = begin(&file);
    for length in 1..5 {
        fs::write(&file, "#".repeat(length)).unwrap();
        assert_eq!(watch.look(), None, "told of while it grows");
    }
    assert_eq!(watch.look(), Some(file));
}

#[tokio::test(start_paused = true)]
async fn a_turned_link_is_a_change_even_if_size_and_time_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let written = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    for version in ["v1", "v2"] {
        fs::create_dir(at(version)).unwrap();
        let file = at(version).join("f.yaml");
        fs::write(&file, format!("name: {version}")).unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(written).unwrap();
    }
    symlink("v1", at("..data")).unwrap();
    symlink("..data/f.yaml", at("f.yaml")).unwrap();
    let (config, mut watch) = begin(&at("f.yaml"));
    assert_eq!(config.name, "v1");
    symlink("v2", at("..new")).unwrap();
    fs::rename(at("..new"), at("..data")).unwrap();
    assert_eq!(next(&mut watch).await, Some(Cause::File(at("f.yaml"))));
    assert_eq!(watch.reload().unwrap().name, "v2");
}

#[tokio::test(start_paused = true)]
async fn a_new_key_in_its_file_is_noticed_and_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let (file, key) = (folder.path().join("f.yaml"), folder.path().join("key"));
    fs::write(&key, "old").unwrap();
    fs::write(&file, format!("keys: [{{file: {}}}]", key.display())).unwrap();
    let (_, mut watch) = begin(&file);
    fs::write(&key, "newer").unwrap();
    assert_eq!(next(&mut watch).await, Some(Cause::File(key)));
    let config = watch.reload().unwrap();
    assert_eq!(config.keys[0].as_ref().unwrap().0.reveal(), "newer");
}

#[tokio::test(start_paused = true)]
async fn after_a_faulty_change_mending_it_is_noticed_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.yaml");
    fs::write(&file, "").unwrap();
    let (_, mut watch) = begin(&file);
    fs::write(&file, "nonsense: 1").unwrap();
    assert!(next(&mut watch).await.is_some());
    assert!(watch.reload().is_err());
    fs::remove_file(&file).unwrap();
    assert!(next(&mut watch).await.is_some());
    assert!(watch.reload().is_err());
    fs::write(&file, "name: mended").unwrap();
    assert!(next(&mut watch).await.is_some());
    assert_eq!(watch.reload().unwrap().name, "mended");
}

#[tokio::test]
async fn a_hangup_is_a_cause() {
    let (_, mut watch) = Watch::<Notes>::begin(Sources::default()).unwrap();
    let killed = tokio::process::Command::new("kill").args(["-HUP", &std::process::id().to_string()]).status();
    assert!(killed.await.unwrap().success());
    assert_eq!(watch.changed().await, Cause::Hangup);
}
