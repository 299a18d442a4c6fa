//! The configuration as calls use it: names resolved, providers dialled, gates kept over reloads.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use fusebox_rules::survive::Continuation;

use super::{counting::Counting, hedge::Times};
use crate::{
    chat::request::{Operation, Request},
    config::{self, Config},
    gate::Gate,
    provider::{self, Provider},
};

/// One generation of the configuration, ready for calls.
#[derive(Debug)]
pub struct Plan {
    /// What it was made from.
    pub config: Config,
    /// Every provider, in the configuration's order.
    pub upstreams: Vec<Arc<Upstream>>,
    routes: BTreeMap<Arc<str>, Arc<Route>>,
    /// What serves a call that names no model; with no models configured, whatever it names.
    default: Arc<Route>,
}

/// A provider, its gate, and a client for each thread that asks it.
#[derive(Debug)]
pub struct Upstream {
    /// Its place in the configuration.
    pub index: usize,
    /// Its settings.
    pub settings: Arc<config::Provider>,
    /// Whether it may be asked.
    pub gate: Arc<Gate>,
    /// One for each worker, and a last one for probes.
    clients: Arc<[Provider]>,
    /// Whether it has refused to go on with an answer that another one began.
    will_not_continue: AtomicBool,
}

impl Upstream {
    /// The client of the thread that asks.
    #[must_use]
    pub fn client(&self, worker: usize) -> &Provider {
        &self.clients[worker.min(self.clients.len() - 1)]
    }

    /// How it goes on with a chat's answer that another one began: as configured, until it has refused to.
    #[must_use]
    pub fn continuation(&self) -> Continuation {
        if self.will_not_continue.load(Relaxed) { Continuation::None } else { self.settings.continuation }
    }

    /// It refused to go on with another one's answer, and is not asked to again before the configuration changes.
    pub fn refused_to_continue(&self) {
        self.will_not_continue.store(true, Relaxed);
    }
}

/// Who serves a model.
#[derive(Debug)]
pub struct Route {
    /// Enabled providers, as typed. May be empty.
    pub seats: Vec<Seat>,
}

/// A provider's place in a route.
#[derive(Debug)]
pub struct Seat {
    /// Who.
    pub upstream: Arc<Upstream>,
    /// What it calls the model; `None`: what the caller called it.
    pub model: Option<Arc<str>>,
    /// Tokens; `None`: not known.
    pub context_window: Option<u32>,
    /// How long it took of late.
    pub times: Times,
    /// How its tokens are counted.
    pub counting: Arc<Counting>,
}

impl Seat {
    /// Whether `request` asks for no more embeddings at once than the provider takes.
    #[must_use]
    pub fn takes_as_many(&self, request: &Request) -> bool {
        request.operation != Operation::Embed || request.choices <= self.upstream.settings.max_batch
    }

    /// Whether a prompt too long for `other` may fit here.
    #[must_use]
    pub fn may_hold_more_than(&self, other: &Self) -> bool {
        match (self.context_window, other.context_window) {
            (Some(this), Some(that)) => this > that,
            (None, _) | (_, None) => true,
        }
    }
}

impl Plan {
    /// Makes `config` ready for `workers` threads, keeping from `before` the gates and clients of providers that
    /// stayed what they were.
    ///
    /// # Errors
    /// Each provider that cannot be used, and why, with its place in the configuration.
    pub fn try_new(
        config: Config,
        workers: usize,
        before: Option<&Self>,
        gate: impl Fn(&Arc<config::Provider>) -> Arc<Gate>,
    ) -> Result<Self, Vec<String>> {
        let mut upstreams = Vec::with_capacity(config.providers.len());
        let mut faults = Vec::new();
        for (index, settings) in config.providers.iter().enumerate() {
            let kept = before.and_then(|plan| plan.upstreams.iter().find(|old| old.settings.name == settings.name));
            let gate = match kept {
                Some(old) if is_the_same(&old.settings, settings) => Arc::clone(&old.gate),
                _ => gate(settings),
            };
            // Whatever else changed may change how a client dials or signs, so clients are made anew.
            let dialled =
                kept.filter(|old| is_but_switched(&old.settings, settings)).map(|old| Arc::clone(&old.clients));
            let fresh = || (0..=workers).map(|_| Provider::try_new(settings, config.limits.max_answer)).collect();
            let clients: Result<Arc<[_]>, _> = dialled.map_or_else(fresh, Ok);
            match clients {
                Ok(clients) => {
                    upstreams.push(Arc::new(Upstream {
                        index,
                        settings: Arc::clone(settings),
                        gate,
                        clients,
                        will_not_continue: AtomicBool::new(false),
                    }));
                }
                Err(fault) => faults.push(format!("providers[{index}]: {fault}")),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        if let Some(before) = before {
            before.hand_over(&upstreams, &config);
        }
        let bounds = config.overload.enabled.then_some(&config.overload.limit);
        for upstream in &upstreams {
            upstream.gate.limiter().set(bounds);
            upstream.gate.switch(upstream.settings.enabled);
        }
        let kept = before.into_iter().flat_map(|plan| plan.routes.values()).flat_map(|route| &route.seats);
        let mut countings = kept
            .filter_map(|seat| Some((key(&seat.upstream, seat.model.as_ref()?), Arc::clone(&seat.counting))))
            .collect();
        let routes: BTreeMap<_, _> = config
            .models
            .iter()
            .map(|model| (Arc::clone(&model.name), Arc::new(route(model, &upstreams, &mut countings))))
            .collect();
        let default = match config.models.first().and_then(|model| routes.get(&model.name)) {
            Some(first) => Arc::clone(first),
            None => Arc::new(pass_through(&upstreams)),
        };
        Ok(Self { config, upstreams, routes, default })
    }

    /// Tells the gates that are kept what the new configuration says of their providers; called once it is known to be
    /// good as a whole.
    fn hand_over(&self, upstreams: &[Arc<Upstream>], config: &Config) {
        for new in upstreams {
            let Some(old) = self.upstreams.iter().find(|old| Arc::ptr_eq(&old.gate, &new.gate)) else { continue };
            if old.settings.api_key != new.settings.api_key {
                new.gate.key_changed();
            }
            new.gate.adopt(&new.settings, &config.retry_budget);
        }
    }

    /// The smaller sibling of the model that a caller calls `name`, and who serves it; `None`: it has none.
    #[must_use]
    pub fn smaller(&self, name: &str) -> Option<(&Arc<str>, &Arc<Route>)> {
        let mut models = self.config.models.iter();
        let model = if name.is_empty() { models.next() } else { models.find(|model| *model.name == *name) };
        let smaller = model?.smaller.as_ref()?;
        Some((smaller, self.routes.get(smaller)?))
    }

    /// Who serves the model that a caller calls `name`; `None`: no such model is configured.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<&Arc<Route>> {
        if name.is_empty() || self.routes.is_empty() { Some(&self.default) } else { self.routes.get(name) }
    }
}

/// Whether what is known of one still holds for the other: it is the same server, judged by the same rules.
fn is_the_same(old: &config::Provider, new: &config::Provider) -> bool {
    let judged = |provider: &config::Provider| (provider.breaker.clone(), provider.timeouts.total, provider.scope);
    (old.kind, &old.base_url) == (new.kind, &new.base_url) && judged(old) == judged(new)
}

/// Whether all that the two differ in is what operators set: whether it is asked, and its rank.
fn is_but_switched(old: &config::Provider, new: &config::Provider) -> bool {
    *old == config::Provider { enabled: old.enabled, priority: old.priority, ..new.clone() }
}

/// How each provider's model counts, where that may have been learnt.
type Countings = HashMap<(Arc<str>, Arc<str>), Arc<Counting>>;

fn key(upstream: &Upstream, model: &Arc<str>) -> (Arc<str>, Arc<str>) {
    (Arc::clone(&upstream.settings.name), Arc::clone(model))
}

fn route(model: &config::Model, upstreams: &[Arc<Upstream>], countings: &mut Countings) -> Route {
    let seats = model
        .providers
        .iter()
        .filter_map(|served| Some((served, upstreams.get(served.provider)?)))
        .filter(|(_, upstream)| upstream.settings.enabled)
        .map(|(served, upstream)| {
            let model = served.model.as_ref().map_or_else(|| Arc::clone(&model.name), Arc::clone);
            let new = || Arc::new(Counting::new(&model));
            let counting = Arc::clone(countings.entry(key(upstream, &model)).or_insert_with(new));
            let upstream = Arc::clone(upstream);
            Seat {
                upstream,
                model: Some(model),
                context_window: served.context_window,
                times: Times::default(),
                counting,
            }
        })
        .collect();
    Route { seats }
}

fn pass_through(upstreams: &[Arc<Upstream>]) -> Route {
    let enabled = upstreams.iter().filter(|upstream| upstream.settings.enabled);
    let seats = enabled.map(|upstream| Seat {
        upstream: Arc::clone(upstream),
        model: None,
        context_window: None,
        times: Times::default(),
        counting: Arc::default(),
    });
    Route { seats: seats.collect() }
}

impl Route {
    /// The seats that can take `operation`, each with its index, by rank; those of one rank by how little they have to do.
    #[must_use]
    pub fn order(&self, operation: Operation) -> Vec<(usize, &Seat)> {
        let serves = |(_, seat): &(usize, &Seat)| provider::serves(seat.upstream.settings.kind, operation);
        let mut order: Vec<(usize, &Seat)> = self.seats.iter().enumerate().filter(serves).collect();
        // In flight changes while it is read; the keys are taken once, so that the order is one.
        order.sort_by_cached_key(|(_, seat)| (seat.upstream.settings.priority, seat.upstream.gate.in_flight()));
        order
    }

    /// The inputs that whoever is first by rank to embed takes in one request; `None`: nobody embeds.
    #[must_use]
    pub fn batch_limit(&self) -> Option<u32> {
        let first = self.embedders().min_by_key(|provider| (provider.priority, provider.max_batch))?;
        Some(first.max_batch)
    }

    /// The most inputs that anybody takes in one request of those who do not take `inputs`.
    #[must_use]
    pub fn batch_limit_below(&self, inputs: u32) -> Option<u32> {
        self.embedders().map(|provider| provider.max_batch).filter(|limit| *limit < inputs).max()
    }

    fn embedders(&self) -> impl Iterator<Item = &config::Provider> {
        let settings = self.seats.iter().map(|seat| &*seat.upstream.settings);
        settings.filter(|provider| provider::serves(provider.kind, Operation::Embed))
    }

    /// How long a call may take if its caller did not say: each provider's whole time, one after the other.
    #[must_use]
    pub fn patience(&self, stream: bool) -> Duration {
        let one = |seat: &Seat| match &seat.upstream.settings.timeouts {
            timeouts if stream => timeouts.stream_total,
            timeouts => timeouts.total,
        };
        self.seats.iter().map(one).sum()
    }
}
