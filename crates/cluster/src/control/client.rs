//! The asking end.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;

use super::{Failure, ImageRow, Row};
use crate::config::control_socket;

/// Asks the server of one run directory.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    pub fn new(run_dir: &Path) -> Self {
        Client { socket: control_socket(run_dir) }
    }

    pub async fn ps(&self, all: bool) -> Result<Vec<Row>> {
        self.call(Method::GET, if all { "/ps?all" } else { "/ps" }, Value::Null).await
    }

    pub async fn inspect(&self, id: &str) -> Result<Value> {
        self.call(Method::POST, "/inspect", Value::from(id)).await
    }

    pub async fn images(&self) -> Result<Vec<ImageRow>> {
        self.call(Method::GET, "/images", Value::Null).await
    }

    /// Loads an archive; the server must be able to read the path. Returns the names of its images.
    pub async fn load(&self, archive: &Path) -> Result<Vec<String>> {
        self.call(Method::POST, "/images/load", Value::from(archive.to_string_lossy())).await
    }

    pub async fn remove_image(&self, image: &str) -> Result<()> {
        self.call(Method::POST, "/images/remove", Value::from(image)).await
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Value) -> Result<T> {
        let stream = UnixStream::connect(&self.socket).await.with_context(|| {
            format!(
                "no knarr server answers on {} (is it running? did it get another --data-dir?)",
                self.socket.display()
            )
        })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .body(Full::new(Bytes::from(body.to_string())))?;
        let exchange = async {
            let response = sender.send_request(request).await?;
            let ok = response.status().is_success();
            let bytes = response.into_body().collect().await?.to_bytes();
            anyhow::Ok((ok, bytes))
        };
        let (ok, bytes) = tokio::select! {
            answer = exchange => answer?,
            ended = connection => {
                ended?;
                bail!("the server closed the connection");
            }
        };
        if !ok {
            let failure: Failure = serde_json::from_slice(&bytes).context("unreadable answer")?;
            bail!(failure.error);
        }
        serde_json::from_slice(&bytes).context("unreadable answer")
    }
}
