use super::*;

#[test]
fn hierarchies_are_told_apart() {
    let hybrid = "30 23 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755\n\
        31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw\n\
        33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n\
        34 30 0:30 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory\n";
    let mount = |controllers: &[&str], path: &str| Mount {
        controllers: controllers.iter().map(|c| (*c).to_owned()).collect(),
        path: path.into(),
    };
    let expected = Hierarchy::V1 {
        mounts: vec![
            mount(&["cpu", "cpuacct"], "/sys/fs/cgroup/cpu,cpuacct"),
            mount(&["memory"], "/sys/fs/cgroup/memory"),
            mount(&[], "/sys/fs/cgroup/unified"),
        ],
    };
    assert_eq!(Hierarchy::parse(hybrid), Some(expected));
    let unified = "31 30 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    assert_eq!(Hierarchy::parse(unified), Some(Hierarchy::V2 { root: "/sys/fs/cgroup".into() }));
    assert_eq!(Hierarchy::parse("22 1 0:5 / /dev rw - devtmpfs udev rw\n"), None);
}

#[test]
fn names_follow_the_quality_of_service() {
    let top = Cgroups::new(None, "");
    assert_eq!(top.of_pod(Qos::Guaranteed, "u"), "kubepods/podu");
    assert_eq!(top.of_pod(Qos::BestEffort, "u"), "kubepods/besteffort/podu");
    let below = Cgroups::new(None, "/knarr/");
    assert_eq!(below.of_pod(Qos::Burstable, "u"), "knarr/kubepods/burstable/podu");
}

/// Plain directories stand in for a hierarchy: names and values are what is tested.
#[test]
fn a_pods_cgroup_is_made_limited_found_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let cpu = dir.path().join("cpu");
    let pod_dir = cpu.join("kubepods/burstable/podu1");
    fs::create_dir_all(&pod_dir).unwrap();
    for file in ["cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us"] {
        fs::write(pod_dir.join(file), "").unwrap();
    }
    let mounts = vec![Mount { controllers: vec!["cpu".into()], path: cpu }];
    let cgroups = Cgroups::new(Some(Hierarchy::V1 { mounts }), "");
    let pod = crate::testing::pod_json(serde_json::json!({
        "metadata": {"name": "a", "uid": "u1"},
        "spec": {"containers": [
            {"name": "c", "resources": {"requests": {"cpu": "250m"}, "limits": {"cpu": "1500m"}}},
        ]},
    }));
    cgroups.create_pod(&pod, "u1").unwrap();
    let read = |file: &str| fs::read_to_string(pod_dir.join(file)).unwrap();
    assert_eq!(read("cpu.shares"), "256");
    assert_eq!(read("cpu.cfs_quota_us"), "150000");
    assert_eq!(cgroups.pods(), ["u1"]);
    for file in ["cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us"] {
        fs::remove_file(pod_dir.join(file)).unwrap();
    }
    cgroups.remove_pod("u1").unwrap();
    assert!(!pod_dir.exists());
}
