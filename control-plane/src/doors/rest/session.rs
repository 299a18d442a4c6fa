//! Sessions of the dashboard: a token for a cookie that scripts cannot read.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{Extensions, HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{Rest, answer::refused, body};
use crate::{
    access::{Door, Entered},
    control::{Fault, Refusal},
    doors::guard,
};

/// Bytes that are drawn for a session alone.
const NONCE: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    token: String,
}

pub(super) async fn who(State(rest): State<Arc<Rest>>, headers: HeaderMap, extensions: Extensions) -> Response {
    match rest.guard.entered(&headers, &extensions) {
        Ok(entered) => told(&entered).into_response(),
        // That nobody is signed in yet is how a page begins: nothing to write down.
        Err(refusal) => refused(&guard::refusal(&refusal)),
    }
}

pub(super) async fn sign_in(
    State(rest): State<Arc<Rest>>,
    headers: HeaderMap,
    extensions: Extensions,
    given: Body,
) -> Response {
    let asked = async {
        let bytes = body::bytes(&headers, given, rest.max_body).await?;
        let SignIn { token } = serde_json::from_slice(&bytes).map_err(|_| {
            Refusal::Invalid(vec![Fault::new("body", "is not an object with a text named token, and nothing else")])
        })?;
        let peer = guard::peer(&extensions);
        let nonce: [u8; NONCE] = rand()?;
        let may = guard::sent(&headers, &extensions).same_site();
        match may.and_then(|()| rest.guard.keeper().sign_in(&token, &peer, guard::at(), nonce)) {
            Ok(signed_in) => {
                let entered = Some(signed_in.entered.clone());
                rest.guard.signed_in(guard::caller(entered, Door::Rest, guard::address(&extensions))).await;
                Ok(signed_in)
            }
            Err(refusal) => {
                let caller = guard::caller(None, Door::Rest, guard::address(&extensions));
                Err(rest.guard.refused(caller, &refusal, "SignIn").await)
            }
        }
    };
    match asked.await {
        Ok(signed_in) => with_cookie(told(&signed_in.entered), &signed_in.cookie),
        Err(refusal) => refused(&refusal),
    }
}

pub(super) async fn sign_out(State(rest): State<Arc<Rest>>, headers: HeaderMap, extensions: Extensions) -> Response {
    // Whoever is signed in at another site's behest may as well be signed out only by their own.
    if let Err(refusal) = guard::sent(&headers, &extensions).same_site() {
        return refused(&guard::refusal(&refusal));
    }
    with_cookie(StatusCode::NO_CONTENT.into_response(), &rest.guard.keeper().sign_out())
}

fn told(entered: &Entered) -> Response {
    let told = json!({
        "name": &*entered.name, "role": entered.role.name(), "csrf": entered.by.csrf(), "auth": entered.by.name(),
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(told)).into_response()
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn rand() -> Result<[u8; NONCE], Refusal> {
    use ring::rand::{SecureRandom as _, SystemRandom};
    let mut drawn = [0; NONCE];
    let filled = SystemRandom::new().fill(&mut drawn);
    filled.map(|()| drawn).map_err(|_| Refusal::Internal("the system gives no random numbers".to_owned()))
}
