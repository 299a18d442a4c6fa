//! The certificates that the doors serve with: read at the start, and again when their files change.

use fusebox_base::serve::tls::{self, Certificate, ClientCertificates, Identity};

use crate::config::Config;

/// Those in force. Which doors have one is decided at the start.
pub(super) struct Certificates {
    /// Of gRPC and HTTP; `None`: they speak in the clear.
    pub(super) doors: Option<Certificate>,
    /// Of the admission webhook, where it is on.
    pub(super) injector: Option<Certificate>,
}

/// What was read, and is not in force yet.
pub(super) struct Read {
    doors: Option<Identity>,
    injector: Option<Identity>,
}

impl Read {
    /// What `config` names.
    pub(super) fn try_new(config: &Config) -> Result<Self, String> {
        let doors = config.auth.tls.as_ref().map(|tls| tls::read("auth.tls", tls, config.auth.asked()));
        let of_injector = |tls| tls::read("injector.tls", tls, ClientCertificates::Required);
        let injector = config.injector.as_ref().map(|injector| of_injector(&injector.tls));
        Ok(Self { doors: doors.transpose()?, injector: injector.transpose()? })
    }
}

impl From<Read> for Certificates {
    fn from(read: Read) -> Self {
        Self { doors: read.doors.map(Certificate::new), injector: read.injector.map(Certificate::new) }
    }
}

impl Certificates {
    /// Connections are accepted with `read` from now on.
    pub(super) fn exchange(&self, read: Read) {
        for (held, read) in [(&self.doors, read.doors), (&self.injector, read.injector)] {
            if let (Some(held), Some(read)) = (held, read) {
                held.store(read);
            }
        }
    }

    /// Each, with the key that names its file.
    pub(super) fn named(&self) -> Vec<(&'static str, Certificate)> {
        let doors = self.doors.iter().map(|held| ("auth.tls.cert_file", held.clone()));
        let injector = self.injector.iter().map(|held| ("injector.tls.cert_file", held.clone()));
        doors.chain(injector).collect()
    }
}
