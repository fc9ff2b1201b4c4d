//! The table of plugins, in upstream's order.

use crate::chain::{Context, Plugin};
use crate::default_toleration_seconds::DefaultTolerationSeconds;
use crate::limit_ranger::LimitRanger;
use crate::namespace_lifecycle::NamespaceLifecycle;
use crate::node_restriction::NodeRestriction;
use crate::priority::Priority;
use crate::rbac_escalation::RbacEscalation;
use crate::resource_quota::ResourceQuotaPlugin;
use crate::service_account::ServiceAccountPlugin;
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
    Spec { name: "Priority", default_on: true, make: |c| Box::new(Priority::new(c)) },
    Spec { name: "DefaultTolerationSeconds", default_on: true, make: |_| Box::new(DefaultTolerationSeconds) },
    // Upstream has this in the storage of roles and bindings, where it cannot be turned off.
    Spec { name: RBAC_ESCALATION, default_on: true, make: |c| Box::new(RbacEscalation::new(c)) },
    // The last: what it notes, nobody else refuses any more.
    Spec { name: "ResourceQuota", default_on: true, make: |c| Box::new(ResourceQuotaPlugin::new(c)) },
];

const RBAC_ESCALATION: &str = "RBACEscalation";

/// Upstream's plugins that are not written yet: enabling one is an error, disabling it changes nothing.
pub const MISSING: &[&str] = &[
    "AlwaysAdmit",
    "AlwaysDeny",
    "AlwaysPullImages",
    "CertificateApproval",
    "CertificateSigning",
    "CertificateSubjectRestriction",
    "ClusterTrustBundleAttest",
    "DefaultIngressClass",
    "DefaultStorageClass",
    "EventRateLimit",
    "ExtendedResourceToleration",
    "ImagePolicyWebhook",
    "LimitPodHardAntiAffinityTopology",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "NamespaceAutoProvision",
    "NamespaceExists",
    "OwnerReferencesPermissionEnforcement",
    "PersistentVolumeClaimResize",
    "PodNodeSelector",
    "PodSecurity",
    "PodTolerationRestriction",
    "PodTopologyLabels",
    "RuntimeClass",
    "StorageObjectInUseProtection",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
];

pub(crate) fn check_names(enable: &[String], disable: &[String]) -> Result<(), String> {
    let known = |name: &str| PLUGINS.iter().any(|p| p.name == name && name != RBAC_ESCALATION);
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
