//! A component's own little server: `/healthz`, `/livez` and `/readyz`, which anybody may ask.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pki::{Ca, LiveIdentity, Template};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::Process;

/// Connections that are served at once.
const CONNECTIONS_MAX: usize = 64;

/// Where to answer. `None`: nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    pub http: Option<SocketAddr>,
    /// With a certificate of its own making, as upstream's components have without --tls-cert-file.
    pub https: Option<SocketAddr>,
}

/// Answers until the process ends. A port in use is an error.
pub async fn serve(ports: Ports, name: &str, process: &Process) -> Result<()> {
    if let Some(address) = ports.http {
        listen(address, None, process)
            .await
            .context("serve healthz (choose another with --healthz-port or --port)")?;
    }
    if let Some(address) = ports.https {
        let now = process.clock.now();
        let (ca, _) = Ca::create(name, now)?;
        let identity = ca.issue(&Template::server(name, ["localhost", "127.0.0.1", "::1"]), now)?;
        let mut tls = pki::tls::server_config(Arc::new(LiveIdentity::new(&identity)?))?;
        // All that is spoken here.
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        listen(address, Some(TlsAcceptor::from(Arc::new(tls))), process)
            .await
            .context("serve healthz (choose another with --secure-port)")?;
    }
    Ok(())
}

async fn listen(address: SocketAddr, tls: Option<TlsAcceptor>, process: &Process) -> Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
    let group = process.groups.api.clone();
    let clock = process.clock.clone();
    process.groups.api.spawn_until_shutdown(async move {
        let slots = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
        while let Ok(slot) = slots.clone().acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let tls = tls.clone();
                    group.spawn_until_shutdown(async move {
                        match tls {
                            None => answer(stream).await,
                            Some(tls) => match tls.accept(stream).await {
                                Ok(stream) => answer(stream).await,
                                Err(error) => tracing::debug!(%error, "handshake fails"),
                            },
                        }
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accept fails");
                    clock.sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(())
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin + 'static) {
    let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
        let known = matches!(request.uri().path(), "/healthz" | "/livez" | "/readyz" | "/healthz/ping");
        let (status, text) = match (known, request.method()) {
            (true, &Method::GET | &Method::HEAD) => (StatusCode::OK, "ok"),
            (true, _) => (StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n"),
            (false, _) => (StatusCode::NOT_FOUND, "404 page not found\n"),
        };
        let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
        *response.status_mut() = status;
        Ok::<_, Infallible>(response)
    });
    let served =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection ends");
    }
}
