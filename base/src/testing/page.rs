//! A reader of pages of metrics for tests: it refuses what Prometheus would refuse.

use std::collections::{BTreeMap, BTreeSet};

/// A page that was read.
#[derive(Debug, Default)]
pub struct Page {
    /// Families by name: their type and help.
    pub families: BTreeMap<String, (String, String)>,
    /// Samples by name and labels as written.
    samples: BTreeMap<String, f64>,
}

impl Page {
    /// Reads a whole page.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut family = (String::new(), String::new());
        let mut help = None;
        assert!(text.ends_with('\n'), "the last line has no end");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, text) = rest.split_once(' ').expect("a help has a text");
                assert!(text.ends_with('.'), "{name}'s help is no sentence");
                help = Some((name.to_owned(), text.to_owned()));
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a type");
                let (helped, text) = help.take().expect("a help before each type");
                assert_eq!(helped, name);
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
                let before = page.families.insert(name.to_owned(), (kind.to_owned(), text));
                assert!(before.is_none(), "{name} comes twice");
                family = (name.to_owned(), kind.to_owned());
            } else {
                page.sample(line, &family);
            }
        }
        page.check_histograms();
        page
    }

    /// The value of a series, written as `name{label="value",…}`.
    #[must_use]
    pub fn value(&self, series: &str) -> Option<f64> {
        self.samples.get(series).copied()
    }

    /// The series whose text begins so.
    #[must_use]
    pub fn series(&self, prefix: &str) -> Vec<&str> {
        self.samples.keys().filter(|series| series.starts_with(prefix)).map(String::as_str).collect()
    }

    /// The sum of the series whose text begins so.
    #[must_use]
    pub fn sum(&self, prefix: &str) -> f64 {
        self.samples.iter().filter(|(series, _)| series.starts_with(prefix)).map(|(_, value)| value).sum()
    }

    fn sample(&mut self, line: &str, (family, kind): &(String, String)) {
        let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
        let name = series.split('{').next().expect("a name");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
        let suffix = name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{name} stands in {family}"));
        let allowed: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(allowed.contains(&suffix), "{name} in the {kind} {family}");
        labels(series);
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(value >= 0.0, "{line}");
        assert!(self.samples.insert(series.to_owned(), value).is_none(), "{series} comes twice");
    }

    fn check_histograms(&self) {
        for (name, _) in self.families.iter().filter(|(_, (kind, _))| kind == "histogram") {
            for count in self.series(&format!("{name}_count")) {
                let own: BTreeSet<_> = labels(count).into_iter().collect();
                let mut buckets = Vec::new();
                for bucket in self.series(&format!("{name}_bucket")) {
                    let (le, others): (Vec<_>, Vec<_>) =
                        labels(bucket).into_iter().partition(|(label, _)| label == "le");
                    if others.into_iter().collect::<BTreeSet<_>>() == own {
                        buckets.push((le[0].1.parse::<f64>().unwrap(), self.samples[bucket]));
                    }
                }
                buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{count}: {buckets:?}");
                assert_eq!(buckets.last().copied(), Some((f64::INFINITY, self.samples[count])), "{count}");
                assert!(self.samples.contains_key(&count.replacen("_count", "_sum", 1)), "{count} has no sum");
            }
        }
    }
}

/// The labels of a series as written.
fn labels(series: &str) -> Vec<(String, String)> {
    let Some((_, rest)) = series.split_once('{') else { return Vec::new() };
    let mut rest = rest.strip_suffix('}').expect("a closing brace");
    let mut labels = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").expect("a label's value");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name} in {series}");
        let (mut value, mut escaped, mut end) = (String::new(), false, None);
        for (at, character) in after.char_indices() {
            match (escaped, character) {
                (false, '"') => {
                    end = Some(at);
                    break;
                }
                (false, '\\') => escaped = true,
                (true, other) => {
                    assert!(['n', '"', '\\'].contains(&other), "\\{other} in {series}");
                    value.push(other);
                    escaped = false;
                }
                (false, other) => value.push(other),
            }
        }
        rest = &after[end.expect("a closing quote") + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
        labels.push((name.to_owned(), value));
    }
    labels
}
