//! Use of processors and memory: of the container where it has limits, by cgroup v2 or v1, else of the machine.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use fusebox_rules::moment::Moment;

/// Bytes of a file here; each has much fewer.
const MAX_FILE: u64 = 1 << 20;
/// Over about how long the use of processors is averaged: a burst of a second is no load.
const SMOOTHED_OVER: Duration = Duration::from_secs(5);

/// The processors and the memory that this process may use.
#[derive(Debug)]
pub(super) struct Machine {
    root: PathBuf,
    groups: Groups,
    before: Option<(Busy, Moment)>,
    cpu: Option<f64>,
}

/// Where the container's accounts are.
#[derive(Debug)]
enum Groups {
    V2(PathBuf),
    V1 { cpu: PathBuf, usage: PathBuf, memory: PathBuf },
}

/// Time used so far, of the time there was.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Busy {
    /// Seconds of all processors together, of which so many may be used in a second.
    Limited { used: f64, per_second: f64 },
    /// Ticks of the machine: busy, and all.
    Machine { busy: f64, all: f64 },
}

impl Machine {
    /// The one whose files are below `root`, `/` being this one.
    pub(super) fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let groups = Groups::find(&root);
        Self { root, groups, before: None, cpu: None }
    }

    /// The share of its processors' time in use lately; `None`: not known, as before the second reading.
    pub(super) fn cpu(&mut self, now: Moment) -> Option<f64> {
        let busy = self.groups.limited().or_else(|| self.machine_busy())?;
        if let Some((before, at)) = self.before.replace((busy, now)) {
            let elapsed = now.since(at);
            if let Some(share) = busy.share_since(before, elapsed) {
                let weight = 1.0 - (-elapsed.as_secs_f64() / SMOOTHED_OVER.as_secs_f64()).exp();
                self.cpu = Some(self.cpu.map_or(share, |smoothed| smoothed + (share - smoothed) * weight));
            }
        }
        self.cpu
    }

    /// The share of its memory in use; what can be dropped at once is not.
    pub(super) fn memory(&self) -> Option<f64> {
        let machine = Memory::of_machine(&self.root);
        let limited = self.groups.memory();
        // A limit above what the machine has is none.
        let limited = limited.filter(|limited| machine.is_none_or(|machine| limited.all <= machine.all));
        limited.or(machine).map(Memory::share)
    }

    fn machine_busy(&self) -> Option<Busy> {
        let stat = text(&self.root.join("proc/stat"))?;
        let ticks: Vec<f64> = stat
            .lines()
            .next()?
            .strip_prefix("cpu ")?
            .split_ascii_whitespace()
            .filter_map(|n| n.parse().ok())
            .collect();
        // user nice system idle iowait irq softirq steal; what guests use is in user already.
        let all: f64 = ticks.iter().take(8).sum();
        let idle: f64 = ticks.get(3)? + ticks.get(4).copied().unwrap_or_default();
        Some(Busy::Machine { busy: all - idle, all })
    }
}

impl Busy {
    /// The share of what there was since `before`; `None` if the two do not compare.
    fn share_since(self, before: Self, elapsed: Duration) -> Option<f64> {
        let (used, there_was) = match (self, before) {
            (Self::Limited { used, per_second }, Self::Limited { used: before, .. }) => {
                (used - before, per_second * elapsed.as_secs_f64())
            }
            (Self::Machine { busy, all }, Self::Machine { busy: busy_before, all: before }) => {
                (busy - busy_before, all - before)
            }
            _ => return None,
        };
        (used >= 0.0 && there_was > 0.0).then(|| (used / there_was).min(1.0))
    }
}

impl Groups {
    /// The container's own accounts: at the mount's root where it sees no other, else at the path that the kernel names.
    fn find(root: &Path) -> Self {
        let mount = root.join("sys/fs/cgroup");
        let own = text(&root.join("proc/self/cgroup")).unwrap_or_default();
        let path_of = |controller: &str| {
            own.lines().find_map(|line| {
                let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
                controllers.split(',').any(|one| one == controller).then(|| path.trim_start_matches('/').to_owned())
            })
        };
        let below = |mount: PathBuf, controller: &str| match path_of(controller).map(|path| mount.join(path)) {
            Some(own) if own.is_dir() => own,
            _ => mount,
        };
        if mount.join("cgroup.controllers").exists() {
            return Self::V2(below(mount, ""));
        }
        Self::V1 {
            cpu: below(mount.join("cpu"), "cpu"),
            usage: below(mount.join("cpuacct"), "cpuacct"),
            memory: below(mount.join("memory"), "memory"),
        }
    }

    /// Processor time used, if there is a limit on it.
    fn limited(&self) -> Option<Busy> {
        let (quota, period, used) = match self {
            Self::V2(own) => {
                let limit = text(&own.join("cpu.max"))?;
                let mut words = limit.split_ascii_whitespace();
                let (quota, period) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                (quota, period, field(&own.join("cpu.stat"), "usage_usec")? / 1e6)
            }
            Self::V1 { cpu, usage, .. } => {
                let quota = number(&cpu.join("cpu.cfs_quota_us"))?;
                (quota, number(&cpu.join("cpu.cfs_period_us"))?, number(&usage.join("cpuacct.usage"))? / 1e9)
            }
        };
        (quota > 0.0 && period > 0.0).then(|| Busy::Limited { used, per_second: quota / period })
    }

    fn memory(&self) -> Option<Memory> {
        let (used, all, cache) = match self {
            Self::V2(own) => (
                number(&own.join("memory.current"))?,
                number(&own.join("memory.max"))?,
                field(&own.join("memory.stat"), "inactive_file"),
            ),
            Self::V1 { memory, .. } => (
                number(&memory.join("memory.usage_in_bytes"))?,
                number(&memory.join("memory.limit_in_bytes"))?,
                field(&memory.join("memory.stat"), "total_inactive_file"),
            ),
        };
        Some(Memory { used: used - cache.unwrap_or_default(), all })
    }
}

/// Bytes in use, and bytes there are.
#[derive(Debug, Clone, Copy)]
struct Memory {
    used: f64,
    all: f64,
}

impl Memory {
    fn of_machine(root: &Path) -> Option<Self> {
        let file = root.join("proc/meminfo");
        let all = field(&file, "MemTotal:")?;
        // In KiB, as are cgroups' accounts in bytes.
        Some(Self { used: (all - field(&file, "MemAvailable:")?) * 1024.0, all: all * 1024.0 })
    }

    fn share(self) -> f64 {
        if self.all > 0.0 { (self.used / self.all).clamp(0.0, 1.0) } else { 0.0 }
    }
}

fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(MAX_FILE).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The number that is all of a file; `max` is none.
fn number(path: &Path) -> Option<f64> {
    text(path)?.trim().parse().ok()
}

/// The number after `name` at a line's start.
fn field(path: &Path, name: &str) -> Option<f64> {
    text(path)?.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some(name)).then(|| words.next()?.parse().ok())?
    })
}

#[cfg(test)]
mod tests;
