//! The command line: what may be typed.

use std::{path::PathBuf, time::Duration};

use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use fusebox_proto::v1;

use super::{exit::EXIT_STATUSES, time};

const CHANGES: &str = "\
Changes:
  On a terminal, whatever takes a provider out of service or a breaker or a level out of Fusebox's own
  hands shows first what it would do, and asks; --yes does not ask. Off a terminal nothing asks: what
  would leave a model without a provider is refused there too, unless --force is given.
  A change waits until every live sidecar has applied it, for 10s at most; see --wait and --no-wait.

Where the control plane is:
  What is typed comes before the environment (FUSEBOX_ADDRESS, FUSEBOX_CA, FUSEBOX_CERT, FUSEBOX_KEY,
  FUSEBOX_SERVER_NAME, FUSEBOX_TOKEN_FILE, FUSEBOX_TOKEN, FUSEBOX_CONTEXT), and that before the contexts
  file's `current`. A context counts as typed if --context names it. An address without a context of its
  own is never given another context's token.
";

const CONTEXTS: &str = "\
The contexts file, ~/.config/fusebox/contexts.yaml (XDG_CONFIG_HOME and --config FILE move it):
  current: north
  contexts:
    north:
      address: https://fusebox.north.example:50052
      ca: north-ca.pem           # absent: the authorities that this machine trusts
      token_file: ~/.north.token # or token: …, if nobody else may read this file
      fleet: north               # refuses to talk to any other
    local: { address: 127.0.0.1:50052 }
  Also: cert, key, server_name. Files are looked for beside it.";

/// Shows a fleet and changes what its sidecars do.
#[derive(Debug, Parser)]
#[command(name = "fusebox", version, after_help = EXIT_STATUSES, after_long_help = format!("{CHANGES}\n{EXIT_STATUSES}"))]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Default, Group)]
#[command(next_help_heading = "Where and how")]
pub(crate) struct Global {
    /// The control plane's gRPC door: HOST:PORT, http://… or https://… [default: 127.0.0.1:50052]. Without a scheme,
    /// TLS is spoken unless the host is this machine.
    #[arg(long, global = true, value_name = "ADDR")]
    pub(crate) address: Option<String>,
    /// The context to use, of those in the contexts file.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The contexts file [default: ~/.config/fusebox/contexts.yaml].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Trust the certificates that this authority signed, and no others.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The certificate to show, in PEM.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// The certificate's key, in PEM.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The name that the control plane's certificate must bear, if it is not the address's.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) server_name: Option<String>,
    /// The file that holds the bearer token.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// How long to wait for an answer, beyond what a change waits for sidecars.
    #[arg(long, global = true, value_name = "DURATION", value_parser = time::span, default_value = "10s")]
    pub(crate) timeout: Duration,
    /// Print the answer as JSON (Protocol Buffers' mapping); what is watched, one document a line. Errors too, on
    /// standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to colour. NO_COLOR is respected.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    #[default]
    Auto,
    Always,
    Never,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The fleet at a glance: its health, providers, models, alerts, and the sidecars that are not well.
    Status(Status),
    /// The same, live; off a terminal, a line for each change.
    Watch,
    /// Lists providers, switches them on and off, and ranks them.
    #[command(subcommand)]
    Provider(Provider),
    /// Forces a provider's breaker open or closed, or lets it judge by itself again.
    #[command(subcommand)]
    Breaker(Breaker),
    /// Sets how much each answer may cost the fleet or one sidecar; auto: by each sidecar's own load.
    Degradation(Degradation),
    /// Lists, acknowledges and watches alerts.
    #[command(args_conflicts_with_subcommands = true)]
    Alerts(Alerts),
    /// Keeps alerts that match from being delivered, for a while; they are still listed.
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Silence(Silence),
    /// Lists the silences.
    Silences,
    /// Lists the sidecars.
    Sidecars,
    /// One sidecar in full.
    Sidecar {
        /// Its id, as `fusebox sidecars` shows it.
        id: String,
    },
    /// Who changed what, and what was refused: newest first.
    Audit(Audit),
    /// Prints the completions for a shell.
    Completions {
        /// Whose.
        shell: Shell,
    },
    /// The contexts file: several fleets by name.
    #[command(subcommand, after_help = CONTEXTS)]
    Context(Context),
}

/// `status`.
#[derive(Debug, Clone, Default, Group)]
pub(crate) struct Status {
    /// Let the exit status say the health: 0 healthy, 10 degraded, 11 critical, 12 not known.
    #[arg(long)]
    pub(crate) exit_code: bool,
}

/// `provider`.
#[derive(Debug, Subcommand)]
pub(crate) enum Provider {
    /// Lists the providers.
    List,
    /// Lets sidecars ask it again.
    Enable(NamedForAWhile),
    /// Stops every sidecar's calls to it.
    Disable(NamedForAWhile),
    /// Ranks it: lower is asked first.
    Priority {
        /// The provider's name.
        name: String,
        /// Its rank: 0 is asked first.
        priority: u32,
        #[command(flatten)]
        lasting: Lasting,
        #[command(flatten)]
        change: Change,
    },
    /// Hands its switch and rank back to each sidecar's configuration.
    Reset(Named),
}

/// `breaker`.
#[derive(Debug, Subcommand)]
pub(crate) enum Breaker {
    /// No call goes to the provider, not even a probe.
    Open(NamedForAWhile),
    /// Calls go to the provider whatever comes of them.
    Close(NamedForAWhile),
    /// The breaker judges by itself again.
    Auto(Named),
}

/// A change of what has a name.
#[derive(Debug, Clone, Group)]
pub(crate) struct Named {
    /// The provider's name.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) change: Change,
}

/// A change of what has a name, that may end by itself.
#[derive(Debug, Clone, Group)]
pub(crate) struct NamedForAWhile {
    /// The provider's name.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) lasting: Lasting,
    #[command(flatten)]
    pub(crate) change: Change,
}

/// `degradation`.
#[derive(Debug, Clone, Group)]
pub(crate) struct Degradation {
    /// The level.
    pub(crate) level: Level,
    /// One sidecar's id, instead of the whole fleet.
    #[arg(long, value_name = "ID")]
    pub(crate) sidecar: Option<String>,
    #[command(flatten)]
    pub(crate) lasting: Lasting,
    #[command(flatten)]
    pub(crate) change: Change,
}

/// A level that may be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// Everything on offer.
    Full,
    /// Cheaper answers.
    Reduced,
    /// What can be had without a provider where it must be.
    Minimal,
    /// By each sidecar's own load.
    Auto,
}

/// How long a change lasts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Group)]
#[command(next_help_heading = "How the change is made")]
pub(crate) struct Lasting {
    /// Undo it by itself after this long, such as 30m or 2h.
    #[arg(long = "for", value_name = "DURATION", value_parser = time::span)]
    pub(crate) span: Option<Duration>,
}

/// How a change is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Group)]
#[command(next_help_heading = "How the change is made")]
pub(crate) struct Change {
    /// Why, for the audit log. On a terminal it is asked for.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Say what would change and what would be left to serve, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do it even if it leaves a model without a provider.
    #[arg(long)]
    pub(crate) force: bool,
    /// How long to wait for every live sidecar to have applied it.
    #[arg(long, value_name = "DURATION", value_parser = time::span, default_value = "10s", conflicts_with = "no_wait")]
    pub(crate) wait: Duration,
    /// Do not wait for sidecars to apply it.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Refuse if the settings have moved on from this version, as `fusebox status` shows it.
    #[arg(long, value_name = "VERSION")]
    pub(crate) expect: Option<u64>,
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// `alerts`.
#[derive(Debug, Clone, Group)]
pub(crate) struct Alerts {
    /// Those that are over too.
    #[arg(long)]
    pub(crate) all: bool,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(subcommand)]
    pub(crate) command: Option<AlertsCommand>,
}

/// `alerts …`.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Says that somebody sees to it.
    Ack {
        /// The alerts' ids, as `fusebox alerts` shows them.
        #[arg(required = true)]
        id: Vec<String>,
    },
    /// A line for each alert, as it is raised, acknowledged and resolved.
    Watch,
}

/// `silence`.
#[derive(Debug, Clone, Group)]
pub(crate) struct Silence {
    /// Only alerts of this kind.
    #[arg(long)]
    pub(crate) kind: Option<Kind>,
    /// Only alerts about this provider.
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// Only alerts about this sidecar.
    #[arg(long, value_name = "ID")]
    pub(crate) sidecar: Option<String>,
    /// Every alert: needed where nothing narrower is given.
    #[arg(long, conflicts_with_all = ["kind", "provider", "sidecar"])]
    pub(crate) all: bool,
    /// How long, thirty days at most.
    #[arg(long = "for", value_name = "DURATION", value_parser = time::span, required = true)]
    pub(crate) span: Option<Duration>,
    /// Why. On a terminal it is asked for.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Option<SilenceCommand>,
}

/// `silence …`.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum SilenceCommand {
    /// Ends one.
    End {
        /// Its id, as `fusebox silences` shows it.
        id: String,
    },
}

/// What an alert may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    ErrorSpike,
    BreakerOpened,
    HealthCritical,
    Degraded,
}

/// `audit`.
#[derive(Debug, Clone, Group)]
pub(crate) struct Audit {
    /// Everything that is kept, as JSON, one event a line.
    #[arg(long, conflicts_with = "limit")]
    pub(crate) export: bool,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}

/// `context`.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Context {
    /// Lists the contexts.
    List,
    /// Uses this one from now on, where none is named.
    Use {
        /// Its name.
        name: String,
    },
    /// Shows what a command would use now, or one context. No token is shown.
    Show {
        /// Its name.
        name: Option<String>,
    },
}

impl From<Level> for v1::DegradationLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Full => Self::Full,
            Level::Reduced => Self::Reduced,
            Level::Minimal => Self::Minimal,
            Level::Auto => Self::Unspecified,
        }
    }
}

impl From<Kind> for v1::AlertKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::ErrorSpike => Self::ErrorSpike,
            Kind::BreakerOpened => Self::BreakerOpened,
            Kind::HealthCritical => Self::HealthCritical,
            Kind::Degraded => Self::Degraded,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::try_parse_from(line.split(' ')).map_err(|error| error.to_string())
    }

    fn fault(line: &str) -> String {
        parse(line).unwrap_err()
    }

    #[test]
    fn the_definition_contradicts_itself_nowhere() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_change_takes_its_options_on_either_side_of_its_name() {
        let args = parse("fusebox provider disable vllm --reason x --for 1h30m --dry-run --expect 7 --json").unwrap();
        let Command::Provider(Provider::Disable(named)) = args.command else { panic!("not it") };
        assert!(args.global.json);
        assert_eq!((&*named.name, named.lasting.span), ("vllm", Some(Duration::from_secs(5400))));
        let wanted = Change {
            reason: Some("x".into()),
            dry_run: true,
            expect: Some(7),
            wait: Duration::from_secs(10),
            ..Change::default()
        };
        assert_eq!(named.change, wanted);
        assert!(parse("fusebox --context north breaker auto --reason x vllm -y --no-wait").is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, right) in [
            ("fusebox provider disable", "<NAME>"),
            ("fusebox provider disable vllm --for 5", "write it as 30s, 5m, 2h or 1h30m"),
            ("fusebox provider disable vllm --wait 5s --no-wait", "cannot be used with"),
            ("fusebox breaker auto vllm --for 5m", "unexpected argument '--for'"),
            ("fusebox degradation none", "possible values: full, reduced, minimal, auto"),
            ("fusebox provider priority vllm -1", "unexpected argument '-1'"),
            ("fusebox provider priority vllm x", "invalid digit"),
            ("fusebox silence --provider vllm", "--for <DURATION>"),
            ("fusebox silence --all --provider vllm --for 1h", "cannot be used with"),
            ("fusebox alerts --all ack x", "cannot be used with"),
            ("fusebox alerts ack", "<ID>"),
            ("fusebox stats", "similar subcommand"),
        ] {
            assert!(fault(line).contains(right), "{line}: {}", fault(line));
        }
    }

    #[test]
    fn a_silence_is_made_or_ended() {
        let Command::Silence(made) = parse("fusebox silence --kind error-spike --for 2h --reason x").unwrap().command
        else {
            panic!("not it")
        };
        assert_eq!((made.kind, made.span), (Some(Kind::ErrorSpike), Some(Duration::from_secs(7200))));
        let Command::Silence(ended) = parse("fusebox silence end s-1").unwrap().command else { panic!("not it") };
        assert!(matches!(ended.command, Some(SilenceCommand::End { id }) if id == "s-1"));
    }

    #[test]
    fn the_help_tells_the_exit_statuses() {
        for help in [Args::command().render_help(), Args::command().render_long_help()] {
            assert!(help.to_string().contains(EXIT_STATUSES));
        }
    }
}
