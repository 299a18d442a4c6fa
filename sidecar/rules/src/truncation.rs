//! Which turns of a conversation are left out so that the rest fits a window.
//!
//! It knows turns by who speaks, how long they are and which tool calls they make or answer; not what they say.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The operator: a system's or developer's message. It always stays.
    System,
    /// The user. The last such turn always stays.
    User,
    /// The model.
    Assistant,
    /// A tool, answering the model.
    Tool,
}

/// One turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn<'a> {
    /// Who speaks.
    pub speaker: Speaker,
    /// How long it is, with all that marks it.
    pub tokens: u64,
    /// The ids of the tool calls that it makes.
    pub calls: Vec<&'a str>,
    /// The id of the tool call that it answers.
    pub answers: Option<&'a str>,
}

/// What is to be done with a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: it fits as it is.
    Fits,
    /// These stay, by their places; the others are left out.
    Keep(Vec<usize>),
    /// It cannot be made to fit: what must stay is this many tokens.
    Impossible {
        /// Tokens of the turns that must stay.
        needed: u64,
    },
}

/// Which of `turns` stay so that they come to at most `room` tokens. The oldest go first, and no more than need to:
///
/// - System turns, the last turn of the user's and the very last turn stay.
/// - Before the user's last turn whole exchanges go, from one turn of the user's up to the next, so that what is left
///   begins as a conversation does.
/// - After it, while the model works with tools, the model's turns go, each with what follows up to the next.
/// - A tool's answer goes with the turn that made the call, and that turn with its answers.
#[must_use]
pub fn decide(turns: &[Turn<'_>], room: u64) -> Verdict {
    let total = turns.iter().fold(0_u64, |sum, turn| sum.saturating_add(turn.tokens));
    if total <= room {
        return Verdict::Fits;
    }
    let groups = groups(turns);
    let last = turns.len().saturating_sub(1);
    let last_of_user = turns.iter().rposition(|turn| turn.speaker == Speaker::User);
    let stays = |group: usize| [Some(last), last_of_user].into_iter().flatten().any(|at| groups[at] == Some(group));
    let mut size: HashMap<usize, u64> = HashMap::new();
    for (turn, group) in turns.iter().zip(&groups) {
        if let Some(group) = group {
            let size = size.entry(*group).or_default();
            *size = size.saturating_add(turn.tokens);
        }
    }
    // A group bears the place of its first turn, so the smallest is the oldest.
    let mut going: Vec<usize> = size.keys().copied().filter(|group| !stays(*group)).collect();
    going.sort_unstable();
    let mut left = total;
    let mut until = None;
    for group in going {
        if left <= room {
            break;
        }
        left = left.saturating_sub(size[&group]);
        until = Some(group);
    }
    if left > room {
        return Verdict::Impossible { needed: left };
    }
    let kept = |at: &usize| groups[*at].is_none_or(|group| stays(group) || until.is_none_or(|until| group > until));
    Verdict::Keep((0..turns.len()).filter(kept).collect())
}

/// What each turn goes together with: the place of the first of them. `None`: it stays by itself.
fn groups(turns: &[Turn<'_>]) -> Vec<Option<usize>> {
    let last_of_user = turns.iter().rposition(|turn| turn.speaker == Speaker::User);
    let mut groups = Groups::default();
    let mut current = None;
    // The turn that made a call of this name last: ids are used anew by some.
    let mut callers: HashMap<&str, usize> = HashMap::new();
    for (at, turn) in turns.iter().enumerate() {
        let begins = match turn.speaker {
            Speaker::System => {
                groups.0.push(None);
                continue;
            }
            Speaker::User => true,
            Speaker::Assistant => last_of_user.is_none_or(|last| at > last),
            Speaker::Tool => false,
        };
        let group = if begins { at } else { current.unwrap_or(at) };
        current = Some(group);
        groups.0.push(Some(group));
        if let Some(caller) = turn.answers.and_then(|id| callers.get(id)) {
            groups.join(*caller, at);
        }
        callers.extend(turn.calls.iter().map(|id| (*id, at)));
    }
    (0..turns.len()).map(|at| groups.of(at)).collect()
}

/// Each turn's group, as a path towards the first of its turns.
#[derive(Default)]
struct Groups(Vec<Option<usize>>);

impl Groups {
    fn of(&self, turn: usize) -> Option<usize> {
        let mut group = self.0[turn]?;
        while let Some(first) = self.0[group].filter(|first| *first != group) {
            group = first;
        }
        Some(group)
    }

    fn join(&mut self, one: usize, other: usize) {
        if let (Some(one), Some(other)) = (self.of(one), self.of(other)) {
            let (first, second) = (one.min(other), one.max(other));
            self.0[second] = Some(first);
        }
    }
}
