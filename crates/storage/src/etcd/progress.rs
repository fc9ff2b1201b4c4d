//! How to learn how far a watch is that has nothing to tell.
//!
//! etcd can be asked, but old servers answer before events that they still hold back: 3.4 before 3.4.31 and 3.5 before
//! 3.5.13 (etcd-io/etcd#15220). With these, reads go to etcd itself, and who must wait for a revision writes a marker.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, MutexGuard, Notify};

/// What is known of the server that is followed.
#[derive(Debug, Default)]
pub(super) struct Progress {
    told: AtomicBool,
    asked: Notify,
    marking: Mutex<()>,
}

impl Progress {
    /// Takes note of the version of the server that is followed from now on.
    pub fn follow(&self, version: &str) {
        self.told.store(is_reliable(version), Ordering::Release);
    }

    /// Whether the server's answers can be relied on.
    pub fn is_told(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }

    /// Has the watch ask.
    pub fn ask(&self) {
        self.asked.notify_one();
    }

    /// Completes when the watch should ask.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// For one marker at a time.
    pub fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        self.marking.try_lock().ok()
    }
}

/// As upstream's feature check decides it.
fn is_reliable(version: &str) -> bool {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Option<Vec<u32>> = plain.split('.').map(|n| n.parse().ok()).collect();
    match numbers.as_deref() {
        Some([3, 4, patch, ..]) => *patch >= 31,
        Some([3, 5, patch, ..]) => *patch >= 13,
        Some([major, minor, ..]) => (*major, *minor) >= (3, 6),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_servers_can_be_asked() {
        let reliable = ["3.4.31", "3.4.40", "3.5.13", "3.5.21-rc.1", "3.6.0", "3.10.1", "4.0.0"];
        let not = ["3.4.23", "3.4.30", "3.5.0", "3.5.12", "3.3.99", "2.3.8", "", "not decided"];
        assert!(reliable.iter().all(|v| is_reliable(v)));
        assert!(!not.iter().any(|v| is_reliable(v)));
    }
}
