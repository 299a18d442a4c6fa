//! The names of everything that a fleet keeps in its store.
//!
//! `<prefix>fb1:{<fleet>}:<what>` is the fleet's, `<prefix>fb1:{<fleet>/<provider>}:<what>` one provider's. The braces
//! are a Cluster's hash tag, so that what one script touches lies in one slot; `fb1` is this protocol's version.

/// Names keys and channels for one fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    prefix: String,
    fleet: String,
}

impl Keys {
    /// Those of the fleet `fleet`, all beginning with `prefix`, which may be empty.
    #[must_use]
    pub fn new(prefix: &str, fleet: &str) -> Self {
        Self { prefix: format!("{prefix}fb1:"), fleet: plain(fleet) }
    }

    /// The fleet's key for `what`.
    #[must_use]
    pub fn fleet(&self, what: &str) -> String {
        format!("{}{{{}}}:{what}", self.prefix, self.fleet)
    }

    /// A provider's key for `what`.
    #[must_use]
    pub fn provider(&self, provider: &str, what: &str) -> String {
        format!("{}{{{}/{}}}:{what}", self.prefix, self.fleet, plain(provider))
    }

    /// A key for `what` of something with an id of its own, such as a run: these are spread over a Cluster.
    #[must_use]
    pub fn item(&self, kind: &str, id: &str, what: &str) -> String {
        format!("{}{{{}/{kind}/{}}}:{what}", self.prefix, self.fleet, plain(id))
    }

    /// The channel on which a provider's records are hinted at.
    #[must_use]
    pub fn provider_channel(&self, provider: &str) -> String {
        self.provider(provider, "news")
    }

    /// The channel on which the fleet's settings are hinted at.
    #[must_use]
    pub fn fleet_channel(&self) -> String {
        self.fleet("news")
    }

    /// The channel on which it is hinted that something has become of alerts or silences. Sidecars do not listen there.
    #[must_use]
    pub fn alerts_channel(&self) -> String {
        self.fleet("alerts:news")
    }
}

/// A brace in a name would end the hash tag early.
fn plain(name: &str) -> String {
    name.replace('%', "%25").replace('{', "%7B").replace('}', "%7D")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_provider_share_a_hash_tag_and_no_name_can_leave_it() {
        let keys = Keys::new("prod:", "eu{1}");
        assert_eq!(keys.provider("vllm", "breaker"), "prod:fb1:{eu%7B1%7D/vllm}:breaker");
        assert_eq!(keys.provider_channel("a}b"), "prod:fb1:{eu%7B1%7D/a%7Db}:news");
        assert_eq!(keys.fleet("settings"), "prod:fb1:{eu%7B1%7D}:settings");
        assert_eq!(keys.alerts_channel(), "prod:fb1:{eu%7B1%7D}:alerts:news");
        assert_ne!(keys.provider("a%7Db", "x"), keys.provider("a}b", "x"));
    }
}
