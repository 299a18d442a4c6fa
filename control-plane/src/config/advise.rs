//! What is unwise in a configuration that is not wrong: each thing with its place and what to do.

use std::{net::SocketAddr, time::Duration};

use fusebox_base::config::Found;
use http::Uri;

use super::{Advice, Config, Injector};
use crate::{
    access::Role,
    alerts::{Channel, ChannelKind, Encryption},
};

/// A session that lasts longer outlives who signed in.
const LONG_SESSION: Duration = Duration::from_hours(7 * 24);

/// All that is unwise in `config`. Looks at the rights of the files that it names, and at nothing else outside it.
#[must_use]
pub fn advise(config: &Config) -> Vec<Advice> {
    let mut advice = Found::default();
    who(config, &mut advice);
    doors(config, &mut advice);
    alerts(config, &mut advice);
    for (index, channel) in config.alerts.settings.channels.iter().enumerate() {
        sent(&format!("alerts.channels[{index}]"), channel, &mut advice);
    }
    let limits = &config.limits;
    advice.add_if(
        limits.max_watchers > limits.max_connections,
        "limits.max_watchers",
        format!(
            "is above limits.max_connections ({}), and most live views have a connection of their own; lower it",
            limits.max_connections
        ),
    );
    if let Some(injector) = &config.injector {
        injected(injector, &mut advice);
    }
    for file in &config.alerts.files {
        advice.rights("alerts.channels", file);
    }
    advice.0
}

/// What is unwise about who may call.
fn who(config: &Config, advice: &mut Found) {
    let auth = &config.auth;
    advice.add_if(
        !auth.asks() && config.fleet.redis.is_some(),
        "auth.tokens_file",
        "is not set, and every user of this machine may turn off every provider of the fleet; set it",
    );
    let of_tokens = auth.tokens.as_ref().is_some_and(|(tokens, _)| tokens.has_operator());
    let of_certificates = auth.certificates.iter().any(|one| one.role == Role::Operator);
    advice.add_if(
        auth.asks() && !of_tokens && !of_certificates,
        "auth",
        "makes nobody an operator, so that nobody may change anything; make somebody one",
    );
    advice.add_if(
        auth.tokens.is_some() && auth.session > LONG_SESSION,
        "auth.session",
        "is longer than a week, and a session cannot be ended but with its token; sign in anew more often",
    );
    if let Some((_, file)) = &auth.tokens {
        advice.rights("auth.tokens_file", file);
    }
    if let Some(tls) = &auth.tls {
        advice.rights("auth.tls.key_file", &tls.key_file);
    }
}

/// What is unwise about where callers come in.
fn doors(config: &Config, advice: &mut Found) {
    let outside = |address: &SocketAddr| !address.ip().to_canonical().is_loopback();
    for (key, address) in [("listen.grpc", config.listen.grpc), ("listen.http", config.listen.http)] {
        advice.add_if(
            config.auth.tls.is_none() && outside(&address),
            key,
            format!("tokens cross the network to {address} in the clear; set auth.tls"),
        );
    }
}

/// What is unwise about whom alerts reach.
fn alerts(config: &Config, advice: &mut Found) {
    let alerts = &config.alerts.settings;
    advice.add_if(
        alerts.channels.is_empty() && config.fleet.redis.is_some(),
        "alerts.channels",
        "is empty, so that alerts are seen on the dashboard alone; name somebody whom they are sent to",
    );
    let reached = |channel: &Channel| {
        alerts.routes.is_empty()
            || alerts.routes.iter().any(|route| route.channels.is_empty() || route.channels.contains(&channel.name))
    };
    for (index, channel) in alerts.channels.iter().enumerate() {
        advice.add_if(
            !reached(channel),
            format!("alerts.channels[{index}]"),
            format!("no route leads to {}; name it in one, or leave it out", channel.name),
        );
    }
    for index in 0..alerts.routes.len() {
        advice.add_if(
            alerts.channels.is_empty(),
            format!("alerts.routes[{index}]"),
            "leads nowhere, since there is no channel; name one under alerts.channels",
        );
    }
}

/// What is unwise about the webhook.
fn injected(injector: &Injector, advice: &mut Found) {
    let address = injector.listen;
    advice.add_if(
        address.ip().to_canonical().is_loopback(),
        "injector.listen",
        format!("an API server on another machine does not reach {address}; listen on 0.0.0.0"),
    );
    advice.rights("injector.tls.key_file", &injector.tls.key_file);
}

/// What is unwise about how alerts reach one channel.
fn sent(path: &str, channel: &Channel, advice: &mut Found) {
    let in_the_clear = |url: &str| url.starts_with("http://") && !url.parse().is_ok_and(|uri: Uri| is_near(uri.host()));
    let clear = "alerts cross the network in the clear, and with them whatever opens it; use https";
    match &channel.kind {
        ChannelKind::Slack(slack) => {
            advice.add_if(in_the_clear(slack.url.reveal()), format!("{path}.url_file"), clear);
        }
        ChannelKind::PagerDuty(duty) => advice.add_if(in_the_clear(&duty.url), format!("{path}.url"), clear),
        ChannelKind::Webhook(webhook) => {
            advice.add_if(in_the_clear(webhook.url.reveal()), format!("{path}.url"), clear);
            advice.add_if(
                webhook.secret.is_none(),
                format!("{path}.secret_file"),
                "is not set, so that its receiver cannot tell our messages from others'; set it",
            );
        }
        ChannelKind::Email(email) => advice.add_if(
            email.encryption == Encryption::None && !is_near(Some(&email.host)),
            format!("{path}.tls"),
            "is none, so that mail crosses the network in the clear; write starttls or tls",
        ),
    }
}

/// Whether a host is this machine, as far as its name tells.
fn is_near(host: Option<&str>) -> bool {
    host.is_some_and(|host| crate::access::is_loopback(host) || host == "::1")
}

#[cfg(test)]
mod tests;
