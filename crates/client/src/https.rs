//! The API over HTTPS: a [`Transport`] with one HTTP/2 connection (or, where the server has only HTTP/1.1, one for each request).
//! Start at [`HttpsTransport`]; [`kubeconfig`] says where and as whom.

mod connect;
mod credential;
pub mod kubeconfig;
mod mirror;
mod reflect;
mod request;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::{Gvr, Status};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use http::Uri;
use http_body_util::BodyExt;
use pki::tls::LiveIdentity;
use stdx::clock::SharedClock;
use stdx::{Random, Tasks};

use crate::transport::{Options, Request, Transport, View, ViewScope, WatchEvent};
use connect::Connection;
pub use connect::Servers;
pub use credential::{Credential, TokenSource};
use mirror::Mirror;

/// An answer that is not a watch comes within this time, or never.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a request is sent again because the server asked for patience.
const PATIENCE: u32 = 5;

/// Where the server is and who we are.
pub struct HttpsConfig {
    /// `https://host:port`, perhaps with a path before `/api`.
    pub server: Uri,
    /// PEM; who may vouch for the server. Empty only with an `http://` server.
    pub ca: String,
    /// The name to expect in the server's certificate, when it is not the host's.
    pub server_name: Option<String>,
    /// The client certificate, which may be replaced at any time.
    pub identity: Option<Arc<LiveIdentity>>,
    pub credential: Credential,
    /// e.g. `kubelet`
    pub user_agent: String,
}

/// The API over the wire, as one user. Cheap to clone.
#[derive(Clone)]
pub struct HttpsTransport(Arc<Shared>);

struct Shared {
    base: String,
    user_agent: String,
    credential: Credential,
    connection: Connection,
    clock: SharedClock,
    random: Random,
    tasks: Tasks,
    mirrors: Mutex<HashMap<(Gvr, ViewScope), Arc<Mirror>>>,
}

impl HttpsTransport {
    /// Connects when the first request needs it. Its connections and mirrors run in `tasks`.
    pub fn new(
        config: HttpsConfig,
        clock: SharedClock,
        random: Random,
        tasks: Tasks,
    ) -> anyhow::Result<Self> {
        Self::build(config, None, None, clock, random, tasks)
    }

    /// To whichever of `servers` answers; the one in `config` only names the scheme and the path.
    pub fn to_any(
        config: HttpsConfig,
        servers: Arc<Servers>,
        clock: SharedClock,
        random: Random,
        tasks: Tasks,
    ) -> anyhow::Result<Self> {
        Self::build(config, None, Some(servers), clock, random, tasks)
    }

    /// Believes whatever server answers: only to be told something that is checked by other means. `config`'s CA and identity
    /// are not used.
    pub fn unverified(
        config: HttpsConfig,
        clock: SharedClock,
        random: Random,
        tasks: Tasks,
    ) -> anyhow::Result<Self> {
        let client = pki::tls::unverified_client_config(None)?;
        Self::build(config, Some(client), None, clock, random, tasks)
    }

    fn build(
        config: HttpsConfig,
        client: Option<rustls::ClientConfig>,
        servers: Option<Arc<Servers>>,
        clock: SharedClock,
        random: Random,
        tasks: Tasks,
    ) -> anyhow::Result<Self> {
        let connection = Connection::new(&config, client, servers, clock.clone(), tasks.clone())
            .context("prepare the connection")?;
        let base = config.server.to_string().trim_end_matches('/').to_owned();
        Ok(HttpsTransport(Arc::new(Shared {
            base,
            user_agent: config.user_agent,
            credential: config.credential,
            connection,
            clock,
            random,
            tasks,
            mirrors: Mutex::default(),
        })))
    }

    /// Shows a client certificate that was replaced: requests from now on go over a new connection.
    pub async fn reconnect(&self) {
        self.0.connection.renew().await;
    }

    /// What the server's clock says, to the second, by the date of whatever it answers. `None`: it does not tell.
    pub async fn server_time(&self) -> Result<Option<jiff::Timestamp>, Status> {
        let request = self.0.build(http::Method::GET, "/version", "", Bytes::new()).await?;
        let exchange = self.0.connection.send(request);
        let response = tokio::select! {
            response = exchange => response?,
            () = self.0.clock.sleep(TIMEOUT) => return Err(Status::timeout("the API server does not answer")),
        };
        let date = response.headers().get(http::header::DATE).and_then(|d| d.to_str().ok());
        Ok(date.and_then(|d| jiff::fmt::rfc2822::parse(d).ok()).map(|zoned| zoned.timestamp()))
    }

    /// As [`Transport::send`], whatever the path: the way to what is no resource, such as `/version`.
    pub async fn get_path(&self, path: &str) -> Result<Bytes, Status> {
        let request = self.0.build(http::Method::GET, path, "", Bytes::new()).await?;
        self.0.answer(request).await
    }
}

impl Shared {
    async fn build(
        &self,
        method: http::Method,
        path_and_query: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<http::Request<Bytes>, Status> {
        let mut builder = http::Request::builder()
            .method(method)
            .uri(format!("{}{path_and_query}", self.base))
            .header(http::header::USER_AGENT, &self.user_agent)
            .header(http::header::ACCEPT, "application/json");
        if !content_type.is_empty() {
            builder = builder.header(http::header::CONTENT_TYPE, content_type);
        }
        if let Some(token) = self.credential.token(&self.clock).await? {
            builder = builder.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
        }
        builder.body(body).map_err(|e| Status::bad_request(format!("build the request: {e}")))
    }

    /// Sends and reads the whole answer, within [`TIMEOUT`].
    async fn answer(&self, request: http::Request<Bytes>) -> Result<Bytes, Status> {
        let exchange = async {
            let response = self.connection.send(request).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|e| unreachable("read the answer", &e))?.to_bytes();
            if head.status.is_success() { Ok(body) } else { Err(request::failure(head.status, &body)) }
        };
        tokio::select! {
            answer = exchange => answer,
            () = self.clock.sleep(TIMEOUT) => Err(Status::timeout("the API server does not answer")),
        }
    }

    async fn send(&self, request: &Request) -> Result<Bytes, Status> {
        let (method, content_type) = request::method(request);
        let path = request::path(&request.gvr, &request.namespace, &request.name, &request.subresource);
        let query = request::query(&request.options, &[]);
        let built = self.build(method, &format!("{path}{query}"), content_type, request.body.clone()).await?;
        self.answer(built).await
    }
}

#[async_trait]
impl Transport for HttpsTransport {
    async fn send(&self, request: Request) -> Result<Bytes, Status> {
        for _ in 0..PATIENCE {
            match self.0.send(&request).await {
                // An eviction that budgets forbid is an answer, not a busy server.
                Err(e) if e.code == 429 && request.subresource != "eviction" => {
                    let seconds = e.details.as_ref().map_or(1, |d| d.retry_after_seconds.max(1));
                    self.0.clock.sleep(Duration::from_secs(seconds.into())).await;
                }
                answer => return answer,
            }
        }
        self.0.send(&request).await
    }

    async fn watch(
        &self,
        gvr: &Gvr,
        namespace: &str,
        options: &Options,
    ) -> Result<BoxStream<'static, WatchEvent>, Status> {
        watch::open(&self.0, gvr, namespace, options).await
    }

    fn reflect(&self, gvr: &Gvr, scope: &ViewScope) -> Arc<dyn View> {
        let mut mirrors = self.0.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        let mirror = mirrors.entry((gvr.clone(), scope.clone())).or_insert_with(|| {
            let mirror = Arc::new(Mirror::new(gvr, self.0.clock.clone()));
            let task = reflect::Reflector {
                transport: self.clone(),
                gvr: gvr.clone(),
                scope: scope.clone(),
                mirror: mirror.clone(),
                clock: self.0.clock.clone(),
                random: self.0.random.clone(),
            };
            self.0.tasks.spawn_until_shutdown(task.run());
            mirror
        });
        mirror.clone()
    }
}

/// A failure below HTTP, which says nothing of the request.
fn unreachable(doing: &str, error: &dyn std::fmt::Display) -> Status {
    Status::service_unavailable(format!("{doing}: {error}"))
}
