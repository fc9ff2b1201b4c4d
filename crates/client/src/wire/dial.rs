//! From an address to a stream: names, proxies, TLS.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Failure, Target, verify};

pub(super) trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Stream for T {}

/// Host (without brackets) and port.
pub(super) fn place(uri: &Uri) -> Result<(String, u16), Failure> {
    let host = uri.host().ok_or_else(|| Failure::Target(format!("{uri} names no host")))?;
    let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
        Some("https") => 443,
        Some("socks5" | "socks5h") => 1080,
        _ => 80,
    });
    Ok((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
}

pub(super) fn joined(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

pub(super) async fn open(target: &Target, tls: &OnceLock<TlsConnector>) -> Result<Box<dyn Stream>, Failure> {
    let (host, port) = place(&target.server)?;
    let tcp: Box<dyn Stream> = match &target.proxy {
        None => Box::new(connect(&host, port).await?),
        Some(proxy) => through(proxy, &host, port).await?,
    };
    if target.server.scheme_str() != Some("https") {
        return Ok(tcp);
    }
    let connector = match tls.get() {
        Some(connector) => connector.clone(),
        None => {
            let made = TlsConnector::from(Arc::new(verify::config(target).map_err(Failure::Target)?));
            tls.get_or_init(|| made).clone()
        }
    };
    let name = target.server_name.clone().unwrap_or(host);
    let name = ServerName::try_from(name).map_err(|e| Failure::Target(e.to_string()))?;
    let stream = connector.connect(name, tcp).await.map_err(|e| failed(&e))?;
    Ok(Box::new(stream))
}

fn failed(error: &std::io::Error) -> Failure {
    let inner = error.get_ref().and_then(|e| verify::said(e));
    match inner {
        Some(text) => Failure::Tls(text),
        None if error.kind() == ErrorKind::UnexpectedEof => Failure::Http("EOF".into()),
        None => Failure::Tls(error.to_string()),
    }
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, Failure> {
    let addresses: Vec<SocketAddr> = match tokio::net::lookup_host((host, port)).await {
        Ok(found) => found.collect(),
        Err(_) => return Err(Failure::Dial(format!("dial tcp: lookup {host}: no such host"))),
    };
    let mut last = Failure::Dial(format!("dial tcp: lookup {host}: no such host"));
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(tcp) => {
                // Small requests should not wait for each other; without it all works as well, slower.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => {
                last = Failure::Refused(address.to_string())
            }
            Err(e) => {
                let why = e.to_string();
                let why = why.split(" (os error").next().unwrap_or_default().to_lowercase();
                last = Failure::Dial(format!("dial tcp {address}: connect: {why}"));
            }
        }
    }
    Err(last)
}

/// A stream to `host` by way of a proxy.
async fn through(proxy: &Uri, host: &str, port: u16) -> Result<Box<dyn Stream>, Failure> {
    let (proxy_host, proxy_port) = place(proxy)?;
    let tcp = connect(&proxy_host, proxy_port)
        .await
        .map_err(|e| Failure::Dial(format!("proxyconnect tcp: {e}")))?;
    let user = proxy.authority().and_then(|a| a.as_str().rsplit_once('@')).map(|(user, _)| user.to_owned());
    match proxy.scheme_str() {
        Some("socks5" | "socks5h") => socks(tcp, user, host, port).await,
        Some("https") => {
            let target = Target { server: proxy.clone(), ..Target::default() };
            let config = verify::config(&target).map_err(Failure::Target)?;
            let name = ServerName::try_from(proxy_host).map_err(|e| Failure::Target(e.to_string()))?;
            let tls =
                TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(|e| failed(&e))?;
            tunnel(tls, user, host, port).await
        }
        Some("http") => tunnel(tcp, user, host, port).await,
        other => {
            Err(Failure::Target(format!("unsupported scheme {:?} of a proxy", other.unwrap_or_default())))
        }
    }
}

/// HTTP CONNECT.
async fn tunnel<S: Stream + 'static>(
    mut stream: S,
    user: Option<String>,
    host: &str,
    port: u16,
) -> Result<Box<dyn Stream>, Failure> {
    let place = joined(host, port);
    let credentials =
        user.map_or(String::new(), |u| format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(u)));
    let head = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{credentials}\r\n");
    let io = |e: std::io::Error| Failure::Dial(format!("proxyconnect tcp: {e}"));
    stream.write_all(head.as_bytes()).await.map_err(io)?;
    let mut answer = Vec::new();
    // Byte by byte: what follows the head belongs to the tunnel.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() > 16_384 {
            return Err(Failure::Dial("proxyconnect tcp: the proxy's answer is too long".into()));
        }
        answer.push(stream.read_u8().await.map_err(io)?);
    }
    let text = String::from_utf8_lossy(&answer);
    let status = text.lines().next().unwrap_or_default();
    match status.split(' ').nth(1) {
        Some("200") => Ok(Box::new(stream)),
        _ => Err(Failure::Dial(status.split_once(' ').map_or(status, |(_, s)| s).to_owned())),
    }
}

/// RFC 1928; names are looked up by the proxy.
async fn socks(
    mut tcp: TcpStream,
    user: Option<String>,
    host: &str,
    port: u16,
) -> Result<Box<dyn Stream>, Failure> {
    let io = |e: std::io::Error| Failure::Dial(format!("socks connect tcp: {e}"));
    let no = |why: &str| Failure::Dial(format!("socks connect tcp: {why}"));
    let method = if user.is_some() { 2 } else { 0 };
    tcp.write_all(&[5, 1, method]).await.map_err(io)?;
    let mut reply = [0; 2];
    tcp.read_exact(&mut reply).await.map_err(io)?;
    if reply != [5, method] {
        return Err(no("no acceptable authentication methods"));
    }
    if let Some(user) = user {
        let (name, password) = user.split_once(':').unwrap_or((&user, ""));
        let length = |s: &str| u8::try_from(s.len()).map_err(|_| no("the credentials are too long"));
        let mut message = vec![1, length(name)?];
        message.extend_from_slice(name.as_bytes());
        message.push(length(password)?);
        message.extend_from_slice(password.as_bytes());
        tcp.write_all(&message).await.map_err(io)?;
        tcp.read_exact(&mut reply).await.map_err(io)?;
        if reply[1] != 0 {
            return Err(no("username/password authentication failed"));
        }
    }
    let length = u8::try_from(host.len()).map_err(|_| no("the host's name is too long"))?;
    let mut message = vec![5, 1, 0, 3, length];
    message.extend_from_slice(host.as_bytes());
    message.extend_from_slice(&port.to_be_bytes());
    tcp.write_all(&message).await.map_err(io)?;
    let mut head = [0; 4];
    tcp.read_exact(&mut head).await.map_err(io)?;
    if head[1] != 0 {
        return Err(no(&format!("the proxy refuses (code {})", head[1])));
    }
    let address = match head[3] {
        1 => 4,
        4 => 16,
        _ => usize::from(tcp.read_u8().await.map_err(io)?),
    };
    let mut rest = vec![0; address + 2];
    tcp.read_exact(&mut rest).await.map_err(io)?;
    Ok(Box::new(tcp))
}
