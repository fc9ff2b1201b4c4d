//! The port: TLS, HTTP/1.1 and HTTP/2, one task for each connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use stdx::Tasks;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::service::{self, Connection};
use crate::api::Api;

/// A handshake that takes longer is given up.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that are served at once; more wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 10_000;
const STREAMS_MAX: u32 = 250;
/// A connection on which nobody asks anything for so long is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(180);
/// A client that takes nothing of a large answer for so long is cut off: upstream's `--request-timeout`.
const STALLED_TIMEOUT: Duration = Duration::from_secs(60);
/// What goes on as long as a client likes has so long when the server stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// Requests that will be answered have so long.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Binds `address` and serves until `tasks` is stopped. Returns the address that was bound.
pub async fn listen(
    api: Arc<Api>,
    address: SocketAddr,
    tls: Arc<rustls::ServerConfig>,
    tasks: &Tasks,
) -> anyhow::Result<SocketAddr> {
    bind(api, address, Some(TlsAcceptor::from(tls)), tasks).await
}

/// The same in plain text, for a port where everybody is `system:unsecured` of `system:masters`: only when the user insists, and
/// best on loopback.
pub async fn listen_insecure(
    api: Arc<Api>,
    address: SocketAddr,
    tasks: &Tasks,
) -> anyhow::Result<SocketAddr> {
    bind(api, address, None, tasks).await
}

async fn bind(
    api: Arc<Api>,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    tasks: &Tasks,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
    let bound = listener.local_addr().context("read the bound address")?;
    let group = tasks.clone();
    tasks.spawn(async move { accept(api, listener, acceptor, group).await });
    Ok(bound)
}

async fn accept(api: Arc<Api>, listener: TcpListener, acceptor: Option<TlsAcceptor>, tasks: Tasks) {
    let slots = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    let shutdown = tasks.shutdown();
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (api, acceptor, group) = (api.clone(), acceptor.clone(), tasks.clone());
                tasks.spawn(async move {
                    if let Err(error) = connection(api, stream, acceptor, &group).await {
                        tracing::debug!(%peer, %error, "connection ends");
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                // Out of descriptors or the like: let others finish first.
                tracing::warn!(%error, "accept fails");
                api.clock.sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(
    api: Arc<Api>,
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    tasks: &Tasks,
) -> anyhow::Result<()> {
    stream.set_nodelay(true).context("set TCP_NODELAY")?;
    let Some(acceptor) = acceptor else {
        return serve(api, stream, Connection { unsecured: true, ..Connection::default() }, tasks).await;
    };
    let stream = tokio::select! {
        done = acceptor.accept(stream) => done.context("TLS handshake")?,
        () = api.clock.sleep(HANDSHAKE_TIMEOUT) => anyhow::bail!("TLS handshake takes too long"),
    };
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificates = certificates.iter().map(|c| c.to_vec()).collect();
    serve(api, stream, Connection { certificates, ..Connection::default() }, tasks).await
}

async fn serve(
    api: Arc<Api>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Connection,
    tasks: &Tasks,
) -> anyhow::Result<()> {
    let peer = Arc::new(peer);
    let (shared, known) = (api.clone(), peer.clone());
    let answer = service_fn(move |request| {
        let (api, peer) = (shared.clone(), known.clone());
        async move { Ok::<_, std::convert::Infallible>(service::serve(api, peer, request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
    builder.http2().keep_alive_interval(Some(STALLED_TIMEOUT)).keep_alive_timeout(STALLED_TIMEOUT);
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), answer);
    tokio::pin!(serving);
    let shutdown = tasks.shutdown();
    tokio::select! {
        done = serving.as_mut() => return done.map_err(|e| anyhow::anyhow!("{e}")),
        why = stalled(&api, &peer) => anyhow::bail!(why),
        () = shutdown.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    // Requests that run get their answers; watches end by themselves, streams through us are cut.
    let drained = async {
        api.clock.sleep(SHUTDOWN_TIMEOUT).await;
        tokio::select! {
            () = peer.owed.settled() => {}
            () = api.clock.sleep(DRAIN_TIMEOUT) => {}
        }
    };
    tokio::select! {
        done = serving => done.map_err(|e| anyhow::anyhow!("{e}")),
        () = drained => Ok(()),
    }
}

/// Completes when a client has connected and asks nothing, or takes nothing of large answers; says which.
async fn stalled(api: &Api, peer: &Connection) -> &'static str {
    tokio::select! {
        () = api.clock.sleep(IDLE_TIMEOUT) => if !peer.asked.load(Ordering::Relaxed) { return "the client asks nothing" },
        () = peer.large.begun() => {}
    }
    loop {
        peer.large.begun().await;
        let before = peer.large.taken();
        api.clock.sleep(STALLED_TIMEOUT).await;
        if !peer.large.is_settled() && peer.large.taken() == before {
            return "the client takes nothing of an answer";
        }
    }
}
