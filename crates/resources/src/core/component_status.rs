//! Component statuses: an old way to ask whether the parts of the control plane are well. Computed, never stored.

use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ComponentStatus;
use serde_json::{Value, json};

use crate::columns::{NAME, text};
use crate::strategy::{Column, Resource, Scope};

/// Its row, which no store knows.
pub fn computed() -> Resource {
    Resource::new(Scope::Cluster, "componentstatus", Strategy).short(&["cs"]).verbs(&["get", "list"])
}

/// How they are shown.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = ComponentStatus;

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Status", "Whether the part is well."),
            text("Message", "What it says."),
            text("Error", "What is wrong with it."),
        ];
        COLUMNS
    }

    fn row(&self, status: &ComponentStatus, _: Timestamp) -> Vec<Value> {
        let healthy = status.conditions.iter().flatten().find(|c| c.type_ == "Healthy");
        let told = match healthy.map(|c| &*c.status) {
            Some("True") => "Healthy",
            Some("False") => "Unhealthy",
            _ => "Unknown",
        };
        let of = |text: Option<&String>| json!(text.map_or("", |t| t));
        vec![
            json!(status.name()),
            json!(told),
            of(healthy.and_then(|c| c.message.as_ref())),
            of(healthy.and_then(|c| c.error.as_ref())),
        ]
    }
}
