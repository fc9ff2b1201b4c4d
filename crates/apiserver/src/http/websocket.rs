//! Watches and logs over a WebSocket, for browsers: each event, or piece of a log, is a message.
//!
//! Contract: upstream's wsstream: `binary.k8s.io`, `base64.binary.k8s.io`, or no protocol at all.

use std::sync::Arc;

use apimachinery::Status;
use futures::StreamExt;
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::{BodyExt, BodyStream};
use hyper_util::rt::TokioIo;
use streaming::Refused;
use streaming::websocket::{self, Form};

use super::body::{self, Body};
use super::service::{Exchange, stream_answer};
use crate::api::Api;
use crate::pipeline::path::ResourcePath;

/// Whether the request wants its answer so. Streams (exec and the like) have a protocol of their own, and proxied ones are the
/// other side's.
pub fn is_wanted(headers: &HeaderMap, path: &ResourcePath, watch: bool) -> bool {
    let log = path.resource == "pods" && path.subresource == "log";
    (log || watch && path.subresource.is_empty()) && websocket::is_upgrade(headers)
}

/// Answers as without a WebSocket, then sends what the answer holds; a refusal is a plain answer.
pub async fn answer(
    api: &Arc<Api>,
    mut exchange: Exchange,
    path: ResourcePath,
) -> Result<Response<Body>, Status> {
    let none = if path.subresource == "log" { Form::Binary } else { Form::Text };
    let (protocol, form) = websocket::plain_form(exchange.request.headers(), none).map_err(refused)?;
    let (accepted, upgrade) = websocket::accept(&mut exchange.request, protocol).map_err(refused)?;
    let headers = exchange.request.headers_mut();
    headers.remove(header::UPGRADE);
    headers.remove(header::CONNECTION);
    // Compressed pieces would be of no use.
    headers.remove(header::ACCEPT_ENCODING);
    let response = stream_answer(api, exchange, path).await?;
    if response.status() != StatusCode::OK {
        return Ok(response);
    }
    let chunks = BodyStream::new(response.into_body().map_err(|never| match never {}));
    let chunks = chunks.filter_map(|frame: Result<_, std::io::Error>| async { frame.ok()?.into_data().ok() });
    api.tasks.spawn_until_shutdown(async move {
        match upgrade.await {
            Ok(io) => websocket::send_all(websocket::server(TokioIo::new(io)).await, chunks, form).await,
            Err(error) => tracing::debug!(%error, "a client left before its WebSocket was open"),
        }
    });
    Ok(accepted.map(|()| body::full("")))
}

fn refused(refused: Refused) -> Status {
    match refused.status {
        StatusCode::FORBIDDEN => Status::failure(403, "Forbidden", refused.message),
        _ => Status::bad_request(refused.message),
    }
}
