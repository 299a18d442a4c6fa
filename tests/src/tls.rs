//! Certificates of a test's own, and TLS in front of a server that speaks none.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tonic::transport::{self, Certificate, Channel, ClientTlsConfig, Endpoint, Error};

/// Signs certificates. Dropped, it removes their files.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key, in files.
#[derive(Debug, Clone)]
pub struct Identity {
    /// PEM.
    pub cert_file: String,
    /// PEM.
    pub key_file: String,
}

impl Authority {
    /// One that nobody has heard of before.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "a test's authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let this = Self { issuer, folder };
        fs::write(this.file(), this.issuer.pem()).unwrap();
        this
    }

    /// Its own certificate, in a file.
    #[must_use]
    pub fn file(&self) -> String {
        self.path("ca.pem")
    }

    /// A certificate for the loopback interface, for either end of a connection. `name` tells its files from others'.
    #[must_use]
    pub fn issue(&self, name: &str) -> Identity {
        self.issue_to(name, &["127.0.0.1", "localhost"])
    }

    /// The same, for others than the loopback interface.
    #[must_use]
    pub fn issue_to(&self, name: &str, whom: &[&str]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(whom.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>()).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let identity =
            Identity { cert_file: self.path(&format!("{name}.pem")), key_file: self.path(&format!("{name}.key")) };
        fs::write(&identity.cert_file, certificate.pem()).unwrap();
        fs::write(&identity.key_file, key.serialize_pem()).unwrap();
        identity
    }

    /// A client that trusts this authority alone, and shows `identity` if it is asked for one.
    #[must_use]
    pub fn client(&self, identity: Option<&Identity>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match identity {
            None => config.with_no_client_auth(),
            Some(identity) => config.with_client_auth_cert(identity.chain(), identity.key()).unwrap(),
        }
    }

    /// A connection for gRPC to `address`, by a client as [`Self::client`] makes it.
    ///
    /// # Errors
    /// The connection does not come about.
    pub async fn channel(&self, address: SocketAddr, identity: Option<&Identity>) -> Result<Channel, Error> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.issuer.pem()));
        if let Some(identity) = identity {
            let read = |file: &str| fs::read(file).unwrap();
            tls = tls.identity(transport::Identity::from_pem(read(&identity.cert_file), read(&identity.key_file)));
        }
        Endpoint::from_shared(format!("https://{address}")).unwrap().tls_config(tls)?.connect().await
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("a path of plain text").to_owned()
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Identity {
    fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(&self.cert_file).unwrap().map(Result::unwrap).collect()
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(&self.key_file).unwrap()
    }

    /// Shows it to whoever connects, and offers `protocols` by ALPN.
    pub(crate) fn acceptor(&self, protocols: &[&str]) -> TlsAcceptor {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain(), self.key())
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Speaks TLS to whoever connects, and passes what they say on to a server that does not. Dropped, it hangs up.
#[derive(Debug)]
pub struct Terminator {
    address: SocketAddr,
    spoken: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Terminator {
    /// Shows `identity`, offers `protocols` by ALPN, and passes on to `server`.
    pub async fn start(identity: &Identity, protocols: &[&str], server: SocketAddr) -> Self {
        let acceptor = identity.acceptor(protocols);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().unwrap();
        let spoken: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut tasks = JoinSet::new();
        let heard = Arc::clone(&spoken);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                connections.spawn(terminate(acceptor.clone(), stream, server, Arc::clone(&heard)));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, spoken, _tasks: tasks }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a sidecar's configuration calls `base_url`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("https://{}/v1", self.address)
    }

    /// The protocol agreed on, of each connection whose handshake came to an end; empty where none was.
    #[must_use]
    pub fn spoken(&self) -> Vec<String> {
        self.spoken.lock().clone()
    }
}

async fn terminate(acceptor: TlsAcceptor, stream: TcpStream, server: SocketAddr, spoken: Arc<Mutex<Vec<String>>>) {
    let _ = stream.set_nodelay(true);
    let Ok(mut outside) = acceptor.accept(stream).await else { return };
    let protocol = outside.get_ref().1.alpn_protocol().unwrap_or_default();
    spoken.lock().push(String::from_utf8_lossy(protocol).into_owned());
    let Ok(mut inside) = TcpStream::connect(server).await else { return };
    let _ = inside.set_nodelay(true);
    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
}
