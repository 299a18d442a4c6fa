//! The dashboard's sessions: a cookie that says whose token signed in and until when, signed under the token itself.
//!
//! Nothing is stored: every replica that has the tokens file knows every session, and a token that is taken out of it ends
//! its own. What a cookie cannot say is that somebody signed out: that only takes it from the browser.

use std::{fmt::Write as _, time::Duration};

use ring::hmac;

use super::{Token, Tokens};

/// The first word of every session; another form will have another.
const VERSION: &str = "1";
/// Bytes that tell one session of a token from another.
pub(super) const NONCE: usize = 16;
/// Sessions of one request that are looked at: other programs of the same host may have left theirs.
const MOST: usize = 4;

/// A session that is good.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Session<'t> {
    /// Who signed in.
    pub(super) token: &'t Token,
    /// What each of its changes has to bear.
    pub(super) csrf: String,
}

/// What the cookie is called. Under TLS its name makes browsers refuse one that was set without, or by another host.
#[must_use]
pub const fn cookie_name(secure: bool) -> &'static str {
    if secure { "__Host-fusebox" } else { "fusebox-session" }
}

/// `set-cookie` that takes the session from the browser.
#[must_use]
pub fn sign_out(secure: bool) -> String {
    set_cookie("", Duration::ZERO, secure)
}

/// A session of `token` that is over at `ends`, counted from the Unix epoch, and what its changes have to bear. The
/// `nonce` is drawn for it alone.
pub(super) fn begin(token: &Token, ends: Duration, nonce: [u8; NONCE]) -> (String, String) {
    let claim = format!("{VERSION}.{}.{}.{}", ends.as_secs(), hex(&nonce), hex(token.id()));
    let signature = hmac::sign(&token.key(), of_session(&claim).as_bytes());
    (format!("{claim}.{}", hex(signature.as_ref())), csrf(token, &claim))
}

/// The session that `cookies` hold, if there is one that is good `now`, counted from the Unix epoch.
pub(super) fn find<'t>(
    cookies: impl IntoIterator<Item = impl AsRef<str>>,
    secure: bool,
    tokens: &'t Tokens,
    now: Duration,
) -> Option<Session<'t>> {
    let mut looks = MOST;
    for header in cookies {
        for cookie in header.as_ref().split(';') {
            let Some((name, value)) = cookie.trim().split_once('=') else { continue };
            if name != cookie_name(secure) {
                continue;
            }
            let session = read(value, tokens, now);
            looks -= 1;
            if session.is_some() || looks == 0 {
                return session;
            }
        }
    }
    None
}

/// `set-cookie` that gives the browser `session`. No script can read it, and no other page's request bears it.
pub(super) fn set_cookie(session: &str, lasts: Duration, secure: bool) -> String {
    let (name, secure) = (cookie_name(secure), if secure { "; Secure" } else { "" });
    format!("{name}={session}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{secure}", lasts.as_secs())
}

fn read<'t>(session: &str, tokens: &'t Tokens, now: Duration) -> Option<Session<'t>> {
    let (claim, signature) = session.rsplit_once('.')?;
    let mut words = claim.split('.');
    let (version, ends, _nonce, id) = (words.next()?, words.next()?, words.next()?, words.next()?);
    if version != VERSION || words.next().is_some() {
        return None;
    }
    let token = tokens.of_id(&bytes(id)?)?;
    hmac::verify(&token.key(), of_session(claim).as_bytes(), &bytes(signature)?).ok()?;
    let ends: u64 = ends.parse().ok()?;
    (now.as_secs() < ends).then(|| Session { token, csrf: csrf(token, claim) })
}

/// What is signed of a claim: never the same as what is signed for another purpose.
fn of_session(claim: &str) -> String {
    format!("fusebox session {claim}")
}

fn csrf(token: &Token, claim: &str) -> String {
    hex(hmac::sign(&token.key(), format!("fusebox csrf {claim}").as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let is_hex = hex.len() <= 128 && hex.len().is_multiple_of(2) && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pairs = is_hex.then(|| hex.as_bytes().chunks_exact(2))?;
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::access::tokens::tests::{ADA, BOB, both, only_bob};

    const NOW: Duration = Duration::from_secs(1_800_000_000);
    const END: Duration = Duration::from_secs(1_800_000_000 + 3_600);

    fn begun(tokens: &Tokens, token: &str) -> (String, String) {
        begin(tokens.find(token).unwrap(), END, [7; NONCE])
    }

    fn found<'t>(cookie: &str, tokens: &'t Tokens, now: Duration) -> Option<Session<'t>> {
        find([format!("a=b; {}={cookie}", cookie_name(true))], true, tokens, now)
    }

    #[test]
    fn a_session_is_its_tokens_until_it_is_over() {
        let tokens = both();
        let (cookie, csrf) = begun(&tokens, ADA);
        let session = found(&cookie, &tokens, NOW).unwrap();
        assert_eq!((&*session.token.name, &session.csrf), ("ada", &csrf));
        assert!(found(&cookie, &tokens, END - Duration::from_secs(1)).is_some());
        assert!(found(&cookie, &tokens, END).is_none());
    }

    #[test]
    fn every_replica_with_the_same_file_knows_it_and_a_token_taken_out_of_it_ends_its_sessions() {
        let (cookie, _) = begun(&both(), ADA);
        assert!(found(&cookie, &both(), NOW).is_some());
        assert!(found(&cookie, &only_bob(), NOW).is_none());
    }

    #[test]
    fn nothing_of_it_can_be_changed() {
        let tokens = both();
        let (cookie, _) = begun(&tokens, ADA);
        let (bobs, _) = begun(&tokens, BOB);
        for at in 0..cookie.len() {
            let mut changed = cookie.clone().into_bytes();
            changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(found(&changed, &tokens, NOW).is_none(), "{changed}");
        }
        let (claim, _) = cookie.rsplit_once('.').unwrap();
        let (_, of_bob) = bobs.rsplit_once('.').unwrap();
        for forged in [
            format!("{claim}.{of_bob}"),
            format!("{claim}."),
            claim.to_owned(),
            format!("{cookie}.00"),
            format!("{cookie}00"),
            String::new(),
            "....".to_owned(),
        ] {
            assert!(found(&forged, &tokens, NOW).is_none(), "{forged}");
        }
    }

    #[test]
    fn it_holds_no_word_of_the_token_and_each_has_a_csrf_value_of_its_own() {
        let tokens = both();
        let token = tokens.find(ADA).unwrap();
        let (cookie, csrf) = begin(token, END, [7; NONCE]);
        let (other, others) = begin(token, END, [8; NONCE]);
        assert!(!cookie.contains(ADA) && !csrf.contains(ADA) && !cookie.contains(&csrf));
        assert!(cookie != other && csrf != others);
    }

    #[test]
    fn a_foreign_cookie_of_its_name_does_not_hide_it_and_one_of_another_name_is_none() {
        let tokens = both();
        let (cookie, _) = begun(&tokens, ADA);
        let name = cookie_name(false);
        assert!(find([format!("{name}=x.y; {name}={cookie}")], false, &tokens, NOW).is_some());
        assert!(find([format!("{name}=x"), format!("{name}={cookie}")], false, &tokens, NOW).is_some());
        let many = format!("{}{name}={cookie}", format!("{name}=x; ").repeat(MOST));
        assert!(find([many], false, &tokens, NOW).is_none(), "looks are bounded");
        assert!(find([format!("{name}={cookie}")], true, &tokens, NOW).is_none());
    }

    #[test]
    fn browsers_are_told_to_keep_it_to_themselves() {
        assert_eq!(
            set_cookie("v", Duration::from_hours(12), true),
            "__Host-fusebox=v; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200; Secure"
        );
        assert_eq!(sign_out(false), "fusebox-session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    }

    proptest! {
        #[test]
        fn no_cookie_makes_it_panic(text in "\\PC{0,80}", shaped in "1\\.[0-9]{1,25}\\.[0-9a-f]{0,8}\\.[0-9a-fé]{0,34}\\.[0-9a-f]{0,70}") {
            for cookie in [&text, &shaped] {
                prop_assert!(found(cookie, &both(), NOW).is_none());
            }
        }
    }
}
