//! What each command asks of the control plane, and prints.

use std::time::Duration;

use fusebox_proto::v1::{
    AcknowledgeAlertRequest, Alert, AlertKind, AuditEvent, BreakerMode, DegradationLevel, EndSilenceRequest, Fleet,
    GetFleetRequest, GetSidecarRequest, HealthStatus, ListAlertsRequest, ListAuditEventsRequest, ListSilencesRequest,
    SetBreakerRequest, SetDegradationRequest, SetProviderRequest, SetSilenceRequest,
};

use super::{
    args,
    change::{self, Request, Wanted},
    connect::Client,
    exit::{Exit, Failure},
    out::Out,
    page::Line,
    prompt,
    show::{self, View},
    time::{self, Now},
};

/// Entries asked for at once.
const PAGE: usize = 500;

/// A day, thirty of which a silence may last.
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// A control plane, and where its answers go.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) out: Out,
}

impl Session {
    fn view(&self) -> View {
        View { width: self.out.width(), now: Now::read() }
    }

    async fn fleet(&self) -> Result<Fleet, Failure> {
        self.client.ask(Duration::ZERO, async |mut service| service.get_fleet(GetFleetRequest {}).await).await
    }

    /// The notices of a picture stand before whatever part of it is printed.
    fn part(&self, fleet: &Fleet, lines: Vec<Line>) -> Result<Exit, Failure> {
        let mut all = show::notices(fleet, Now::read());
        all.extend(lines);
        self.out.lines(&all)?;
        Ok(Exit::Done)
    }

    /// `status`.
    pub(crate) async fn status(&self, status: &args::Status) -> Result<Exit, Failure> {
        let fleet = self.fleet().await?;
        if self.out.json {
            self.out.message(&fleet)?;
        } else {
            self.out.lines(&show::fleet(&fleet, self.view()))?;
        }
        Ok(if status.exit_code { health(&fleet) } else { Exit::Done })
    }

    /// `provider`.
    pub(crate) async fn provider(&self, command: args::Provider) -> Result<Exit, Failure> {
        let request = |name: &str| SetProviderRequest { name: name.to_owned(), ..SetProviderRequest::default() };
        let (request, becomes, lasting, change) = match command {
            args::Provider::List => {
                let fleet = self.fleet().await?;
                if self.out.json {
                    self.out.messages(&fleet.providers)?;
                    return Ok(Exit::Done);
                }
                return self.part(&fleet, show::providers(&fleet.providers, self.view()));
            }
            args::Provider::Enable(on) => {
                let request = SetProviderRequest { enabled: Some(true), ..request(&on.name) };
                (request, "on".to_owned(), on.lasting, on.change)
            }
            args::Provider::Disable(off) => {
                let request = SetProviderRequest { enabled: Some(false), ..request(&off.name) };
                (request, "off".to_owned(), off.lasting, off.change)
            }
            args::Provider::Priority { name, priority, lasting, change } => {
                let request = SetProviderRequest { priority: Some(priority), ..request(&name) };
                (request, format!("of rank {priority}"), lasting, change)
            }
            args::Provider::Reset(one) => {
                let request = SetProviderRequest { reset: true, ..request(&one.name) };
                (request, "as each configuration says".to_owned(), args::Lasting::default(), one.change)
            }
        };
        let grave = request.enabled == Some(false);
        let wanted = Wanted { what: request.name.clone(), becomes, grave, request: Request::Provider(request) };
        change::make(&self.client, self.out, wanted, &change, lasting).await
    }

    /// `breaker`.
    pub(crate) async fn breaker(&self, command: args::Breaker) -> Result<Exit, Failure> {
        let (mode, name, lasting, change) = match command {
            args::Breaker::Open(one) => (BreakerMode::ForcedOpen, one.name, one.lasting, one.change),
            args::Breaker::Close(one) => (BreakerMode::ForcedClosed, one.name, one.lasting, one.change),
            args::Breaker::Auto(one) => (BreakerMode::Auto, one.name, args::Lasting::default(), one.change),
        };
        let becomes = match mode {
            BreakerMode::ForcedOpen => "forced open",
            BreakerMode::ForcedClosed => "forced closed",
            BreakerMode::Auto | BreakerMode::Unspecified => "its own judge again",
        };
        let request = SetBreakerRequest { provider: name.clone(), mode: mode.into(), ..SetBreakerRequest::default() };
        let wanted = Wanted {
            request: Request::Breaker(request),
            what: format!("the breaker of {name}"),
            becomes: becomes.to_owned(),
            grave: mode != BreakerMode::Auto,
        };
        change::make(&self.client, self.out, wanted, &change, lasting).await
    }

    /// `degradation`.
    pub(crate) async fn degradation(&self, wanted: args::Degradation) -> Result<Exit, Failure> {
        let level = DegradationLevel::from(wanted.level);
        let becomes = match level {
            DegradationLevel::Full => "full",
            DegradationLevel::Reduced => "reduced",
            DegradationLevel::Minimal => "minimal",
            DegradationLevel::Unspecified => "by each sidecar's own load again",
        };
        let sidecar = wanted.sidecar.unwrap_or_default();
        let of = if sidecar.is_empty() { "the fleet" } else { &sidecar };
        let (what, grave) = (format!("the level of {of}"), level != DegradationLevel::Unspecified);
        let request = SetDegradationRequest { level: level.into(), sidecar, ..SetDegradationRequest::default() };
        let request = Wanted { request: Request::Degradation(request), what, becomes: becomes.to_owned(), grave };
        change::make(&self.client, self.out, request, &wanted.change, wanted.lasting).await
    }

    /// `alerts`.
    pub(crate) async fn alerts(&self, wanted: args::Alerts) -> Result<Exit, Failure> {
        match wanted.command {
            None => self.list_alerts(wanted.all, wanted.limit).await,
            Some(args::AlertsCommand::Ack { id }) => self.acknowledge(id).await,
            Some(args::AlertsCommand::Watch) => super::watch::alerts(self.client.clone(), self.out).await,
        }
    }

    async fn list_alerts(&self, include_resolved: bool, limit: usize) -> Result<Exit, Failure> {
        let (mut alerts, mut page_token) = (Vec::<Alert>::new(), String::new());
        loop {
            let page_size = page_size(limit - alerts.len());
            let request = ListAlertsRequest { include_resolved, page_size, page_token };
            let page = self.client.ask(Duration::ZERO, async |mut service| service.list_alerts(request).await).await?;
            alerts.extend(page.alerts);
            alerts.truncate(limit);
            page_token = page.next_page_token;
            if page_token.is_empty() || alerts.len() >= limit {
                break;
            }
        }
        if self.out.json {
            self.out.messages(&alerts)?;
        } else {
            self.out.lines(&show::alerts(&alerts, self.view()))?;
        }
        more(&page_token, alerts.len());
        Ok(Exit::Done)
    }

    /// Every id is tried, so that one that is gone does not keep the others from being acknowledged.
    async fn acknowledge(&self, ids: Vec<String>) -> Result<Exit, Failure> {
        let (mut done, mut failures) = (Vec::new(), Vec::new());
        for id in ids {
            let request = AcknowledgeAlertRequest { id };
            match self.client.ask(Duration::ZERO, async |mut service| service.acknowledge_alert(request).await).await {
                Ok(alert) => done.push(alert),
                Err(failure) => failures.push(failure),
            }
        }
        if self.out.json {
            self.out.messages(&done)?;
        } else {
            let now = Now::read();
            self.out.lines(&done.iter().map(|alert| show::alert_line(alert, now)).collect::<Vec<_>>())?;
        }
        let last = failures.pop();
        for failure in failures {
            eprintln!("{}", if self.out.json { failure.json() } else { failure.text() });
        }
        last.map_or(Ok(Exit::Done), Err)
    }

    /// `silence`.
    pub(crate) async fn silence(&self, wanted: args::Silence) -> Result<Exit, Failure> {
        if let Some(args::SilenceCommand::End { id }) = wanted.command {
            let request = EndSilenceRequest { id };
            let ended = self.client.ask(Duration::ZERO, async |mut service| service.end_silence(request).await).await?;
            return self.silenced(&ended, "ended");
        }
        let (provider, sidecar) = (wanted.provider.unwrap_or_default(), wanted.sidecar.unwrap_or_default());
        let narrow = wanted.kind.is_some() || !provider.is_empty() || !sidecar.is_empty();
        if !narrow && !wanted.all {
            return Err(Failure::usage(
                "this would silence every alert: give --kind, --provider or --sidecar, or --all",
            ));
        }
        let span = wanted.span.unwrap_or_default();
        if span.is_zero() || span > MONTH {
            return Err(Failure::usage("a silence lasts for thirty days at most, and not for nothing: --for 2h"));
        }
        let request = SetSilenceRequest {
            kind: wanted.kind.map_or(AlertKind::Unspecified, AlertKind::from).into(),
            provider,
            sidecar,
            reason: prompt::reason(wanted.reason.as_deref()).await?,
            expires_after: Some(time::duration(span)),
        };
        let made = self.client.ask(Duration::ZERO, async |mut service| service.set_silence(request).await).await?;
        self.silenced(&made, "set")
    }

    fn silenced(&self, silence: &fusebox_proto::v1::Silence, what: &str) -> Result<Exit, Failure> {
        if self.out.json {
            self.out.message(silence)?;
        } else {
            self.out.lines(&[Line::from(format!("✓ silence {} {what}", silence.id))])?;
        }
        Ok(Exit::Done)
    }

    /// `silences`.
    pub(crate) async fn silences(&self) -> Result<Exit, Failure> {
        let ask = async |mut service: super::connect::Service| service.list_silences(ListSilencesRequest {}).await;
        let silences = self.client.ask(Duration::ZERO, ask).await?.silences;
        if self.out.json {
            self.out.messages(&silences)?;
        } else {
            self.out.lines(&show::silences(&silences, self.view()))?;
        }
        Ok(Exit::Done)
    }

    /// `sidecars`.
    pub(crate) async fn sidecars(&self) -> Result<Exit, Failure> {
        let fleet = self.fleet().await?;
        if self.out.json {
            self.out.messages(&fleet.sidecars)?;
            return Ok(Exit::Done);
        }
        self.part(&fleet, show::sidecars(&fleet.sidecars, self.view()))
    }

    /// `sidecar ID`.
    pub(crate) async fn sidecar(&self, id: String) -> Result<Exit, Failure> {
        let request = GetSidecarRequest { id };
        let sidecar = self.client.ask(Duration::ZERO, async |mut service| service.get_sidecar(request).await).await?;
        if self.out.json {
            self.out.message(&sidecar)?;
        } else {
            self.out.lines(&show::sidecar(&sidecar, self.view()))?;
        }
        Ok(Exit::Done)
    }

    /// `audit`.
    pub(crate) async fn audit(&self, wanted: &args::Audit) -> Result<Exit, Failure> {
        let limit = if wanted.export { usize::MAX } else { wanted.limit };
        let (mut events, mut told, mut page_token) = (Vec::<AuditEvent>::new(), 0, String::new());
        while told < limit {
            let request = ListAuditEventsRequest { page_size: page_size(limit - told), page_token };
            let page =
                self.client.ask(Duration::ZERO, async |mut service| service.list_audit_events(request).await).await?;
            told = told.saturating_add(page.events.len());
            page_token = page.next_page_token;
            if wanted.export {
                // Page by page: the whole need not fit anywhere.
                page.events.iter().try_for_each(|event| self.out.message_line(event))?;
            } else {
                events.extend(page.events);
            }
            if page_token.is_empty() {
                break;
            }
        }
        if wanted.export {
            return Ok(Exit::Done);
        }
        events.truncate(limit);
        if self.out.json {
            self.out.messages(&events)?;
        } else {
            self.out.lines(&show::audit(&events, self.view()))?;
        }
        more(&page_token, events.len());
        Ok(Exit::Done)
    }
}

/// The exit status that says the health.
fn health(fleet: &Fleet) -> Exit {
    match fleet.health() {
        _ if fleet.stale => Exit::Unknown,
        HealthStatus::Healthy => Exit::Done,
        HealthStatus::Degraded => Exit::Degraded,
        HealthStatus::Critical => Exit::Critical,
        HealthStatus::Unspecified => Exit::Unknown,
    }
}

fn page_size(left: usize) -> u32 {
    u32::try_from(left.min(PAGE)).unwrap_or(u32::MAX)
}

/// Says that there is more, where nobody mistakes it for the answer.
fn more(page_token: &str, told: usize) {
    if !page_token.is_empty() {
        eprintln!("fusebox: there are more than these {told}: ask for them with --limit");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_says_the_health_and_does_not_trust_what_is_stale() {
        let exit =
            |health: HealthStatus, stale| super::health(&Fleet { health: health.into(), stale, ..Fleet::default() });
        assert_eq!(exit(HealthStatus::Healthy, false), Exit::Done);
        assert_eq!(exit(HealthStatus::Degraded, false), Exit::Degraded);
        assert_eq!(exit(HealthStatus::Critical, false), Exit::Critical);
        assert_eq!(exit(HealthStatus::Unspecified, false), Exit::Unknown);
        assert_eq!(exit(HealthStatus::Healthy, true), Exit::Unknown);
    }
}
