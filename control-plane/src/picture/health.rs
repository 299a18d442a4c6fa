//! The fleet's health, from its sidecars': by shares, so that one sick pod of a hundred is no alarm at night.

use fusebox_proto::v1::{DegradationLevel, HealthStatus, Sidecar};

/// From which share of the live sidecars on the fleet's health is what theirs is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HealthRule {
    /// Critical, where this share is; from 0 to 1.
    pub critical_share: f64,
    /// Degraded, where this share is not healthy; from 0 to 1.
    pub degraded_share: f64,
}

impl Default for HealthRule {
    fn default() -> Self {
        Self { critical_share: 0.5, degraded_share: 0.1 }
    }
}

/// How well a fleet is, and why.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    pub(super) health: HealthStatus,
    pub(super) level: DegradationLevel,
    pub(super) reason: String,
}

impl HealthRule {
    /// The health of a fleet of `sidecars`, of which those that are late say nothing. A share of zero means one
    /// sidecar is enough. The level is the least that as many work at as make a fleet degraded.
    pub(super) fn judge(&self, sidecars: &[Sidecar]) -> Judged {
        let live: Vec<_> = sidecars.iter().filter(|sidecar| !sidecar.late).collect();
        let count = |wanted: &dyn Fn(&Sidecar) -> bool| live.iter().filter(|sidecar| wanted(sidecar)).count();
        let critical = count(&|sidecar| sidecar.health() == HealthStatus::Critical);
        let unwell = count(&|sidecar| sidecar.health() != HealthStatus::Healthy);
        let late = sidecars.len() - live.len();
        let health = if live.is_empty() {
            if late > 0 { HealthStatus::Critical } else { HealthStatus::Unspecified }
        } else if reaches(critical, live.len(), self.critical_share) {
            HealthStatus::Critical
        } else if reaches(unwell, live.len(), self.degraded_share) {
            HealthStatus::Degraded
        } else {
            HealthStatus::Healthy
        };
        Judged {
            health,
            level: self.level(&live),
            reason: self.reason(Counts { live: live.len(), critical, unwell, late }),
        }
    }

    fn level(&self, live: &[&Sidecar]) -> DegradationLevel {
        let at_least =
            |level: DegradationLevel| live.iter().filter(|sidecar| sidecar.degradation_level >= level.into()).count();
        let reached = |level: &DegradationLevel| reaches(at_least(*level), live.len(), self.degraded_share);
        if live.is_empty() {
            return DegradationLevel::Unspecified;
        }
        [DegradationLevel::Minimal, DegradationLevel::Reduced]
            .into_iter()
            .find(reached)
            .unwrap_or(DegradationLevel::Full)
    }

    fn reason(&self, counts: Counts) -> String {
        let Counts { live, critical, unwell, late } = counts;
        let late = if late == 0 { String::new() } else { format!("; {late} went silent within the last minute") };
        if live == 0 {
            return format!("no sidecar is there{late}");
        }
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        format!(
            "{critical} of {live} sidecars critical (the fleet is from {} on), {unwell} not healthy (degraded from {} on){late}",
            percent(self.critical_share),
            percent(self.degraded_share),
        )
    }
}

#[derive(Clone, Copy)]
struct Counts {
    live: usize,
    critical: usize,
    unwell: usize,
    late: usize,
}

/// Whether `some` of `all` are that share at least, and at least one.
#[expect(clippy::cast_precision_loss, reason = "far fewer sidecars than a double holds exactly")]
fn reaches(some: usize, all: usize, share: f64) -> bool {
    some > 0 && some as f64 >= share * all as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(healthy: usize, degraded: usize, critical: usize) -> Vec<Sidecar> {
        let of = |count, health: HealthStatus, level: DegradationLevel| {
            let one = Sidecar { health: health.into(), degradation_level: level.into(), ..Sidecar::default() };
            std::iter::repeat_n(one, count)
        };
        of(healthy, HealthStatus::Healthy, DegradationLevel::Full)
            .chain(of(degraded, HealthStatus::Degraded, DegradationLevel::Reduced))
            .chain(of(critical, HealthStatus::Critical, DegradationLevel::Minimal))
            .collect()
    }

    fn judged(sidecars: &[Sidecar]) -> (HealthStatus, DegradationLevel) {
        let judged = HealthRule::default().judge(sidecars);
        (judged.health, judged.level)
    }

    #[test]
    fn the_fleet_is_what_enough_of_its_sidecars_are() {
        use DegradationLevel::{Full, Minimal, Reduced};
        assert_eq!(judged(&fleet(100, 0, 0)), (HealthStatus::Healthy, Full));
        assert_eq!(judged(&fleet(91, 9, 0)), (HealthStatus::Healthy, Full));
        assert_eq!(judged(&fleet(90, 10, 0)), (HealthStatus::Degraded, Reduced));
        assert_eq!(judged(&fleet(51, 0, 49)), (HealthStatus::Degraded, Minimal));
        assert_eq!(judged(&fleet(50, 0, 50)), (HealthStatus::Critical, Minimal));
        assert_eq!(judged(&fleet(1, 0, 1)), (HealthStatus::Critical, Minimal));
    }

    #[test]
    fn with_a_share_of_zero_one_sidecar_is_enough_and_none_is_not() {
        let rule = HealthRule { critical_share: 0.0, degraded_share: 0.0 };
        assert_eq!(rule.judge(&fleet(99, 0, 1)).health, HealthStatus::Critical);
        assert_eq!(rule.judge(&fleet(99, 0, 0)).health, HealthStatus::Healthy);
    }

    #[test]
    fn sidecars_that_went_silent_say_nothing_and_a_fleet_of_them_alone_is_critical() {
        let mut sidecars = fleet(1, 0, 1);
        sidecars[1].late = true;
        let rule = HealthRule::default();
        assert_eq!(rule.judge(&sidecars).health, HealthStatus::Healthy);
        assert!(rule.judge(&sidecars).reason.ends_with("; 1 went silent within the last minute"));
        sidecars[0].late = true;
        assert_eq!(rule.judge(&sidecars).health, HealthStatus::Critical);
        assert_eq!(rule.judge(&[]).health, HealthStatus::Unspecified);
        assert_eq!(rule.judge(&[]).reason, "no sidecar is there");
    }

    #[test]
    fn the_reason_says_the_rule() {
        let reason = HealthRule::default().judge(&fleet(7, 2, 1)).reason;
        assert_eq!(
            reason,
            "1 of 10 sidecars critical (the fleet is from 50 % on), 3 not healthy (degraded from 10 % on)"
        );
    }
}
