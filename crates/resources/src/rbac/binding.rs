//! Role bindings and cluster role bindings: one strategy for both.

use std::marker::PhantomData;

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding, RoleRef, Subject};
use serde_json::{Value, json};

use super::GROUP;
use crate::columns::{AGE, NAME, text, wide};
use crate::strategy::{Column, NameRule, Part, age};

#[cfg(test)]
mod tests;

/// What the two kinds have in common.
pub trait AnyBinding: Kind {
    fn role_ref(&self) -> &RoleRef;
    fn role_ref_mut(&mut self) -> &mut RoleRef;
    fn subjects(&self) -> &[Subject];
    fn subjects_mut(&mut self) -> &mut [Subject];

    /// Kinds of roles it may refer to.
    const ROLES: &'static [&'static str];
    /// Lives in a namespace, so that service accounts are of that one unless they say otherwise.
    const NAMESPACED: bool;
}

macro_rules! binding {
    ($kind:ty, $roles:expr, $namespaced:expr) => {
        impl AnyBinding for $kind {
            fn role_ref(&self) -> &RoleRef {
                &self.role_ref
            }
            fn role_ref_mut(&mut self) -> &mut RoleRef {
                &mut self.role_ref
            }
            fn subjects(&self) -> &[Subject] {
                self.subjects.as_deref().unwrap_or_default()
            }
            fn subjects_mut(&mut self) -> &mut [Subject] {
                self.subjects.as_deref_mut().unwrap_or_default()
            }
            const ROLES: &'static [&'static str] = $roles;
            const NAMESPACED: bool = $namespaced;
        }
    };
}
binding!(RoleBinding, &["Role", "ClusterRole"], true);
binding!(ClusterRoleBinding, &["ClusterRole"], false);

/// The rules of bindings.
pub struct Strategy<B>(PhantomData<fn() -> B>);

impl<B> Default for Strategy<B> {
    fn default() -> Self {
        Strategy(PhantomData)
    }
}

impl<B: AnyBinding> crate::Strategy for Strategy<B> {
    type Kind = B;

    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn default(&self, binding: &mut B) {
        let group = &mut binding.role_ref_mut().api_group;
        if group.as_deref().unwrap_or_default().is_empty() {
            *group = Some(GROUP.into());
        }
        for subject in binding.subjects_mut() {
            // The group of service accounts is the empty one, and stays absent.
            if subject.api_group.is_none() && matches!(&*subject.kind, "User" | "Group") {
                subject.api_group = Some(GROUP.into());
            }
        }
    }

    fn validate(&self, binding: &B) -> ErrorList {
        let mut errs = role_errors::<B>(binding.role_ref());
        for (i, subject) in binding.subjects().iter().enumerate() {
            errs.extend(subject_errors(subject, B::NAMESPACED, &Path::new("subjects").index(i)));
        }
        errs
    }

    fn validate_update(&self, new: &B, old: &B, _: Part) -> ErrorList {
        let mut errs = self.validate(new);
        // What a binding grants is for life: whoever may edit its subjects may not thereby raise their rights.
        if new.role_ref() != old.role_ref() {
            let shown = Raw(shown(new.role_ref()));
            errs.push(Error::invalid(&Path::new("roleRef"), shown, "cannot change roleRef"));
        }
        errs
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Role", "The role that is granted."),
            AGE,
            wide("Users", "Users in the binding."),
            wide("Groups", "Groups in the binding."),
            wide("ServiceAccounts", "Service accounts in the binding."),
        ];
        COLUMNS
    }

    fn row(&self, binding: &B, now: Timestamp) -> Vec<Value> {
        let role = binding.role_ref();
        let of = |kind: &str| -> String {
            let subjects = binding.subjects().iter().filter(|s| s.kind == kind);
            let names: Vec<String> = subjects
                .map(|s| match kind {
                    "ServiceAccount" => format!("{}/{}", s.namespace.as_deref().unwrap_or_default(), s.name),
                    _ => s.name.clone(),
                })
                .collect();
            names.join(", ")
        };
        vec![
            json!(binding.name()),
            json!(format!("{}/{}", role.kind, role.name)),
            json!(age(binding.meta(), now)),
            json!(of("User")),
            json!(of("Group")),
            json!(of("ServiceAccount")),
        ]
    }
}

fn shown(role: &RoleRef) -> String {
    json!({"apiGroup": role.api_group.as_deref().unwrap_or_default(), "kind": role.kind, "name": role.name})
        .to_string()
}

fn role_errors<B: AnyBinding>(role: &RoleRef) -> ErrorList {
    let mut errs = ErrorList::new();
    let path = Path::new("roleRef");
    let group = role.api_group.as_deref().unwrap_or_default();
    if group != GROUP {
        errs.push(Error::not_supported(&path.child("apiGroup"), group, &[GROUP]));
    }
    if !B::ROLES.contains(&&*role.kind) {
        errs.push(Error::not_supported(&path.child("kind"), &role.kind, B::ROLES));
    }
    if role.name.is_empty() {
        errs.push(Error::required(&path.child("name"), ""));
    } else {
        for message in names::path_segment(&role.name) {
            errs.push(Error::invalid(&path.child("name"), &role.name, message));
        }
    }
    errs
}

fn subject_errors(subject: &Subject, namespaced: bool, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if subject.name.is_empty() {
        errs.push(Error::required(&path.child("name"), ""));
    }
    let group = subject.api_group.as_deref().unwrap_or_default();
    match &*subject.kind {
        "ServiceAccount" => {
            if !subject.name.is_empty() {
                for message in names::dns1123_subdomain(&subject.name) {
                    errs.push(Error::invalid(&path.child("name"), &subject.name, message));
                }
            }
            if !group.is_empty() {
                errs.push(Error::not_supported(&path.child("apiGroup"), group, &[""]));
            }
            if !namespaced && subject.namespace.as_deref().unwrap_or_default().is_empty() {
                errs.push(Error::required(&path.child("namespace"), ""));
            }
        }
        "User" | "Group" => {
            if group != GROUP {
                errs.push(Error::not_supported(&path.child("apiGroup"), group, &[GROUP]));
            }
        }
        other => {
            errs.push(Error::not_supported(&path.child("kind"), other, &["ServiceAccount", "User", "Group"]))
        }
    }
    errs
}
