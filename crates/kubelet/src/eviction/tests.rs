use cri::ContainerStats;
use serde_json::json;

use super::*;
use crate::cgroups::Usage;
use crate::testing::pod_json;
use crate::usage::{ContainerUsage, Disk, VolumeUsage};

const MI: u64 = 1 << 20;

fn pod(spec: Value) -> Pod {
    pod_json(json!({"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": spec}))
}

/// Mebibytes of a writable layer, of logs, of the volume `v`, of memory.
fn used(layer: u64, logs: u64, volume: u64, memory: u64) -> PodUsage {
    let container = ContainerUsage {
        name: "c".into(),
        stats: ContainerStats {
            rootfs_used_bytes: layer * MI,
            memory_working_set_bytes: memory * MI,
            ..ContainerStats::default()
        },
        logs: Disk { bytes: logs * MI, inodes: 1 },
        ..ContainerUsage::default()
    };
    let disk = Disk { bytes: volume * MI, inodes: 1 };
    PodUsage {
        cgroup: Usage { memory_working_set: memory * MI, ..Usage::default() },
        containers: vec![container],
        volumes: vec![VolumeUsage { name: "v".into(), disk, in_memory: false }],
    }
}

#[test]
fn limits_on_the_disk_are_told_apart() {
    let limited = pod(json!({
        "containers": [{"name": "c", "resources": {"limits": {"ephemeral-storage": "20Mi"}}}],
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "10Mi"}}],
    }));
    let check = |used: PodUsage, expected: Option<&str>| {
        assert_eq!(over_limit(&limited, &used).as_deref(), expected);
    };
    check(used(10, 5, 5, 0), None);
    check(used(0, 0, 11, 0), Some("Usage of EmptyDir volume \"v\" exceeds the limit \"10Mi\". "));
    check(
        used(10, 5, 6, 0),
        Some("Pod ephemeral local storage usage exceeds the total limit of containers 20Mi. "),
    );
    // Only one of two containers has a limit: then the pod has none.
    let two = pod(json!({"containers": [
        {"name": "c", "resources": {"limits": {"ephemeral-storage": "20Mi"}}}, {"name": "d"},
    ]}));
    assert_eq!(
        over_limit(&two, &used(20, 1, 0, 0)).as_deref(),
        Some("Container c exceeded its local ephemeral storage limit \"20Mi\". ")
    );
    assert!(!has_disk_limit(&pod(json!({"containers": [{"name": "c"}]}))));
}

#[test]
fn the_least_important_above_its_request_goes_first() {
    let of = |priority: i32, request: &str| {
        let requests = json!({"requests": {"memory": request}});
        pod(json!({"priority": priority, "containers": [{"name": "c", "resources": requests}]}))
    };
    let mut all = [
        ("modest", of(0, "100Mi"), used(0, 0, 0, 90)),
        ("greedy", of(0, "10Mi"), used(0, 0, 0, 90)),
        ("important", of(10, "10Mi"), used(0, 0, 0, 200)),
        ("greedier", of(0, "10Mi"), used(0, 0, 0, 95)),
    ];
    all.sort_by_key(|(_, pod, used)| rank(pod, used, Resource::Memory));
    assert_eq!(all.each_ref().map(|(name, ..)| *name), ["greedier", "greedy", "important", "modest"]);
    let signals = Signals { memory_available: 50 * MI, ..Signals::default() };
    let thresholds = Thresholds::default();
    assert_eq!(shortage(&signals, &thresholds), Some(Resource::Memory));
    assert_eq!(
        low_message(&all[0].1, &all[0].2, Resource::Memory, &signals, &thresholds),
        "The node was low on resource: memory. Threshold quantity: 102400Ki, available: 51200Ki. \
         Container c was using 97280Ki, request is 10Mi, has larger consumption of memory. "
    );
}

#[test]
fn thresholds_are_written_as_for_upstreams_kubelet() {
    let all = Thresholds::parse("memory.available<200Mi, nodefs.available<7%").expect("thresholds");
    assert_eq!(all.memory_available, Least::Amount(200 * MI));
    assert_eq!(all.nodefs_available.of(1000), 70);
    assert!(!all.short_of_disk(Filesystem { size: 1000, available: 71, inodes: 10, inodes_free: 0 }));
    for bad in ["memory.available", "memory.available<x", "nodefs.available<101%", "nonsense<1%"] {
        assert!(Thresholds::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(
        Thresholds::default().as_config().to_string(),
        r#"{"memory.available":"100Mi","nodefs.available":"10%","nodefs.inodesFree":"5%"}"#
    );
}

#[test]
fn disks_run_short_of_bytes_or_files() {
    let disk = |available, inodes_free| Filesystem { size: 1000, available, inodes: 1000, inodes_free };
    let thresholds = Thresholds::default();
    assert!(!thresholds.short_of_disk(disk(100, 50)));
    assert!(thresholds.short_of_disk(disk(99, 50)));
    assert!(thresholds.short_of_disk(disk(100, 49)));
    assert!(!thresholds.short_of_disk(Filesystem::default()));
}
