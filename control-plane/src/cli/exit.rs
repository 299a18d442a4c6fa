//! How the command ends: its exit status, and what it says when it could not do what was asked.

use std::{fmt::Write as _, process::ExitCode};

use serde_json::json;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::page::Line;

/// The exit statuses, as the help tells them.
pub(crate) const EXIT_STATUSES: &str = "\
Exit status:
  0   done
  1   failed, or not gone ahead with
  2   wrong usage: an argument, or the contexts file
  3   refused: the settings have moved on, the last provider of a model, no permission, another fleet
  4   unreachable: nobody answers, or not in time; a change may have been made all the same
  5   done, but not applied by every live sidecar in time
 10   `status --exit-code`: degraded
 11   `status --exit-code`: critical
 12   `status --exit-code`: not known, or what is known is stale";

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Failed,
    Usage,
    Refused,
    Unreachable,
    NotByAll,
    Degraded,
    Critical,
    Unknown,
}

/// Why what was asked was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    exit: Exit,
    code: Option<Code>,
    what: String,
    /// Fields of the request, and what is wrong with each.
    fields: Vec<(String, String)>,
    /// What can be done about it.
    advice: Option<String>,
    /// Whoever refused it is sure that it was not done.
    nothing_done: bool,
}

impl Exit {
    /// The status itself.
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Unreachable => 4,
            Self::NotByAll => 5,
            Self::Degraded => 10,
            Self::Critical => 11,
            Self::Unknown => 12,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}

impl Failure {
    /// One that ends so, for this reason.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, code: None, what: what.into(), fields: Vec::new(), advice: None, nothing_done: false }
    }

    /// Wrong usage.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// The same, and what to do about it.
    #[must_use]
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// What the control plane at `address` answered instead of doing what was asked.
    pub(crate) fn answered(status: &Status, address: &str) -> Self {
        if std::error::Error::source(status).is_some() {
            // No answer at all: the connection broke, or what is there speaks something else.
            return Self::unreachable(address, &deepest(status)).coded(Code::Unavailable).advise(knock(address));
        }
        let details = status.get_error_details();
        let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
        let told = details.error_info().map(|info| &info.metadata);
        let metadata = |key: &str| told.and_then(|told| told.get(key)).filter(|text| !text.is_empty());
        let (exit, advice) = match status.code() {
            Code::Aborted => {
                let version = metadata("settingsVersion").or_else(|| metadata("settings_version"));
                let repeat = match version.map(String::as_str) {
                    Some("0") => "without --expect".to_owned(),
                    Some(version) => format!("with --expect {version}"),
                    None => "with --expect VERSION".to_owned(),
                };
                let advice = format!("look again with `fusebox status`, then repeat it {repeat}");
                (Exit::Refused, Some(advice))
            }
            Code::FailedPrecondition => {
                let models = metadata("models").map_or(String::new(), |models| format!(" ({models})"));
                let advice = format!("`--dry-run` shows what would be left to serve{models}; `--force` does it all the same");
                (Exit::Refused, Some(advice))
            }
            Code::PermissionDenied => {
                (Exit::Refused, Some("this needs the role operator: `fusebox context show` says whose token is used".into()))
            }
            Code::Unauthenticated => (
                Exit::Refused,
                Some("give a token with --token-file FILE, FUSEBOX_TOKEN_FILE or a context, or a certificate with --cert".into()),
            ),
            Code::ResourceExhausted => (Exit::Refused, again(status)),
            Code::InvalidArgument | Code::OutOfRange => (Exit::Usage, None),
            Code::NotFound => (Exit::Failed, Some("`fusebox status` names what there is".into())),
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => (Exit::Unreachable, None),
            Code::Unimplemented => {
                (Exit::Failed, Some(format!("what answers at {address} is no control plane, or an older one")))
            }
            _ => (Exit::Failed, None),
        };
        Self {
            exit,
            code: Some(status.code()),
            what: violations.first().map_or_else(|| said(status), |first| without(&said(status), &first.field)),
            fields: violations.into_iter().map(|one| (one.field, one.description)).collect(),
            advice,
            nothing_done: metadata("mayHaveRun").is_some_and(|may| may == "false"),
        }
    }

    /// Nobody answers at `address`.
    pub(crate) fn unreachable(address: &str, why: &str) -> Self {
        Self::new(Exit::Unreachable, format!("no control plane answers at {address}: {why}"))
    }

    fn coded(mut self, code: Code) -> Self {
        self.code = Some(code);
        self
    }

    /// Whether trying again later, unchanged, may do it.
    pub(crate) fn passes(&self) -> bool {
        self.exit == Exit::Unreachable
            || matches!(self.code, Some(Code::Internal | Code::Unknown | Code::ResourceExhausted))
    }

    /// Whether what was asked for may have been done all the same.
    pub(crate) fn may_be_done(&self) -> bool {
        self.exit == Exit::Unreachable && !self.nothing_done
    }

    /// How the command ends because of it.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// What happened, in one line.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// What is said on standard error.
    pub(crate) fn text(&self) -> String {
        let line = |text: String| Line::from(text).show(false);
        let mut text = line(format!("fusebox: {}", self.what));
        for (field, fault) in &self.fields {
            let _ = write!(text, "\n{}", line(format!("  {field}: {fault}")));
        }
        if let Some(advice) = &self.advice {
            let _ = write!(text, "\n{}", line(format!("  {advice}")));
        }
        text
    }

    /// The same as a document, of the shape that the REST surface's errors have.
    pub(crate) fn json(&self) -> String {
        let fields: Vec<_> =
            self.fields.iter().map(|(field, message)| json!({"field": field, "message": message})).collect();
        let code = self.code.map_or_else(|| self.word().to_owned(), name);
        let mut error = json!({"code": code, "message": self.what, "fields": fields});
        if let Some(advice) = &self.advice {
            error["advice"] = json!(advice);
        }
        json!({"error": error}).to_string()
    }

    const fn word(&self) -> &'static str {
        match self.exit {
            Exit::Usage => "INVALID_ARGUMENT",
            Exit::Refused => "FAILED_PRECONDITION",
            Exit::Unreachable => "UNAVAILABLE",
            _ => "UNKNOWN",
        }
    }
}

/// A code as gRPC writes it.
fn name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

fn said(status: &Status) -> String {
    match status.message() {
        "" => format!("the control plane refused it: {}", name(status.code())),
        message => message.to_owned(),
    }
}

/// What lies at the bottom of a failed connection says more than its wrappings.
fn deepest(status: &Status) -> String {
    bottom(status).unwrap_or_else(|| said(status))
}

/// What `error` ultimately comes from, if it comes from something.
pub(crate) fn bottom(error: &dyn std::error::Error) -> Option<String> {
    let mut cause = error.source()?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(cause.to_string())
}

/// What may be wrong where nothing that answers at `address` can be understood.
pub(crate) fn knock(address: &str) -> &'static str {
    if address.starts_with("https://") {
        "if it speaks no TLS, write http:// before the address"
    } else {
        "is it running there? If it speaks TLS, write https:// before the address"
    }
}

fn again(status: &Status) -> Option<String> {
    let wait = status.get_details_retry_info().and_then(|info| info.retry_delay);
    wait.map(|wait| format!("try again in {}", super::time::show(wait)))
}

/// `said` up to where it begins to tell of fields, which are told line by line.
fn without(said: &str, field: &str) -> String {
    said.split_once(&format!(": {field}: ")).map_or(said, |(before, _)| before).to_owned()
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, time::Duration};

    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    const AT: &str = "127.0.0.1:50052";

    #[test]
    fn every_code_has_an_exit_status_that_scripts_can_use() {
        for (code, exit) in [
            (Code::Aborted, Exit::Refused),
            (Code::FailedPrecondition, Exit::Refused),
            (Code::PermissionDenied, Exit::Refused),
            (Code::Unauthenticated, Exit::Refused),
            (Code::ResourceExhausted, Exit::Refused),
            (Code::InvalidArgument, Exit::Usage),
            (Code::NotFound, Exit::Failed),
            (Code::Internal, Exit::Failed),
            (Code::Unimplemented, Exit::Failed),
            (Code::Unavailable, Exit::Unreachable),
            (Code::DeadlineExceeded, Exit::Unreachable),
            (Code::Cancelled, Exit::Unreachable),
        ] {
            assert_eq!(Failure::answered(&Status::new(code, "why"), AT).exit(), exit, "{code:?}");
        }
    }

    #[test]
    fn each_exit_status_is_told_in_the_help() {
        for exit in [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Refused,
            Exit::Unreachable,
            Exit::NotByAll,
            Exit::Degraded,
            Exit::Critical,
            Exit::Unknown,
        ] {
            let row = format!("{:>3}   ", exit.status());
            assert!(EXIT_STATUSES.lines().any(|line| line.starts_with(&row)), "{exit:?}");
        }
    }

    #[test]
    fn faults_of_fields_stand_one_on_a_line() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("reason", "must not be empty");
        details.add_bad_request_violation("expires_after", "30 days at most\n");
        let message = "the request is wrong: reason: must not be empty; expires_after: 30 days at most";
        let status = Status::with_error_details(Code::InvalidArgument, message, details);
        let failure = Failure::answered(&status, AT);
        assert_eq!(
            failure.text(),
            "fusebox: the request is wrong\n  reason: must not be empty\n  expires_after: 30 days at most "
        );
        assert_eq!(
            failure.json(),
            r#"{"error":{"code":"INVALID_ARGUMENT","message":"the request is wrong","fields":[{"field":"reason","message":"must not be empty"},{"field":"expires_after","message":"30 days at most\n"}]}}"#
        );
    }

    #[test]
    fn a_change_that_was_surely_not_made_is_not_called_doubtful() {
        let unavailable = |may: &str| {
            let metadata = HashMap::from([("mayHaveRun".to_owned(), may.to_owned())]);
            let details = ErrorDetails::with_error_info("STORE_UNAVAILABLE", "fusebox", metadata);
            Failure::answered(&Status::with_error_details(Code::Unavailable, "the store is gone", details), AT)
        };
        assert!(unavailable("true").may_be_done() && !unavailable("false").may_be_done());
        assert_eq!(unavailable("false").text(), "fusebox: the store is gone", "it is the store that does not answer");
        assert!(Failure::unreachable(AT, "it said nothing").may_be_done());
        assert!(!Failure::usage("no").may_be_done());
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let metadata = HashMap::from([("settingsVersion".to_owned(), "14".to_owned())]);
        let details = ErrorDetails::with_error_info("ABORTED", "fusebox", metadata);
        let status = Status::with_error_details(Code::Aborted, "the settings have moved on", details);
        assert!(Failure::answered(&status, AT).text().ends_with("then repeat it with --expect 14"));
        let mut details = ErrorDetails::new();
        details.set_retry_info(Some(Duration::from_secs(30)));
        let status = Status::with_error_details(Code::ResourceExhausted, "too many failed logins", details);
        assert_eq!(Failure::answered(&status, AT).text(), "fusebox: too many failed logins\n  try again in 30s");
        let silent = Failure::answered(&Status::new(Code::FailedPrecondition, ""), AT);
        assert!(silent.text().starts_with("fusebox: the control plane refused it: FAILED_PRECONDITION\n"));
    }
}
