//! The way to a kubelet: one TLS connection for each request, with our client certificate.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use apimachinery::Status;
use async_trait::async_trait;
use codec::Kind as _;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Node;
use rustls::pki_types::ServerName;
use stdx::Tasks;
use stdx::clock::SharedClock;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::super::body::{self, Body};
use super::NodeProxy;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Where a kubelet listens when its node does not say.
const KUBELET_PORT: u16 = 10250;
/// The sender's business with us, not with the kubelet.
const DROPPED: [HeaderName; 2] = [header::AUTHORIZATION, header::HOST];

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
        mut request: Request<Incoming>,
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
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(io).await.map_err(|e| unreachable(&e))?;
        self.tasks.spawn_until_shutdown(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "connection to the kubelet ends");
            }
        });
        let client_side = hyper::upgrade::on(&mut request);
        let outgoing = outgoing(request, address, path_and_query).map_err(Status::internal)?;
        let mut response = sender
            .send_request(outgoing)
            .await
            .map_err(|e| Status::failure(500, "", format!("Get {url:?}: {e}")))?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let kubelet_side = hyper::upgrade::on(&mut response);
            self.tasks.spawn_until_shutdown(splice(client_side, kubelet_side));
            let (mut head, _) = response.into_parts();
            head.extensions.clear();
            return Ok(Response::from_parts(head, body::full("")));
        }
        let (mut head, incoming) = response.into_parts();
        head.version = http::Version::default();
        hop_by_hop(&mut head.headers);
        head.headers.remove(header::CONTENT_LENGTH);
        Ok(Response::from_parts(head, relayed(incoming)))
    }
}

/// The kubelet's body as it comes; an error ends it, as a closed connection would.
fn relayed(incoming: Incoming) -> Body {
    let chunks = futures::stream::unfold(incoming, |mut incoming| async move {
        loop {
            let frame = incoming.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                return Some((data, incoming));
            }
        }
    });
    body::stream(chunks)
}

fn outgoing(
    request: Request<Incoming>,
    address: SocketAddr,
    path_and_query: &str,
) -> http::Result<Request<Incoming>> {
    let (head, incoming) = request.into_parts();
    let upgrade = head.headers.get(header::UPGRADE).cloned();
    let mut new = Request::builder().method(head.method).uri(path_and_query).body(incoming)?;
    *new.headers_mut() = head.headers;
    let headers = new.headers_mut();
    for name in DROPPED {
        headers.remove(name);
    }
    let impersonation: Vec<_> =
        headers.keys().filter(|n| n.as_str().starts_with("impersonate-")).cloned().collect();
    for name in impersonation {
        headers.remove(name);
    }
    hop_by_hop(headers);
    if let Some(protocol) = upgrade {
        headers.insert(header::UPGRADE, protocol);
        headers.insert(header::CONNECTION, http::HeaderValue::from_static("Upgrade"));
    }
    headers.insert(header::HOST, address.to_string().try_into()?);
    Ok(new)
}

/// Headers that end at each hop.
fn hop_by_hop(headers: &mut HeaderMap) {
    for name in [header::CONNECTION, header::UPGRADE, header::TRANSFER_ENCODING, header::TE, header::TRAILER]
    {
        headers.remove(name);
    }
}

/// Copies both ways until either side closes.
async fn splice(client: hyper::upgrade::OnUpgrade, kubelet: hyper::upgrade::OnUpgrade) {
    let (client, kubelet) = match tokio::try_join!(client, kubelet) {
        Ok(both) => both,
        Err(error) => {
            tracing::debug!(%error, "upgrade fails");
            return;
        }
    };
    let (mut client, mut kubelet) = (TokioIo::new(client), TokioIo::new(kubelet));
    if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut kubelet).await {
        tracing::debug!(%error, "stream ends");
        // One side vanished: the other still gets a proper end. It may be gone as well.
        let _ = client.shutdown().await;
        let _ = kubelet.shutdown().await;
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
