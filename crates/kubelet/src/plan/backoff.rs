//! CrashLoopBackOff, computed from the last container alone: nothing to remember, nothing lost at a restart.
//!
//! The first restart is immediate, the next waits 10 s after the end, then 20 s, … up to 300 s; a container that ran
//! longer than 600 s starts over.

use cri::ContainerStatus;
use jiff::Timestamp;

use crate::observed::{label, time};

const FIRST: i64 = 10;
const MAX: i64 = 300;
/// Twice the maximum, as upstream forgets a back-off.
const RESET_AFTER: i64 = 2 * MAX;

/// Seconds between the end of `ended` and the next start.
pub fn delay(ended: &ContainerStatus) -> i64 {
    if ran_long(ended) { 0 } else { used(ended) }
}

/// When the next one may start.
pub fn until(ended: &ContainerStatus) -> Timestamp {
    let finished = time(ended.finished_at).or_else(|| time(ended.container.created_at));
    super::after(finished.unwrap_or(Timestamp::UNIX_EPOCH), delay(ended))
}

/// The seconds to note on the container that follows `ended`.
pub fn next(ended: &ContainerStatus) -> i64 {
    if ran_long(ended) { FIRST } else { (used(ended) * 2).clamp(FIRST, MAX) }
}

/// As Go prints a duration: `10s`, `1m20s`, `5m0s`.
pub fn text(seconds: i64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, s) => format!("{s}s"),
        (m, s) => format!("{m}m{s}s"),
    }
}

/// What was noted when `container` was started.
fn used(container: &ContainerStatus) -> i64 {
    let noted = container.container.annotations.get(label::BACK_OFF);
    noted.and_then(|n| n.parse().ok()).unwrap_or(0_i64).clamp(0, MAX)
}

fn ran_long(ended: &ContainerStatus) -> bool {
    let (Some(from), Some(to)) = (time(ended.started_at), time(ended.finished_at)) else { return false };
    to.duration_since(from).as_secs() > RESET_AFTER
}
