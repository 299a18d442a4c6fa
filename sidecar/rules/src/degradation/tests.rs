//! Degradation against written signals, against any signal, and against one that sits on a threshold.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    Settings { reduced_above: 0.7, minimal_above: 0.9, hold: 10 * SECOND }
}

fn at(seconds: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(seconds)
}

/// The level after each of `loads`, a second apart.
fn levels(loads: &[f64]) -> Vec<Level> {
    let mut degradation = Degradation::default();
    (0..).zip(loads).map(|(second, load)| degradation.read(&settings(), Some(*load), at(second))).collect()
}

use Level::{Full, Minimal, Reduced};

#[test]
fn a_single_high_reading_changes_nothing() {
    assert_eq!(levels(&[0.1, 1.0, 0.1, 1.0, 0.1]), [Full; 5]);
}

#[test]
fn two_high_readings_in_a_row_are_believed_as_far_as_both_go() {
    assert_eq!(levels(&[0.8, 0.8]), [Full, Reduced]);
    assert_eq!(levels(&[0.95, 0.95]), [Full, Minimal]);
    assert_eq!(levels(&[0.95, 0.8, 0.95, 0.95]), [Full, Reduced, Reduced, Minimal]);
}

#[test]
fn a_threshold_is_passed_above_it_and_not_on_it() {
    assert_eq!(levels(&[0.7, 0.7, 0.7]), [Full; 3]);
    assert_eq!(levels(&[0.9, 0.9, 0.9]), [Full, Reduced, Reduced]);
}

#[test]
fn a_level_is_left_one_step_at_a_time_after_the_load_was_low_for_the_whole_hold() {
    let mut degradation = Degradation::default();
    for second in 0..2 {
        degradation.read(&settings(), Some(1.0), at(second));
    }
    let fallen: Vec<_> = (2..40).map(|second| (second, degradation.read(&settings(), Some(0.1), at(second)))).collect();
    let first = |level| fallen.iter().find(|(_, now)| *now == level).unwrap().0;
    assert_eq!((first(Reduced), first(Full)), (12, 22));
}

#[test]
fn a_moment_of_load_begins_the_hold_anew() {
    let mut degradation = Degradation::default();
    for second in 0..2 {
        degradation.read(&settings(), Some(0.8), at(second));
    }
    for second in 2..11 {
        assert_eq!(degradation.read(&settings(), Some(0.5), at(second)), Reduced);
    }
    assert_eq!(degradation.read(&settings(), Some(0.65), at(11)), Reduced);
    for second in 12..22 {
        assert_eq!(degradation.read(&settings(), Some(0.5), at(second)), Reduced);
    }
    assert_eq!(degradation.read(&settings(), Some(0.5), at(22)), Full);
}

#[test]
fn what_is_no_longer_known_does_not_keep_quality_down() {
    let reading = Reading { value: 1.0, at: at(10) };
    assert_eq!(reading.fresh(at(13), 3 * SECOND), Some(1.0));
    assert_eq!(reading.fresh(at(14), 3 * SECOND), None);
    let mut degradation = Degradation::default();
    degradation.read(&settings(), Some(0.8), at(0));
    degradation.read(&settings(), Some(0.8), at(1));
    assert_eq!(degradation.read(&settings(), None, at(2)), Reduced);
    assert_eq!(degradation.read(&settings(), None, at(12)), Full);
}

#[test]
fn a_threshold_lower_than_the_margin_can_still_be_fallen_below() {
    let settings = Settings { reduced_above: 0.0, minimal_above: 0.05, hold: Duration::ZERO };
    let mut degradation = Degradation::default();
    degradation.read(&settings, Some(0.2), at(0));
    assert_eq!(degradation.read(&settings, Some(0.2), at(1)), Minimal);
    assert_eq!(degradation.read(&settings, Some(0.02), at(2)), Reduced);
    assert_eq!(degradation.read(&settings, Some(0.0), at(3)), Full);
}

#[test]
fn the_worst_part_is_the_load_and_what_is_absent_is_none_of_it() {
    assert_eq!(Load::default().worst(), None);
    let load = Load { cpu: Some(0.2), queue: Some(0.8), gpu: Some(f64::NAN), ..Load::default() };
    assert_eq!(load.worst(), Some(("queue", 0.8)));
}

#[test]
fn less_is_asked_for_in_the_proportions_of_the_level() {
    for (level, tokens, batch) in [(Full, 100, 30), (Reduced, 70, 20), (Minimal, 40, 10)] {
        assert_eq!((level.fewer(100), level.batch(30)), (tokens, batch));
    }
    assert_eq!((Reduced.fewer(90), Reduced.fewer(1), Minimal.fewer(2)), (63, 1, 1));
    assert_eq!((Reduced.batch(1), Minimal.batch(2), Minimal.batch(0)), (1, 1, 1));
}

proptest! {
    #[test]
    fn fewer_is_the_level_s_share_rounded_down(count in 0..1_u64 << 50) {
        for level in Level::ALL {
            let share = u128::from(count) * match level { Full => 10, Reduced => 7, Minimal => 4 } / 10;
            prop_assert_eq!(u128::from(level.fewer(count)), if level == Full { share } else { share.max(1) });
            let size = usize::try_from(count).unwrap();
            prop_assert!(level.batch(size) <= size.max(1));
        }
        prop_assert_eq!(Reduced.fewer(u64::MAX), 12_912_720_851_596_686_130);
    }

    /// What must hold of any signal: it worsens only for two high readings in a row, improves only one step at a time
    /// and only after a whole hold of low ones.
    #[test]
    fn no_signal_makes_it_jump(loads in prop::collection::vec(prop::option::of(0.0..1.2_f64), 1..300)) {
        let settings = settings();
        let mut degradation = Degradation::default();
        let mut changed = None;
        for (index, load) in loads.iter().enumerate() {
            let (before, now) = (degradation.level(), at(index as u64));
            let after = degradation.read(&settings, *load, now);
            if after > before {
                let last = &loads[index.saturating_sub(1)..=index];
                let threshold = settings.threshold(after);
                prop_assert!(last.len() == 2 && last.iter().all(|load| load.is_some_and(|load| load > threshold)));
            } else if after < before {
                prop_assert_eq!(after, before.below());
                let low = |load: &Option<f64>| load.is_none_or(|load| load <= settings.left_at(before));
                prop_assert!(index >= 10 && loads[index - 10..=index].iter().all(low));
            }
            if after != before {
                if let Some(changed) = changed.filter(|_| after < before) {
                    prop_assert!(now.since(changed) >= settings.hold, "it fell again too soon");
                }
                changed = Some(now);
            }
        }
    }

    /// A signal that swings about a threshold, by less than the margin, moves it at most once.
    #[test]
    fn a_signal_that_swings_within_the_band_does_not_make_it_flap(
        threshold in prop::sample::select(vec![0.7, 0.9]),
        swing in prop::collection::vec(-0.09..0.09_f64, 1..500),
    ) {
        let mut degradation = Degradation::default();
        let start = if threshold > 0.8 { [0.85, 0.85] } else { [0.0, 0.0] };
        let mut levels: Vec<_> = start.iter().zip(0..).map(|(load, s)| degradation.read(&settings(), Some(*load), at(s))).collect();
        levels.extend(swing.iter().zip(2..).map(|(by, s)| degradation.read(&settings(), Some(threshold + by), at(s))));
        let changes = levels[1..].windows(2).filter(|pair| pair[0] != pair[1]).count();
        prop_assert!(changes <= 1, "{levels:?}");
    }
}
