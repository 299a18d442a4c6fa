use proptest::prelude::*;

use super::*;

fn ascii(bytes: u64) -> Size {
    Size { ascii: bytes, ..Size::default() }
}

#[test]
fn prose_is_taken_for_four_bytes_a_token_and_other_scripts_for_two() {
    let text = Size::of("words, as they are written: \u{65e5}\u{672c}\u{8a9e}");
    assert_eq!(text, Size { ascii: 28, other: 9, fixed: 0 });
    assert_eq!(Ratio::default().estimate(text).likely, 7 + 5);
}

#[test]
fn what_is_fixed_is_counted_as_it_is() {
    let image = Size { fixed: 1100, ..Size::default() };
    assert_eq!(Ratio::default().estimate(image), Estimate::exactly(1100));
}

#[test]
fn a_provider_that_counts_three_bytes_a_token_is_soon_believed() {
    let mut ratio = Ratio::default();
    for _ in 0..20 {
        ratio.learn(ascii(3000), 1000);
    }
    let estimate = ratio.estimate(ascii(6000));
    assert!((1950..=2050).contains(&estimate.likely), "{estimate:?}");
    assert!(estimate.most < 2300, "{estimate:?}");
}

#[test]
fn what_cannot_be_true_of_a_text_is_not_learnt_from() {
    let mut ratio = Ratio::default();
    for tokens in [0, 1, 100_000] {
        ratio.learn(ascii(4000), tokens);
    }
    ratio.learn(Size::default(), 50);
    assert_eq!(ratio, Ratio::default());
}

#[test]
fn a_prompt_that_may_fit_is_neither_refused_nor_promised() {
    let estimate = Estimate { least: 80, likely: 100, most: 120 };
    assert_eq!(estimate.fits(10, 130), Fit::Surely);
    assert_eq!(estimate.fits(10, 129), Fit::Perhaps);
    assert_eq!(estimate.fits(10, 90), Fit::Perhaps);
    assert_eq!(estimate.fits(10, 89), Fit::No);
    assert_eq!(estimate.fits(u64::MAX, 89), Fit::No);
}

#[test]
fn an_answer_is_never_asked_for_in_more_tokens_than_before() {
    for (asked, fewest) in [(1, 1), (100, 100), (256, 256), (1000, 256), (4000, 1000)] {
        assert_eq!(fewest_for_answer(asked), fewest);
    }
}

proptest! {
    #[test]
    fn an_estimate_is_in_order_and_grows_with_the_text(
        reports in prop::collection::vec((1_u64..100_000, 1_u64..100_000), 0..40),
        bytes in 0_u64..1_000_000,
        more in 0_u64..1_000_000,
    ) {
        let mut ratio = Ratio::default();
        for (size, tokens) in reports {
            ratio.learn(ascii(size), tokens);
        }
        let (small, large) = (ratio.estimate(ascii(bytes)), ratio.estimate(ascii(bytes + more)));
        prop_assert!(small.least <= small.likely && small.likely <= small.most);
        prop_assert!(small.least <= large.least && small.likely <= large.likely && small.most <= large.most);
    }

    #[test]
    fn a_steady_provider_is_estimated_within_its_band(bytes_per_token in 1.5_f64..6.0, bytes in 1000_u64..200_000) {
        let tokens = |bytes: u64| scaled(bytes, 1.0 / bytes_per_token);
        let mut ratio = Ratio::default();
        for _ in 0..30 {
            ratio.learn(ascii(8000), tokens(8000));
        }
        let (estimate, real) = (ratio.estimate(ascii(bytes)), tokens(bytes));
        prop_assert!(estimate.least <= real && real <= estimate.most, "{estimate:?} of {real}");
    }

    #[test]
    fn what_is_kept_in_bits_is_found_again(reports in prop::collection::vec((400_u64..4000, 100_u64..1000), 1..300)) {
        let mut ratio = Ratio::default();
        for (size, tokens) in reports {
            ratio.learn(ascii(size), tokens);
        }
        let found = Ratio::from_bits(ratio.to_bits());
        prop_assert_eq!(found.reports(), ratio.reports());
        let (kept, again) = (ratio.estimate(ascii(100_000)), found.estimate(ascii(100_000)));
        prop_assert!(kept.likely.abs_diff(again.likely) <= 1 + kept.likely / 500, "{:?} {:?}", kept, again);
    }

    #[test]
    fn what_fits_by_length_fits_by_bytes(bytes in 0_u64..1_000_000, answer in 0_u64..1_000_000, window in 0_u64..2_000_000) {
        if bytes + answer <= window {
            prop_assert!(fits_by_length(bytes, answer, window));
        }
    }
}
