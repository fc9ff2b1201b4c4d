//! One role for each controller, `system:controller:NAME`, bound to the service account `kube-system/NAME`.

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::{Policy, READ, account, events, rule};

pub(super) fn add(p: &mut Policy) {
    for (name, rules) in controllers() {
        let role = format!("system:controller:{name}");
        p.cluster_role(&role, rules);
        p.bind_cluster(&role, vec![account("kube-system", name)]);
    }
}

fn controllers() -> Vec<(&'static str, Vec<PolicyRule>)> {
    let mut all = workloads();
    all.extend(services());
    all.extend(nodes_and_pods());
    all.extend(cluster());
    all.extend(volumes());
    all
}

fn workloads() -> Vec<(&'static str, Vec<PolicyRule>)> {
    const BOTH: &str = "apps extensions";
    vec![
        (
            "cronjob-controller",
            vec![
                rule("get list update watch", "batch", "cronjobs"),
                rule("create delete get list patch update watch", "batch", "jobs"),
                rule("update", "batch", "cronjobs/status"),
                rule("update", "batch", "cronjobs/finalizers"),
                rule("delete list watch", "core", "pods"),
                events(),
            ],
        ),
        (
            "daemon-set-controller",
            vec![
                rule(READ, BOTH, "daemonsets"),
                rule("update", BOTH, "daemonsets/status"),
                rule("update", BOTH, "daemonsets/finalizers"),
                rule("list watch", "core", "nodes"),
                rule("create delete list patch watch", "core", "pods"),
                rule("create", "core", "pods/binding"),
                rule("create delete get list patch update watch", "apps", "controllerrevisions"),
                events(),
            ],
        ),
        (
            "deployment-controller",
            vec![
                rule("get list update watch", BOTH, "deployments"),
                rule("update", BOTH, "deployments/status"),
                rule("update", BOTH, "deployments/finalizers"),
                rule("create delete get list patch update watch", BOTH, "replicasets"),
                rule("get list update watch", "core", "pods"),
                events(),
            ],
        ),
        (
            "job-controller",
            vec![
                rule("get list patch update watch", "batch", "jobs"),
                rule("update", "batch", "jobs/status"),
                rule("update", "batch", "jobs/finalizers"),
                rule("create delete list patch watch", "core", "pods"),
                events(),
            ],
        ),
        (
            "replicaset-controller",
            vec![
                rule("get list update watch", BOTH, "replicasets"),
                rule("update", BOTH, "replicasets/status"),
                rule("update", BOTH, "replicasets/finalizers"),
                rule("create delete list patch watch", "core", "pods"),
                events(),
            ],
        ),
        (
            "replication-controller",
            vec![
                rule("get list update watch", "core", "replicationcontrollers"),
                rule("update", "core", "replicationcontrollers/status"),
                rule("update", "core", "replicationcontrollers/finalizers"),
                rule("create delete list patch watch", "core", "pods"),
                events(),
            ],
        ),
        (
            "statefulset-controller",
            vec![
                rule("list watch", "core", "pods"),
                rule(READ, "apps", "statefulsets"),
                rule("update", "apps", "statefulsets/status"),
                rule("update", "apps", "statefulsets/finalizers"),
                rule("create delete get patch update", "core", "pods"),
                rule("create delete get list patch update watch", "apps", "controllerrevisions"),
                rule("create get list watch", "core", "persistentvolumeclaims"),
                rule("delete update", "core", "persistentvolumeclaims"),
                rule("update", "core", "pods/finalizers"),
                events(),
            ],
        ),
        (
            "horizontal-pod-autoscaler",
            vec![
                rule(READ, "autoscaling", "horizontalpodautoscalers"),
                rule("update", "autoscaling", "horizontalpodautoscalers/status"),
                rule("get update", "*", "*/scale"),
                rule("list watch", "core", "pods"),
                rule("list watch", "metrics.k8s.io", "pods"),
                rule(READ, "custom.metrics.k8s.io", "*"),
                rule(READ, "external.metrics.k8s.io", "*"),
                events(),
            ],
        ),
        (
            "disruption-controller",
            vec![
                rule(READ, BOTH, "deployments"),
                rule(READ, BOTH, "replicasets"),
                rule(READ, "core", "replicationcontrollers"),
                rule(READ, "policy", "poddisruptionbudgets"),
                rule(READ, "apps", "statefulsets"),
                rule("update", "policy", "poddisruptionbudgets/status"),
                rule("patch update", "core", "pods/status"),
                rule("get", "*", "*/scale"),
                events(),
            ],
        ),
        ("ttl-after-finished-controller", vec![rule("delete get list watch", "batch", "jobs"), events()]),
    ]
}

fn services() -> Vec<(&'static str, Vec<PolicyRule>)> {
    vec![
        (
            "endpoint-controller",
            vec![
                rule(READ, "core", "pods services"),
                rule("create delete get list update watch", "core", "endpoints"),
                rule("create", "core", "endpoints/restricted"),
                events(),
            ],
        ),
        (
            "endpointslice-controller",
            vec![
                rule(READ, "core", "nodes pods services"),
                // Its slices name the service as an owner that blocks deletion.
                rule("update", "core", "services/finalizers"),
                rule("create delete get list update watch", "discovery.k8s.io", "endpointslices"),
                events(),
            ],
        ),
        (
            "endpointslicemirroring-controller",
            vec![
                rule(READ, "core", "endpoints services"),
                rule("update", "core", "services/finalizers"),
                rule("update", "core", "endpoints/finalizers"),
                rule("create delete get list update watch", "discovery.k8s.io", "endpointslices"),
                events(),
            ],
        ),
        (
            "service-controller",
            vec![
                rule(READ, "core", "services"),
                rule("patch update", "core", "services/status"),
                rule("list watch", "core", "nodes"),
                events(),
            ],
        ),
        (
            "route-controller",
            vec![rule("list watch", "core", "nodes"), rule("patch", "core", "nodes/status"), events()],
        ),
        (
            "service-cidrs-controller",
            vec![
                rule("get list patch update watch", "networking.k8s.io", "servicecidrs"),
                rule("patch update", "networking.k8s.io", "servicecidrs/finalizers"),
                rule("patch update", "networking.k8s.io", "servicecidrs/status"),
                rule(READ, "networking.k8s.io", "ipaddresses"),
                events(),
            ],
        ),
    ]
}

fn nodes_and_pods() -> Vec<(&'static str, Vec<PolicyRule>)> {
    vec![
        (
            "node-controller",
            vec![
                rule("delete get list patch update watch", "core", "nodes"),
                rule("patch update", "core", "nodes/status"),
                rule("patch update", "core", "pods/status"),
                rule("delete get list watch", "core", "pods"),
                events(),
            ],
        ),
        (
            "pod-garbage-collector",
            vec![
                rule("delete list watch", "core", "pods"),
                rule(READ, "core", "nodes"),
                rule("patch", "core", "pods/status"),
            ],
        ),
        ("ttl-controller", vec![rule("list patch update watch", "core", "nodes"), events()]),
    ]
}

fn cluster() -> Vec<(&'static str, Vec<PolicyRule>)> {
    const CERTIFICATES: &str = "certificates.k8s.io";
    vec![
        (
            "certificate-controller",
            vec![
                rule("delete get list watch", CERTIFICATES, "certificatesigningrequests"),
                rule(
                    "update",
                    CERTIFICATES,
                    "certificatesigningrequests/approval certificatesigningrequests/status",
                ),
                super::named(
                    "approve",
                    CERTIFICATES,
                    "signers",
                    "kubernetes.io/kube-apiserver-client-kubelet",
                ),
                super::named(
                    "sign",
                    CERTIFICATES,
                    "signers",
                    "kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet \
                     kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown",
                ),
                rule("create", "authorization.k8s.io", "subjectaccessreviews"),
                events(),
            ],
        ),
        // `escalate`: it gathers rules that it does not have itself.
        (
            "clusterrole-aggregation-controller",
            vec![rule("escalate get list patch update watch", "rbac.authorization.k8s.io", "clusterroles")],
        ),
        ("generic-garbage-collector", vec![rule("delete get list patch update watch", "*", "*"), events()]),
        (
            "legacy-service-account-token-cleaner",
            vec![
                super::named(
                    "get",
                    "core",
                    "configmaps",
                    "kube-apiserver-legacy-service-account-token-tracking",
                ),
                rule("delete patch", "core", "secrets"),
            ],
        ),
        (
            "namespace-controller",
            vec![
                rule("delete get list watch", "core", "namespaces"),
                rule("update", "core", "namespaces/finalize namespaces/status"),
                rule("delete deletecollection get list watch", "*", "*"),
            ],
        ),
        (
            "resourcequota-controller",
            vec![rule("list watch", "*", "*"), rule("update", "core", "resourcequotas/status"), events()],
        ),
        (
            "podcertificaterequestcleaner",
            vec![rule("delete get list watch", CERTIFICATES, "podcertificaterequests")],
        ),
        (
            "resource-claim-controller",
            vec![
                rule(READ, "core", "pods"),
                rule("update", "core", "pods/finalizers"),
                rule("create delete get list watch", "resource.k8s.io", "resourceclaims"),
                rule("patch update", "resource.k8s.io", "resourceclaims resourceclaims/status"),
                rule(READ, "resource.k8s.io", "resourceclaimtemplates"),
                rule("patch update", "core", "pods/status"),
                events(),
                rule("patch update", "resource.k8s.io", "resourceclaims/binding"),
            ],
        ),
        (
            "device-taint-eviction-controller",
            vec![
                rule("delete get list watch", "core", "pods"),
                rule("patch update", "core", "pods/status"),
                rule(READ, "resource.k8s.io", "resourceclaims"),
                rule(READ, "resource.k8s.io", "resourceslices"),
                rule(READ, "resource.k8s.io", "deviceclasses"),
                events(),
            ],
        ),
        (
            "validatingadmissionpolicy-status-controller",
            vec![
                rule(READ, "admissionregistration.k8s.io", "validatingadmissionpolicies"),
                rule(
                    "get patch update",
                    "admissionregistration.k8s.io",
                    "validatingadmissionpolicies/status",
                ),
                events(),
            ],
        ),
        (
            "storage-version-migrator-controller",
            vec![
                rule("list patch", "*", "*"),
                rule("get", "storagemigration.k8s.io", "storageversionmigrations"),
                rule("update", "storagemigration.k8s.io", "storageversionmigrations/status"),
            ],
        ),
        ("root-ca-cert-publisher", vec![rule("create update", "core", "configmaps"), events()]),
        ("service-account-controller", vec![rule("create", "core", "serviceaccounts"), events()]),
    ]
}

fn volumes() -> Vec<(&'static str, Vec<PolicyRule>)> {
    const STORAGE: &str = "storage.k8s.io";
    vec![
        (
            "attachdetach-controller",
            vec![
                rule("list watch", "core", "persistentvolumeclaims persistentvolumes"),
                rule(READ, "core", "nodes"),
                rule("patch update", "core", "nodes/status"),
                rule("list watch", "core", "pods"),
                rule("create delete get list watch", STORAGE, "volumeattachments"),
                rule(READ, STORAGE, "csidrivers"),
                rule(READ, STORAGE, "csinodes"),
                events(),
            ],
        ),
        (
            "ephemeral-volume-controller",
            vec![
                rule(READ, "core", "pods"),
                rule("update", "core", "pods/finalizers"),
                rule("create get list watch", "core", "persistentvolumeclaims"),
                events(),
            ],
        ),
        (
            "expand-controller",
            vec![
                rule("get list patch update watch", "core", "persistentvolumes"),
                rule("patch update", "core", "persistentvolumeclaims/status"),
                rule(READ, "core", "persistentvolumeclaims"),
                events(),
            ],
        ),
        (
            "persistent-volume-binder",
            vec![
                rule("create delete get list update watch", "core", "persistentvolumes"),
                rule("update", "core", "persistentvolumes/status"),
                rule("get list update watch", "core", "persistentvolumeclaims"),
                rule("update", "core", "persistentvolumeclaims/status"),
                rule("create delete get list watch", "core", "pods"),
                rule(READ, STORAGE, "storageclasses"),
                rule("list watch", "core", "nodes"),
                events(),
                rule("watch", "core", "events"),
            ],
        ),
        (
            "pv-protection-controller",
            vec![rule("get list update watch", "core", "persistentvolumes"), events()],
        ),
        (
            "pvc-protection-controller",
            vec![
                rule("get list update watch", "core", "persistentvolumeclaims"),
                rule("update", "core", "persistentvolumeclaims/status"),
                rule(READ, "core", "pods"),
                events(),
            ],
        ),
        (
            "selinux-warning-controller",
            vec![
                events(),
                rule(READ, "core", "persistentvolumes"),
                rule(READ, "core", "persistentvolumeclaims"),
                rule(READ, "core", "pods"),
                rule(READ, STORAGE, "csidrivers"),
            ],
        ),
        (
            "volumeattributesclass-protection-controller",
            vec![
                rule(READ, "core", "persistentvolumeclaims"),
                rule(READ, "core", "persistentvolumes"),
                rule("get list update watch", STORAGE, "volumeattributesclasses"),
                events(),
            ],
        ),
    ]
}
