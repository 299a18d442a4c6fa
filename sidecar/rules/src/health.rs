//! How well a sidecar is: what each check's reading means, and what all of them together come to.
//!
//! Nothing is measured here, and no call's way depends on it: whom a call may ask is the breakers' to say.

use crate::error::{Blame, ErrorKind};

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// Whether providers answer a question.
    Model,
    /// Whether there is room on the disk.
    Disk,
    /// Whether there is room in the GPUs' memory.
    Gpu,
    /// Whether providers accept their keys.
    Keys,
}

/// What a reading may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The share of the disk, from 0 to 1, that must be free.
    pub min_disk_free: f64,
    /// The share of a GPU's memory, from 0 to 1, that may be in use.
    pub max_gpu_memory: f64,
}

/// One check's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Whether the sidecar is no use without it.
    pub critical: bool,
    /// Whether all is well.
    pub healthy: bool,
}

/// How well the sidecar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// All is well.
    Healthy,
    /// It answers calls, and somebody should look.
    Degraded,
    /// It cannot answer calls, or will soon not.
    Critical,
}

/// What is known of the providers that are switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Providers {
    /// How many there are.
    pub all: usize,
    /// Those that a call can go to now.
    pub askable: usize,
}

impl Check {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Model, Self::Disk, Self::Gpu, Self::Keys];

    /// Its name in the configuration and in what is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Disk => "disk",
            Self::Gpu => "gpu",
            Self::Keys => "keys",
        }
    }
}

impl Status {
    /// Its name in what is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Critical => "critical",
        }
    }
}

impl Limits {
    /// Whether `free` of `all` bytes is enough. A disk without size has none to give.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
    pub fn has_room(&self, free: u64, all: u64) -> bool {
        all > 0 && free as f64 / all as f64 >= self.min_disk_free
    }

    /// Whether `used`, from 0 to 1, of a GPU's memory leaves room.
    #[must_use]
    pub fn gpu_has_room(&self, used: f64) -> bool {
        used < self.max_gpu_memory || used <= 0.0
    }
}

/// Whether a provider that failed so, asked for one token, can be said to answer: it may find fault with the question,
/// or ask to be left alone for a while.
#[must_use]
pub fn answers(failed: ErrorKind) -> bool {
    match failed {
        ErrorKind::ModelNotFound | ErrorKind::PermissionDenied => false,
        other => matches!(other.row().blame, Blame::None | Blame::CoolDown),
    }
}

/// What `findings` come to, with `providers` and with whether the sidecar takes calls at all.
#[must_use]
pub fn status(ready: bool, providers: Providers, findings: impl IntoIterator<Item = Finding>) -> Status {
    if !ready || providers.askable == 0 {
        return Status::Critical;
    }
    let start = if providers.askable < providers.all { Status::Degraded } else { Status::Healthy };
    findings.into_iter().fold(start, |status, finding| match finding {
        Finding { healthy: true, .. } => status,
        Finding { critical: true, .. } => Status::Critical,
        Finding { .. } if status == Status::Critical => status,
        Finding { .. } => Status::Degraded,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Providers = Providers { all: 2, askable: 2 };

    fn finding(critical: bool, healthy: bool) -> Finding {
        Finding { critical, healthy }
    }

    #[test]
    fn the_worst_finding_decides() {
        let (good, bad, worst) = (finding(true, true), finding(false, false), finding(true, false));
        let some = Providers { askable: 1, ..ALL };
        let none = Providers { askable: 0, ..ALL };
        let cases: [(bool, Providers, &[Finding], Status); 9] = [
            (true, ALL, &[], Status::Healthy),
            (true, ALL, &[good], Status::Healthy),
            (true, ALL, &[good, bad], Status::Degraded),
            (true, ALL, &[worst, bad, good], Status::Critical),
            (true, ALL, &[bad, worst], Status::Critical),
            (true, some, &[good], Status::Degraded),
            (true, some, &[worst], Status::Critical),
            (true, none, &[good], Status::Critical),
            (false, ALL, &[good], Status::Critical),
        ];
        for (ready, providers, findings, expected) in cases {
            let status = status(ready, providers, findings.iter().copied());
            assert_eq!(status, expected, "{ready} {providers:?} {findings:?}");
        }
    }

    #[test]
    fn room_is_judged_at_its_limits() {
        let limits = Limits { min_disk_free: 0.1, max_gpu_memory: 0.95 };
        for (free, all, enough) in [(10, 100, true), (9, 100, false), (0, 0, false), (u64::MAX, u64::MAX, true)] {
            assert_eq!(limits.has_room(free, all), enough, "{free} of {all}");
        }
        for (used, enough) in [(0.0, true), (0.949, true), (0.95, false), (1.0, false), (f64::NAN, false)] {
            assert_eq!(limits.gpu_has_room(used), enough, "{used}");
        }
    }

    #[test]
    fn a_provider_that_finds_fault_with_the_question_answers() {
        for (kind, expected) in [
            (ErrorKind::InvalidInput, true),
            (ErrorKind::InvalidResponse, true),
            (ErrorKind::ContentFiltered, true),
            (ErrorKind::RateLimited, true),
            (ErrorKind::Authentication, false),
            (ErrorKind::ModelNotFound, false),
            (ErrorKind::NetworkError, false),
            (ErrorKind::InferenceTimeout, false),
            (ErrorKind::ModelLoadingFailed, false),
        ] {
            assert_eq!(answers(kind), expected, "{kind}");
        }
    }

    #[test]
    fn each_check_has_a_name_of_its_own() {
        for check in Check::ALL {
            assert_eq!(Check::ALL.iter().filter(|other| other.name() == check.name()).count(), 1);
        }
    }
}
