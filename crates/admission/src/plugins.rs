//! The table of plugins, in upstream's order.

use crate::certificates::{
    CertificateApproval, CertificateRequester, CertificateSigning, CertificateSubjectRestriction,
    ClusterTrustBundleAttest,
};
use crate::chain::{Context, Plugin};
use crate::default_ingress_class::DefaultIngressClass;
use crate::default_toleration_seconds::DefaultTolerationSeconds;
use crate::limit_ranger::LimitRanger;
use crate::namespace_lifecycle::NamespaceLifecycle;
use crate::node_restriction::NodeRestriction;
use crate::pod_security::PodSecurity;
use crate::priority::Priority;
use crate::rbac_escalation::RbacEscalation;
use crate::resource_quota::ResourceQuotaPlugin;
use crate::runtime_class::RuntimeClassPlugin;
use crate::service_account::ServiceAccountPlugin;
use crate::storage::{DefaultStorageClass, PersistentVolumeClaimResize, StorageObjectInUseProtection};
use crate::taint_nodes_by_condition::TaintNodesByCondition;

/// A row: the name as in `--enable-admission-plugins`.
pub struct Spec {
    pub name: &'static str,
    pub default_on: bool,
    pub make: fn(&Context) -> Box<dyn Plugin>,
}

/// Every plugin there is.
pub const PLUGINS: &[Spec] = &[
    Spec { name: "NamespaceLifecycle", default_on: true, make: |c| Box::new(NamespaceLifecycle::new(c)) },
    Spec { name: "LimitRanger", default_on: true, make: |c| Box::new(LimitRanger::new(c)) },
    Spec { name: "ServiceAccount", default_on: true, make: |c| Box::new(ServiceAccountPlugin::new(c)) },
    Spec { name: "NodeRestriction", default_on: true, make: |c| Box::new(NodeRestriction::new(c)) },
    Spec { name: "TaintNodesByCondition", default_on: true, make: |_| Box::new(TaintNodesByCondition) },
    Spec { name: "PodSecurity", default_on: true, make: |c| Box::new(PodSecurity::new(c)) },
    Spec { name: "Priority", default_on: true, make: |c| Box::new(Priority::new(c)) },
    Spec { name: "DefaultTolerationSeconds", default_on: true, make: |_| Box::new(DefaultTolerationSeconds) },
    Spec { name: "DefaultStorageClass", default_on: true, make: |c| Box::new(DefaultStorageClass::new(c)) },
    Spec {
        name: "StorageObjectInUseProtection",
        default_on: true,
        make: |_| Box::new(StorageObjectInUseProtection),
    },
    Spec {
        name: "PersistentVolumeClaimResize",
        default_on: true,
        make: |c| Box::new(PersistentVolumeClaimResize::new(c)),
    },
    Spec { name: "RuntimeClass", default_on: true, make: |c| Box::new(RuntimeClassPlugin::new(c)) },
    Spec { name: "CertificateApproval", default_on: true, make: |c| Box::new(CertificateApproval::new(c)) },
    Spec { name: "CertificateSigning", default_on: true, make: |c| Box::new(CertificateSigning::new(c)) },
    Spec {
        name: "ClusterTrustBundleAttest",
        default_on: true,
        make: |c| Box::new(ClusterTrustBundleAttest::new(c)),
    },
    Spec {
        name: "CertificateSubjectRestriction",
        default_on: true,
        make: |_| Box::new(CertificateSubjectRestriction),
    },
    Spec { name: CERTIFICATE_REQUESTER, default_on: true, make: |_| Box::new(CertificateRequester) },
    Spec { name: "DefaultIngressClass", default_on: true, make: |c| Box::new(DefaultIngressClass::new(c)) },
    // Upstream has this in the storage of roles and bindings, where it cannot be turned off.
    Spec { name: RBAC_ESCALATION, default_on: true, make: |c| Box::new(RbacEscalation::new(c)) },
    // The last: what it notes, nobody else refuses any more.
    Spec { name: "ResourceQuota", default_on: true, make: |c| Box::new(ResourceQuotaPlugin::new(c)) },
];

const RBAC_ESCALATION: &str = "RBACEscalation";
const CERTIFICATE_REQUESTER: &str = "CertificateRequester";
/// Not plugins upstream: nobody can turn them off.
const INTERNAL: &[&str] = &[RBAC_ESCALATION, CERTIFICATE_REQUESTER];

/// Upstream's plugins that are not written yet: enabling one is an error, disabling it changes nothing.
pub const MISSING: &[&str] = &[
    "AlwaysAdmit",
    "AlwaysDeny",
    "AlwaysPullImages",
    "EventRateLimit",
    "ExtendedResourceToleration",
    "ImagePolicyWebhook",
    "LimitPodHardAntiAffinityTopology",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "NamespaceAutoProvision",
    "NamespaceExists",
    "OwnerReferencesPermissionEnforcement",
    "PodNodeSelector",
    "PodTolerationRestriction",
    "PodTopologyLabels",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
];

/// Fails on a name that nobody knows, that is to be enabled but not written yet, or that is in both lists.
pub fn check_names(enable: &[String], disable: &[String]) -> Result<(), String> {
    let known = |name: &str| PLUGINS.iter().any(|p| p.name == name) && !INTERNAL.contains(&name);
    if let Some(both) = enable.iter().find(|name| disable.contains(name)) {
        return Err(format!("admission plugin {both:?} is to be enabled and disabled; choose one"));
    }
    for name in enable.iter().chain(disable) {
        if !known(name) && !MISSING.contains(&name.as_str()) {
            return Err(format!("admission plugin {name:?} is unknown"));
        }
    }
    match enable.iter().find(|name| !known(name)) {
        Some(name) => Err(format!("admission plugin {name:?} is not implemented")),
        None => Ok(()),
    }
}
