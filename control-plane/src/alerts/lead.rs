//! What the replica that delivers knows, and how it keeps that in the store: what follows of an event is kept before the
//! cursor moves past it, and nothing is put by one whom another has followed.

use std::{collections::BTreeMap, time::Duration};

use fusebox_rules::fleet::Stamp;
use fusebox_store::{
    Operation, Store, StoreError,
    alerts::{Events, Firing},
    delivery::{self, Name, PutDeliveries, Record, TakeOver},
    silences,
};

use super::{
    Deliveries,
    kept::{decode_case, decode_channel, encode_case, encode_channel},
    policy::{Silence, State},
    settings::Settings,
};

/// Events in one page. What follows of a page is put at once.
const PAGE: u32 = 100;
/// Records in one reply, and the most that are put at once.
const MOST_PUT: usize = 100;
const MOST_READ: u32 = 500;
/// How often what is known is held against all that fires, in milliseconds.
const COMPARE_EVERY: u64 = 15_000;
/// For each request to the store.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// What the replica that delivers knows.
#[derive(Debug)]
pub(super) struct Lead {
    fence: u64,
    /// The event up to which all is known.
    cursor: u64,
    /// Whether the store has the cursor.
    is_cursor_kept: bool,
    pub(super) state: State,
    /// When what is known was last held against all that fires.
    compared: Option<Stamp>,
}

/// What a replica knew before the store may have lost it, to be put back.
#[derive(Debug, Clone)]
pub(super) struct Before {
    /// The event after which nothing is known.
    cursor: u64,
    state: State,
}

/// Whether a replica still leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leads {
    /// It does.
    Still,
    /// Another has taken over, or the store has lost what it kept.
    NoMore,
}

impl Lead {
    /// Goes on where another stopped. If the store has lost that, `before` is what this replica knew of it.
    pub(super) async fn take_over(store: &Store, before: Option<Before>) -> Result<Self, StoreError> {
        let (now, delivery::Lead { fence, cursor }) = ask(store, &TakeOver).await?;
        let (cursor, state, is_cursor_kept) = match (cursor, before) {
            (Some(cursor), _) => (cursor, read_all(store).await?, true),
            (None, Some(Before { cursor, mut state })) => {
                state.keep_again(state.names());
                (cursor, state, false)
            }
            // What was over before anybody delivered is not told; what fires is, as it is found.
            (None, None) => (now.as_millis().max(1), State::default(), false),
        };
        tracing::info!(cursor, alerts = state.cases.len(), "this replica delivers alerts");
        Ok(Self { fence, cursor, is_cursor_kept, state, compared: None })
    }

    /// Takes in what has become of alerts, and keeps what follows of it.
    pub(super) async fn hear(
        &mut self,
        store: &Store,
        view: &Deliveries,
        terms: &Terms<'_>,
    ) -> Result<Leads, StoreError> {
        loop {
            let (now, events) = ask(store, &Events { after: self.cursor, most: PAGE }).await?;
            let Some(last) = events.last() else { break };
            self.cursor = last.number.max(self.cursor);
            self.is_cursor_kept = false;
            for event in &events {
                self.state.hear(&event.alert);
            }
            if self.keep(store, view, terms, now).await? == Leads::NoMore {
                return Ok(Leads::NoMore);
            }
        }
        let due = |since: Stamp| terms.now.as_millis().saturating_sub(since.as_millis()) >= COMPARE_EVERY;
        if self.compared.is_none_or(due) {
            let (now, firing) = ask(store, &Firing).await?;
            self.state.compare(&firing, self.cursor, now);
            self.compared = Some(now);
        }
        self.keep(store, view, terms, terms.now).await
    }

    /// Decides who is to be told, and puts all that has changed. With nothing to put, it still finds out who leads.
    pub(super) async fn keep(
        &mut self,
        store: &Store,
        view: &Deliveries,
        terms: &Terms<'_>,
        now: Stamp,
    ) -> Result<Leads, StoreError> {
        let untold = self.state.settle(terms.settings, terms.silences, now);
        if untold > 0 {
            tracing::error!(untold, "too many alerts wait to be delivered; the oldest of those that are over are not");
        }
        let names: Vec<_> = self.state.take_changed().into_iter().collect();
        let mut left = &*names;
        loop {
            let (part, rest) = left.split_at(left.len().min(MOST_PUT));
            // The cursor moves with the last of what it led to.
            let cursor = (rest.is_empty() && !self.is_cursor_kept).then_some(self.cursor);
            match self.put(store, view, part, cursor).await {
                Ok(Leads::Still) => {}
                other => {
                    self.state.keep_again(left.iter().cloned());
                    return other;
                }
            }
            left = rest;
            if rest.is_empty() {
                self.is_cursor_kept = true;
                return Ok(Leads::Still);
            }
        }
    }

    async fn put(
        &self,
        store: &Store,
        view: &Deliveries,
        names: &[Name],
        cursor: Option<u64>,
    ) -> Result<Leads, StoreError> {
        let (mut records, mut forgotten) = (Vec::new(), Vec::new());
        for name in names {
            match self.body(name) {
                Some(body) => records.push(Record { name: name.clone(), body }),
                None => forgotten.push(name.clone()),
            }
        }
        let put = PutDeliveries { fence: self.fence, cursor, records: &records, forgotten: &forgotten };
        let (_, still) = ask(store, &put).await?;
        if !still {
            return Ok(Leads::NoMore);
        }
        records.iter().for_each(|record| view.put(record));
        forgotten.iter().for_each(|name| view.forget(name));
        Ok(Leads::Still)
    }

    /// The record of this name; `None`: it is forgotten.
    fn body(&self, name: &Name) -> Option<Vec<u8>> {
        match name {
            Name::Alert(id) => self.state.cases.get(id).map(encode_case),
            Name::Channel(name) => self.state.channels.get(name.as_str()).map(encode_channel),
        }
    }

    /// What is known, to be put back if the store has lost it.
    pub(super) fn into_before(self) -> Before {
        Before { cursor: self.cursor, state: self.state }
    }

    /// Shows all that is known.
    pub(super) fn show(&self, view: &Deliveries) {
        view.clear();
        for name in self.state.names() {
            if let Some(body) = self.body(&name) {
                view.put(&Record { name, body });
            }
        }
    }
}

/// By what it is decided who is told what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) settings: &'a Settings,
    pub(super) silences: &'a [Silence],
    pub(super) now: Stamp,
}

/// The silences that there are.
pub(super) async fn silences(store: &Store) -> Result<Vec<Silence>, StoreError> {
    let (_, silences) = ask(store, &silences::List).await?;
    Ok(silences.iter().filter_map(Silence::of).collect())
}

/// All that is kept.
async fn read_all(store: &Store) -> Result<State, StoreError> {
    let (mut records, mut after) = (Vec::new(), 0);
    loop {
        let (_, page) = ask(store, &delivery::Deliveries { after, most: MOST_READ }).await?;
        let Some(last) = page.changes.last() else { return decode(records) };
        after = last.number;
        records.extend(page.changes.into_iter().filter_map(|change| change.record));
    }
}

/// What records say. Of two of the same name the later one counts.
fn decode(records: impl IntoIterator<Item = Record>) -> Result<State, StoreError> {
    let (mut cases, mut channels) = (BTreeMap::new(), BTreeMap::new());
    for Record { name, body } in records {
        match name {
            Name::Alert(id) => match decode_case(id, &body)? {
                Some(case) => drop(cases.insert(id, case)),
                None => drop(cases.remove(&id)),
            },
            Name::Channel(name) => drop(channels.insert(name.into(), decode_channel(&body)?)),
        }
    }
    Ok(State::new(cases, channels))
}

/// How far a replica that does not lead has read, and what.
#[derive(Debug, Default)]
pub(super) struct Follower {
    after: u64,
    records: BTreeMap<Name, Vec<u8>>,
    /// Records that only a newer version knows.
    unknown: u64,
    /// When it last read all.
    read: Option<Stamp>,
}

impl Follower {
    /// Reads what has changed since.
    pub(super) async fn follow(&mut self, store: &Store, view: &Deliveries) -> Result<(), StoreError> {
        if self.after == 0 {
            view.clear();
        }
        loop {
            let (now, page) = ask(store, &delivery::Deliveries { after: self.after, most: MOST_READ }).await?;
            let Some(last) = page.changes.last() else {
                self.read = Some(now);
                if page.kept != self.records.len() as u64 + self.unknown {
                    // Some were forgotten: all is read anew, the next time.
                    *self = Self::default();
                }
                return Ok(());
            };
            self.after = last.number;
            for change in page.changes {
                match change.record {
                    Some(record) => {
                        view.put(&record);
                        self.records.insert(record.name, record.body);
                    }
                    None => self.unknown += 1,
                }
            }
        }
    }

    /// What is known, to be put back if the store has lost it: whatever happened after it was read, the store tells.
    pub(super) fn before(&self) -> Option<Before> {
        let cursor = self.read?.as_millis();
        let records = self.records.iter().map(|(name, body)| Record { name: name.clone(), body: body.clone() });
        Some(Before { cursor, state: decode(records).ok()? })
    }
}

pub(super) async fn ask<O: Operation>(store: &Store, operation: &O) -> Result<(Stamp, O::Reply), StoreError> {
    store.ask(operation, ASK_LIMIT).await
}
