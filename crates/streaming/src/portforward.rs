//! Port forwarding: connections of a client carried to ports of a pod. Start at [`accept`], then [`Session::run`].
//!
//! Contract: `portforward.k8s.io` over SPDY/3.1 (a pair of streams per connection), the same tunnelled through WebSocket
//! (`SPDY/3.1+portforward.k8s.io`, KEP-4006), and the older WebSocket form with two channels per port.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use stdx::Tasks;
use stdx::clock::SharedClock;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::spdy::{Connection, Stream};
use crate::websocket::Channels;
use crate::{Refused, has_token, switching, tokens, websocket};

const PROTOCOL: &str = "portforward.k8s.io";
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const CHANNELS: &[(&str, bool)] =
    &[("v4.channel.k8s.io", false), ("v4.base64.channel.k8s.io", true), ("portforward.k8s.io", false)];
const PROTOCOL_HEADER: &str = "x-stream-protocol-version";

/// The two streams of a connection must both be there within this.
const PAIR_WITHIN: Duration = Duration::from_secs(30);

/// A byte stream both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Connects to a port of the pod; the text of an error goes to the client.
pub type Connect = Arc<dyn Fn(u16) -> BoxFuture<'static, Result<Box<dyn Duplex>, String>> + Send + Sync>;

enum Wire {
    Spdy,
    Tunnel,
    Channels { base64: bool, ports: Vec<u16> },
}

/// A request that was answered with 101; run it.
pub struct Session {
    wire: Wire,
    upgrade: OnUpgrade,
}

/// Agrees on a protocol and answers. `ports`: what the query names, for the older WebSocket form.
pub fn accept<B>(request: &mut Request<B>, ports: &[u16]) -> Result<(Response<()>, Session), Refused> {
    if websocket::is_upgrade(request.headers()) {
        let offered = websocket::offered(request.headers());
        let (name, wire) = if offered.iter().any(|o| o == TUNNEL) {
            (TUNNEL, Wire::Tunnel)
        } else {
            let known = offered.iter().find_map(|o| CHANNELS.iter().find(|(name, _)| name == o));
            let (name, base64) = *known.ok_or_else(|| {
                Refused::forbidden(format!("unable to agree on a protocol: {}", offered.join(", ")))
            })?;
            if ports.is_empty() {
                return Err(Refused::bad_request("query parameter \"port\" is required"));
            }
            (name, Wire::Channels { base64, ports: ports.to_vec() })
        };
        let (response, upgrade) = websocket::accept(request, name)?;
        return Ok((response, Session { wire, upgrade }));
    }
    if !has_token(request.headers(), header::UPGRADE, "SPDY/3.1") {
        return Err(Refused::bad_request("Upgrade request required"));
    }
    let offered = tokens(request.headers(), PROTOCOL_HEADER);
    if !offered.iter().any(|o| o == PROTOCOL) {
        let message = format!(
            "unable to negotiate protocol: client supports {offered:?}, server accepts [{PROTOCOL:?}]"
        );
        return Err(Refused::forbidden(message));
    }
    let response = switching("SPDY/3.1").header(PROTOCOL_HEADER, PROTOCOL).body(());
    let response = response.map_err(|e| Refused::bad_request(e.to_string()))?;
    Ok((response, Session { wire: Wire::Spdy, upgrade: hyper::upgrade::on(request) }))
}

impl Session {
    /// Carries connections until the client is gone.
    pub async fn run(self, clock: &SharedClock, tasks: &Tasks, connect: Connect) {
        let io = match self.upgrade.await {
            Ok(io) => TokioIo::new(io),
            Err(error) => return tracing::debug!(%error, "port-forward: upgrade"),
        };
        let connection = match self.wire {
            Wire::Spdy => Connection::server(io, tasks),
            Wire::Tunnel => Connection::server(websocket::Tunnel::new(websocket::server(io).await), tasks),
            Wire::Channels { base64, ports } => {
                let all: Vec<u8> = (0..ports.len().min(100) as u8 * 2).collect();
                let channels = Channels::new(websocket::server(io).await, &all, base64, tasks);
                return run_channels(channels, &ports, connect).await;
            }
        };
        match connection {
            Ok(connection) => run_spdy(connection, clock, tasks, connect).await,
            Err(error) => tracing::debug!(%error, "port-forward: no connection"),
        }
    }
}

async fn run_spdy(mut connection: Connection, clock: &SharedClock, tasks: &Tasks, connect: Connect) {
    // Streams whose partner has not come yet, by request id.
    let mut waiting: HashMap<String, (Stream, Duration)> = HashMap::new();
    while let Some(incoming) = connection.accept().await {
        let now = clock.monotonic();
        waiting.retain(|_, (_, since)| now - *since < PAIR_WITHIN);
        let header = |name: &str| incoming.headers().get(name).unwrap_or_default().to_owned();
        let (kind, port) = (header("streamtype"), header("port").parse::<u16>());
        let Some(port) = port.ok().filter(|p| *p > 0 && matches!(&*kind, "error" | "data")) else {
            incoming.refuse().await;
            continue;
        };
        // Old clients number nothing: they open data right after error, on the next stream.
        let id = match header("requestid") {
            id if id.is_empty() => format!("port {port}"),
            id => id,
        };
        let Ok(stream) = incoming.accept().await else { return };
        let Some((partner, since)) = waiting.remove(&id) else {
            waiting.insert(id, (stream, now));
            continue;
        };
        let partner_kind = partner.headers.get("streamtype").unwrap_or_default().to_owned();
        let (error, data) = match (&*partner_kind, &*kind) {
            ("error", "data") => (partner, stream),
            ("data", "error") => (stream, partner),
            _ => {
                waiting.insert(id, (stream, since));
                continue;
            }
        };
        let (connect, closed) = (connect.clone(), connection.closed());
        tasks.spawn(async move {
            tokio::select! {
                () = forward(port, error, data, connect) => {}
                () = closed.cancelled() => {}
            }
        });
    }
}

async fn forward(port: u16, mut error: Stream, mut data: Stream, connect: Connect) {
    match connect(port).await {
        Ok(mut target) => {
            // Either side may hang up; that is how connections end.
            let _ = tokio::io::copy_bidirectional(&mut data, &mut target).await;
        }
        Err(why) => {
            let _ = error.write_all(why.as_bytes()).await;
        }
    }
    let _ = data.shutdown().await;
    let _ = error.shutdown().await;
}

/// Channel 2n carries the data of the nth port, 2n+1 its error; each begins with the port's number.
async fn run_channels(mut channels: Channels, ports: &[u16], connect: Connect) {
    let mut carried = Vec::new();
    for (n, port) in ports.iter().enumerate().take(100) {
        let (data, error) = (n as u8 * 2, n as u8 * 2 + 1);
        let Some(reader) = channels.reader(data) else { continue };
        let (writer, errors) = (channels.writer(data), channels.writer(error));
        carried.push(carry_channel(*port, reader, writer, errors, connect.clone()));
    }
    let closed = channels.closed();
    tokio::select! {
        _ = futures::future::join_all(carried) => {}
        () = closed.cancelled() => return,
    }
    channels.close().await;
}

async fn carry_channel(
    port: u16,
    mut reader: websocket::ChannelReader,
    mut writer: websocket::ChannelWriter,
    mut errors: websocket::ChannelWriter,
    connect: Connect,
) {
    let number = port.to_le_bytes();
    if writer.write_all(&number).await.is_err() || errors.write_all(&number).await.is_err() {
        return;
    }
    match connect(port).await {
        Ok(target) => {
            let (mut from, mut to) = tokio::io::split(target);
            let up = async {
                let _ = tokio::io::copy(&mut reader, &mut to).await;
                let _ = to.shutdown().await;
            };
            let down = tokio::io::copy(&mut from, &mut writer);
            // When the pod has said everything the connection is over.
            tokio::pin!(up);
            tokio::select! {
                _ = down => {}
                () = async { (&mut up).await; futures::future::pending::<()>().await } => {}
            }
        }
        Err(why) => {
            let _ = errors.write_all(why.as_bytes()).await;
        }
    }
}
