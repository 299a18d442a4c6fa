//! The connection to a control plane, and one question asked over it.

use std::time::Duration;

use fusebox_base::config::Secret;
use fusebox_proto::v1::{GetFleetRequest, control_service_client::ControlServiceClient};
use tonic::{
    Request, Response, Status,
    metadata::AsciiMetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use super::{
    exit::{Exit, Failure, bottom, knock},
    target::Target,
};

/// A fleet of thousands of sidecars in full.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// How often a connection is asked whether it still stands, and how long it may take to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The service, with what each request bears.
pub(crate) type Service = ControlServiceClient<InterceptedService<Channel, Bearer>>;

/// Variables by which a program tells those that it starts of the trace it is part of, and what they are called on the way.
const TRACE: [(&str, &str); 3] = [("TRACEPARENT", "traceparent"), ("TRACESTATE", "tracestate"), ("BAGGAGE", "baggage")];

/// A control plane that can be asked.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    service: Service,
    address: String,
    timeout: Duration,
}

/// Puts the token on each request, if there is one, and the trace that the command is part of.
#[derive(Debug, Clone)]
pub(crate) struct Bearer {
    token: Option<AsciiMetadataValue>,
    trace: Vec<(&'static str, AsciiMetadataValue)>,
}

impl Client {
    /// Connects, and makes sure of the fleet that `target` names.
    ///
    /// # Errors
    /// Nobody answers there, a certificate cannot be used or is not trusted, or another fleet is there.
    pub(crate) async fn connect(target: &Target, timeout: Duration) -> Result<Self, Failure> {
        let failed = |error: tonic::transport::Error| {
            let why = bottom(&error).unwrap_or_else(|| error.to_string());
            advised(Failure::unreachable(&target.uri, &why), target, &why)
        };
        let mut endpoint = Endpoint::from_shared(target.uri.clone())
            .map_err(|_| Failure::usage(format!("the address {} is none", target.uri)))?
            .connect_timeout(timeout)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        if target.tls {
            endpoint = endpoint.tls_config(tls(target, timeout)).map_err(|error| {
                let why = bottom(&error).unwrap_or_else(|| error.to_string());
                Failure::usage(format!("the certificates for {} cannot be used: {why}", target.uri))
            })?;
        }
        // A server that accepts and then says nothing holds no one up for longer.
        let channel = tokio::time::timeout(timeout, endpoint.connect())
            .await
            .map_err(|_| Failure::unreachable(&target.uri, &silent(timeout)))?
            .map_err(failed)?;
        let service = ControlServiceClient::with_interceptor(channel, Bearer::new(target.token.as_ref()))
            .max_decoding_message_size(MAX_ANSWER_BYTES);
        let client = Self { service, address: target.uri.clone(), timeout };
        if let Some(wanted) = &target.fleet {
            let fleet =
                client.ask(Duration::ZERO, async |mut service| service.get_fleet(GetFleetRequest {}).await).await?;
            if fleet.name != *wanted {
                let there = format!("the fleet at {} is {}, not {wanted}", target.uri, fleet.name);
                return Err(Failure::new(Exit::Refused, there).advise("`fusebox context show` says who wants which"));
            }
        }
        Ok(client)
    }

    /// What the service answers. It has `patience` longer than usual.
    ///
    /// # Errors
    /// It refuses, fails, or does not answer in time.
    pub(crate) async fn ask<T>(
        &self,
        patience: Duration,
        question: impl AsyncFnOnce(Service) -> Result<Response<T>, Status>,
    ) -> Result<T, Failure> {
        let limit = self.timeout.saturating_add(patience);
        match tokio::time::timeout(limit, question(self.service.clone())).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(Failure::answered(&status, &self.address)),
            Err(_) => Err(Failure::unreachable(&self.address, &silent(limit))),
        }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Bearer {
    fn new(token: Option<&Secret>) -> Self {
        // A token is visible ASCII, which every value of metadata may be.
        let value = token.and_then(|token| format!("Bearer {}", token.reveal()).parse().ok());
        let token = value.map(|mut value: AsciiMetadataValue| {
            value.set_sensitive(true);
            value
        });
        let told = |(variable, name)| Some((name, std::env::var(variable).ok()?.parse().ok()?));
        Self { token, trace: TRACE.into_iter().filter_map(told).collect() }
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.token {
            request.metadata_mut().insert("authorization", value.clone());
        }
        for (name, value) in &self.trace {
            request.metadata_mut().insert(*name, value.clone());
        }
        Ok(request)
    }
}

fn tls(target: &Target, timeout: Duration) -> ClientTlsConfig {
    let mut tls = ClientTlsConfig::new().timeout(timeout);
    tls = match &target.ca {
        Some(ca) => tls.ca_certificate(Certificate::from_pem(ca)),
        None => tls.with_native_roots(),
    };
    if let Some((cert, key)) = &target.identity {
        tls = tls.identity(Identity::from_pem(cert, key));
    }
    if let Some(name) = &target.server_name {
        tls = tls.domain_name(name);
    }
    tls
}

/// What may be done about a connection that did not come about.
fn advised(failure: Failure, target: &Target, why: &str) -> Failure {
    if why.contains("NotValidForName") {
        failure.advise("its certificate is another host's: give the name that it bears with --server-name NAME")
    } else if why.contains("Expired") || why.contains("NotValidYet") {
        failure.advise("its certificate's time is past or to come: renew it, or set this machine's clock")
    } else if why.contains("invalid peer certificate") {
        failure.advise("its certificate is signed by nobody who is trusted here: give the authority with --ca FILE")
    } else if why.contains("CertificateRequired") {
        failure.advise("it asks for a certificate: give one with --cert FILE and --key FILE")
    } else {
        failure.advise(knock(&target.uri))
    }
}

fn silent(limit: Duration) -> String {
    format!("it said nothing within {}", super::time::show(limit))
}
