//! A page of metrics as text: Prometheus' own format, or OpenMetrics, which differ little.

use std::fmt::{Display, Write};

use super::{exemplar::Exemplar, format::Format};

/// A page of metrics under construction.
#[derive(Debug, Default)]
pub struct Text {
    page: String,
    format: Format,
}

/// How many recordings a bucket and those below it hold, and an example of its own.
pub(super) struct Bucket {
    pub(super) count: u64,
    pub(super) example: Option<Exemplar>,
}

impl Text {
    /// An empty page in `format`.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { page: String::new(), format }
    }

    /// Begins a family: its samples follow, and nothing else until the next family. A counter's name ends in `_total`.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        // In OpenMetrics a counter's samples bear the ending, and its family does not.
        let name = match (self.format, kind) {
            (Format::OpenMetrics, "counter") => name.strip_suffix("_total").unwrap_or(name),
            _ => name,
        };
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// One sample.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.line(name, labels, None, value);
    }

    /// One bucket of the histogram `name`: how many were at or under `le` seconds.
    pub(super) fn bucket(&mut self, name: &str, labels: &[(&str, &str)], le: &str, count: &Bucket) {
        let name = format!("{name}_bucket");
        match count.example.filter(|_| self.format == Format::OpenMetrics) {
            None => self.line(&name, labels, Some(("le", le)), count.count),
            Some(example) => self.line(&name, labels, Some(("le", le)), format_args!("{}{example}", count.count)),
        }
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// The whole page.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.page.push_str("# EOF\n");
        }
        self.page
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], last: Option<(&str, &str)>, value: impl Display) {
        self.page.push_str(name);
        let mut before = '{';
        for (label, text) in labels.iter().copied().chain(last) {
            self.page.push(before);
            self.put(format_args!("{label}=\""));
            self.escaped(text);
            self.page.push('"');
            before = ',';
        }
        if before == ',' {
            self.page.push('}');
        }
        self.put(format_args!(" {value}\n"));
    }

    fn escaped(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '\\' => self.page.push_str("\\\\"),
                '"' => self.page.push_str("\\\""),
                '\n' => self.page.push_str("\\n"),
                other => self.page.push(other),
            }
        }
    }

    fn put(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a String has no way to fail.
        let _ = self.page.write_fmt(arguments);
    }
}

impl Display for Exemplar {
    /// As it stands after a sample's value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hex = |f: &mut std::fmt::Formatter<'_>, id: &[u8]| id.iter().try_for_each(|byte| write!(f, "{byte:02x}"));
        f.write_str(" # {trace_id=\"")?;
        hex(f, &self.of.trace)?;
        f.write_str("\",span_id=\"")?;
        hex(f, &self.of.span)?;
        write!(f, "\"}} {} {:.3}", self.took.as_secs_f64(), self.at())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::prometheus::exemplar::Traced;

    fn page(format: Format) -> String {
        let of = Traced { trace: [0xab; 16], span: [0x0c; 8], at: UNIX_EPOCH + Duration::from_millis(1_500) };
        let example = Some(Exemplar { took: Duration::from_micros(250), of });
        let mut text = Text::new(format);
        text.family("a_total", "counter", "Counts a.");
        text.sample("a_total", &[("x", "q\"b\\n\n"), ("y", "é")], 3);
        text.family("b", "histogram", "Measures b.");
        text.bucket("b", &[], "0.0005", &Bucket { count: 1, example });
        text.bucket("b", &[], "+Inf", &Bucket { count: 1, example: None });
        text.finish()
    }

    #[test]
    fn label_values_are_escaped_and_numbers_are_plain() {
        let expected = "# HELP a_total Counts a.\n# TYPE a_total counter\na_total{x=\"q\\\"b\\\\n\\n\",y=\"é\"} 3\n\
                        # HELP b Measures b.\n# TYPE b histogram\nb_bucket{le=\"0.0005\"} 1\nb_bucket{le=\"+Inf\"} 1\n";
        assert_eq!(page(Format::Prometheus), expected);
    }

    #[test]
    fn open_metrics_names_counters_without_their_ending_shows_exemplars_and_has_an_end() {
        let example = " # {trace_id=\"abababababababababababababababab\",span_id=\"0c0c0c0c0c0c0c0c\"} 0.00025 1.500";
        let expected = format!(
            "# HELP a Counts a.\n# TYPE a counter\na_total{{x=\"q\\\"b\\\\n\\n\",y=\"é\"}} 3\n\
             # HELP b Measures b.\n# TYPE b histogram\nb_bucket{{le=\"0.0005\"}} 1{example}\nb_bucket{{le=\"+Inf\"}} 1\n# EOF\n"
        );
        assert_eq!(page(Format::OpenMetrics), expected);
    }
}
