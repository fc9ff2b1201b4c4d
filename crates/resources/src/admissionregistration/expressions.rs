//! The CEL expressions of policies and webhooks: where each stands, what it may speak of, what it has to yield.
//!
//! This is the seam for their compiler. The rules of this crate say that an expression is there; whether it compiles is
//! for the admission that evaluates it, which takes these lists, and the gates of these kinds stay shut until then.

use apimachinery::field::Path;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingAdmissionPolicy, ValidatingAdmissionPolicy, Variable,
};

/// What an expression's value has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yields {
    Bool,
    String,
    /// A string, or null for no annotation.
    StringOrNull,
    /// Any type: variables.
    Anything,
    /// `Object`, for apply configurations.
    Object,
    /// A list of `JSONPatch`.
    JsonPatch,
}

/// One expression.
#[derive(Clone, Debug)]
pub struct Expression<'a> {
    pub path: Path,
    pub text: &'a str,
    pub yields: Yields,
    /// `params` is declared.
    pub params: bool,
    /// `authorizer` is declared.
    pub authorizer: bool,
    /// How many of the policy's variables, from the first on, it may use.
    pub variables: usize,
}

/// Those of a validating policy, in the order of its fields' evaluation.
pub fn of_validating(policy: &ValidatingAdmissionPolicy) -> Vec<Expression<'_>> {
    let Some(spec) = &policy.spec else { return Vec::new() };
    let path = Path::new("spec");
    let params = spec.param_kind.is_some();
    let variables = spec.variables.as_deref().unwrap_or_default();
    let mut all = conditions(spec.match_conditions.as_deref(), params, &path.child("matchConditions"));
    all.extend(of_variables(variables, params, &path.child("variables")));
    let expression = |path, text, yields, authorizer| Expression {
        path,
        text,
        yields,
        params,
        authorizer,
        variables: variables.len(),
    };
    for (i, validation) in spec.validations.iter().flatten().enumerate() {
        let path = path.child("validations").index(i);
        all.push(expression(path.child("expression"), &validation.expression, Yields::Bool, true));
        if let Some(message) = validation.message_expression.as_deref().filter(|m| !m.is_empty()) {
            all.push(expression(path.child("messageExpression"), message, Yields::String, false));
        }
    }
    for (i, annotation) in spec.audit_annotations.iter().flatten().enumerate() {
        let path = path.child("auditAnnotations").index(i).child("valueExpression");
        all.push(expression(path, &annotation.value_expression, Yields::StringOrNull, true));
    }
    all
}

/// Those of a mutating policy, in the order of its fields' evaluation.
pub fn of_mutating(policy: &MutatingAdmissionPolicy) -> Vec<Expression<'_>> {
    let Some(spec) = &policy.spec else { return Vec::new() };
    let path = Path::new("spec");
    let params = spec.param_kind.is_some();
    let variables = spec.variables.as_deref().unwrap_or_default();
    let mut all = conditions(spec.match_conditions.as_deref(), params, &path.child("matchConditions"));
    all.extend(of_variables(variables, params, &path.child("variables")));
    for (i, mutation) in spec.mutations.iter().flatten().enumerate() {
        let path = path.child("mutations").index(i);
        let apply = mutation.apply_configuration.as_ref().and_then(|a| a.expression.as_deref());
        let patch = mutation.json_patch.as_ref().and_then(|p| p.expression.as_deref());
        let given = [("applyConfiguration", apply, Yields::Object), ("jsonPatch", patch, Yields::JsonPatch)];
        for (field, text, yields) in given {
            let Some(text) = text else { continue };
            let path = path.child(field).child("expression");
            let variables = variables.len();
            all.push(Expression { path, text, yields, params, authorizer: true, variables });
        }
    }
    all
}

/// The conditions of a policy or, without parameters, of a webhook. They are asked before variables are.
pub fn conditions<'a>(
    conditions: Option<&'a [MatchCondition]>,
    params: bool,
    path: &Path,
) -> Vec<Expression<'a>> {
    let conditions = conditions.unwrap_or_default().iter().enumerate();
    let expression = |(i, condition): (usize, &'a MatchCondition)| Expression {
        path: path.index(i).child("expression"),
        text: &condition.expression,
        yields: Yields::Bool,
        params,
        authorizer: true,
        variables: 0,
    };
    conditions.map(expression).collect()
}

fn of_variables<'a>(variables: &'a [Variable], params: bool, path: &Path) -> Vec<Expression<'a>> {
    let expression = |(i, variable): (usize, &'a Variable)| Expression {
        path: path.index(i).child("expression"),
        text: &variable.expression,
        yields: Yields::Anything,
        params,
        authorizer: true,
        variables: i,
    };
    variables.iter().enumerate().map(expression).collect()
}
