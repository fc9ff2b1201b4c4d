//! Events of the core group; `events.k8s.io` shows the same objects in another form: see [`crate::events`].

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use apimachinery::raw::Raw;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use serde_json::{Value, json};

use crate::columns::{NAME, since, since_micro, text, wide};
use crate::strategy::{Column, NameRule};

#[cfg(test)]
mod tests;

/// The rules of events.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = Event;

    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn validate(&self, event: &Event) -> ErrorList {
        validate(event, "reportingComponent")
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn fields(&self, event: &Event) -> Vec<(&'static str, String)> {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let about = &event.involved_object;
        let component = text(&event.source.as_ref().and_then(|s| s.component.clone()));
        let reporter = text(&event.reporting_component);
        let source = if component.is_empty() { reporter.clone() } else { component };
        vec![
            ("involvedObject.kind", text(&about.kind)),
            ("involvedObject.namespace", text(&about.namespace)),
            ("involvedObject.name", text(&about.name)),
            ("involvedObject.uid", text(&about.uid)),
            ("involvedObject.apiVersion", text(&about.api_version)),
            ("involvedObject.resourceVersion", text(&about.resource_version)),
            ("involvedObject.fieldPath", text(&about.field_path)),
            ("reason", text(&event.reason)),
            ("reportingComponent", reporter),
            ("source", source),
            ("type", text(&event.type_)),
        ]
    }

    fn stored_fields(&self, json: Raw<'_>) -> Option<Vec<(&'static str, String)>> {
        let about = json.get("involvedObject").unwrap_or(Raw::new("{}"));
        let component = json.text_at(&["source", "component"]);
        let reporter = json.text_at(&["reportingComponent"]);
        let source = if component.is_empty() { reporter.clone() } else { component };
        Some(vec![
            ("involvedObject.kind", about.text_at(&["kind"])),
            ("involvedObject.namespace", about.text_at(&["namespace"])),
            ("involvedObject.name", about.text_at(&["name"])),
            ("involvedObject.uid", about.text_at(&["uid"])),
            ("involvedObject.apiVersion", about.text_at(&["apiVersion"])),
            ("involvedObject.resourceVersion", about.text_at(&["resourceVersion"])),
            ("involvedObject.fieldPath", about.text_at(&["fieldPath"])),
            ("reason", json.text_at(&["reason"])),
            ("reportingComponent", reporter),
            ("source", source),
            ("type", json.text_at(&["type"])),
        ])
    }

    fn field_names(&self) -> &'static [&'static str] {
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ]
    }

    fn columns(&self) -> &'static [Column] {
        const NAME_WIDE: Column = Column { priority: 1, ..NAME };
        const COLUMNS: &[Column] = &[
            text("Last Seen", "The time at which the most recent occurrence was recorded."),
            text("Type", "Type of this event (Normal, Warning), new types could be added in the future."),
            text("Reason", "Short, machine understandable string that gives the reason for the event."),
            text("Object", "The object this event is about."),
            wide("Subobject", "Which part of the object this event is about."),
            wide("Source", "The component reporting this event."),
            text("Message", "A human-readable description of the event."),
            wide("First Seen", "The time at which the event was first recorded."),
            wide("Count", "The number of times this event has occurred."),
            NAME_WIDE,
        ];
        COLUMNS
    }

    fn row(&self, event: &Event, now: Timestamp) -> Vec<Value> {
        row(event, now)
    }
}

fn row(event: &Event, now: Timestamp) -> Vec<Value> {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let first = match &event.first_timestamp {
        Some(time) => since(Some(time), now),
        None => since_micro(event.event_time.as_ref(), now),
    };
    let (last, count) = match &event.series {
        Some(series) => (since_micro(series.last_observed_time.as_ref(), now), series.count.unwrap_or(0)),
        None => {
            let last = event.last_timestamp.as_ref().map_or_else(|| first.clone(), |t| since(Some(t), now));
            // An event of the new sort that happened once has no count.
            (last, event.count.filter(|c| *c != 0).unwrap_or(1))
        }
    };
    let kind = text(&event.involved_object.kind).to_lowercase();
    let object = match text(&event.involved_object.name) {
        name if name.is_empty() => kind,
        name => format!("{kind}/{name}"),
    };
    vec![
        json!(last),
        json!(text(&event.type_)),
        json!(text(&event.reason)),
        json!(object),
        json!(text(&event.involved_object.field_path)),
        json!(source(event)),
        json!(text(&event.message).trim()),
        json!(first),
        json!(count),
        json!(event.name()),
    ]
}

/// Component and host, from whichever pair of fields has them.
fn source(event: &Event) -> String {
    let source = event.source.clone().unwrap_or_default();
    let pick = |a: Option<String>, b: &Option<String>| {
        a.filter(|t| !t.is_empty()).or_else(|| b.clone().filter(|t| !t.is_empty()))
    };
    let component = pick(source.component, &event.reporting_component).unwrap_or_default();
    match pick(source.host, &event.reporting_instance) {
        Some(host) => format!("{component}, {host}"),
        None => component,
    }
}

/// The rules of every event; its reporter is called otherwise in each version.
pub(crate) fn validate(event: &Event, reporter_field: &str) -> ErrorList {
    let mut errs = ErrorList::new();
    let namespace = event.namespace();
    let about = event.involved_object.namespace.as_deref().unwrap_or_default();
    // Cluster-scoped objects have their events in the default namespace.
    let agrees = if about.is_empty() { matches!(namespace, "" | "default") } else { namespace == about };
    if event.event_time.is_none() {
        if !agrees {
            errs.push(Error::invalid(
                &Path::new("involvedObject").child("namespace"),
                about,
                "does not match event.namespace",
            ));
        }
    } else {
        errs.extend(validate_new(event, about, reporter_field));
    }
    for message in names::dns1123_subdomain(namespace) {
        errs.push(Error::invalid(&Path::new("namespace"), namespace, message));
    }
    errs
}

/// Events with an eventTime say who reports what he does and why.
fn validate_new(event: &Event, about: &str, reporter_field: &str) -> ErrorList {
    const MAX: usize = 128;
    const MESSAGE_MAX: usize = 1024;
    let mut errs = ErrorList::new();
    if about.is_empty() && !matches!(event.namespace(), "default" | "kube-system") {
        errs.push(Error::invalid(
            &Path::new("involvedObject").child("namespace"),
            about,
            "does not match event.namespace",
        ));
    }
    let reporter = event.reporting_component.as_deref().unwrap_or_default();
    let path = Path::new(reporter_field);
    if reporter.is_empty() {
        errs.push(Error::required(&path, ""));
    }
    for message in names::qualified_name(reporter) {
        errs.push(Error::invalid(&path, reporter, message));
    }
    let limited = [
        ("reportingInstance", &event.reporting_instance),
        ("action", &event.action),
        ("reason", &event.reason),
    ];
    for (name, value) in limited {
        let length = value.as_ref().map_or(0, |v| v.len());
        if length == 0 {
            errs.push(Error::required(&Path::new(name), ""));
        } else if length > MAX {
            errs.push(too_long(name, MAX));
        }
    }
    if event.message.as_ref().is_some_and(|m| m.len() > MESSAGE_MAX) {
        errs.push(too_long("message", MESSAGE_MAX));
    }
    errs
}

fn too_long(field: &str, max: usize) -> Error {
    Error::invalid(&Path::new(field), "", format!("can have at most {max} characters"))
}
