//! One HTTP/1.1 connection over TLS.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use pki::Identity;
use pki::tls::{LiveIdentity, client_config};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A server, and what it takes to be believed there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Target {
    /// Of the loopback.
    pub port: u16,
    pub ca_pem: String,
    /// Certificate and key.
    pub identity: Option<(String, String)>,
    /// Connections take turns with them.
    pub tokens: Vec<String>,
}

impl Target {
    pub fn tls(&self) -> Result<Arc<ClientConfig>> {
        let identity = match &self.identity {
            Some((cert, key)) => Some(Arc::new(LiveIdentity::new(&Identity::new(cert, key))?)),
            None => None,
        };
        let mut config = client_config(&self.ca_pem, identity)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// The `Authorization` header of a connection.
    pub fn authorization(&self, connection: usize) -> Option<String> {
        let count = self.tokens.len().max(1);
        self.tokens.get(connection % count).map(|token| format!("Bearer {token}"))
    }
}

pub struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    pub async fn open(port: u16, tls: Arc<ClientConfig>) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.context("connect")?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let stream = TlsConnector::from(tls).connect(name, stream).await.context("TLS")?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Connection(sender))
    }

    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        self.0.ready().await?;
        Ok(self.0.send_request(request).await?)
    }
}
