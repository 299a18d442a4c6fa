use proptest::prelude::*;

use super::*;

fn at(millis: u64) -> Moment {
    Moment::ZERO + Duration::from_millis(millis)
}

fn limits() -> Limits {
    Limits {
        max_calls: 20,
        max_tool_calls: 50,
        max_runtime: Duration::from_secs(300),
        max_tokens: 100_000,
        max_cost: None,
        warn_repeats: 3,
        max_repeats: 5,
    }
}

fn call(name: &str, print: u64) -> ToolCall {
    ToolCall { name: name.to_owned(), print }
}

fn tools(calls: &[(&str, u64)]) -> Used {
    Used { tool_calls: calls.iter().map(|(name, print)| call(name, *print)).collect(), ..Used::default() }
}

fn granted(run: &mut Run, limits: &Limits, now: Moment) -> Option<Repeat> {
    match run.begin(limits, None, now) {
        Verdict::Granted { warning } => warning,
        Verdict::Refused(refusal) => panic!("{refusal:?}"),
    }
}

fn refused(run: &mut Run, limits: &Limits, now: Moment) -> Refusal {
    match run.begin(limits, None, now) {
        Verdict::Refused(refusal) => refusal,
        Verdict::Granted { .. } => panic!("granted: {run:?}"),
    }
}

#[test]
fn each_measure_refuses_once_it_is_spent_and_not_before() {
    let cost = Limits { max_cost: Some(0.5), ..limits() };
    let cases: [(&str, Limits, Used, u64, Option<Why>); 9] = [
        ("tokens left", limits(), Used { tokens: 99_999, ..Used::default() }, 0, None),
        ("tokens", limits(), Used { tokens: 100_000, ..Used::default() }, 0, Some(Why::Tokens)),
        ("time left", limits(), Used::default(), 299_999, None),
        ("time", limits(), Used::default(), 300_000, Some(Why::Runtime)),
        ("money without a limit", limits(), Used { cost_nanos: u64::MAX, ..Used::default() }, 0, None),
        ("money left", cost, Used { cost_nanos: 499_999_999, ..Used::default() }, 0, None),
        ("money", cost, Used { cost_nanos: 500_000_000, ..Used::default() }, 0, Some(Why::Cost)),
        ("no tool allowed, none called", Limits { max_tool_calls: 0, ..limits() }, Used::default(), 0, None),
        (
            "no tool allowed, one called",
            Limits { max_tool_calls: 0, ..limits() },
            tools(&[("a", 1)]),
            0,
            Some(Why::ToolCalls),
        ),
    ];
    for (what, limits, used, later, why) in cases {
        let mut run = Run::new(at(0));
        granted(&mut run, &limits, at(0));
        run.settle(&used, at(0));
        match (run.begin(&limits, None, at(later)), why) {
            (Verdict::Granted { .. }, None) => {}
            (Verdict::Refused(refusal), Some(why)) => assert_eq!(refusal.why, why, "{what}"),
            (verdict, _) => panic!("{what}: {verdict:?}"),
        }
    }
}

#[test]
fn calls_at_once_are_no_more_than_are_allowed() {
    let mut run = Run::new(at(0));
    (0..20).for_each(|_| assert_eq!(granted(&mut run, &limits(), at(0)), None));
    let refusal = refused(&mut run, &limits(), at(1));
    assert_eq!((refusal.why, refusal.spent.calls), (Why::Calls, 20));
    // What ends makes no room: the calls have been made.
    run.settle(&Used::default(), at(2));
    assert_eq!(refused(&mut run, &limits(), at(3)).spent.calls, 20);
}

#[test]
fn tool_calls_are_counted_over_all_answers() {
    let mut run = Run::new(at(0));
    for turn in 0..5_u64 {
        granted(&mut run, &limits(), at(0));
        let ten: Vec<_> = (0..10).map(|index| ("search", turn * 10 + index)).collect();
        run.settle(&tools(&ten), at(0));
    }
    let refusal = refused(&mut run, &limits(), at(0));
    assert_eq!((refusal.why, refusal.spent.tool_calls), (Why::ToolCalls, 50));
}

#[test]
fn a_run_in_circles_is_warned_and_then_stopped_for_good() {
    let mut run = Run::new(at(0));
    for turn in 1..=5_u32 {
        let warned = granted(&mut run, &limits(), at(0));
        let expected = (turn > 3).then(|| Repeat { tool: "search".into(), times: turn - 1 });
        assert_eq!(warned, expected, "turn {turn}");
        run.settle(&tools(&[("search", 7), ("open", u64::from(turn))]), at(0));
    }
    let stopped = Why::Repeats(Repeat { tool: "search".into(), times: 5 });
    assert_eq!(refused(&mut run, &limits(), at(0)).why, stopped);
    assert_eq!(refused(&mut run, &limits(), at(0)).why, stopped);
}

#[test]
fn a_run_that_has_gone_on_to_other_things_is_not_warned_any_more() {
    let mut run = Run::new(at(0));
    for _ in 0..3 {
        granted(&mut run, &limits(), at(0));
        run.settle(&tools(&[("search", 7)]), at(0));
    }
    assert!(granted(&mut run, &limits(), at(0)).is_some());
    run.settle(&tools(&[("open", 8)]), at(0));
    assert_eq!(granted(&mut run, &limits(), at(0)), None);
}

#[test]
fn what_a_conversation_repeats_counts_where_the_answers_were_not_seen() {
    let conversation = [call("open", 1), call("search", 7), call("search", 7), call("search", 7), call("open", 2)];
    let shown = worst_of(&conversation).unwrap();
    assert_eq!(shown, Repeat { tool: "search".into(), times: 3 });
    let mut run = Run::new(at(0));
    assert_eq!(run.begin(&limits(), Some(&shown), at(0)), Verdict::Granted { warning: Some(shown.clone()) });
    let more = Repeat { times: 5, ..shown };
    let verdict = run.begin(&limits(), Some(&more), at(0));
    assert!(matches!(verdict, Verdict::Refused(Refusal { why: Why::Repeats(_), .. })), "{verdict:?}");
    assert_eq!(worst_of(&[]), None);
}

#[test]
fn a_run_is_remembered_while_it_may_go_on_and_a_while_longer() {
    let (limits, after) = (limits(), |seconds: u64| at(seconds * 1_000));
    let mut run = Run::new(at(0));
    granted(&mut run, &limits, at(0));
    assert!(!run.is_over(&limits, after(1_000_000)), "a call is under way");
    run.settle(&Used::default(), after(10));
    assert!(!run.is_over(&limits, after(900)) && run.is_over(&limits, after(901)));
    // One that goes on asking stays refused.
    refused(&mut run, &limits, after(899));
    assert!(!run.is_over(&limits, after(1_499)) && run.is_over(&limits, after(1_500)));
}

#[test]
fn names_and_money_of_any_size_do_no_harm() {
    let mut run = Run::new(at(0));
    granted(&mut run, &limits(), at(0));
    run.settle(&tools(&[("ß".repeat(100).as_str(), 1)]), at(0));
    assert!(run.worst.unwrap().tool.len() <= MAX_NAME);
    assert_eq!((nanos(f64::NAN), nanos(-1.0), nanos(1e300), nanos(0.25)), (0, 0, u64::MAX, 250_000_000));
}

proptest! {
    #[test]
    fn a_budget_is_never_overdrawn_in_calls_and_memory_stays_bounded(
        steps in prop::collection::vec((any::<bool>(), 0_u64..100, 0_u64..5_000), 0..400),
        max_calls in 1_u64..30,
    ) {
        let limits = Limits { max_calls, ..limits() };
        let mut run = Run::new(at(0));
        let (mut now, mut under_way) = (0, 0_u32);
        for (begins, print, millis) in steps {
            now += millis;
            if begins {
                let before = run.spent();
                match run.begin(&limits, None, at(now)) {
                    Verdict::Granted { .. } => under_way += 1,
                    Verdict::Refused(_) => prop_assert_eq!(before, run.spent(), "a refusal costs nothing"),
                }
            } else if under_way > 0 {
                under_way -= 1;
                run.settle(&tools(&[("t", print), ("u", print + 1)]), at(now));
            }
            prop_assert!(run.spent().calls <= max_calls);
            prop_assert_eq!(run.under_way(), under_way);
            prop_assert!(run.asked.len() <= MAX_DISTINCT);
        }
    }
}
