//! Large answers compressed, for clients that say they read it.

use std::io::Write as _;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Body as _;

use super::body::{self, Body};
use super::service::header_text;

/// Smaller answers are not worth it.
const THRESHOLD: u64 = 128 * 1024;
/// What is compressed between two chances for others to run.
const PIECE: usize = 256 * 1024;

/// Whether the client reads gzip.
pub fn accepted(headers: &HeaderMap) -> bool {
    let header = header_text(headers, header::ACCEPT_ENCODING).unwrap_or_default();
    header.split(',').any(|token| token.trim() == "gzip")
}

/// The response, compressed when it is a whole, large, successful one.
pub async fn compress(mut response: Response<Body>) -> Response<Body> {
    let size = response.body().size_hint().exact();
    let plain = !response.headers().contains_key(header::CONTENT_ENCODING);
    if response.status() != StatusCode::OK || !plain || size.is_none_or(|size| size <= THRESHOLD) {
        return response;
    }
    let whole = std::mem::replace(response.body_mut(), body::full(Bytes::new()));
    // It is at hand already; an error is not possible.
    let Ok(whole) = whole.collect().await;
    let compressed = gzip(&whole.to_bytes()).await;
    *response.body_mut() = body::full(compressed);
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

async fn gzip(bytes: &[u8]) -> Bytes {
    let out = BytesMut::with_capacity(bytes.len() / 6).writer();
    let mut encoder = GzEncoder::new(out, Compression::fast());
    for piece in bytes.chunks(PIECE) {
        // Writing into memory cannot fail.
        let _ = encoder.write_all(piece);
        tokio::task::yield_now().await;
    }
    encoder.finish().map(|out| out.into_inner().freeze()).unwrap_or_default()
}
