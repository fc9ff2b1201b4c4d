//! A watch: an answer without end, one JSON object after the other.

use apimachinery::{Gvr, Status};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{Shared, TIMEOUT, request, unreachable};
use crate::list::{self, Frame};
use crate::transport::{Options, WatchEvent};

/// One event at most; larger than any object that the API takes.
const EVENT_MAX: usize = 16 << 20;
/// The server ends a watch after this many seconds, and as many again at random.
const SECONDS_MIN: u64 = 300;

pub(super) async fn open(
    shared: &Shared,
    gvr: &Gvr,
    namespace: &str,
    options: &Options,
) -> Result<BoxStream<'static, WatchEvent>, Status> {
    let seconds = (SECONDS_MIN + shared.random.below(SECONDS_MIN)).to_string();
    let watch = [("watch", "true"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", &seconds)];
    let path = request::path(gvr, namespace, "", "");
    let query = request::query(options, &watch);
    let built = shared.build(Method::GET, &format!("{path}{query}"), "", Bytes::new()).await?;
    let response = tokio::select! {
        response = shared.connection.send(built) => response?,
        () = shared.clock.sleep(TIMEOUT) => return Err(Status::timeout("the API server does not answer")),
    };
    let (head, body) = response.into_parts();
    if !head.status.is_success() {
        let body = body.collect().await.map_err(|e| unreachable("read the answer", &e))?.to_bytes();
        return Err(request::failure(head.status, &body));
    }
    Ok(events(body))
}

struct Reader {
    body: Incoming,
    buffer: BytesMut,
    done: bool,
}

fn events(body: Incoming) -> BoxStream<'static, WatchEvent> {
    let reader = Reader { body, buffer: BytesMut::new(), done: false };
    futures::stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((event, reader))
    })
    .boxed()
}

impl Reader {
    async fn next(&mut self) -> Option<WatchEvent> {
        while !self.done {
            match take_event(&mut self.buffer) {
                Ok(Some(event)) => {
                    self.done = matches!(event, WatchEvent::Error(_));
                    return Some(event);
                }
                Ok(None) if self.buffer.len() > EVENT_MAX => {
                    self.done = true;
                    return Some(WatchEvent::Error(Status::internal("a watch event is too large")));
                }
                Ok(None) => {}
                Err(status) => {
                    self.done = true;
                    return Some(WatchEvent::Error(status));
                }
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
                // Cut off: as if it had ended. Whoever watches goes on from the last event.
                Some(Err(_)) | None => self.done = true,
            }
        }
        None
    }
}

/// The first whole event, taken out of the buffer.
pub(super) fn take_event(buffer: &mut BytesMut) -> Result<Option<WatchEvent>, Status> {
    // Objects are told apart by their lines, as Go's encoder and ours write them: JSON has no bare line feed.
    let Some(end) = buffer.iter().position(|b| *b == b'\n') else { return Ok(None) };
    let line = buffer.split_to(end + 1).freeze();
    if line.iter().all(u8::is_ascii_whitespace) {
        return take_event(buffer);
    }
    let Frame { kind, object } =
        list::frame(&line).ok_or_else(|| Status::internal("a watch event is no JSON"))?;
    Ok(Some(match kind.as_str() {
        "ADDED" => WatchEvent::Added(object),
        "MODIFIED" => WatchEvent::Modified(object),
        "DELETED" => WatchEvent::Deleted(object),
        "BOOKMARK" => WatchEvent::Bookmark(object),
        "ERROR" => WatchEvent::Error(serde_json::from_slice(&object).unwrap_or_else(Status::internal)),
        other => return Err(Status::internal(format!("a watch event of the unknown type {other:?}"))),
    }))
}
