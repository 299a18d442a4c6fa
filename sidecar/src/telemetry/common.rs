//! What calls share across sidecars, as it is seen from outside: runs by what was exchanged of them, keys by whose the
//! call was.

/// What came of an exchange about an agent run, by the label of `fusebox_run_exchanges_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum RunExchange {
    /// What others spent was looked for, as the run was not known here.
    Looked,
    /// What was spent here was told, and what others spent was heard.
    Told,
    /// The store did not answer, or not in time.
    Unanswered,
}

/// What came of a claim to a call under an idempotency key, by the label of `fusebox_claims_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum ClaimResult {
    /// The call is this sidecar's to make.
    Mine,
    /// It is under way at another sidecar, and was waited for.
    Waited,
    /// It has been answered elsewhere, and that answer was given.
    Replayed,
    /// The key is in use elsewhere for another question.
    InUse,
    /// The store did not answer, or not in time, and the call was made here without its word.
    Unanswered,
    /// The answer could not be kept for others: it was too large, or too many waited to be kept.
    Unkept,
}

impl RunExchange {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Looked, Self::Told, Self::Unanswered];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Looked => "looked",
            Self::Told => "told",
            Self::Unanswered => "unanswered",
        }
    }
}

impl ClaimResult {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 6] = [Self::Mine, Self::Waited, Self::Replayed, Self::InUse, Self::Unanswered, Self::Unkept];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mine => "mine",
            Self::Waited => "waited",
            Self::Replayed => "replayed",
            Self::InUse => "in_use",
            Self::Unanswered => "unanswered",
            Self::Unkept => "unkept",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_stands_at_its_number() {
        for (number, result) in RunExchange::ALL.into_iter().enumerate() {
            assert_eq!(result as usize, number);
        }
        for (number, result) in ClaimResult::ALL.into_iter().enumerate() {
            assert_eq!(result as usize, number);
        }
    }
}
