//! Open watches, and what they send.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::{Inner, Label, header, lock, of_path};
use crate::pipeline::path::ResourcePath;

/// Upper bounds of the sizes of events, bytes: upstream's.
const BOUNDS: [u64; 8] = [1024, 2048, 4096, 8192, 16384, 32768, 65536, 131_072];

/// What all watches of a resource have sent. An event is in one bucket only, which are summed up when they are shown.
#[derive(Debug, Default)]
pub(super) struct Sent {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    bytes: AtomicU64,
}

/// One open watch: it is counted until this is dropped.
#[derive(Debug)]
pub struct Watching {
    label: Label,
    sent: Arc<Sent>,
    inner: Arc<Mutex<Inner>>,
}

impl Watching {
    pub(super) fn begin(inner: &Arc<Mutex<Inner>>, path: &ResourcePath) -> Self {
        let label = of_path("WATCH", path);
        let mut metrics = lock(inner);
        *metrics.long_running.entry(label.clone()).or_default() += 1;
        let key = (path.group.clone(), path.version.clone(), path.resource.clone());
        let sent = metrics.sent.entry(key).or_default().clone();
        Watching { label, sent, inner: inner.clone() }
    }

    /// Counts an event of so many bytes.
    pub fn sent(&self, bytes: usize) {
        let at = BOUNDS.partition_point(|bound| *bound < bytes as u64);
        self.sent.buckets[at].fetch_add(1, Ordering::Relaxed);
        self.sent.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut metrics = lock(&self.inner);
        if let Some(open) = metrics.long_running.get_mut(&self.label) {
            *open -= 1;
        }
    }
}

pub(super) fn render(out: &mut String, all: &BTreeMap<(String, String, String), Arc<Sent>>) {
    let labels = |(group, version, resource): &(String, String, String)| {
        format!("group=\"{group}\",resource=\"{resource}\",version=\"{version}\"")
    };
    header(out, "apiserver_watch_events_total", "counter", "Events sent to watchers.");
    for (of, sent) in all {
        let total: u64 = sent.buckets.iter().map(|b| b.load(Ordering::Relaxed)).sum();
        let _ = writeln!(out, "apiserver_watch_events_total{{{}}} {total}", labels(of));
    }
    let name = "apiserver_watch_events_sizes";
    header(out, name, "histogram", "Sizes of events sent to watchers, in bytes.");
    for (of, sent) in all {
        let (labels, mut total) = (labels(of), 0);
        for (bucket, bound) in sent.buckets.iter().zip(BOUNDS) {
            total += bucket.load(Ordering::Relaxed);
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {total}");
        }
        total += sent.buckets[BOUNDS.len()].load(Ordering::Relaxed);
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {total}");
        let _ = writeln!(out, "{name}_sum{{{labels}}} {}", sent.bytes.load(Ordering::Relaxed));
        let _ = writeln!(out, "{name}_count{{{labels}}} {total}");
    }
}
