//! Prometheus's text format, as far as a test reads it.

use std::collections::BTreeMap;

/// The samples of one reading.
#[derive(Debug, Clone)]
pub struct Metrics {
    samples: Vec<Sample>,
}

#[derive(Debug, Clone)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Reads an exposition.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        Self { samples: lines.map(sample).collect() }
    }

    /// The sum of the samples called `name` that bear all of `labels`.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|sample| sample.value).sum()
    }

    /// Whether there is a sample called `name` that bears all of `labels`.
    #[must_use]
    pub fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.matching(name, labels).next().is_some()
    }

    /// The names that there are.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.samples.iter().map(|sample| sample.name.as_str()).collect()
    }

    fn matching(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Sample> {
        let bears = |sample: &Sample| {
            labels.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|found| found == value))
        };
        self.samples.iter().filter(move |sample| sample.name == name && bears(sample))
    }
}

fn sample(line: &str) -> Sample {
    let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap_or_else(|| panic!("no value in {line:?}")));
    let mut labels = BTreeMap::new();
    let mut value = rest;
    if let Some(inside) = rest.strip_prefix('{') {
        let (inside, after) = inside.rsplit_once('}').unwrap_or_else(|| panic!("labels without an end in {line:?}"));
        for pair in inside.split("\",").filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once("=\"").unwrap_or_else(|| panic!("a label without a value in {line:?}"));
            labels.insert(name.trim().to_owned(), value.trim_end_matches('"').to_owned());
        }
        value = after;
    }
    let number = value.split_whitespace().next().and_then(|number| number.parse().ok());
    Sample { name: name.to_owned(), labels, value: number.unwrap_or_else(|| panic!("no number in {line:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_over_the_labels_not_asked_for() {
        let text = "# TYPE x counter\nx_total{a=\"1\",b=\"2\"} 3\nx_total{a=\"1\",b=\"3\"} 4.5\nx_total{a=\"2\"} 1\nup 1\n# EOF\n";
        let metrics = Metrics::parse(text);
        assert!((metrics.sum("x_total", &[("a", "1")]) - 7.5).abs() < f64::EPSILON);
        assert!(metrics.has("up", &[]));
        assert!(!metrics.has("x_total", &[("a", "3")]));
    }
}
