//! What a container finds inside: volumes, environment, limits, confinement.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use e2e::host::{MACHINE, WORLD};
use e2e::{Cluster, eventually, run};

const PODS: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { colour: green, size: large }
---
apiVersion: v1
kind: Secret
metadata: { name: hidden }
stringData: { word: swordfish }
---
apiVersion: v1
kind: Pod
metadata: { name: full, labels: { app: full } }
spec:
  restartPolicy: Never
  initContainers:
  - name: first
    image: busybox
    command: [sh, -c, "echo prepared > /shared/file"]
    volumeMounts: [{ name: shared, mountPath: /shared }]
  containers:
  - name: main
    image: busybox
    command: [sh, -c, "cat /shared/file /settings/colour /hidden/word /info/labels; echo $COLOUR $WORD $NAME $(COLOUR)ish; id -u; sleep 3600"]
    env:
    - { name: COLOUR, valueFrom: { configMapKeyRef: { name: settings, key: colour } } }
    - { name: WORD, valueFrom: { secretKeyRef: { name: hidden, key: word } } }
    - { name: NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
    resources: { limits: { memory: 64Mi, cpu: 500m } }
    volumeMounts:
    - { name: shared, mountPath: /shared }
    - { name: settings, mountPath: /settings }
    - { name: hidden, mountPath: /hidden }
    - { name: info, mountPath: /info }
  - name: side
    image: busybox
    command: [sh, -c, "echo from side > /dev/shm/note; nc -ll -p 8080 -e cat /dev/shm/note"]
  volumes:
  - { name: shared, emptyDir: {} }
  - { name: settings, configMap: { name: settings } }
  - { name: hidden, secret: { secretName: hidden } }
  - { name: info, downwardAPI: { items: [{ path: labels, fieldRef: { fieldPath: metadata.labels } }] } }
---
apiVersion: v1
kind: Pod
metadata: { name: hungry }
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: busybox
    command: [sh, -c, "tail /dev/zero"]
    resources: { limits: { memory: 16Mi } }
"#;

#[test]
fn volumes_environment_limits_and_confinement() {
    let cluster = Cluster::start("inside");
    cluster.apply(PODS);
    cluster.wait_for("condition=Ready", "pod/full", 90);
    eventually(Duration::from_secs(10), "it has said everything", || {
        cluster.kubectl(&["logs", "full", "-c", "main"]).stdout.lines().count() >= 3
    });
    assert_eq!(
        cluster.kubectl(&["logs", "full", "-c", "main"]).ok(),
        "prepared\ngreenswordfishapp=\"full\"green swordfish full greenish\n0\n"
    );
    let inside = |command: &str| cluster.kubectl(&["exec", "full", "-c", "main", "--", "sh", "-c", command]);
    // Two containers of a pod share network and host name, not processes.
    assert_eq!(inside("hostname").ok(), "full\n");
    assert!(!inside("ps").ok().contains("sleep 3600\n   7"), "a container sees the other's processes");
    // Of network and IPC the pod has one of each.
    eventually(Duration::from_secs(60), "the other container listens on this one's localhost", || {
        inside("nc -w 20 127.0.0.1 8080 < /dev/null").stdout == "from side\n"
    });
    assert_eq!(inside("cat /dev/shm/note").ok(), "from side\n");
    // The service account's token is there, and good for the API.
    let token = inside("cat /var/run/secrets/kubernetes.io/serviceaccount/token").ok();
    let who = cluster.whoami(&token).ok();
    assert_eq!(who, "system:serviceaccount:default:default");

    // Confinement, as the kernel tells it.
    let status = inside("grep -E '^(Seccomp|CapEff|NoNewPrivs):' /proc/self/status").ok();
    assert!(status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t0"), "{status}");
    assert!(status.contains("CapEff:\t00000000a80425fb"), "{status}");
    assert!(inside("unshare -m true").fails().contains("denied") || inside("unshare -m true").code != 0);
    assert_ne!(inside("mount -t tmpfs none /mnt").code, 0);
    assert_ne!(inside("echo 1 > /proc/sys/kernel/panic").code, 0);
    assert_eq!(inside("cat /proc/kcore | head -c 1 | wc -c").ok().trim(), "0");

    // Memory has a limit that ends what crosses it.
    eventually(Duration::from_secs(60), "the hungry one is killed for memory", || {
        cluster.value("pod", "hungry", "{.status.containerStatuses[0].state.terminated.reason}")
            == "OOMKilled"
    });

    // What changes in a ConfigMap arrives in the file.
    cluster.kubectl(&["patch", "configmap", "settings", "-p", r#"{"data":{"colour":"blue"}}"#]).ok();
    eventually(Duration::from_secs(90), "the file follows", || {
        inside("cat /settings/colour").stdout == "blue"
    });
    cluster.kubectl(&["delete", "pod", "full", "--grace-period=1"]).ok();
}

/// A shell's words for a page that tells who asks, in the directory $D.
const PAGE: &str = r"mkdir -p $D/cgi-bin
cat > $D/cgi-bin/who <<'END'
#!/bin/sh
echo 'Content-Type: text/plain'; echo; echo $REMOTE_ADDR
END
chmod 755 $D/cgi-bin/who";

/// A server of that page outside of the cluster.
fn mirror(mut program: Command, address: &str, dir: &Path) -> Child {
    program.args(["httpd", "-f", "-p", &format!("{address}:7000"), "-h"]).arg(dir);
    program.stdin(Stdio::null()).spawn().expect("start httpd")
}

#[test]
fn pods_reach_each_other_the_node_and_the_world() {
    let cluster = Cluster::start("reach");
    let serve = format!("D=/www; {PAGE}; exec busybox httpd -f -p 0.0.0.0:7000 -h /www");
    for name in ["one", "two"] {
        cluster.kubectl(&["run", name, "--image=busybox", "--", "sh", "-c", &serve]).ok();
    }
    for name in ["one", "two"] {
        cluster.wait_for("condition=Ready", &format!("pod/{name}"), 90);
    }
    let [one, two] = ["one", "two"].map(|p| cluster.value("pod", p, "{.status.podIP}"));
    assert_ne!(one, two);
    let busybox = Path::new("busybox");
    run(Command::new("sh").args(["-c", PAGE]).env("D", cluster.dir())).ok();
    let mut services = [
        mirror(cluster.host.command(busybox), MACHINE, cluster.dir()),
        mirror(cluster.host.world_command(busybox), WORLD, cluster.dir()),
    ];
    let ask = |whom: &str| {
        let question = format!("wget -qO- http://{whom}:7000/cgi-bin/who");
        let mut answer = String::new();
        eventually(Duration::from_secs(60), &format!("{whom} answers"), || {
            answer = cluster.kubectl(&["exec", "one", "--", "sh", "-c", &question]).stdout;
            !answer.is_empty()
        });
        answer.trim().to_owned()
    };
    // With its own address inside the cluster, with the node's outside.
    assert_eq!(ask("127.0.0.1"), "127.0.0.1");
    assert_eq!(ask(&two), one);
    assert_eq!(ask(MACHINE), one);
    assert_eq!(ask(WORLD), MACHINE);
    for service in &mut services {
        drop(service.kill());
        drop(service.wait());
    }
    cluster.kubectl(&["delete", "pods", "--all", "--grace-period=1"]).ok();
}
