//! A connection: one task reads, one writes, streams are channels between them and their users.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use stdx::Tasks;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, PollSender};

use super::frame::{self, Frame};
use super::headers::{Packer, Unpacker};
use super::{Error, Headers};

/// Chunks that a stream holds for its reader; then the whole connection waits, as there is no flow control.
const STREAM_QUEUE: usize = 16;
/// Frames that wait to be written.
const WRITE_QUEUE: usize = 32;
/// Streams opened by the other side that nobody has accepted.
const INCOMING_QUEUE: usize = 64;
/// More open streams than this and the other side is refused.
const STREAMS_MAX: usize = 4096;
/// Data is written in frames of at most this size.
const CHUNK: usize = 32 << 10;

const REFUSED_STREAM: u32 = 3;
const CANCEL: u32 = 5;
const STREAM_IN_USE: u32 = 8;

/// What goes to the writing task: headers are packed there, in the order of the wire.
enum Out {
    Frame(Frame),
    Open { stream: u32, headers: Headers },
    Reply { stream: u32, fin: bool },
}

/// One end of a SPDY connection. Dropping it ends it.
pub struct Connection {
    incoming: mpsc::Receiver<Incoming>,
    shared: Arc<Shared>,
    next: AtomicU32,
}

struct Shared {
    out: mpsc::Sender<Out>,
    streams: Mutex<HashMap<u32, Entry>>,
    closed: CancellationToken,
}

struct Entry {
    /// None: the other side has sent its last data.
    data: Option<mpsc::Sender<Bytes>>,
    replied: Option<oneshot::Sender<()>>,
    reset: CancellationToken,
}

impl Shared {
    fn streams(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Entry>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// The accepting side over an upgraded connection. Its tasks belong to `tasks`.
    pub fn server(io: impl AsyncRead + AsyncWrite + Send + 'static, tasks: &Tasks) -> Result<Self, Error> {
        Self::new(io, tasks, 2)
    }

    /// The asking side.
    pub fn client(io: impl AsyncRead + AsyncWrite + Send + 'static, tasks: &Tasks) -> Result<Self, Error> {
        Self::new(io, tasks, 1)
    }

    fn new(
        io: impl AsyncRead + AsyncWrite + Send + 'static,
        tasks: &Tasks,
        first: u32,
    ) -> Result<Self, Error> {
        let packer = Packer::new()?;
        let (out, out_rx) = mpsc::channel(WRITE_QUEUE);
        let (incoming_tx, incoming) = mpsc::channel(INCOMING_QUEUE);
        let closed = tasks.shutdown().child_token();
        let shared = Arc::new(Shared { out, streams: Mutex::default(), closed: closed.clone() });
        let (read, write) = tokio::io::split(io);
        let writer_closed = closed.clone();
        tasks.spawn(async move {
            if let Err(error) = write_frames(write, packer, out_rx, &writer_closed).await {
                tracing::debug!(%error, "SPDY connection: write failed");
            }
            writer_closed.cancel();
        });
        let reader = Reader { shared: shared.clone(), incoming: incoming_tx, unpacker: Unpacker::new() };
        tasks.spawn(async move {
            let ended = tokio::select! {
                ended = reader.run(read) => ended,
                () = closed.cancelled() => Ok(()),
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "SPDY connection ended");
            }
            closed.cancel();
        });
        Ok(Connection { incoming, shared, next: AtomicU32::new(first) })
    }

    /// The next stream that the other side opened; none when the connection has ended.
    pub async fn accept(&mut self) -> Option<Incoming> {
        tokio::select! {
            biased;
            stream = self.incoming.recv() => stream,
            () = self.shared.closed.cancelled() => None,
        }
    }

    /// Opens a stream and waits for the other side's reply.
    pub async fn open(&self, headers: Headers) -> Result<Stream, Error> {
        let id = self.next.fetch_add(2, Ordering::Relaxed);
        let (replied, reply) = oneshot::channel();
        let stream = Stream::register(&self.shared, id, Headers::default(), Some(replied));
        self.shared.out.send(Out::Open { stream: id, headers }).await.map_err(|_| Error::Closed)?;
        let reset = stream.read.reset.clone();
        tokio::select! {
            answered = reply => answered.map(|()| stream).map_err(|_| Error::Closed),
            () = reset.cancelled() => Err(Error::Protocol("the stream was refused")),
            () = self.shared.closed.cancelled() => Err(Error::Closed),
        }
    }

    /// Fires when the connection has ended.
    pub fn closed(&self) -> CancellationToken {
        self.shared.closed.clone()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.closed.cancel();
    }
}

/// A stream that the other side opened and nobody has answered yet.
pub struct Incoming(Stream);

impl Incoming {
    pub fn headers(&self) -> &Headers {
        &self.0.headers
    }

    /// Takes the stream.
    pub async fn accept(self) -> Result<Stream, Error> {
        let reply = Out::Reply { stream: self.0.id(), fin: false };
        self.0.write.shared.out.send(reply).await.map_err(|_| Error::Closed)?;
        Ok(self.0)
    }

    /// Wants nothing of it.
    pub async fn refuse(self) {
        let frame = Frame::RstStream { stream: self.0.id(), status: REFUSED_STREAM };
        // When the connection is gone the stream is, too.
        let _ = self.0.write.shared.out.send(Out::Frame(frame)).await;
    }
}

/// A stream; read and write to it.
pub struct Stream {
    /// As its opener sent them.
    pub headers: Headers,
    read: ReadHalf,
    write: WriteHalf,
}

impl Stream {
    fn register(
        shared: &Arc<Shared>,
        id: u32,
        headers: Headers,
        replied: Option<oneshot::Sender<()>>,
    ) -> Self {
        let (data, received) = mpsc::channel(STREAM_QUEUE);
        let reset = shared.closed.child_token();
        shared.streams().insert(id, Entry { data: Some(data), replied, reset: reset.clone() });
        let guard = Arc::new(Guard { shared: shared.clone(), id, reset: reset.clone() });
        Stream {
            headers,
            read: ReadHalf { received, chunk: Bytes::new(), reset: reset.clone(), _guard: guard.clone() },
            write: WriteHalf {
                shared: shared.clone(),
                sender: PollSender::new(shared.out.clone()),
                id,
                reset,
                ended: false,
                _guard: guard,
            },
        }
    }

    pub fn id(&self) -> u32 {
        self.write.id
    }

    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        (self.read, self.write)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(cx)
    }
}

/// Forgets the stream when both halves are gone.
struct Guard {
    shared: Arc<Shared>,
    id: u32,
    reset: CancellationToken,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let entry = self.shared.streams().remove(&self.id);
        // The other side still sends: it should stop.
        if entry.is_some_and(|e| e.data.is_some()) && !self.reset.is_cancelled() {
            let _ =
                self.shared.out.try_send(Out::Frame(Frame::RstStream { stream: self.id, status: CANCEL }));
        }
    }
}

/// What the other side sends.
pub struct ReadHalf {
    received: mpsc::Receiver<Bytes>,
    chunk: Bytes,
    reset: CancellationToken,
    _guard: Arc<Guard>,
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.chunk.is_empty() {
            match ready!(self.received.poll_recv(cx)) {
                Some(chunk) => self.chunk = chunk,
                None if self.reset.is_cancelled() => {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let n = self.chunk.len().min(buf.remaining());
        buf.put_slice(&self.chunk[..n]);
        self.chunk.advance(n);
        Poll::Ready(Ok(()))
    }
}

/// What goes to the other side. `shutdown` sends the last frame.
pub struct WriteHalf {
    shared: Arc<Shared>,
    sender: PollSender<Out>,
    id: u32,
    reset: CancellationToken,
    ended: bool,
    _guard: Arc<Guard>,
}

impl WriteHalf {
    fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8], fin: bool) -> Poll<io::Result<()>> {
        if self.reset.is_cancelled() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let closed = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        ready!(self.sender.poll_reserve(cx)).map_err(closed)?;
        let frame = Frame::Data { stream: self.id, fin, data: Bytes::copy_from_slice(data) };
        Poll::Ready(self.sender.send_item(Out::Frame(frame)).map_err(closed))
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let n = buf.len().min(CHUNK);
        ready!(self.poll_send(cx, &buf[..n], false))?;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            ready!(self.poll_send(cx, &[], true))?;
            self.ended = true;
        }
        Poll::Ready(Ok(()))
    }
}

async fn write_frames(
    mut io: impl AsyncWrite + Unpin,
    mut packer: Packer,
    mut out: mpsc::Receiver<Out>,
    closed: &CancellationToken,
) -> Result<(), Error> {
    let mut buffer = BytesMut::with_capacity(64 << 10);
    loop {
        let first = tokio::select! {
            biased;
            item = out.recv() => item,
            () = closed.cancelled() => None,
        };
        let Some(first) = first else { break };
        let mut next = Some(first);
        // Everything that is there goes in one write.
        while let Some(item) = next {
            let frame = match item {
                Out::Frame(frame) => frame,
                Out::Open { stream, headers } => {
                    Frame::SynStream { stream, fin: false, headers: packer.pack(&headers)?.into() }
                }
                Out::Reply { stream, fin } => {
                    Frame::SynReply { stream, fin, headers: packer.pack(&Headers::default())?.into() }
                }
            };
            frame::put(&frame, &mut buffer);
            next = if buffer.len() < 64 << 10 { out.try_recv().ok() } else { None };
        }
        io.write_all(&buffer).await?;
        io.flush().await?;
        buffer.clear();
    }
    io.shutdown().await?;
    Ok(())
}

struct Reader {
    shared: Arc<Shared>,
    incoming: mpsc::Sender<Incoming>,
    unpacker: Unpacker,
}

impl Reader {
    async fn run(mut self, mut io: impl AsyncRead + Unpin) -> Result<(), Error> {
        let mut buffer = BytesMut::with_capacity(64 << 10);
        loop {
            while let Some(frame) = frame::take(&mut buffer)? {
                if matches!(frame, Frame::GoAway { .. }) {
                    return Ok(());
                }
                self.take(frame).await?;
            }
            if io.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn take(&mut self, frame: Frame) -> Result<(), Error> {
        match frame {
            Frame::SynStream { stream, fin, headers } => self.opened(stream, fin, &headers).await,
            Frame::SynReply { stream, headers, .. } => {
                self.unpacker.unpack(&headers)?;
                let replied = self.shared.streams().get_mut(&stream).and_then(|e| e.replied.take());
                if let Some(replied) = replied {
                    // Who opened it may have given up.
                    let _ = replied.send(());
                }
                Ok(())
            }
            Frame::Headers { stream, fin, headers } => {
                self.unpacker.unpack(&headers)?;
                if fin {
                    self.ended(stream);
                }
                Ok(())
            }
            Frame::Data { stream, fin, data } => {
                let sender = self.shared.streams().get(&stream).and_then(|e| e.data.clone());
                if let Some(sender) = sender
                    && !data.is_empty()
                {
                    // A reader that is gone wants no more of it.
                    let _ = sender.send(data).await;
                }
                if fin {
                    self.ended(stream);
                }
                Ok(())
            }
            Frame::RstStream { stream, .. } => {
                let reset = self.shared.streams().get_mut(&stream).map(|e| {
                    e.data = None;
                    e.reset.clone()
                });
                if let Some(reset) = reset {
                    reset.cancel();
                }
                Ok(())
            }
            Frame::Ping { id } => self.send(Frame::Ping { id }).await,
            Frame::GoAway { .. } | Frame::Ignored => Ok(()),
        }
    }

    async fn opened(&mut self, stream: u32, fin: bool, headers: &[u8]) -> Result<(), Error> {
        // Unpacked in any case: the compressor's state depends on it.
        let headers = self.unpacker.unpack(headers)?;
        let (used, full) = {
            let streams = self.shared.streams();
            (streams.contains_key(&stream), streams.len() >= STREAMS_MAX)
        };
        if used || full {
            let status = if used { STREAM_IN_USE } else { REFUSED_STREAM };
            return self.send(Frame::RstStream { stream, status }).await;
        }
        let incoming = Incoming(Stream::register(&self.shared, stream, headers, None));
        if fin {
            self.ended(stream);
        }
        self.incoming.send(incoming).await.map_err(|_| Error::Closed)
    }

    fn ended(&self, stream: u32) {
        if let Some(entry) = self.shared.streams().get_mut(&stream) {
            entry.data = None;
        }
    }

    async fn send(&self, frame: Frame) -> Result<(), Error> {
        self.shared.out.send(Out::Frame(frame)).await.map_err(|_| Error::Closed)
    }
}
