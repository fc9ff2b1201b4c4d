//! Durable creates per second through a collection, beside what the disk can do: raw appends with an fsync each.
//!
//!     CARGO_TARGET_DIR=/work/target-light cargo run -p storage --example creates --release [DIR]

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::{Meta, ObjectKey, Revision};
use cache::Object;
use stdx::{Clock, SystemClock, Tasks};
use storage::collection::{CollectionSpec, Parse, Terms};
use storage::engine::{Durability, Engine, Op, Txn};
use storage::{EmbeddedConfig, EmbeddedEngine, Store, StoreConfig};

const WRITERS: usize = 32;
const SECONDS: u64 = 4;
const VALUE: usize = 1024;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).unwrap_or_else(|| "/tmp".into());
    let dir = tempfile::tempdir_in(dir)?;
    for batch in [1, 16, 32] {
        println!("raw: {:>7.0} fsync/s of {batch} KiB appended", raw(dir.path(), batch)?);
    }
    let engine = Arc::new(EmbeddedEngine::open(EmbeddedConfig::new(dir.path().join("engine")))?);
    println!("engine:     {:>7.0} durable 1 KiB commits/s, {WRITERS} writers", engine_rate(&engine).await);
    engine.close().await;

    let tasks = Tasks::new();
    let engine: Arc<dyn Engine> =
        Arc::new(EmbeddedEngine::open(EmbeddedConfig::new(dir.path().join("store")))?);
    let store = Store::open(engine.clone(), StoreConfig::new(SystemClock::shared()), &tasks).await?;
    let spec = CollectionSpec {
        prefix: "/registry/things/".into(),
        parse: parse(),
        indexes: vec!["owner"],
        durability: Durability::Durable,
        ttl: None,
    };
    let things = store.collection(spec).await?;
    let collection = things.clone();
    let rate = rate(move |n, i| {
        let things = collection.clone();
        async move {
            let key = ObjectKey::new("default", &format!("{n}-{i}"));
            things.create(&key, value(), Terms::default()).await.is_ok()
        }
    });
    println!("collection: {:>7.0} durable 1 KiB creates/s, {WRITERS} writers", rate.await);
    tasks.stop().await;
    let objects = things.cache().len();
    drop((store, things));
    engine.close().await;
    drop(engine);

    let begin = SystemClock.monotonic();
    let engine = EmbeddedEngine::open(EmbeddedConfig::new(dir.path().join("store")))?;
    println!("open with {objects} objects: {:.1} ms", (SystemClock.monotonic() - begin).as_secs_f64() * 1e3);
    engine.close().await;
    Ok(())
}

fn value() -> bytes::Bytes {
    format!(r#"{{"metadata":{{"name":"x"}},"data":"{}"}}"#, "x".repeat(VALUE)).into()
}

fn parse() -> Parse {
    Arc::new(|key: &ObjectKey, revision: Revision, value: &[u8]| {
        let mut json = Vec::with_capacity(value.len() + 40);
        json.extend_from_slice(br#"{"metadata":{"resourceVersion":""#);
        json.extend_from_slice(revision.to_string().as_bytes());
        json.extend_from_slice(b"\",");
        json.extend_from_slice(&value[13..]);
        Ok(Object::new(key.clone(), revision, Meta::default(), Box::default(), json.into()))
    })
}

fn raw(dir: &std::path::Path, kib: usize) -> std::io::Result<f64> {
    let mut file = std::fs::File::create(dir.join("raw"))?;
    let data = vec![7u8; kib << 10];
    let begin = SystemClock.monotonic();
    let mut syncs = 0;
    while SystemClock.monotonic() - begin < Duration::from_secs(1) {
        file.write_all(&data)?;
        file.sync_data()?;
        syncs += 1;
    }
    Ok(f64::from(syncs) / (SystemClock.monotonic() - begin).as_secs_f64())
}

async fn engine_rate(engine: &Arc<EmbeddedEngine>) -> f64 {
    let engine = engine.clone();
    rate(move |n, i| {
        let engine = engine.clone();
        async move {
            let op = Op::Put { key: format!("/registry/things/{n}-{i}").into(), value: value() };
            engine.commit(Txn { ops: vec![op], ..Txn::default() }).await.is_ok()
        }
    })
    .await
}

/// Successful calls per second of `write(writer, count)`.
async fn rate<F>(write: impl Fn(usize, usize) -> F + Clone + Send + 'static) -> f64
where
    F: Future<Output = bool> + Send,
{
    let begin = SystemClock.monotonic();
    let writers = (0..WRITERS).map(|n| {
        let write = write.clone();
        tokio::spawn(async move {
            let mut done = 0;
            while SystemClock.monotonic() - begin < Duration::from_secs(SECONDS) {
                done += usize::from(write(n, done).await);
            }
            done
        })
    });
    let mut done = 0;
    for writer in writers.collect::<Vec<_>>() {
        done += writer.await.unwrap_or(0);
    }
    done as f64 / (SystemClock.monotonic() - begin).as_secs_f64()
}
