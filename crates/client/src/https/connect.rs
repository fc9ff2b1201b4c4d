//! The connection to the API server: opened when needed, shared as long as it lives, opened again when it broke.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use apimachinery::Status;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use stdx::Tasks;
use stdx::clock::SharedClock;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use super::{HttpsConfig, unreachable};

const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// A server that vanished without a word is noticed within the sum of these.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

type Body = Full<Bytes>;

pub(super) struct Connection {
    servers: Arc<Servers>,
    tls: Option<Tls>,
    clock: SharedClock,
    tasks: Tasks,
    shared: Mutex<Option<http2::SendRequest<Body>>>,
}

/// With whom TLS is spoken: the name that is expected, else the host's.
struct Tls {
    connector: TlsConnector,
    name: Option<ServerName<'static>>,
}

/// Where the API servers are: all serve the same cluster, and any of them will do. May be changed at any time.
#[derive(Debug)]
pub struct Servers(Mutex<Vec<(String, u16)>>);

impl Servers {
    /// In the order in which they are tried.
    pub fn new(addresses: Vec<(String, u16)>) -> Self {
        Servers(Mutex::new(addresses))
    }

    /// The one that answered last stays the first.
    pub async fn replace(&self, addresses: Vec<(String, u16)>) {
        let mut list = self.0.lock().await;
        let first = list.first().filter(|f| addresses.contains(f)).cloned();
        let others = addresses.into_iter().filter(|a| Some(a) != first.as_ref());
        *list = first.iter().cloned().chain(others).collect();
    }

    async fn all(&self) -> Vec<(String, u16)> {
        self.0.lock().await.clone()
    }

    async fn prefer(&self, server: &(String, u16)) {
        let mut list = self.0.lock().await;
        if let Some(at) = list.iter().position(|s| s == server) {
            list[..=at].rotate_right(1);
        }
    }
}

/// What the server speaks.
enum Opened {
    Two(http2::SendRequest<Body>),
    One(http1::SendRequest<Body>),
}

trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Stream for T {}

impl Connection {
    /// Through `client`, where TLS is spoken. `servers`: others than the one of the configuration.
    pub(super) fn new(
        config: &HttpsConfig,
        client: Option<ClientConfig>,
        servers: Option<Arc<Servers>>,
        clock: SharedClock,
        tasks: Tasks,
    ) -> anyhow::Result<Self> {
        let host = config.server.host().ok_or_else(|| anyhow!("{} names no host", config.server))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let secure = match config.server.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(anyhow!("{} is neither https:// nor http://", config.server)),
        };
        let tls = if secure { Some(tls(config, client)?) } else { None };
        let port = config.server.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let servers = servers.unwrap_or_else(|| Arc::new(Servers::new(vec![(host, port)])));
        Ok(Connection { servers, tls, clock, tasks, shared: Mutex::default() })
    }

    /// Requests from now on go over a new connection; those under way end as they are.
    pub(super) async fn renew(&self) {
        *self.shared.lock().await = None;
    }

    /// Sends a request; its answer's head, as soon as it comes.
    pub(super) async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Incoming>, Status> {
        let request = request.map(Full::new);
        match self.open().await.map_err(|e| unreachable("connect to the API server", &format!("{e:#}")))? {
            Opened::Two(mut sender) => {
                let answer = sender.send_request(request).await;
                answer.map_err(|e| unreachable("ask the API server", &e))
            }
            Opened::One(mut sender) => {
                let answer = sender.send_request(origin_form(request)?).await;
                answer.map_err(|e| unreachable("ask the API server", &e))
            }
        }
    }

    async fn open(&self) -> anyhow::Result<Opened> {
        let mut shared = self.shared.lock().await;
        if let Some(sender) = shared.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(Opened::Two(sender.clone()));
        }
        *shared = None;
        let (stream, h2) = self.dial_any().await?;
        let io = TokioIo::new(stream);
        if !h2 {
            let (sender, connection) = http1::handshake(io).await.context("start HTTP/1.1")?;
            self.drive(connection);
            return Ok(Opened::One(sender));
        }
        let (sender, connection) = http2::Builder::new(Executor(self.tasks.clone()))
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .handshake(io)
            .await
            .context("start HTTP/2")?;
        self.drive(connection);
        *shared = Some(sender.clone());
        Ok(Opened::Two(sender))
    }

    fn drive(&self, connection: impl Future<Output = Result<(), hyper::Error>> + Send + 'static) {
        self.tasks.spawn_until_shutdown(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the API server ended");
            }
        });
    }

    /// The first server that answers, which is then preferred.
    async fn dial_any(&self) -> anyhow::Result<(Box<dyn Stream>, bool)> {
        let mut failed = None;
        for server in self.servers.all().await {
            let (host, port) = &server;
            let dialled = tokio::select! {
                dialled = self.dial(host, *port) => dialled,
                () = self.clock.sleep(DIAL_TIMEOUT) => Err(anyhow!("dial {host}:{port}: timed out")),
            };
            match dialled {
                Ok(stream) => {
                    self.servers.prefer(&server).await;
                    return Ok(stream);
                }
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| anyhow!("no API server is known")))
    }

    /// A stream, and whether HTTP/2 was agreed on.
    async fn dial(&self, host: &str, port: u16) -> anyhow::Result<(Box<dyn Stream>, bool)> {
        let tcp = TcpStream::connect((host, port)).await.with_context(|| format!("dial {host}:{port}"))?;
        tcp.set_nodelay(true).context("set TCP_NODELAY")?;
        let Some(tls) = &self.tls else { return Ok((Box::new(tcp), false)) };
        let name = match &tls.name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).context("the server's name")?,
        };
        let stream = tls.connector.connect(name, tcp).await.context("TLS handshake")?;
        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Box::new(stream), h2))
    }
}

fn tls(config: &HttpsConfig, client: Option<ClientConfig>) -> anyhow::Result<Tls> {
    let mut client = match client {
        Some(client) => client,
        None => pki::tls::client_config(&config.ca, config.identity.clone())?,
    };
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name =
        config.server_name.clone().map(ServerName::try_from).transpose().context("the server's name")?;
    Ok(Tls { connector: TlsConnector::from(Arc::new(client)), name })
}

/// HTTP/1.1 names the host in a header and only the path in the first line.
fn origin_form(mut request: http::Request<Body>) -> Result<http::Request<Body>, Status> {
    let uri = request.uri().clone();
    let bad = |e: &dyn std::fmt::Display| Status::bad_request(format!("build the request: {e}"));
    if let Some(authority) = uri.authority() {
        let host = authority.as_str().parse().map_err(|e| bad(&e as &dyn std::fmt::Display))?;
        request.headers_mut().insert(http::header::HOST, host);
    }
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    *request.uri_mut() = path.parse().map_err(|e| bad(&e as &dyn std::fmt::Display))?;
    Ok(request)
}

/// hyper's own tasks belong to our group.
#[derive(Clone)]
struct Executor(Tasks);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn_until_shutdown(task);
    }
}
