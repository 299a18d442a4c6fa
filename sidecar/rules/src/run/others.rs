//! A run whose calls come to several sidecars. Each keeps its own part, tells it to the store now and then as what it
//! is and not as what was added, and hears what the others' parts amount to. A call is decided at once by its own
//! part and by what was last heard of the others.
//!
//! **The bound.** Of calls, a run may make as many more than are allowed as other sidecars began that were not yet
//! heard of: those begun since they last told of the run before this sidecar last heard, which is at most the time
//! between two exchanges of theirs and one of this one. Of all else (tokens, money, tool calls) it may use as much more
//! as was not yet heard of, and as the calls under way in all sidecars then still use. A run that only ever comes to
//! one sidecar has no more to spare than before. Where the store is lost, each sidecar goes on with what it last
//! heard; where it forgot a part, the next telling puts it back, and who had heard of it remembers it. Repeats of a
//! tool call are added up over sidecars as they are asked for; what was asked for only elsewhere is known by the most
//! frequent of it.

use std::{cmp::Reverse, time::Duration};

use super::{Repeat, Run, Spent};
use crate::moment::Moment;

/// Tool calls that a part tells of: those asked for most often here, the latest of equals.
pub const MAX_TOLD: usize = 16;

/// What one sidecar knows of a run by itself. Its numbers only grow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// Here.
    pub spent: Spent,
    /// Since the run's first call that is known here.
    pub ran: Duration,
    /// The tool call asked for most often, as far as is known here.
    pub worst: Option<Repeat>,
    /// Tool calls by their prints, and how often each was asked for here; no more than [`MAX_TOLD`].
    pub asked: Vec<(u64, u32)>,
}

/// What all other parts of a run amount to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Others {
    /// All of it.
    pub spent: Spent,
    /// Since the run's first call anywhere; zero: nothing is known.
    pub ran: Duration,
    /// The tool call asked for most often, as far as any sidecar knows.
    pub worst: Option<Repeat>,
    /// Of the tool calls that were told or asked about, how often others asked for each.
    pub asked: Vec<(u64, u32)>,
}

impl Run {
    /// This sidecar's own part.
    #[must_use]
    pub fn part(&self, now: Moment) -> Part {
        let mut asked: Vec<_> = self.asked.iter().rev().map(|asked| (asked.print, asked.times)).collect();
        asked.sort_by_key(|(_, times)| Reverse(*times));
        asked.truncate(MAX_TOLD);
        Part { spent: self.spent, ran: self.ran(now), worst: self.worst.clone(), asked }
    }

    /// Hears at `now` what the others' parts amount to. Numbers only grow: what comes late, or from a store that has
    /// forgotten a part, changes nothing.
    pub fn hear(&mut self, others: &Others, now: Moment) {
        self.others = self.others.at_least(others.spent);
        self.before = self.before.max(others.ran.saturating_sub(now.since(self.began)));
        for (print, times) in &others.asked {
            if let Some(asked) = self.asked.iter_mut().find(|asked| asked.print == *print) {
                asked.others = asked.others.max(*times);
            }
        }
        if let Some(worst) = &others.worst
            && self.worst.as_ref().is_none_or(|known| worst.times > known.times)
        {
            self.worst = Some(worst.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Limits, Refusal, ToolCall, Used, Verdict, Why};

    fn at(millis: u64) -> Moment {
        Moment::ZERO + Duration::from_millis(millis)
    }

    fn limits() -> Limits {
        Limits {
            max_calls: 5,
            max_tool_calls: 50,
            max_runtime: Duration::from_secs(60),
            max_tokens: 1_000,
            max_cost: None,
            warn_repeats: 3,
            max_repeats: 5,
        }
    }

    fn tool(print: u64) -> Used {
        Used { tool_calls: vec![ToolCall { name: format!("tool-{print}"), print }], ..Used::default() }
    }

    fn why(run: &mut Run, millis: u64) -> Option<Why> {
        match run.begin(&limits(), None, at(millis)) {
            Verdict::Granted { .. } => None,
            Verdict::Refused(Refusal { why, .. }) => Some(why),
        }
    }

    #[test]
    fn what_others_spent_counts_and_is_not_told_as_its_own() {
        let mut run = Run::new(at(0));
        assert_eq!(why(&mut run, 0), None);
        run.settle(&Used { tokens: 100, ..Used::default() }, at(1));
        let spent = Spent { calls: 3, tool_calls: 1, tokens: 800, cost_nanos: 7 };
        for _ in 0..2 {
            run.hear(&Others { spent, ..Others::default() }, at(2));
        }
        assert_eq!(run.spent(), Spent { calls: 4, tool_calls: 1, tokens: 900, cost_nanos: 7 });
        assert_eq!(run.part(at(2)).spent, Spent { calls: 1, tokens: 100, ..Spent::default() });
        assert_eq!(why(&mut run, 3), None);
        assert_eq!(why(&mut run, 3), Some(Why::Calls));
    }

    #[test]
    fn what_a_store_has_forgotten_is_remembered_here() {
        let mut run = Run::new(at(0));
        run.settle(&tool(1), at(0));
        let spent = Spent { calls: 4, tokens: 900, ..Spent::default() };
        let ran = Duration::from_secs(30);
        run.hear(&Others { spent, ran, asked: vec![(1, 3)], ..Others::default() }, at(1));
        let before = run.clone();
        run.hear(&Others { spent: Spent { tokens: 7, ..Spent::default() }, ..Others::default() }, at(2));
        assert_eq!(run, before);
        run.hear(&Others { spent: Spent { tokens: 1_000, ..Spent::default() }, ..Others::default() }, at(3));
        assert_eq!(run.spent(), Spent { calls: 4, tool_calls: 1, tokens: 1_000, cost_nanos: 0 });
        assert_eq!(why(&mut run, 5), Some(Why::Tokens));
    }

    #[test]
    fn a_run_began_when_its_first_call_came_anywhere() {
        let mut run = Run::new(at(50_000));
        run.hear(&Others { ran: Duration::from_millis(9_999), ..Others::default() }, at(50_000));
        assert_eq!(why(&mut run, 100_000), None);
        assert_eq!(run.part(at(100_000)).ran, Duration::from_millis(59_999));
        assert_eq!(why(&mut run, 100_001), Some(Why::Runtime));
        run.hear(&Others::default(), at(100_002));
        assert_eq!(run.part(at(100_002)).ran, Duration::from_millis(60_001), "it does not begin later");
    }

    #[test]
    fn a_circle_over_several_sidecars_is_a_circle() {
        let mut run = Run::new(at(0));
        run.settle(&tool(1), at(0));
        run.hear(&Others { asked: vec![(1, 3), (2, 9)], ..Others::default() }, at(1));
        run.settle(&tool(1), at(2));
        let part = run.part(at(2));
        assert_eq!((part.asked, part.worst.map(|worst| worst.times)), (vec![(1, 2)], Some(5)));
        assert_eq!(why(&mut run, 3), Some(Why::Repeats(Repeat { tool: "tool-1".into(), times: 5 })));
    }

    #[test]
    fn what_goes_in_circles_elsewhere_is_stopped_here() {
        let mut run = Run::new(at(0));
        let worst = Repeat { tool: "search".into(), times: 5 };
        run.hear(&Others { worst: Some(worst.clone()), ..Others::default() }, at(1));
        assert_eq!(why(&mut run, 2), Some(Why::Repeats(worst)));
    }

    #[test]
    fn a_part_tells_of_what_was_asked_for_most_and_last() {
        let mut run = Run::new(at(0));
        for print in (0..30).chain([3, 3, 4]) {
            run.settle(&tool(print), at(0));
        }
        let asked = run.part(at(0)).asked;
        assert_eq!(asked.len(), MAX_TOLD);
        assert_eq!(&asked[..4], &[(3, 3), (4, 2), (29, 1), (28, 1)]);
    }
}
