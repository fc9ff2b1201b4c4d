//! What a container finds inside: volumes, environment, limits, confinement.

use std::time::Duration;

use e2e::{Cluster, eventually};

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
    command: [sh, -c, "sleep 3600"]
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
