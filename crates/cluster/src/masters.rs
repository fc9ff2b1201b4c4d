//! Which API servers share an etcd, by upstream's protocol: each keeps `/registry/masterleases/ADDRESS`, which expires.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use controller::kubernetes_service;
use stdx::Tasks;
use stdx::clock::SharedClock;
use storage::Engine;
use storage::engine::{ListRequest, Op, Txn};
use tokio::sync::watch;

/// Where the entries are.
pub const PREFIX: &str = "/registry/masterleases/";

/// How long a server counts that renews no more, and how often it renews: upstream's times.
const TTL: Duration = Duration::from_secs(15);
const RENEW: Duration = Duration::from_secs(10);

/// Keeps our own entry until `tasks` are stopped, and tells the addresses of all.
pub fn start(
    engine: Arc<dyn Engine>,
    clock: SharedClock,
    own: IpAddr,
    tasks: &Tasks,
) -> watch::Receiver<Vec<IpAddr>> {
    let (tell, told) = watch::channel(vec![own]);
    let shutdown = tasks.shutdown();
    tasks.spawn(async move {
        loop {
            match renew(&*engine, own).await {
                Ok(all) => drop(tell.send_if_modified(|known| {
                    let news = *known != all;
                    *known = all;
                    news
                })),
                Err(error) => tracing::warn!("cannot renew this API server's entry: {error:#}"),
            }
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = clock.sleep(RENEW) => {}
            }
        }
        let leave = Txn { ops: vec![Op::Delete { key: key(own), last: None }], ..Txn::default() };
        if let Err(error) = engine.commit(leave).await {
            tracing::debug!(%error, "cannot remove this API server's entry; it expires");
        }
    });
    told
}

fn key(address: IpAddr) -> Arc<str> {
    format!("{PREFIX}{address}").into()
}

/// Writes our entry, and reads all, ours among them.
async fn renew(engine: &dyn Engine, own: IpAddr) -> Result<Vec<IpAddr>> {
    let entry = kubernetes_service::entry(own);
    let put = Op::Put { key: key(own), value: entry.into() };
    engine.commit(Txn { ops: vec![put], ttl: Some(TTL), ..Txn::default() }).await?;
    let page = engine.list(ListRequest { prefix: PREFIX.into(), ..ListRequest::default() }).await?;
    let address = |key: &str| key.strip_prefix(PREFIX)?.parse().ok();
    let mut all: Vec<IpAddr> = page.items.iter().filter_map(|kv| address(&kv.key)).collect();
    all.sort();
    Ok(all)
}
