//! The way to a kubelet: one TLS connection for each request, with our client certificate.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use apimachinery::Status;
use async_trait::async_trait;
use codec::Kind as _;
use http::{Request, Response};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Node;
use rustls::pki_types::ServerName;
use stdx::Tasks;
use stdx::clock::SharedClock;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::super::body::{Body, RequestBody};
use super::{NodeProxy, relay};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Where a kubelet listens when its node does not say.
const KUBELET_PORT: u16 = 10250;

/// Connects to `status.daemonEndpoints.kubeletEndpoint` at the node's internal address.
pub struct KubeletProxy {
    connector: TlsConnector,
    clock: SharedClock,
    tasks: Tasks,
}

impl KubeletProxy {
    /// `tls` trusts the kubelets' CA and carries the client certificate.
    pub fn new(tls: Arc<rustls::ClientConfig>, clock: SharedClock, tasks: Tasks) -> Self {
        KubeletProxy { connector: TlsConnector::from(tls), clock, tasks }
    }

    async fn dial(
        &self,
        address: SocketAddr,
    ) -> std::io::Result<TokioIo<tokio_rustls::client::TlsStream<TcpStream>>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = self.connector.connect(ServerName::IpAddress(address.ip().into()), stream).await?;
        Ok(TokioIo::new(stream))
    }
}

#[async_trait]
impl NodeProxy for KubeletProxy {
    async fn forward(
        &self,
        node: &Node,
        path_and_query: &str,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Status> {
        let address = address(node)?;
        let url = format!("https://{address}{path_and_query}");
        let unreachable = |why: &dyn std::fmt::Display| {
            let method = request.method().as_str();
            let method = method[..1].to_owned() + &method[1..].to_ascii_lowercase();
            Status::failure(500, "", format!("{method} {url:?}: {why}"))
        };
        let io = tokio::select! {
            dialed = self.dial(address) => {
                dialed.map_err(|e| unreachable(&format!("dial tcp {address}: {e}")))?
            }
            () = self.clock.sleep(CONNECT_TIMEOUT) => {
                return Err(unreachable(&format!("dial tcp {address}: i/o timeout")));
            }
        };
        relay::relay(io, &self.tasks, &address.to_string(), path_and_query, request)
            .await
            .map_err(|why| Status::failure(500, "", format!("Get {url:?}: {why}")))
    }
}

fn address(node: &Node) -> Result<SocketAddr, Status> {
    let status = node.status.as_ref();
    let port = status
        .and_then(|s| s.daemon_endpoints.as_ref()?.kubelet_endpoint.as_ref())
        .and_then(|e| u16::try_from(e.port).ok())
        .filter(|p| *p != 0)
        .unwrap_or(KUBELET_PORT);
    let addresses = status.and_then(|s| s.addresses.as_deref()).unwrap_or_default();
    // Names would need a resolver; every kubelet registers an address.
    let by_kind = |kind: &str| {
        addresses.iter().find(|a| a.type_ == kind).and_then(|a| a.address.parse::<IpAddr>().ok())
    };
    let ip = by_kind("InternalIP").or_else(|| by_kind("ExternalIP")).ok_or_else(|| {
        Status::failure(
            500,
            "",
            format!("no preferred addresses found for node {:?}; known addresses: []", node.name()),
        )
    })?;
    Ok(SocketAddr::new(ip, port))
}
