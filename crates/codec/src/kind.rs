//! A built-in kind as a Rust type, and any of them behind one pointer.

use std::any::Any;
use std::fmt;

use apimachinery::{Gvk, Gvr};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The JSON does not have the kind's shape. The text names the place.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub String);

/// A built-in kind with metadata. Implemented here, once for each, so that its serialisers are compiled once.
pub trait Kind: Clone + Default + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// API group; empty for core.
    const GROUP: &'static str;
    const VERSION: &'static str;
    const KIND: &'static str;
    /// As in `apiVersion`.
    const API_VERSION: &'static str;
    /// Plural resource name as in URLs; a subresource's name for kinds that exist only as one.
    const RESOURCE: &'static str;

    fn meta(&self) -> &ObjectMeta;
    fn meta_mut(&mut self) -> &mut ObjectMeta;

    /// Lenient: unknown fields are dropped. Strictness is `decode`'s business.
    fn from_json(json: &[u8]) -> Result<Self, DecodeError>;
    /// `apiVersion`, `kind` and `metadata` come first, in this order.
    fn to_json(&self) -> Vec<u8>;

    fn gvk() -> Gvk {
        Gvk::new(Self::GROUP, Self::VERSION, Self::KIND)
    }

    fn gvr() -> Gvr {
        Gvr::new(Self::GROUP, Self::VERSION, Self::RESOURCE)
    }

    fn name(&self) -> &str {
        self.meta().name.as_deref().unwrap_or_default()
    }

    fn namespace(&self) -> &str {
        self.meta().namespace.as_deref().unwrap_or_default()
    }

    fn uid(&self) -> &str {
        self.meta().uid.as_deref().unwrap_or_default()
    }
}

/// A decoded object whose kind is known only at run time.
pub trait AnyObject: Any + Send + Sync + fmt::Debug {
    fn object_meta(&self) -> &ObjectMeta;
    fn object_meta_mut(&mut self) -> &mut ObjectMeta;
    fn object_gvk(&self) -> Gvk;
    fn encode(&self) -> Vec<u8>;
    fn clone_box(&self) -> Box<dyn AnyObject>;
    fn equals(&self, other: &dyn AnyObject) -> bool;
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl<K: Kind> AnyObject for K {
    fn object_meta(&self) -> &ObjectMeta {
        Kind::meta(self)
    }

    fn object_meta_mut(&mut self) -> &mut ObjectMeta {
        Kind::meta_mut(self)
    }

    fn object_gvk(&self) -> Gvk {
        K::gvk()
    }

    fn encode(&self) -> Vec<u8> {
        Kind::to_json(self)
    }

    fn clone_box(&self) -> Box<dyn AnyObject> {
        Box::new(self.clone())
    }

    fn equals(&self, other: &dyn AnyObject) -> bool {
        other.as_any().downcast_ref::<K>() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

impl dyn AnyObject {
    /// The object as `K`, when it is one.
    pub fn downcast_ref<K: Kind>(&self) -> Option<&K> {
        self.as_any().downcast_ref()
    }

    /// The object as `K`, when it is one.
    pub fn downcast_mut<K: Kind>(&mut self) -> Option<&mut K> {
        self.as_any_mut().downcast_mut()
    }
}

macro_rules! kinds {
    ($($($path:ident)::+;)*) => {$(
        impl Kind for k8s_openapi::$($path)::+ {
            const GROUP: &'static str = <Self as k8s_openapi::Resource>::GROUP;
            const VERSION: &'static str = <Self as k8s_openapi::Resource>::VERSION;
            const KIND: &'static str = <Self as k8s_openapi::Resource>::KIND;
            const API_VERSION: &'static str = <Self as k8s_openapi::Resource>::API_VERSION;
            const RESOURCE: &'static str = <Self as k8s_openapi::Resource>::URL_PATH_SEGMENT;

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }

            fn from_json(json: &[u8]) -> Result<Self, DecodeError> {
                let read = serde_json::from_slice(json).or_else(|e| match crate::transitions::filled(json) {
                    Some(filled) => serde_json::from_slice(&filled),
                    None => Err(e),
                });
                read.map_err(|e| DecodeError(e.to_string()))
            }

            fn to_json(&self) -> Vec<u8> {
                let mut out = Vec::with_capacity(1024);
                // Fails only when a Serialize impl or the writer does; neither can here.
                let done = serde_json::to_writer(&mut out, self);
                debug_assert!(done.is_ok(), "{done:?}");
                crate::splice::metadata_first(crate::transitions::emptied(out))
            }
        }
    )*};
}

kinds! {
    api::admissionregistration::v1::MutatingAdmissionPolicy;
    api::admissionregistration::v1::MutatingAdmissionPolicyBinding;
    api::admissionregistration::v1::MutatingWebhookConfiguration;
    api::admissionregistration::v1::ValidatingAdmissionPolicy;
    api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
    api::admissionregistration::v1::ValidatingWebhookConfiguration;
    api::apps::v1::ControllerRevision;
    api::apps::v1::DaemonSet;
    api::apps::v1::Deployment;
    api::apps::v1::ReplicaSet;
    api::apps::v1::StatefulSet;
    api::authentication::v1::SelfSubjectReview;
    api::authentication::v1::TokenRequest;
    api::authentication::v1::TokenReview;
    api::authorization::v1::LocalSubjectAccessReview;
    api::authorization::v1::SelfSubjectAccessReview;
    api::authorization::v1::SelfSubjectRulesReview;
    api::authorization::v1::SubjectAccessReview;
    api::autoscaling::v1::HorizontalPodAutoscaler;
    api::autoscaling::v1::Scale;
    api::autoscaling::v2::HorizontalPodAutoscaler;
    api::batch::v1::CronJob;
    api::batch::v1::Job;
    api::certificates::v1::CertificateSigningRequest;
    api::certificates::v1::ClusterTrustBundle;
    api::certificates::v1::PodCertificateRequest;
    api::coordination::v1::Lease;
    api::core::v1::Binding;
    api::core::v1::ComponentStatus;
    api::core::v1::ConfigMap;
    api::core::v1::Endpoints;
    api::core::v1::Event;
    api::core::v1::LimitRange;
    api::core::v1::Namespace;
    api::core::v1::Node;
    api::core::v1::PersistentVolume;
    api::core::v1::PersistentVolumeClaim;
    api::core::v1::Pod;
    api::core::v1::PodTemplate;
    api::core::v1::ReplicationController;
    api::core::v1::ResourceQuota;
    api::core::v1::Secret;
    api::core::v1::Service;
    api::core::v1::ServiceAccount;
    api::discovery::v1::EndpointSlice;
    api::events::v1::Event;
    api::flowcontrol::v1::FlowSchema;
    api::flowcontrol::v1::PriorityLevelConfiguration;
    api::networking::v1::IPAddress;
    api::networking::v1::Ingress;
    api::networking::v1::IngressClass;
    api::networking::v1::NetworkPolicy;
    api::networking::v1::ServiceCIDR;
    api::node::v1::RuntimeClass;
    api::policy::v1::Eviction;
    api::policy::v1::PodDisruptionBudget;
    api::rbac::v1::ClusterRole;
    api::rbac::v1::ClusterRoleBinding;
    api::rbac::v1::Role;
    api::rbac::v1::RoleBinding;
    api::resource::v1::DeviceClass;
    api::resource::v1::DeviceTaintRule;
    api::resource::v1::ResourceClaim;
    api::resource::v1::ResourceClaimTemplate;
    api::resource::v1::ResourceSlice;
    api::scheduling::v1::PriorityClass;
    api::storage::v1::CSIDriver;
    api::storage::v1::CSINode;
    api::storage::v1::CSIStorageCapacity;
    api::storage::v1::StorageClass;
    api::storage::v1::VolumeAttachment;
    api::storage::v1::VolumeAttributesClass;
    api::storagemigration::v1::StorageVersionMigration;
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    kube_aggregator::pkg::apis::apiregistration::v1::APIService;
}
