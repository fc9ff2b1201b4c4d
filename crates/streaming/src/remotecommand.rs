//! exec and attach: a process' streams to a client. Start at [`accept`], then [`Session::run`].
//!
//! Contract: the subprotocols `channel.k8s.io` (v1) to `v5.channel.k8s.io`, each over SPDY/3.1 or WebSocket
//! (k8s.io/apimachinery/pkg/util/remotecommand, KEP-4006).

mod establish;
mod status;

use std::pin::Pin;
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::upgrade::OnUpgrade;
use serde_json::Value;
use stdx::Tasks;
use stdx::clock::SharedClock;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Refused, spdy, switching, tokens, websocket};
pub use status::Purpose;

pub type Reader = Pin<Box<dyn AsyncRead + Send>>;
pub type Writer = Pin<Box<dyn AsyncWrite + Send>>;

/// How long a client may take to open its streams.
const STREAMS_WITHIN: Duration = Duration::from_secs(30);

/// Which streams the client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub stdin: bool,
    pub stdout: bool,
    /// Never with `tty`: a terminal has one output.
    pub stderr: bool,
    pub tty: bool,
}

/// A terminal's size, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub width: u16,
    pub height: u16,
}

/// A running process. Dropping it must end it (exec) or leave it (attach): that is its maker's choice.
pub struct Process {
    pub stdin: Option<Writer>,
    pub stdout: Option<Reader>,
    pub stderr: Option<Reader>,
    pub resize: Option<mpsc::Sender<Size>>,
    /// The exit code, or why it is not known.
    pub exit: BoxFuture<'static, Result<i32, String>>,
}

/// The wire between us and the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Spdy,
    WebSocket { base64: bool },
}

/// A request that was answered with 101; run it.
pub struct Session {
    wire: Wire,
    /// 1 to 5
    version: u8,
    options: Options,
    upgrade: OnUpgrade,
}

/// Protocols, the best first.
const SPDY_PROTOCOLS: &[(&str, u8)] = &[
    ("v5.channel.k8s.io", 5),
    ("v4.channel.k8s.io", 4),
    ("v3.channel.k8s.io", 3),
    ("v2.channel.k8s.io", 2),
    ("channel.k8s.io", 1),
];
const WEBSOCKET_PROTOCOLS: &[(&str, u8, bool)] = &[
    ("v5.channel.k8s.io", 5, false),
    ("v4.channel.k8s.io", 4, false),
    ("v4.base64.channel.k8s.io", 4, true),
    ("channel.k8s.io", 1, false),
    ("base64.channel.k8s.io", 1, true),
];

const PROTOCOL_HEADER: &str = "x-stream-protocol-version";

/// Agrees on a protocol and answers; the session begins when the answer has been sent.
pub fn accept<B>(request: &mut Request<B>, options: Options) -> Result<(Response<()>, Session), Refused> {
    if !(options.stdin || options.stdout || options.stderr) {
        return Err(Refused::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
    }
    if websocket::is_upgrade(request.headers()) {
        accept_websocket(request, options)
    } else if crate::has_token(request.headers(), http::header::UPGRADE, "SPDY/3.1") {
        accept_spdy(request, options)
    } else {
        Err(Refused::bad_request("Upgrade request required"))
    }
}

fn accept_websocket<B>(
    request: &mut Request<B>,
    options: Options,
) -> Result<(Response<()>, Session), Refused> {
    let offered = websocket::offered(request.headers());
    let (name, version, base64) = if offered.is_empty() {
        ("", 1, false)
    } else {
        let known = offered.iter().find_map(|o| WEBSOCKET_PROTOCOLS.iter().find(|(name, ..)| name == o));
        *known.ok_or_else(|| {
            Refused::forbidden(format!("unable to agree on a protocol: {}", offered.join(", ")))
        })?
    };
    let (response, upgrade) = websocket::accept(request, name)?;
    Ok((response, Session { wire: Wire::WebSocket { base64 }, version, options, upgrade }))
}

fn accept_spdy<B>(request: &mut Request<B>, options: Options) -> Result<(Response<()>, Session), Refused> {
    let offered = tokens(request.headers(), PROTOCOL_HEADER);
    // A client that offers nothing speaks the first version.
    let (name, version) = if offered.is_empty() {
        ("channel.k8s.io", 1)
    } else {
        let known = offered.iter().find_map(|o| SPDY_PROTOCOLS.iter().find(|(name, _)| name == o));
        *known.ok_or_else(|| {
            let ours: Vec<&str> = SPDY_PROTOCOLS.iter().map(|(name, _)| *name).collect();
            Refused::forbidden(format!(
                "unable to negotiate protocol: client supports {offered:?}, server accepts {ours:?}"
            ))
        })?
    };
    let response = switching("SPDY/3.1").header(PROTOCOL_HEADER, name).body(());
    let response = response.map_err(|e| Refused::bad_request(e.to_string()))?;
    let upgrade = hyper::upgrade::on(request);
    Ok((response, Session { wire: Wire::Spdy, version, options, upgrade }))
}

/// The client's streams, whatever the wire.
struct Streams {
    stdin: Option<Reader>,
    stdout: Option<Writer>,
    stderr: Option<Writer>,
    error: Writer,
    resize: Option<Reader>,
    /// Fires when the client is gone.
    closed: CancellationToken,
    /// Says goodbye after everything was written.
    goodbye: BoxFuture<'static, ()>,
}

impl Session {
    /// Opens the streams, starts the process and carries bytes until it has ended or the client is gone; then tells the
    /// client how it ended. `start` is called once the client is there.
    pub async fn run(
        self,
        purpose: Purpose,
        clock: &SharedClock,
        tasks: &Tasks,
        start: impl AsyncFnOnce() -> Result<Process, String>,
    ) {
        let version = self.version;
        let streams = tokio::select! {
            streams = self.establish(tasks) => streams,
            () = clock.sleep(STREAMS_WITHIN) => Err("timed out waiting for client to create streams".into()),
        };
        let mut streams = match streams {
            Ok(streams) => streams,
            Err(error) => return tracing::debug!(error, "no streams for {purpose:?}"),
        };
        let closed = streams.closed.clone();
        let result = tokio::select! {
            result = carry(&mut streams, start) => result,
            () = closed.cancelled() => return,
        };
        // What never started has no output. Older clients look at how it ended when they have read all of that.
        for output in [&mut streams.stdout, &mut streams.stderr].into_iter().flatten() {
            let _ = output.shutdown().await;
        }
        let text = status::text(version, purpose, &result);
        // A client that is gone by now does not want to know.
        let _ = streams.error.write_all(&text).await;
        let _ = streams.error.shutdown().await;
        streams.goodbye.await;
    }
}

async fn carry(
    streams: &mut Streams,
    start: impl AsyncFnOnce() -> Result<Process, String>,
) -> Result<i32, String> {
    let process = start().await?;
    let input = copy_input(streams.stdin.take(), process.stdin);
    let sizes = copy_sizes(streams.resize.take(), process.resize);
    let stdout = copy_output(process.stdout, streams.stdout.take());
    let stderr = copy_output(process.stderr, streams.stderr.take());
    let ended = async {
        let (code, ..) = tokio::join!(process.exit, stdout, stderr);
        code
    };
    // Input and sizes go on for as long as the process does, and no longer.
    let endless = async {
        tokio::join!(input, sizes);
        futures::future::pending::<()>().await;
    };
    tokio::select! {
        code = ended => code,
        () = endless => unreachable!("never ends"),
    }
}

async fn copy_input(from: Option<Reader>, to: Option<Writer>) {
    if let (Some(mut from), Some(mut to)) = (from, to) {
        // Either side may close first; the process sees the end of its input either way.
        let _ = tokio::io::copy(&mut from, &mut to).await;
        let _ = to.shutdown().await;
    }
}

async fn copy_output(from: Option<Reader>, to: Option<Writer>) {
    let Some(mut from) = from else { return };
    let Some(mut to) = to else { return };
    if tokio::io::copy(&mut from, &mut to).await.is_err() {
        // The client stopped listening; the process must not block on that.
        let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    }
    let _ = to.shutdown().await;
}

/// Sizes come as JSON objects, one after the other.
async fn copy_sizes(from: Option<Reader>, to: Option<mpsc::Sender<Size>>) {
    let (Some(mut from), Some(to)) = (from, to) else { return };
    let mut buffer = Vec::new();
    while let Ok(n) = from.read_buf(&mut buffer).await {
        if n == 0 || buffer.len() > 4096 {
            return;
        }
        let mut values = serde_json::Deserializer::from_slice(&buffer).into_iter::<Value>();
        let mut last = None;
        while let Some(Ok(value)) = values.next() {
            let number =
                |key: &str| value.get(key).and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
            if let (Some(width), Some(height)) = (number("Width"), number("Height")) {
                last = Some(Size { width, height });
            }
        }
        let used = values.byte_offset();
        buffer.drain(..used);
        if let Some(size) = last
            && to.send(size).await.is_err()
        {
            return;
        }
    }
}

impl Session {
    async fn establish(self, tasks: &Tasks) -> Result<Streams, String> {
        let io = self.upgrade.await.map_err(|e| format!("upgrade: {e}"))?;
        let io = hyper_util::rt::TokioIo::new(io);
        match self.wire {
            Wire::Spdy => {
                let connection = spdy::Connection::server(io, tasks).map_err(|e| e.to_string())?;
                establish::spdy(connection, self.options, self.version).await
            }
            Wire::WebSocket { base64 } => {
                let socket = websocket::server(io).await;
                Ok(establish::websocket(socket, self.options, base64, tasks).await)
            }
        }
    }
}
