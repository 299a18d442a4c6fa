//! What of a configuration cannot change while the sidecar runs.

use super::{Auth, Config, Fleet, Limits, Listen, Telemetry};

/// The keys that differ between `old` and `new` and take effect only at a start: sockets, what was built on them, logs
/// and the fleet. All others may be exchanged while calls are in flight.
#[must_use]
pub fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    // Taken apart in full, so that a new field of these does not compile until someone has decided.
    let Listen { grpc, http, admin, workers } = &old.listen;
    let Auth { tokens_file: _, tls } = &old.auth;
    let Telemetry { otlp_endpoint, log: _, log_format } = &old.telemetry;
    let Fleet { name, redis, pod, node: _, zone: _, secret: _, secret_file: _ } = &old.fleet;
    let Limits {
        max_body: _,
        max_answer: _,
        max_headers,
        header_timeout,
        max_connections,
        max_streams,
        max_in_flight: _,
    } = &old.limits;
    let rows = [
        ("fleet.name", *name == new.fleet.name),
        ("fleet.redis", *redis == new.fleet.redis),
        ("fleet.pod", *pod == new.fleet.pod),
        ("listen.grpc", *grpc == new.listen.grpc),
        ("listen.http", *http == new.listen.http),
        ("listen.admin", *admin == new.listen.admin),
        ("listen.workers", *workers == new.listen.workers),
        ("auth.tls", tls.is_some() == new.auth.tls.is_some()),
        ("telemetry.otlp_endpoint", *otlp_endpoint == new.telemetry.otlp_endpoint),
        ("telemetry.log_format", *log_format == new.telemetry.log_format),
        ("limits.max_headers", *max_headers == new.limits.max_headers),
        ("limits.header_timeout", *header_timeout == new.limits.header_timeout),
        ("limits.max_connections", *max_connections == new.limits.max_connections),
        ("limits.max_streams", *max_streams == new.limits.max_streams),
    ];
    rows.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;

    #[test]
    fn what_needs_a_restart_is_named_and_the_rest_is_not() {
        let old = Config::default();
        assert_eq!(needs_restart(&old, &old), [""; 0]);
        let mut new = old.clone();
        new.listen.grpc.set_port(1);
        new.limits.max_connections += 1;
        new.fleet.name = "other".to_owned();
        assert_eq!(needs_restart(&old, &new), ["fleet.name", "listen.grpc", "limits.max_connections"]);
        let mut new = old.clone();
        new.limits.max_body += 1;
        new.auth.tokens_file = Some("tokens".into());
        new.shutdown.grace += Duration::from_secs(1);
        Arc::make_mut(&mut new.providers[0]).priority += 1;
        assert_eq!(needs_restart(&old, &new), [""; 0]);
    }
}
