//! The scripts that the store runs, each at once and whole. They keep, add, lease, compare and set; they decide nothing.
//! Every one returns a list that begins with the store's time in milliseconds.

/// Takes in a sidecar's report of a provider; returns the record and what all reports amount to.
pub const REPORT: &str = include_str!("../scripts/report.lua");
/// Puts a breaker's record in place of another, or where there is none as new.
pub const COMMIT: &str = include_str!("../scripts/commit.lua");
/// Leases a probe.
pub const LEASE: &str = include_str!("../scripts/lease.lua");
/// Ends a probe's lease and counts what became of it.
pub const PROBED: &str = include_str!("../scripts/probed.lua");
/// Leaves a provider alone until a time, or until a later one that was known.
pub const COOL: &str = include_str!("../scripts/cool.lua");
/// Reads how a provider's breaker stands.
pub const STANDING: &str = include_str!("../scripts/standing.lua");

/// Stores a sidecar's heartbeat; returns how many are live, and the settings' version.
pub const BEAT: &str = include_str!("../scripts/beat.lua");
/// Forgets a sidecar that goes.
pub const LEAVE: &str = include_str!("../scripts/leave.lua");
/// Reads a page of the heartbeats of those that are there, or were of late.
pub const LIVE: &str = include_str!("../scripts/live.lua");

/// Reads the settings.
pub const SETTINGS: &str = include_str!("../scripts/settings.lua");
/// Puts settings in place of others, or where there are none as new.
pub const PUT_SETTINGS: &str = include_str!("../scripts/put_settings.lua");
/// Puts settings in place of others, and that it was done into the audit log; both or neither.
pub const CHANGE_SETTINGS: &str =
    concat!(include_str!("../scripts/audit.lua"), include_str!("../scripts/change_settings.lua"));

/// Adds one sidecar's calls and errors of late, once.
pub const COUNT: &str = include_str!("../scripts/count.lua");
/// Reads the calls and errors of the last minute and the last hour.
pub const COUNTS: &str = include_str!("../scripts/counts.lua");
/// Reads the calls and errors of the last minutes, each by itself.
pub const HISTORY: &str = include_str!("../scripts/history.lua");

/// Raises an alert unless it fires.
pub const RAISE: &str = concat!(include_str!("../scripts/alerts.lua"), include_str!("../scripts/raise.lua"));
/// Ends an alert that fires.
pub const RESOLVE: &str = concat!(include_str!("../scripts/alerts.lua"), include_str!("../scripts/resolve.lua"));
/// Notes who knows of an alert.
pub const ACKNOWLEDGE: &str =
    concat!(include_str!("../scripts/alerts.lua"), include_str!("../scripts/acknowledge.lua"));
/// Reads the alerts that fire.
pub const FIRING: &str = include_str!("../scripts/firing.lua");
/// Reads a page of all alerts.
pub const RECENT: &str = include_str!("../scripts/recent.lua");
/// Reads what became of alerts, one after the other.
pub const EVENTS: &str = include_str!("../scripts/events.lua");

/// Begins to deliver alerts in the place of whoever did.
pub const TAKE_OVER: &str = include_str!("../scripts/take_over.lua");
/// Puts down how deliveries of alerts go, if nobody else has taken over.
pub const PUT_DELIVERIES: &str = include_str!("../scripts/put_deliveries.lua");
/// Reads how deliveries of alerts go, as far as that changed.
pub const DELIVERIES: &str = include_str!("../scripts/deliveries.lua");

/// Keeps a silence, under which alerts are not delivered.
pub const SILENCE: &str = concat!(include_str!("../scripts/silences.lua"), include_str!("../scripts/silence.lua"));
/// Ends a silence.
pub const END_SILENCE: &str =
    concat!(include_str!("../scripts/silences.lua"), include_str!("../scripts/end_silence.lua"));
/// Reads the silences.
pub const LIST_SILENCES: &str =
    concat!(include_str!("../scripts/silences.lua"), include_str!("../scripts/list_silences.lua"));

/// Appends to what was changed, and by whom.
pub const APPEND: &str = concat!(include_str!("../scripts/audit.lua"), include_str!("../scripts/append.lua"));
/// Reads a page of what was changed.
pub const ENTRIES: &str = include_str!("../scripts/entries.lua");

/// Takes or renews a lock.
pub const LOCK: &str = include_str!("../scripts/lock.lua");
/// Gives a lock back.
pub const UNLOCK: &str = include_str!("../scripts/unlock.lua");

/// Draws from a bucket: of what a provider allows, or of retries.
pub const DRAW: &str = include_str!("../scripts/draw.lua");

/// Reads what a run has spent.
pub const LOOK: &str = concat!(include_str!("../scripts/others.lua"), include_str!("../scripts/look.lua"));
/// Takes in a sidecar's part of a run; returns what all parts amount to.
pub const TELL: &str = concat!(include_str!("../scripts/others.lua"), include_str!("../scripts/tell.lua"));

/// Looks for an answer that is kept for all.
pub const FETCH: &str = include_str!("../scripts/fetch.lua");
/// Keeps an answer for all.
pub const KEEP: &str = include_str!("../scripts/keep.lua");

/// Claims a call, or learns whose it is, or what came of it.
pub const CLAIM: &str = include_str!("../scripts/claim.lua");
/// Puts an answer in the place of a claim.
pub const FINISH: &str = include_str!("../scripts/finish.lua");
/// Gives a claim back.
pub const RELEASE: &str = include_str!("../scripts/release.lua");
