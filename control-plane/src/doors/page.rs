//! The dashboard's files, each with what a browser may do with them: nothing but talk to where they came from.

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use ring::digest::{SHA256, digest};

/// What is on the page: no script, style, or picture from elsewhere or from within the document, nobody's frame,
/// and no text that a script would have read as markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";
/// Under TLS a browser shall not come without it for a year.
const STRICT_TRANSPORT: &str = "max-age=31536000";

include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// One file, as it is sent.
struct File {
    path: String,
    kind: &'static str,
    tag: HeaderValue,
    bytes: Bytes,
}

static READY: LazyLock<Vec<File>> = LazyLock::new(|| FILES.iter().map(|(name, bytes)| file(name, bytes)).collect());

/// The paths of all files. `secure`: they are served under TLS.
pub fn router(secure: bool) -> Router {
    let mut router = Router::new();
    for file in READY.iter() {
        router = router.route(
            &file.path,
            get(async move |State(secure): State<Arc<bool>>, headers: HeaderMap| sent(file, &headers, *secure)),
        );
    }
    router.with_state(Arc::new(secure))
}

fn file(name: &str, bytes: &'static [u8]) -> File {
    let kind = match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let digest = digest(&SHA256, bytes);
    let letters: String = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let tag = HeaderValue::try_from(format!("\"{letters}\"")).unwrap_or(HeaderValue::from_static("\"0\""));
    let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
    File { path, kind, tag, bytes: Bytes::from_static(bytes) }
}

fn sent(file: &File, asked: &HeaderMap, secure: bool) -> Response {
    let known = asked.get(header::IF_NONE_MATCH) == Some(&file.tag);
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, file.kind)], file.bytes.clone()).into_response()
    };
    let headers = response.headers_mut();
    // It is asked for anew each time, and sent only if it is another.
    let fixed: [(HeaderName, &'static str); 6] = [
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::ETAG, file.tag.clone());
    if secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(STRICT_TRANSPORT));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_all_that_it_asks_for_are_there() {
        let html = READY.iter().find(|file| file.path == "/").expect("an index");
        let html = String::from_utf8(html.bytes.to_vec()).unwrap();
        let asked = html.split(['"', '\'']).filter(|text| text.ends_with(".js") || text.ends_with(".css"));
        for path in asked {
            let path = format!("/{}", path.trim_start_matches(['.', '/']));
            assert!(READY.iter().any(|file| file.path == path), "{path}");
        }
        for forbidden in ["src=\"http", "href=\"http", "<style", " style=", "<script>"] {
            assert!(!html.contains(forbidden), "the policy forbids {forbidden}");
        }
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let file = &READY[0];
        let mut asked = HeaderMap::new();
        assert_eq!(sent(file, &asked, true).status(), StatusCode::OK);
        asked.insert(header::IF_NONE_MATCH, file.tag.clone());
        let again = sent(file, &asked, false);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(again.headers()[header::CONTENT_SECURITY_POLICY], POLICY);
        assert!(!again.headers().contains_key(header::STRICT_TRANSPORT_SECURITY));
    }
}
