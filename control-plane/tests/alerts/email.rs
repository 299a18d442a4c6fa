//! Mail, as a relay and its readers see it.

use fusebox_control_plane::alerts::{Channel, ChannelKind, Email, Encryption, Secret};
use fusebox_tests::{
    smtp::{Protection, Relay},
    tls::Authority,
};

use crate::stage::Replica;

fn mail(relay: &Relay, encryption: Encryption, authority: Option<&Authority>, password: Option<&str>) -> Channel {
    let kind = Email {
        host: "localhost".into(),
        port: relay.address().port(),
        encryption,
        ca_file: authority.map(|authority| authority.file().into()),
        credentials: password.map(|password| ("fusebox".to_owned(), Secret::new(password))),
        from: "Fusebox <fusebox@example.com>".into(),
        to: vec!["Ada <ada@example.com>".into(), "bob@example.com".into()],
    };
    Channel { name: "mail".into(), kind: ChannelKind::Email(kind) }
}

#[tokio::test]
async fn mails_of_one_alert_are_a_thread_sent_by_starttls_under_a_password() {
    let authority = Authority::new();
    let relay = Relay::start(&Protection::StartTls(authority.issue("relay")), Some(("fusebox", "pa55"))).await;
    let channel = mail(&relay, Encryption::StartTls, Some(&authority), Some("pa55"));
    let replica = Replica::alone(vec![channel]);
    let alert = replica.raise("a").await;
    let first = relay.mails(1).await.remove(0);
    assert_eq!(
        (first.from.as_str(), &*first.to),
        ("fusebox@example.com", &["ada@example.com".to_owned(), "bob@example.com".into()][..])
    );
    assert_eq!((first.encrypted, first.user.as_deref()), (true, Some("fusebox")));
    let subject = "[Fusebox] Firing, warning: error spike: a (fleet eu 1)";
    assert_eq!(first.header("subject").as_deref(), Some(subject));
    assert_eq!(first.header("auto-submitted").as_deref(), Some("auto-generated"));
    assert!(first.data.contains("Content-Type: text/plain") && first.data.contains("Content-Type: text/html"));
    let id = first.header("message-id").unwrap();
    assert!(id.starts_with('<') && id.ends_with("@example.com>") && id.contains(&alert.id.to_string()), "{id}");

    replica.resolve(&alert).await;
    let second = relay.mails(2).await.remove(1);
    assert_eq!((second.header("in-reply-to"), second.header("references")), (Some(id.clone()), Some(id.clone())));
    assert_ne!(second.header("message-id"), Some(id));
}

#[tokio::test]
async fn a_mail_that_is_put_off_is_sent_again_as_the_same_mail() {
    let authority = Authority::new();
    let relay = Relay::start(&Protection::Tls(authority.issue("relay")), None).await;
    relay.refuse("451 4.3.0 not now");
    let replica = Replica::alone(vec![mail(&relay, Encryption::Tls, Some(&authority), None)]);
    let alert = replica.raise("a").await;
    let delivery = replica.delivery(&alert, |delivery| delivery.attempts == 1).await;
    assert!(delivery.last_error.contains("not now"), "{}", delivery.last_error);
    let mails = relay.mails(1).await;
    assert!(mails[0].encrypted && mails[0].header("message-id").unwrap().contains(&alert.id.to_string()));
    let delivery = replica.delivery(&alert, |delivery| delivery.state == "delivered").await;
    assert_eq!(delivery.attempts, 2);
}

#[tokio::test]
async fn a_mail_that_is_refused_is_given_up_and_the_password_is_not_told() {
    let authority = Authority::new();
    let relay = Relay::start(&Protection::StartTls(authority.issue("relay")), Some(("fusebox", "pa55"))).await;
    let replica = Replica::alone(vec![mail(&relay, Encryption::StartTls, Some(&authority), Some("wr0ng"))]);
    let alert = replica.raise("a").await;
    let delivery = replica.delivery(&alert, |delivery| delivery.state == "failed").await;
    assert!(delivery.last_error.contains("bad password …"), "{}", delivery.last_error);
}

#[tokio::test]
async fn nothing_is_sent_in_plain_to_a_relay_that_was_to_speak_tls_nor_to_a_stranger() {
    let authority = Authority::new();
    let plain = Relay::start(&Protection::None, None).await;
    let stranger = Relay::start(&Protection::StartTls(Authority::new().issue("stranger")), None).await;
    for relay in [&plain, &stranger] {
        let replica = Replica::alone(vec![mail(relay, Encryption::StartTls, Some(&authority), None)]);
        let alert = replica.raise("a").await;
        let delivery = replica.delivery(&alert, |delivery| delivery.attempts > 0).await;
        assert_ne!(delivery.state, "delivered");
        assert_eq!(relay.mails(0).await, []);
    }
    let replica = Replica::alone(vec![mail(&plain, Encryption::None, None, None)]);
    replica.raise("a").await;
    assert!(!plain.mails(1).await[0].encrypted);
}
