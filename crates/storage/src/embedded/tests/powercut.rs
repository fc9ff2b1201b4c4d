//! Power cuts under many writers: nothing acknowledged is lost.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use apimachinery::Revision;
use bytes::Bytes;
use futures::StreamExt;
use stdx::Random;

use super::disk::{Disk, Image, restore};
use super::*;
use crate::engine::*;

const WRITERS: u64 = 32;
const WRITES: u64 = 12;
/// Cuts that are looked at, spread over the run.
const CUTS: usize = 90;

/// What has been acknowledged.
#[derive(Clone, Default)]
struct Acked {
    /// Values of durable writes by key, none after a deletion, and their revisions.
    durable: BTreeMap<String, (Option<String>, Revision)>,
    /// The highest revision that anybody was told, relaxed writes included.
    highest: Revision,
}

struct Cut {
    acked: Acked,
    image: Image,
}

/// Runs the writers on `disk` and cuts the power at every sync.
async fn cuts(disk: Arc<Disk>, lies: bool) -> Vec<Cut> {
    let dir = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig {
        vfs: Some(disk.name.clone()),
        checkpoint_pages: 60,
        on_fatal: OnFatal::Refuse,
        ..EmbeddedConfig::new(dir.path())
    };
    let engine = Arc::new(EmbeddedEngine::open(config).unwrap());
    disk.lies.store(lies, Ordering::SeqCst);
    let acked = Arc::new(Mutex::new(Acked::default()));
    let made = Arc::new(Mutex::new(Vec::new()));
    let (told, kept, random) = (acked.clone(), made.clone(), Random::seeded(7));
    disk.at_sync(move |disk| {
        // What was told first, then the disk: never the other way round.
        let acked = told.lock().unwrap().clone();
        let random = (random.below(2) == 0).then_some(&random);
        kept.lock().unwrap().push(Cut { acked, image: disk.cut(random) });
    });
    let writers = (0..WRITERS).map(|n| tokio::spawn(writer(engine.clone(), acked.clone(), n)));
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let cut = Cut { acked: acked.lock().unwrap().clone(), image: disk.cut(None) };
    disk.at_sync(|_| ());
    let mut cuts = std::mem::take(&mut *made.lock().unwrap());
    cuts.push(cut);
    cuts
}

/// Creates, changes and deletes keys of its own; every fourth write is relaxed.
async fn writer(engine: Arc<EmbeddedEngine>, acked: Arc<Mutex<Acked>>, writer: u64) {
    let random = Random::seeded(writer);
    for n in 0..WRITES {
        let key = format!("/{writer}/{}", random.below(4));
        let durability = if n % 4 == 3 { Durability::Relaxed } else { Durability::Durable };
        // A relaxed write goes to a key of its own kind, so that what durable ones left stays known.
        let key = if durability == Durability::Relaxed { format!("{key}-relaxed") } else { key };
        let value = format!("{n} {}", "x".repeat(random.below(3000) as usize));
        let op = match random.below(4) {
            0 => Op::Delete { key: (*key).into(), last: None },
            _ => Op::Put { key: (*key).into(), value: Bytes::from(value.clone()) },
        };
        let put = matches!(op, Op::Put { .. });
        let revision = engine.commit(Txn { ops: vec![op], durability, ..Txn::default() }).await.unwrap();
        let mut acked = acked.lock().unwrap();
        acked.highest = acked.highest.max(revision);
        if durability == Durability::Durable {
            acked.durable.insert(key, (put.then_some(value), revision));
        }
    }
}

/// What is wrong after a power cut, if anything.
async fn verify(cut: &Cut) -> Result<(), String> {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    restore(&cut.image, dir.path());
    let engine = open(dir.path()).map_err(|e| e.to_string())?;
    let read = |e: ReadError| e.to_string();

    // The log has no hole, and the list is what the log makes.
    let mut current = BTreeMap::new();
    let mut touched = BTreeMap::new();
    let mut last = engine.oldest_revision();
    let mut stream = engine.watch("", last).await.map_err(read)?;
    let end = engine.current_revision().await.map_err(read)?;
    let mut reached = last;
    while reached < end {
        let batch = stream.next().await.ok_or("the stream ends")?.map_err(read)?;
        reached = batch.revision;
        for event in batch.events {
            if event.revision.0 != last.0 + 1 {
                return Err(format!("hole in the log between {last} and {}", event.revision));
            }
            last = event.revision;
            touched.insert(event.key.clone(), last);
            match event.change {
                KeyChange::Put(value) => current.insert(event.key, (value, event.revision)),
                KeyChange::Deleted(_) => current.remove(&event.key),
            };
        }
    }
    let page = engine.list(ListRequest::default()).await.map_err(read)?;
    let listed: BTreeMap<_, _> = page.items.into_iter().map(|kv| (kv.key, (kv.value, kv.revision))).collect();
    if listed != current {
        return Err("list and log differ".into());
    }

    // What was acknowledged is there, unless a later change of it is, which nobody was told of yet.
    for (key, (value, revision)) in &cut.acked.durable {
        let found = current.get(&**key).map(|(value, _)| value);
        match touched.get(&**key) {
            Some(at) if at > revision => {}
            Some(at) if at == revision && found.map(|v| &v[..]) == value.as_ref().map(|v| v.as_bytes()) => {}
            // Deleting what is not there changes nothing.
            _ if value.is_none() && found.is_none() => {}
            at => return Err(format!("{key} was acknowledged at {revision} and is lost: {at:?}")),
        }
    }
    let next = engine.commit(Txn { ops: vec![crate::testsuite::put("/new", "")], ..Txn::default() }).await;
    let next = next.map_err(|e| e.to_string())?;
    if next <= cut.acked.highest {
        return Err(format!("{next} was handed out before"));
    }
    // A watcher that saw something that is not there any more must not go on as if nothing had happened.
    let lost = engine.lost_revisions();
    if cut.acked.highest > last && !lost.iter().any(|range| range.contains(&cut.acked.highest.0)) {
        return Err(format!("{} is lost and nobody says so: {lost:?}", cut.acked.highest));
    }
    Ok(())
}

async fn failures(cuts: Vec<Cut>) -> Vec<String> {
    let step = (cuts.len() / CUTS).max(1);
    let last = cuts.len() - 1;
    let mut failures = Vec::new();
    for (n, cut) in cuts.iter().enumerate().filter(|(n, _)| n % step == 0 || *n == last) {
        if let Err(why) = verify(cut).await {
            failures.push(format!("cut {n} of {last}: {why}"));
        }
    }
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loses_nothing_acknowledged() {
    let disk = Disk::new("powercut");
    let cuts = cuts(disk, false).await;
    assert!(cuts.len() > 20, "{} syncs", cuts.len());
    let checkpointed = cuts.last().unwrap().image["store.db"].len();
    assert!(checkpointed > 100_000, "checkpoints were part of it");
    assert_eq!(failures(cuts).await, Vec::<String>::new());
}

/// Proves that the test above would notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_fsync_the_same_test_fails() {
    let disk = Disk::new("powercut-without-fsync");
    let failures = failures(cuts(disk, true).await).await;
    assert!(failures.len() > 10, "{failures:?}");
}
