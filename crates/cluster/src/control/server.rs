//! The answering end.

use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use cri::ImageService;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use stdx::Tasks;
use stdx::clock::SharedClock;
use tokio::net::{UnixListener, UnixStream};

use super::{Failure, ImageRow, inspect};

/// What the socket shows.
pub struct Node {
    pub runtime: Arc<runtime::Runtime>,
    pub clock: SharedClock,
}

/// Listens on `socket` until the tasks are stopped. A socket left by a dead server is replaced: the data directory's lock has
/// already shown that no other lives.
pub fn serve(node: Arc<Node>, socket: &Path, tasks: &Tasks) -> Result<()> {
    if let Err(e) = std::fs::remove_file(socket)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        return Err(e).with_context(|| format!("remove {}", socket.display()));
    }
    let listener = UnixListener::bind(socket).with_context(|| format!("listen on {}", socket.display()))?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("protect {}", socket.display()))?;
    let connections = tasks.clone();
    tasks.spawn_until_shutdown(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => connections.spawn_until_shutdown(connection(node.clone(), stream)),
                Err(error) => tracing::warn!(%error, "cannot accept on the control socket"),
            }
        }
    });
    Ok(())
}

async fn connection(node: Arc<Node>, stream: UnixStream) {
    let service = service_fn(move |request| {
        let node = node.clone();
        async move { Ok::<_, Infallible>(respond(&node, request).await) }
    });
    let served =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "control connection ended");
    }
}

async fn respond(node: &Node, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, value) = match answer(node, request).await {
        Ok(value) => (200, value),
        Err(error) => (400, json!(Failure { error: format!("{error:#}") })),
    };
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    response
}

/// Requests are a path and one JSON string.
const BODY_MAX: usize = 64 << 10;

async fn answer(node: &Node, request: Request<Incoming>) -> Result<Value> {
    let (parts, body) = request.into_parts();
    let body =
        Limited::new(body, BODY_MAX).collect().await.map_err(|e| anyhow::anyhow!("read the request: {e}"))?;
    let argument: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    let text = argument.as_str().unwrap_or_default();
    match (&parts.method, parts.uri.path()) {
        (&Method::GET, "/ps") => Ok(json!(inspect::rows(node, parts.uri.query() == Some("all")).await?)),
        (&Method::POST, "/inspect") => inspect::object(node, text).await,
        (&Method::GET, "/images") => {
            let images = node.runtime.list_images().await?;
            let rows = images.into_iter().map(|i| ImageRow { id: i.id, names: i.repo_tags, size: i.size });
            Ok(json!(rows.collect::<Vec<_>>()))
        }
        (&Method::POST, "/images/load") => Ok(json!(node.runtime.load_archive(Path::new(text)).await?)),
        (&Method::POST, "/images/remove") => {
            if node.runtime.image_status(text).await?.is_none() {
                bail!("no image {text:?} on this node; `knarr image ls` lists them");
            }
            node.runtime.remove_image(text).await?;
            Ok(Value::Null)
        }
        (method, path) => bail!("this server does not know {method} {path}; is it of another version?"),
    }
}
