//! What a terminal shows: questions, tables, colours, and a screen that is redrawn.

use fusebox_proto::v1::{ChangeOptions, Fleet, HealthStatus};
use fusebox_tests::operator::{Asked, ControlPlane, Fusebox};
use tonic::Status;

use super::{applied, fleet, seconds};

/// Enters the alternate screen, and leaves it with the cursor shown again.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

#[tokio::test]
async fn on_a_terminal_what_is_grave_is_shown_first_and_asked() {
    let control = ControlPlane::start(fleet()).await;
    control.result(applied(3));
    let fusebox = Fusebox::at(control.address());
    let mut terminal = fusebox.on_terminal("provider disable vllm", 100, 30);
    let shown = terminal.until("the question", |written| written.contains("Go ahead? [y/N] ")).await;
    assert!(shown.contains("vllm would be off:") && shown.contains("- chat is left with azure"), "{shown}");
    terminal.type_in("y\n");
    terminal.until("the other question", |written| written.contains("Reason, for the audit log: ")).await;
    terminal.type_in("incident 12\n");
    assert_eq!(terminal.ended().await, 0, "{}", terminal.written());
    let asked = control.asked();
    let [Asked::Provider(dry), Asked::Provider(made)] = &asked[..] else { panic!("{asked:?}") };
    assert!(dry.change.unwrap().dry_run);
    assert_eq!((made.reason.as_str(), made.enabled), ("incident 12", Some(false)));
    // What was agreed to is what is done: if the settings have moved on since, it is refused.
    let right = ChangeOptions { expected_version: 13, wait: seconds(10), ..ChangeOptions::default() };
    assert_eq!(made.change, Some(right));

    let mut terminal = fusebox.on_terminal("breaker open vllm --reason x", 100, 30);
    terminal.until("the question", |written| written.contains("Go ahead? [y/N] ")).await;
    terminal.type_in("\n");
    assert_eq!(terminal.ended().await, 1);
    assert!(terminal.written().contains("nothing was changed"), "{}", terminal.written());
    assert!(matches!(&control.asked()[..], [_, _, Asked::Breaker(dry)] if dry.change.unwrap().dry_run));

    let mut terminal = fusebox.on_terminal("breaker open vllm --reason x --yes", 100, 30);
    assert_eq!(terminal.ended().await, 0, "{}", terminal.written());
    assert!(terminal.written().contains("\x1b[32m✓ the breaker of vllm is forced open"), "{}", terminal.written());
    let mut terminal = fusebox.on_terminal("provider enable vllm --reason x", 100, 30);
    assert_eq!(terminal.ended().await, 0, "what is harmless is not asked: {}", terminal.written());
}

#[tokio::test]
async fn on_a_terminal_tables_fit_and_colours_can_be_refused() {
    let control = ControlPlane::start(fleet()).await;
    let fusebox = Fusebox::at(control.address()).with("NO_COLOR", "1");
    for columns in [40, 80] {
        let mut terminal = fusebox.on_terminal("status", columns, 30);
        assert_eq!(terminal.ended().await, 0);
        let written = terminal.written();
        assert!(!written.contains('\x1b'), "{written:?}");
        let widest = written.lines().map(|line| line.trim_end_matches('\r').chars().count()).max();
        assert!(widest <= Some(usize::from(columns)), "{written}");
    }
}

#[tokio::test]
async fn the_screen_is_redrawn_in_place_and_given_back_whatever_ends_it() {
    let mut control = ControlPlane::start(fleet()).await;
    let fusebox = Fusebox::at(control.address());
    let mut watch = fusebox.on_terminal("watch", 80, 30);
    let first = watch.until("the first picture", |written| written.contains("2 sidecars: 2 healthy")).await;
    assert!(first.starts_with(ENTER), "{first:?}");
    control.show(Fleet { health: HealthStatus::Critical.into(), ..fleet() });
    watch.until("the next picture", |written| written.contains("✗ critical")).await;
    let before = watch.written().len();
    watch.resize(40, 10).await;
    let resized = watch.until("a smaller picture", |written| written[before..].contains("more lines")).await;
    assert!(!resized.contains(LEAVE));
    control.close().await;
    watch.until("the loss", |written| written.contains("! CONNECTION LOST")).await;
    let before = watch.written().len();
    control.show(fleet());
    control.open().await;
    watch.until("that it goes on", |written| written[before..].contains("live, http://")).await;
    watch.signal("INT").await;
    assert_eq!(watch.ended().await, 0);
    assert!(watch.written().ends_with(LEAVE), "{:?}", watch.written());

    for signal in ["TERM", "HUP"] {
        let mut watch = fusebox.on_terminal("watch", 80, 30);
        watch.until("a picture", |written| written.contains("2 sidecars")).await;
        watch.signal(signal).await;
        assert_eq!(watch.ended().await, 0);
        assert!(watch.written().ends_with(LEAVE), "{signal}");
    }
    let mut watch = fusebox.on_terminal("watch", 80, 30);
    watch.until("a picture", |written| written.contains("2 sidecars")).await;
    control.refuse("WatchFleet", Status::permission_denied("not any more"));
    control.close().await;
    control.open().await;
    assert_eq!(watch.ended().await, 3, "{:?}", watch.written());
    let (_, after) = watch.written().split_once(LEAVE).map(|(a, b)| (a.to_owned(), b.to_owned())).expect("left");
    assert!(after.contains("fusebox: not any more"), "what is wrong is said after the screen is given back: {after:?}");
}
