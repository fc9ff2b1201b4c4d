//! Bodies: reading requests within the limit, building responses.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use apimachinery::Status;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Body as _, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use stdx::clock::SharedClock;

use super::negotiate::Format;

/// What every response carries.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Upstream's limit on a request body, 3 MiB.
pub const BODY_MAX: usize = 3 << 20;

/// A whole body.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// Any body whose frames are at hand.
pub fn boxed(body: impl http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static) -> Body {
    body.boxed_unsync()
}

/// A body that is sent as the chunks come.
pub fn stream(chunks: impl Stream<Item = Bytes> + Send + 'static) -> Body {
    StreamBody::new(chunks.map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)))).boxed_unsync()
}

/// How long an answer waits for the rest of a request that was refused.
const DRAIN_FOR: Duration = Duration::from_secs(5);

/// How much of a body that is too large is still read, and thrown away: a client that is cut off while it sends may never see
/// the answer.
const DRAIN_MAX: usize = 4 * BODY_MAX;

/// Reads a request body, at most [`BODY_MAX`] bytes.
pub async fn read(mut body: RequestBody) -> Result<Bytes, Status> {
    let too_large =
        || Status::request_entity_too_large(format!("Request entity too large: limit is {BODY_MAX}"));
    if body.size_hint().lower() > BODY_MAX as u64 {
        return Err(too_large());
    }
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Status::bad_request(format!("error reading the request body: {e}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if all.len() + data.len() > BODY_MAX {
            return Err(too_large());
        }
        all.extend_from_slice(&data);
    }
    Ok(all.freeze())
}

/// A request's body. What nobody has read when it is dropped is kept for [`Unread`].
#[derive(Debug)]
pub struct RequestBody {
    inner: Option<Incoming>,
    unread: Arc<Mutex<Option<Incoming>>>,
}

/// What is left of a request's body when the answer is there.
#[derive(Debug)]
pub struct Unread(Arc<Mutex<Option<Incoming>>>);

/// The body, and what will be left of it.
pub fn kept(incoming: Incoming) -> (RequestBody, Unread) {
    let unread = Arc::new(Mutex::new(None));
    (RequestBody { inner: Some(incoming), unread: unread.clone() }, Unread(unread))
}

impl Unread {
    /// Reads what is left, at most [`DRAIN_MAX`] bytes, and throws it away. An HTTP/2 stream whose body is dropped before the answer
    /// is sent is reset, and the client never sees why it was refused.
    pub async fn drain(self, clock: &SharedClock) {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(body) = left.filter(|b| b.size_hint().lower() <= DRAIN_MAX as u64) else { return };
        tokio::select! {
            () = Self::read(body) => {}
            () = clock.sleep(DRAIN_FOR) => {}
        }
    }

    async fn read(mut body: Incoming) {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DRAIN_MAX {
                return;
            }
        }
    }
}

impl RequestBody {
    /// Of a request that has none.
    pub fn empty() -> RequestBody {
        RequestBody { inner: None, unread: Arc::default() }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(|b| b.is_end_stream())
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.as_ref().map_or_else(http_body::SizeHint::default, |b| b.size_hint())
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take().filter(|b| !b.is_end_stream()) {
            *self.unread.lock().unwrap_or_else(PoisonError::into_inner) = Some(inner);
        }
    }
}

/// A JSON response.
pub fn json(code: u16, bytes: impl Into<Bytes>) -> Response<Body> {
    with_type(code, Format::Json.content_type(), bytes)
}

/// A text response, as upstream's `http.Error` writes it.
pub fn text(code: u16, text: impl Into<String>) -> Response<Body> {
    let mut response = with_type(code, "text/plain; charset=utf-8", text.into());
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A response of a given type.
pub fn with_type(code: u16, content_type: &str, bytes: impl Into<Bytes>) -> Response<Body> {
    with_body(code, content_type, Full::new(bytes.into()))
}

/// A response of a given type whose body is sent as it comes.
pub fn with_body(
    code: u16,
    content_type: &str,
    body: impl http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
) -> Response<Body> {
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(content_type) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    // Objects are live: upstream forbids every cache.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}
