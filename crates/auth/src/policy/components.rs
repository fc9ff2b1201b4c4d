//! Nodes, the scheduler, the controller manager, the proxy, and what stands beside them.

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::{Policy, READ, account, events, named, rule, user};

pub(super) fn add(p: &mut Policy) {
    // Bound to nobody: the node authorizer gives nodes their rights.
    p.cluster_role("system:node", node_rules());
    p.bind_cluster("system:node", Vec::new());

    p.cluster_role("system:kube-controller-manager", controller_manager());
    p.bind_cluster("system:kube-controller-manager", vec![user("system:kube-controller-manager")]);
    p.cluster_role("system:kube-scheduler", scheduler());
    p.bind_cluster("system:kube-scheduler", vec![user("system:kube-scheduler")]);
    p.cluster_role(
        "system:volume-scheduler",
        vec![
            rule("get list patch update watch", "core", "persistentvolumes"),
            rule(READ, "storage.k8s.io", "storageclasses"),
            rule("get list patch update watch", "core", "persistentvolumeclaims"),
        ],
    );
    p.bind_cluster("system:volume-scheduler", vec![user("system:kube-scheduler")]);

    p.cluster_role(
        "system:node-proxier",
        vec![
            rule("list watch", "core", "endpoints services"),
            rule(READ, "core", "nodes"),
            events(),
            rule("list watch", "discovery.k8s.io", "endpointslices"),
            rule("list watch", "networking.k8s.io", "servicecidrs"),
        ],
    );
    p.bind_cluster("system:node-proxier", vec![user("system:kube-proxy")]);
    p.cluster_role("system:kube-dns", vec![rule("list watch", "core", "endpoints services")]);
    p.bind_cluster("system:kube-dns", vec![account("kube-system", "kube-dns")]);
    p.cluster_role(
        "system:coredns",
        vec![
            rule("list watch", "core", "endpoints services pods namespaces"),
            rule("list watch", "discovery.k8s.io", "endpointslices"),
        ],
    );
    p.bind_cluster("system:coredns", vec![account("kube-system", "coredns")]);

    helpers(p);
    certificates(p);
}

/// For what people bind themselves: monitors, provisioners, aggregated API servers.
fn helpers(p: &mut Policy) {
    p.cluster_role(
        "system:node-problem-detector",
        vec![rule("get", "core", "nodes"), rule("patch", "core", "nodes/status"), events()],
    );
    p.cluster_role(
        "system:node-bootstrapper",
        vec![rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests")],
    );
    p.cluster_role(
        "system:auth-delegator",
        vec![
            rule("create", "authentication.k8s.io", "tokenreviews"),
            rule("create", "authorization.k8s.io", "subjectaccessreviews"),
        ],
    );
    p.cluster_role("system:kube-aggregator", vec![rule(READ, "core", "endpoints services")]);
    p.cluster_role(
        "system:kubelet-api-admin",
        vec![
            rule(READ, "core", "nodes"),
            rule("proxy", "core", "nodes"),
            rule(
                "*",
                "core",
                "nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/stats",
            ),
        ],
    );
    p.cluster_role(
        "system:persistent-volume-provisioner",
        vec![
            rule("create delete get list watch", "core", "persistentvolumes"),
            rule("get list update watch", "core", "persistentvolumeclaims"),
            rule(READ, "storage.k8s.io", "storageclasses"),
            rule("watch", "core", "events"),
            events(),
        ],
    );
}

fn certificates(p: &mut Policy) {
    const GROUP: &str = "certificates.k8s.io";
    for (role, resource) in [
        ("nodeclient", "certificatesigningrequests/nodeclient"),
        ("selfnodeclient", "certificatesigningrequests/selfnodeclient"),
    ] {
        let name = format!("system:certificates.k8s.io:certificatesigningrequests:{role}");
        p.cluster_role(&name, vec![rule("create", GROUP, resource)]);
    }
    for (role, signer) in [
        ("legacy-unknown-approver", "kubernetes.io/legacy-unknown"),
        ("kubelet-serving-approver", "kubernetes.io/kubelet-serving"),
        ("kube-apiserver-client-approver", "kubernetes.io/kube-apiserver-client"),
        ("kube-apiserver-client-kubelet-approver", "kubernetes.io/kube-apiserver-client-kubelet"),
    ] {
        let name = format!("system:certificates.k8s.io:{role}");
        p.cluster_role(&name, vec![named("approve", GROUP, "signers", signer)]);
    }
}

/// What a kubelet may do besides reading what its pods need. The node authorizer has tighter rules of its own for secrets,
/// config maps, volumes, service accounts, leases, nodes and pods; these show in the role what it may grant at most.
pub fn node_rules() -> Vec<PolicyRule> {
    vec![
        rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
        rule(READ, "core", "services"),
        rule("create get list watch", "core", "nodes"),
        rule("patch update", "core", "nodes/status"),
        rule("patch update", "core", "nodes"),
        rule("create patch update", "core", "events"),
        rule(READ, "core", "pods"),
        rule("create delete", "core", "pods"),
        rule("patch update", "core", "pods/status"),
        rule("create", "core", "pods/eviction"),
        rule(READ, "core", "configmaps secrets"),
        rule("get", "core", "persistentvolumeclaims persistentvolumes"),
        rule("get", "core", "endpoints"),
        rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
        rule("create delete get patch update", "coordination.k8s.io", "leases"),
        rule("get", "storage.k8s.io", "volumeattachments"),
        rule("get patch update", "core", "persistentvolumeclaims/status"),
        rule("create", "core", "serviceaccounts/token"),
        rule(READ, "storage.k8s.io", "csidrivers"),
        rule("create delete get patch update", "storage.k8s.io", "csinodes"),
        rule(READ, "node.k8s.io", "runtimeclasses"),
        rule("get", "resource.k8s.io", "resourceclaims"),
        rule(
            "create delete deletecollection get list patch update watch",
            "resource.k8s.io",
            "resourceslices",
        ),
        rule(READ, "certificates.k8s.io", "clustertrustbundles"),
        rule("create get list watch", "certificates.k8s.io", "podcertificaterequests"),
    ]
}

fn controller_manager() -> Vec<PolicyRule> {
    vec![
        events(),
        rule("create", "coordination.k8s.io", "leases"),
        named("get update", "coordination.k8s.io", "leases", "kube-controller-manager"),
        rule("create", "core", "secrets serviceaccounts"),
        rule("delete", "core", "secrets"),
        rule("get", "core", "configmaps namespaces secrets serviceaccounts"),
        rule("update", "core", "secrets serviceaccounts"),
        rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "subjectaccessreviews"),
        // Its informers serve all controllers.
        rule("list watch", "*", "*"),
        rule("create", "core", "serviceaccounts/token"),
    ]
}

fn scheduler() -> Vec<PolicyRule> {
    vec![
        events(),
        rule("create", "coordination.k8s.io", "leases"),
        named("get update", "coordination.k8s.io", "leases", "kube-scheduler"),
        rule(READ, "core", "nodes"),
        rule("delete get list watch", "core", "pods"),
        rule("create", "core", "bindings pods/binding"),
        rule("patch update", "core", "pods/status"),
        rule(READ, "core", "replicationcontrollers services"),
        rule(READ, "apps extensions", "replicasets"),
        rule(READ, "apps", "statefulsets"),
        rule(READ, "policy", "poddisruptionbudgets"),
        rule(READ, "core", "persistentvolumeclaims persistentvolumes"),
        rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "subjectaccessreviews"),
        rule(READ, "storage.k8s.io", "csinodes"),
        rule(READ, "core", "namespaces"),
        rule(READ, "storage.k8s.io", "csidrivers"),
        rule(READ, "storage.k8s.io", "csistoragecapacities"),
        rule(READ, "storage.k8s.io", "volumeattachments"),
    ]
}
