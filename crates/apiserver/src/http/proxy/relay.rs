//! One request handed on over a connection of its own, and what comes back; after a 101 the bytes of both sides.

use http::{HeaderMap, HeaderName, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use stdx::Tasks;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::super::body::{self, Body, RequestBody};

/// The sender's business with us, not with whom we ask.
const DROPPED: [HeaderName; 2] = [header::AUTHORIZATION, header::HOST];

/// Sends `request` with another path and host. The error says what went wrong on the wire.
pub(super) async fn relay<S>(
    io: TokioIo<S>,
    tasks: &Tasks,
    host: &str,
    path_and_query: &str,
    mut request: Request<RequestBody>,
) -> Result<Response<Body>, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(io).await.map_err(|e| e.to_string())?;
    tasks.spawn_until_shutdown(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "connection to a backend ends");
        }
    });
    let client_side = hyper::upgrade::on(&mut request);
    let outgoing = outgoing(request, host, path_and_query).map_err(|e| e.to_string())?;
    let mut response = sender.send_request(outgoing).await.map_err(|e| e.to_string())?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let server_side = hyper::upgrade::on(&mut response);
        tasks.spawn_until_shutdown(splice(client_side, server_side));
        let (mut head, _) = response.into_parts();
        head.extensions.clear();
        return Ok(Response::from_parts(head, body::full("")));
    }
    let (mut head, incoming) = response.into_parts();
    head.version = http::Version::default();
    hop_by_hop(&mut head.headers);
    head.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(head, relayed(incoming)))
}

/// The body as it comes; an error ends it, as a closed connection would.
fn relayed(incoming: Incoming) -> Body {
    body::stream(chunks(incoming))
}

/// What a body still holds.
pub(super) fn chunks<B>(incoming: B) -> impl futures::Stream<Item = bytes::Bytes> + Send + 'static
where
    B: http_body::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
{
    futures::stream::unfold(incoming, |mut incoming| async move {
        loop {
            let Ok(frame) = incoming.frame().await? else { return None };
            if let Ok(data) = frame.into_data() {
                return Some((data, incoming));
            }
        }
    })
}

fn outgoing(
    request: Request<RequestBody>,
    host: &str,
    path_and_query: &str,
) -> http::Result<Request<RequestBody>> {
    let (head, incoming) = request.into_parts();
    let upgrade = head.headers.get(header::UPGRADE).cloned();
    let mut new = Request::builder().method(head.method).uri(path_and_query).body(incoming)?;
    *new.headers_mut() = head.headers;
    let headers = new.headers_mut();
    for name in DROPPED {
        headers.remove(name);
    }
    let impersonation: Vec<_> =
        headers.keys().filter(|n| n.as_str().starts_with("impersonate-")).cloned().collect();
    for name in impersonation {
        headers.remove(name);
    }
    hop_by_hop(headers);
    if let Some(protocol) = upgrade {
        headers.insert(header::UPGRADE, protocol);
        headers.insert(header::CONNECTION, http::HeaderValue::from_static("Upgrade"));
    }
    headers.insert(header::HOST, host.try_into()?);
    Ok(new)
}

/// Headers that end at each hop.
fn hop_by_hop(headers: &mut HeaderMap) {
    for name in [header::CONNECTION, header::UPGRADE, header::TRANSFER_ENCODING, header::TE, header::TRAILER]
    {
        headers.remove(name);
    }
}

/// Copies both ways until either side closes.
async fn splice(client: hyper::upgrade::OnUpgrade, server: hyper::upgrade::OnUpgrade) {
    let (client, server) = match tokio::try_join!(client, server) {
        Ok(both) => both,
        Err(error) => {
            tracing::debug!(%error, "upgrade fails");
            return;
        }
    };
    let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
    if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut server).await {
        tracing::debug!(%error, "stream ends");
        // One side vanished: the other still gets a proper end. It may be gone as well.
        let _ = client.shutdown().await;
        let _ = server.shutdown().await;
    }
}
