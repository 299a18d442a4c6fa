//! `check`: what is wrong with a configuration, then what is unwise in it.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use fusebox_base::config::table;

use crate::config::{Check, Config, Sources, advise, keys, load};

/// Prints what there is to say. Wrong: exit status 2. Unwise or good: 0.
#[must_use]
pub fn check(check: &Check, sources: &Sources) -> ExitCode {
    let said = if check.keys {
        table(&keys())
    } else {
        match load(sources) {
            Ok(config) => opinion(&config),
            Err(faults) => {
                eprintln!("wrong:\n{faults}");
                return ExitCode::from(2);
            }
        }
    };
    // Whoever reads the first lines and closes the pipe has read enough.
    let _ = io::stdout().lock().write_all(said.as_bytes());
    ExitCode::SUCCESS
}

fn opinion(config: &Config) -> String {
    let mut said = String::new();
    let advice = advise(config);
    if !advice.is_empty() {
        said.push_str("unwise:\n");
    }
    for advice in &advice {
        let _ = writeln!(said, "  {advice}");
    }
    let (providers, models) = (config.providers.len(), config.models.len());
    let _ = writeln!(said, "the configuration is good: {}, {}", count(providers, "provider"), count(models, "model"));
    said
}

fn count(number: usize, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}
