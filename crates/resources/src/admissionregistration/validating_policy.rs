//! Validating admission policies: expressions that a request has to satisfy.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    AuditAnnotation, ValidatingAdmissionPolicy, ValidatingAdmissionPolicySpec,
    ValidatingAdmissionPolicyStatus, Validation,
};
use serde_json::{Value, json};

use super::{matching, policy};
use crate::check::{each, known, one, required};
use crate::columns::{AGE, NAME, number, text};
use crate::strategy::{Column, Part, age};
use crate::{conditions, desired, fill};

#[cfg(test)]
mod tests;

const REASONS: &[&str] = &["Forbidden", "Invalid", "RequestEntityTooLarge"];
const ANNOTATIONS_MAX: usize = 20;
/// In bytes.
const ANNOTATION_EXPRESSION_MAX: usize = 5 * 1024;

/// The rules of validating admission policies.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = ValidatingAdmissionPolicy;

    fn default(&self, policy: &mut ValidatingAdmissionPolicy) {
        let spec = policy.spec.get_or_insert_default();
        fill::text(&mut spec.failure_policy, "Fail");
        if let Some(constraints) = &mut spec.match_constraints {
            matching::default_match(constraints);
        }
    }

    fn prepare_create(&self, policy: &mut ValidatingAdmissionPolicy) {
        policy.status = Some(ValidatingAdmissionPolicyStatus::default());
        policy.metadata.generation = Some(1);
    }

    fn prepare_update(
        &self,
        new: &mut ValidatingAdmissionPolicy,
        old: &ValidatingAdmissionPolicy,
        part: Part,
    ) {
        match part {
            Part::Status => {
                new.spec.clone_from(&old.spec);
                new.metadata.generation = old.metadata.generation;
            }
            _ => {
                new.status.clone_from(&old.status);
                desired::bump_generation(new, old, "spec");
            }
        }
    }

    fn validate(&self, policy: &ValidatingAdmissionPolicy) -> ErrorList {
        spec_errors(policy.name(), &policy.spec.clone().unwrap_or_default(), &Path::new("spec"))
    }

    fn validate_update(
        &self,
        new: &ValidatingAdmissionPolicy,
        _: &ValidatingAdmissionPolicy,
        part: Part,
    ) -> ErrorList {
        match part {
            Part::Status => status_errors(&new.status.clone().unwrap_or_default(), &Path::new("status")),
            _ => self.validate(new),
        }
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            number("Validations", "Validations indicates the number of validation rules."),
            text("ParamKind", "What its parameters are."),
            AGE,
        ];
        COLUMNS
    }

    fn row(&self, policy: &ValidatingAdmissionPolicy, now: Timestamp) -> Vec<Value> {
        let spec = policy.spec.as_ref();
        vec![
            json!(policy.name()),
            json!(spec.and_then(|s| s.validations.as_ref()).map_or(0, Vec::len)),
            json!(policy::shown_param_kind(spec.and_then(|s| s.param_kind.as_ref()))),
            json!(age(&policy.metadata, now)),
        ]
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

fn spec_errors(name: &str, spec: &ValidatingAdmissionPolicySpec, path: &Path) -> ErrorList {
    let mut errs = policy::failure_policy(spec.failure_policy.as_deref(), &path.child("failurePolicy"));
    if let Some(kind) = &spec.param_kind {
        errs.extend(policy::param_kind(kind, &path.child("paramKind")));
    }
    errs.extend(policy::constraints(spec.match_constraints.as_ref(), &path.child("matchConstraints")));
    errs.extend(matching::conditions(spec.match_conditions.as_deref(), &path.child("matchConditions")));
    errs.extend(policy::variables(spec.variables.as_deref(), &path.child("variables")));
    let validations = spec.validations.as_deref().unwrap_or_default();
    let annotations = spec.audit_annotations.as_deref().unwrap_or_default();
    let (at, annotations_at) = (path.child("validations"), path.child("auditAnnotations"));
    if validations.is_empty() && annotations.is_empty() {
        let why = "validations or auditAnnotations must contain at least one item";
        errs.push(Error::required(&at, why));
        errs.push(Error::required(&annotations_at, why));
    }
    for (i, validation) in validations.iter().enumerate() {
        errs.extend(validation_errors(validation, &at.index(i)));
    }
    errs.extend(annotations_errors(name, annotations, &annotations_at));
    errs
}

fn validation_errors(validation: &Validation, path: &Path) -> ErrorList {
    let mut errs = policy::expression(&validation.expression, &path.child("expression"));
    let given = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
    if let Some(text) = given(&validation.message_expression).filter(|t| t.trim().is_empty()) {
        errs.push(Error::invalid(&path.child("messageExpression"), &text, "must be non-empty if specified"));
    }
    if let Some(message) = given(&validation.message) {
        let at = path.child("message");
        if message.trim().is_empty() {
            errs.push(Error::invalid(&at, &message, "message must be non-empty if specified"));
        } else if message.trim().contains(['\n', '\r']) {
            errs.push(Error::invalid(&at, &message, "message must not contain line breaks"));
        }
    }
    errs.extend(
        validation.reason.as_ref().map(|r| known(&path.child("reason"), r, REASONS)).unwrap_or_default(),
    );
    errs
}

fn annotations_errors(policy: &str, annotations: &[AuditAnnotation], path: &Path) -> ErrorList {
    let mut errs = one(annotations.len() > ANNOTATIONS_MAX, || {
        let why = format!("must not have more than {ANNOTATIONS_MAX} auditAnnotations");
        Error::invalid(path, Raw(json!(annotations).to_string()), why)
    });
    let mut seen = BTreeSet::new();
    for (i, annotation) in annotations.iter().enumerate() {
        let path = path.index(i);
        let (key, at) = (&annotation.key, path.child("key"));
        match policy {
            "" => errs.push(Error::invalid(&at, key, "requires metadata.name be non-empty")),
            policy => {
                let full = format!("{policy}/{key}");
                errs.extend(each(&at, &full, names::qualified_name(&full)));
            }
        }
        let (text, value_at) = (annotation.value_expression.trim(), path.child("valueExpression"));
        if text.is_empty() {
            errs.push(Error::required(&value_at, "valueExpression is not specified"));
        } else if text.len() > ANNOTATION_EXPRESSION_MAX {
            let why = format!("must not exceed {ANNOTATION_EXPRESSION_MAX} bytes in length");
            errs.push(Error::required(&value_at, why));
        }
        errs.extend(one(!seen.insert(key), || Error::duplicate(&at, key)));
    }
    errs
}

fn status_errors(status: &ValidatingAdmissionPolicyStatus, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let warnings = status.type_checking.iter().flat_map(|t| t.expression_warnings.iter().flatten());
    for (i, warning) in warnings.enumerate() {
        let path = path.child("typeChecking").child("expressionWarnings").index(i);
        errs.extend(required(&path.child("warning"), &warning.warning));
        errs.extend(required(&path.child("fieldRef"), warning.field_ref.trim()));
    }
    let given = status.conditions.as_deref().unwrap_or_default();
    errs.extend(conditions::validate(given, &path.child("conditions")));
    errs
}
