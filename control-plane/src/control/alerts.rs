//! Alerts as operators ask for them: listed, acknowledged, silenced.

use std::time::Duration;

use fusebox_proto::{
    store::{Silence as Body, Word},
    v1,
};
use fusebox_rules::fleet::Alert;
use fusebox_store::{
    alerts::{Acknowledge, Firing, Recent},
    silences::{End, List, Set, Silence},
};

use super::{
    Control, Refusal,
    audit::{Event, Outcome},
    pages::Page,
    requests::Faults,
};
use crate::{
    access::Caller,
    picture::{self, Seen},
};

/// The longest that alerts may be silenced.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

impl Control {
    /// A page of alerts, from the newest.
    ///
    /// # Errors
    /// The page's token is none, or the store cannot be read.
    pub async fn alerts(&self, request: &v1::ListAlertsRequest) -> Result<v1::ListAlertsResponse, Refusal> {
        let page = Page::of(request.page_size, &request.page_token)?;
        let found = if request.include_resolved {
            self.reader.ask(&Recent { before: page.before, most: page.most }).await?.1
        } else {
            let (_, mut firing) = self.reader.ask(&Firing).await?;
            firing.reverse();
            let fits = |alert: &Alert| page.before.is_none_or(|before| alert.id < before);
            firing.into_iter().filter(fits).take(page.most as usize).collect()
        };
        let next_page_token = page.next(found.iter().map(|alert| alert.id));
        let seen = &self.fleet().seen;
        let alerts = found.iter().map(|alert| self.alert(alert, seen)).collect();
        Ok(v1::ListAlertsResponse { alerts, next_page_token })
    }

    /// An alert with what became of it.
    #[must_use]
    pub fn alert(&self, alert: &Alert, seen: &Seen) -> v1::Alert {
        let deliveries = self.deliverer.deliveries().of_alert(alert.id);
        v1::Alert { deliveries, ..picture::silenced(alert, seen) }
    }

    /// The caller knows of an alert. Who said so first, said so.
    ///
    /// # Errors
    /// There is no such alert, or the store cannot be reached.
    pub async fn acknowledge(
        &self,
        caller: &Caller,
        request: v1::AcknowledgeAlertRequest,
    ) -> Result<v1::Alert, Refusal> {
        let event = Event::of(caller, &request);
        match self.acknowledged(caller, &request.id).await {
            Ok(alert) => {
                self.note(&event.ended(Outcome::Done { effect: &alert.condition.message, version: 0 })).await;
                self.reader.ring();
                Ok(self.alert(&alert, &self.fleet().seen))
            }
            Err(refusal) => Err(self.refused(event, refusal).await),
        }
    }

    async fn acknowledged(&self, caller: &Caller, id: &str) -> Result<Alert, Refusal> {
        let missing = || Refusal::NotFound(format!("there is no alert {id}"));
        let number = id.parse().map_err(|_| missing())?;
        let (at, _) = self.reader.settings().await?;
        let (_, alert) = self.reader.ask(&Acknowledge { id: number, by: &caller.name, at }).await?;
        alert.ok_or_else(missing)
    }

    /// Keeps alerts from being delivered for some time.
    ///
    /// # Errors
    /// The request is wrong, as much is silenced as may be, or the store cannot be reached.
    pub async fn set_silence(&self, caller: &Caller, request: v1::SetSilenceRequest) -> Result<v1::Silence, Refusal> {
        let event = Event::of(caller, &request);
        match self.silenced(caller, &request).await {
            Ok(silence) => {
                let effect = format!("silence {}", silence.id);
                self.note(&event.ended(Outcome::Done { effect: &effect, version: 0 })).await;
                self.reader.ring();
                Ok(silence)
            }
            Err(refusal) => Err(self.refused(event, refusal).await),
        }
    }

    async fn silenced(&self, caller: &Caller, request: &v1::SetSilenceRequest) -> Result<v1::Silence, Refusal> {
        let mut faults = Faults::default();
        let reason = faults.reason(&request.reason);
        let lasts = faults.duration("expires_after", request.expires_after, LONGEST);
        if request.expires_after.is_none() || lasts.is_zero() {
            faults.add("expires_after", "is missing: say for how long, thirty days at most");
        }
        if v1::AlertKind::try_from(request.kind).is_err() {
            faults.add("kind", "is unknown");
        }
        faults.settle(())?;
        let (now, _) = self.reader.settings().await?;
        let word =
            Word { by: caller.name.to_string(), reason, at_ms: now.as_millis(), expires_ms: (now + lasts).as_millis() };
        let silence = Body {
            kind: request.kind,
            provider: request.provider.clone(),
            sidecar: request.sidecar.clone(),
            word: Some(word),
        };
        let (_, id) = self.reader.ask(&Set { silence: &silence }).await?;
        let full = || Refusal::Full("as many silences hold as may: end one first".to_owned());
        Ok(picture::silence(&Silence { id: id.ok_or_else(full)?, body: silence }))
    }

    /// Ends a silence before its time.
    ///
    /// # Errors
    /// There is no such silence, or the store cannot be reached.
    pub async fn end_silence(&self, caller: &Caller, request: v1::EndSilenceRequest) -> Result<v1::Silence, Refusal> {
        let event = Event::of(caller, &request);
        let missing = || Refusal::NotFound(format!("there is no silence {}", request.id));
        let ended = async {
            let id: u64 = request.id.parse().map_err(|_| missing())?;
            let (_, silence) = self.reader.ask(&End { id }).await?;
            Ok(picture::silence(&silence.ok_or_else(missing)?))
        };
        match ended.await {
            Ok(silence) => {
                self.note(&event.ended(Outcome::Done { effect: "ended", version: 0 })).await;
                self.reader.ring();
                Ok(silence)
            }
            Err(refusal) => Err(self.refused(event, refusal).await),
        }
    }

    /// All silences that hold.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn silences(&self) -> Result<v1::ListSilencesResponse, Refusal> {
        let (_, silences) = self.reader.ask(&List).await?;
        Ok(v1::ListSilencesResponse { silences: silences.iter().map(picture::silence).collect() })
    }
}
