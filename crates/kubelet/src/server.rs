//! The kubelet's HTTPS server: container logs, the pods it runs, statistics; and the streaming endpoints, for whoever
//! is plugged in. Start at [`serve`]. Every request is authenticated and authorized.

mod about;
mod access;
mod logs;
mod metrics;
mod resource_metrics;
mod stats;

pub use logs::status_of;

use std::convert::Infallible;
use std::sync::Arc;

use apimachinery::Status;
use async_trait::async_trait;
use bytes::Bytes;
use codec::Kind as _;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use k8s_openapi::api::core::v1::Pod;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::config::{Plain, ServerConfig};
use crate::context::Context;
use crate::workers::Workers;

/// A response's body, sent as it comes.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// exec, attach and portForward.
#[async_trait]
pub trait Streaming: Send + Sync {
    /// Answers a request (usually by an upgrade) about something that exists.
    async fn serve(&self, request: Request<Incoming>, target: StreamTarget) -> Response<Body>;
}

/// What a streaming request is about, found and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamTarget {
    /// Ids as the runtime knows them. The query holds command, tty, stdin, …
    Exec {
        container: String,
    },
    Attach {
        container: String,
    },
    PortForward {
        sandbox: String,
    },
}

struct Server {
    context: Arc<Context>,
    workers: Arc<Workers>,
    config: ServerConfig,
}

/// Serves until dropped.
pub async fn serve(context: Arc<Context>, workers: Arc<Workers>, config: ServerConfig) {
    let acceptor = TlsAcceptor::from(config.tls.clone());
    let tasks = context.tasks.clone();
    let server = Arc::new(Server { context, workers, config });
    for n in 0..server.config.plain.len() {
        tasks.spawn_until_shutdown(server.clone().serve_plain(n));
    }
    loop {
        let stream = server.accept(&server.config.listener).await;
        tasks.spawn_until_shutdown(server.clone().connection(acceptor.clone(), stream));
    }
}

/// Time for the TLS handshake.
const HANDSHAKE: std::time::Duration = std::time::Duration::from_secs(10);

impl Server {
    async fn accept(&self, listener: &TcpListener) -> TcpStream {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return stream,
                Err(e) => {
                    // Out of descriptors, most likely: it passes.
                    tracing::warn!("cannot accept a connection: {e}");
                    self.context.clock.sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// The `n`th of the ports where anybody may read.
    async fn serve_plain(self: Arc<Self>, n: usize) {
        let (listener, what) = &self.config.plain[n];
        loop {
            let stream = self.accept(listener).await;
            let (server, what) = (self.clone(), *what);
            self.context.tasks.spawn_until_shutdown(async move {
                let service = service_fn(|request: Request<Incoming>| {
                    let server = server.clone();
                    async move { Ok::<_, Infallible>(server.read_only(what, &request).await) }
                });
                let builder = hyper::server::conn::http1::Builder::new();
                if let Err(e) = builder.serve_connection(TokioIo::new(stream), service).await {
                    tracing::debug!("a connection ended: {e}");
                }
            });
        }
    }

    /// Nothing that changes anything or shows what containers say.
    async fn read_only(&self, what: Plain, request: &Request<Incoming>) -> Response<Body> {
        if !matches!(*request.method(), http::Method::GET | http::Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "405: Method Not Allowed\n");
        }
        let parts: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
        let missing = || text(StatusCode::NOT_FOUND, "404 page not found\n");
        match (what, parts.as_slice()) {
            (_, ["healthz", ..]) => text(StatusCode::OK, "ok"),
            (Plain::Cadvisor, ["metrics"]) => {
                resource_metrics::cadvisor(&self.context, &self.workers.pods()).await
            }
            (Plain::Cadvisor, _) => missing(),
            (Plain::ReadOnly, ["pods"]) => self.pods(),
            (Plain::ReadOnly, ["metrics" | "stats", ..]) => {
                self.figures(&parts, request.uri().query()).await.unwrap_or_else(missing)
            }
            (Plain::ReadOnly, _) => missing(),
        }
    }

    /// What is measured; `None`: no such figures.
    async fn figures(&self, parts: &[&str], query: Option<&str>) -> Option<Response<Body>> {
        let (context, pods) = (&self.context, self.workers.pods());
        Some(match parts {
            ["metrics"] => metrics::metrics(context, &pods).await,
            ["metrics", "resource"] => resource_metrics::resource(context, &pods).await,
            ["metrics", "cadvisor"] => resource_metrics::cadvisor(context, &pods).await,
            ["stats", "summary"] => {
                let only = query.is_some_and(|q| q.contains("only_cpu_and_memory=true"));
                stats::summary(context, &pods, only).await
            }
            _ => return None,
        })
    }

    async fn connection(self: Arc<Self>, acceptor: TlsAcceptor, stream: TcpStream) {
        let handshake = tokio::select! {
            done = acceptor.accept(stream) => done,
            () = self.context.clock.sleep(HANDSHAKE) => return,
        };
        let stream = match handshake {
            Ok(stream) => stream,
            Err(e) => return tracing::debug!("TLS handshake failed: {e}"),
        };
        let certificates: Arc<Vec<Vec<u8>>> = Arc::new(
            stream
                .get_ref()
                .1
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .map(|c| c.as_ref().to_vec())
                .collect(),
        );
        let service = service_fn(move |request: Request<Incoming>| {
            let (server, certificates) = (self.clone(), certificates.clone());
            async move { Ok::<_, Infallible>(server.handle(request, &certificates).await) }
        });
        let builder = auto::Builder::new(TokioExecutor::new());
        if let Err(e) = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await {
            tracing::debug!("a connection ended: {e}");
        }
    }

    async fn handle(&self, request: Request<Incoming>, certificates: &[Vec<u8>]) -> Response<Body> {
        if let Err(refusal) =
            access::check(&self.config, &self.context.node_name, &request, certificates).await
        {
            return refusal;
        }
        let path = request.uri().path().to_owned();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let get = request.method() == http::Method::GET;
        match (parts.as_slice(), get) {
            (["healthz", ..], true) => text(StatusCode::OK, "ok"),
            (["pods"] | ["pods", ""], true) => self.pods(),
            (["runningpods"] | ["runningpods", ""], true) => about::running_pods(&self.context).await,
            (["configz"], true) => about::configz(&self.context),
            (["metrics" | "stats", ..], true) => {
                let figures = self.figures(&parts, request.uri().query()).await;
                figures.unwrap_or_else(|| text(StatusCode::NOT_FOUND, "404 page not found\n"))
            }
            (["containerLogs", namespace, pod, container], true) => {
                let found = self.pod(namespace, pod);
                logs::container_logs(&self.context, found, pod, container, request.uri().query()).await
            }
            (["exec" | "attach" | "portForward", ..], _) => self.stream(&parts, request).await,
            _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
        }
    }

    fn pod(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        let pods = self.workers.pods();
        let mut named = pods.into_iter().filter(|p| p.namespace() == namespace && p.name() == name);
        let first = named.next();
        // One that ends and its successor may be there together: the newer one is meant.
        named.fold(first, |best, pod| match &best {
            Some(b) if b.metadata.creation_timestamp >= pod.metadata.creation_timestamp => best,
            _ => Some(pod),
        })
    }

    fn pods(&self) -> Response<Body> {
        let pods = self.workers.pods();
        with_type(StatusCode::OK, "application/json", pod_list(pods.iter().map(|p| &**p)))
    }

    /// `/exec/NS/POD[/UID]/CONTAINER`, `/attach/…`, `/portForward/NS/POD[/UID]`
    async fn stream(&self, parts: &[&str], request: Request<Incoming>) -> Response<Body> {
        let Some(streaming) = &self.config.streaming else {
            let message = format!("{} is not served by this kubelet", parts[0]);
            return status(&Status::failure(501, "NotImplemented", message));
        };
        let (pod, container) = match parts {
            ["portForward", namespace, pod] | ["portForward", namespace, pod, _] => {
                (self.pod(namespace, pod), None)
            }
            [_, namespace, pod, container] | [_, namespace, pod, _, container] => {
                (self.pod(namespace, pod), Some(*container))
            }
            _ => return text(StatusCode::NOT_FOUND, "404 page not found\n"),
        };
        let Some(pod) = pod else { return text(StatusCode::NOT_FOUND, "pod does not exist\n") };
        match self.target(parts[0], &pod, container).await {
            Ok(target) => streaming.serve(request, target).await,
            Err(message) => text(StatusCode::NOT_FOUND, message + "\n"),
        }
    }

    async fn target(&self, verb: &str, pod: &Pod, container: Option<&str>) -> Result<StreamTarget, String> {
        let Some(name) = container else {
            let sandboxes = self.context.runtime.list_pod_sandboxes().await.map_err(|e| e.to_string())?;
            let own = sandboxes
                .into_iter()
                .filter(|s| s.metadata.uid == pod.uid() && s.state == cri::SandboxState::Ready);
            let newest = own
                .max_by_key(|s| s.created_at)
                .ok_or_else(|| format!("pod not found ({:?})", pod.name()))?;
            return Ok(StreamTarget::PortForward { sandbox: newest.id });
        };
        let id = logs::status_of(pod, name)
            .filter(|s| s.state.as_ref().is_some_and(|s| s.running.is_some()))
            .and_then(|s| s.container_id.clone())
            .and_then(|id| id.split_once("://").map(|(_, id)| id.to_owned()))
            .ok_or_else(|| format!("container not found ({name:?})"))?;
        Ok(match verb {
            "exec" => StreamTarget::Exec { container: id },
            _ => StreamTarget::Attach { container: id },
        })
    }
}

fn pod_list<'a>(pods: impl Iterator<Item = &'a Pod>) -> String {
    let items: Vec<String> = pods.map(|p| String::from_utf8_lossy(&p.to_json()).into_owned()).collect();
    format!(r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{}},"items":[{}]}}"#, items.join(","))
}

/// A whole body.
pub fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

fn with_type(code: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = code;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}

fn text(code: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    with_type(code, "text/plain; charset=utf-8", body)
}

fn status(status: &Status) -> Response<Body> {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    with_type(code, "application/json", serde_json::to_vec(status).unwrap_or_default())
}

#[cfg(test)]
mod tests;
