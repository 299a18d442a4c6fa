//! A change is made: planned, put in place on condition that nobody was faster, and waited for.
//!
//! The settings and their audit event are put in place together or not at all, so that whoever dies in the middle
//! leaves neither behind.

use std::{collections::BTreeSet, time::Duration};

use fusebox_base::clock;
use fusebox_proto::v1;
use fusebox_rules::fleet::settings::{Settings, Word};
use fusebox_store::{audit::Append, presence::Alive, settings::ChangeSettings};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use prost::Name;

use super::{
    Control, Refusal,
    audit::{Event, Outcome},
    plan::{Plan, Wish},
    requests::Asked,
};
use crate::{access::Caller, telemetry};

/// How often somebody else may be faster, where the request does not mind.
const ATTEMPTS: u32 = 8;
/// Between two looks at who has applied it; of a fleet that is not large.
const LOOK: Duration = Duration::from_millis(20);
/// Sidecars of a fleet that is not large.
const MANY: u32 = 100;
/// Sidecars that are named as waited for.
const MOST_NAMED: usize = 20;

/// What a change came to.
struct Made {
    version: u64,
    plan: Plan,
}

impl Control {
    /// Switches a provider, ranks it, or both.
    ///
    /// # Errors
    /// The request is wrong, names no provider, or cannot be done now.
    pub async fn set_provider(
        &self,
        caller: &Caller,
        request: v1::SetProviderRequest,
    ) -> Result<v1::SetProviderResponse, Refusal> {
        let name = request.name.clone();
        let result = self.change(caller, request).await?;
        Ok(v1::SetProviderResponse { provider: self.provider(&name), result: Some(result) })
    }

    /// Forces a provider's breaker, or hands it back.
    ///
    /// # Errors
    /// As for [`Self::set_provider`].
    pub async fn set_breaker(
        &self,
        caller: &Caller,
        request: v1::SetBreakerRequest,
    ) -> Result<v1::SetBreakerResponse, Refusal> {
        let name = request.provider.clone();
        let result = self.change(caller, request).await?;
        Ok(v1::SetBreakerResponse { provider: self.provider(&name), result: Some(result) })
    }

    /// Sets the level of the fleet or of one sidecar.
    ///
    /// # Errors
    /// The request is wrong, names no sidecar, or cannot be done now.
    pub async fn set_degradation(
        &self,
        caller: &Caller,
        request: v1::SetDegradationRequest,
    ) -> Result<v1::SetDegradationResponse, Refusal> {
        let result = self.change(caller, request).await?;
        Ok(v1::SetDegradationResponse { fleet: Some(self.fleet().fleet.clone()), result: Some(result) })
    }

    async fn change<R>(&self, caller: &Caller, request: R) -> Result<v1::ChangeResult, Refusal>
    where
        R: TryInto<Asked, Error = Refusal> + Name + Clone,
    {
        let event = Event::of(caller, &request);
        let asked = match request.try_into() {
            Ok(asked) => asked,
            Err(refusal) => return Err(self.refused(event, refusal).await),
        };
        let dry_run = asked.how.dry_run;
        match self.make(caller, &asked, &event).await {
            Ok(made) if dry_run => Ok(told(&made, &BTreeSet::new(), made.plan.concerned.len())),
            Ok(made) => {
                let result = self.wait(&made, asked.how.wait).await;
                note(&result);
                self.reader.look().await;
                Ok(result)
            }
            Err(refusal) if dry_run => Err(refusal),
            Err(refusal) => Err(self.refused(event, refusal).await),
        }
    }

    async fn make(&self, caller: &Caller, asked: &Asked, event: &Event) -> Result<Made, Refusal> {
        let picture = self.reader.look().await;
        if picture.seen.stale {
            // Who is not seen cannot be said to be missing, nor to be left.
            return Err(Refusal::Unavailable { why: "the fleet cannot be seen".to_owned(), may_have_run: false });
        }
        for _ in 0..ATTEMPTS {
            let (now, held) = self.reader.settings().await?;
            if let Some(expected) = asked.how.expected.filter(|expected| *expected != held.version) {
                return Err(Refusal::Moved { expected, now: held.version });
            }
            self.must_exist(&asked.wish, &held, &picture.fleet)?;
            let word = Word {
                by: caller.name.to_string(),
                reason: asked.reason.clone(),
                at: now,
                expires: asked.expires_after.map(|after| now + after),
            };
            let plan = asked.wish.plan(&held, &picture.seen, &word, now)?;
            if asked.how.dry_run {
                return Ok(Made { version: held.version, plan });
            }
            if !plan.forsaken.is_empty() && !asked.how.force {
                return Err(Refusal::LastProvider { models: plan.forsaken });
            }
            if let Some(made) = self.put(plan, held.version, event).await? {
                return Ok(made);
            }
        }
        Err(Refusal::Unavailable { why: "others change the settings all the time".to_owned(), may_have_run: false })
    }

    /// Puts what is planned in place; `None`: somebody else was faster.
    async fn put(&self, mut plan: Plan, replaces: u64, event: &Event) -> Result<Option<Made>, Refusal> {
        // Each sidecar that applies them joins this trace.
        plan.settings.trace = telemetry::current().parent_text().map(str::to_owned);
        let version = plan.settings.version;
        let effect = plan.effects.join("; ");
        let entry = event.clone().ended(Outcome::Done { effect: &effect, version });
        let noted = Append { entry: &entry, limits: self.kept };
        let put = ChangeSettings { settings: &plan.settings, replaces, noted };
        match self.reader.ask(&put).await {
            Ok((_, placed)) => {
                let ours = placed.settings == plan.settings;
                self.reader.remember(placed.settings);
                Ok(ours.then_some(Made { version, plan }))
            }
            // It may have been done all the same: then it stands there.
            Err(error) => match self.reader.settings().await {
                Ok((_, held)) if *held == plan.settings => Ok(Some(Made { version, plan })),
                _ => Err(error.into()),
            },
        }
    }

    fn must_exist(&self, wish: &Wish, held: &Settings, fleet: &v1::Fleet) -> Result<(), Refusal> {
        let missing = match wish {
            Wish::Provider { name, .. } | Wish::Reset { name } | Wish::Breaker { name, .. } => {
                let known = fleet.providers.iter().any(|one| one.name == *name) || held.providers.contains_key(name);
                (!known).then(|| {
                    let names: Vec<_> = fleet.providers.iter().map(|one| one.name.as_str()).collect();
                    format!("no sidecar has a provider {name}; there are: {}", names.join(", "))
                })
            }
            Wish::Level { sidecar: Some(id), .. } => {
                let known = fleet.sidecars.iter().any(|one| one.id == *id) || held.sidecar_levels.contains_key(id);
                (!known).then(|| format!("no sidecar {id} is there"))
            }
            Wish::Level { sidecar: None, .. } => None,
        };
        missing.map_or(Ok(()), |what| Err(Refusal::NotFound(what)))
    }

    /// Waits until all whom it concerns have applied it, and are still there.
    async fn wait(&self, made: &Made, limit: Duration) -> v1::ChangeResult {
        let began = clock::now();
        loop {
            let (waiting, total) = match self.reader.everybody().await {
                Ok(sidecars) => lagging(made, &sidecars),
                Err(_) => (made.plan.concerned.iter().cloned().collect(), made.plan.concerned.len()),
            };
            if waiting.is_empty() || clock::now() >= began + limit {
                return told(made, &waiting, total);
            }
            let sidecars = u32::try_from(total).unwrap_or(u32::MAX);
            tokio::time::sleep(LOOK * sidecars.max(MANY) / MANY).await;
        }
    }
}

/// Of those whom it concerns and who are there: who has not applied it, and how many they are.
fn lagging(made: &Made, sidecars: &[Alive]) -> (BTreeSet<String>, usize) {
    let live = sidecars.iter().filter(|alive| alive.live).map(|alive| &alive.heartbeat);
    let concerned: BTreeSet<&str> = made.plan.concerned.iter().map(String::as_str).collect();
    let there: Vec<_> = live.filter(|beat| concerned.contains(beat.id.as_str())).collect();
    let waiting = there.iter().filter(|beat| beat.settings_version < made.version).map(|beat| beat.id.clone());
    (waiting.collect(), there.len())
}

/// What came of it, on the request's span.
fn note(result: &v1::ChangeResult) {
    let version = i64::try_from(result.settings_version).unwrap_or(i64::MAX);
    let effects = result.effects.iter().cloned().map(StringValue::from).collect();
    telemetry::note(KeyValue::new("fusebox.settings.version", version));
    telemetry::note(KeyValue::new("fusebox.effects", Value::Array(Array::String(effects))));
    telemetry::note(KeyValue::new("fusebox.sidecars.applied", i64::from(result.sidecars_applied)));
    telemetry::note(KeyValue::new("fusebox.sidecars.total", i64::from(result.sidecars_total)));
}

fn told(made: &Made, waiting: &BTreeSet<String>, total: usize) -> v1::ChangeResult {
    let count = |many: usize| u32::try_from(many).unwrap_or(u32::MAX);
    v1::ChangeResult {
        settings_version: made.version,
        sidecars_applied: count(total - waiting.len().min(total)),
        sidecars_total: count(total),
        effects: made.plan.effects.clone(),
        waiting_for: waiting.iter().take(MOST_NAMED).cloned().collect(),
    }
}
