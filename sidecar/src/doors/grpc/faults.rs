//! The faults of one request, under the paths of the caller's own fields, all at once.

use std::fmt;

use crate::error::{Failure, FieldFault};

/// More than this many help nobody.
const MAX_FAULTS: usize = 64;

/// The faults found so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Vec<FieldFault>);

impl Faults {
    /// Notes that what stands at `path` is wrong.
    pub(super) fn note(&mut self, path: impl fmt::Display, message: impl Into<String>) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(FieldFault { path: path.to_string(), message: message.into() });
        }
    }

    /// Refuses the request if there is any.
    pub(super) fn settle(self) -> Result<(), Failure> {
        if self.0.is_empty() { Ok(()) } else { Err(Failure::fields(self.0)) }
    }
}

#[cfg(test)]
impl Faults {
    pub(super) fn paths(&self) -> Vec<&str> {
        self.0.iter().map(|fault| fault.path.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_faults_are_told_as_sixty_four() {
        let mut faults = Faults::default();
        for index in 0..1000 {
            faults.note(format_args!("inputs[{index}]"), "empty");
        }
        assert_eq!(faults.settle().unwrap_err().fields.len(), MAX_FAULTS);
    }
}
