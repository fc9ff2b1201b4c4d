//! What lets new machines join and nodes do their part, beyond what every API server starts with: kubeadm's objects under kubeadm's
//! names, and what nodes of ours need because they run the service proxy and cluster DNS themselves.

use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, Subject};

use super::{Policy, READ, account, group, meta, named, role_ref, rule, user};
use crate::authz::node::NODES_GROUP;

/// The group that join tokens give besides `system:bootstrappers`.
pub const JOINERS: &str = "system:bootstrappers:kubeadm:default-node-token";

/// The service account of who approves serving certificates of kubelets.
pub const SERVING_APPROVER: &str = "kubelet-serving-approver";

const SYSTEM: &str = "kube-system";
const PUBLIC: &str = "kube-public";
const REQUESTS: &str = "certificatesigningrequests";

/// For clusters that machines join by token.
pub fn joining() -> Policy {
    let mut p = Policy::default();
    requests(&mut p);
    // Whoever joins sees whether his name is taken.
    p.cluster_role("kubeadm:get-nodes", vec![rule("get", "core", "nodes")]);
    bind(&mut p, "kubeadm:get-nodes", "kubeadm:get-nodes", group(JOINERS));
    // The CA and where the API is, for who knows nothing yet but how to recognise them.
    let info = "kubeadm:bootstrap-signer-clusterinfo";
    p.role(PUBLIC, info, vec![named("get", "core", "configmaps", "cluster-info")]);
    p.bind(PUBLIC, info, info, vec![user("system:anonymous")]);
    for (role, map) in [("kubeadm:kubelet-config", "kubelet-config"), ("kube-proxy", "kube-proxy")] {
        p.role(SYSTEM, role, vec![named("get", "core", "configmaps", map)]);
        p.bind(SYSTEM, role, role, vec![group(NODES_GROUP), group(JOINERS)]);
    }
    // An agent's proxy and DNS server act as its node.
    bind(&mut p, "knarr:node-proxier", "system:node-proxier", group(NODES_GROUP));
    p.cluster_role(
        "knarr:node-network",
        vec![
            rule(READ, "core", "namespaces"),
            // What policies are about: any pod of the cluster may be somebody's peer. Upstream's nodes may not list them, but
            // the policy engine that runs on each of them may; an identity of its own for ours would lie beside the
            // node's in the same process, and whoever has one would have the other. A part of an object, such as labels
            // and addresses, cannot be granted alone.
            rule("list watch", "core", "pods"),
            rule("list watch", "networking.k8s.io", "networkpolicies"),
            named("get", "networking.k8s.io", "servicecidrs", "kubernetes"),
        ],
    );
    bind(&mut p, "knarr:node-network", "knarr:node-network", group(NODES_GROUP));
    bind(&mut p, "knarr:proxy-network", "knarr:node-network", user("system:kube-proxy"));
    p
}

fn requests(p: &mut Policy) {
    let certificates = |what: &str| format!("system:certificates.k8s.io:{REQUESTS}:{what}");
    bind(p, "kubeadm:kubelet-bootstrap", "system:node-bootstrapper", group(JOINERS));
    bind(p, "kubeadm:node-autoapprove-bootstrap", &certificates("nodeclient"), group(JOINERS));
    let renewal = "kubeadm:node-autoapprove-certificate-rotation";
    bind(p, renewal, &certificates("selfnodeclient"), group(NODES_GROUP));
    let approver = format!("knarr:{SERVING_APPROVER}");
    p.cluster_role(
        &approver,
        vec![
            rule("update", "certificates.k8s.io", "certificatesigningrequests/approval"),
            named("approve", "certificates.k8s.io", "signers", "kubernetes.io/kubelet-serving"),
        ],
    );
    bind(p, &approver, &approver, account(SYSTEM, SERVING_APPROVER));
}

fn bind(p: &mut Policy, name: &str, role: &str, subject: Subject) {
    p.cluster_role_bindings.push(ClusterRoleBinding {
        metadata: meta("", name),
        role_ref: role_ref("ClusterRole", role),
        subjects: Some(vec![subject]),
    });
}
