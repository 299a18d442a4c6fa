//! Making a change: its reason, its dry run, the question, the wait, and what came of it.

use std::time::Duration;

use fusebox_proto::v1::{
    ChangeOptions, ChangeResult, SetBreakerRequest, SetBreakerResponse, SetDegradationRequest, SetDegradationResponse,
    SetProviderRequest, SetProviderResponse,
};

use super::{
    args::{Change, Lasting},
    connect::Client,
    exit::{Exit, Failure},
    out::Out,
    page::Line,
    prompt,
    show::{self, View},
    time,
};

/// Sent as the reason of a dry run that has none: it changes nothing, and nobody is asked for one.
const DRY_RUN_REASON: &str = "dry run";

/// A patience that is not mentioned.
const SHORT: Duration = Duration::from_secs(1);

/// What is to be changed, and how that is said.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) request: Request,
    /// A subject: `vllm`.
    pub(crate) what: String,
    /// What becomes of it: `off`; it is, or would be that.
    pub(crate) becomes: String,
    /// It takes something out of service, or out of Fusebox's own hands: whoever is there is asked.
    pub(crate) grave: bool,
}

/// The requests that change something.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    Provider(SetProviderRequest),
    Breaker(SetBreakerRequest),
    Degradation(SetDegradationRequest),
}

/// The answer to one.
#[derive(Debug)]
enum Answer {
    Provider(SetProviderResponse),
    Breaker(SetBreakerResponse),
    Degradation(Box<SetDegradationResponse>),
}

/// Makes it, as `change` says, or shows what it would do.
///
/// # Errors
/// It is refused, by the control plane or by whoever was asked; or nobody answers.
pub(crate) async fn make(
    client: &Client,
    out: Out,
    mut wanted: Wanted,
    change: &Change,
    lasting: Lasting,
) -> Result<Exit, Failure> {
    wanted.request.lasts(lasting.span)?;
    let mut options = ChangeOptions {
        dry_run: change.dry_run,
        expected_version: change.expect.unwrap_or_default(),
        wait: (!change.no_wait && !change.dry_run).then(|| time::duration(change.wait)),
        force: change.force,
    };
    if change.dry_run {
        let answer = send(client, &wanted.with(change.reason.as_deref().unwrap_or(DRY_RUN_REASON), options)).await?;
        return shown(&wanted, &answer, out, true, false);
    }
    // A reason that is empty is refused before anything is asked of anybody.
    let mut reason = change.reason.clone();
    if (wanted.grave || change.force) && !change.yes && prompt::somebody_is_there() {
        options.expected_version = preview(client, &wanted, change, options).await?;
        prompt::agreement("Go ahead?").await?;
        reason = Some(prompt::reason(reason.as_deref()).await?);
    }
    let reason = prompt::reason(reason.as_deref()).await?;
    let waits = options.wait.is_some() && !change.wait.is_zero();
    let answer = patiently(send(client, &wanted.with(&reason, options)), waits, change.wait).await.map_err(unsure)?;
    shown(&wanted, &answer, out, false, waits)
}

/// Shows on standard error what it would do, and returns the version of the settings that this was true of.
async fn preview(client: &Client, wanted: &Wanted, change: &Change, options: ChangeOptions) -> Result<u64, Failure> {
    let dry = ChangeOptions { dry_run: true, wait: None, ..options };
    let answer = send(client, &wanted.with(change.reason.as_deref().unwrap_or(DRY_RUN_REASON), dry)).await?;
    let result = answer.result();
    for line in show::dry_run(&wanted.would(), &result, View { width: None, now: time::Now::read() }) {
        eprintln!("{}", line.show(false));
    }
    Ok(result.settings_version)
}

/// Says on a terminal what is being waited for, if it takes long enough to wonder.
async fn patiently<T>(work: impl Future<Output = T>, waits: bool, wait: Duration) -> T {
    tokio::pin!(work);
    if waits && prompt::somebody_is_there() {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(SHORT) => {
                eprintln!("waiting for every live sidecar to apply it, for {} at most…", time::show(wait));
            }
        }
    }
    work.await
}

async fn send(client: &Client, request: &Request) -> Result<Answer, Failure> {
    match request.clone() {
        Request::Provider(request) => {
            let wait = patience(request.change.as_ref());
            let ask = async |mut service: super::connect::Service| service.set_provider(request).await;
            client.ask(wait, ask).await.map(Answer::Provider)
        }
        Request::Breaker(request) => {
            let wait = patience(request.change.as_ref());
            let ask = async |mut service: super::connect::Service| service.set_breaker(request).await;
            client.ask(wait, ask).await.map(Answer::Breaker)
        }
        Request::Degradation(request) => {
            let wait = patience(request.change.as_ref());
            let ask = async |mut service: super::connect::Service| service.set_degradation(request).await;
            client.ask(wait, ask).await.map(|answer| Answer::Degradation(Box::new(answer)))
        }
    }
}

/// How much longer than usual the answer may take.
fn patience(change: Option<&ChangeOptions>) -> Duration {
    change.and_then(|change| change.wait).and_then(|wait| Duration::try_from(wait).ok()).unwrap_or_default()
}

fn shown(wanted: &Wanted, answer: &Answer, out: Out, dry: bool, waited: bool) -> Result<Exit, Failure> {
    let result = answer.result();
    if out.json {
        match answer {
            Answer::Provider(answer) => out.message(answer)?,
            Answer::Breaker(answer) => out.message(answer)?,
            Answer::Degradation(answer) => out.message(&**answer)?,
        }
    } else {
        let view = View { width: out.width(), now: time::Now::read() };
        let lines: Vec<Line> = if dry {
            show::dry_run(&wanted.would(), &result, view)
        } else {
            show::done(&wanted.is(), &result, waited, view)
        };
        out.lines(&lines)?;
    }
    let by_all = dry || !waited || result.sidecars_applied >= result.sidecars_total;
    Ok(if by_all { Exit::Done } else { Exit::NotByAll })
}

/// A change whose answer did not come may have been made.
fn unsure(failure: Failure) -> Failure {
    if failure.may_be_done() {
        failure.advise("it may have been made all the same: `fusebox status` and `fusebox audit` say")
    } else {
        failure
    }
}

impl Wanted {
    fn with(&self, reason: &str, options: ChangeOptions) -> Request {
        let (reason, change) = (reason.to_owned(), Some(options));
        match self.request.clone() {
            Request::Provider(request) => Request::Provider(SetProviderRequest { reason, change, ..request }),
            Request::Breaker(request) => Request::Breaker(SetBreakerRequest { reason, change, ..request }),
            Request::Degradation(request) => Request::Degradation(SetDegradationRequest { reason, change, ..request }),
        }
    }

    fn is(&self) -> String {
        format!("{} is {}", self.what, self.becomes)
    }

    fn would(&self) -> String {
        format!("{} would be {}", self.what, self.becomes)
    }
}

impl Request {
    fn lasts(&mut self, span: Option<Duration>) -> Result<(), Failure> {
        if span.is_some_and(|span| span.is_zero()) {
            return Err(Failure::usage("--for 0s would undo it at once; leave it out for a change that lasts"));
        }
        let expires_after = match self {
            Self::Provider(request) => &mut request.expires_after,
            Self::Breaker(request) => &mut request.expires_after,
            Self::Degradation(request) => &mut request.expires_after,
        };
        *expires_after = span.map(time::duration);
        Ok(())
    }
}

impl Answer {
    fn result(&self) -> ChangeResult {
        let result = match self {
            Self::Provider(answer) => &answer.result,
            Self::Breaker(answer) => &answer.result,
            Self::Degradation(answer) => &answer.result,
        };
        result.clone().unwrap_or_default()
    }
}
