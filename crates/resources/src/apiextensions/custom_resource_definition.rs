//! Custom resource definitions: what a kind is called, in which versions it is served, how its objects look.
//!
//! `validation` has the rules of the definition itself; `schema` those of a version's schema as OpenAPI, `structural` those that
//! make it structural. `names` says which names are accepted, and is pure: a controller keeps what it says in the status.
//! `versions` orders versions. What expressions (`x-kubernetes-validations`) compile to, and whether defaults fit their schemas,
//! is for whoever serves custom resources: the gate stays shut until then.

use apimachinery::field::ErrorList;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, CustomResourceDefinitionCondition,
    CustomResourceDefinitionNames,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use crate::admissionregistration::client_config;
use crate::columns::NAME;
use crate::conditions;
use crate::strategy::{Column, Part};
use crate::{desired, fill};

pub mod names;
mod schema;
mod structural;
mod validation;
pub mod versions;

#[cfg(test)]
mod tests;

/// The condition that says that the kind is served.
pub const ESTABLISHED: &str = "Established";
/// The condition that says that nobody else has the names.
pub const NAMES_ACCEPTED: &str = "NamesAccepted";
/// The condition that says that a schema is not structural.
pub const NON_STRUCTURAL: &str = "NonStructuralSchema";

/// The rules of custom resource definitions.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = CustomResourceDefinition;

    fn default(&self, definition: &mut CustomResourceDefinition) {
        let spec = &mut definition.spec;
        default_names(&mut spec.names);
        let conversion = spec
            .conversion
            .get_or_insert_with(|| CustomResourceConversion { strategy: "None".into(), webhook: None });
        let config = conversion.webhook.as_mut().and_then(|w| w.client_config.as_mut());
        if let Some(service) = config.and_then(|c| c.service.as_mut()) {
            client_config::default_port(&mut service.port);
        }
        // The version that is stored has been, from the moment on that there is a definition.
        let status = definition.status.get_or_insert_default();
        let stored = status.stored_versions.get_or_insert_default();
        if stored.is_empty() {
            stored.extend(spec.versions.iter().find(|v| v.storage).map(|v| v.name.clone()));
        }
    }

    fn prepare_create(&self, definition: &mut CustomResourceDefinition) {
        definition.status = None;
        definition.metadata.generation = Some(1);
        self.default(definition);
    }

    /// A version that becomes the stored one is noted at once: objects may be stored in it before any controller looks.
    fn prepare_update(&self, new: &mut CustomResourceDefinition, old: &CustomResourceDefinition, part: Part) {
        if part == Part::Status {
            new.spec.clone_from(&old.spec);
            desired::keep_metadata(new, old);
            return;
        }
        new.status.clone_from(&old.status);
        desired::bump_generation(new, old, "spec");
        let Some(storage) = new.spec.versions.iter().find(|v| v.storage).map(|v| v.name.clone()) else {
            return;
        };
        let stored = new.status.get_or_insert_default().stored_versions.get_or_insert_default();
        if !stored.contains(&storage) {
            stored.push(storage);
        }
    }

    fn reset_fields(&self, part: Part) -> &'static [&'static str] {
        match part {
            Part::Main => &["status"],
            _ => &["spec", "metadata"],
        }
    }

    fn validate(&self, definition: &CustomResourceDefinition) -> ErrorList {
        validation::create(definition)
    }

    fn validate_update(
        &self,
        new: &CustomResourceDefinition,
        old: &CustomResourceDefinition,
        part: Part,
    ) -> ErrorList {
        match part {
            Part::Status => validation::status(new),
            _ => validation::update(new, old),
        }
    }

    fn columns(&self) -> &'static [Column] {
        const CREATED: Column = Column {
            name: "Created At",
            kind: "date",
            format: "",
            priority: 0,
            description: "When the definition was created.",
        };
        const COLUMNS: &[Column] = &[NAME, CREATED];
        COLUMNS
    }

    fn row(&self, definition: &CustomResourceDefinition, _: Timestamp) -> Vec<Value> {
        let created = definition.metadata.creation_timestamp.as_ref().map(|t| t.0);
        let seconds = created.map(|t| t.round(jiff::Unit::Second).unwrap_or(t).to_string());
        vec![json!(definition.name()), json!(seconds.unwrap_or_default())]
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

/// Singular and list kind follow from the kind.
pub(super) fn default_names(names: &mut CustomResourceDefinitionNames) {
    if names.kind.is_empty() {
        return;
    }
    fill::text(&mut names.singular, &names.kind.to_lowercase());
    fill::text(&mut names.list_kind, &format!("{}List", names.kind));
}

/// What components ask of definitions.
pub trait CustomResourceDefinitionExt {
    fn is_true(&self, condition: &str) -> bool;
}

impl CustomResourceDefinitionExt for CustomResourceDefinition {
    fn is_true(&self, condition: &str) -> bool {
        let conditions = self.status.iter().flat_map(|s| s.conditions.iter().flatten());
        conditions.into_iter().any(|c| c.type_ == condition && c.status == "True")
    }
}

impl conditions::Condition for CustomResourceDefinitionCondition {
    fn kind(&self) -> &str {
        &self.type_
    }

    fn status(&self) -> &str {
        &self.status
    }

    fn last_transition_time(&mut self) -> &mut Option<Time> {
        &mut self.last_transition_time
    }
}
