//! `watch` and `alerts watch`: what changes, as it changes.

use std::{collections::VecDeque, time::Duration};

use fusebox_proto::v1::{Alert, Fleet, WatchAlertsRequest, WatchFleetRequest};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    connect::Client,
    diff::changes,
    exit::{Exit, Failure},
    follow::{Follow, News},
    out::Out,
    page::{Line, Tone},
    screen::Screen,
    show::{self, View},
    time::{self, Now},
};

/// Ages and countdowns go on though nothing changes.
const TICK: Duration = Duration::from_secs(1);

/// Alerts that are remembered, so that a new connection does not tell them again.
const REMEMBERED: usize = 1000;

/// Whoever is to stop it: Ctrl-C, and who ends the terminal or the process.
struct Stop([Signal; 3]);

/// The fleet, redrawn in place on a terminal, a line a change elsewhere, a document a picture as JSON.
///
/// # Errors
/// It could not be begun, or was refused later.
pub(crate) async fn fleet(client: Client, out: Out) -> Result<Exit, Failure> {
    let address = client.address().to_owned();
    let mut follow =
        Follow::start(client, |mut service| async move { service.watch_fleet(WatchFleetRequest {}).await });
    let mut stop = Stop::new()?;
    if out.terminal && !out.json {
        live(&mut follow, &mut stop, out, &address).await
    } else {
        lines(&mut follow, &mut stop, out).await
    }
}

/// Alerts, a line each.
///
/// # Errors
/// As [`fleet`].
pub(crate) async fn alerts(client: Client, out: Out) -> Result<Exit, Failure> {
    let mut follow =
        Follow::start(client, |mut service| async move { service.watch_alerts(WatchAlertsRequest {}).await });
    let mut stop = Stop::new()?;
    let mut told: VecDeque<Alert> = VecDeque::new();
    loop {
        let news = tokio::select! {
            news = follow.next() => news,
            () = stop.asked() => return Ok(Exit::Done),
        };
        match news {
            News::Item(alert) => {
                let known = told.iter().position(|one| one.id == alert.id);
                if known.is_some_and(|at| same(&told[at], &alert)) {
                    continue;
                }
                known.and_then(|at| told.remove(at));
                if told.len() == REMEMBERED {
                    told.pop_front();
                }
                if out.json {
                    out.message_line(&alert)?;
                } else {
                    out.lines(&[show::alert_line(&alert, Now::read())])?;
                }
                told.push_back(alert);
            }
            News::Lost { why, again_in } => lost(&why, again_in),
            News::Over(failure) => return Err(failure),
        }
    }
}

/// Whether nothing has become of an alert.
fn same(before: &Alert, after: &Alert) -> bool {
    let fate = |alert: &Alert| (alert.raised_at, alert.acknowledged_at, alert.resolved_at, alert.silence.clone());
    fate(before) == fate(after)
}

async fn live(follow: &mut Follow<Fleet>, stop: &mut Stop, out: Out, address: &str) -> Result<Exit, Failure> {
    let mut resized = signals(SignalKind::window_change())?;
    let mut tick = tokio::time::interval(TICK);
    let mut picture: Option<Fleet> = None;
    let mut trouble: Option<String> = None;
    let screen = Screen::enter(out)?;
    loop {
        tokio::select! {
            news = follow.next() => match news {
                News::Item(fleet) => (picture, trouble) = (Some(fleet), None),
                News::Lost { why, .. } => trouble = Some(why),
                News::Over(failure) => return Err(failure),
            },
            _ = tick.tick() => {}
            _ = resized.recv() => {}
            () = stop.asked() => return Ok(Exit::Done),
        }
        let view = View { width: out.width(), now: Now::read() };
        screen.draw(&frame(picture.as_ref(), trouble.as_deref(), view), &foot(address, trouble.is_some()))?;
    }
}

/// What is on the screen.
fn frame(picture: Option<&Fleet>, trouble: Option<&str>, view: View) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(why) = trouble {
        let line = Line::toned("! CONNECTION LOST", Tone::Bad).text(format!(" What follows is old. {why}"));
        lines.extend(line.folded(view.width, 2));
    }
    match picture {
        Some(fleet) => lines.extend(show::fleet(fleet, view)),
        None => lines.push("waiting for the first picture…".into()),
    }
    lines
}

fn foot(address: &str, lost: bool) -> Line {
    let state = if lost { "trying to connect again" } else { "live" };
    Line::toned(format!("{state}, {address}; Ctrl-C ends it"), Tone::Dim)
}

async fn lines(follow: &mut Follow<Fleet>, stop: &mut Stop, out: Out) -> Result<Exit, Failure> {
    let mut picture: Option<Fleet> = None;
    loop {
        let news = tokio::select! {
            news = follow.next() => news,
            () = stop.asked() => return Ok(Exit::Done),
        };
        match news {
            News::Item(fleet) if out.json => out.message_line(&fleet)?,
            News::Item(fleet) => {
                out.lines(&told(picture.as_ref(), &fleet, Now::read()))?;
                picture = Some(fleet);
            }
            News::Lost { why, again_in } => lost(&why, again_in),
            News::Over(failure) => return Err(failure),
        }
    }
}

/// The first picture in a line, or what has changed since the one before; each with the time of the picture.
fn told(before: Option<&Fleet>, after: &Fleet, now: Now) -> Vec<Line> {
    let when = after.at.as_ref().map_or(String::new(), |at| format!("{} ", time::stamp(at)));
    let lines = match before {
        Some(before) => changes(before, after, now),
        None => {
            let view = View { width: None, now };
            let notices = show::notices(after, now);
            notices
                .into_iter()
                .chain(
                    show::fleet(&Fleet { stale: false, demonstration: false, ..after.clone() }, view)
                        .into_iter()
                        .take(1),
                )
                .collect()
        }
    };
    lines.into_iter().map(|line| Line::toned(&when, Tone::Dim).join(line)).collect()
}

fn lost(why: &str, again_in: Duration) {
    let line = Line::from(format!("fusebox: connection lost: {why}; trying again in {}", time::show(again_in)));
    eprintln!("{}", line.show(false));
}

impl Stop {
    fn new() -> Result<Self, Failure> {
        Ok(Self([signals(SignalKind::interrupt())?, signals(SignalKind::terminate())?, signals(SignalKind::hangup())?]))
    }

    async fn asked(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

fn signals(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::new(Exit::Failed, format!("signals cannot be heard: {error}")))
}

#[cfg(test)]
mod tests {
    use fusebox_proto::v1::HealthStatus;
    use prost_types::Timestamp;

    use super::*;

    const NOW: Now = Now(Duration::from_secs(1_700_000_000));

    fn picture() -> Fleet {
        Fleet {
            name: "north".into(),
            at: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            health: HealthStatus::Healthy.into(),
            ..Fleet::default()
        }
    }

    fn text(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|line| line.show(false)).collect()
    }

    #[test]
    fn the_first_picture_is_a_line_and_each_change_another() {
        let first = picture();
        let stamp = "2023-11-14 22:13:20Z";
        assert_eq!(text(&told(None, &first, NOW)), [format!("{stamp} north: ✓ healthy; level ? unknown")]);
        assert_eq!(text(&told(Some(&first), &first, NOW)), Vec::<String>::new());
        let then = Fleet { settings_version: 3, ..first.clone() };
        assert_eq!(text(&told(Some(&first), &then, NOW)), [format!("{stamp} settings: version 3")]);
        let stale = Fleet { stale: true, ..first };
        let lines = text(&told(None, &stale, NOW));
        assert!(lines[0].starts_with(&format!("{stamp} ! STALE ")) && lines.len() == 2, "{lines:?}");
    }

    #[test]
    fn while_the_connection_is_lost_the_old_picture_stays_and_is_called_old() {
        let view = View { width: Some(60), now: NOW };
        let lines = text(&frame(Some(&picture()), Some("connection refused"), view));
        assert_eq!(lines[0], "! CONNECTION LOST What follows is old. connection refused");
        assert_eq!(lines[1], "north: ✓ healthy; level ? unknown");
        assert_eq!(text(&frame(None, None, view)), ["waiting for the first picture…"]);
    }

    #[test]
    fn an_alert_is_told_again_only_when_something_has_become_of_it() {
        let alert = Alert { id: "a".into(), ..Alert::default() };
        assert!(same(&alert, &Alert { recent_rate: 7.0, ..alert.clone() }));
        assert!(!same(&alert, &Alert { resolved_at: Some(Timestamp::default()), ..alert.clone() }));
    }
}
