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
