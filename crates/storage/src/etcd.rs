//! The engine for many servers: a real etcd, spoken to over its v3 API. Start at [`EtcdEngine`].
//!
//! One watch over the whole prefix feeds all streams ([`follow`]), so that events of all resources come in one order and
//! one position says how far the caches are; what a slow stream has missed is read from etcd's own history
//! ([`history`]). Writes are transactions on mod_revision. `members` picks a member and goes on to the next when it
//! fails, `keys` is upstream's layout below a prefix, `lease` lets Events expire, `compact` forgets history by upstream's
//! protocol, `progress` knows which servers can be asked how far a watch is.

mod compact;
mod follow;
mod history;
mod keys;
mod lease;
mod members;
mod progress;
#[allow(clippy::all, rustdoc::all, unreachable_pub)]
mod rpc;
mod txn;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apimachinery::Revision;
use async_trait::async_trait;
use stdx::Tasks;
use stdx::clock::SharedClock;
use tokio_util::sync::CancellationToken;

use crate::engine::{
    CommitError, Engine, EventStream, Freshness, KeyValue, ListPage, ListRequest, ReadError, Txn, check_size,
};
use crate::feed::Feed;
use keys::Keys;
use members::{Members, describe};
use rpc::kv_client::KvClient;

/// Keys of a list that are asked for at once.
const PAGE: usize = 1000;

/// How long a read waits for the watch where etcd can be asked how far it is: upstream's time.
const PATIENCE: Duration = Duration::from_secs(3);

/// The same where it cannot: events are rarely later, and when they are nobody can tell whether there are any.
const PATIENCE_UNTOLD: Duration = Duration::from_millis(50);

/// Where etcd is, and what is kept there.
#[derive(Clone, Debug)]
pub struct EtcdConfig {
    /// `http://HOST:PORT` or `https://HOST:PORT`, one at least. All members of one cluster.
    pub servers: Vec<String>,
    /// Which keys are kept, and below which of etcd's: `/registry` below `/registry`, as upstream.
    pub root: String,
    pub prefix: String,
    /// PEM files. Without an authority the machine's own are trusted.
    pub ca_file: Option<PathBuf>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// How often history is forgotten, as upstream does it: two times that much is kept. None: by somebody else.
    pub compaction_interval: Option<Duration>,
    pub clock: SharedClock,
}

impl EtcdConfig {
    /// Upstream's defaults.
    pub fn new(servers: Vec<String>, clock: SharedClock) -> Self {
        EtcdConfig {
            servers,
            root: "/registry".into(),
            prefix: "/registry".into(),
            ca_file: None,
            cert_file: None,
            key_file: None,
            compaction_interval: Some(Duration::from_secs(300)),
            clock,
        }
    }
}

/// Why etcd cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// Trying again does not help.
    #[error("{0}")]
    Config(String),
    /// It may answer later.
    #[error("{0}")]
    Away(String),
}

/// Keys and values in etcd.
pub struct EtcdEngine {
    shared: Arc<Shared>,
}

/// What the engine and its tasks share.
struct Shared {
    members: Members,
    keys: Keys,
    feed: Arc<Feed>,
    /// What is known to be the first revision that can be listed at.
    oldest: AtomicU64,
    progress: progress::Progress,
    leases: lease::Leases,
    /// Why the watch does not get on.
    trouble: Mutex<Option<String>>,
    closed: CancellationToken,
    clock: SharedClock,
}

impl EtcdEngine {
    /// Connects, and follows etcd in tasks of `tasks`. What was written before is in the streams when it returns.
    pub async fn open(config: EtcdConfig, tasks: &Tasks) -> Result<Self, EtcdError> {
        let members = Members::new(&config)?;
        let keys = Keys::new(&config.root, &config.prefix);
        let start = compact::last(&members).await.map_err(|s| EtcdError::Away(members.explain(&s)))?;
        let shared = Arc::new(Shared {
            members,
            keys,
            feed: Feed::new(start),
            oldest: AtomicU64::new(start.0),
            progress: progress::Progress::default(),
            leases: lease::Leases::default(),
            trouble: Mutex::default(),
            closed: CancellationToken::new(),
            clock: config.clock,
        });
        let away = |e: ReadError| EtcdError::Away(e.to_string());
        let written = shared.write_marker().await.map_err(away)?;
        tasks.spawn_until_shutdown(follow::run(shared.clone()));
        if let Some(interval) = config.compaction_interval {
            tasks.spawn_until_shutdown(compact::run(shared.clone(), interval));
        }
        match shared.feed.reached(written).await {
            true => Ok(EtcdEngine { shared }),
            false => Err(EtcdError::Away("the server is stopping".into())),
        }
    }

    /// What is wrong with etcd, as far as the watch can tell.
    pub fn health(&self) -> Result<(), String> {
        match &*self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(why) => Err(why.clone()),
        }
    }
}

impl Drop for EtcdEngine {
    fn drop(&mut self) {
        self.shared.close();
    }
}

#[async_trait]
impl Engine for EtcdEngine {
    async fn get(&self, key: &str) -> Result<Option<KeyValue>, ReadError> {
        let request = rpc::RangeRequest { key: self.shared.keys.outer(key), ..Default::default() };
        let found = self.shared.range(request, Revision(0)).await?.kvs.pop();
        Ok(found.map(|kv| KeyValue { key: key.into(), value: kv.value, revision: revision(kv.mod_revision) }))
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage, ReadError> {
        self.shared.list(request).await
    }

    async fn commit(&self, txn: Txn) -> Result<Revision, CommitError> {
        check_size(&txn)?;
        if self.shared.closed.is_cancelled() {
            return Err(CommitError::Unavailable("the store is closed".into()));
        }
        txn::commit(&self.shared, txn).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<EventStream, ReadError> {
        self.shared.check(after)?;
        Ok(self.shared.feed.stream(self.shared.clone(), prefix, after))
    }

    async fn compact(&self, revision: Revision) -> Result<(), ReadError> {
        compact::now(&self.shared, revision).await
    }

    async fn current_revision(&self) -> Result<Revision, ReadError> {
        let key = self.shared.keys.marker();
        let request = rpc::RangeRequest { key, count_only: true, ..Default::default() };
        Ok(header(self.shared.range(request, Revision(0)).await?.header))
    }

    fn oldest_revision(&self) -> Revision {
        Revision(self.shared.oldest.load(Ordering::Acquire))
    }

    fn history_start(&self) -> Revision {
        self.oldest_revision().max(self.shared.feed.floor())
    }

    async fn delivered(&self) -> Result<Revision, ReadError> {
        Ok(self.shared.feed.head())
    }

    fn freshness(&self) -> Freshness {
        let told = self.shared.progress.is_told();
        Freshness::Remote { patience: if told { PATIENCE } else { PATIENCE_UNTOLD } }
    }

    async fn nudge(&self) {
        if self.shared.progress.is_told() {
            self.shared.progress.ask();
        } else if let Some(_turn) = self.shared.progress.turn()
            && let Err(error) = self.shared.write_marker().await
        {
            tracing::debug!(%error, "cannot mark how far etcd is");
        }
    }

    fn keeps_last(&self) -> bool {
        false
    }

    fn expires(&self) -> bool {
        true
    }

    async fn close(&self) {
        self.shared.close();
    }
}

impl Shared {
    fn close(&self) {
        self.closed.cancel();
        self.feed.close();
    }

    /// Whether `at` can still be listed at, as far as is known.
    fn check(&self, at: Revision) -> Result<(), ReadError> {
        let oldest = Revision(self.oldest.load(Ordering::Acquire));
        match at < oldest {
            true => Err(ReadError::Compacted { requested: at, oldest }),
            false => Ok(()),
        }
    }

    fn compacted_to(&self, revision: Revision) {
        self.oldest.fetch_max(revision.0, Ordering::AcqRel);
    }

    /// A linearizable read, or one `at` a revision.
    async fn range(&self, request: rpc::RangeRequest, at: Revision) -> Result<rpc::RangeResponse, ReadError> {
        if self.closed.is_cancelled() {
            return Err(ReadError::Unavailable("the store is closed".into()));
        }
        let request = rpc::RangeRequest { revision: at.0 as i64, ..request };
        let read = self.members.read(|channel| {
            let request = members::request(request.clone());
            async move { KvClient::new(channel).max_decoding_message_size(usize::MAX).range(request).await }
        });
        match read.await {
            Ok(response) => Ok(response),
            Err(status) if is_compacted(&status) => {
                self.compacted_to(history::oldest(self).await?);
                let oldest = Revision(self.oldest.load(Ordering::Acquire));
                Err(ReadError::Compacted { requested: at, oldest })
            }
            Err(status) => Err(ReadError::Unavailable(self.members.explain(&status))),
        }
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage, ReadError> {
        let mut at = request.at.unwrap_or_default();
        if request.at.is_some() {
            self.check(at)?;
        }
        let (first, end) = self.keys.range(&request.prefix);
        let mut key = match &request.after {
            Some(after) => first.max(behind(&self.keys.outer(after))),
            None => first,
        };
        let limit = if request.limit == 0 { PAGE } else { request.limit };
        let mut page = ListPage { items: Vec::new(), more: false, revision: at };
        loop {
            let range = rpc::RangeRequest {
                key: key.clone(),
                range_end: end.clone(),
                limit: limit as i64,
                ..Default::default()
            };
            let response = self.range(range, at).await?;
            if at == Revision(0) {
                at = header(response.header);
                page.revision = at;
            }
            let last = response.kvs.last().map(|kv| behind(&kv.key));
            page.items.extend(response.kvs.into_iter().filter_map(|kv| {
                let revision = revision(kv.mod_revision);
                Some(KeyValue { key: self.keys.inner(&kv.key)?, value: kv.value, revision })
            }));
            match last {
                Some(next) if response.more && request.limit == 0 => key = next,
                _ => {
                    page.more = response.more;
                    return Ok(page);
                }
            }
        }
    }

    /// Writes a key that the watch sees and nobody else: when its event has come, all before it have.
    async fn write_marker(&self) -> Result<Revision, ReadError> {
        let request = rpc::PutRequest { key: self.keys.marker(), ..Default::default() };
        // It may be written twice, so this is tried again as a read is.
        let put = self.members.read(|channel| {
            let request = members::request(request.clone());
            async move { KvClient::new(channel).put(request).await }
        });
        let response = put.await.map_err(|s| ReadError::Unavailable(self.members.explain(&s)))?;
        Ok(header(response.header))
    }
}

/// etcd's numbers are signed, but never negative.
fn revision(number: i64) -> Revision {
    Revision(number.max(0) as u64)
}

fn header(header: Option<rpc::ResponseHeader>) -> Revision {
    revision(header.map_or(0, |h| h.revision))
}

/// The first key behind one.
fn behind(key: &[u8]) -> bytes::Bytes {
    [key, b"\0"].concat().into()
}

fn is_compacted(status: &tonic::Status) -> bool {
    status.code() == tonic::Code::OutOfRange && status.message().contains("has been compacted")
}

#[cfg(test)]
mod tests;
