//! What a daemon set's status says.

use codec::Kind;
use k8s_openapi::api::apps::v1::DaemonSetStatus;
use resources::core::pod::PodExt;

use super::nodes::{self, Eligible, Fit};
use super::plan::{Observed, is_current};

/// The status as it should be.
pub fn observe(observed: &Observed<'_>, collisions: Option<i32>) -> DaemonSetStatus {
    let set = observed.set;
    let by_node = nodes::by_node(observed.pods);
    let eligible = Eligible::of(set);
    let min_ready = set.spec.min_ready_seconds.unwrap_or(0);
    let [mut desired, mut current, mut missed, mut ready, mut available, mut updated] = [0; 6];
    for node in observed.nodes {
        let first = by_node.get(node.name()).and_then(|pods| pods.first());
        let runs = eligible.fit(node) == Fit::Runs;
        desired += i32::from(runs);
        let Some(pod) = first else { continue };
        if !runs {
            missed += 1;
            continue;
        }
        current += 1;
        ready += i32::from(pod.is_ready());
        available += i32::from(pod.is_available(min_ready, observed.now));
        updated += i32::from(is_current(pod, observed.hashes));
    }
    // Absent and zero are the same in the API; absent is what is stored.
    let some = |count: i32| (count != 0).then_some(count);
    DaemonSetStatus {
        observed_generation: set.metadata.generation,
        desired_number_scheduled: desired,
        current_number_scheduled: current,
        number_misscheduled: missed,
        number_ready: ready,
        number_available: some(available),
        number_unavailable: some(desired - available),
        updated_number_scheduled: some(updated),
        collision_count: collisions,
        conditions: set.status.as_ref().and_then(|s| s.conditions.clone()),
    }
}
