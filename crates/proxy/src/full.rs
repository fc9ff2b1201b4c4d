//! The kernel's table of connections, when it is full: packets of new connections vanish without a word, to services, pods and
//! the node alike, while those that are there go on. Start at [`watch`]. Nothing is changed; the user is told, and told when it
//! is over.

use std::time::Duration;

use client::{EventRecorder, EventType};
use k8s_openapi::api::core::v1::ObjectReference;
use stdx::clock::SharedClock;

/// The kernel counts such packets, and tells nobody but its log, which it may leave out.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// It is over when no packet was dropped and a tenth of the table is free.
const ROOM: u64 = 10;

const COUNTERS: &str = "/proc/thread-self/net/stat/nf_conntrack";
const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
const MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

/// Looks after the table of this network namespace until it is dropped; events are about `node`.
pub async fn watch(clock: SharedClock, recorder: EventRecorder, node: ObjectReference) {
    let mut table = Table::default();
    loop {
        if let Some(seen) = look()
            && let Some((kind, reason, message)) = table.see(seen)
        {
            tracing::warn!("{message}");
            recorder.event(&node, kind, reason, message);
        }
        clock.sleep(LOOK_EVERY).await;
    }
}

/// The table at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Packets that found no room, since the namespace is there.
    dropped: u64,
    connections: u64,
    /// 0: without a limit.
    most: u64,
}

/// `None` where the kernel counts no connections.
fn look() -> Option<Seen> {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let dropped = dropped(&std::fs::read_to_string(COUNTERS).ok()?)?;
    Some(Seen { dropped, connections: number(COUNT)?, most: number(MAX)? })
}

/// The counter `drop` of all processors: a line of names, then a line of hexadecimal numbers for each.
fn dropped(counters: &str) -> Option<u64> {
    let mut lines = counters.lines().map(str::split_whitespace);
    let column = lines.next()?.position(|name| name == "drop")?;
    lines.map(|mut line| u64::from_str_radix(line.nth(column)?, 16).ok()).sum()
}

/// What is known of the table.
#[derive(Default)]
struct Table {
    before: Option<Seen>,
    full: bool,
}

impl Table {
    /// What there is to say now.
    fn see(&mut self, now: Seen) -> Option<(EventType, &'static str, String)> {
        // What was dropped before the first look was before us.
        let before = self.before.replace(now)?;
        let lost = now.dropped > before.dropped;
        let room = now.most == 0 || now.most.saturating_sub(now.connections) >= now.most / ROOM;
        match (lost, self.full) {
            // Said again as long as it lasts: the event counts.
            (true, _) => {
                self.full = true;
                let message = format!(
                    "the kernel's table of connections is full (net.netfilter.nf_conntrack_max={}): packets of new connections are dropped",
                    now.most
                );
                Some((EventType::Warning, "ConntrackFull", message))
            }
            (false, true) if room => {
                self.full = false;
                let message = "the kernel's table of connections has room again".to_owned();
                Some((EventType::Normal, "ConntrackHasRoom", message))
            }
            (false, _) => None,
        }
    }
}

#[cfg(test)]
mod tests;
