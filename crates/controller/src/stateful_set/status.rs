//! What a stateful set's status says.

use k8s_openapi::api::apps::v1::StatefulSetStatus;
use resources::apps::stateful_set::StatefulSetExt;
use resources::core::pod::PodExt;
use resources::owner::ObjectMetaExt;

use super::identity;
use super::plan::{Observed, is_available};

/// The status as it should be.
pub fn observe(observed: &Observed<'_>, collisions: Option<i32>) -> StatefulSetStatus {
    let set = observed.set;
    let there = || observed.pods.iter().filter(|pod| !pod.phase().is_empty());
    let of = |revision: &str| {
        let of = |pod: &&_| identity::revision(pod) == revision;
        there().filter(|pod| !pod.metadata.is_deleting()).filter(of).count() as i32
    };
    let replicas = there().count() as i32;
    let ready = there().filter(|pod| pod.phase() == "Running" && pod.is_ready()).count() as i32;
    let available = there().filter(|pod| is_available(observed, pod)).count() as i32;
    let (mut current, updated) = (of(&observed.current.name), of(&observed.update.name));
    let mut revision = &observed.current.name;
    // Everything wanted is of the new template and works: it is the current one from now on.
    let wanted = set.replicas();
    if set.is_rolling() && updated == wanted && ready == wanted && replicas == wanted {
        (current, revision) = (updated, &observed.update.name);
    }
    // Absent and zero are the same in the API; absent is what is stored.
    let some = |count: i32| (count != 0).then_some(count);
    StatefulSetStatus {
        observed_generation: set.metadata.generation,
        replicas,
        ready_replicas: some(ready),
        // Told even when there are none, as upstream does.
        available_replicas: Some(available),
        current_replicas: some(current),
        updated_replicas: some(updated),
        current_revision: Some(revision.clone()),
        update_revision: Some(observed.update.name.clone()),
        // Of a set, it is always told.
        collision_count: Some(collisions.unwrap_or(0)),
        conditions: set.status.as_ref().and_then(|s| s.conditions.clone()),
    }
}
