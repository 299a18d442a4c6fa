//! `fusebox`, the operator's command: shows a fleet and changes it, by the control plane's gRPC door.
//!
//! It decides nothing: whatever is dangerous, the control plane refuses. It asks, waits, lays out and ends with a status
//! that scripts can use.

mod args;
mod ask;
mod change;
mod connect;
mod context;
mod contexts;
mod diff;
mod exit;
mod follow;
mod out;
mod page;
mod prompt;
mod screen;
mod show;
mod table;
mod target;
mod time;
mod watch;
mod words;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use self::{
    args::{Args, Command, Global},
    ask::Session,
    connect::Client,
    contexts::{Contexts, Variables},
    exit::{Exit, Failure},
    out::Out,
    target::Settings,
};

/// Does what was typed. The exit status is told in the help.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    let variables = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let out = Out::new(&args.global, &variables);
    let done = match args.command {
        Command::Completions { shell } => completions(shell, out),
        Command::Context(command) => context::context(&command, &args.global, &variables, out),
        command => runtime().and_then(|runtime| {
            let done = runtime.block_on(remote(command, &args.global, &variables, out));
            // Whoever still reads an answer from the terminal is not waited for.
            runtime.shutdown_background();
            done
        }),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if failure.exit() != Exit::Done {
                eprintln!("{}", if out.json { failure.json() } else { failure.text() });
            }
            failure.exit().into()
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}

async fn remote(command: Command, global: &Global, variables: Variables<'_>, out: Out) -> Result<Exit, Failure> {
    let contexts = Contexts::load(global.config.as_deref(), variables)?;
    let target = Settings::resolve(global, variables, &contexts)?.target()?;
    if target.tells_its_token() {
        eprintln!("fusebox: {} speaks no TLS: the token goes over the network for all to read", target.uri);
    }
    let client = Client::connect(&target, global.timeout).await?;
    let session = Session { client, out };
    match command {
        Command::Status(status) => session.status(&status).await,
        Command::Watch => watch::fleet(session.client, out).await,
        Command::Provider(command) => session.provider(command).await,
        Command::Breaker(command) => session.breaker(command).await,
        Command::Degradation(wanted) => session.degradation(wanted).await,
        Command::Alerts(wanted) => session.alerts(wanted).await,
        Command::Silence(wanted) => session.silence(wanted).await,
        Command::Silences => session.silences().await,
        Command::Sidecars => session.sidecars().await,
        Command::Sidecar { id } => session.sidecar(id).await,
        Command::Audit(wanted) => session.audit(&wanted).await,
        Command::Completions { shell } => completions(shell, out),
        Command::Context(command) => context::context(&command, global, variables, out),
    }
}

fn completions(shell: clap_complete::Shell, out: Out) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "fusebox", &mut script);
    out.text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
