//! What an error of the Redis crate means to us: one table, each row with its reason.

use redis::{ErrorKind, RedisError};

use crate::StoreError;

/// What became of the connection by which an error came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The server answered; the connection is well.
    Sound,
    /// Somebody else is master now: the connection leads to the wrong server.
    Misled,
    /// No answer came, and none will.
    Broken,
}

/// What `error` is to who asked, and what it tells of the connection.
pub(super) fn classify(error: &RedisError) -> (StoreError, Fate) {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => by_code(error),
        // The request was written, or may have been.
        ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => {
            (StoreError::not_known(format!("the connection failed: {error}")), Fate::Broken)
        }
        // Both are found while connecting; what they say of a name or a login may be mended without us.
        ErrorKind::InvalidClientConfig => (StoreError::not_asked(error.to_string()), Fate::Broken),
        ErrorKind::AuthenticationFailed => (refused("AUTH", error), Fate::Broken),
        // After a reply that cannot be read nobody knows where the next begins.
        _ => (StoreError::Protocol(error.to_string()), Fate::Broken),
    }
}

fn by_code(error: &RedisError) -> (StoreError, Fate) {
    let code = error.code().unwrap_or("ERR");
    let unavailable = || StoreError::not_asked(format!("{code} {}", error.detail().unwrap_or_default()));
    match code {
        "READONLY" => (unavailable(), Fate::Misled),
        // Redis 6 wraps what a script met with.
        "ERR" if error.detail().is_some_and(|detail| detail.contains("-READONLY")) => (unavailable(), Fate::Misled),
        // They pass by themselves: a start, a failover, a resharding, somebody's long script, a replica that is late.
        "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY" | "NOREPLICAS" => (unavailable(), Fate::Sound),
        // On a Cluster the crate follows them, and gives up only while slots move to and fro. Elsewhere the address
        // is wrong, but what it leads to may be corrected.
        "MOVED" | "ASK" => {
            let why = format!("{code}: the keys are on another node; a Cluster's address begins with redis+cluster://");
            (StoreError::not_asked(why), Fate::Sound)
        }
        code => (refused(code, error), Fate::Sound),
    }
}

fn refused(code: &str, error: &RedisError) -> StoreError {
    let message = error.detail().map_or_else(|| error.to_string(), str::to_owned);
    StoreError::Refused { code: code.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use redis::{Value, parse_redis_value};

    use super::*;

    fn of(line: &str) -> (StoreError, Fate) {
        let read = parse_redis_value(format!("-{line}\r\n").as_bytes()).and_then(Value::extract_error);
        classify(&read.expect_err(line))
    }

    #[test]
    fn what_passes_by_itself_is_unavailable_and_was_not_carried_out() {
        for line in [
            "LOADING Redis is loading the dataset in memory",
            "MASTERDOWN Link with MASTER is down",
            "CLUSTERDOWN The cluster is down",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "BUSY Redis is busy running a script",
            "NOREPLICAS Not enough good replicas to write.",
            "MOVED 3999 127.0.0.1:6381",
            "ASK 3999 127.0.0.1:6381",
        ] {
            let (error, fate) = of(line);
            assert!(matches!(error, StoreError::Unavailable { may_have_run: false, .. }), "{line}: {error:?}");
            assert_eq!(fate, Fate::Sound, "{line}");
        }
    }

    #[test]
    fn a_replica_where_a_master_should_be_asks_for_a_new_connection() {
        for line in [
            "READONLY You can't write against a read only replica. script: 1f, on @user_script:1.",
            "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write against a replica.",
        ] {
            let (error, fate) = of(line);
            assert!(matches!(error, StoreError::Unavailable { may_have_run: false, .. }), "{line}: {error:?}");
            assert_eq!(fate, Fate::Misled, "{line}");
        }
    }

    #[test]
    fn what_somebody_must_mend_is_refused_with_its_code() {
        for (line, code) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", "OOM"),
            ("NOPERM this user has no permissions to run the 'eval' command", "NOPERM"),
            ("NOAUTH Authentication required.", "NOAUTH"),
            ("MISCONF Redis is configured to save RDB snapshots", "MISCONF"),
            ("CROSSSLOT Keys in request don't hash to the same slot", "CROSSSLOT"),
            ("ERR unknown command 'FOO'", "ERR"),
        ] {
            let (error, fate) = of(line);
            let message = line[code.len() + 1..].to_owned();
            assert_eq!(error, StoreError::Refused { code: code.to_owned(), message }, "{line}");
            assert_eq!(fate, Fate::Sound, "{line}");
        }
    }

    #[test]
    fn a_request_whose_connection_broke_may_have_run() {
        let broken = RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        let (error, fate) = classify(&broken);
        assert!(matches!(error, StoreError::Unavailable { may_have_run: true, .. }), "{error:?}");
        assert_eq!(fate, Fate::Broken);
    }
}
