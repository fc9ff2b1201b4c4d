//! Ingresses: which hosts and paths lead to which services. As upstream, the cluster keeps them; a controller that
//! somebody installs acts on them.

use apimachinery::field::{Error, ErrorList, Path};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::{Ingress, IngressStatus};
use serde_json::{Value, json};

use crate::columns::{AGE, NAME, or_none, text};
use crate::desired;
use crate::owner::ObjectMetaExt;
use crate::strategy::{Column, Part, age};

mod validation;

pub(super) use validation::reference;

#[cfg(test)]
mod tests;

/// The annotation that named an ingress's class before the field did.
pub const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// The rules of ingresses.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = Ingress;

    fn prepare_create(&self, ingress: &mut Ingress) {
        ingress.status = Some(IngressStatus::default());
        ingress.metadata.generation = Some(1);
    }

    fn prepare_update(&self, new: &mut Ingress, old: &Ingress, part: Part) {
        match part {
            Part::Status => new.spec.clone_from(&old.spec),
            _ => {
                new.status.clone_from(&old.status);
                desired::bump_generation(new, old, "spec");
            }
        }
    }

    fn validate(&self, ingress: &Ingress) -> ErrorList {
        let mut errs = validation::spec(&ingress.spec.clone().unwrap_or_default(), &Path::new("spec"));
        let class = ingress.spec.as_ref().and_then(|s| s.ingress_class_name.as_ref());
        if let (Some(annotation), Some(_)) = (ingress.metadata.annotation(CLASS_ANNOTATION), class) {
            let path = Path::new("metadata").child("annotations").child(CLASS_ANNOTATION);
            let why = "can not be set when the class field is also set";
            errs.push(Error::invalid(&path, annotation, why));
        }
        errs
    }

    fn validate_update(&self, new: &Ingress, _: &Ingress, part: Part) -> ErrorList {
        match part {
            Part::Status => validation::status(&new.status.clone().unwrap_or_default()),
            _ => validation::spec(&new.spec.clone().unwrap_or_default(), &Path::new("spec")),
        }
    }

    fn warnings(&self, ingress: &Ingress) -> Vec<String> {
        let old = ingress.metadata.annotation(CLASS_ANNOTATION);
        let text = "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead";
        old.map(|_| text.to_owned()).into_iter().collect()
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Class", "The class of controllers that act on it."),
            text("Hosts", "The hosts it is for."),
            text("Address", "Where it is reached."),
            text("Ports", "The ports it is reached at."),
            AGE,
        ];
        COLUMNS
    }

    fn row(&self, ingress: &Ingress, now: Timestamp) -> Vec<Value> {
        let spec = ingress.spec.clone().unwrap_or_default();
        let tls = spec.tls.as_ref().is_some_and(|t| !t.is_empty());
        vec![
            json!(ingress.name()),
            json!(or_none(spec.ingress_class_name.as_deref())),
            json!(hosts(&spec)),
            json!(addresses(ingress)),
            json!(if tls { "80, 443" } else { "80" }),
            json!(age(&ingress.metadata, now)),
        ]
    }
}

/// At most three hosts, then how many more rules there are.
fn hosts(spec: &k8s_openapi::api::networking::v1::IngressSpec) -> String {
    const MOST: usize = 3;
    let rules = spec.rules.as_deref().unwrap_or_default();
    let named: Vec<&str> =
        rules.iter().filter_map(|r| r.host.as_deref()).filter(|h| !h.is_empty()).take(MOST).collect();
    match named.len() {
        0 => "*".into(),
        MOST if rules.len() > MOST => format!("{} + {} more...", named.join(","), rules.len() - MOST),
        _ => named.join(","),
    }
}

fn addresses(ingress: &Ingress) -> String {
    let points = ingress.status.as_ref().and_then(|s| s.load_balancer.as_ref()?.ingress.as_ref());
    let given = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
    let shown = points.into_iter().flatten().filter_map(|p| given(&p.ip).or_else(|| given(&p.hostname)));
    shown.collect::<Vec<_>>().join(",")
}
