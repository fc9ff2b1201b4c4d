//! Bindings of admission policies: where a policy holds, with which parameters. One strategy for both kinds.

use std::marker::PhantomData;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, MutatingAdmissionPolicyBinding, ParamRef, ValidatingAdmissionPolicyBinding,
};
use serde_json::{Value, json};

use super::matching;
use crate::check::{each, known, one, shown_list};
use crate::columns::{AGE, NAME, text};
use crate::strategy::{Column, Part, age};
use crate::{desired, selector};

#[cfg(test)]
mod tests;

const ACTIONS: &[&str] = &["Audit", "Deny", "Warn"];

/// What the two kinds have in common.
pub trait AnyBinding: Kind {
    fn policy_name(&self) -> &str;
    fn param_ref(&self) -> Option<&ParamRef>;
    fn match_resources(&self) -> Option<&MatchResources>;
    fn match_resources_mut(&mut self) -> Option<&mut MatchResources>;

    /// What failed validations lead to; none for mutations.
    fn actions(&self) -> Option<&[String]> {
        None
    }
}

impl AnyBinding for ValidatingAdmissionPolicyBinding {
    fn policy_name(&self) -> &str {
        &self.spec.policy_name
    }

    fn param_ref(&self) -> Option<&ParamRef> {
        self.spec.param_ref.as_ref()
    }

    fn match_resources(&self) -> Option<&MatchResources> {
        self.spec.match_resources.as_ref()
    }

    fn match_resources_mut(&mut self) -> Option<&mut MatchResources> {
        self.spec.match_resources.as_mut()
    }

    fn actions(&self) -> Option<&[String]> {
        Some(&self.spec.validation_actions)
    }
}

impl AnyBinding for MutatingAdmissionPolicyBinding {
    fn policy_name(&self) -> &str {
        self.spec.as_ref().and_then(|s| s.policy_name.as_deref()).unwrap_or_default()
    }

    fn param_ref(&self) -> Option<&ParamRef> {
        self.spec.as_ref()?.param_ref.as_ref()
    }

    fn match_resources(&self) -> Option<&MatchResources> {
        self.spec.as_ref()?.match_resources.as_ref()
    }

    fn match_resources_mut(&mut self) -> Option<&mut MatchResources> {
        self.spec.as_mut()?.match_resources.as_mut()
    }
}

/// The rules of bindings.
pub struct Strategy<B>(PhantomData<fn() -> B>);

impl<B> Default for Strategy<B> {
    fn default() -> Self {
        Strategy(PhantomData)
    }
}

impl<B: AnyBinding> crate::Strategy for Strategy<B> {
    type Kind = B;

    fn default(&self, binding: &mut B) {
        if let Some(resources) = binding.match_resources_mut() {
            matching::default_match(resources);
        }
    }

    fn prepare_create(&self, binding: &mut B) {
        binding.meta_mut().generation = Some(1);
    }

    fn prepare_update(&self, new: &mut B, old: &B, _: Part) {
        desired::bump_generation(new, old, "spec");
    }

    fn validate(&self, binding: &B) -> ErrorList {
        let path = Path::new("spec");
        let (name, at) = (binding.policy_name(), path.child("policyName"));
        let mut errs = match name {
            "" => one(true, || Error::required(&at, "")),
            name => each(&at, name, names::dns1123_subdomain(name)),
        };
        errs.extend(
            binding.param_ref().map(|r| param_errors(r, &path.child("paramRef"))).unwrap_or_default(),
        );
        if let Some(resources) = binding.match_resources() {
            // Upstream's path, misspelt as it is there.
            errs.extend(matching::resources(resources, &path.child("matchResouces")));
        }
        let at = path.child("validationActions");
        errs.extend(binding.actions().map(|a| action_errors(a, &at)).unwrap_or_default());
        errs
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("PolicyName", "The policy that it is for."),
            text("ParamRef", "Which parameters it holds with."),
            AGE,
        ];
        COLUMNS
    }

    fn row(&self, binding: &B, now: Timestamp) -> Vec<Value> {
        let params = binding.param_ref().map_or_else(|| "<unset>".into(), shown_params);
        vec![
            json!(binding.name()),
            json!(binding.policy_name()),
            json!(params),
            json!(age(binding.meta(), now)),
        ]
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

fn shown_params(params: &ParamRef) -> String {
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    match (text(&params.namespace).as_str(), text(&params.name).as_str()) {
        (_, "") => params.selector.as_ref().map_or_else(|| "<unset>".into(), selector::show),
        ("", name) => name.into(),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}

fn param_errors(params: &ParamRef, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let name = params.name.as_deref().unwrap_or_default();
    let both = "name and selector are mutually exclusive";
    if !name.is_empty() {
        errs.extend(each(&path.child("name"), name, names::path_segment(name)));
        errs.extend(one(params.selector.is_some(), || Error::forbidden(&path.child("name"), both)));
    }
    if let Some(selector) = &params.selector {
        errs.extend(selector::validate(selector, &path.child("selector")));
        errs.extend(one(!name.is_empty(), || Error::forbidden(&path.child("selector"), both)));
    }
    if name.is_empty() && params.selector.is_none() {
        errs.push(Error::required(path, "one of name or selector must be specified"));
    }
    let at = path.child("parameterNotFoundAction");
    errs.extend(match params.parameter_not_found_action.as_deref().unwrap_or_default() {
        "" => one(true, || Error::required(&at, "")),
        action => known(&at, action, &["Deny", "Allow"]),
    });
    errs
}

fn action_errors(actions: &[String], path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (i, action) in actions.iter().enumerate() {
        errs.extend(known(&path.index(i), action, ACTIONS));
        errs.extend(one(actions[..i].contains(action), || Error::duplicate(&path.index(i), action)));
    }
    let has = |wanted: &str| actions.iter().any(|a| a == wanted);
    if has("Deny") && has("Warn") {
        let why = "must not contain both Deny and Warn (repeating the same validation failure information in the API \
                   response and headers serves no purpose)";
        errs.push(Error::invalid(path, shown_list(actions), why));
    }
    errs.extend(one(actions.is_empty(), || {
        Error::required(path, "at least one validation action is required")
    }));
    errs
}
