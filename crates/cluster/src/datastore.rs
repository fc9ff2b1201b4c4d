//! Where a server keeps its objects: a file of its own, or an etcd that it shares with other servers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use stdx::Tasks;
use stdx::clock::SharedClock;
use storage::{
    DirLock, EmbeddedConfig, EmbeddedEngine, Engine, EtcdConfig, EtcdEngine, EtcdError, StoreConfig,
};

use crate::config::ServerConfig;
use crate::progress::Progress;

/// Between attempts to reach etcd at the start.
const PAUSE: Duration = Duration::from_secs(1);

/// Upstream's etcd flags.
#[derive(Clone, Debug)]
pub struct EtcdSettings {
    /// `--etcd-servers`
    pub servers: Vec<String>,
    pub prefix: String,
    pub ca_file: Option<PathBuf>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// Zero: somebody else compacts.
    pub compaction_interval: Duration,
}

impl EtcdSettings {
    /// Fails on what cannot work, naming the flag.
    pub fn validate(&self) -> Result<()> {
        if self.prefix.trim_matches('/').is_empty() {
            bail!("--etcd-prefix must name a path, such as /registry");
        }
        for url in &self.servers {
            if !url.starts_with("http://") && !url.starts_with("https://") {
                bail!("--etcd-servers {url}: write it as http://{url} or https://{url}");
            }
        }
        if self.cert_file.is_some() != self.key_file.is_some() {
            bail!("--etcd-certfile and --etcd-keyfile belong together");
        }
        Ok(())
    }

    pub fn engine(&self, clock: SharedClock) -> EtcdConfig {
        EtcdConfig {
            prefix: self.prefix.clone(),
            ca_file: self.ca_file.clone(),
            cert_file: self.cert_file.clone(),
            key_file: self.key_file.clone(),
            compaction_interval: Some(self.compaction_interval).filter(|i| !i.is_zero()),
            ..EtcdConfig::new(self.servers.clone(), clock)
        }
    }
}

/// An open store.
pub struct Datastore {
    pub engine: Arc<dyn Engine>,
    /// Says what is wrong with it.
    pub health: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// Other servers may use it at the same time.
    pub shared: bool,
}

impl Datastore {
    /// Opens the store; waits for an etcd that does not answer yet, and says so.
    pub async fn open(
        config: &ServerConfig,
        clock: &SharedClock,
        progress: &Progress,
        tasks: &Tasks,
    ) -> Result<Datastore> {
        let dir = config.data_dir.join("db");
        let Some(settings) = &config.etcd else {
            let opened = tokio::task::spawn_blocking(move || EmbeddedEngine::open(EmbeddedConfig::new(dir)));
            let engine = Arc::new(opened.await??);
            return Ok(Datastore { engine, health: Arc::new(|| Ok(())), shared: false });
        };
        // Certificates and containers are in the data directory, whatever the store.
        let lock = DirLock::take(&dir)?;
        if dir.join("store.db").exists() {
            progress.print(
                "The objects of the store in the data directory are not used; `knarr datastore migrate` copies them to etcd.\n",
            );
        }
        let shutdown = tasks.shutdown();
        tasks.spawn(async move {
            shutdown.cancelled().await;
            drop(lock);
        });
        let engine = Arc::new(reach(settings.engine(clock.clone()), progress, tasks).await?);
        let asked = engine.clone();
        Ok(Datastore { engine, health: Arc::new(move || asked.health()), shared: true })
    }

    /// How the store over it is run.
    pub fn store_config(&self, clock: SharedClock) -> StoreConfig {
        StoreConfig { compact: !self.shared, ..StoreConfig::new(clock) }
    }
}

/// Opens etcd as soon as it answers.
pub async fn reach(config: EtcdConfig, progress: &Progress, tasks: &Tasks) -> Result<EtcdEngine> {
    let mut said = String::new();
    loop {
        match EtcdEngine::open(config.clone(), tasks).await {
            Ok(engine) => return Ok(engine),
            Err(EtcdError::Away(why)) => {
                if why != said {
                    progress.print(&format!("Waiting: {why}\n"));
                    said = why;
                }
            }
            Err(error) => return Err(error).context("open etcd"),
        }
        config.clock.sleep(PAUSE).await;
    }
}
