//! What is meant by the configuration's `injector`: the admission webhook, where it is on.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use super::Tls;
use crate::inject::{OnError, Template};

/// The admission webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct Injector {
    /// Where Kubernetes' API server finds it.
    pub listen: SocketAddr,
    /// The certificate to serve it with: an API server speaks nothing but TLS.
    pub tls: Tls,
    /// What is injected.
    pub template: Arc<Template>,
    /// Where that was read from.
    pub template_file: PathBuf,
    /// What to do with a pod that cannot be injected.
    pub on_error: OnError,
}

impl Injector {
    /// Its files.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let files: Vec<_> = self.tls.files().chain([self.template_file.clone()]).collect();
        files.into_iter()
    }
}
