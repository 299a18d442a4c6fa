//! Who changed what, and who was refused.

use fusebox_proto::{store::AuditEntry, v1};
use fusebox_store::audit::{Append, Entries, Entry};
use prost::Name;

use super::{Control, Refusal, pages::Page};
use crate::{access::Caller, json, picture::timestamp};

/// Of what was asked for, in bytes: what is longer is cut.
const MOST_DETAIL_BYTES: usize = 4_096;

/// Something that was asked for, to be told of.
#[derive(Debug, Clone)]
pub(crate) struct Event(AuditEntry);

/// What came of it.
#[derive(Clone, Copy)]
pub(crate) enum Outcome<'a> {
    Done { effect: &'a str, version: u64 },
    Refused(&'a Refusal),
}

impl Event {
    /// `caller` asks for `request`.
    pub(crate) fn of<R: Name>(caller: &Caller, request: &R) -> Self {
        let bytes = json::to_bytes(request).unwrap_or_default();
        let mut detail = String::from_utf8(bytes).unwrap_or_default();
        detail.truncate(detail.floor_char_boundary(MOST_DETAIL_BYTES));
        let reason = serde_json::from_str::<serde_json::Value>(&detail).ok();
        let reason = reason.and_then(|body| Some(body.get("reason")?.as_str()?.to_owned())).unwrap_or_default();
        Self(AuditEntry {
            actor: caller.name.to_string(),
            action: R::NAME.trim_end_matches("Request").to_owned(),
            detail,
            reason,
            source: caller.source.clone(),
            ..AuditEntry::default()
        })
    }

    /// `caller` asks for something of which no more is to be said.
    fn unread(caller: &Caller, action: &str) -> Self {
        Self(AuditEntry {
            actor: caller.name.to_string(),
            action: action.to_owned(),
            source: caller.source.clone(),
            ..AuditEntry::default()
        })
    }

    pub(crate) fn ended(self, outcome: Outcome<'_>) -> AuditEntry {
        let (word, effect, version) = match outcome {
            Outcome::Done { effect, version } => ("done", effect.to_owned(), version),
            Outcome::Refused(refusal @ (Refusal::Unavailable { .. } | Refusal::Internal(_))) => {
                ("failed", refusal.to_string(), 0)
            }
            Outcome::Refused(refusal) => ("refused", refusal.to_string(), 0),
        };
        AuditEntry { outcome: word.to_owned(), effect, settings_version: version, ..self.0 }
    }
}

impl Control {
    /// Tells of somebody who was not let in.
    pub(crate) async fn note_refused(&self, caller: &Caller, action: &str, refusal: &Refusal) {
        self.note(&Event::unread(caller, action).ended(Outcome::Refused(refusal))).await;
    }

    /// Tells of something that was done and changed nothing.
    pub(crate) async fn note_done(&self, caller: &Caller, action: &str) {
        self.note(&Event::unread(caller, action).ended(Outcome::Done { effect: "", version: 0 })).await;
    }

    /// Tells of a refusal, which comes back.
    pub(crate) async fn refused(&self, event: Event, refusal: Refusal) -> Refusal {
        self.note(&event.ended(Outcome::Refused(&refusal))).await;
        refusal
    }

    /// Adds to the log. What cannot be added is in this process's own log, at least.
    pub(crate) async fn note(&self, entry: &AuditEntry) {
        tracing::info!(
            actor = entry.actor,
            action = entry.action,
            outcome = entry.outcome,
            source = entry.source,
            "{}",
            entry.effect
        );
        if let Err(error) = self.reader.ask(&Append { entry, limits: self.kept }).await {
            tracing::warn!(%error, action = entry.action, "this is not in the audit log");
        }
    }

    /// A page of the log, from the newest.
    ///
    /// # Errors
    /// The page's token is none, or the store cannot be read.
    pub async fn audit(&self, request: &v1::ListAuditEventsRequest) -> Result<v1::ListAuditEventsResponse, Refusal> {
        let page = Page::of(request.page_size, &request.page_token)?;
        let (_, entries) = self.reader.ask(&Entries { before: page.before, most: page.most }).await?;
        let next_page_token = page.next(entries.iter().map(|entry| entry.number));
        let events = entries.into_iter().map(event).collect();
        Ok(v1::ListAuditEventsResponse { events, next_page_token })
    }
}

fn event(one: Entry) -> v1::AuditEvent {
    let at = timestamp(one.at());
    let Entry { number, entry } = one;
    v1::AuditEvent {
        at,
        actor: entry.actor,
        action: entry.action,
        detail: entry.detail,
        reason: entry.reason,
        id: number.to_string(),
        outcome: entry.outcome,
        effect: entry.effect,
        source: entry.source,
        settings_version: entry.settings_version,
    }
}
