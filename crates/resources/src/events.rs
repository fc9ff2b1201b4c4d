//! The events.k8s.io group: the core group's events under other field names. They are stored as core events;
//! [`from_core`] and [`to_core`] are the conversion at the edge, and [`validate_create`] and [`validate_update`] the
//! rules that only clients of this group are held to.

use apimachinery::field::{Error, ErrorList, Path, Raw};
use k8s_openapi::api::core::v1::{Event as CoreEvent, EventSeries as CoreSeries, ObjectReference};
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde_json::{Value, json};

use crate::core::event;
use crate::strategy::{Column, NameRule, Part, Resource, Scope};

#[cfg(test)]
mod tests;

/// What selectors of this group call the fields of the stored event.
const LABELS: &[(&str, &str)] = &[
    ("regarding.kind", "involvedObject.kind"),
    ("regarding.namespace", "involvedObject.namespace"),
    ("regarding.name", "involvedObject.name"),
    ("regarding.uid", "involvedObject.uid"),
    ("regarding.apiVersion", "involvedObject.apiVersion"),
    ("regarding.resourceVersion", "involvedObject.resourceVersion"),
    ("regarding.fieldPath", "involvedObject.fieldPath"),
    ("reason", "reason"),
    ("reportingController", "reportingComponent"),
    ("type", "type"),
];

const REPORTER: &str = "reportingController";

/// The group's table.
pub(crate) fn resources() -> Vec<Resource> {
    let row = Resource::new(Scope::Namespaced, "event", Strategy).short(&["ev"]);
    vec![row.as_version::<Event, CoreEvent>(to_core, from_core).labelled(LABELS)]
}

/// The rules of core events, and more.
struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = CoreEvent;

    fn name_rule(&self) -> NameRule {
        event::Strategy.name_rule()
    }

    fn validate(&self, event: &CoreEvent) -> ErrorList {
        let mut errs = event::validate(event, REPORTER);
        errs.extend(validate_create(event));
        errs
    }

    fn validate_update(&self, new: &CoreEvent, old: &CoreEvent, _part: Part) -> ErrorList {
        let mut errs = event::validate(new, REPORTER);
        errs.extend(validate_update(new, old));
        errs
    }

    fn allow_create_on_update(&self) -> bool {
        event::Strategy.allow_create_on_update()
    }

    fn fields(&self, event: &CoreEvent) -> Vec<(&'static str, String)> {
        event::Strategy.fields(event)
    }

    fn field_names(&self) -> &'static [&'static str] {
        event::Strategy.field_names()
    }

    fn columns(&self) -> &'static [Column] {
        event::Strategy.columns()
    }

    fn row(&self, event: &CoreEvent, now: jiff::Timestamp) -> Vec<Value> {
        event::Strategy.row(event, now)
    }
}

/// The same event as this group shows it.
pub fn from_core(event: CoreEvent) -> Event {
    Event {
        action: event.action,
        deprecated_count: event.count,
        deprecated_first_timestamp: event.first_timestamp,
        deprecated_last_timestamp: event.last_timestamp,
        deprecated_source: event.source,
        event_time: event.event_time,
        metadata: event.metadata,
        note: event.message,
        reason: event.reason,
        regarding: Some(event.involved_object),
        related: event.related,
        reporting_controller: event.reporting_component,
        reporting_instance: event.reporting_instance,
        series: event.series.map(|s| EventSeries {
            count: s.count.unwrap_or(0),
            // A series without a last time is not valid here; the epoch is what its absence means.
            last_observed_time: s.last_observed_time.unwrap_or(MicroTime(jiff::Timestamp::UNIX_EPOCH)),
        }),
        type_: event.type_,
    }
}

/// The same event as it is stored.
pub fn to_core(event: Event) -> CoreEvent {
    CoreEvent {
        action: event.action,
        count: event.deprecated_count,
        event_time: event.event_time,
        first_timestamp: event.deprecated_first_timestamp,
        involved_object: event.regarding.unwrap_or_default(),
        last_timestamp: event.deprecated_last_timestamp,
        message: event.note,
        metadata: event.metadata,
        reason: event.reason,
        related: event.related,
        reporting_component: event.reporting_controller,
        reporting_instance: event.reporting_instance,
        series: event
            .series
            .map(|s| CoreSeries { count: Some(s.count), last_observed_time: Some(s.last_observed_time) }),
        source: event.deprecated_source,
        type_: event.type_,
    }
}

/// Beyond the rules of core events: nothing of the old form may be set.
pub fn validate_create(event: &CoreEvent) -> ErrorList {
    const UNSET: &str = "needs to be unset";
    let mut errs = series_errors(event);
    if event.event_time.is_none() {
        errs.push(Error::required(&Path::new("eventTime"), ""));
    }
    match event.type_.as_deref().unwrap_or_default() {
        "Normal" | "Warning" => {}
        other => {
            let detail = format!("has invalid value: {other}");
            errs.push(Error::invalid(&Path::new("type"), "", detail));
        }
    }
    let source = event.source.clone().unwrap_or_default();
    let given = |text: &Option<String>| text.as_deref().is_some_and(|t| !t.is_empty());
    for (field, set) in [
        ("firstTimestamp", event.first_timestamp.is_some()),
        ("lastTimestamp", event.last_timestamp.is_some()),
        ("count", event.count.unwrap_or(0) != 0),
        ("source", given(&source.component) || given(&source.host)),
    ] {
        if set {
            errs.push(Error::invalid(&Path::new(field), "", UNSET));
        }
    }
    errs
}

/// Nothing but the series changes.
pub fn validate_update(new: &CoreEvent, old: &CoreEvent) -> ErrorList {
    let mut errs = if new.series == old.series { ErrorList::new() } else { series_errors(new) };
    let shown = |event: &CoreEvent| {
        [
            ("involvedObject", reference(Some(&event.involved_object))),
            ("reason", text(&event.reason)),
            ("message", text(&event.message)),
            ("source", source(event)),
            ("firstTimestamp", json!(event.first_timestamp).to_string()),
            ("lastTimestamp", json!(event.last_timestamp).to_string()),
            ("count", event.count.unwrap_or(0).to_string()),
            ("type", text(&event.type_)),
            ("eventTime", json!(event.event_time).to_string()),
            ("action", text(&event.action)),
            ("related", reference(event.related.as_ref())),
            (REPORTER, text(&event.reporting_component)),
            ("reportingInstance", text(&event.reporting_instance)),
        ]
    };
    for ((field, new), (_, old)) in shown(new).into_iter().zip(shown(old)) {
        if new != old {
            errs.push(Error::invalid(&Path::new(field), Raw(new), "field is immutable"));
        }
    }
    errs
}

fn text(value: &Option<String>) -> String {
    json!(value.as_deref().unwrap_or_default()).to_string()
}

/// As Go's JSON shows the internal type, in the order of its fields.
fn reference(object: Option<&ObjectReference>) -> String {
    let Some(object) = object else { return "null".into() };
    format!(
        r#"{{"Kind":{},"Namespace":{},"Name":{},"UID":{},"APIVersion":{},"ResourceVersion":{},"FieldPath":{}}}"#,
        text(&object.kind),
        text(&object.namespace),
        text(&object.name),
        text(&object.uid),
        text(&object.api_version),
        text(&object.resource_version),
        text(&object.field_path)
    )
}

fn source(event: &CoreEvent) -> String {
    let source = event.source.clone().unwrap_or_default();
    format!(r#"{{"Component":{},"Host":{}}}"#, text(&source.component), text(&source.host))
}

fn series_errors(event: &CoreEvent) -> ErrorList {
    let mut errs = ErrorList::new();
    let Some(series) = &event.series else { return errs };
    if series.count.unwrap_or(0) < 2 {
        errs.push(Error::invalid(&Path::new("series.count"), "", "should be at least 2"));
    }
    if series.last_observed_time.is_none() {
        errs.push(Error::required(&Path::new("series.lastObservedTime"), ""));
    }
    errs
}
