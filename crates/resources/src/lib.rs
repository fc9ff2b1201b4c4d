//! One folder per API group, one room per kind: defaults, validation, strategy, columns, methods.
//! Start at [`strategy::Strategy`] and [`table`]; what components ask of objects is in the `…Ext` traits of the rooms,
//! gathered in [`prelude`].
//!
//! Never does IO. A kind is one room here and one line in its group's table; nothing else in the tree lists kinds.

pub mod admissionregistration;
pub mod apiextensions;
pub mod apiregistration;
pub mod apps;
pub mod autoscaling;
pub mod batch;
pub mod certificates;
mod check;
pub mod columns;
pub mod conditions;
pub mod coordination;
pub mod core;
pub mod desired;
pub mod discovery;
pub mod events;
mod fill;
pub mod flowcontrol;
pub mod gate;
pub mod meta;
pub mod metrics;
pub mod networking;
pub mod node;
pub mod owner;
pub mod policy;
pub mod quantity;
pub mod rbac;
pub mod resource;
pub mod scheduling;
pub mod selector;
pub mod storage;
pub mod storagemigration;
pub mod strategy;
pub mod table;
#[cfg(test)]
mod testing;

pub use gate::Gate;
pub use strategy::{AnyStrategy, Resource, Scope, Strategy};

/// The methods of kinds: `use resources::prelude::*;`
pub mod prelude {
    pub use crate::apiextensions::custom_resource_definition::CustomResourceDefinitionExt;
    pub use crate::apiregistration::api_service::APIServiceExt;
    pub use crate::apps::daemon_set::DaemonSetExt;
    pub use crate::apps::deployment::DeploymentExt;
    pub use crate::apps::replica_set::ReplicaSetExt;
    pub use crate::apps::stateful_set::StatefulSetExt;
    pub use crate::autoscaling::horizontal_pod_autoscaler::HorizontalPodAutoscalerExt;
    pub use crate::batch::job::JobExt;
    pub use crate::certificates::certificate_signing_request::CertificateSigningRequestExt;
    pub use crate::certificates::cluster_trust_bundle::ClusterTrustBundleExt;
    pub use crate::certificates::pod_certificate_request::PodCertificateRequestExt;
    pub use crate::core::namespace::NamespaceExt;
    pub use crate::core::node::NodeExt;
    pub use crate::core::persistent_volume::PersistentVolumeExt;
    pub use crate::core::persistent_volume_claim::PersistentVolumeClaimExt;
    pub use crate::core::pod::{ContainerExt, PodExt, TolerationExt};
    pub use crate::core::replication_controller::ReplicationControllerExt;
    pub use crate::core::service::ServiceExt;
    pub use crate::discovery::endpoint_slice::EndpointExt;
    pub use crate::networking::ingress_class::IngressClassExt;
    pub use crate::networking::ip_address::IPAddressExt;
    pub use crate::networking::network_policy::NetworkPolicyExt;
    pub use crate::networking::service_cidr::ServiceCIDRExt;
    pub use crate::owner::ObjectMetaExt;
    pub use crate::policy::pod_disruption_budget::PodDisruptionBudgetExt;
    pub use crate::quantity::QuantityExt;
    pub use crate::selector::LabelSelectorExt;
    pub use crate::storage::storage_class::StorageClassExt;
    pub use crate::storagemigration::storage_version_migration::StorageVersionMigrationExt;
}
