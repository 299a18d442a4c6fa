//! Whether a request is the page's own: what a browser says of whence it came.
//!
//! A browser sends cookies, certificates and what reaches loopback with any page's requests. It also says, in headers that
//! no page can set, whose request it is.

use std::net::{Ipv4Addr, Ipv6Addr};

use fusebox_base::config::same;

use super::Refused;

/// What a request says of whence it came, as its headers have it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sent<'a> {
    /// `host`, or HTTP/2's `:authority`.
    pub host: Option<&'a str>,
    /// `origin`.
    pub origin: Option<&'a str>,
    /// `sec-fetch-site`.
    pub fetch_site: Option<&'a str>,
    /// `x-fusebox-csrf`.
    pub csrf: Option<&'a str>,
}

impl Sent<'_> {
    /// Whether it may be the page's own. What says nothing of it is no browser, or one too old to be trusted with more
    /// than its cookie, for which [`Self::bears`] is asked besides.
    ///
    /// # Errors
    /// [`Refused::Forged`].
    pub fn same_site(&self) -> Result<(), Refused> {
        let forged = |why| Err(Refused::Forged { why });
        match self.fetch_site {
            None | Some("same-origin" | "none") => {}
            Some(_) => return forged("its browser says that it comes from elsewhere (sec-fetch-site)"),
        }
        let Some(origin) = self.origin else { return Ok(()) };
        // Whether it came by TLS, a proxy may know better than this process.
        let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        match (authority, self.host) {
            (Some(from), Some(host)) if without_default_port(from).eq_ignore_ascii_case(without_default_port(host)) => {
                Ok(())
            }
            _ => forged("its origin is not the host that it is sent to"),
        }
    }

    /// Whether it bears what only the session's own page knows.
    pub(super) fn bears(&self, csrf: &str) -> Result<(), Refused> {
        match self.csrf {
            Some(sent) if same(sent.as_bytes(), csrf.as_bytes()) => Ok(()),
            Some(_) => Err(Refused::Forged { why: "x-fusebox-csrf is not that of this session; load the page anew" }),
            None => Err(Refused::Forged { why: "it bears no x-fusebox-csrf" }),
        }
    }
}

/// Whether `host`, as a request names it, with or without a port, can only be this machine. A page whose name was made
/// to point here (DNS rebinding) still calls it by that name.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let Some((name, port)) = rest.split_once(']') else { return false };
            (name, port.strip_prefix(':').unwrap_or(port))
        }
        None => host.split_once(':').unwrap_or((host, "")),
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    if host.starts_with('[') {
        return name.parse().is_ok_and(|address: Ipv6Addr| address.to_canonical().is_loopback());
    }
    let name = name.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
}

fn without_default_port(authority: &str) -> &str {
    authority.strip_suffix(":443").or_else(|| authority.strip_suffix(":80")).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_the_pages_own_unless_its_browser_says_otherwise() {
        let host = Some("fusebox.example:8081");
        for (host, origin, fetch_site, own) in [
            (host, None, None, true),
            (host, None, Some("same-origin"), true),
            (host, None, Some("none"), true),
            (host, None, Some("same-site"), false),
            (host, None, Some("cross-site"), false),
            (host, Some("http://fusebox.example:8081"), None, true),
            (host, Some("https://FUSEBOX.example:8081"), Some("same-origin"), true),
            (host, Some("http://fusebox.example:8081"), Some("cross-site"), false),
            (host, Some("http://fusebox.example:8082"), None, false),
            (host, Some("http://evil.example"), None, false),
            (host, Some("http://fusebox.example:8081.evil.example"), None, false),
            (host, Some("null"), None, false),
            (host, Some(""), None, false),
            (Some("fusebox.example"), Some("https://fusebox.example"), None, true),
            (Some("fusebox.example:443"), Some("https://fusebox.example"), None, true),
            (None, Some("https://fusebox.example"), None, false),
            (None, None, None, true),
        ] {
            let sent = Sent { host, origin, fetch_site, csrf: None };
            assert_eq!(sent.same_site().is_ok(), own, "{sent:?}");
        }
    }

    #[test]
    fn only_names_that_can_be_nothing_but_this_machine_are_loopback() {
        for host in
            ["localhost", "LOCALHOST:8081", "a.localhost:1", "127.0.0.1", "127.9.9.9:50052", "[::1]", "[::1]:80"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1:8081",
            "[::2]:80",
            "[::1",
            "::1",
            "0.0.0.0",
            "localhost:8081:x",
            "localhost:evil",
            "[::1]evil.example",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
        assert!(is_loopback("[::ffff:127.0.0.1]"));
    }
}
