//! A call's part in its agent run: let in while the run's budget lasts, and settled as the call ends.
//!
//! A call without a run id has none of this.

use std::{sync::Arc, time::Duration};

use fusebox_rules::run::{Limits, Refusal, Repeat, Used, Verdict, Why, worst_of};

use super::{
    Shared, recall,
    way::{End, Way},
};
use crate::{
    chat::{answer::Chunk, request::Operation, tools},
    error::{ErrorKind, Failure},
    fleet::Runs,
    telemetry::Ledger,
};

/// A place in a run's budget, held until the call has ended. Dropped before, the caller has gone away, and what is
/// known to have been used is settled all the same.
#[derive(Debug)]
pub(super) struct Ticket {
    runs: Arc<dyn Runs>,
    id: Arc<str>,
    ledger: Arc<Ledger>,
    used: Used,
    /// What a stream asks for.
    streamed: tools::Collector,
    /// Tokens that came of an attempt that has not reported what it used.
    unreported: u64,
}

impl Way {
    /// Lets the call into its run, if it belongs to one, and tells of tool calls that the run repeats.
    ///
    /// # Errors
    /// `budget_exceeded`: the run has spent what it may, or goes in circles.
    pub(super) async fn enter_run(&mut self, shared: &Shared) -> Result<(), Failure> {
        let Some(id) = self.call.options.run_id.clone() else { return Ok(()) };
        let request = &self.call.request;
        let shown = (request.operation == Operation::Chat).then(|| worst_of(&tools::shown(&request.body))).flatten();
        let budgets = &self.plan().config.run_budgets;
        let (limits, tell_model) = (budgets.limits, budgets.tell_model);
        let warning = match shared.runs.begin(&id, limits, shown, &mut self.patience).await {
            Verdict::Granted { warning } => warning,
            Verdict::Refused(refusal) => return Err(spent(&refusal, &limits)),
        };
        self.run = Some(Box::new(Ticket {
            runs: Arc::clone(&shared.runs),
            id,
            ledger: self.trace.account(),
            used: Used::default(),
            streamed: tools::Collector::default(),
            unreported: 0,
        }));
        if let Some(repeat) = warning {
            self.warn(told(&repeat, &limits));
            if tell_model && let Some(request) = self.call.request.remarking(&remark(&repeat)) {
                self.call.request = request;
                self.question = recall::question(&self.call, &self.plan().config);
            }
        }
        Ok(())
    }
}

impl Ticket {
    /// Hears a streamed answer's next events.
    pub(super) fn hear(&mut self, chunk: &Chunk) {
        self.unreported += u64::from(chunk.tokens);
        if chunk.usage.is_some() {
            self.unreported = 0;
        }
        self.streamed.hear(chunk);
    }

    /// Hears an answer that was made for an earlier call: what it asks for counts, what it cost was paid then.
    pub(super) fn recalled(&mut self, chunk: &Chunk) {
        self.streamed.hear(chunk);
    }

    /// So many tokens that came are told of elsewhere.
    pub(super) fn reported(&mut self, tokens: u32) {
        self.unreported = self.unreported.saturating_sub(u64::from(tokens));
    }

    /// The call has ended.
    pub(super) fn ended(mut self, end: &End<'_>) {
        if let Some(whole) = end.whole {
            self.used.tool_calls = tools::answered(&whole.body);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut used = std::mem::take(&mut self.used);
        used.tokens = self.ledger.tokens().saturating_add(self.unreported);
        used.cost_nanos = self.ledger.cost_nanos();
        used.tool_calls.extend(self.streamed.calls());
        self.runs.settle(&self.id, used);
    }
}

/// What the caller of a run that is refused hears: what is spent first, and then all the rest.
fn spent(refusal: &Refusal, limits: &Limits) -> Failure {
    let Refusal { why, spent, ran } = refusal;
    let of = |spent: u64, most: u64| format!("{spent} of {most}");
    let runtime = format!("{} s of {} s", ran.as_secs(), seconds(limits.max_runtime));
    let mut measures = vec![
        (Why::Calls, "calls", of(spent.calls, limits.max_calls)),
        (Why::ToolCalls, "tool_calls", of(spent.tool_calls, limits.max_tool_calls)),
        (Why::Runtime, "runtime", runtime),
        (Why::Tokens, "tokens", of(spent.tokens, limits.max_tokens)),
    ];
    if let Some(most) = limits.max_cost {
        measures.push((Why::Cost, "cost", format!("{} of {most}", units(spent.cost_nanos))));
    }
    let message = match why {
        Why::Repeats(repeat) => format!(
            "the agent run is stopped: it asked for the tool \"{}\" {} times with the same arguments",
            repeat.tool, repeat.times
        ),
        why => match measures.iter().find(|(measure, ..)| measure == why) {
            Some((_, name, value)) => format!("the agent run has spent its budget: {name} {value}"),
            None => "the agent run has spent its budget".to_owned(),
        },
    };
    measures.sort_by_key(|(measure, ..)| measure != why);
    let mut failure = Failure::new(ErrorKind::BudgetExceeded, message);
    if let Why::Repeats(repeat) = why {
        failure = failure.detail("repeats", format!("{} {} of {}", repeat.tool, repeat.times, limits.max_repeats));
    }
    measures.into_iter().fold(failure, |failure, (_, name, value)| failure.detail(name, value))
}

/// What the caller of a run that goes in circles hears.
fn told(repeat: &Repeat, limits: &Limits) -> String {
    format!(
        "the agent run repeats itself: the tool \"{}\" was asked for {} times with the same arguments; at {} it is stopped",
        repeat.tool, repeat.times, limits.max_repeats
    )
}

/// What its model hears, where it is told.
fn remark(repeat: &Repeat) -> String {
    format!(
        "You have called the tool \"{}\" {} times with the same arguments. Do not call it so again: use what it gave, \
         try something else, or say that you cannot go on.",
        repeat.tool, repeat.times
    )
}

/// Rounded up: a limit below a second is not zero.
fn seconds(limit: Duration) -> u64 {
    limit.as_secs() + u64::from(limit.subsec_nanos() > 0)
}

/// Billionths as a decimal number without needless zeros.
fn units(nanos: u64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use fusebox_rules::run::Spent;

    use super::*;

    fn limits() -> Limits {
        Limits {
            max_calls: 20,
            max_tool_calls: 50,
            max_runtime: Duration::from_secs(300),
            max_tokens: 100_000,
            max_cost: Some(0.5),
            warn_repeats: 3,
            max_repeats: 5,
        }
    }

    #[test]
    fn a_refusal_names_what_is_spent_first_and_then_the_rest() {
        let all = Spent { calls: 20, tool_calls: 3, tokens: 1_234, cost_nanos: 250_000_000 };
        let refusal = |why| spent(&Refusal { why, spent: all, ran: Duration::from_millis(12_345) }, &limits());
        let failure = refusal(Why::Tokens);
        assert_eq!((failure.kind, failure.wait), (ErrorKind::BudgetExceeded, None));
        assert_eq!(failure.message, "the agent run has spent its budget: tokens 1234 of 100000");
        let details: Vec<_> = failure.details.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let expected = [
            "tokens 1234 of 100000",
            "calls 20 of 20",
            "tool_calls 3 of 50",
            "runtime 12 s of 300 s",
            "cost 0.25 of 0.5",
        ];
        assert_eq!(details, expected);
        let failure = refusal(Why::Repeats(Repeat { tool: "search".into(), times: 5 }));
        let message = "the agent run is stopped: it asked for the tool \"search\" 5 times with the same arguments";
        assert_eq!(failure.message, message);
        assert_eq!(failure.details[0], ("repeats", "search 5 of 5".to_owned()));
    }

    #[test]
    fn money_is_told_without_needless_zeros() {
        for (nanos, told) in [(0, "0"), (1, "0.000000001"), (1_500_000_000, "1.5"), (20_000_000_000, "20")] {
            assert_eq!(units(nanos), told);
        }
    }
}
