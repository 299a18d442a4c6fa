//! Which of the two text formats a page is written in, by what its reader accepts.

/// A page's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Prometheus' own text, version 0.0.4.
    #[default]
    Prometheus,
    /// OpenMetrics, version 1.0.0: the one with exemplars.
    OpenMetrics,
}

impl Format {
    /// The one to write for a reader that sent `accept`; Prometheus' own where it does not say, or says neither.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        let best = |fits: fn(&str) -> bool| {
            let ranges = accept.unwrap_or_default().split(',').filter_map(|range| weight(range, fits));
            ranges.fold(0.0, f64::max)
        };
        let (text, open) = (best(|kind| kind == "text/plain"), best(is_open));
        if open > 0.0 && open >= text { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

fn is_open(kind: &str) -> bool {
    kind == "application/openmetrics-text"
}

/// How much a reader wants what one of its media ranges names, from 0 to 1; `None`: it names another kind, or a version
/// that is not written here.
fn weight(range: &str, fits: fn(&str) -> bool) -> Option<f64> {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next()?.to_ascii_lowercase();
    if !fits(&kind) {
        return None;
    }
    let mut weight = 1.0;
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => weight = value.trim().parse().ok()?,
            "version" if is_open(&kind) && !["1.0.0", "0.0.1"].contains(&value.trim()) => return None,
            _ => {}
        }
    }
    Some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_open_metrics_if_it_wants_it_as_much() {
        // What versions 2 and 3 of Prometheus send, a browser, curl, and whoever has a mind of its own.
        let table = [
            (
                Some(
                    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                     text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ),
                Format::OpenMetrics,
            ),
            (
                Some(
                    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                     text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                ),
                Format::OpenMetrics,
            ),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), Format::Prometheus),
            (Some("*/*"), Format::Prometheus),
            (None, Format::Prometheus),
            (Some("Application/OpenMetrics-Text"), Format::OpenMetrics),
            (Some("text/plain, application/openmetrics-text; version=1.0.0; q=0.9"), Format::Prometheus),
            (Some("application/openmetrics-text; version=2.0.0"), Format::Prometheus),
            (Some("application/openmetrics-text; q=0"), Format::Prometheus),
            (Some("application/openmetrics-text; q=much"), Format::Prometheus),
            (Some(";;,=,"), Format::Prometheus),
        ];
        for (accept, expected) in table {
            assert_eq!(Format::accepted(accept), expected, "{accept:?}");
        }
    }
}
