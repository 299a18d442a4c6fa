//! The checks: each on a timer of its own, its last finding kept for whoever asks how the sidecar is.

use std::{collections::BTreeMap, fmt, future::Future, io, sync::Arc, time::Duration};

use fusebox_rules::{
    health::{Check, Limits},
    moment::Moment,
};
use parking_lot::Mutex;
use tokio::{task::JoinSet, time::sleep};

use super::{
    ask::question,
    disk::{Disk, Room},
    model,
};
use crate::{
    call::{
        Shared,
        plan::{Plan, Upstream},
    },
    chat::request::Request,
    clock,
    config::{self, ModelChecks},
    telemetry::Telemetry,
};

/// Reads the share, from 0 to 1, of the fullest GPU's memory that is in use; `None`: there is no GPU to read.
pub type GpuMemory = Arc<dyn Fn() -> Option<f64> + Send + Sync>;

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The check's name, and after a colon the provider's where there is one for each.
    pub name: String,
    /// Whether the sidecar is no use without it.
    pub critical: bool,
    /// Whether all is well.
    pub healthy: bool,
    /// What was found, for people.
    pub message: String,
    /// How long looking took.
    pub took: Duration,
    /// When it was found.
    pub at: Moment,
}

/// The last finding of every check.
pub struct Checks {
    latest: Mutex<BTreeMap<String, Finding>>,
    gpu_memory: GpuMemory,
}

impl Checks {
    /// Nothing has been found yet.
    #[must_use]
    pub fn new(gpu_memory: GpuMemory) -> Arc<Self> {
        Arc::new(Self { latest: Mutex::default(), gpu_memory })
    }

    /// Looks at what the configuration in force names, for as long as what is returned lives.
    #[must_use]
    pub fn start(self: &Arc<Self>, shared: &Shared) -> JoinSet<()> {
        let mut checks = JoinSet::new();
        let current = shared.current.load();
        let (settings, asked) = (&current.plan.config.health, asked(&current.plan));
        self.latest.lock().retain(|name, _| {
            [Check::Disk.name(), Check::Gpu.name()].contains(&&**name)
                || asked.iter().any(|(upstream, _)| *name == name_of(upstream))
        });
        checks.spawn(Arc::clone(self).look_at_disk(settings.clone(), Arc::clone(&shared.telemetry)));
        checks.spawn(Arc::clone(self).look_at_gpu(settings.clone(), Arc::clone(&shared.telemetry)));
        for (upstream, question) in asked {
            checks.spawn(Arc::clone(self).ask(upstream, question, settings.model_interval));
        }
        checks
    }

    /// What was found last, with what can be seen of `plan`'s providers at a glance.
    #[must_use]
    pub fn findings(&self, plan: &Plan) -> Vec<Finding> {
        let critical = &plan.config.health.critical;
        let mut all: Vec<Finding> = self.latest.lock().values().cloned().collect();
        let prefix = format!("{}:", Check::Model.name());
        let models: Vec<&Finding> = all.iter().filter(|finding| finding.name.starts_with(&prefix)).collect();
        let together = (!models.is_empty()).then(|| together(&models, critical.contains(&Check::Model)));
        all.push(keys(plan, critical.contains(&Check::Keys)));
        all.extend(together);
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    async fn look_at_disk(self: Arc<Self>, settings: config::Health, telemetry: Arc<Telemetry>) {
        let critical = settings.critical.contains(&Check::Disk).then_some(&*telemetry);
        let mut disk = Disk::new(settings.disk_path);
        loop {
            let found = async { Some(judged(disk.room().await, &settings.limits)) };
            self.note(Check::Disk.name().to_owned(), critical, found).await;
            sleep(settings.interval).await;
        }
    }

    async fn look_at_gpu(self: Arc<Self>, settings: config::Health, telemetry: Arc<Telemetry>) {
        let critical = settings.critical.contains(&Check::Gpu).then_some(&*telemetry);
        loop {
            match (self.gpu_memory)() {
                None => {
                    self.latest.lock().remove(Check::Gpu.name());
                }
                Some(used) => {
                    let message = format!("{:.1} % of the memory is in use", used * 100.0);
                    let found = async { Some((settings.limits.gpu_has_room(used), message)) };
                    self.note(Check::Gpu.name().to_owned(), critical, found).await;
                }
            }
            sleep(settings.interval).await;
        }
    }

    /// One provider of several may be silent without the sidecar being critical; that is for all of them together.
    async fn ask(self: Arc<Self>, upstream: Arc<Upstream>, question: Request, interval: Duration) {
        loop {
            self.note(name_of(&upstream), None, model::answers(&upstream, &question)).await;
            sleep(interval).await;
        }
    }

    /// Keeps what is found. `critical`: who is told if all is not well, where the sidecar is no use then.
    async fn note(
        &self,
        name: String,
        critical: Option<&Telemetry>,
        found: impl Future<Output = Option<(bool, String)>>,
    ) {
        let began = clock::now();
        let Some((healthy, message)) = found.await else { return };
        let at = clock::now();
        let finding =
            Finding { name: name.clone(), critical: critical.is_some(), healthy, message, took: at.since(began), at };
        let before = self.latest.lock().insert(name, finding.clone());
        if before.is_none_or(|before| before.healthy) && !healthy {
            tracing::warn!(target: "fusebox::health", check = finding.name, message = finding.message, "a check fails");
            if let Some(telemetry) = critical {
                telemetry.unhealthy(&finding.name);
            }
        }
    }
}

/// The providers that are asked, and what.
fn asked(plan: &Plan) -> Vec<(Arc<Upstream>, Request)> {
    let chosen = |upstream: &&Arc<Upstream>| {
        upstream.settings.enabled
            && match plan.config.health.model {
                ModelChecks::Auto => upstream.settings.is_local(),
                ModelChecks::Off => false,
                ModelChecks::Always => true,
            }
    };
    let upstreams = plan.upstreams.iter().filter(chosen);
    upstreams.filter_map(|upstream| Some((Arc::clone(upstream), question(plan, upstream).ok()?))).collect()
}

fn name_of(upstream: &Upstream) -> String {
    format!("{}:{}", Check::Model.name(), upstream.settings.name)
}

fn judged(room: io::Result<Room>, limits: &Limits) -> (bool, String) {
    match room {
        Ok(Room { free, all }) => {
            #[expect(clippy::cast_precision_loss, reason = "for people")]
            let percent = free as f64 / (all as f64).max(1.0) * 100.0;
            (limits.has_room(free, all), format!("{percent:.1} % is free"))
        }
        Err(error) => (false, format!("cannot be looked at: {error}")),
    }
}

/// What the providers that are asked come to: it is enough that one answers.
fn together(models: &[&Finding], critical: bool) -> Finding {
    let well = models.iter().filter(|finding| finding.healthy).count();
    Finding {
        name: Check::Model.name().to_owned(),
        critical,
        healthy: well > 0,
        message: format!("{well} of {} providers asked answer", models.len()),
        took: models.iter().map(|finding| finding.took).max().unwrap_or_default(),
        at: models.iter().map(|finding| finding.at).max().unwrap_or_default(),
    }
}

/// Whether providers accept their keys, as far as calls have found out.
fn keys(plan: &Plan, critical: bool) -> Finding {
    let bad: Vec<&str> = plan
        .upstreams
        .iter()
        .filter(|upstream| upstream.settings.enabled && upstream.gate.standing().key_refused)
        .map(|upstream| &*upstream.settings.name)
        .collect();
    let message = match bad.as_slice() {
        [] => "no key was refused".to_owned(),
        some => format!("refused by {}, until it changes", some.join(", ")),
    };
    let (name, at) = (Check::Keys.name().to_owned(), clock::now());
    Finding { name, critical, healthy: bad.is_empty(), message, took: Duration::ZERO, at }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checks").field("latest", &self.latest).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
