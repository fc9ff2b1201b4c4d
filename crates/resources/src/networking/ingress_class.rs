//! Ingress classes: which controller acts on an ingress.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::TypedLocalObjectReference;
use k8s_openapi::api::networking::v1::{IngressClass, IngressClassParametersReference};
use serde_json::{Value, json};

use super::ingress::reference;
use crate::check::each;
use crate::columns::{AGE, NAME, text};
use crate::desired;
use crate::owner::ObjectMetaExt;
use crate::strategy::{Column, Part, age};

#[cfg(test)]
mod tests;

/// On the class that ingresses without one get.
pub const IS_DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";
const CONTROLLER_MAX: usize = 250;

/// What ingress classes are asked.
pub trait IngressClassExt {
    fn is_default(&self) -> bool;
}

impl IngressClassExt for IngressClass {
    fn is_default(&self) -> bool {
        self.metadata.annotation(IS_DEFAULT) == Some("true")
    }
}

/// The rules of ingress classes.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = IngressClass;

    fn default(&self, class: &mut IngressClass) {
        if let Some(parameters) = class.spec.as_mut().and_then(|s| s.parameters.as_mut()) {
            parameters.scope.get_or_insert_with(|| "Cluster".into());
        }
    }

    fn prepare_create(&self, class: &mut IngressClass) {
        class.metadata.generation = Some(1);
    }

    fn prepare_update(&self, new: &mut IngressClass, old: &IngressClass, _: Part) {
        desired::bump_generation(new, old, "spec");
    }

    fn validate(&self, class: &IngressClass) -> ErrorList {
        let path = Path::new("spec");
        let spec = class.spec.clone().unwrap_or_default();
        let controller = spec.controller.unwrap_or_default();
        let mut errs = ErrorList::new();
        if controller.len() > CONTROLLER_MAX {
            errs.push(Error::too_long(&path.child("controller"), CONTROLLER_MAX));
        }
        errs.extend(domain_path(&controller, &path.child("controller")));
        if let Some(parameters) = &spec.parameters {
            errs.extend(parameter_errors(parameters, &path.child("parameters")));
        }
        errs
    }

    fn validate_update(&self, new: &IngressClass, old: &IngressClass, _: Part) -> ErrorList {
        let path = Path::new("spec");
        let controller =
            |c: &IngressClass| c.spec.as_ref().and_then(|s| s.controller.clone()).unwrap_or_default();
        let mut errs = ErrorList::new();
        if controller(new) != controller(old) {
            errs.push(Error::invalid(&path.child("controller"), &controller(new), "field is immutable"));
        }
        if let Some(parameters) = new.spec.as_ref().and_then(|s| s.parameters.as_ref()) {
            errs.extend(parameter_errors(parameters, &path.child("parameters")));
        }
        errs
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Controller", "Who acts on ingresses of this class."),
            text("Parameters", "Where the controller finds more about the class."),
            AGE,
        ];
        COLUMNS
    }

    fn row(&self, class: &IngressClass, now: Timestamp) -> Vec<Value> {
        let spec = class.spec.clone().unwrap_or_default();
        let parameters = spec.parameters.map(|p| {
            let group = p.api_group.map(|g| format!(".{g}")).unwrap_or_default();
            format!("{}{group}/{}", p.kind, p.name)
        });
        vec![
            json!(class.name()),
            json!(spec.controller.unwrap_or_default()),
            json!(parameters.unwrap_or_else(|| "<none>".into())),
            json!(age(&class.metadata, now)),
        ]
    }
}

/// `example.com/some/path`
fn domain_path(value: &str, path: &Path) -> ErrorList {
    if value.is_empty() {
        return [Error::required(path, "")].into_iter().collect();
    }
    let (host, rest) = value.split_once('/').unwrap_or((value, ""));
    if host.is_empty() || rest.is_empty() {
        let why = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        return [Error::invalid(path, value, why)].into_iter().collect();
    }
    let mut errs = each(path, host, names::dns1123_subdomain(host));
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(c);
    if !rest.chars().all(allowed) {
        let pattern = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+";
        errs.push(Error::invalid(path, rest, names::regex_error("Invalid path", pattern, &[])));
    }
    errs
}

fn parameter_errors(parameters: &IngressClassParametersReference, path: &Path) -> ErrorList {
    let typed = TypedLocalObjectReference {
        api_group: parameters.api_group.clone(),
        kind: parameters.kind.clone(),
        name: parameters.name.clone(),
    };
    let mut errs = reference(&typed, path);
    let namespace = parameters.namespace.as_deref();
    let at = path.child("namespace");
    match (parameters.scope.as_deref(), namespace) {
        (None, _) => errs.push(Error::required(&path.child("scope"), "")),
        (Some("Namespace"), None) => {
            errs.push(Error::required(&at, "`parameters.scope` is set to 'Namespace'"))
        }
        (Some("Namespace"), Some(namespace)) => {
            errs.extend(each(&at, namespace, names::dns1123_label(namespace)))
        }
        (Some("Cluster"), Some(_)) => {
            errs.push(Error::forbidden(&at, "`parameters.scope` is set to 'Cluster'"))
        }
        (Some("Cluster"), None) => {}
        (Some(other), _) => {
            errs.push(Error::not_supported(&path.child("scope"), other, &["Cluster", "Namespace"]));
        }
    }
    errs
}
