//! The members of an etcd cluster. One is used until it fails, then the next.

use std::error::Error;
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stdx::clock::SharedClock;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Response, Status};

use super::{EtcdConfig, EtcdError};

/// For a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For an answer. etcd itself gives up after seven seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A quiet connection is tried this often, and is broken when there is no answer for so long. etcd closes connections
/// that are tried more often than every five seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Members {
    members: Vec<Member>,
    /// The place of the one in use.
    current: AtomicUsize,
    clock: SharedClock,
}

/// Its channels connect when they are needed, and again after they broke. Watches have one of their own, so that what they
/// bring at once delays no answer.
struct Member {
    url: String,
    calls: Channel,
    watches: Channel,
}

/// A write that brought no answer that says what became of it.
pub(super) enum Unwritten {
    /// etcd said no, or was never reached: nothing has changed.
    Refused(Status),
    /// It may have happened.
    Unknown(Status),
}

impl Members {
    /// Reads the files, connects to nobody.
    pub fn new(config: &EtcdConfig) -> Result<Self, EtcdError> {
        if config.servers.is_empty() {
            return Err(EtcdError::Config("--etcd-servers names no server".into()));
        }
        let tls = tls(config)?;
        let member = |url: &String| {
            let channel = || {
                connect(url, tls.clone()).map_err(|why| {
                    EtcdError::Config(format!("--etcd-servers {url}: {why}; write it as https://HOST:2379"))
                })
            };
            Ok(Member { url: url.clone(), calls: channel()?, watches: channel()? })
        };
        let members = config.servers.iter().map(member).collect::<Result<_, EtcdError>>()?;
        Ok(Members { members, current: AtomicUsize::new(0), clock: config.clock.clone() })
    }

    /// The one in use, and its place for [`Members::failed`].
    fn pick(&self) -> (usize, Channel) {
        let at = self.current.load(Ordering::Acquire) % self.members.len();
        (at, self.members[at].calls.clone())
    }

    /// The same, for watches.
    pub fn pick_for_watch(&self) -> (usize, Channel) {
        let at = self.current.load(Ordering::Acquire) % self.members.len();
        (at, self.members[at].watches.clone())
    }

    /// The one at this place does not do: the next shall.
    pub fn failed(&self, at: usize) {
        let next = (at + 1) % self.members.len();
        // Whoever was first has moved on already.
        let _ = self.current.compare_exchange(at, next, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Asks members in turn until one answers, each once and the first twice: its connection may only have broken.
    pub async fn read<T, F>(&self, mut call: impl FnMut(Channel) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut tries = self.members.len();
        loop {
            let (at, channel) = self.pick();
            match self.within(call(channel)).await {
                Err(status) if is_of_member(&status) => {
                    self.failed(at);
                    if tries == 0 {
                        return Err(status);
                    }
                    tries -= 1;
                }
                answer => return answer.map(Response::into_inner),
            }
        }
    }

    /// Asks one member; the next only if the first cannot have heard.
    pub async fn write<T, F>(&self, mut call: impl FnMut(Channel) -> F) -> Result<T, Unwritten>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut tries = self.members.len();
        loop {
            let (at, channel) = self.pick();
            let status = match self.within(call(channel)).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => status,
            };
            let unheard = is_unheard(&status);
            if is_of_member(&status) {
                self.failed(at);
            }
            match (unheard, tries) {
                (true, 1..) => tries -= 1,
                (false, _) if is_of_member(&status) => return Err(Unwritten::Unknown(status)),
                _ => return Err(Unwritten::Refused(status)),
            }
        }
    }

    pub async fn within<T>(&self, answer: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        tokio::select! {
            answer = answer => answer,
            () = self.clock.sleep(REQUEST_TIMEOUT) => Err(Status::deadline_exceeded("no answer in time")),
        }
    }

    /// An error in words.
    pub fn explain(&self, status: &Status) -> String {
        let what = describe(status);
        match is_of_member(status) {
            true => format!("etcd at {} does not answer: {what}", self.urls()),
            false => format!("etcd at {} refuses: {what}", self.urls()),
        }
    }

    /// Whether the first member answers and is the leader.
    #[cfg(test)]
    pub async fn leads(&self) -> bool {
        let mut client =
            super::rpc::maintenance_client::MaintenanceClient::new(self.members[0].calls.clone());
        let asked = client.status(super::rpc::StatusRequest {});
        let Ok(answer) = self.within(asked).await.map(Response::into_inner) else { return false };
        answer.leader != 0 && answer.header.is_some_and(|h| h.member_id == answer.leader)
    }

    fn urls(&self) -> String {
        self.members.iter().map(|m| &*m.url).collect::<Vec<_>>().join(", ")
    }
}

/// A request that a member refuses while it has no leader.
pub(super) fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("hasleader", tonic::metadata::MetadataValue::from_static("true"));
    request
}

/// What a status says, down to its cause.
pub(super) fn describe(status: &Status) -> String {
    let mut parts = vec![status.message().to_owned()];
    let mut source = status.source();
    while let Some(error) = source {
        let text = error.to_string();
        if parts.iter().all(|p| !p.contains(&text)) {
            parts.push(text);
        }
        source = error.source();
    }
    parts.retain(|p| !p.is_empty());
    parts.join(": ")
}

/// Whether another member may do better.
fn is_of_member(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::Aborted
    )
}

/// Whether the member cannot have done anything.
fn is_unheard(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        source = error.source();
    }
    // With `hasleader` this is decided before anything is proposed.
    status.code() == Code::Unavailable && status.message() == "etcdserver: no leader"
}

fn connect(url: &str, tls: Option<ClientTlsConfig>) -> Result<Channel, String> {
    let secure = match url.split_once("://") {
        Some(("http", _)) => false,
        Some(("https", _)) => true,
        _ => return Err("it is no http:// or https:// URL".into()),
    };
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|e| chain(&e))?;
    let mut endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    if secure {
        let tls = tls.unwrap_or_else(|| ClientTlsConfig::new().with_native_roots());
        endpoint = endpoint.tls_config(tls).map_err(|e| chain(&e))?;
    }
    Ok(endpoint.connect_lazy())
}

/// None when the files say nothing.
fn tls(config: &EtcdConfig) -> Result<Option<ClientTlsConfig>, EtcdError> {
    let (ca, cert, key) = (&config.ca_file, &config.cert_file, &config.key_file);
    if ca.is_none() && cert.is_none() && key.is_none() {
        return Ok(None);
    }
    let mut tls = ClientTlsConfig::new();
    tls = match ca {
        Some(file) => tls.ca_certificate(Certificate::from_pem(read("--etcd-cafile", file)?)),
        None => tls.with_native_roots(),
    };
    match (cert, key) {
        (Some(cert), Some(key)) => {
            let (cert, key) = (read("--etcd-certfile", cert)?, read("--etcd-keyfile", key)?);
            Ok(Some(tls.identity(Identity::from_pem(cert, key))))
        }
        (None, None) => Ok(Some(tls)),
        _ => Err(EtcdError::Config("--etcd-certfile and --etcd-keyfile belong together".into())),
    }
}

fn read(flag: &str, file: &Path) -> Result<Vec<u8>, EtcdError> {
    std::fs::read(file).map_err(|e| EtcdError::Config(format!("{flag} {}: {e}", file.display())))
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
