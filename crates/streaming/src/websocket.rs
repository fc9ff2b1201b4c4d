//! WebSocket as Kubernetes uses it: messages whose first byte names a channel, or a tunnel for another protocol's bytes.
//!
//! Contract: RFC 6455; KEP-4006.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes};
use futures::{Sink, SinkExt, Stream, StreamExt};
use http::{HeaderMap, Request, Response, header};
use hyper::upgrade::OnUpgrade;
use stdx::Tasks;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::sync::{CancellationToken, PollSender};

use crate::{Refused, has_token, switching, tokens};

/// The channel number by which v5 says that another channel has ended.
pub const CLOSE: u8 = 255;
/// Messages that wait for a reader or for the wire.
const QUEUE: usize = 16;
/// Larger messages end the connection.
const MESSAGE_MAX: usize = 4 << 20;

/// Whether the request asks for a WebSocket.
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, header::CONNECTION, "upgrade") && has_token(headers, header::UPGRADE, "websocket")
}

/// The subprotocols that the client offers, the preferred first.
pub fn offered(headers: &HeaderMap) -> Vec<String> {
    tokens(headers, header::SEC_WEBSOCKET_PROTOCOL.as_str())
}

/// Answers 101 for `protocol` (empty: none was offered).
pub fn accept<B>(request: &mut Request<B>, protocol: &str) -> Result<(Response<()>, OnUpgrade), Refused> {
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        return Err(Refused::bad_request("a WebSocket request needs Sec-WebSocket-Key"));
    };
    let mut response =
        switching("websocket").header(header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()));
    if !protocol.is_empty() {
        response = response.header(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    let response = response.body(()).map_err(|e| Refused::bad_request(e.to_string()))?;
    Ok((response, hyper::upgrade::on(request)))
}

/// A WebSocket over an upgraded connection.
pub async fn server<S: AsyncRead + AsyncWrite + Unpin>(io: S) -> WebSocketStream<S> {
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX));
    WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await
}

/// The client's end of a WebSocket over an upgraded connection.
pub async fn client<S: AsyncRead + AsyncWrite + Unpin>(io: S) -> WebSocketStream<S> {
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX));
    WebSocketStream::from_raw_socket(io, Role::Client, Some(config)).await
}

/// How bytes that have no channel are put into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Binary,
    Text,
    /// Binary for clients that only take text.
    Base64,
}

/// The protocol to answer with (empty: the client offers none), and the form that it means; `none` is that of no protocol.
pub fn plain_form(headers: &HeaderMap, none: Form) -> Result<(&'static str, Form), Refused> {
    let offered = offered(headers);
    if offered.is_empty() {
        return Ok(("", none));
    }
    let known = [("binary.k8s.io", Form::Binary), ("base64.binary.k8s.io", Form::Base64)];
    known
        .into_iter()
        .find(|(name, _)| offered.iter().any(|o| o == name))
        .ok_or_else(|| Refused::forbidden(format!("none of the protocols is known: {}", offered.join(", "))))
}

/// Sends each chunk as a message and closes. Ends early when the client goes.
pub async fn send_all<S>(socket: WebSocketStream<S>, chunks: impl Stream<Item = Bytes>, form: Form)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut out, mut incoming) = socket.split();
    let sent = async {
        let mut chunks = std::pin::pin!(chunks);
        while let Some(chunk) = chunks.next().await {
            let message = match form {
                Form::Binary => Message::Binary(chunk),
                Form::Text => Message::Text(String::from_utf8_lossy(&chunk).into_owned().into()),
                Form::Base64 => Message::Text(STANDARD.encode(chunk).into()),
            };
            if out.send(message).await.is_err() {
                return;
            }
        }
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        // Who has gone needs no farewell.
        let _ = out.send(Message::Close(Some(frame))).await;
    };
    let gone = async { while let Some(Ok(_)) = incoming.next().await {} };
    tokio::select! {
        () = sent => {}
        () = gone => {}
    }
}

/// Numbered channels over one WebSocket.
pub struct Channels {
    readers: HashMap<u8, ChannelReader>,
    out: mpsc::Sender<Message>,
    base64: bool,
    closed: CancellationToken,
}

impl Channels {
    /// Takes over the socket; what arrives on a channel that is not in `read` is dropped. `base64`: the old text form. The
    /// tasks belong to `tasks` and end with the connection.
    pub fn new<S>(socket: WebSocketStream<S>, read: &[u8], base64: bool, tasks: &Tasks) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sink, source) = socket.split();
        let (out, out_rx) = mpsc::channel(QUEUE);
        let closed = tasks.shutdown().child_token();
        let (mut senders, mut readers) = (HashMap::new(), HashMap::new());
        for channel in read {
            let (sender, received) = mpsc::channel(QUEUE);
            senders.insert(*channel, sender);
            readers.insert(*channel, ChannelReader { received, chunk: Bytes::new() });
        }
        let reading = closed.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = read_messages(source, senders, base64) => {}
                () = reading.cancelled() => {}
            }
            reading.cancel();
        });
        let writing = closed.clone();
        tasks.spawn(async move {
            if let Err(error) = write_messages(sink, out_rx, &writing).await {
                tracing::debug!(%error, "WebSocket: write failed");
            }
            writing.cancel();
        });
        Channels { readers, out, base64, closed }
    }

    /// The reading end of a channel; once.
    pub fn reader(&mut self, channel: u8) -> Option<ChannelReader> {
        self.readers.remove(&channel)
    }

    /// A writing end of a channel.
    pub fn writer(&self, channel: u8) -> ChannelWriter {
        ChannelWriter { channel, base64: self.base64, sender: PollSender::new(self.out.clone()) }
    }

    /// Fires when the connection has ended.
    pub fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    /// Sends a message with nothing in it: clients take it as a sign of life.
    pub async fn greet(&self, channel: u8) {
        // When it cannot be sent the connection has ended, and everybody hears of that.
        let _ = self.out.send(message(channel, &[], self.base64)).await;
    }

    /// Says goodbye and waits until everything has been written.
    pub async fn close(self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let _ = self.out.send(Message::Close(Some(frame))).await;
        drop(self.out);
        self.closed.cancelled().await;
    }
}

fn message(channel: u8, data: &[u8], base64: bool) -> Message {
    if base64 {
        return Message::text(format!("{}{}", channel, STANDARD.encode(data)));
    }
    let mut bytes = Vec::with_capacity(data.len() + 1);
    bytes.push(channel);
    bytes.extend_from_slice(data);
    Message::binary(bytes)
}

/// The channel and content of a message; none for what is neither.
fn parse(message: Message, base64: bool) -> Option<(u8, Bytes)> {
    let mut data = match message {
        Message::Binary(data) if !base64 => data,
        Message::Text(text) if !base64 => Bytes::copy_from_slice(text.as_bytes()),
        Message::Text(text) => {
            let (digit, rest) = text.split_at_checked(1)?;
            return Some((digit.parse().ok()?, STANDARD.decode(rest).ok()?.into()));
        }
        _ => return None,
    };
    if data.is_empty() {
        return None;
    }
    Some((data.get_u8(), data))
}

async fn read_messages(
    mut source: impl Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
    mut senders: HashMap<u8, mpsc::Sender<Bytes>>,
    base64: bool,
) {
    while let Some(Ok(message)) = source.next().await {
        match parse(message, base64) {
            Some((CLOSE, which)) => {
                if let Some(channel) = which.first() {
                    senders.remove(channel);
                }
            }
            Some((channel, data)) => {
                if let Some(sender) = senders.get(&channel)
                    && !data.is_empty()
                {
                    // A reader that is gone wants no more of it.
                    let _ = sender.send(data).await;
                }
            }
            None => {}
        }
    }
}

async fn write_messages(
    mut sink: impl Sink<Message, Error = tungstenite::Error> + Unpin,
    mut out: mpsc::Receiver<Message>,
    closed: &CancellationToken,
) -> Result<(), tungstenite::Error> {
    loop {
        let message = tokio::select! {
            biased;
            message = out.recv() => message,
            () = closed.cancelled() => None,
        };
        let Some(message) = message else { break };
        let last = matches!(message, Message::Close(_));
        sink.send(message).await?;
        if last {
            break;
        }
    }
    sink.close().await
}

/// What arrives on one channel.
pub struct ChannelReader {
    received: mpsc::Receiver<Bytes>,
    chunk: Bytes,
}

impl AsyncRead for ChannelReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.chunk.is_empty() {
            match ready!(self.received.poll_recv(cx)) {
                Some(chunk) => self.chunk = chunk,
                None => return Poll::Ready(Ok(())),
            }
        }
        let n = self.chunk.len().min(buf.remaining());
        buf.put_slice(&self.chunk[..n]);
        self.chunk.advance(n);
        Poll::Ready(Ok(()))
    }
}

/// What is written goes out as messages of one channel.
pub struct ChannelWriter {
    channel: u8,
    base64: bool,
    sender: PollSender<Message>,
}

impl AsyncWrite for ChannelWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let n = buf.len().min(32 << 10);
        let closed = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        ready!(self.sender.poll_reserve(cx)).map_err(closed)?;
        let message = message(self.channel, &buf[..n], self.base64);
        self.sender.send_item(message).map_err(closed)?;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Another protocol's bytes, carried in binary messages without regard to their borders.
pub struct Tunnel<S> {
    socket: WebSocketStream<S>,
    chunk: Bytes,
}

impl<S> Tunnel<S> {
    pub fn new(socket: WebSocketStream<S>) -> Self {
        Tunnel { socket, chunk: Bytes::new() }
    }
}

fn io_error(error: tungstenite::Error) -> io::Error {
    match error {
        tungstenite::Error::Io(e) => e,
        other => io::Error::other(other),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tunnel<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.chunk.is_empty() {
            match ready!(self.socket.poll_next_unpin(cx)) {
                Some(Ok(Message::Binary(data))) => self.chunk = data,
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io_error(error))),
            }
        }
        let n = self.chunk.len().min(buf.remaining());
        buf.put_slice(&self.chunk[..n]);
        self.chunk.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tunnel<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.socket.poll_ready_unpin(cx)).map_err(io_error)?;
        let n = buf.len().min(64 << 10);
        self.socket.start_send_unpin(Message::binary(buf[..n].to_vec())).map_err(io_error)?;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_flush_unpin(cx).map_err(io_error)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_close_unpin(cx).map_err(io_error)
    }
}
