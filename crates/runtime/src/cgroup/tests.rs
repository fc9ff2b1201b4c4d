use super::*;

#[track_caller]
fn check(mounts: &[(&str, &str)], expected: &[&str], unified: bool) {
    let lines: Vec<String> = mounts
        .iter()
        .map(|(target, kind)| format!("30 25 0:26 / {target} rw,relatime - {kind} x rw"))
        .collect();
    let hierarchy = Hierarchy::parse(&lines.join("\n")).unwrap();
    let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
    assert_eq!((hierarchy.group("a/b"), hierarchy.is_unified()), (expected, unified));
}

#[test]
fn version_1_hybrid_and_2_are_told_apart() {
    check(&[("/sys/fs/cgroup", "cgroup2")], &["/sys/fs/cgroup/a/b"], true);
    let memory = ("/sys/fs/cgroup/memory", "cgroup");
    check(&[memory], &["/sys/fs/cgroup/memory/a/b"], false);
    let hybrid = ("/sys/fs/cgroup/unified", "cgroup2");
    check(&[hybrid, memory], &["/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/unified/a/b"], false);
}

#[test]
fn no_cgroups_is_an_answer() {
    assert_eq!(Hierarchy::parse("30 25 0:26 / /tmp rw - tmpfs x rw"), None);
}

/// The program is loaded and attached for real where there is a version 2 hierarchy, as root.
#[test]
fn version_2_limits_devices_by_a_program() {
    let Ok(hierarchy) = Hierarchy::detect() else { return };
    let name = format!("knarr-test-bpf-{}", std::process::id());
    let group = hierarchy.group(&name).pop().unwrap();
    if !group
        .parent()
        .is_some_and(|root| root.join("cgroup.procs").exists() && root.join("cgroup.max.depth").exists())
        || std::fs::create_dir(&group).is_err()
    {
        return;
    }
    super::bpf::attach(std::slice::from_ref(&group), &super::devices::rules(&[])).unwrap();
    let script = format!(
        "echo 0 > {}/cgroup.procs; echo x > /dev/null && head -c 1 /dev/zero | wc -c; (: < /dev/kmsg) 2>/dev/null && echo open || echo refused",
        group.display()
    );
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    let removed = std::fs::remove_dir(&group);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\nrefused\n");
    removed.unwrap();
}

#[test]
fn device_rules_are_written_as_the_kernel_reads_them() {
    let node = crate::spec::Node { major: 10, minor: 200, access: "rw".into(), ..Default::default() };
    let rules = super::devices::rules(&[node]);
    let lines: Vec<String> = rules.iter().map(super::devices::line).collect();
    assert_eq!(lines[..3], ["c *:* m", "b *:* m", "c 1:3 rwm"]);
    assert_eq!(lines.last().unwrap(), "c 10:200 rw");
}
