//! Mutating admission policies: expressions that change what is written.

use apimachinery::field::{Error, ErrorList, Path};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicySpec, Mutation,
};
use serde_json::{Value, json};

use super::{matching, policy};
use crate::check::{known, one};
use crate::columns::{AGE, NAME, number, text};
use crate::strategy::{Column, Part, age};
use crate::{desired, fill};

#[cfg(test)]
mod tests;

const REINVOCATIONS: &[&str] = &["IfNeeded", "Never"];

/// The rules of mutating admission policies.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = MutatingAdmissionPolicy;

    fn default(&self, policy: &mut MutatingAdmissionPolicy) {
        let spec = policy.spec.get_or_insert_default();
        fill::text(&mut spec.failure_policy, "Fail");
        if let Some(constraints) = &mut spec.match_constraints {
            matching::default_match(constraints);
        }
    }

    fn prepare_create(&self, policy: &mut MutatingAdmissionPolicy) {
        policy.metadata.generation = Some(1);
    }

    fn prepare_update(&self, new: &mut MutatingAdmissionPolicy, old: &MutatingAdmissionPolicy, _: Part) {
        desired::bump_generation(new, old, "spec");
    }

    fn validate(&self, policy: &MutatingAdmissionPolicy) -> ErrorList {
        spec_errors(&policy.spec.clone().unwrap_or_default(), &Path::new("spec"))
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            number("Mutations", "Mutation indicates the number of mutations rules."),
            text("ParamKind", "What its parameters are."),
            AGE,
        ];
        COLUMNS
    }

    fn row(&self, policy: &MutatingAdmissionPolicy, now: Timestamp) -> Vec<Value> {
        let spec = policy.spec.as_ref();
        vec![
            json!(policy.name()),
            json!(spec.and_then(|s| s.mutations.as_ref()).map_or(0, Vec::len)),
            json!(policy::shown_param_kind(spec.and_then(|s| s.param_kind.as_ref()))),
            json!(age(&policy.metadata, now)),
        ]
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

fn spec_errors(spec: &MutatingAdmissionPolicySpec, path: &Path) -> ErrorList {
    let mut errs = policy::failure_policy(spec.failure_policy.as_deref(), &path.child("failurePolicy"));
    if let Some(kind) = &spec.param_kind {
        errs.extend(policy::param_kind(kind, &path.child("paramKind")));
    }
    errs.extend(policy::constraints(spec.match_constraints.as_ref(), &path.child("matchConstraints")));
    errs.extend(matching::conditions(spec.match_conditions.as_deref(), &path.child("matchConditions")));
    errs.extend(policy::variables(spec.variables.as_deref(), &path.child("variables")));
    let mutations = spec.mutations.as_deref().unwrap_or_default();
    let at = path.child("mutations");
    errs.extend(one(mutations.is_empty(), || {
        Error::required(&at, "mutations must contain at least one item")
    }));
    for (i, mutation) in mutations.iter().enumerate() {
        errs.extend(mutation_errors(mutation, &at.index(i)));
    }
    let at = path.child("reinvocationPolicy");
    errs.extend(match spec.reinvocation_policy.as_deref() {
        None => one(true, || Error::required(&at, "")),
        Some(policy) => known(&at, policy, REINVOCATIONS),
    });
    errs
}

/// The patch of its type is there, and no other.
fn mutation_errors(mutation: &Mutation, path: &Path) -> ErrorList {
    let apply = mutation.apply_configuration.as_ref().map(|a| a.expression.as_deref().unwrap_or_default());
    let patch = mutation.json_patch.as_ref().map(|p| p.expression.as_deref().unwrap_or_default());
    let kind = &*mutation.patch_type;
    let (wanted, other) = match kind {
        "ApplyConfiguration" => (("applyConfiguration", apply), ("jsonPatch", patch)),
        "JSONPatch" => (("jsonPatch", patch), ("applyConfiguration", apply)),
        "" => return one(true, || Error::required(&path.child("patchType"), "")),
        odd => return known(&path.child("patchType"), odd, &["ApplyConfiguration", "JSONPatch"]),
    };
    let mut errs = match wanted {
        (field, None) => one(true, || {
            Error::required(&path.child(field), format!("must be specified when patchType is {kind}"))
        }),
        (field, Some(text)) => policy::expression(text, &path.child(field).child("expression")),
    };
    if let (field, Some(_)) = other {
        let shown = format!("{{{field}}}");
        let why = format!("must not be specified when patchType is {kind}");
        errs.push(Error::invalid(&path.child(field), &shown, why));
    }
    errs
}
