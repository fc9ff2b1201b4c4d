//! Controller revisions: the history of daemon sets and stateful sets.

use apimachinery::field::{Error, ErrorList, Path, Raw};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ControllerRevision;
use serde_json::{Value, json};

use crate::check::{non_negative, one};
use crate::columns::{AGE, NAME, number, text};
use crate::owner::ObjectMetaExt;
use crate::strategy::{Column, Part, age};

#[cfg(test)]
mod tests;

/// The rules of controller revisions.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = ControllerRevision;

    fn validate(&self, revision: &ControllerRevision) -> ErrorList {
        let mut errs =
            one(revision.data.0.is_null(), || Error::required(&Path::new("data"), "data is mandatory"));
        errs.extend(non_negative(&Path::new("revision"), revision.revision.unwrap_or(0)));
        errs
    }

    fn validate_update(&self, new: &ControllerRevision, old: &ControllerRevision, _: Part) -> ErrorList {
        let mut errs = self.validate(new);
        if new.data != old.data {
            let shown = Raw(new.data.0.to_string());
            errs.push(Error::invalid(&Path::new("data"), shown, "field is immutable"));
        }
        errs
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Controller", "The object whose history it is part of."),
            number("Revision", "Its place in that history."),
            AGE,
        ];
        COLUMNS
    }

    fn row(&self, revision: &ControllerRevision, now: Timestamp) -> Vec<Value> {
        vec![
            json!(revision.name()),
            json!(controller(revision)),
            json!(revision.revision.unwrap_or(0)),
            json!(age(&revision.metadata, now)),
        ]
    }
}

/// `kind.group/name`, as kubectl names objects.
fn controller(revision: &ControllerRevision) -> String {
    let Some(owner) = revision.metadata.controller() else { return "<none>".into() };
    let kind = owner.kind.to_lowercase();
    match owner.api_version.split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", owner.name),
        None => format!("{kind}/{}", owner.name),
    }
}
