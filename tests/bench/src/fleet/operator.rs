//! An operator who switches a provider off and on at a control plane, by each of its doors, and waits for all sidecars.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use fusebox_proto::v1::{ChangeOptions, SetProviderRequest, control_service_client::ControlServiceClient};
use serde_json::{Value, json};
use tokio::{process::Command, task::spawn_blocking};
use tonic::transport::{Channel, Endpoint};

use super::{servers::ControlPlane, wire};

/// How long an answer may wait for sidecars, in seconds.
const WAIT: i64 = 30;

/// A way to ask a control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Grpc,
    Rest,
    /// The command `fusebox`, a process of its own each time.
    Command,
}

/// Who asks.
pub(super) struct Operator {
    client: ControlServiceClient<Channel>,
    http: SocketAddr,
    grpc: SocketAddr,
    fusebox: PathBuf,
    sidecars: usize,
}

impl Door {
    pub(super) const ALL: [Self; 3] = [Self::Grpc, Self::Rest, Self::Command];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "gRPC",
            Self::Rest => "REST",
            Self::Command => "`fusebox`",
        }
    }
}

impl Operator {
    /// One at `control`, with this command, of a fleet of so many sidecars.
    pub(super) fn of(control: &ControlPlane, fusebox: &Path, sidecars: usize) -> io::Result<Self> {
        let ControlPlane { http, grpc, .. } = *control;
        let endpoint = Endpoint::from_shared(format!("http://{grpc}")).map_err(io::Error::other)?;
        let client = ControlServiceClient::new(endpoint.connect_lazy());
        Ok(Self { client, http, grpc, fusebox: fusebox.to_owned(), sidecars })
    }

    /// Switches it, and waits until every sidecar has done it.
    pub(super) async fn set(&self, door: Door, provider: &str, on: bool) -> io::Result<()> {
        let applied = match door {
            Door::Grpc => self.by_grpc(provider, on).await?,
            Door::Rest => self.by_rest(provider, on).await?,
            Door::Command => self.by_command(provider, on).await?,
        };
        if applied == self.sidecars {
            Ok(())
        } else {
            Err(io::Error::other(format!("by {}: {applied} of {} have done it", door.name(), self.sidecars)))
        }
    }

    async fn by_grpc(&self, provider: &str, on: bool) -> io::Result<usize> {
        let wait = Some(prost_types::Duration { seconds: WAIT, nanos: 0 });
        let request = SetProviderRequest {
            name: provider.to_owned(),
            enabled: Some(on),
            reason: "measured".to_owned(),
            change: Some(ChangeOptions { wait, force: true, ..ChangeOptions::default() }),
            ..SetProviderRequest::default()
        };
        let answer = self.client.clone().set_provider(request).await.map_err(io::Error::other)?;
        Ok(answer.into_inner().result.unwrap_or_default().sidecars_applied as usize)
    }

    async fn by_rest(&self, provider: &str, on: bool) -> io::Result<usize> {
        let change = json!({"wait": format!("{WAIT}s"), "force": true});
        let body = json!({"enabled": on, "reason": "measured", "change": change}).to_string();
        let (http, path) = (self.http, format!("/api/v1/providers/{provider}"));
        let asked = spawn_blocking(move || wire::patch(http, &path, &body)).await;
        let (status, told) = asked.map_err(io::Error::other)??;
        if status == 200 { applied(&told) } else { Err(io::Error::other(format!("by REST: {status}: {told}"))) }
    }

    async fn by_command(&self, provider: &str, on: bool) -> io::Result<usize> {
        let (address, wait) = (format!("http://{}", self.grpc), format!("{WAIT}s"));
        let mut command = Command::new(&self.fusebox);
        command.args(["--address", &address, "--json", "provider", if on { "enable" } else { "disable" }, provider]);
        let output = command.args(["--reason", "measured", "--wait", &wait, "--force"]).output().await?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("{}: {told}", self.fusebox.display())));
        }
        applied(&String::from_utf8_lossy(&output.stdout))
    }
}

/// How many have done it, by an answer in JSON.
fn applied(answer: &str) -> io::Result<usize> {
    let answer: Value = serde_json::from_str(answer)?;
    let many = answer["result"]["sidecarsApplied"].as_u64().and_then(|many| usize::try_from(many).ok());
    many.ok_or_else(|| io::Error::other(format!("it does not say how many have done it: {answer}")))
}
