//! What is wrong with a configuration: where, what, and what would be right.

use std::{fmt, sync::Arc};

/// Where something was typed. They sort in the order in which one would mend them: down the file, then the rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A line of the file.
    File {
        /// As it was named.
        name: Arc<str>,
        /// From 1; 0: not known.
        line: u32,
    },
    /// An environment variable.
    Variable(Arc<str>),
    /// A flag of the command line.
    Flag(Arc<str>),
    /// Nowhere: what is missing, or a default.
    Nowhere,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which key: `providers[1].timeouts.total`; empty for a fault of a whole source.
    pub path: String,
    /// What is wrong and what would be right. Never holds a secret.
    pub message: String,
    /// Where it was typed.
    pub place: Place,
}

/// Everything that is wrong, in the order of its places. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// `faults` in order, or `None` if there are none.
    pub(super) fn try_new(mut faults: Vec<Fault>) -> Option<Self> {
        faults.sort_by(|one, other| one.place.cmp(&other.place).then_with(|| one.path.cmp(&other.path)));
        faults.dedup();
        (!faults.is_empty()).then_some(Self(faults))
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line: 0 } => f.write_str(name),
            Self::File { name, line } => write!(f, "{name}, line {line}"),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
            Self::Nowhere => Ok(()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if self.place == Place::Nowhere { Ok(()) } else { write!(f, " ({})", self.place) }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// The one of `known` that `typed` was most likely meant to be, if any is near: a third of its letters may differ.
pub(super) fn nearest<'k>(typed: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let allowed = (typed.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (strsim::osa_distance(typed, name), name))
        .filter(|(distance, name)| *distance <= allowed && *distance < name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `; did you mean …?` if something is near, else nothing.
#[must_use]
pub fn did_you_mean<'k>(typed: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(typed, known).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(path: &str, place: Place) -> Fault {
        Fault { path: path.to_owned(), message: "is wrong".to_owned(), place }
    }

    #[test]
    fn faults_come_in_the_order_in_which_one_would_mend_them() {
        let line = |line| Place::File { name: "f.yaml".into(), line };
        let faults = Faults::try_new(vec![
            fault("c", Place::Nowhere),
            fault("b", Place::Flag("--set".into())),
            fault("z", line(2)),
            fault("", Place::Variable("FUSEBOX_B".into())),
            fault("a", line(10)),
            fault("z", line(2)),
        ]);
        assert_eq!(
            faults.unwrap().to_string(),
            "z: is wrong (f.yaml, line 2)\na: is wrong (f.yaml, line 10)\nis wrong (FUSEBOX_B)\nb: is wrong (--set)\nc: is wrong"
        );
        assert_eq!(Faults::try_new(Vec::new()), None);
    }

    #[test]
    fn a_near_name_is_found_and_a_far_one_is_not() {
        let known = ["timeouts", "retry", "breaker"];
        assert_eq!(nearest("timeout", known), Some("timeouts"));
        assert_eq!(nearest("yrter", known), None);
        assert_eq!(nearest("retyr", known), Some("retry"));
        assert_eq!(nearest("cache", known), None);
        assert_eq!(nearest("x", ["y"]), None);
    }
}
