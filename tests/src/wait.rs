//! Waiting for what has no event to wait for.

use std::thread::sleep;
use std::time::Duration;

/// How many times longer than usual everything may take: KNARR_PATIENCE, for machines that are emulated.
pub fn patience() -> u32 {
    std::env::var("KNARR_PATIENCE").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// Looks again until `done` says so; fails after `most`, naming `what`. The pause only spares the processor: nothing depends
/// on its length.
#[track_caller]
#[allow(clippy::disallowed_methods, reason = "tests watch real machines in real time")]
pub fn eventually(most: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let most = most * patience();
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed() < most, "not within {most:?}: {what}");
        sleep(Duration::from_millis(50));
    }
}
