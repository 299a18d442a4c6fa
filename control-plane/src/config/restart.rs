//! What of a configuration cannot change while the control plane runs.

use std::net::SocketAddr;

use super::{Auth, Config, Fleet, Injector, Limits, Listen, Telemetry};

/// The keys that differ between `old` and `new` and take effect only at a start: sockets, what was built on them, logs
/// and the store. All others may be exchanged while requests are in flight.
#[must_use]
pub fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    // Taken apart in full, so that a new field of these does not compile until someone has decided.
    let Fleet { name, redis } = &old.fleet;
    let Listen { grpc, http } = &old.listen;
    let Auth { tokens: _, tls, certificates: _, session: _ } = &old.auth;
    let Telemetry { otlp_endpoint, log: _, log_format } = &old.telemetry;
    let Limits { max_body: _, max_connections, max_watchers: _ } = &old.limits;
    let rows = [
        ("fleet.name", *name == new.fleet.name),
        ("fleet.redis", *redis == new.fleet.redis),
        ("listen.grpc", *grpc == new.listen.grpc),
        ("listen.http", *http == new.listen.http),
        ("auth.tls", tls.is_some() == new.auth.tls.is_some()),
        ("injector.listen", door(old) == door(new)),
        ("telemetry.otlp_endpoint", *otlp_endpoint == new.telemetry.otlp_endpoint),
        ("telemetry.log_format", *log_format == new.telemetry.log_format),
        ("limits.max_connections", *max_connections == new.limits.max_connections),
    ];
    rows.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
}

/// Where the webhook is served. All else of it may be exchanged.
fn door(config: &Config) -> Option<SocketAddr> {
    config.injector.as_ref().map(|Injector { listen, tls: _, template: _, template_file: _, on_error: _ }| *listen)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_needs_a_restart_is_named_and_the_rest_is_not() {
        let old = Config::default();
        assert_eq!(needs_restart(&old, &old), [""; 0]);
        let mut new = old.clone();
        new.fleet.name = "other".to_owned();
        new.listen.http.set_port(1);
        new.limits.max_connections += 1;
        assert_eq!(needs_restart(&old, &new), ["fleet.name", "listen.http", "limits.max_connections"]);
        let mut new = old.clone();
        new.auth.session += Duration::from_secs(1);
        new.audit.keep += 1;
        new.limits.max_body += 1;
        new.telemetry.log = "debug".to_owned();
        new.health.critical_share = 1.0;
        assert_eq!(needs_restart(&old, &new), [""; 0]);
    }
}
