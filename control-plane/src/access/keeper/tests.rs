use fusebox_base::testing::certificates::{ONE, TWO};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::*;
use crate::access::{
    Door, Sent,
    tokens::tests::{ADA, BOB, both, only_bob},
};

const AT: At = At { now: Moment::from_nanos(1_000_000_000), unix: Duration::from_secs(1_800_000_000) };
const NOBODY: &[&str] = &[];

fn access() -> Access {
    Access {
        tokens: Some(Arc::new(both())),
        certificates: vec![Certified { name: "localhost".into(), role: Role::Viewer }],
        session: Duration::from_hours(12),
        secure: true,
    }
}

fn keeper() -> Keeper {
    Keeper::new(access())
}

fn peer(pem: Option<&str>) -> Peer {
    let certificate = pem.map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap());
    Peer { address: "10.0.0.7:4711".parse().unwrap(), certificate }
}

fn shown<'a>(authorization: Option<&'a str>, cookies: &'a [&'a str], peer: &'a Peer) -> Shown<'a> {
    Shown { authorization, cookies, peer }
}

/// Who comes in, with its role and how it is known.
fn who(entered: Result<Entered, Refused>) -> Result<(String, Role, &'static str), Refused> {
    entered.map(|entered| (entered.name.to_string(), entered.role, entered.by.name()))
}

fn own_cookie(set_cookie: &str) -> String {
    set_cookie.split(';').next().unwrap().to_owned()
}

#[test]
fn a_token_lets_its_holder_in_and_a_wrong_one_is_refused_whatever_else_is_shown() {
    let (keeper, stranger, certified) = (keeper(), peer(None), peer(Some(ONE)));
    for scheme in ["Bearer", "bearer", "BEARER  "] {
        let authorization = format!("{scheme} {ADA}");
        let entered = keeper.enter(&shown(Some(&authorization), NOBODY, &stranger), AT);
        assert_eq!(who(entered), Ok(("ada".to_owned(), Role::Operator, "token")), "{scheme}");
    }
    for wrong in ["Bearer nonsense", "Bearer ", "Basic dXNlcjpwYXNz", "", ADA] {
        let entered = keeper.enter(&shown(Some(wrong), NOBODY, &certified), AT);
        assert_eq!(who(entered), Err(Refused::Wrong), "{wrong}");
    }
    assert_eq!(who(keeper.enter(&shown(None, NOBODY, &stranger), AT)), Err(Refused::Unknown));
}

#[test]
fn a_session_lets_in_whoever_signed_in_until_its_token_is_gone() {
    let (keeper, stranger) = (keeper(), peer(None));
    let signed_in = keeper.sign_in(BOB, &stranger, AT, [1; NONCE]).unwrap();
    assert_eq!(signed_in.entered.role, Role::Viewer);
    let cookie = own_cookie(&signed_in.cookie);
    let cookies = ["theme=dark", cookie.as_str()];
    let entered = keeper.enter(&shown(None, &cookies, &stranger), AT).unwrap();
    assert_eq!(entered, signed_in.entered, "what its changes have to bear is the same too");
    let late = At { unix: AT.unix + Duration::from_hours(12), ..AT };
    assert_eq!(keeper.enter(&shown(None, &cookies, &stranger), late), Err(Refused::Unknown));

    let adas = keeper.sign_in(ADA, &stranger, AT, [2; NONCE]).unwrap();
    keeper.exchange(Access { tokens: Some(Arc::new(only_bob())), ..access() });
    assert_eq!(keeper.enter(&shown(None, &[&own_cookie(&adas.cookie)], &stranger), AT), Err(Refused::Unknown));
    assert!(keeper.enter(&shown(None, &cookies, &stranger), AT).is_ok(), "Bob's goes on");
}

#[test]
fn a_certificate_lets_in_whom_the_configuration_names() {
    let keeper =
        Keeper::new(Access { certificates: vec![Certified { name: "one".into(), role: Role::Operator }], ..access() });
    let (one, two) = (peer(Some(ONE)), peer(Some(TWO)));
    let entered = keeper.enter(&shown(None, NOBODY, &one), AT);
    assert_eq!(who(entered), Ok(("one".to_owned(), Role::Operator, "certificate")));
    let refused = keeper.enter(&shown(None, NOBODY, &two), AT).unwrap_err();
    assert!(matches!(&refused, Refused::NoRole { names } if names[0] == "two"), "{refused:?}");
    let authorization = format!("Bearer {BOB}");
    let entered = keeper.enter(&shown(Some(&authorization), NOBODY, &one), AT);
    assert_eq!(who(entered), Ok(("bob".to_owned(), Role::Viewer, "token")), "what is shown by hand counts first");
}

#[test]
fn where_nobody_is_asked_everyone_is_an_operator_and_nobody_signs_in() {
    let (keeper, stranger) = (Keeper::new(Access::default()), peer(None));
    assert!(!keeper.asks());
    let entered = keeper.enter(&shown(Some("Bearer left over"), NOBODY, &stranger), AT);
    assert_eq!(who(entered), Ok(("anyone".to_owned(), Role::Operator, "off")));
    assert_eq!(keeper.sign_in(ADA, &stranger, AT, [0; NONCE]), Err(Refused::NoTokens));
}

#[test]
fn wrong_tokens_are_held_back_by_header_and_by_sign_in_together_and_sessions_are_not() {
    let (keeper, stranger) = (keeper(), peer(None));
    let session = own_cookie(&keeper.sign_in(ADA, &stranger, AT, [3; NONCE]).unwrap().cookie);
    for number in 0..10 {
        let refused = if number % 2 == 0 {
            keeper.sign_in("wrong", &stranger, AT, [0; NONCE]).unwrap_err()
        } else {
            keeper.enter(&shown(Some("Bearer wrong"), NOBODY, &stranger), AT).unwrap_err()
        };
        assert_eq!(refused, Refused::Wrong);
    }
    let too_many = Refused::TooMany { retry_after: Duration::from_secs(30) };
    assert_eq!(keeper.sign_in(ADA, &stranger, AT, [0; NONCE]), Err(too_many.clone()));
    let authorization = format!("Bearer {ADA}");
    assert_eq!(keeper.enter(&shown(Some(&authorization), NOBODY, &stranger), AT), Err(too_many));
    assert!(keeper.enter(&shown(None, &[&session], &stranger), AT).is_ok());
    let elsewhere = Peer { address: "10.0.0.8:1".parse().unwrap(), certificate: None };
    assert!(keeper.enter(&shown(Some(&authorization), NOBODY, &elsewhere), AT).is_ok());
}

#[test]
fn a_change_by_cookie_has_to_bear_its_sessions_value_and_one_by_token_nothing() {
    let (keeper, stranger) = (keeper(), peer(None));
    let signed_in = keeper.sign_in(ADA, &stranger, AT, [4; NONCE]).unwrap();
    let csrf = signed_in.entered.by.csrf().to_owned();
    let host = Some("fusebox.example");
    let own = Sent { host, origin: Some("https://fusebox.example"), csrf: Some(&csrf), ..Sent::default() };
    assert_eq!(signed_in.entered.meant(&own), Ok(()));
    for forged in [
        Sent { csrf: None, ..own },
        Sent { csrf: Some("0"), ..own },
        Sent { csrf: Some(""), ..own },
        Sent { origin: Some("https://evil.example"), ..own },
        Sent { fetch_site: Some("cross-site"), ..own },
    ] {
        assert!(matches!(signed_in.entered.meant(&forged), Err(Refused::Forged { .. })), "{forged:?}");
    }
    let authorization = format!("Bearer {ADA}");
    let by_token = keeper.enter(&shown(Some(&authorization), NOBODY, &stranger), AT).unwrap();
    assert_eq!(by_token.meant(&Sent { host, origin: Some("https://other.example"), ..Sent::default() }), Ok(()));
    for by in [By::Nothing, By::Certificate] {
        let entered = Entered { by, ..by_token.clone() };
        assert_eq!(entered.meant(&Sent { host, ..Sent::default() }), Ok(()));
        assert!(entered.meant(&Sent { host, fetch_site: Some("cross-site"), ..Sent::default() }).is_err());
    }
}

#[test]
fn a_viewer_may_look_and_an_operator_may_change_and_both_are_named_in_the_audit_log() {
    let (keeper, stranger) = (keeper(), peer(None));
    let ada = keeper.sign_in(ADA, &stranger, AT, [5; NONCE]).unwrap().entered;
    let bob = keeper.enter(&shown(Some(&format!("Bearer {BOB}")), NOBODY, &stranger), AT).unwrap();
    assert_eq!(ada.may_change(), Ok(()));
    let refused = bob.may_change().unwrap_err();
    assert_eq!(refused.to_string(), "bob is a viewer; this takes an operator");
    let address = stranger.address.ip();
    assert_eq!(ada.caller(Door::Rest, address).source, "dashboard 10.0.0.7");
    assert_eq!(bob.caller(Door::Rest, address).source, "rest 10.0.0.7");
    assert_eq!(bob.caller(Door::Grpc, "::ffff:10.0.0.7".parse().unwrap()).source, "grpc 10.0.0.7");
}
