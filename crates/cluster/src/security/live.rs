//! CAs in files that somebody may replace while the server runs. Start at [`Trusts::follow`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kubelet::logs::watch::Watch;
use pki::LiveTrust;
use stdx::Tasks;
use stdx::clock::SharedClock;
use tokio::sync::watch;

use super::{Security, SecurityConfig};

/// Between two tries to watch a directory that is not there.
const RETRY: Duration = Duration::from_secs(10);

/// Who vouches for clients, and who for front proxies.
pub struct Trusts {
    pub clients: Arc<LiveTrust>,
    pub proxies: Option<Arc<LiveTrust>>,
    /// How often one of them has changed.
    pub changes: watch::Sender<u64>,
}

impl Trusts {
    /// As the files said; `own` is the cluster's CA.
    pub fn new(security: &Security, own: &str) -> Result<Arc<Trusts>> {
        let clients = LiveTrust::new(&security.client_cas(own)).context("read client CA")?;
        let proxies = security.front_proxy.as_ref().map(|proxy| LiveTrust::new(&proxy.ca_pem)).transpose();
        Ok(Arc::new(Trusts {
            clients: Arc::new(clients),
            proxies: proxies.context("read request header CA")?.map(Arc::new),
            changes: watch::Sender::new(0),
        }))
    }

    /// Follows the files until `tasks` end. What is no CA file changes nothing and is logged.
    pub fn follow(self: &Arc<Self>, config: &SecurityConfig, own: &str, clock: &SharedClock, tasks: &Tasks) {
        if let Some(path) = &config.client_ca_file {
            let (clients, own) = (self.clients.clone(), own.to_owned());
            let take = move |given: &str| taken(&clients, &own, given);
            self.spawn("--client-ca-file", path, take, clock, tasks);
        }
        if let (Some(path), Some(proxies)) = (&config.request_header.client_ca_file, &self.proxies) {
            let proxies = proxies.clone();
            let take = move |given: &str| proxies.replace(given);
            self.spawn("--requestheader-client-ca-file", path, take, clock, tasks);
        }
    }

    fn spawn(
        self: &Arc<Self>,
        flag: &'static str,
        path: &Path,
        take: impl Fn(&str) -> Result<()> + Send + 'static,
        clock: &SharedClock,
        tasks: &Tasks,
    ) {
        let file = File { flag, path: path.to_owned(), clock: clock.clone() };
        let trusts = self.clone();
        tasks.spawn_until_shutdown(file.follow(move |pem| {
            take(pem)?;
            trusts.changes.send_modify(|n| *n += 1);
            Ok(())
        }));
    }
}

/// Believes `given` besides `own`. It is judged by itself first: with `own`, nothing at all would be enough.
fn taken(clients: &LiveTrust, own: &str, given: &str) -> Result<()> {
    pki::ClientTrust::new(given)?;
    clients.replace(&super::both(own, given))
}

/// A file whose text matters.
struct File {
    flag: &'static str,
    path: PathBuf,
    clock: SharedClock,
}

impl File {
    /// Calls `take` with every new text, the first one included.
    async fn follow(self, take: impl Fn(&str) -> Result<()>) {
        let dir = self.path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut known = None;
        loop {
            // The directory: files are replaced by a rename, in a mounted volume by one of a link beside them.
            let watch = Watch::new(dir);
            self.look(&mut known, &take);
            match watch {
                // A change of a directory that was removed comes as an event, too; then it cannot be watched again.
                Ok(watch) => match watch.changed().await {
                    Ok(()) => continue,
                    Err(e) => tracing::warn!("cannot watch {}: {e}", dir.display()),
                },
                Err(e) => tracing::warn!("cannot watch {} for {}: {e}", dir.display(), self.flag),
            }
            self.clock.sleep(RETRY).await;
        }
    }

    fn look(&self, known: &mut Option<String>, take: &impl Fn(&str) -> Result<()>) {
        let (flag, path) = (self.flag, self.path.display());
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(e) => return tracing::warn!("{flag}: read {path}: {e}; going on with what it said before"),
        };
        if known.as_deref() == Some(&text) {
            return;
        }
        match take(&text) {
            Ok(()) => tracing::info!("{flag}: {path} is taken as it is now"),
            Err(e) => tracing::error!("{flag} {path}: {e:#}; going on with what it said before"),
        }
        *known = Some(text);
    }
}

#[cfg(test)]
mod tests;
