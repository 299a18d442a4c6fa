//! Which lines are let through.

use tracing_subscriber::{EnvFilter, filter::ParseError};

/// Reads a level, or levels by target: `info`, `warn, fusebox::call=debug`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(text: &str) -> Result<EnvFilter, ParseError> {
    // The library miscounts where a part begins with a space: it takes another target, or panics amid a letter.
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    EnvFilter::builder().parse(parts.join(","))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spaces_around_parts_mean_nothing() {
        let plain = parse("warn,fusebox::call=debug").unwrap().to_string();
        assert_eq!(parse(" warn ,\tfusebox::call=debug ").unwrap().to_string(), plain);
        assert!(plain.contains("fusebox::call=debug"), "{plain}");
        // What the library takes amid a letter.
        assert_eq!(parse(" a₠=info").unwrap().to_string(), parse("a₠=info").unwrap().to_string());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}", near in "[ a₠=,\\[\\]{}\"]{0,12}") {
            let _ = (parse(&text), parse(&near));
        }
    }
}
