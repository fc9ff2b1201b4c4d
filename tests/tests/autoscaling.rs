//! What is measured, who scales by it, and kinds that act beside workloads: trust bundles, storage migrations, device claims.

#![allow(clippy::disallowed_methods, reason = "tests watch real machines in real time")]

use std::time::Duration;

use e2e::{Cluster, eventually};

/// Far more than it asks for, but not so much that others starve.
const BUSY: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: { name: busy }
spec:
  replicas: 1
  selector: { matchLabels: { app: busy } }
  template:
    metadata: { labels: { app: busy } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: box
        image: busybox
        command: [sh, -c, "while :; do :; done"]
        resources: { requests: { cpu: 20m }, limits: { cpu: 100m } }
"#;

#[test]
fn a_busy_deployment_grows() {
    let cluster = Cluster::start("autoscaling");
    cluster.apply(BUSY);
    cluster.wait_for("condition=Available", "deployment/busy", 90);
    eventually(Duration::from_secs(90), "pods are measured", || {
        let top = cluster.kubectl(&["top", "pods", "--containers", "--no-headers"]);
        top.stdout.lines().any(|line| line.starts_with("busy-") && line.contains("box"))
    });
    let nodes = cluster.kubectl(&["top", "nodes", "--no-headers"]).ok();
    assert!(nodes.starts_with("node1 "), "{nodes}");
    let scale = ["autoscale", "deployment", "busy", "--min=1", "--max=2", "--cpu=50%"];
    cluster.kubectl(&scale).ok();
    eventually(Duration::from_secs(180), "there are two of them", || {
        cluster.value("deployment", "busy", "{.spec.replicas}") == "2"
    });
    eventually(Duration::from_secs(60), "it says so", || {
        let described = cluster.kubectl(&["describe", "hpa", "busy"]).stdout;
        described.contains("SuccessfulRescale") && described.contains("ValidMetricFound")
    });
    let shown = cluster.kubectl(&["get", "hpa", "busy", "--no-headers"]).ok();
    assert!(shown.contains("Deployment/busy") && shown.contains("%/50%"), "{shown}");
    let old = cluster.kubectl(&["get", "horizontalpodautoscalers.v1.autoscaling", "busy", "-o", "json"]).ok();
    assert!(old.contains("\"targetCPUUtilizationPercentage\": 50"), "{old}");
}

const TRUSTING: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: trusting }
spec:
  restartPolicy: Never
  containers:
  - name: box
    image: busybox
    command: [sh, -c, "cat /trust/all.pem; sleep 3600"]
    volumeMounts: [{ name: trust, mountPath: /trust }]
  volumes:
  - name: trust
    projected:
      sources:
      - clusterTrustBundle: { name: corp, path: all.pem }
"#;

#[test]
fn kinds_beside_workloads() {
    let cluster = Cluster::start("kinds");
    // The pod waits for what it trusts.
    cluster.apply(TRUSTING);
    eventually(Duration::from_secs(60), "the pod says what it waits for", || {
        cluster.kubectl(&["describe", "pod", "trusting"]).stdout.contains("\"corp\" not found")
    });
    let ca = cluster.value("configmap", "kube-root-ca.crt", "{.data.ca\\.crt}");
    let indented: String = ca.lines().map(|line| format!("    {line}\n")).collect();
    cluster.apply(&format!(
        "apiVersion: certificates.k8s.io/v1\nkind: ClusterTrustBundle\nmetadata: {{ name: corp }}\nspec:\n  trustBundle: |\n{indented}"
    ));
    cluster.wait_for("condition=Ready", "pod/trusting", 120);
    eventually(Duration::from_secs(30), "it has the certificate", || {
        cluster.kubectl(&["logs", "trusting"]).stdout.trim() == ca.trim()
    });

    cluster.apply(
        "apiVersion: storagemigration.k8s.io/v1\nkind: StorageVersionMigration\nmetadata: { name: m }\n\
         spec: { resource: { group: '', resource: configmaps } }\n",
    );
    cluster.wait_for("condition=Succeeded", "storageversionmigration/m", 60);

    // Nothing gives out devices yet: the claim is made, and the pod waits and says why.
    cluster.apply(
        "apiVersion: resource.k8s.io/v1\nkind: ResourceClaimTemplate\nmetadata: { name: t }\n\
         spec: { spec: { devices: { requests: [{ name: gpu, exactly: { deviceClassName: gpu } }] } } }\n\
         ---\napiVersion: v1\nkind: Pod\nmetadata: { name: dreams }\nspec:\n  resourceClaims: [{ name: gpu, resourceClaimTemplateName: t }]\n\
         \x20 containers: [{ name: box, image: busybox, resources: { claims: [{ name: gpu }] } }]\n",
    );
    eventually(Duration::from_secs(60), "the claim is noted, and why the pod waits", || {
        let claim = cluster.value("pod", "dreams", "{.status.resourceClaimStatuses[0].resourceClaimName}");
        let described = cluster.kubectl(&["describe", "pod", "dreams"]).stdout;
        claim.starts_with("dreams-gpu-") && described.contains("cannot allocate all claims")
    });
    let claims = cluster.kubectl(&["get", "resourceclaims", "--no-headers"]).ok();
    assert!(claims.contains("pending"), "{claims}");
    let health = cluster.kubectl(&["get", "componentstatuses", "--no-headers"]).ok();
    assert!(health.contains("etcd-0") && health.contains("Healthy"), "{health}");
}
