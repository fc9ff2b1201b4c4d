//! Deliveries per second from one writer to many watchers, and what an event costs that only one of many wants.
//!
//!     CARGO_TARGET_DIR=/work/target-light cargo run -p cache --example watchers --release

use std::sync::Arc;

use apimachinery::{Meta, ObjectKey, Revision};
use cache::{Cache, CacheConfig, Filter, Object, Update, WatchItem};
use stdx::{Clock, SystemClock};

const EVENTS: u64 = 20_000;
/// Events in an apply, as group commit makes them.
const BATCH: u64 = 16;

#[tokio::main]
async fn main() {
    let all = |_| Filter::all();
    let node = |n| Filter { index: Some(("spec.nodeName", format!("node{n}").into())), ..Filter::all() };
    println!("100 watchers of everything: {:>9.0} deliveries/s", run(100, 1, all).await);
    println!("1000 watchers of one node each: {:>9.0} events/s", run(1000, 1000, node).await);
}

fn object(revision: u64, node: u64) -> Object {
    let json = format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"resourceVersion":"{revision}"}},"d":"{}"}}"#,
        "x".repeat(256)
    );
    let key = ObjectKey::new("default", &format!("o{}", revision % 5000));
    let fields = [("spec.nodeName", format!("node{node}").into())];
    Object::new(key, Revision(revision), Meta::default(), fields.into(), json.into())
}

/// Frames delivered per second when everybody has seen all he wants.
async fn run(watchers: u64, nodes: u64, filter: impl Fn(u64) -> Filter) -> f64 {
    let config = CacheConfig { indexes: vec!["spec.nodeName"], ..CacheConfig::new(SystemClock::shared()) };
    let cache = Arc::new(Cache::new(CacheConfig { window_bytes: 1 << 30, ..config }));
    let begin = SystemClock.monotonic();
    let readers: Vec<_> = (0..watchers)
        .map(|n| {
            let mut watch = cache.watch(Revision(0), filter(n)).unwrap_or_else(|e| unreachable!("{e}"));
            tokio::spawn(async move {
                let (mut frames, mut bytes) = (0u64, 0);
                while frames < EVENTS / nodes {
                    if let Ok(WatchItem::Event(event)) = watch.next().await {
                        frames += 1;
                        bytes += event.frame().len();
                    }
                }
                std::hint::black_box(bytes);
                frames
            })
        })
        .collect();
    for batch in 0..EVENTS / BATCH {
        // Each object stays on its node, so that an event is for one watcher.
        let revisions = batch * BATCH + 1..=(batch + 1) * BATCH;
        cache.apply(revisions.map(|r| Update::Put(object(r, (r % 5000) % nodes))));
        cache.progress(Revision((batch + 1) * BATCH));
        tokio::task::yield_now().await;
    }
    let mut frames = 0;
    for reader in readers {
        frames += reader.await.unwrap_or(0);
    }
    frames as f64 / (SystemClock.monotonic() - begin).as_secs_f64()
}
