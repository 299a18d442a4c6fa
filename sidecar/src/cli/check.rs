//! `check`: what is wrong with a configuration, then what is unwise in it.

use std::process::ExitCode;

use crate::config::{Check, Sources, advise, keys, load};

/// Prints what there is to say. Wrong: exit status 2. Unwise or good: 0.
#[must_use]
pub fn check(check: &Check, sources: &Sources) -> ExitCode {
    if check.keys {
        for key in keys() {
            println!("{:<44} {:<16} {}", key.path, key.default, key.doc);
        }
        return ExitCode::SUCCESS;
    }
    let config = match load(sources) {
        Ok(config) => config,
        Err(faults) => {
            eprintln!("wrong:");
            for fault in faults.iter() {
                eprintln!("  {fault}");
            }
            return ExitCode::from(2);
        }
    };
    let advice = advise(&config);
    if !advice.is_empty() {
        println!("unwise:");
    }
    for advice in &advice {
        println!("  {advice}");
    }
    let (providers, models) = (config.providers.len(), config.models.len());
    println!("the configuration is good: {}, {}", count(providers, "provider"), count(models, "model"));
    ExitCode::SUCCESS
}

fn count(number: usize, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}
