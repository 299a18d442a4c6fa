//! The command line: what may be typed, and the sources of configuration that it names.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args as Group, Parser, Subcommand};

use super::{Sources, units};

/// A resilience sidecar for language-model inference.
#[derive(Debug, Parser)]
#[command(name = "fusebox-sidecar", version, about)]
pub struct Args {
    /// Given before the subcommand.
    #[command(flatten)]
    pub settings: Settings,
    /// `None` is `run`.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the sidecar can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves calls until it is told to stop. What happens without a subcommand.
    Run(Settings),
    /// Says what is wrong with the configuration, then what is unwise in it.
    Check(Check),
    /// Makes one call to a running sidecar and prints the answer as it comes.
    Call(Call),
    /// Shows what a running sidecar knows of its providers.
    Status(Status),
}

/// Where the configuration comes from. Later wins: defaults, file, environment, flags.
#[derive(Debug, Clone, Default, Group)]
#[command(next_help_heading = "Configuration")]
pub struct Settings {
    /// The configuration file: YAML, JSON or TOML by its extension [env: FUSEBOX_CONFIG].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets one key, such as providers.0.timeouts.total=20s. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Where to serve gRPC.
    #[arg(long, value_name = "ADDR")]
    pub listen_grpc: Option<String>,
    /// Where to serve the OpenAI surface.
    #[arg(long, value_name = "ADDR")]
    pub listen_http: Option<String>,
    /// Where to serve health, status and metrics.
    #[arg(long, value_name = "ADDR")]
    pub listen_admin: Option<String>,
    /// What to log: a level, or a filter such as info,fusebox::call=debug.
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

/// `call`.
#[derive(Debug, Clone, Group)]
pub struct Call {
    /// What to ask; `-` reads it from standard input.
    pub prompt: String,
    /// The model, by its configured name. Default: the sidecar's first.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// A system message to put before it.
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// The most tokens to answer with.
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<u32>,
    /// The sidecar's HTTP door. Default: the one that the configuration names.
    #[arg(long, value_name = "ADDR")]
    pub http: Option<SocketAddr>,
    /// Waits for the whole answer instead of printing it as it comes.
    #[arg(long)]
    pub no_stream: bool,
    /// How long the call may take, such as 30s.
    #[arg(long, value_name = "DURATION", value_parser = a_duration)]
    pub timeout: Option<Duration>,
    /// The file that holds the bearer token to show.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Given after the subcommand.
    #[command(flatten)]
    pub settings: Settings,
}

/// `status`.
#[derive(Debug, Clone, Group)]
pub struct Status {
    /// The sidecar's admin port. Default: the one that the configuration names.
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<SocketAddr>,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
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
            Some(Command::Call(call)) => Some(&call.settings),
            Some(Command::Status(status)) => Some(&status.settings),
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
        for typed in &self.set {
            sources.set(typed);
        }
        for (flag, key, value) in [
            ("--listen-grpc", "listen.grpc", &self.listen_grpc),
            ("--listen-http", "listen.http", &self.listen_http),
            ("--listen-admin", "listen.admin", &self.listen_admin),
            ("--log", "telemetry.log", &self.log),
        ] {
            sources.flag(flag, key, value.as_deref());
        }
    }
}

fn a_duration(text: &str) -> Result<Duration, &'static str> {
    units::duration(text).ok_or("write a number with a unit, such as 30s or 500ms")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Args {
        Args::try_parse_from(line.split_whitespace()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn flags(line: &str) -> Vec<String> {
        let sources = parse(line).over(Sources::default());
        sources.flags.iter().map(|set| format!("{} {}={}", set.flag, set.key, set.value)).collect()
    }

    #[test]
    fn the_definitions_hold_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn flags_may_stand_before_and_after_the_subcommand_and_those_after_win() {
        let line = "fusebox-sidecar --set a=1 --listen-http 0.0.0.0:1 run --set b.c=2=3 --log debug";
        assert_eq!(
            flags(line),
            ["--set a=1", "--listen-http listen.http=0.0.0.0:1", "--set b.c=2=3", "--log telemetry.log=debug"]
        );
        let file = |line: &str| parse(line).over(Sources::default()).file;
        assert_eq!(file("fusebox-sidecar --config a.yaml check"), Some("a.yaml".into()));
        assert_eq!(file("fusebox-sidecar --config a.yaml check --config b.yaml"), Some("b.yaml".into()));
        assert_eq!(file("fusebox-sidecar"), None);
    }

    #[test]
    fn a_flag_that_sets_nothing_is_a_fault_when_loaded() {
        let sources = parse("fusebox-sidecar --set listen.http").over(Sources::default());
        let faults = super::super::load(&sources).unwrap_err().to_string();
        assert_eq!(faults, "write KEY=VALUE, such as providers.0.base_url=http://127.0.0.1:8000/v1 (--set)");
    }

    #[test]
    fn a_call_takes_its_options() {
        let line = "fusebox-sidecar call Hello --model chat --http 127.0.0.1:8080 --no-stream --timeout 1m30s";
        let Some(Command::Call(call)) = parse(line).command else { panic!("not a call") };
        assert_eq!((&*call.prompt, call.timeout, call.no_stream), ("Hello", Some(Duration::from_secs(90)), true));
        assert!(Args::try_parse_from(["fusebox-sidecar", "call"]).is_err());
        assert!(Args::try_parse_from(["fusebox-sidecar", "call", "x", "--timeout", "5"]).is_err());
    }
}
