//! `check`: what is wrong with a configuration, then what is unwise in it.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use fusebox_base::{
    config::table,
    serve::tls::{self, ClientCertificates},
};

use super::{Check, Config, Sources, advise, keys, load};

/// Prints what there is to say. Wrong: exit status 2. Unwise or good: 0.
#[must_use]
pub fn check(check: &Check, sources: &Sources) -> ExitCode {
    let judged = if check.keys { Ok(table(&keys())) } else { judge(sources) };
    match judged {
        Ok(said) => {
            // Whoever reads the first lines and closes the pipe has read enough.
            let _ = io::stdout().lock().write_all(said.as_bytes());
            ExitCode::SUCCESS
        }
        Err(faults) => {
            eprintln!("wrong:\n{faults}");
            ExitCode::from(2)
        }
    }
}

/// What is unwise, or else everything that is wrong.
fn judge(sources: &Sources) -> Result<String, String> {
    let config = load(sources).map_err(|faults| faults.to_string())?;
    if let Some(named) = &config.auth.tls {
        tls::read("auth.tls", named, config.auth.asked())?;
    }
    if let Some(injector) = &config.injector {
        tls::read("injector.tls", &injector.tls, ClientCertificates::Required)?;
    }
    Ok(opinion(&config))
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
    let asked = match (config.auth.tokens.is_some(), config.auth.certificates.is_empty()) {
        (false, true) => "nobody is asked who they are",
        (true, true) => "callers show a token",
        (false, false) => "callers show a certificate",
        (true, false) => "callers show a token or a certificate",
    };
    let channels = config.alerts.settings.channels.len();
    let plural = if channels == 1 { "" } else { "s" };
    let injected = config.injector.as_ref().map(|injector| injector.template.version());
    let injected = injected.map_or_else(String::new, |version| format!(", pods are injected by template {version}"));
    let _ = writeln!(said, "the configuration is good: {asked}, {channels} channel{plural} of alerts{injected}");
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_good_is_said_with_who_is_asked_and_what_is_wrong_with_its_place() {
        let mut sources = Sources::default();
        assert_eq!(
            judge(&sources).unwrap(),
            "the configuration is good: nobody is asked who they are, 0 channels of alerts\n"
        );
        sources.set("listen.http=0.0.0.0:8081");
        let wrong = judge(&sources).unwrap_err();
        assert!(wrong.starts_with("listen.http: ") && wrong.ends_with("(--set)"), "{wrong}");
    }

    #[test]
    fn a_certificate_that_cannot_be_served_with_is_wrong() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut sources = Sources::default();
        for key in ["cert_file", "key_file"] {
            sources.set(&format!("auth.tls.{key}={}", file.path().display()));
        }
        let wrong = judge(&sources).unwrap_err();
        assert!(wrong.starts_with("auth.tls.key_file: "), "{wrong}");
    }
}
