//! Samples out of a page in Prometheus' text format. What is not a sample is passed over; nothing is kept.

/// One line's name and value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample<'a> {
    pub(super) name: &'a str,
    pub(super) value: f64,
}

/// The samples of `page`, in its order.
pub(super) fn samples(page: &str) -> impl Iterator<Item = Sample<'_>> {
    page.lines().filter_map(sample)
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let line = line.trim_start();
    let name_ends = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))?;
    let (name, rest) = line.split_at(name_ends);
    let rest = match rest.trim_start().strip_prefix('{') {
        Some(labels) => after_labels(labels)?,
        None => rest,
    };
    // A time stamp may follow the value.
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    (!name.is_empty()).then_some(Sample { name, value })
}

/// What follows the brace that closes `labels`; one within quotes does not.
fn after_labels(labels: &str) -> Option<&str> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in labels.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return labels.get(at + 1..),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(page: &str) -> Vec<(&str, f64)> {
        samples(page).map(|sample| (sample.name, sample.value)).collect()
    }

    #[test]
    fn samples_are_read_with_labels_and_without() {
        let page = "# HELP vllm:num_requests_waiting Number of requests waiting to be processed.\n\
                    # TYPE vllm:num_requests_waiting gauge\n\
                    vllm:num_requests_waiting{engine=\"0\",model_name=\"meta-llama/Llama-3.1-8B\"} 3.0\n\
                    tgi_queue_size 7\n\
                    a{} 1e3 1700000000000\n  b  {x=\"1\"}  +2.5\n";
        assert_eq!(
            read(page),
            [("vllm:num_requests_waiting", 3.0), ("tgi_queue_size", 7.0), ("a", 1_000.0), ("b", 2.5)]
        );
    }

    #[test]
    fn a_labels_text_may_hold_anything() {
        let page = "a{x=\"} 9\",y=\"\\\"} 8\",z=\"\\\\\"} 1\nb{x=\"unclosed 2\nc{x=\"1\" 3\n";
        assert_eq!(read(page), [("a", 1.0)]);
    }

    #[test]
    fn what_is_no_number_is_no_sample_and_what_is_not_finite_is_read_as_written() {
        assert_eq!(read("a one\nb\nc{}\n{} 1\n\n<html>\nd +Inf\n"), [("d", f64::INFINITY)]);
        assert!(read("e NaN\n")[0].1.is_nan());
    }

    proptest! {
        #[test]
        fn no_page_upsets_it(page in any::<Vec<u8>>(), odd in "([a-z:]{1,3}(\\{[\"a\\\\},=]{0,6}\\}?)? ?[0-9.]{0,3}\n?){0,20}") {
            for page in [String::from_utf8_lossy(&page).into_owned(), odd] {
                let lines = page.lines().count();
                prop_assert!(samples(&page).count() <= lines);
            }
        }

        #[test]
        fn every_written_sample_is_read_again(
            written in prop::collection::vec(("[a-z_:][a-z0-9_:]{0,9}", "[ -~]{0,12}", -1e9..1e9_f64), 0..20),
        ) {
            let mut page = String::new();
            for (name, label, value) in &written {
                let label = label.replace('\\', "\\\\").replace('"', "\\\"");
                page.push_str(&format!("# TYPE {name} gauge\n{name}{{l=\"{label}\"}} {value}\n"));
            }
            let expected: Vec<_> = written.iter().map(|(name, _, value)| (name.as_str(), *value)).collect();
            prop_assert_eq!(read(&page), expected);
        }
    }
}
