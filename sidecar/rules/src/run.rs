//! An agent run's budget: what all calls under one run id may spend together, and when a run goes in circles.
//!
//! A call is counted as it begins, so that calls at once cannot be more than are allowed; what it used is known, and
//! counted, at its end. A run's calls may come to several sidecars: see [`others`]. Where runs are kept is decided
//! elsewhere.

pub mod others;

use std::time::Duration;

use crate::moment::Moment;

/// What one run may spend. What is spent may pass a limit by what the calls under way then still use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Calls.
    pub max_calls: u64,
    /// Tool calls that models asked for.
    pub max_tool_calls: u64,
    /// From the first call's beginning.
    pub max_runtime: Duration,
    /// Tokens, in and out, over every attempt that reported them.
    pub max_tokens: u64,
    /// In the currency of the configured prices; `None`: unlimited.
    pub max_cost: Option<f64>,
    /// From so many equal tool calls on the run is warned.
    pub warn_repeats: u32,
    /// From so many on it is stopped.
    pub max_repeats: u32,
}

/// What a run has spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Calls, those under way included.
    pub calls: u64,
    /// Tool calls that models asked for.
    pub tool_calls: u64,
    /// Tokens, in and out.
    pub tokens: u64,
    /// Billionths of the currency.
    pub cost_nanos: u64,
}

/// A tool call that a model asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// The same for the same tool with the same arguments, in every sidecar and every version.
    pub print: u64,
}

/// A tool call that was asked for again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeat {
    /// The tool, its name cut to [`MAX_NAME`] bytes.
    pub tool: String,
    /// How often, with the same arguments.
    pub times: u32,
}

/// What a call used, known at its end.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Used {
    /// Tokens of all its attempts.
    pub tokens: u64,
    /// What they cost, in billionths.
    pub cost_nanos: u64,
    /// Tool calls that its answer asks for.
    pub tool_calls: Vec<ToolCall>,
}

/// Whether a call of the run may begin.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It may, and is counted.
    Granted {
        /// What the run should be warned of.
        warning: Option<Repeat>,
    },
    /// The run has spent its budget, or is stopped.
    Refused(Refusal),
}

/// Why a run may make no more calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The first measure that is spent.
    pub why: Why,
    /// All that was spent.
    pub spent: Spent,
    /// How long it has gone on.
    pub ran: Duration,
}

/// Which measure is spent.
#[derive(Debug, Clone, PartialEq)]
pub enum Why {
    /// It goes in circles.
    Repeats(Repeat),
    /// [`Limits::max_calls`]
    Calls,
    /// [`Limits::max_tool_calls`]
    ToolCalls,
    /// [`Limits::max_runtime`]
    Runtime,
    /// [`Limits::max_tokens`]
    Tokens,
    /// [`Limits::max_cost`]
    Cost,
}

/// Bytes of a tool's name that are kept.
pub const MAX_NAME: usize = 64;
/// How long a run is remembered once it has been spent and nothing more is heard of it. One that goes on asking stays
/// refused.
pub const IDLE: Duration = Duration::from_secs(600);
/// Different tool calls that a run remembers; of more, those asked for least often are forgotten first.
const MAX_DISTINCT: usize = 32;

/// What is remembered of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Here.
    began: Moment,
    /// How long it had gone on elsewhere by then.
    before: Duration,
    touched: Moment,
    under_way: u32,
    /// Here.
    spent: Spent,
    /// By other sidecars, as last heard of.
    others: Spent,
    /// In the order last asked for.
    asked: Vec<Asked>,
    /// What was asked for most often.
    worst: Option<Repeat>,
    /// What, of the latest answer's tool calls, was asked for most often.
    latest: Option<Repeat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    print: u64,
    /// Here.
    times: u32,
    /// Of other sidecars, as last heard of.
    others: u32,
}

impl Spent {
    const NOTHING: Self = Self { calls: 0, tool_calls: 0, tokens: 0, cost_nanos: 0 };

    /// Of each number the larger.
    #[must_use]
    pub fn at_least(self, other: Self) -> Self {
        Self {
            calls: self.calls.max(other.calls),
            tool_calls: self.tool_calls.max(other.tool_calls),
            tokens: self.tokens.max(other.tokens),
            cost_nanos: self.cost_nanos.max(other.cost_nanos),
        }
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            tool_calls: self.tool_calls.saturating_add(other.tool_calls),
            tokens: self.tokens.saturating_add(other.tokens),
            cost_nanos: self.cost_nanos.saturating_add(other.cost_nanos),
        }
    }

    /// What is left of it without `part`, which is some of it.
    #[must_use]
    pub const fn without(self, part: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(part.calls),
            tool_calls: self.tool_calls.saturating_sub(part.tool_calls),
            tokens: self.tokens.saturating_sub(part.tokens),
            cost_nanos: self.cost_nanos.saturating_sub(part.cost_nanos),
        }
    }
}

impl Run {
    /// A run whose first call comes at `now`.
    #[must_use]
    pub const fn new(now: Moment) -> Self {
        let (spent, others) = (Spent::NOTHING, Spent::NOTHING);
        Self {
            began: now,
            before: Duration::ZERO,
            touched: now,
            under_way: 0,
            spent,
            others,
            asked: Vec::new(),
            worst: None,
            latest: None,
        }
    }

    /// A call of the run wants to begin; `shown` is what its own conversation repeats.
    pub fn begin(&mut self, limits: &Limits, shown: Option<&Repeat>, now: Moment) -> Verdict {
        self.touched = self.touched.max(now);
        let ran = self.ran(now);
        if let Some(why) = self.spent_by(limits, shown, ran) {
            return Verdict::Refused(Refusal { why, spent: self.spent(), ran });
        }
        self.spent.calls += 1;
        self.under_way = self.under_way.saturating_add(1);
        let warning = more(shown, self.latest.as_ref()).filter(|repeat| repeat.times >= limits.warn_repeats);
        Verdict::Granted { warning: warning.cloned() }
    }

    /// A call that was granted has ended.
    pub fn settle(&mut self, used: &Used, now: Moment) {
        self.touched = self.touched.max(now);
        self.under_way = self.under_way.saturating_sub(1);
        self.spent.tokens = self.spent.tokens.saturating_add(used.tokens);
        self.spent.cost_nanos = self.spent.cost_nanos.saturating_add(used.cost_nanos);
        let asked = u64::try_from(used.tool_calls.len()).unwrap_or(u64::MAX);
        self.spent.tool_calls = self.spent.tool_calls.saturating_add(asked);
        self.latest = None;
        for call in &used.tool_calls {
            let repeat = Repeat { tool: cut(&call.name).to_owned(), times: self.note(call.print) };
            for most in [&mut self.worst, &mut self.latest] {
                if most.as_ref().is_none_or(|known| repeat.times > known.times) {
                    *most = Some(repeat.clone());
                }
            }
        }
    }

    /// What it has spent, here and as far as is known elsewhere.
    #[must_use]
    pub const fn spent(&self) -> Spent {
        self.spent.plus(self.others)
    }

    /// When it was last heard of.
    #[must_use]
    pub const fn touched(&self) -> Moment {
        self.touched
    }

    /// Calls under way.
    #[must_use]
    pub const fn under_way(&self) -> u32 {
        self.under_way
    }

    /// Whether it can be forgotten: its time is up, and nothing has been heard of it for [`IDLE`] since.
    #[must_use]
    pub fn is_over(&self, limits: &Limits, now: Moment) -> bool {
        let last = self.touched.max(self.began + limits.max_runtime.saturating_sub(self.before));
        self.under_way == 0 && now > last + IDLE
    }

    /// From its first call's beginning, wherever that was.
    const fn ran(&self, now: Moment) -> Duration {
        now.since(self.began).saturating_add(self.before)
    }

    fn spent_by(&self, limits: &Limits, shown: Option<&Repeat>, ran: Duration) -> Option<Why> {
        let Spent { calls, tool_calls, tokens, cost_nanos } = self.spent();
        if let Some(worst) = more(shown, self.worst.as_ref()).filter(|worst| worst.times >= limits.max_repeats) {
            return Some(Why::Repeats(worst.clone()));
        }
        // What has not been used at all is not spent, even where nothing is allowed of it.
        let measures = [
            (calls >= limits.max_calls, Why::Calls),
            (tool_calls >= limits.max_tool_calls.max(1), Why::ToolCalls),
            (ran >= limits.max_runtime, Why::Runtime),
            (tokens >= limits.max_tokens.max(1), Why::Tokens),
            (limits.max_cost.is_some_and(|most| cost_nanos >= nanos(most).max(1)), Why::Cost),
        ];
        measures.into_iter().find_map(|(spent, why)| spent.then_some(why))
    }

    /// Counts a tool call, and says how often it has been asked for.
    fn note(&mut self, print: u64) -> u32 {
        let known = self.asked.iter().position(|asked| asked.print == print);
        let known = known.map_or(Asked { print, times: 0, others: 0 }, |known| self.asked.remove(known));
        let asked = Asked { times: known.times.saturating_add(1), ..known };
        if self.asked.len() >= MAX_DISTINCT {
            let least = self.asked.iter().enumerate().min_by_key(|(_, asked)| asked.times).map(|(place, _)| place);
            self.asked.remove(least.unwrap_or_default());
        }
        self.asked.push(asked);
        asked.times.saturating_add(asked.others)
    }
}

/// What `calls` hold most often, the one named last among equals; `None`: there are none.
#[must_use]
pub fn worst_of(calls: &[ToolCall]) -> Option<Repeat> {
    let mut prints: Vec<u64> = calls.iter().map(|call| call.print).collect();
    prints.sort_unstable();
    let times =
        |print: u64| prints.partition_point(|other| *other <= print) - prints.partition_point(|other| *other < print);
    let (call, times) = calls.iter().map(|call| (call, times(call.print))).max_by_key(|(_, times)| *times)?;
    Some(Repeat { tool: cut(&call.name).to_owned(), times: u32::try_from(times).unwrap_or(u32::MAX) })
}

/// Billionths of `amount`.
#[must_use]
pub fn nanos(amount: f64) -> u64 {
    #[expect(clippy::cast_sign_loss, reason = "clamped to what is not negative; not a number becomes zero")]
    let nanos = (amount.max(0.0) * 1e9) as u64;
    nanos
}

/// The one with more repeats; the first among equals.
fn more<'a>(one: Option<&'a Repeat>, other: Option<&'a Repeat>) -> Option<&'a Repeat> {
    match (one, other) {
        (Some(one), Some(other)) if other.times > one.times => Some(other),
        (one, other) => one.or(other),
    }
}

fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_NAME)]
}

#[cfg(test)]
mod tests;
