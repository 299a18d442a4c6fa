//! The command line: what may be typed, and the sources of configuration that it names.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand};

use super::Sources;

/// The control plane of a fleet of sidecars: what they do, seen; their providers, switched.
#[derive(Debug, Parser)]
#[command(name = "fusebox-control-plane", version, about)]
pub struct Args {
    /// Given before the subcommand.
    #[command(flatten)]
    pub settings: Settings,
    /// `None` is `run`.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the control plane can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves operators until it is told to stop. What happens without a subcommand.
    Run(Settings),
    /// Says what is wrong with the configuration, then what is unwise in it.
    Check(Check),
}

/// Where the configuration comes from. Later wins: defaults, file, environment, flags.
#[derive(Debug, Clone, Default, Group)]
#[command(next_help_heading = "Configuration")]
pub struct Settings {
    /// The configuration file: YAML, JSON or TOML by its extension [env: FUSEBOX_CONFIG].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets one key, such as audit.keep_for=30d. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Where to serve gRPC.
    #[arg(long, value_name = "ADDR")]
    pub listen_grpc: Option<String>,
    /// Where to serve the dashboard, REST, health and metrics.
    #[arg(long, value_name = "ADDR")]
    pub listen_http: Option<String>,
    /// What to log: a level, or a filter such as info,fusebox=debug.
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}

/// `check`.
#[derive(Debug, Clone, Group)]
pub struct Check {
    /// Lists every key with its default instead.
    #[arg(long)]
    pub keys: bool,
    /// Given after the subcommand.
    #[command(flatten)]
    pub settings: Settings,
}

impl Args {
    /// The sources that the command line and the environment name.
    #[must_use]
    pub fn sources(&self) -> Sources {
        self.over(Sources::from_environment())
    }

    /// The flags, before the subcommand and after it, laid over `environment`.
    fn over(&self, mut environment: Sources) -> Sources {
        let after = match &self.command {
            None => None,
            Some(Command::Run(settings)) => Some(settings),
            Some(Command::Check(check)) => Some(&check.settings),
        };
        for settings in std::iter::once(&self.settings).chain(after) {
            settings.lay_over(&mut environment);
        }
        environment
    }
}

impl Settings {
    fn lay_over(&self, sources: &mut Sources) {
        if let Some(file) = &self.config {
            sources.file = Some(file.clone());
        }
        self.set.iter().for_each(|typed| sources.set(typed));
        for (flag, key, value) in [
            ("--listen-grpc", "listen.grpc", &self.listen_grpc),
            ("--listen-http", "listen.http", &self.listen_http),
            ("--log", "telemetry.log", &self.log),
        ] {
            sources.flag(flag, key, value.as_deref());
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Sources {
        let args = Args::try_parse_from(line.split_whitespace()).unwrap_or_else(|error| panic!("{error}"));
        args.over(Sources::default())
    }

    #[test]
    fn the_definitions_hold_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn flags_may_stand_before_and_after_the_subcommand_and_those_after_win() {
        let line =
            "fusebox-control-plane --set a=1 --listen-http 0.0.0.0:1 run --set b.c=2=3 --log debug --listen-grpc x";
        let flags: Vec<_> =
            parse(line).flags.iter().map(|set| format!("{} {}={}", set.flag, set.key, set.value)).collect();
        let right =
            ["--set a=1", "--listen-http listen.http=0.0.0.0:1", "--set b.c=2=3", "--listen-grpc listen.grpc=x"];
        assert_eq!(flags, [&right[..], &["--log telemetry.log=debug"]].concat());
        let file = |line: &str| parse(line).file;
        assert_eq!(file("fusebox-control-plane --config a.yaml check --config b.yaml"), Some("b.yaml".into()));
        assert_eq!(file("fusebox-control-plane --config a.yaml"), Some("a.yaml".into()));
    }

    #[test]
    fn a_flag_that_sets_nothing_is_a_fault_when_loaded() {
        let faults = super::super::load(&parse("fusebox-control-plane --set listen.http")).unwrap_err().to_string();
        assert_eq!(faults, "write KEY=VALUE, such as listen.http=127.0.0.1:8081 (--set)");
    }
}
