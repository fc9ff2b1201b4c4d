//! What a node does for pods beyond running them: resizing, debugging, static pods, limits on the disk, preemption, figures.

use std::time::Duration;

use e2e::{Cluster, eventually};

const LONG: Duration = Duration::from_secs(120);

const RESIZED: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: resized }
spec:
  containers:
  - name: grows
    image: busybox
    command: [sleep, "3600"]
    resources: { requests: { cpu: 50m, memory: 32Mi }, limits: { cpu: 100m, memory: 64Mi } }
  - name: restarts
    image: busybox
    command: [sh, -c, "trap exit TERM; sleep 3600 & wait"]
    resizePolicy: [{ resourceName: memory, restartPolicy: RestartContainer }]
    resources: { requests: { cpu: 50m, memory: 32Mi }, limits: { cpu: 100m, memory: 64Mi } }
"#;

/// The limit that the kernel holds for the container, read inside it on either version of cgroups.
fn cpu_limit(cluster: &Cluster, pod: &str, container: &str) -> String {
    let read =
        "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cat /sys/fs/cgroup/cpu.max | cut -d' ' -f1";
    cluster.kubectl(&["exec", pod, "-c", container, "--", "sh", "-c", read]).stdout.trim().to_owned()
}

#[test]
fn pods_are_resized_in_place() {
    let cluster = Cluster::start("resize");
    cluster.apply(RESIZED);
    cluster.wait_for("condition=Ready", "pod/resized", 90);
    let patch = |patch: &str| {
        cluster.kubectl(&["patch", "pod", "resized", "--subresource=resize", "-p", patch]).ok();
    };
    let of = |container: &str, path: &str| {
        let path = format!("{{.status.containerStatuses[?(@.name==\"{container}\")].{path}}}");
        cluster.value("pod", "resized", &path)
    };
    assert_eq!(cpu_limit(&cluster, "resized", "grows"), "10000");
    assert_eq!(of("grows", "resources.limits.cpu"), "100m");
    patch(
        r#"{"spec":{"containers":[{"name":"grows","resources":{"requests":{"cpu":"100m"},"limits":{"cpu":"200m"}}}]}}"#,
    );
    eventually(LONG, "the kernel has the new limit", || cpu_limit(&cluster, "resized", "grows") == "20000");
    eventually(LONG, "the status shows it", || {
        of("grows", "resources.limits.cpu") == "200m" && of("grows", "allocatedResources.cpu") == "100m"
    });
    assert_eq!(of("grows", "restartCount"), "0");
    // Memory's policy of the other asks for a restart.
    patch(
        r#"{"spec":{"containers":[{"name":"restarts","resources":{"requests":{"memory":"40Mi"},"limits":{"memory":"80Mi"}}}]}}"#,
    );
    eventually(LONG, "it restarts with the new limit", || {
        of("restarts", "restartCount") == "1" && of("restarts", "resources.limits.memory") == "80Mi"
    });
    eventually(LONG, "nothing is left to do", || {
        cluster.value("pod", "resized", "{.status.conditions[*].type}").matches("PodResize").count() == 0
    });
    let generation = cluster.value("pod", "resized", "{.metadata.generation}");
    eventually(LONG, "the generation is observed", || {
        cluster.value("pod", "resized", "{.status.observedGeneration}") == generation
    });
    // More than the node has: never.
    patch(
        r#"{"spec":{"containers":[{"name":"grows","resources":{"requests":{"cpu":"1000"},"limits":{"cpu":"1000"}}}]}}"#,
    );
    eventually(LONG, "it is infeasible", || {
        cluster.value("pod", "resized", "{.status.conditions[?(@.type==\"PodResizePending\")].reason}")
            == "Infeasible"
    });
    assert_eq!(cpu_limit(&cluster, "resized", "grows"), "20000");
    let events = cluster.kubectl(&["get", "events"]).stdout;
    for reason in ["ResizeStarted", "ResizeCompleted", "ResizeInfeasible"] {
        assert!(events.contains(reason), "{reason}: {events}");
    }
}

const REFUSED: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: unsafe }
spec:
  securityContext: { sysctls: [{ name: kernel.msgmax, value: "65536" }] }
  containers: [{ name: c, image: busybox, command: [sleep, "3600"] }]
---
apiVersion: v1
kind: Pod
metadata: { name: safe }
spec:
  restartPolicy: Never
  securityContext: { sysctls: [{ name: net.ipv4.ip_unprivileged_port_start, value: "80" }] }
  containers: [{ name: c, image: busybox, command: [cat, /proc/sys/net/ipv4/ip_unprivileged_port_start] }]
---
apiVersion: v1
kind: Pod
metadata: { name: own-users }
spec:
  hostUsers: false
  containers: [{ name: c, image: busybox, command: [sh, -c, "cat /proc/self/uid_map; id -u; sleep 3600"] }]
---
apiVersion: v1
kind: Pod
metadata: { name: imaged }
spec:
  restartPolicy: Never
  containers:
  - name: c
    image: busybox
    command: [sh, -c, "ls /server/usr/sbin/nginx /site/index* && ! touch /server/new"]
    volumeMounts:
    - { name: server, mountPath: /server }
    - { name: server, mountPath: /site, subPath: usr/share/nginx/html }
  volumes: [{ name: server, image: { reference: nginx, pullPolicy: IfNotPresent } }]
---
apiVersion: v1
kind: Pod
metadata: { name: stuffed }
spec:
  containers:
  - name: c
    image: busybox
    command: [sh, -c, "dd if=/dev/zero of=/data/file bs=1M count=12; sleep 3600"]
    volumeMounts: [{ name: data, mountPath: /data }]
  volumes: [{ name: data, emptyDir: { sizeLimit: 5Mi } }]
"#;

const STATIC: &str = "
apiVersion: v1
kind: Pod
metadata: { name: fixed }
spec:
  containers: [{ name: c, image: busybox, command: [sh, -c, 'echo here; sleep 3600'] }]
";

#[test]
fn what_a_node_decides() {
    let cluster = Cluster::start("decides");
    cluster.apply(REFUSED);
    let manifest = cluster.data_dir().join("pod-manifests/fixed.yaml");
    std::fs::write(&manifest, STATIC).expect("write a manifest");

    eventually(LONG, "an unsafe sysctl is refused", || {
        cluster.value("pod", "unsafe", "{.status.reason}") == "SysctlForbidden"
    });
    assert_eq!(
        cluster.value("pod", "unsafe", "{.status.message}"),
        "Pod was rejected: forbidden sysctl: \"kernel.msgmax\" not allowlisted"
    );
    eventually(LONG, "a safe one is set", || cluster.kubectl(&["logs", "safe"]).stdout == "80\n");
    eventually(LONG, "a user namespace", || {
        cluster.kubectl(&["logs", "own-users"]).stdout.ends_with("\n0\n")
    });
    let map = cluster.kubectl(&["logs", "own-users"]).ok();
    let map: Vec<&str> = map.lines().next().expect("a line").split_whitespace().collect();
    assert!(map[0] == "0" && map[1] != "0" && map[2] == "65536", "{map:?}");

    eventually(LONG, "an image as a volume", || {
        cluster.value("pod", "imaged", "{.status.phase}") == "Succeeded"
    });

    // A static pod: shown by a mirror, whose deletion changes nothing.
    eventually(LONG, "the static pod runs", || {
        cluster.value("pod", "fixed-node1", "{.status.phase}") == "Running"
    });
    assert_eq!(cluster.kubectl(&["logs", "fixed-node1"]).ok(), "here\n");
    assert_eq!(cluster.kubectl(&["exec", "fixed-node1", "--", "hostname"]).ok(), "fixed-node1\n");
    let id = || cluster.value("pod", "fixed-node1", "{.status.containerStatuses[0].containerID}");
    let (container, uid) = (id(), cluster.value("pod", "fixed-node1", "{.metadata.uid}"));
    cluster.kubectl(&["delete", "pod", "fixed-node1"]).ok();
    eventually(LONG, "another mirror", || {
        let now = cluster.value("pod", "fixed-node1", "{.metadata.uid}");
        !now.is_empty() && now != uid && id() == container
    });
    std::fs::remove_file(&manifest).expect("remove the manifest");
    eventually(LONG, "it ends with its manifest", || {
        cluster.kubectl(&["get", "pod", "fixed-node1", "--ignore-not-found"]).stdout.is_empty()
    });

    eventually(LONG, "a volume above its limit evicts", || {
        cluster.value("pod", "stuffed", "{.status.reason}") == "Evicted"
    });
    assert_eq!(
        cluster.value("pod", "stuffed", "{.status.message}"),
        "Usage of EmptyDir volume \"data\" exceeds the limit \"5Mi\". "
    );
    assert_eq!(
        cluster.value("pod", "stuffed", "{.status.conditions[?(@.type==\"DisruptionTarget\")].reason}"),
        "TerminationByKubelet"
    );

    // What others read of the kubelet, through the API server.
    let raw =
        |path: &str| cluster.kubectl(&["get", "--raw", &format!("/api/v1/nodes/node1/proxy/{path}")]).ok();
    assert_eq!(raw("healthz"), "ok");
    let summary: serde_json::Value = serde_json::from_str(&raw("stats/summary")).expect("JSON");
    assert_eq!(summary["node"]["nodeName"], "node1");
    assert!(summary["node"]["memory"]["workingSetBytes"].as_u64().is_some_and(|n| n > 0), "{summary}");
    let metrics = raw("metrics/resource");
    for line in [
        "node_cpu_usage_seconds_total ",
        "container_memory_working_set_bytes{container=\"c\",",
        "resource_scrape_error 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(raw("metrics/cadvisor").contains("container_cpu_usage_seconds_total{container=\"c\""));
    assert!(raw("configz").contains("\"kubeletconfig\""));
    assert!(raw("runningpods/").contains("\"own-users\""));
    assert!(raw("pods").contains("\"own-users\""));
}

#[test]
fn a_running_pod_is_debugged() {
    let cluster = Cluster::start("debug");
    cluster.kubectl(&["run", "web", "--image=nginx"]).ok();
    cluster.wait_for("condition=Ready", "pod/web", 90);
    let debug = ["debug", "web", "--image=busybox", "--target=web", "-c", "looker", "--", "sh", "-c"];
    cluster.kubectl(&[&debug[..], &["ps; echo done; sleep 1"]].concat()).ok();
    eventually(LONG, "it sees the target's processes", || {
        let seen = cluster.kubectl(&["logs", "web", "-c", "looker"]).stdout;
        seen.contains("nginx") && seen.contains("done")
    });
    eventually(LONG, "its end is in the status", || {
        cluster.value("pod", "web", "{.status.ephemeralContainerStatuses[0].state.terminated.exitCode}")
            == "0"
    });
    assert_eq!(cluster.value("pod", "web", "{.status.containerStatuses[0].restartCount}"), "0");
    let gone = cluster.kubectl(&["exec", "web", "-c", "looker", "--", "true"]).fails();
    assert!(gone.contains("looker"), "{gone}");
}

#[test]
fn important_pods_make_room() {
    let cluster = Cluster::start("preempt");
    let cpus: u32 = cluster.value("node", "node1", "{.status.allocatable.cpu}").parse().expect("a number");
    let pod = |name: &str, class: &str, milli: u32| {
        format!(
            "
apiVersion: v1
kind: Pod
metadata: {{ name: {name} }}
spec:
  priorityClassName: {class}
  terminationGracePeriodSeconds: 1
  containers:
  - {{ name: c, image: busybox, command: [sleep, '3600'], resources: {{ requests: {{ cpu: {milli}m }} }} }}
---"
        )
    };
    let half = cpus * 1000 / 2 - 100;
    cluster.apply(
        "
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: { name: low }
value: 1
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: { name: high }
value: 1000
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: { name: meek }
value: 2000
preemptionPolicy: Never
",
    );
    cluster.apply(&format!("{}{}", pod("small", "low", half), pod("middle", "low", half)));
    for name in ["pod/small", "pod/middle"] {
        cluster.wait_for("condition=Ready", name, 90);
    }
    cluster.apply(&pod("meek", "meek", half));
    eventually(LONG, "it says that it may not", || {
        cluster
            .value("pod", "meek", "{.status.conditions[?(@.type==\"PodScheduled\")].message}")
            .ends_with("preemption: not eligible due to preemptionPolicy=Never.")
    });
    cluster.kubectl(&["delete", "pod", "meek"]).ok();
    cluster.apply(&pod("important", "high", half));
    cluster.wait_for("condition=Ready", "pod/important", 90);
    let left = cluster.kubectl(&["get", "pods", "-o", "name"]).ok();
    assert_eq!(left.lines().count(), 2, "one had to go: {left}");
    let events = cluster.kubectl(&["get", "events"]).stdout;
    let uid = cluster.value("pod", "important", "{.metadata.uid}");
    assert!(events.contains(&format!("Preempted by pod {uid} on node node1")), "{events}");
}
