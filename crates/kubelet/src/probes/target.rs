//! Where probes and hooks go: ports by name, hosts by default the pod's address.

use std::io::ErrorKind;

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;

/// An HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpTarget {
    pub tls: bool,
    pub host: String,
    pub port: u16,
    /// With its query.
    pub path: String,
    pub headers: Vec<(String, String)>,
}

impl HttpTarget {
    pub fn address(&self) -> String {
        join(&self.host, self.port)
    }

    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.address(), self.path)
    }
}

/// `host:port`, with brackets around an IPv6 address.
pub fn join(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn port(container: &Container, given: &IntOrString) -> Result<u16, String> {
    let number = match given {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|p| p.name.as_ref() == Some(name));
            named.map(|p| p.container_port).or_else(|| name.parse().ok())
        }
    };
    let valid = number.and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0);
    valid.ok_or_else(|| match given {
        IntOrString::Int(number) => format!("invalid port number: {number}"),
        IntOrString::String(name) => {
            format!("couldn't find port: {name:?} in container {:?}", container.name)
        }
    })
}

fn host(given: Option<&String>, ips: &[String]) -> String {
    given.filter(|h| !h.is_empty()).or(ips.first()).cloned().unwrap_or_default()
}

pub fn http(container: &Container, get: &HTTPGetAction, ips: &[String]) -> Result<HttpTarget, String> {
    if get.protocol.as_deref().is_some_and(|p| !matches!(p, "" | "HTTP1" | "HTTP/1.1")) {
        return Err(format!(
            "protocol {:?} is not supported by this kubelet",
            get.protocol.as_deref().unwrap_or_default()
        ));
    }
    let path = get.path.clone().unwrap_or_default();
    let headers = get.http_headers.iter().flatten().map(|h| (h.name.clone(), h.value.clone()));
    Ok(HttpTarget {
        tls: get.scheme.as_deref().is_some_and(|s| s.eq_ignore_ascii_case("https")),
        host: host(get.host.as_ref(), ips),
        port: port(container, &get.port)?,
        path: if path.starts_with('/') { path } else { format!("/{path}") },
        headers: headers.collect(),
    })
}

/// The address as `host:port`.
pub fn tcp(container: &Container, socket: &TCPSocketAction, ips: &[String]) -> Result<String, String> {
    Ok(join(&host(socket.host.as_ref(), ips), port(container, &socket.port)?))
}

/// Connects; the error reads like Go's.
pub async fn connect(address: &str) -> Result<TcpStream, String> {
    TcpStream::connect(address).await.map_err(|e| {
        let why = match e.kind() {
            ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
            ErrorKind::ConnectionReset => "connect: connection reset by peer".to_owned(),
            ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
            ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
            ErrorKind::TimedOut => "i/o timeout".to_owned(),
            _ => e.to_string(),
        };
        format!("dial tcp {address}: {why}")
    })
}
