//! An engine that keeps count of what it is asked, and of how long it takes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use apimachinery::Revision;
use async_trait::async_trait;
use stdx::clock::SharedClock;

use crate::engine::{
    CommitError, Engine, EventStream, Freshness, Guard, KeyValue, ListPage, ListRequest, Op, ReadError, Txn,
};

/// Upper bounds in seconds: upstream's.
const BOUNDS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0,
    20.0, 30.0, 45.0, 60.0,
];

/// Kinds of keys that are told apart; all further ones are counted together.
const SERIES_MAX: usize = 1024;

/// The engine that it stands before, and what was counted.
pub struct Measured {
    engine: Arc<dyn Engine>,
    clock: SharedClock,
    series: RwLock<BTreeMap<(&'static str, String), Arc<Series>>>,
}

/// Requests of one kind. Each is in one bucket only; they are summed up when they are shown.
#[derive(Debug, Default)]
struct Series {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
    errors: AtomicU64,
}

impl Measured {
    pub fn new(engine: Arc<dyn Engine>, clock: SharedClock) -> Self {
        Measured { engine, clock, series: RwLock::default() }
    }

    /// As Prometheus reads it, under upstream's names. `type` is what follows the first part of keys: `pods` of
    /// `/registry/pods/…`.
    pub fn render(&self) -> String {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        let header =
            |name: &str, kind: &str, help: &str| format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        out += &header("etcd_request_duration_seconds", "histogram", "What the store takes, by operation.");
        let name = "etcd_request_duration_seconds";
        for ((operation, of), series) in &*series {
            let labels = format!("operation=\"{operation}\",type=\"{of}\"");
            let mut total = 0;
            for (bucket, bound) in series.buckets.iter().zip(BOUNDS) {
                total += bucket.load(Ordering::Relaxed);
                let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {total}");
            }
            total += series.buckets[BOUNDS.len()].load(Ordering::Relaxed);
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {total}");
            let seconds = series.micros.load(Ordering::Relaxed) as f64 / 1e6;
            let _ = writeln!(out, "{name}_sum{{{labels}}} {seconds}\n{name}_count{{{labels}}} {total}");
        }
        let totals = [("etcd_requests_total", false), ("etcd_request_errors_total", true)];
        for (name, errors) in totals {
            out += &header(name, "counter", "Requests to the store, by operation.");
            for ((operation, of), series) in &*series {
                let count: u64 = match errors {
                    true => series.errors.load(Ordering::Relaxed),
                    false => series.buckets.iter().map(|b| b.load(Ordering::Relaxed)).sum(),
                };
                let _ = writeln!(out, "{name}{{operation=\"{operation}\",type=\"{of}\"}} {count}");
            }
        }
        out
    }

    /// Counts one request that began at `start`.
    fn observe(&self, operation: &'static str, key: &str, start: Duration, failed: bool) {
        let took = self.clock.monotonic().saturating_sub(start);
        let series = self.series(operation, key);
        let at = BOUNDS.partition_point(|bound| *bound < took.as_secs_f64());
        series.buckets[at].fetch_add(1, Ordering::Relaxed);
        series.micros.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        series.errors.fetch_add(u64::from(failed), Ordering::Relaxed);
    }

    fn series(&self, operation: &'static str, key: &str) -> Arc<Series> {
        let of = key.trim_start_matches('/').split('/').nth(1).unwrap_or_default();
        let found = {
            let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
            // A lookup by a borrowed pair is not to be had; there are few operations.
            let key = (operation, of.to_owned());
            let full = series.len() >= SERIES_MAX;
            series.get(&key).cloned().ok_or(if full { (operation, String::new()) } else { key })
        };
        found.unwrap_or_else(|key| {
            self.series.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone()
        })
    }
}

/// What a transaction is, in upstream's words, and the key that it is about.
fn operation(txn: &Txn) -> (&'static str, String) {
    let Some(op) = txn.ops.first() else { return ("txn", String::new()) };
    let name = match (op, txn.guards.first()) {
        (Op::Delete { .. }, _) => "delete",
        (Op::Put { .. }, Some(Guard::Absent(_))) => "create",
        (Op::Put { .. }, _) => "update",
    };
    (name, op.key().to_string())
}

#[async_trait]
impl Engine for Measured {
    async fn get(&self, key: &str) -> Result<Option<KeyValue>, ReadError> {
        let start = self.clock.monotonic();
        let answer = self.engine.get(key).await;
        self.observe("get", key, start, answer.is_err());
        answer
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage, ReadError> {
        let (start, prefix) = (self.clock.monotonic(), request.prefix.clone());
        let answer = self.engine.list(request).await;
        self.observe("list", &prefix, start, answer.is_err());
        answer
    }

    async fn commit(&self, txn: Txn) -> Result<Revision, CommitError> {
        let (start, (name, key)) = (self.clock.monotonic(), operation(&txn));
        let answer = self.engine.commit(txn).await;
        // A guard that does not hold is an answer.
        let failed = matches!(answer, Err(CommitError::Unavailable(_) | CommitError::Unknown(_)));
        self.observe(name, &key, start, failed);
        answer
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<EventStream, ReadError> {
        self.engine.watch(prefix, after).await
    }

    async fn compact(&self, revision: Revision) -> Result<(), ReadError> {
        let start = self.clock.monotonic();
        let answer = self.engine.compact(revision).await;
        self.observe("compact", "", start, answer.is_err());
        answer
    }

    async fn current_revision(&self) -> Result<Revision, ReadError> {
        self.engine.current_revision().await
    }

    fn oldest_revision(&self) -> Revision {
        self.engine.oldest_revision()
    }

    fn history_start(&self) -> Revision {
        self.engine.history_start()
    }

    async fn delivered(&self) -> Result<Revision, ReadError> {
        self.engine.delivered().await
    }

    fn freshness(&self) -> Freshness {
        self.engine.freshness()
    }

    async fn nudge(&self) {
        self.engine.nudge().await;
    }

    fn keeps_last(&self) -> bool {
        self.engine.keeps_last()
    }

    fn expires(&self) -> bool {
        self.engine.expires()
    }

    fn lost_revisions(&self) -> Vec<RangeInclusive<u64>> {
        self.engine.lost_revisions()
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}

#[cfg(test)]
mod tests {
    use stdx::SystemClock;

    use super::*;
    use crate::memory::MemoryEngine;
    use crate::testsuite::{delete, put, txn};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn passes_the_suite() {
        let engine = || async {
            let memory = Arc::new(MemoryEngine::new());
            Arc::new(Measured::new(memory, SystemClock::shared())) as Arc<dyn Engine>
        };
        crate::testsuite::run(engine).await;
    }

    #[tokio::test]
    async fn requests_are_counted_by_what_they_are() {
        let engine = Measured::new(Arc::new(MemoryEngine::new()), SystemClock::shared());
        let key = "/registry/pods/ns/a";
        let absent = || vec![Guard::Absent(key.into())];
        let made = engine.commit(txn(absent(), vec![put(key, "1")])).await.unwrap();
        engine.commit(txn(absent(), vec![put(key, "1")])).await.unwrap_err();
        engine.commit(txn(vec![Guard::Unchanged(key.into(), made)], vec![put(key, "2")])).await.unwrap();
        engine.get(key).await.unwrap();
        engine.commit(txn(vec![], vec![delete(key)])).await.unwrap();
        let text = engine.render();
        for line in [
            "etcd_requests_total{operation=\"create\",type=\"pods\"} 2",
            "etcd_requests_total{operation=\"update\",type=\"pods\"} 1",
            "etcd_requests_total{operation=\"delete\",type=\"pods\"} 1",
            "etcd_requests_total{operation=\"get\",type=\"pods\"} 1",
            "etcd_request_errors_total{operation=\"create\",type=\"pods\"} 0",
            "etcd_request_duration_seconds_bucket{operation=\"create\",type=\"pods\",le=\"+Inf\"} 2",
            "etcd_request_duration_seconds_count{operation=\"create\",type=\"pods\"} 2",
        ] {
            assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
        }
    }
}
