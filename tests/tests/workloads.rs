//! Daemon sets, stateful sets and disruption budgets with real containers.

use std::time::Duration;

use e2e::{Cluster, eventually};

const LONG: Duration = Duration::from_secs(120);

/// A container that ends as soon as it is asked to.
const CONTAINER: &str =
    r#"{ name: main, image: busybox, command: [sh, -c, "trap 'exit 0' TERM; sleep 86400 & wait"] }"#;

fn workload(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{ name: {name} }}\nspec:\n  {spec}\n  \
         selector: {{ matchLabels: {{ app: {name} }} }}\n  template:\n    metadata: {{ labels: {{ app: {name} }} }}\n    \
         spec:\n      containers: [{CONTAINER}]\n"
    )
}

/// Names and uids of an application's pods that are not being deleted, by name.
fn pods(cluster: &Cluster, app: &str) -> Vec<(String, String)> {
    let path = "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.metadata.deletionTimestamp}{\"\\n\"}{end}";
    let out = cluster.kubectl(&["get", "pods", "-l", &format!("app={app}"), "-o", path]).ok();
    let lines = out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.filter(|words| words.len() == 2).map(|words| (words[0].into(), words[1].into())).collect()
}

fn names(cluster: &Cluster, app: &str) -> Vec<String> {
    pods(cluster, app).into_iter().map(|(name, _)| name).collect()
}

#[track_caller]
fn rolled_out(cluster: &Cluster, what: &str) {
    let timeout = format!("--timeout={}s", LONG.as_secs() as u32 * e2e::patience());
    let out = cluster.kubectl(&["rollout", "status", what, &timeout]);
    if out.code != 0 {
        let seen = cluster.kubectl(&["describe", what]).stdout;
        let pods = cluster.kubectl(&["get", "pods", "-o", "wide"]).stdout;
        panic!("{what} was not rolled out: {}{}\n{seen}\n{pods}", out.stdout, out.stderr);
    }
}

/// How many revisions `kubectl rollout history` lists.
fn revisions(cluster: &Cluster, what: &str) -> Vec<String> {
    let out = cluster.kubectl(&["rollout", "history", what]).ok();
    let numbers = out.lines().filter_map(|line| line.split_whitespace().next());
    numbers.filter(|word| word.parse::<u32>().is_ok()).map(str::to_owned).collect()
}

#[test]
fn workloads_of_every_sort() {
    let cluster = Cluster::start("workloads");
    daemon_set(&cluster);
    stateful_set(&cluster);
    partition(&cluster);
    claims(&cluster);
    budget(&cluster);
}

fn daemon_set(cluster: &Cluster) {
    cluster.apply(&workload("DaemonSet", "d", ""));
    rolled_out(cluster, "ds/d");
    let row = cluster.kubectl(&["get", "ds", "d", "--no-headers"]).ok();
    let cells: Vec<_> = row.split_whitespace().take(7).collect();
    assert_eq!(cells, ["d", "1", "1", "1", "1", "1", "<none>"]);
    let first = pods(cluster, "d");
    assert_eq!(cluster.value("pod", &first[0].0, "{.spec.nodeName}"), "node1");

    cluster.kubectl(&["rollout", "restart", "ds/d"]).ok();
    rolled_out(cluster, "ds/d");
    let second = pods(cluster, "d");
    assert!(second.len() == 1 && second != first, "{first:?} {second:?}");
    assert_eq!(revisions(cluster, "ds/d"), ["1", "2"]);
    cluster.kubectl(&["rollout", "undo", "ds/d"]).ok();
    rolled_out(cluster, "ds/d");
    assert_eq!(revisions(cluster, "ds/d"), ["2", "3"]);

    // A node that no longer wants it loses it.
    let patch = r#"{"spec":{"template":{"spec":{"nodeSelector":{"disk":"ssd"}}}}}"#;
    cluster.kubectl(&["patch", "ds", "d", "-p", patch]).ok();
    eventually(LONG, "the daemon is gone", || pods(cluster, "d").is_empty());
    cluster.kubectl(&["label", "node", "node1", "disk=ssd"]).ok();
    eventually(LONG, "the daemon is back", || pods(cluster, "d").len() == 1);
    rolled_out(cluster, "ds/d");
}

fn stateful_set(cluster: &Cluster) {
    cluster.apply(&workload("StatefulSet", "s", "replicas: 3\n  serviceName: svc"));
    rolled_out(cluster, "sts/s");
    assert_eq!(names(cluster, "s"), ["s-0", "s-1", "s-2"]);
    let created = |name: &str| cluster.value("pod", name, "{.status.startTime}");
    assert!(created("s-0") <= created("s-1") && created("s-1") <= created("s-2"));
    assert_eq!(cluster.kubectl(&["exec", "s-1", "--", "hostname"]).ok(), "s-1\n");
    assert_eq!(cluster.value("pod", "s-2", "{.metadata.labels.apps\\.kubernetes\\.io/pod-index}"), "2");
    assert_eq!(cluster.value("pod", "s-2", "{.spec.subdomain}"), "svc");

    let before = pods(cluster, "s");
    cluster.kubectl(&["delete", "pod", "s-1"]).ok();
    eventually(LONG, "s-1 is back", || {
        let now = pods(cluster, "s");
        now.len() == 3 && now[1].0 == "s-1" && now[1].1 != before[1].1
    });
    rolled_out(cluster, "sts/s");

    cluster.kubectl(&["scale", "sts", "s", "--replicas=1"]).ok();
    eventually(LONG, "only s-0 is left", || {
        let left = cluster.kubectl(&["get", "pods", "-l", "app=s", "-o", "name"]).ok();
        assert!(left.contains("s-0"), "the first goes last: {left}");
        assert!(!left.contains("s-2") || left.contains("s-1"), "the last goes first: {left}");
        left == "pod/s-0\n"
    });
    cluster.kubectl(&["scale", "sts", "s", "--replicas=2"]).ok();
    rolled_out(cluster, "sts/s");
}

/// Continues with the two pods of [`stateful_set`].
fn partition(cluster: &Cluster) {
    let patch = r#"{"spec":{"updateStrategy":{"rollingUpdate":{"partition":1}}}}"#;
    cluster.kubectl(&["patch", "sts", "s", "-p", patch]).ok();
    let before = pods(cluster, "s");
    cluster.kubectl(&["set", "env", "sts/s", "COLOUR=green"]).ok();
    rolled_out(cluster, "sts/s");
    let after = pods(cluster, "s");
    assert_eq!(after[0], before[0], "s-0 is below the partition");
    assert_ne!(after[1], before[1]);
    let colour = |name: &str| cluster.value("pod", name, "{.spec.containers[0].env[0].value}");
    assert_eq!((colour("s-0"), colour("s-1")), (String::new(), "green".into()));
    let revision = |which: &str| cluster.value("sts", "s", &format!("{{.status.{which}Revision}}"));
    assert_ne!(revision("current"), revision("update"));

    cluster
        .kubectl(&[
            "patch",
            "sts",
            "s",
            "-p",
            r#"{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}"#,
        ])
        .ok();
    eventually(LONG, "all are of the new revision", || revision("current") == revision("update"));
    assert_eq!(colour("s-0"), "green");
    assert_eq!(revisions(cluster, "sts/s"), ["1", "2"]);
    cluster.kubectl(&["rollout", "undo", "sts/s"]).ok();
    rolled_out(cluster, "sts/s");
    assert_eq!((colour("s-0"), colour("s-1")), (String::new(), String::new()));
    cluster.kubectl(&["delete", "sts", "s", "--timeout=60s"]).ok();
    eventually(LONG, "its pods are gone, too", || names(cluster, "s").is_empty());
}

/// What a pod's claims are called. Whether they get a volume is another matter.
fn claims(cluster: &Cluster) {
    let claim = "volumeClaimTemplates: [{ metadata: { name: data }, spec: { accessModes: [ReadWriteOnce], \
                 resources: { requests: { storage: 1Mi } } } }]";
    cluster.apply(&workload("StatefulSet", "c", claim));
    eventually(LONG, "the claim is made", || cluster.kubectl(&["get", "pvc", "data-c-0"]).code == 0);
    assert_eq!(cluster.value("pvc", "data-c-0", "{.metadata.labels.app}"), "c");
    let volume = "{.spec.volumes[?(@.name==\"data\")].persistentVolumeClaim.claimName}";
    eventually(LONG, "the pod uses it", || cluster.value("pod", "c-0", volume) == "data-c-0");
    cluster.kubectl(&["delete", "sts", "c", "--timeout=60s"]).ok();
}

fn budget(cluster: &Cluster) {
    cluster.apply(&workload("Deployment", "web", "replicas: 2"));
    rolled_out(cluster, "deploy/web");
    cluster.kubectl(&["create", "pdb", "web", "--selector=app=web", "--min-available=2"]).ok();
    let allowed = || cluster.value("pdb", "web", "{.status.disruptionsAllowed} {.status.currentHealthy}");
    eventually(LONG, "the budget is worked out", || allowed() == "0 2");
    let drain = ["drain", "node1", "--ignore-daemonsets", "--pod-selector=app=web"];
    let refused = cluster.kubectl(&[&drain[..], &["--timeout=10s"]].concat()).fails();
    assert!(
        refused.contains("Cannot evict pod as it would violate the pod's disruption budget."),
        "{refused}"
    );
    assert_eq!(pods(cluster, "web").len(), 2);

    cluster.kubectl(&["patch", "pdb", "web", "--type=merge", "-p", r#"{"spec":{"minAvailable":0}}"#]).ok();
    eventually(LONG, "the budget allows", || allowed() == "2 2");
    cluster.kubectl(&[&drain[..], &["--timeout=120s"]].concat()).ok();
    cluster.kubectl(&["uncordon", "node1"]).ok();
    rolled_out(cluster, "deploy/web");
    let row = cluster.kubectl(&["get", "pdb", "web", "--no-headers"]).ok();
    let cells: Vec<_> = row.split_whitespace().take(3).collect();
    assert_eq!(cells, ["web", "0", "N/A"]);
}
