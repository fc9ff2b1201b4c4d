//! The admissionregistration.k8s.io group: what is asked before a write is let through.

pub mod binding;
pub(crate) mod client_config;
pub mod expressions;
mod matching;
pub mod mutating_policy;
mod policy;
pub mod validating_policy;
pub mod webhook;

use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration, ValidatingAdmissionPolicyBinding,
    ValidatingWebhookConfiguration,
};

use crate::gate::Gate;
use crate::strategy::{Resource, Scope};

const CATEGORIES: &[&str] = &["api-extensions"];

/// The group's table, in discovery's order.
pub(crate) fn resources() -> Vec<Resource> {
    let row = |row: Resource, gate| row.in_categories(CATEGORIES).behind(gate);
    let policy = |made| row(made, Gate::AdmissionPolicies);
    let webhook = |made| row(made, Gate::AdmissionWebhooks);
    vec![
        policy(Resource::new(Scope::Cluster, "mutatingadmissionpolicy", mutating_policy::Strategy)),
        policy(Resource::new(
            Scope::Cluster,
            "mutatingadmissionpolicybinding",
            binding::Strategy::<MutatingAdmissionPolicyBinding>::default(),
        )),
        webhook(Resource::new(
            Scope::Cluster,
            "mutatingwebhookconfiguration",
            webhook::Strategy::<MutatingWebhookConfiguration>::default(),
        )),
        policy(Resource::new(Scope::Cluster, "validatingadmissionpolicy", validating_policy::Strategy))
            .with(&["status"]),
        policy(Resource::new(
            Scope::Cluster,
            "validatingadmissionpolicybinding",
            binding::Strategy::<ValidatingAdmissionPolicyBinding>::default(),
        )),
        webhook(Resource::new(
            Scope::Cluster,
            "validatingwebhookconfiguration",
            webhook::Strategy::<ValidatingWebhookConfiguration>::default(),
        )),
    ]
}
