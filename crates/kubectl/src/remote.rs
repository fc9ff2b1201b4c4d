//! The client's side of exec, attach and port-forward: WebSockets through the API server. Start at [`open`].
//!
//! Contract: KEP-4006 (`v5.channel.k8s.io`).

use std::io::Write;

use bytes::Bytes;
use client::wire::Failure;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use streaming::websocket::{self, CLOSE, ChannelReader, Channels};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::session::{Reply, Request, Session, refusal};

pub const STDIN: u8 = 0;
pub const STDOUT: u8 = 1;
pub const STDERR: u8 = 2;
pub const ERROR: u8 = 3;
pub const RESIZE: u8 = 4;

/// Upgrades to a WebSocket with channels; what arrives on those of `read` can be read.
pub async fn open(session: &Session, path: &str, protocol: &str, read: &[u8]) -> Result<Channels> {
    let request = Request { accept: "*/*", ..Request::get(path) };
    let mut built = session.build(&request)?;
    let mut key = [0; 16];
    stdx::Random::secret(&mut key);
    let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key);
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", &key),
        ("sec-websocket-protocol", protocol),
    ] {
        let value = value.parse().map_err(|_| Error::text("build the request: a bad header"))?;
        built.headers_mut().insert(name, value);
    }
    let mut response = session.wire()?.upgrade(built).await.map_err(|e| session.failed(&request, &e))?;
    session.warn(response.headers());
    if response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
        let (head, body) = response.into_parts();
        let body =
            body.collect().await.map_err(|e| session.failed(&request, &Failure::Http(e.to_string())))?;
        let reply = Reply { status: head.status, body: body.to_bytes() };
        if head.status.is_success() {
            return Err(Error::text(format!(
                "unable to upgrade connection: the server answers {} instead of switching protocols (is there a proxy between?)",
                head.status
            )));
        }
        // What comes from the kubelet is text.
        let is_status = serde_json::from_slice::<Value>(&reply.body).is_ok_and(|v| v["kind"] == "Status");
        if !is_status && head.status.as_u16() != 401 && head.status.as_u16() != 403 && !reply.body.is_empty()
        {
            let text = String::from_utf8_lossy(&reply.body);
            return Err(Error::text(format!("unable to upgrade connection: {}", text.trim_end())));
        }
        return Err(refusal(&reply, &request));
    }
    let upgraded = hyper::upgrade::on(&mut response)
        .await
        .map_err(|e| Error::text(format!("unable to upgrade connection: {e}")))?;
    let socket = websocket::client(TokioIo::new(upgraded)).await;
    Ok(Channels::new(socket, read, false, &session.tasks))
}

/// What goes in, and where what comes out goes.
pub struct Ends<'e> {
    /// Pieces for the command's stdin; none: it has none.
    pub stdin: Option<mpsc::Receiver<Bytes>>,
    pub stdout: &'e mut dyn Write,
    pub stderr: &'e mut dyn Write,
    /// The terminal's size, when it changes.
    pub sizes: Option<mpsc::Receiver<(u16, u16)>>,
}

/// Runs a command's streams until it ends; its exit code is the error.
pub async fn carry(mut channels: Channels, mut ends: Ends<'_>) -> Result<()> {
    let ended = || Error::text("error reading from error stream: the connection ended");
    let mut out = channels.reader(STDOUT).ok_or_else(ended)?;
    let mut err = channels.reader(STDERR).ok_or_else(ended)?;
    let mut status = channels.reader(ERROR).ok_or_else(ended)?;
    let (mut stdin, mut control) = (channels.writer(STDIN), channels.writer(CLOSE));
    let mut resize = channels.writer(RESIZE);
    let input = async {
        if let Some(pieces) = &mut ends.stdin {
            while let Some(piece) = pieces.recv().await {
                if stdin.write_all(&piece).await.is_err() {
                    break;
                }
            }
            // When it cannot be said the command has ended already.
            let _ = control.write_all(&[STDIN]).await;
        }
        std::future::pending::<()>().await;
    };
    let sizes = async {
        if let Some(sizes) = &mut ends.sizes {
            while let Some((width, height)) = sizes.recv().await {
                let text = format!("{{\"Width\":{width},\"Height\":{height}}}");
                if resize.write_all(text.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
        std::future::pending::<()>().await;
    };
    let output = async {
        let mut said = Vec::new();
        let (a, b, c) = tokio::join!(
            copy(&mut out, ends.stdout),
            copy(&mut err, ends.stderr),
            status.read_to_end(&mut said)
        );
        a?;
        b?;
        c?;
        Ok::<_, Error>(said)
    };
    let said = tokio::select! {
        said = output => said?,
        () = input => Vec::new(),
        () = sizes => Vec::new(),
    };
    outcome(&said)
}

async fn copy(from: &mut ChannelReader, to: &mut dyn Write) -> Result<()> {
    let mut buffer = vec![0; 32 << 10];
    loop {
        match from.read(&mut buffer).await? {
            0 => return Ok(()),
            n => {
                to.write_all(&buffer[..n])?;
                to.flush()?;
            }
        }
    }
}

/// How the command ended, by the status on the error channel.
fn outcome(said: &[u8]) -> Result<()> {
    if said.is_empty() {
        return Err(Error::text("the connection to the server ended before the command did"));
    }
    let Ok(status) = serde_json::from_slice::<Value>(said) else {
        return Err(Error::text(String::from_utf8_lossy(said).into_owned()));
    };
    if status["status"] == "Success" {
        return Ok(());
    }
    if status["reason"] == "NonZeroExitCode" {
        let causes = status["details"]["causes"].as_array().into_iter().flatten();
        let code =
            causes.filter(|c| c["reason"] == "ExitCode").find_map(|c| c["message"].as_str()?.parse().ok());
        let code: i32 = code.unwrap_or(1);
        return Err(Error::Exit(code, format!("command terminated with exit code {code}")));
    }
    Err(Error::text(status["message"].as_str().unwrap_or("unknown").to_owned()))
}

/// Our own stdin in pieces, read by a thread of its own: it may wait for ever, and the process does not wait for it.
pub fn stdin() -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(8);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 32 << 10];
        while let Ok(n) = std::io::Read::read(&mut std::io::stdin(), &mut buffer) {
            if n == 0 || sender.blocking_send(Bytes::copy_from_slice(&buffer[..n])).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The terminal in raw mode until this is dropped.
pub struct Raw(nix::sys::termios::Termios);

impl Raw {
    /// None when stdin is no terminal.
    pub fn enter() -> Option<Raw> {
        use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(std::io::stdin(), SetArg::TCSANOW, &raw).ok()?;
        Some(Raw(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = nix::sys::termios::tcsetattr(std::io::stdin(), nix::sys::termios::SetArg::TCSANOW, &self.0);
    }
}

nix::ioctl_read_bad!(window_size, nix::libc::TIOCGWINSZ, nix::libc::winsize);

/// Width and height of the terminal at stdout.
pub fn size() -> Option<(u16, u16)> {
    let mut size = nix::libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes a winsize to the place that we own.
    unsafe { window_size(1, &mut size) }.ok()?;
    (size.ws_col > 0).then_some((size.ws_col, size.ws_row))
}

/// The terminal's size now and whenever it changes. Call in a runtime.
pub fn sizes(session: &Session) -> Option<mpsc::Receiver<(u16, u16)>> {
    let first = size()?;
    let (sender, receiver) = mpsc::channel(4);
    let mut changed = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::window_change()).ok()?;
    session.tasks.spawn_until_shutdown(async move {
        let mut next = Some(first);
        while let Some(size) = next {
            if sender.send(size).await.is_err() {
                return;
            }
            next = changed.recv().await.and_then(|()| self::size());
        }
    });
    Some(receiver)
}
