//! What a namespace allows: quotas, limits, Pod Security; claims and their volumes; certificates for users.

use std::fs;
use std::time::Duration;

use e2e::{Cluster, eventually};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn quotas_limits_and_pod_security() {
    let cluster = Cluster::start_with("quota", &["--disable-agent"]);
    let k = |args: &[&str]| cluster.kubectl(args);
    k(&["create", "namespace", "q"]).ok();
    k(&["-n", "q", "create", "quota", "q", "--hard=pods=2,requests.cpu=1,count/configmaps=5"]).ok();
    cluster.apply(
        "apiVersion: v1\nkind: LimitRange\nmetadata: { name: l, namespace: q }\nspec:\n  limits:\n  \
         - { type: Container, default: { cpu: 200m }, defaultRequest: { cpu: 100m }, max: { cpu: '1' } }\n",
    );
    let used = |resource: &str| {
        let path = format!("jsonpath={{.status.used.{}}}", resource.replace('.', "\\."));
        k(&["-n", "q", "get", "quota", "q", "-o", &path]).ok()
    };
    eventually(MINUTE, "the quota is counted", || used("pods") == "0");
    k(&["-n", "q", "run", "a", "--image=none"]).ok();
    k(&["-n", "q", "run", "b", "--image=none"]).ok();
    // Defaults of the limit range are what the quota counts.
    assert_eq!((used("pods"), used("requests.cpu")), ("2".into(), "200m".into()));
    assert_eq!(
        k(&["-n", "q", "run", "c", "--image=none"]).fails(),
        "Error from server (Forbidden): pods \"c\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, \
         limited: pods=2\n"
    );
    // Without a kubelet a pod that has no node goes at once; what it used is given back.
    k(&["-n", "q", "delete", "pod", "a", "b"]).ok();
    eventually(MINUTE, "the quota is free again", || used("pods") == "0" && used("requests.cpu") == "0");
    let big = "apiVersion: v1\nkind: Pod\nmetadata: { name: big, namespace: q }\nspec:\n  containers:\n  - name: c\n    \
               image: none\n    resources: { limits: { cpu: '3' } }\n";
    let refused = k(&["create", "-f", &cluster.file("big.yaml", big)]).fails();
    assert!(
        refused.contains("pods \"big\" is forbidden: maximum cpu usage per Container is 1, but limit is 3"),
        "{refused}"
    );

    k(&["label", "namespace", "q", "pod-security.kubernetes.io/enforce=baseline"]).ok();
    k(&["label", "namespace", "q", "pod-security.kubernetes.io/warn=restricted"]).ok();
    let privileged =
        big.replace("resources: { limits: { cpu: '3' } }", "securityContext: { privileged: true }");
    let refused = k(&["create", "-f", &cluster.file("privileged.yaml", &privileged)]).fails();
    assert!(refused.contains("violates PodSecurity \"baseline:latest\": privileged"), "{refused}");
    let warned = k(&["-n", "q", "create", "deployment", "d", "--image=none"]);
    assert!(
        warned
            .stderr
            .contains("Warning: would violate PodSecurity \"restricted:latest\": allowPrivilegeEscalation"),
        "{}",
        warned.stderr
    );
    let odd = k(&["label", "namespace", "q", "pod-security.kubernetes.io/audit=odd"]).fails();
    assert!(odd.contains("must be one of privileged, baseline, restricted"), "{odd}");
}

#[test]
fn claims_get_volumes_and_pods_their_data() {
    let cluster = Cluster::start("claims");
    let disk = tempfile::tempdir().unwrap();
    let path = disk.path().display();
    cluster.apply(&format!(
        "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata:\n  name: local\n  annotations: {{ \
         storageclass.kubernetes.io/is-default-class: 'true' }}\nprovisioner: kubernetes.io/no-provisioner\n\
         volumeBindingMode: WaitForFirstConsumer\n---\n\
         apiVersion: v1\nkind: PersistentVolume\nmetadata: {{ name: disk }}\nspec:\n  capacity: {{ storage: 1Gi }}\n  \
         accessModes: [ReadWriteOnce]\n  storageClassName: local\n  hostPath: {{ path: {path} }}\n---\n\
         apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{ name: data }}\nspec:\n  accessModes: [ReadWriteOnce]\n  \
         resources: {{ requests: {{ storage: 500Mi }} }}\n"
    ));
    assert_eq!(cluster.value("pvc", "data", "{.spec.storageClassName}"), "local");
    cluster.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: { name: writer }\nspec:\n  terminationGracePeriodSeconds: 0\n  containers:\n  \
         - name: c\n    image: busybox\n    imagePullPolicy: IfNotPresent\n    command: [sh, -c, 'echo hello > /data/x; \
         sleep 10000']\n    volumeMounts: [{ name: d, mountPath: /data }]\n  volumes:\n  - name: d\n    \
         persistentVolumeClaim: { claimName: data }\n",
    );
    eventually(MINUTE, "the pod has written", || {
        fs::read_to_string(disk.path().join("x")).is_ok_and(|text| text == "hello\n")
    });
    assert_eq!(cluster.value("pvc", "data", "{.status.phase} {.spec.volumeName}"), "Bound disk");
    assert_eq!(cluster.value("pv", "disk", "{.status.phase} {.spec.claimRef.name}"), "Bound data");
    // A claim that is used stays until it no longer is; its volume then keeps the data for nobody.
    cluster.kubectl(&["delete", "pvc", "data", "--wait=false"]).ok();
    assert_ne!(cluster.value("pvc", "data", "{.metadata.deletionTimestamp}"), "");
    cluster.kubectl(&["delete", "pod", "writer", "--wait=false"]).ok();
    eventually(MINUTE, "the claim is gone", || {
        cluster.kubectl(&["get", "pvc", "-o", "name"]).ok().is_empty()
    });
    eventually(MINUTE, "the volume is released", || {
        cluster.value("pv", "disk", "{.status.phase}") == "Released"
    });
}

#[test]
fn a_user_gets_a_certificate() {
    let cluster = Cluster::start_with("csr", &["--disable-agent"]);
    let k = |args: &[&str]| cluster.kubectl(args);
    // Made by `openssl req -new -newkey ec …`: CN=ann, O=staff.
    let request = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIWk1JR0FBZ0VBTUI0eEREQUtCZ05WQkFNTUEyRnViakVPTUF3R0ExVUVDZ3dGYzNSaFptWXdXVEFUQmdjcQpoa2pPUFFJQkJnZ3Foa2pPUFFNQkJ3TkNBQVNNMjRtZTF2VFh5TmhJUzgxNVJtZGllcmhGbC83RzhSdHIxWlhBCnd1TUJhTmZzOFdkVENnWjBuK0xhT3FnNzNrUXdVT0FyYklpK2JYNFo3bFVjamx3Zm9BQXdDZ1lJS29aSXpqMEUKQXdJRFNBQXdSUUlnYnFPMXAwbHRFMnNYMVFvNkUrbkdQdnlHNGIwWHJTcEdlYktjekpSUUVuWUNJUUQ4L0Uzdgp1eTBiU1VIcGg0WnhURnlSMWFXU1p5ODd3Uk9QbHhyZ212dnkrQT09Ci0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=";
    let csr = |name: &str, usage: &str| {
        format!(
            "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {{ name: {name} }}\nspec:\n  \
             signerName: kubernetes.io/kube-apiserver-client\n  usages: [{usage}]\n  expirationSeconds: 3600\n  \
             request: {request}\n"
        )
    };
    cluster.apply(&csr("ann", "client auth"));
    assert_eq!(cluster.value("csr", "ann", "{.spec.username}"), "kubernetes-admin");
    k(&["certificate", "approve", "ann"]).ok();
    eventually(MINUTE, "the certificate is issued", || {
        cluster.value("csr", "ann", "{.status.certificate}").starts_with("LS0t")
    });
    assert!(k(&["get", "csr", "ann"]).ok().contains("Approved,Issued"));
    cluster.apply(&csr("bad", "server auth"));
    k(&["certificate", "approve", "bad"]).ok();
    eventually(MINUTE, "the request fails", || k(&["get", "csr", "bad"]).ok().contains("Approved,Failed"));
    cluster.apply(&csr("refused", "client auth"));
    k(&["certificate", "deny", "refused"]).ok();
    assert!(k(&["get", "csr", "refused"]).ok().contains("Denied"));
    // Whoever may not approve for the signer does not, though he may write approvals.
    k(&[
        "create",
        "clusterrole",
        "approver",
        "--verb=get,update,patch",
        "--resource=certificatesigningrequests,certificatesigningrequests/approval",
    ])
    .ok();
    k(&["create", "clusterrolebinding", "bob", "--clusterrole=approver", "--user=bob"]).ok();
    cluster.apply(&csr("other", "client auth"));
    let refused = k(&["--as=bob", "certificate", "approve", "other"]).fails();
    assert!(refused.contains("user not permitted to approve requests with signerName"), "{refused}");
}
