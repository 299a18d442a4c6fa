//! Questions to whoever sits at the terminal. Where nobody does, nothing is asked.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use super::exit::{Exit, Failure};

/// Longer than any answer.
const MAX_ANSWER_BYTES: u64 = 4096;

/// Whether somebody can be asked: standard output may be a pipe all the same.
pub(crate) fn somebody_is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The reason that was given, or asks for it.
///
/// # Errors
/// There is none, and nobody to be asked.
pub(crate) async fn reason(given: Option<&str>) -> Result<String, Failure> {
    let reason = match given {
        Some(reason) => reason.to_owned(),
        None if somebody_is_there() => answer("Reason, for the audit log: ").await?,
        None => String::new(),
    };
    match reason.trim() {
        "" => Err(Failure::usage("a reason is needed, for the audit log: give it with --reason TEXT")),
        reason => Ok(reason.to_owned()),
    }
}

/// Asks whether to go ahead.
///
/// # Errors
/// No: nothing is to be done.
pub(crate) async fn agreement(question: &str) -> Result<(), Failure> {
    match answer(&format!("{question} [y/N] ")).await?.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Failed, "nothing was changed")),
    }
}

async fn answer(question: &str) -> Result<String, Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Failed, format!("the terminal: {error}"));
    let mut out = io::stderr().lock();
    out.write_all(question.as_bytes()).and_then(|()| out.flush()).map_err(failed)?;
    drop(out);
    // The connection is kept alive meanwhile.
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().take(MAX_ANSWER_BYTES).read_line(&mut line).map(|_| line)
    });
    read.await.map_err(io::Error::other).and_then(|read| read).map_err(failed)
}
