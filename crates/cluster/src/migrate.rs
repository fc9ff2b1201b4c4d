//! `knarr datastore migrate`: all objects from the file in a data directory to an etcd, or back.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use apimachinery::Revision;
use stdx::Tasks;
use stdx::clock::SharedClock;
use storage::migrate::{self, Copied, Rules};
use storage::{EmbeddedConfig, EmbeddedEngine, Engine, EtcdEngine};

use crate::datastore::{self, EtcdSettings};
use crate::masters;
use crate::progress::Progress;

/// Upstream's `--event-ttl`; a store that does not let them expire by itself keeps them.
const EVENT_TTL: Duration = Duration::from_secs(3600);

const RULES: Rules<'_> = Rules {
    copies: &|key| !key.starts_with(masters::PREFIX),
    ttl: &|key| key.starts_with("/registry/events/").then_some(EVENT_TTL),
};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    Etcd,
    Embedded,
}

/// Copies everything; no server may use either. The source stays as it is.
pub async fn run(
    data_dir: &Path,
    etcd: &EtcdSettings,
    to: To,
    clock: SharedClock,
    progress: &Progress,
) -> Result<Copied> {
    let dir = data_dir.join("db");
    let tasks = Tasks::new();
    let mut settings = etcd.engine(clock);
    settings.compaction_interval = None;
    if to == To::Etcd && !dir.join("store.db").exists() {
        bail!("there is no store in {}; name the server's --data-dir", dir.display());
    }
    let remote = datastore::reach(settings, progress, &tasks).await?;
    nobody(&remote).await?;
    if to == To::Embedded {
        let after = Revision(remote.current_revision().await?.0 + 1);
        let dir = dir.clone();
        tokio::task::spawn_blocking(move || storage::snapshot::begin_at(&dir, after))
            .await?
            .context("make the new store; move the old one away first")?;
    }
    let opened = tokio::task::spawn_blocking(move || EmbeddedEngine::open(EmbeddedConfig::new(dir))).await?;
    let local = opened.context("open the store in the data directory")?;
    let (source, target): (&dyn Engine, &dyn Engine) = match to {
        To::Etcd => (&local, &remote),
        To::Embedded => (&remote, &local),
    };
    let mut said = 0;
    let copied = migrate::copy(source, target, RULES, |revisions, keys| {
        if revisions > 0 {
            progress.print(&format!("raising etcd's revision: {revisions} to go\n"));
        } else if keys >= said + 10_000 {
            said = keys;
            progress.print(&format!("{keys} objects\n"));
        }
    })
    .await;
    local.close().await;
    remote.close().await;
    tasks.stop().await;
    Ok(copied?)
}

/// An API server that uses the etcd has an entry there, which goes when it stops.
async fn nobody(engine: &EtcdEngine) -> Result<()> {
    let request = storage::engine::ListRequest { prefix: masters::PREFIX.into(), ..Default::default() };
    match engine.list(request).await?.items.first() {
        None => Ok(()),
        Some(kv) => {
            let address = kv.key.trim_start_matches(masters::PREFIX);
            bail!(
                "the API server at {address} uses this etcd; stop all servers first (one that was killed is forgotten after 15 s)"
            )
        }
    }
}
