//! `pods/proxy` and `services/proxy`: plain HTTP to a pod's address, or to one of a service's endpoints.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use apimachinery::{ObjectKey, Status};
use codec::Kind as _;
use http::{HeaderValue, Response, header};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointSubset, Endpoints, Pod, Service};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::super::body::{self, Body};
use super::{Connect, links, relay};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Longer pages keep their links as they are.
const PAGE_MAX: usize = 4 << 20;

/// Where a request goes.
struct Location {
    https: bool,
    ip: IpAddr,
    port: u16,
}

/// `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`.
struct Id<'a> {
    https: bool,
    name: &'a str,
    port: &'a str,
}

impl<'a> Id<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (scheme, name, port) = match parts[..] {
            [name] => ("", name, ""),
            [name, port] => ("", name, port),
            [scheme, name, port] => (scheme, name, port),
            _ => return None,
        };
        let valid = matches!(scheme, "" | "http" | "https") && !name.is_empty();
        valid.then_some(Id { https: scheme == "https", name, port })
    }
}

pub async fn pod(connect: Connect) -> Result<Response<Body>, Status> {
    let id = connect.path.name.clone();
    let id = Id::parse(&id).ok_or_else(|| Status::bad_request(format!("invalid pod request {id:?}")))?;
    let key = ObjectKey::new(&connect.path.namespace, id.name);
    let object = connect.api.registry.peek("", "pods", &key)?;
    let pod = Pod::from_json(object.json()).map_err(Status::internal)?;
    let location = of_pod(&pod, &id)?;
    go(connect, location).await
}

fn of_pod(pod: &Pod, id: &Id<'_>) -> Result<Location, Status> {
    let declared = || {
        let containers = pod.spec.iter().flat_map(|s| &s.containers);
        let first = containers.flat_map(|c| c.ports.iter().flatten()).next();
        first.and_then(|p| u16::try_from(p.container_port).ok())
    };
    let port = match id.port {
        "" => declared().unwrap_or(if id.https { 443 } else { 80 }),
        text => text.parse().map_err(|_| Status::bad_request(format!("invalid port {text:?}")))?,
    };
    let ip = pod.status.as_ref().and_then(|s| s.pod_ip.as_deref()).unwrap_or_default();
    let ip = ip.parse().ok().filter(reachable).ok_or_else(|| Status::bad_request("address not allowed"))?;
    Ok(Location { https: id.https, ip, port })
}

/// The server's own and link-local addresses are nobody's pod.
fn reachable(ip: &IpAddr) -> bool {
    let local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(local || ip.is_loopback() || ip.is_unspecified() || ip.is_multicast())
}

pub async fn service(connect: Connect) -> Result<Response<Body>, Status> {
    let id = connect.path.name.clone();
    let id = Id::parse(&id).ok_or_else(|| Status::bad_request(format!("invalid service request {id:?}")))?;
    let location = of_service(&connect, &id)?;
    go(connect, location).await
}

fn of_service(connect: &Connect, id: &Id<'_>) -> Result<Location, Status> {
    let none = || Status::service_unavailable(format!("no endpoints available for service {:?}", id.name));
    let registry = &connect.api.registry;
    let key = ObjectKey::new(&connect.path.namespace, id.name);
    let service = registry.peek("", "services", &key)?;
    let service = Service::from_json(service.json()).map_err(Status::internal)?;
    let wanted = port_name(&service, id)?;
    let endpoints = match registry.peek("", "endpoints", &key) {
        Err(status) if status.is_not_found() => return Err(none()),
        found => Endpoints::from_json(found?.json()).map_err(Status::internal)?,
    };
    let subsets = endpoints.subsets.unwrap_or_default();
    let mut found: Vec<(&EndpointAddress, u16)> = Vec::new();
    for subset in &subsets {
        if let Some(port) = port_of(subset, &wanted) {
            found.extend(subset.addresses.iter().flatten().map(|address| (address, port)));
        }
    }
    // Endpoints are anybody's to write: only addresses of pods that are there count.
    let is_pod = |address: &EndpointAddress| {
        let Some(target) = address.target_ref.as_ref().filter(|t| t.kind.as_deref() == Some("Pod")) else {
            return false;
        };
        let namespace = target.namespace.as_deref().unwrap_or_default();
        let key = ObjectKey::new(namespace, target.name.as_deref().unwrap_or_default());
        let Ok(object) = registry.peek("", "pods", &key) else { return false };
        let Ok(pod) = Pod::from_json(object.json()) else { return false };
        let ips = pod.status.and_then(|s| s.pod_ips).unwrap_or_default();
        ips.iter().any(|p| p.ip == address.ip)
    };
    let count = found.len() as u64;
    let start = if count > 0 { connect.api.random.below(count) as usize } else { 0 };
    let chosen = found.iter().cycle().skip(start).take(found.len()).find(|(address, _)| is_pod(address));
    let (address, port) = chosen.ok_or_else(none)?;
    let ip = address.ip.parse().map_err(|_| none())?;
    Ok(Location { https: id.https, ip, port: *port })
}

/// The name of the service's port that is meant.
fn port_name(service: &Service, id: &Id<'_>) -> Result<String, Status> {
    let Ok(number) = id.port.parse::<i64>() else { return Ok(id.port.to_owned()) };
    let ports = service.spec.iter().flat_map(|s| s.ports.iter().flatten());
    let found = ports.into_iter().find(|p| i64::from(p.port) == number);
    found.map(|p| p.name.clone().unwrap_or_default()).ok_or_else(|| {
        Status::service_unavailable(format!("no service port {number} found for service {:?}", id.name))
    })
}

fn port_of(subset: &EndpointSubset, name: &str) -> Option<u16> {
    let mut ports = subset.ports.iter().flatten();
    let port = ports.find(|p| p.name.as_deref().unwrap_or_default() == name)?;
    u16::try_from(port.port).ok()
}

async fn go(connect: Connect, location: Location) -> Result<Response<Body>, Status> {
    let uri = connect.exchange.request.uri().clone();
    let rest = connect.rest().to_owned();
    let query = uri.query().map(|q| format!("?{q}")).unwrap_or_default();
    let upgrades = connect.exchange.request.headers().contains_key(header::UPGRADE);
    if rest.is_empty() && !upgrades {
        return Ok(super::with_slash(&uri));
    }
    let Location { https, ip, port } = location;
    let default_port = if https { 443 } else { 80 };
    let address = std::net::SocketAddr::new(ip, port);
    let host = match (ip, port == default_port) {
        (IpAddr::V6(ip), true) => format!("[{ip}]"),
        (ip, true) => ip.to_string(),
        _ => address.to_string(),
    };
    let prefix = uri.path().strip_suffix(&*rest).unwrap_or(uri.path()).to_owned();
    let mut request = connect.exchange.request;
    let sent_host = request.headers().get(header::HOST).cloned();
    let headers = request.headers_mut();
    // Links in what comes back are rewritten, which needs it as it is.
    headers.remove(header::ACCEPT_ENCODING);
    if let Ok(value) = HeaderValue::from_str(&format!("{prefix}{rest}")) {
        headers.insert("x-forwarded-uri", value);
    }
    if let Some(value) = sent_host {
        headers.insert("x-forwarded-host", value);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    let path = format!("{}{query}", if rest.is_empty() { "/" } else { &*rest });
    let tasks = &connect.api.tasks;
    let asked = async {
        let stream = TcpStream::connect(address).await.map_err(|e| format!("dial tcp {address}: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        if !https {
            return Ok(Reached::Plain(TokioIo::new(stream)));
        }
        let name = ServerName::IpAddress(ip.into());
        let stream = TLS.connect(name, stream).await.map_err(|e| e.to_string())?;
        Ok::<_, String>(Reached::Tls(Box::new(TokioIo::new(stream))))
    };
    let reached = tokio::select! {
        reached = asked => reached,
        () = connect.api.clock.sleep(CONNECT_TIMEOUT) => Err(format!("dial tcp {address}: i/o timeout")),
    };
    let answered = match reached {
        Ok(Reached::Plain(io)) => relay::relay(io, tasks, &host, &path, request).await,
        Ok(Reached::Tls(io)) => relay::relay(*io, tasks, &host, &path, request).await,
        Err(why) => Err(why),
    };
    let response = answered
        .map_err(|why| Status::service_unavailable(format!("error trying to reach service: {why}")))?;
    rewritten(response, &prefix, &host).await
}

enum Reached {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<tokio_rustls::client::TlsStream<TcpStream>>>),
}

/// Nobody vouches for pods' certificates: encrypted, not authenticated, as upstream's proxies do it.
static TLS: LazyLock<TlsConnector> = LazyLock::new(|| {
    let config = pki::tls::unverified_client_config(None);
    TlsConnector::from(Arc::new(config.unwrap_or_else(|e| unreachable!("ring speaks TLS 1.2 and 1.3: {e}"))))
});

/// The answer with its links leading through the proxy.
async fn rewritten(mut response: Response<Body>, prefix: &str, host: &str) -> Result<Response<Body>, Status> {
    if let Some(to) = response.headers().get(header::LOCATION).and_then(|l| l.to_str().ok())
        && let Ok(value) = HeaderValue::from_str(&links::rewrite(to, prefix, host))
    {
        response.headers_mut().insert(header::LOCATION, value);
    }
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|t| t.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("text/html") || response.headers().contains_key(header::CONTENT_ENCODING) {
        return Ok(response);
    }
    let (head, mut incoming) = response.into_parts();
    let mut page = Vec::new();
    while let Some(Ok(frame)) = incoming.frame().await {
        if let Ok(data) = frame.into_data() {
            page.extend_from_slice(&data);
        }
        if page.len() > PAGE_MAX {
            let start = futures::stream::iter([bytes::Bytes::from(page)]);
            return Ok(Response::from_parts(
                head,
                body::stream(futures::StreamExt::chain(start, relay::chunks(incoming))),
            ));
        }
    }
    Ok(Response::from_parts(head, body::full(links::page(&page, prefix, host))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        let shown = |text| Id::parse(text).map(|id| format!("{} {} {}", id.https, id.name, id.port));
        assert_eq!(shown("a").as_deref(), Some("false a "));
        assert_eq!(shown("a:80").as_deref(), Some("false a 80"));
        assert_eq!(shown("https:a:web").as_deref(), Some("true a web"));
        for bad in ["", ":80", "ftp:a:1", "a:b:c:d"] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }

    #[test]
    fn addresses() {
        for (ip, fine) in [
            ("10.0.0.1", true),
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("::1", false),
            ("fd00::1", true),
            ("0.0.0.0", false),
        ] {
            assert_eq!(reachable(&ip.parse().unwrap()), fine, "{ip}");
        }
    }
}
