//! What is asked of a provider otherwise than at first, by what became of the question before.

use fusebox_rules::retry::Change;
use serde_json::Value;

use crate::{
    chat::request::{Operation, Request},
    error::Failure,
};

/// What has come to be different from the first question to this provider.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Timeouts so far; each makes the next one longer.
    pub(super) timeouts: u32,
    /// Memory ran out, so less is asked for.
    pub(super) less: bool,
    complain: bool,
    /// What was wrong with the last answer, in particular.
    complaint: Option<Box<[Value]>>,
    /// The request under the instruction for refused content.
    pub(super) rewritten: Option<Request>,
}

impl Changes {
    /// Notes what is to be different after `failure`; `rewritten` is for [`Change::Rewrite`].
    pub(super) fn add(&mut self, change: Change, failure: &mut Failure, rewritten: Option<Request>) {
        match change {
            Change::None => {}
            Change::LongerTimeout => self.timeouts += 1,
            Change::AskForLess => self.less = true,
            Change::SayWhatWasWrong => {
                self.complain = true;
                self.complaint = failure.complaint.take();
            }
            Change::Rewrite => self.rewritten = rewritten,
        }
    }

    /// Whether nothing is different.
    pub(super) fn is_none(&self) -> bool {
        self.timeouts == 0 && !self.less && !self.complain && self.rewritten.is_none()
    }

    /// What is asked instead of `asked`; `None`: just that.
    pub(super) fn again(&self, asked: &Request) -> Option<Request> {
        if asked.operation == Operation::Image {
            return self.less.then(|| asked.for_less_image()).flatten();
        }
        let base = self.rewritten.as_ref().unwrap_or(asked);
        let complaining = self.complain.then(|| base.complaining(self.complaint.as_deref())).flatten();
        complaining.or_else(|| self.rewritten.clone())
    }
}
