//! Every controller there is.

use std::sync::Arc;

use crate::context::{Component, Config, Context, READER};
use crate::{
    bootstrap, certificates, cron_job, daemon_set, deployment, disruption, endpoints, ephemeral_volume,
    garbage, horizontal_pod_autoscaler, job, namespace, node, persistent_volume, pod_gc, replicas,
    resource_claim, resource_quota, root_ca, service_account, service_account_tokens, service_cidr,
    service_ip_repair, stateful_set, storage_migration, ttl_after_finished,
};

/// One controller.
pub struct Spec {
    /// As in upstream's `--controllers`.
    pub name: &'static str,
    /// Its service account in kube-system.
    pub identity: &'static str,
    pub start: fn(Component),
}

/// All controllers, in the order they are started.
pub const CONTROLLERS: &[Spec] = &[
    Spec { name: "system-namespaces", identity: "", start: namespace::bootstrap::start },
    Spec { name: "namespace-controller", identity: "namespace-controller", start: namespace::start },
    Spec {
        name: "serviceaccount-controller",
        identity: "service-account-controller",
        start: service_account::start,
    },
    Spec { name: "serviceaccount-token-controller", identity: "", start: service_account_tokens::start },
    Spec {
        name: "root-ca-certificate-publisher-controller",
        identity: "root-ca-cert-publisher",
        start: root_ca::start,
    },
    Spec {
        name: "replicationcontroller-controller",
        identity: "replication-controller",
        start: replicas::rc::start,
    },
    Spec { name: "replicaset-controller", identity: "replicaset-controller", start: replicas::rs::start },
    Spec { name: "deployment-controller", identity: "deployment-controller", start: deployment::start },
    Spec { name: "daemonset-controller", identity: "daemon-set-controller", start: daemon_set::start },
    Spec { name: "statefulset-controller", identity: "statefulset-controller", start: stateful_set::start },
    Spec { name: "disruption-controller", identity: "disruption-controller", start: disruption::start },
    Spec {
        name: "horizontal-pod-autoscaler-controller",
        identity: "horizontal-pod-autoscaler",
        start: horizontal_pod_autoscaler::start,
    },
    Spec { name: "job-controller", identity: "job-controller", start: job::start },
    Spec { name: "cronjob-controller", identity: "cronjob-controller", start: cron_job::start },
    Spec {
        name: "ttl-after-finished-controller",
        identity: "ttl-after-finished-controller",
        start: ttl_after_finished::start,
    },
    Spec { name: "endpoints-controller", identity: "endpoint-controller", start: endpoints::legacy::start },
    Spec {
        name: "endpointslice-controller",
        identity: "endpointslice-controller",
        start: endpoints::slices::start,
    },
    Spec {
        name: "endpointslice-mirroring-controller",
        identity: "endpointslicemirroring-controller",
        start: endpoints::mirror::start,
    },
    Spec {
        name: "resourceclaim-controller",
        identity: "resource-claim-controller",
        start: resource_claim::start,
    },
    Spec {
        name: "storage-version-migrator-controller",
        identity: "storage-version-migrator-controller",
        start: storage_migration::start,
    },
    Spec {
        name: "service-cidr-controller",
        identity: "service-cidrs-controller",
        start: service_cidr::start,
    },
    Spec { name: "service-ip-repair", identity: "", start: service_ip_repair::start },
    Spec {
        name: "resourcequota-controller",
        identity: "resourcequota-controller",
        start: resource_quota::start,
    },
    Spec {
        name: "persistentvolume-binder-controller",
        identity: "persistent-volume-binder",
        start: persistent_volume::binder::start,
    },
    Spec {
        name: "ephemeral-volume-controller",
        identity: "ephemeral-volume-controller",
        start: ephemeral_volume::start,
    },
    Spec {
        name: "persistentvolumeclaim-protection-controller",
        identity: "pvc-protection-controller",
        start: persistent_volume::protection::start_claims,
    },
    Spec {
        name: "persistentvolume-protection-controller",
        identity: "pv-protection-controller",
        start: persistent_volume::protection::start_volumes,
    },
    Spec {
        name: "certificatesigningrequest-signing-controller",
        identity: "certificate-controller",
        start: certificates::start_signer,
    },
    Spec {
        name: "certificatesigningrequest-approving-controller",
        identity: "certificate-controller",
        start: certificates::start_approver,
    },
    Spec {
        name: "certificatesigningrequest-cleaner-controller",
        identity: "certificate-controller",
        start: certificates::start_cleaner,
    },
    Spec {
        name: "podcertificaterequest-cleaner-controller",
        identity: "podcertificaterequestcleaner",
        start: certificates::start_pods_cleaner,
    },
    // Ours: upstream approves no serving certificates.
    Spec {
        name: "kubelet-serving-approver",
        identity: "kubelet-serving-approver",
        start: certificates::start_serving_approver,
    },
    Spec {
        name: "bootstrap-signer-controller",
        identity: "bootstrap-signer",
        start: bootstrap::start_signer,
    },
    Spec { name: "token-cleaner-controller", identity: "token-cleaner", start: bootstrap::start_cleaner },
    Spec { name: "node-ipam-controller", identity: "node-controller", start: node::ipam::start },
    Spec { name: "node-lifecycle-controller", identity: "node-controller", start: node::lifecycle::start },
    Spec {
        // As upstream: it shares the rights of who sets the taints.
        name: "taint-eviction-controller",
        identity: "node-controller",
        start: node::eviction::start,
    },
    Spec {
        name: "pod-garbage-collector-controller",
        identity: "pod-garbage-collector",
        start: pod_gc::start,
    },
    Spec {
        name: "garbage-collector-controller",
        identity: "generic-garbage-collector",
        start: garbage::start,
    },
];

/// Starts every controller. Returns at once; `ctx.tasks` stops them.
pub fn start_all(ctx: Context, config: Config) {
    let config = Arc::new(config);
    let views = (ctx.transport_for)(READER);
    for spec in CONTROLLERS {
        (spec.start)(component(&ctx, spec, &views, &config));
    }
}

/// What one controller of the table gets, for those who start it alone.
pub fn component(
    ctx: &Context,
    spec: &Spec,
    views: &Arc<dyn client::Transport>,
    config: &Arc<Config>,
) -> Component {
    Component {
        name: spec.name,
        transport: (ctx.transport_for)(&user(spec.identity)),
        views: views.clone(),
        clock: ctx.clock.clone(),
        random: ctx.random.clone(),
        tasks: ctx.tasks.clone(),
        config: config.clone(),
    }
}

/// A controller's user name. One without an account of its own does the API server's chores.
fn user(identity: &str) -> String {
    match identity {
        "" => "system:apiserver".into(),
        name => format!("system:serviceaccount:kube-system:{name}"),
    }
}
