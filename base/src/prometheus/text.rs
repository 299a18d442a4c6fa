//! Prometheus' text format, version 0.0.4.

use std::fmt::{Display, Write};

/// The format's media type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics under construction.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// Begins a family: its samples follow, and nothing else until the next family.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// One sample.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.line(name, labels, None, value);
    }

    /// One bucket of the histogram `name`: how many were at or under `le` seconds.
    pub fn bucket(&mut self, name: &str, labels: &[(&str, &str)], le: &str, count: u64) {
        self.line(&format!("{name}_bucket"), labels, Some(("le", le)), count);
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// The whole page.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], last: Option<(&str, &str)>, value: impl Display) {
        self.0.push_str(name);
        let mut before = '{';
        for (label, text) in labels.iter().copied().chain(last) {
            self.0.push(before);
            self.put(format_args!("{label}=\""));
            self.escaped(text);
            self.0.push('"');
            before = ',';
        }
        if before == ',' {
            self.0.push('}');
        }
        self.put(format_args!(" {value}\n"));
    }

    fn escaped(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                other => self.0.push(other),
            }
        }
    }

    fn put(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a String has no way to fail.
        let _ = self.0.write_fmt(arguments);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped_and_numbers_are_plain() {
        let mut text = Text::default();
        text.family("a_total", "counter", "Counts a.");
        text.sample("a_total", &[("x", "q\"b\\n\n"), ("y", "é")], 3);
        text.bucket("b", &[], "0.0005", 1);
        assert_eq!(
            text.finish(),
            "# HELP a_total Counts a.\n# TYPE a_total counter\na_total{x=\"q\\\"b\\\\n\\n\",y=\"é\"} 3\nb_bucket{le=\"0.0005\"} 1\n"
        );
    }
}
