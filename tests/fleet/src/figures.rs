//! What a history came to, in numbers.

use std::time::Duration;

use fusebox_rules::moment::Moment;

use crate::{scenario::Lived, sidecar::Sharing};

/// A figure: what it is of, and what it is.
pub type Figure = (&'static str, String);

/// Calls are answered again if so large a share of them is, for so many seconds in a row.
const NORMAL: (f64, usize) = (0.95, 5);

/// Seconds after the trouble's cause was gone until calls are answered as before.
#[must_use]
pub fn back_to_normal(lived: &Lived<'_>) -> Option<u64> {
    let watch = &lived.world.watch;
    let from = usize::try_from(lived.scenario.over).ok()?;
    let (share, row) = NORMAL;
    // Chance alone takes a few calls from a second in a small fleet.
    let least = share * lived.demand - 3.0 * lived.demand.sqrt();
    #[expect(clippy::cast_precision_loss, reason = "calls of a second are far below 2^52")]
    let good: Vec<bool> = watch.answered.by_second().iter().map(|answered| *answered as f64 >= least).collect();
    let good = good.get(from..)?;
    good.windows(row).position(|window| window.iter().all(|good| *good)).map(|after| after as u64)
}

/// All figures of a history.
#[must_use]
pub fn of(lived: &Lived<'_>) -> Vec<Figure> {
    let mut figures = spread(lived);
    figures.extend(provider(lived));
    figures.extend(recovery(lived));
    if lived.sharing == Sharing::Fleet {
        figures.extend(store(lived));
    }
    figures
}

fn spread(lived: &Lived<'_>) -> Vec<Figure> {
    let from = moment(lived.scenario.trouble);
    let shut = delays(lived.world.sides.iter().map(|side| side.shut_at), from);
    if shut.is_empty() {
        return Vec::new();
    }
    let name = "time until sidecars shut the provider out (half, 99 %, last)";
    let missing = lived.world.sides.len() - shut.len();
    let rest = if missing > 0 { format!("; {missing} never") } else { String::new() };
    vec![(name, format!("{}{rest}", three(&shut)))]
}

fn provider(lived: &Lived<'_>) -> Vec<Figure> {
    let (watch, scenario) = (&lived.world.watch, lived.scenario);
    let mut figures = Vec::new();
    if watch.calls_on_the_dead > 0 {
        figures.push(("callers' attempts at the dead provider", watch.on_the_dead.to_string()));
        let per_call = ratio(watch.on_the_dead, watch.calls_on_the_dead);
        figures.push(("of these, for each call made meanwhile", format!("{per_call:.3}")));
    }
    let until = scenario.over.max(scenario.trouble + 1);
    let in_trouble = |rate: &crate::watch::Rate| rate.between(scenario.trouble, until);
    figures.push(("retries while the cause lasts", in_trouble(&watch.retries).to_string()));
    let answered = 100.0 * ratio(in_trouble(&watch.answered), in_trouble(&watch.calls));
    figures.push(("calls answered while it lasts", format!("{answered:.1} %")));
    figures.push(("probes sent", watch.probes.total().to_string()));
    figures.push(("most probes out at once", watch.most_probes_out.to_string()));
    figures.push(("openings of the shared breaker", lived.world.openings().to_string()));
    figures.push(("openings of local breakers by themselves", watch.opened_alone.total().to_string()));
    figures
}

fn recovery(lived: &Lived<'_>) -> Vec<Figure> {
    let (world, over) = (&lived.world, lived.scenario.over);
    if over >= lived.scenario.lasts {
        return Vec::new();
    }
    let mut figures = Vec::new();
    let let_through = delays(world.sides.iter().map(|side| side.let_at), moment(over));
    if !let_through.is_empty() {
        figures.push(("time until sidecars let calls through again (half, 99 %, last)", three(&let_through)));
    }
    let back = back_to_normal(lived).map_or("never".to_owned(), |after| format!("{after} s"));
    figures.push(("time until 95 % of calls are answered again", back));
    let worst = world.watch.attempts.worst_second(over);
    #[expect(clippy::cast_precision_loss, reason = "calls of a second are far below 2^52")]
    let times = worst as f64 / lived.demand;
    figures.push(("attempts in the worst second after it, against calls", format!("{worst} ({times:.2})")));
    let failed = world.watch.failed.between(over, u64::MAX);
    figures.push(("attempts that failed after it", failed.to_string()));
    figures
}

fn store(lived: &Lived<'_>) -> Vec<Figure> {
    let (redis, scenario) = (&lived.world.redis, lived.scenario);
    let sidecars = lived.world.sides.len() as u64;
    let each = |from: u64, to: u64| {
        let requests = ratio(redis.rate.between(from, to), sidecars * (to - from).max(1));
        format!("{requests:.2}")
    };
    let mut figures = Vec::new();
    if scenario.trouble >= 8 {
        figures.push(("requests to the store a sidecar a second, before", each(3, scenario.trouble)));
    }
    figures.push(("the same while the cause lasts", each(scenario.trouble, scenario.over)));
    figures.push(("requests in the worst second", redis.rate.worst_second(3).to_string()));
    figures.push(("requests in the worst 10 ms", redis.rate.worst_slice().to_string()));
    let line = redis.longest_line.as_secs_f64() * 1_000.0;
    figures.push(("longest wait in the store's line", format!("{line:.1} ms")));
    let kinds = redis.kinds.iter().map(|(kind, number)| format!("{kind} {number}")).collect::<Vec<_>>().join(", ");
    figures.push(("requests by kind", kinds));
    figures.push(("leases refused", redis.refused_leases.to_string()));
    figures.push(("requests not answered in time", lived.world.watch.unanswered.to_string()));
    figures
}

const fn moment(second: u64) -> Moment {
    Moment::from_nanos(second * 1_000_000_000)
}

/// How long after `from`, sorted.
fn delays(moments: impl Iterator<Item = Option<Moment>>, from: Moment) -> Vec<Duration> {
    let mut delays: Vec<Duration> = moments.flatten().map(|moment| moment.since(from)).collect();
    delays.sort_unstable();
    delays
}

fn three(sorted: &[Duration]) -> String {
    let at = |per_mille: usize| sorted.get((sorted.len() - 1) * per_mille / 1_000).copied().unwrap_or_default();
    [500, 990, 1_000].map(|per_mille| format!("{:.2} s", at(per_mille).as_secs_f64())).join(", ")
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
