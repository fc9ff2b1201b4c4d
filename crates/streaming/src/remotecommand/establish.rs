//! From a connection to the client's streams.

use std::collections::HashMap;

use stdx::Tasks;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;

use super::{Options, Streams, Writer};
use crate::spdy::{Connection, Stream};
use crate::websocket::Channels;

/// The client opens each stream it wants and names it by the header `streamType`.
pub async fn spdy(mut connection: Connection, options: Options, version: u8) -> Result<Streams, String> {
    let wanted = [
        ("error", true),
        ("stdin", options.stdin),
        ("stdout", options.stdout),
        ("stderr", options.stderr),
        ("resize", options.tty && version >= 3),
    ];
    let mut open: HashMap<String, Stream> = HashMap::new();
    while wanted.iter().any(|(name, wanted)| *wanted && !open.contains_key(*name)) {
        let incoming = connection.accept().await.ok_or("the client left before its streams were open")?;
        let kind = incoming.headers().get("streamtype").unwrap_or_default().to_owned();
        if wanted.iter().any(|(name, wanted)| *wanted && *name == kind) && !open.contains_key(&kind) {
            let stream = incoming.accept().await.map_err(|e| e.to_string())?;
            open.insert(kind, stream);
        } else {
            incoming.refuse().await;
        }
    }
    let mut writer = |name: &str| {
        open.remove(name).map(|s| {
            // Clients close the half they do not use; what they send there is nobody's.
            let (_, write) = s.into_split();
            Box::pin(write) as Writer
        })
    };
    let (stdout, stderr) = (writer("stdout"), writer("stderr"));
    let error = writer("error").ok_or("no error stream")?;
    let mut reader = |name: &str| open.remove(name).map(|s| Box::pin(s) as super::Reader);
    let (stdin, resize) = (reader("stdin"), reader("resize"));
    let closed = connection.closed();
    Ok(Streams {
        stdin,
        stdout,
        stderr,
        error,
        resize,
        closed: closed.clone(),
        goodbye: Box::pin(async move {
            // The client closes when it has read the status; one that does not is cut off with the connection.
            tokio::select! {
                () = closed.cancelled() => {}
                () = drain(connection) => {}
            }
        }),
    })
}

/// Refuses whatever the client still opens, until it leaves.
async fn drain(mut connection: Connection) {
    while let Some(incoming) = connection.accept().await {
        incoming.refuse().await;
    }
}

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;

/// All channels are there from the start.
pub async fn websocket<S>(
    socket: WebSocketStream<S>,
    options: Options,
    base64: bool,
    tasks: &Tasks,
) -> Streams
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut channels = Channels::new(socket, &[STDIN, RESIZE], base64, tasks);
    // As upstream: the lowest channel that we write to shows the client that we are here.
    let first = if options.stdout {
        STDOUT
    } else if options.stderr {
        STDERR
    } else {
        ERROR
    };
    channels.greet(first).await;
    let writer = |wanted: bool, channel: u8| wanted.then(|| Box::pin(channels.writer(channel)) as Writer);
    let (stdout, stderr) = (writer(options.stdout, STDOUT), writer(options.stderr, STDERR));
    let error = Box::pin(channels.writer(ERROR)) as Writer;
    let stdin = channels.reader(STDIN).filter(|_| options.stdin).map(|r| Box::pin(r) as super::Reader);
    let resize = channels.reader(RESIZE).filter(|_| options.tty).map(|r| Box::pin(r) as super::Reader);
    Streams {
        stdin,
        stdout,
        stderr,
        error,
        resize,
        closed: channels.closed(),
        goodbye: Box::pin(channels.close()),
    }
}
