use resources::core::pod::ContainerExt;
use serde_json::json;

use super::*;
use crate::testing::pod_json;

fn pod(uid: &str, cpu: &str, memory: &str) -> Arc<Pod> {
    Arc::new(pod_json(json!({
        "metadata": {"name": uid, "namespace": "default", "uid": uid},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]},
    })))
}

fn given(all: &Allocations, wanted: &Arc<Pod>) -> String {
    let pod = all.effective(wanted.clone());
    let requests = pod.requests();
    format!("{}m {}", requests.milli_cpu(), requests.memory())
}

#[test]
fn resizes_wait_for_room_and_survive_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let paths = Paths { root: dir.path().to_owned(), logs: dir.path().join("logs") };
    fs::create_dir_all(paths.pod("a")).expect("create");
    let all = Allocations::new(paths.clone());
    let allocatable = pod("n", "4", "1000").spec.as_ref().expect("spec").containers[0].requests();
    let node = NodeCapacity { allocatable: &allocatable, max_pods: 10 };
    all.admit(&pod("a", "1", "100"));
    all.admit(&pod("b", "2", "100"));
    assert_eq!(all.resize(&pod("a", "1000m", "100"), &node), Ok(false));
    assert_eq!(all.resize(&pod("a", "2", "200"), &node), Ok(true));
    let larger = pod("a", "3", "200");
    let deferred = all.resize(&larger, &node).expect_err("no room");
    assert_eq!(
        (deferred.reason, deferred.message.as_str()),
        ("Deferred", "Node didn't have enough resource: cpu, requested: 3000, used: 2000, capacity: 4000")
    );
    assert_eq!(given(&all, &larger), "2000m 200");
    let never = all.resize(&pod("a", "2", "1001"), &node).expect_err("too large");
    assert_eq!(
        (never.reason, never.message.as_str()),
        ("Infeasible", "Node didn't have enough capacity: memory, requested: 1001, capacity: 1000")
    );
    all.save("a").expect("save");

    let again = Allocations::new(paths);
    again.admit(&larger);
    again.admit(&pod("b", "2", "100"));
    assert_eq!(given(&again, &larger), "2000m 200");
    let room = again.room();
    again.release("b");
    assert!(room.has_changed().expect("open"));
    assert_eq!(again.resize(&larger, &node), Ok(true));
    assert_eq!(given(&again, &larger), "3000m 200");
}
