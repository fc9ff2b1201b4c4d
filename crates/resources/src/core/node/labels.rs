//! Which of a node's labels its kubelet may set: those outside Kubernetes' own, and among those the ones made for it.
//! <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction>

/// Nobody but an administrator.
const RESTRICTED: &str = "node-restriction.kubernetes.io";
const KUBERNETES: &[&str] = &["kubernetes.io", "k8s.io"];
const KUBELETS: &[&str] = &["kubelet.kubernetes.io", "node.kubernetes.io"];
const KUBELET_LABELS: &[&str] = &[
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

/// Whether a kubelet may set the label on its own node.
pub fn is_kubelets_to_set(label: &str) -> bool {
    let domain = label.split_once('/').map_or("", |(domain, _)| domain);
    if within(domain, RESTRICTED) {
        return false;
    }
    let kubernetes = KUBERNETES.iter().any(|d| within(domain, d));
    !kubernetes || KUBELET_LABELS.contains(&label) || KUBELETS.iter().any(|d| within(domain, d))
}

/// The domain itself, or one below it.
fn within(domain: &str, of: &str) -> bool {
    domain == of || domain.strip_suffix(of).is_some_and(|below| below.ends_with('.'))
}
