//! HTTP to any path of an API server, as a person's tools need it: every header, streams, upgrades, proxies. Start at [`Wire`].
//!
//! Components use [`crate::https`], which speaks of resources; this speaks HTTP/1.1, keeps a connection for the next request, and
//! leaves it to the caller to know what an answer means.

mod dial;
mod verify;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use stdx::clock::SharedClock;
use stdx::{SystemClock, Tasks};

/// Where the server is, and how to believe it.
#[derive(Clone, Debug, Default)]
pub struct Target {
    pub server: Uri,
    /// PEM of who may vouch for the server; none: the machine's own authorities.
    pub authority: Option<String>,
    /// The name to expect in the server's certificate, when it is not the host's.
    pub server_name: Option<String>,
    /// Believe any certificate.
    pub insecure: bool,
    /// PEM of certificate chain and key that say who we are.
    pub identity: Option<(String, String)>,
    /// `http://`, `https://` or `socks5://`.
    pub proxy: Option<Uri>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// Nobody listens at that address.
    Refused(String),
    /// The address cannot be found or reached; in Go's words.
    Dial(String),
    /// The server is not whom we trust, or does not trust us; in Go's words.
    Tls(String),
    /// It went wrong after the connection was there.
    Http(String),
    /// Configuration that cannot be used.
    Target(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Refused(address) => write!(f, "dial tcp {address}: connect: connection refused"),
            Failure::Dial(text) | Failure::Tls(text) | Failure::Http(text) | Failure::Target(text) => {
                f.write_str(text)
            }
        }
    }
}

impl std::error::Error for Failure {}

type Sender = http1::SendRequest<Full<Bytes>>;

const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

/// HTTP to one server.
pub struct Wire {
    target: Target,
    tls: std::sync::OnceLock<tokio_rustls::TlsConnector>,
    idle: Mutex<Vec<Sender>>,
    tasks: Tasks,
    clock: SharedClock,
}

impl Wire {
    /// Dials when the first request needs it; connections run in `tasks`.
    pub fn new(target: Target, tasks: Tasks) -> Self {
        Wire {
            target,
            tls: std::sync::OnceLock::new(),
            idle: Mutex::default(),
            tasks,
            clock: SystemClock::shared(),
        }
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Sends a request whose URI is a path with query, and returns the answer's head and the body to be read.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Answer, Failure> {
        let request = self.prepared(request)?;
        // A connection that idles may have been closed by the server in the meantime: then a new one serves.
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut sender) = kept else { break };
            if sender.ready().await.is_err() {
                continue;
            }
            if let Ok(response) = sender.send_request(request.clone()).await {
                return Ok(Answer { response, sender });
            }
        }
        let mut sender = self.connect().await?;
        let response = sender.send_request(request).await.map_err(|e| Failure::Http(said(&e)))?;
        Ok(Answer { response, sender })
    }

    /// A request that may end in another protocol: on a connection of its own.
    pub async fn upgrade(&self, request: Request<Bytes>) -> Result<Response<Incoming>, Failure> {
        let request = self.prepared(request)?;
        let mut sender = self.connect().await?;
        sender.send_request(request).await.map_err(|e| Failure::Http(said(&e)))
    }

    /// Takes back the connection of an answer that was read to its end.
    pub fn keep(&self, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < 4 && !sender.is_closed() {
            idle.push(sender);
        }
    }

    fn prepared(&self, request: Request<Bytes>) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = request.map(Full::new);
        let host = self.target.server.authority().map_or("", |a| a.as_str());
        let host = HeaderValue::from_str(host).map_err(|e| Failure::Target(e.to_string()))?;
        request.headers_mut().insert(header::HOST, host);
        Ok(request)
    }

    async fn connect(&self) -> Result<Sender, Failure> {
        let stream = tokio::select! {
            stream = dial::open(&self.target, &self.tls) => stream?,
            () = self.clock.sleep(DIAL_TIMEOUT) => {
                let (host, port) = dial::place(&self.target.server)?;
                return Err(Failure::Dial(format!("dial tcp {}: i/o timeout", dial::joined(&host, port))));
            }
        };
        let made = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = made.map_err(|e| Failure::Http(said(&e)))?;
        self.tasks.spawn_until_shutdown(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "the connection to the API server ended");
            }
        });
        Ok(sender)
    }
}

/// An answer, and the connection that it comes on.
pub struct Answer {
    pub response: Response<Incoming>,
    pub sender: Sender,
}

/// What hyper says, in Go's words where kubectl's users know them.
fn said(error: &hyper::Error) -> String {
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return "EOF".into();
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(tls) = verify::said(inner) {
            return tls;
        }
        text = inner.to_string();
        source = inner.source();
    }
    text
}
