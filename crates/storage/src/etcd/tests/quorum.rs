//! Three members that want certificates, of each other and of us: one is lost, then the one that leads, then most of them.
//! Nothing that was acknowledged is lost, nothing is seen twice.

use std::collections::BTreeMap;

use stdx::Clock;

use super::server::{Cluster, patience};
use super::tls::Ca;
use super::*;

/// Writes of each part. KNARR_TEST_WRITES asks for more.
fn writes() -> u64 {
    std::env::var("KNARR_TEST_WRITES").ok().map_or(60, |n| n.parse().unwrap())
}

/// What writers were told.
#[derive(Default)]
struct Told {
    /// Revision and value of the last write of each key that was acknowledged.
    acknowledged: BTreeMap<String, (Revision, u64)>,
    /// Writes that may have happened.
    unknown: u64,
    refused: u64,
}

struct Trial {
    engine: Arc<EtcdEngine>,
    other: Arc<EtcdEngine>,
    told: Told,
    next: u64,
}

impl Trial {
    /// Writes until so many were acknowledged; each is read by the other server at once.
    async fn write(&mut self, count: u64) {
        let until = SystemClock.monotonic() + patience();
        let mut done = 0;
        while done < count {
            self.next += 1;
            let (n, key) = (self.next, format!("/k{}", self.next % 7));
            match self.engine.commit(txn(vec![], vec![put(&key, &n.to_string())])).await {
                Ok(revision) => {
                    done += 1;
                    self.told.acknowledged.insert(key.clone(), (revision, n));
                    self.read(&key, revision).await;
                }
                Err(CommitError::Unknown(_)) => self.told.unknown += 1,
                Err(CommitError::Unavailable(_)) => self.told.refused += 1,
                Err(other) => panic!("{other}"),
            }
            assert!(SystemClock.monotonic() < until, "{done} of {count} writes");
        }
    }

    /// Reads may have to be tried again, and are never of before.
    async fn read(&self, key: &str, at_least: Revision) {
        let until = SystemClock.monotonic() + patience();
        loop {
            match self.other.get(key).await {
                Ok(Some(found)) => {
                    assert!(found.revision >= at_least, "{key} is of {} after {at_least}", found.revision);
                    return;
                }
                Ok(None) => panic!("{key} of {at_least} is lost"),
                Err(error) => assert!(SystemClock.monotonic() < until, "{error}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_and_go() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::new();
    ca.write(&dir.path().join("ca.crt"));
    ca.issue(dir.path(), "member");
    let mut cluster = Cluster::start(dir.path());
    let tasks = Tasks::new();
    let file = |name: &str| Some(dir.path().join(name));
    let config = EtcdConfig {
        servers: cluster.urls(),
        ca_file: file("ca.crt"),
        cert_file: file("member.crt"),
        key_file: file("member.key"),
        ..config("", "/test")
    };
    let engine = cluster.engine(&config, &tasks).await;
    // Another server, that asks another member first.
    let mut turned = config.clone();
    turned.servers.rotate_left(1);
    let other = cluster.engine(&turned, &tasks).await;
    let start = engine.current_revision().await.unwrap();
    let mut events = [engine.watch("/", start).await.unwrap(), other.watch("/", start).await.unwrap()];
    let mut trial = Trial { engine, other, told: Told::default(), next: 0 };
    let count = writes();

    trial.write(count).await;
    let leader = cluster.leader(&config).await;
    cluster.kill((leader + 1) % 3);
    trial.write(count).await;
    cluster.restart((leader + 1) % 3);
    trial.write(count).await;

    let leader = cluster.leader(&config).await;
    cluster.kill(leader);
    trial.write(count).await;
    cluster.restart(leader);
    trial.write(count).await;

    // One alone cannot write, and says so; reads that must not be stale are refused, too.
    cluster.kill(0);
    cluster.kill(1);
    let alone = trial.engine.commit(txn(vec![], vec![put("/alone", "1")])).await;
    assert!(matches!(alone, Err(CommitError::Unknown(_) | CommitError::Unavailable(_))), "{alone:?}");
    assert!(trial.other.get("/k1").await.is_err(), "one of three is not asked");
    cluster.restart(0);
    cluster.restart(1);
    trial.write(count).await;

    for (key, (revision, _)) in &trial.told.acknowledged {
        trial.read(key, *revision).await;
    }
    let end = trial.engine.commit(txn(vec![], vec![put("/end", "1")])).await.unwrap();
    for events in &mut events {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last| *last < end) {
            seen.extend(events.next().await.unwrap().unwrap().events.into_iter().map(|e| e.revision));
        }
        assert!(seen.windows(2).all(|two| two[0] < two[1]), "an event twice, or out of order");
        let least = count * 6 + 1;
        assert!(seen.len() as u64 >= least, "{} events of at least {least}", seen.len());
        for (revision, _) in trial.told.acknowledged.values() {
            assert!(seen.contains(revision), "the event of {revision} is lost");
        }
    }
    let Told { unknown, refused, .. } = trial.told;
    eprintln!("{} writes acknowledged, {unknown} of unknown outcome, {refused} refused", count * 6);
    tasks.stop().await;
}
