//! How each kind of receiver is told. Leaves out what is told, and when.

mod email;
mod http;
mod pagerduty;
mod slack;
mod webhook;

use fusebox_rules::fleet::Stamp;

use self::{email::EmailSender, pagerduty::PagerDutySender, slack::SlackSender, webhook::WebhookSender};
use super::{
    Secret,
    policy::Outcome,
    settings::{Channel, ChannelKind},
    words::Note,
};

/// Of what a receiver said, in characters.
const MOST_SAID: usize = 160;

/// Whether messages can be sent to `channel`, as far as that can be known without sending one.
///
/// # Errors
/// What of its settings cannot be used, without a word of its secrets.
pub fn check(channel: &Channel) -> Result<(), String> {
    Sender::try_new(&channel.kind).map(drop)
}

/// Tells one receiver.
#[derive(Debug)]
pub(super) enum Sender {
    Slack(SlackSender),
    PagerDuty(PagerDutySender),
    Email(EmailSender),
    Webhook(WebhookSender),
}

impl Sender {
    /// One for a channel.
    ///
    /// # Errors
    /// As for [`check`].
    pub(super) fn try_new(kind: &ChannelKind) -> Result<Self, String> {
        Ok(match kind {
            ChannelKind::Slack(slack) => Self::Slack(SlackSender::try_new(slack)?),
            ChannelKind::PagerDuty(pagerduty) => Self::PagerDuty(PagerDutySender::try_new(pagerduty)?),
            ChannelKind::Email(email) => Self::Email(EmailSender::try_new(email)?),
            ChannelKind::Webhook(webhook) => Self::Webhook(WebhookSender::try_new(webhook)?),
        })
    }

    /// Tells the receiver once; `now` is the time. Takes 30 seconds at most.
    pub(super) async fn send(&self, note: &Note, now: Stamp) -> Outcome {
        match self {
            Self::Slack(slack) => slack.send(note, now).await,
            Self::PagerDuty(pagerduty) => pagerduty.send(note, now).await,
            Self::Email(email) => email.send(note, now).await,
            Self::Webhook(webhook) => webhook.send(note, now).await,
        }
    }
}

/// What a receiver said, for logs and for the dashboard: in one line, not long, and without our secrets.
fn said(words: &str, secrets: &[&Secret]) -> String {
    let mut words = words.to_owned();
    for secret in secrets.iter().map(|secret| secret.reveal()).filter(|secret| !secret.is_empty()) {
        words = words.replace(secret, "…");
    }
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|letter| !letter.is_control()).take(MOST_SAID).collect()
}

/// An error and all that caused it, as the receiver's words.
fn chain(error: &(dyn std::error::Error + 'static), secrets: &[&Secret]) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string);
    said(&causes.collect::<Vec<_>>().join(": "), secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_receiver_says_is_told_in_a_line_without_secrets() {
        let key = Secret::new("k3y");
        let heard = said("no service\r\n  for k3y\u{7}\u{1b}[31m", &[&key, &Secret::new("")]);
        assert_eq!(heard, "no service for …[31m");
        assert_eq!(said(&"é".repeat(9_999), &[]).chars().count(), MOST_SAID);
    }
}
