//! Providers behind a proxy that the environment names.

use fusebox_tests::{
    provider::{Provider, Refusing, act::tokens},
    proxy::{Asked, Proxy},
    sidecar::{Config, Sidecar},
    tls::{Authority, Terminator},
};
use http::Method;
use serde_json::json;

use crate::support::{Doors, Way, hello, ms};

/// One provider, at `base_url`, found by way of what `variables` say.
async fn behind(base_url: &str, variables: &[(&str, &str)]) -> Sidecar {
    Sidecar::start(config(base_url, variables)).await
}

fn config(base_url: &str, variables: &[(&str, &str)]) -> Config {
    let config = Config::new().provider_with("a", base_url, json!({"timeouts": {"connect": "2s"}}));
    variables.iter().fold(config, |config, (name, value)| config.env(name, value))
}

/// A provider under TLS, and who vouches for it.
struct Secure {
    provider: Provider,
    authority: Authority,
    terminator: Terminator,
}

impl Secure {
    async fn start() -> Self {
        let (provider, authority) = (Provider::start(tokens(3)).await, Authority::new());
        let terminator = Terminator::start(&authority.issue("provider"), &["h2", "http/1.1"], provider.address()).await;
        Self { provider, authority, terminator }
    }

    async fn behind(&self, proxy: &str) -> Sidecar {
        let variables = [("HTTPS_PROXY", proxy), ("SSL_CERT_FILE", &self.authority.file())];
        behind(&self.terminator.base_url(), &variables).await
    }
}

fn post(target: String) -> Asked {
    Asked { method: Method::POST, target, authorization: None }
}

#[tokio::test]
async fn a_plain_provider_is_asked_for_by_its_whole_url() {
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let (provider, proxy) = (Provider::start(tokens(3)).await, Proxy::start().await);
        let sidecar = behind(&provider.base_url(), &[(variable, &proxy.url())]).await;
        let doors = Doors::of(&sidecar).await;
        for way in Way::ALL {
            assert!(doors.call(way, "chat").await.good().ends_with(":2 "), "{way:?}");
        }
        assert_eq!(proxy.asked(), vec![post(format!("{}/chat/completions", provider.base_url())); 4], "{variable}");
        assert_eq!(provider.seen()[0].path, "/v1/chat/completions");
    }
}

#[tokio::test]
async fn a_provider_behind_tls_is_reached_through_a_tunnel() {
    let (secure, proxy) = (Secure::start().await, Proxy::start().await);
    let sidecar = secure.behind(&proxy.url()).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        assert!(doors.call(way, "chat").await.good().ends_with(":2 "), "{way:?}");
    }
    let tunnel =
        Asked { method: Method::CONNECT, target: secure.terminator.address().to_string(), authorization: None };
    assert!(!proxy.asked().is_empty() && proxy.asked().iter().all(|asked| *asked == tunnel), "{:?}", proxy.asked());
    assert!(secure.terminator.spoken().iter().all(|protocol| protocol == "h2"), "TLS is spoken with the provider");
}

#[tokio::test]
async fn a_user_and_a_password_in_the_url_are_shown_to_the_proxy_alone() {
    // echo -n 'user:p@ss' | base64
    let shown = Some("Basic dXNlcjpwQHNz".to_owned());
    let (plain, secure, proxy) = (Provider::start(tokens(1)).await, Secure::start().await, Proxy::start().await);
    let url = proxy.url_for("user", "p%40ss");
    for (provider, sidecar) in [
        (&plain, behind(&plain.base_url(), &[("HTTP_PROXY", &url)]).await),
        (&secure.provider, secure.behind(&url).await),
    ] {
        assert_eq!(sidecar.http().chat(&hello("chat", false)).send().await.status, 200);
        let seen = provider.seen();
        assert_eq!(seen[0].header("proxy-authorization"), None);
        assert!(!sidecar.log().contains("p@ss") && !sidecar.log().contains("p%40ss"), "{}", sidecar.log());
    }
    assert_eq!(proxy.asked().len(), 2);
    assert!(proxy.asked().iter().all(|asked| asked.authorization == shown), "{:?}", proxy.asked());
}

#[tokio::test]
async fn what_no_proxy_names_is_called_directly() {
    let proxy = Proxy::start().await;
    for (value, by_proxy) in [
        ("127.0.0.1", false),
        ("example.com, 127.0.0.0/8", false),
        ("*", false),
        ("example.com", true),
        ("10.0.0.0/8", true),
    ] {
        let provider = Provider::start(tokens(1)).await;
        let before = proxy.asked().len();
        let variables = [("HTTP_PROXY", proxy.url()), ("NO_PROXY", value.to_owned())];
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        let sidecar = behind(&provider.base_url(), &variables).await;
        assert_eq!(sidecar.http().chat(&hello("chat", false)).send().await.status, 200);
        assert_eq!(proxy.asked().len() > before, by_proxy, "NO_PROXY={value}");
        assert_eq!(provider.calls(), 1);
    }
    let secure = Secure::start().await;
    let variables =
        [("HTTPS_PROXY", proxy.url()), ("NO_PROXY", "127.0.0.1".into()), ("SSL_CERT_FILE", secure.authority.file())];
    let before = proxy.asked().len();
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let sidecar = behind(&secure.terminator.base_url(), &variables).await;
    assert_eq!(sidecar.http().chat(&hello("chat", false)).send().await.status, 200);
    assert_eq!(proxy.asked().len(), before);
}

#[tokio::test]
async fn a_proxy_for_one_scheme_is_none_for_the_other() {
    let (provider, proxy) = (Provider::start(tokens(1)).await, Proxy::start().await);
    let sidecar = behind(&provider.base_url(), &[("HTTPS_PROXY", &proxy.url())]).await;
    assert_eq!(sidecar.http().chat(&hello("chat", false)).send().await.status, 200);
    assert_eq!(proxy.asked(), []);
}

#[tokio::test]
async fn a_tunnel_that_is_refused_is_a_network_error() {
    for status in [403, 407, 502] {
        let (secure, proxy) = (Secure::start().await, Proxy::refusing(status).await);
        let sidecar = secure.behind(&proxy.url()).await;
        let doors = Doors::of(&sidecar).await;
        for way in Way::ALL {
            let ended = doors.call(way, "chat").await;
            assert_eq!(ended.kind(), "network_error", "{status}: {ended:#?}");
            assert!(ended.took < ms(1500), "{ended:#?}");
        }
        assert_eq!(secure.provider.calls(), 0);
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_know_us_is_a_network_error_and_not_the_callers_fault() {
    // Only a proxy answers 407; what else it says cannot be told from the provider's own words.
    let (provider, proxy) = (Provider::start(tokens(1)).await, Proxy::refusing(407).await);
    let sidecar = behind(&provider.base_url(), &[("HTTP_PROXY", &proxy.url())]).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        let ended = doors.call(way, "chat").await;
        assert_eq!(ended.kind(), "network_error", "{ended:#?}");
    }
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_a_network_error() {
    let (provider, secure, nobody) = (Provider::start(tokens(1)).await, Secure::start().await, Refusing::new());
    let proxy = nobody.base_url().replace("/v1", "");
    for sidecar in [behind(&provider.base_url(), &[("HTTP_PROXY", &proxy)]).await, secure.behind(&proxy).await] {
        let answer = sidecar.http().chat(&hello("chat", false)).send().await;
        assert_eq!(answer.error()["type"], "network_error", "{}", answer.text());
    }
    assert_eq!(provider.calls() + secure.provider.calls(), 0);
}

#[tokio::test]
async fn a_proxy_of_another_kind_is_refused_at_the_start() {
    for url in ["https://127.0.0.1:1", "socks5://127.0.0.1:1"] {
        let output = Sidecar::run(&["run"], &config("http://127.0.0.1:1/v1", &[("HTTP_PROXY", url)])).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("providers[0]") && said.contains("HTTP_PROXY"), "{said}");
    }
}
