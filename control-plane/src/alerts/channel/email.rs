//! Mail: plain text and simple HTML, in a thread for each alert or for those that were raised together.

use std::{
    fmt::Write as _,
    fs,
    time::{Duration, SystemTime},
};

use fusebox_rules::fleet::Stamp;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Message as Mail, Tokio1Executor,
    message::{Mailbox, MultiPart, header},
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::{Certificate, CertificateStore, Tls, TlsParameters},
        extension::ClientId,
    },
};

use super::{chain, said};
use crate::alerts::{
    Secret,
    policy::{Outcome, Word},
    settings::{self, Encryption},
    words::{self, Note, line},
};

/// For each exchange with the relay.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// For all of it.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(in crate::alerts) struct EmailSender {
    relay: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    secrets: Vec<Secret>,
}

impl EmailSender {
    pub(super) fn try_new(settings: &settings::Email) -> Result<Self, String> {
        let mailbox = |text: &str| text.parse().map_err(|error| format!("{text:?} is no mailbox: {error}"));
        let from: Mailbox = mailbox(&settings.from)?;
        let to = settings.to.iter().map(|text| mailbox(text)).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err("nobody reads it; name somebody in `to`".to_owned());
        }
        let mut relay = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port)
            .tls(encryption(settings)?)
            .hello_name(ClientId::Domain(from.email.domain().to_owned()))
            .timeout(Some(STEP_TIMEOUT));
        if let Some((user, password)) = &settings.credentials {
            if settings.encryption == Encryption::None {
                return Err("a password is not sent without encryption".to_owned());
            }
            let credentials = Credentials::new(user.clone(), password.reveal().to_owned());
            relay = relay.credentials(credentials).authentication(vec![Mechanism::Plain, Mechanism::Login]);
        }
        let secrets = settings.credentials.iter().map(|(_, password)| password.clone()).collect();
        Ok(Self { relay: relay.build(), from, to, secrets })
    }

    pub(super) async fn send(&self, note: &Note, now: Stamp) -> Outcome {
        let secrets: Vec<_> = self.secrets.iter().collect();
        let mail = match self.mail(note, now) {
            Ok(mail) => mail,
            Err(error) => return Outcome::Refused { why: chain(&error, &secrets) },
        };
        match tokio::time::timeout(TIMEOUT, self.relay.send(mail)).await {
            Ok(Ok(_)) => Outcome::Delivered,
            Ok(Err(error)) if error.is_permanent() => Outcome::Refused { why: chain(&error, &secrets) },
            Ok(Err(error)) => Outcome::Later { why: chain(&error, &secrets), after: None },
            Err(_) => Outcome::Later { why: said(&format!("not done within {TIMEOUT:?}"), &[]), after: None },
        }
    }

    fn mail(&self, note: &Note, now: Stamp) -> Result<Mail, lettre::error::Error> {
        let thread = Thread::of(note, &self.from.email);
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_millis() / 1_000);
        let mut mail = Mail::builder()
            .from(self.from.clone())
            .subject(format!("[Fusebox] {}", note.headline()))
            .message_id(Some(thread.id))
            .date(date)
            .raw_header(header::HeaderValue::new(
                header::HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        if let Some(root) = thread.follows.first() {
            mail = mail.in_reply_to(root.clone()).references(thread.follows.join(" "));
        }
        mail.multipart(MultiPart::alternative_plain_html(text(note), html(note)))
    }
}

fn encryption(settings: &settings::Email) -> Result<Tls, String> {
    if settings.encryption == Encryption::None {
        return Ok(Tls::None);
    }
    let mut tls = TlsParameters::builder(settings.host.clone());
    if let Some(file) = &settings.ca_file {
        let shown = file.display();
        let pem = fs::read(file).map_err(|error| format!("ca_file {shown}: {error}"))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| format!("ca_file {shown}: {error}"))?;
        tls = tls.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    let tls = tls.build().map_err(|error| error.to_string())?;
    Ok(if settings.encryption == Encryption::Tls { Tls::Wrapper(tls) } else { Tls::Required(tls) })
}

/// Where a mail stands among others.
struct Thread {
    /// Its own id: the same on every attempt, so that a mailbox that has it already may say so.
    id: String,
    /// The ids of the mails by which its alerts were first told; none: this is it.
    follows: Vec<String>,
}

impl Thread {
    fn of(note: &Note, from: &Address) -> Self {
        let fleet = words::plain(&note.fleet);
        let id = |what: String| format!("<fusebox.{fleet}.{}.{what}@{}>", words::plain(&note.message.channel), from.domain());
        let items = &note.message.items;
        let first = items.first().map_or(0, |item| item.alert.id);
        if note.message.word.is_first() {
            return Self { id: id(first.to_string()), follows: Vec::new() };
        }
        let mut threads: Vec<_> = items.iter().map(|item| item.thread.unwrap_or(item.alert.id)).collect();
        threads.sort_unstable();
        threads.dedup();
        let word = words::name(note.message.word);
        // One repetition is told from the next by when the one before it was told.
        let since = items.first().and_then(|item| item.raised).map_or(0, Stamp::as_millis);
        let follows = threads.into_iter().take(MOST_REFERENCES).map(|thread| id(thread.to_string())).collect();
        Self { id: id(format!("{first}.{word}.{since}")), follows }
    }
}

/// Mails that one follows, at most.
const MOST_REFERENCES: usize = 20;

fn text(note: &Note) -> String {
    let mut text = format!("{}\n\n", note.headline());
    for alert in note.alerts() {
        let _ = writeln!(text, "- {}", line(alert));
    }
    if note.message.word == Word::Raise {
        text.push_str("\nAcknowledge an alert to hear of it again only when it is over.\n");
    }
    if let Some(dashboard) = &note.dashboard {
        let _ = write!(text, "\n{dashboard}\n");
    }
    text
}

fn html(note: &Note) -> String {
    let mut html = format!("<!doctype html><html><body><p><strong>{}</strong></p><ul>", escape(&note.headline()));
    for alert in note.alerts() {
        let _ = write!(html, "<li>{}</li>", escape(&line(alert)));
    }
    html.push_str("</ul>");
    if note.message.word == Word::Raise {
        html.push_str("<p>Acknowledge an alert to hear of it again only when it is over.</p>");
    }
    if let Some(dashboard) = &note.dashboard {
        let dashboard = escape(dashboard);
        let _ = write!(html, "<p><a href=\"{dashboard}\">{dashboard}</a></p>");
    }
    html.push_str("</body></html>");
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::words::fixture::{alert, note};

    fn settings() -> settings::Email {
        settings::Email {
            host: "127.0.0.1".into(),
            port: 25,
            encryption: Encryption::None,
            ca_file: None,
            credentials: None,
            from: "Fusebox <fusebox@example.com>".into(),
            to: vec!["ada@example.com".into(), "Bob <bob@example.com>".into()],
        }
    }

    fn written(word: Word, alerts: Vec<fusebox_rules::fleet::Alert>) -> String {
        let sender = EmailSender::try_new(&settings()).unwrap();
        let mail = sender.mail(&note(word, alerts), Stamp::from_millis(1_700_000_000_000)).unwrap();
        String::from_utf8(mail.formatted()).unwrap().replace("\r\n ", " ")
    }

    #[test]
    fn what_follows_an_alert_refers_to_the_mail_by_which_it_was_told() {
        let raised = written(Word::Raise, vec![alert(5), alert(7)]);
        assert!(raised.contains("\r\nMessage-ID: <fusebox.eu%201.there.5@example.com>\r\n"), "{raised}");
        assert!(!raised.contains("References"));
        assert!(raised.contains("To: ada@example.com, Bob <bob@example.com>"), "{raised}");
        assert!(raised.contains("Date: Tue, 14 Nov 2023 22:13:20 +0000"), "{raised}");
        let over = written(Word::Resolve, vec![alert(7)]);
        for line in [
            "Message-ID: <fusebox.eu%201.there.7.resolved.7@example.com>",
            "In-Reply-To: <fusebox.eu%201.there.5@example.com>",
            "References: <fusebox.eu%201.there.5@example.com>",
        ] {
            assert!(over.contains(&format!("\r\n{line}\r\n")), "{line} in {over}");
        }
    }

    #[test]
    fn nothing_in_an_alert_is_taken_for_markup() {
        let note = note(Word::Raise, vec![alert(7)]);
        assert!(html(&note).contains("<li>a: &lt;b&gt; &amp; &quot;errors&quot; (since 2023-11-14T22:13:20Z)</li>"));
        assert!(text(&note).contains("- a: <b> & \"errors\" (since 2023-11-14T22:13:20Z)\n"));
    }

    #[test]
    fn settings_that_cannot_work_are_refused_with_what_is_wrong() {
        let fault = |change: fn(&mut settings::Email)| {
            let mut settings = settings();
            change(&mut settings);
            EmailSender::try_new(&settings).unwrap_err()
        };
        assert_eq!(fault(|email| email.to.clear()), "nobody reads it; name somebody in `to`");
        assert!(fault(|email| email.from = "nobody".into()).starts_with("\"nobody\" is no mailbox"));
        let with_password = |email: &mut settings::Email| email.credentials = Some(("ada".into(), Secret::new("x")));
        assert_eq!(fault(with_password), "a password is not sent without encryption");
        let without_file = |email: &mut settings::Email| {
            (email.encryption, email.ca_file) = (Encryption::Tls, Some("/nowhere/ca.pem".into()));
        };
        assert!(fault(without_file).starts_with("ca_file /nowhere/ca.pem: "));
    }
}
