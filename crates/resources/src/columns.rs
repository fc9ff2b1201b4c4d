//! Pieces that the columns of many kinds share.

use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use serde_json::{Value, json};

use crate::strategy::{Column, age, human_duration};

pub const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    priority: 0,
    description: "Name must be unique within a namespace.",
};
pub const AGE: Column = text("Age", "Time since creation.");
pub const CONTAINERS: Column = wide("Containers", "Names of each container in the template.");
pub const IMAGES: Column = wide("Images", "Images referenced by each container in the template.");

/// A column of strings that is always shown.
pub const fn text(name: &'static str, description: &'static str) -> Column {
    Column { name, kind: "string", format: "", priority: 0, description }
}

/// A column of numbers that is always shown.
pub const fn number(name: &'static str, description: &'static str) -> Column {
    Column { name, kind: "integer", format: "", priority: 0, description }
}

/// A column of strings for `-o wide`.
pub const fn wide(name: &'static str, description: &'static str) -> Column {
    Column { name, kind: "string", format: "", priority: 1, description }
}

/// How long ago, `<unknown>` without a time.
pub fn since(time: Option<&Time>, now: Timestamp) -> String {
    elapsed(time.map(|t| t.0), now)
}

/// [`since`] for the finer time.
pub fn since_micro(time: Option<&MicroTime>, now: Timestamp) -> String {
    elapsed(time.map(|t| t.0), now)
}

fn elapsed(time: Option<Timestamp>, now: Timestamp) -> String {
    time.map_or_else(|| "<unknown>".into(), |t| human_duration(now.duration_since(t).as_secs()))
}

/// The text, or `<none>` when there is none.
pub fn or_none(text: Option<&str>) -> &str {
    match text {
        Some(text) if !text.is_empty() => text,
        _ => "<none>",
    }
}

/// Names and images of a template's containers, each joined by commas.
pub fn containers(template: Option<&PodTemplateSpec>) -> (String, String) {
    let containers = template.and_then(|t| t.spec.as_ref()).map_or(&[][..], |s| &s.containers);
    let names: Vec<_> = containers.iter().map(|c| c.name.as_str()).collect();
    let images: Vec<_> = containers.iter().map(|c| c.image.as_deref().unwrap_or_default()).collect();
    (names.join(","), images.join(","))
}

/// The columns of whatever keeps a number of equal pods.
pub const REPLICAS: &[Column] = &[
    NAME,
    number("Desired", "How many pods are wanted."),
    number("Current", "How many pods there are."),
    number("Ready", "How many pods are ready."),
    AGE,
    CONTAINERS,
    IMAGES,
    wide("Selector", "Which pods are counted."),
];

/// A row for [`REPLICAS`]: `counts` are pods wanted, there and ready.
pub fn replicas<K: Kind>(
    object: &K,
    now: Timestamp,
    template: Option<&PodTemplateSpec>,
    selector: String,
    counts: [i32; 3],
) -> Vec<Value> {
    let [desired, current, ready] = counts;
    let (names, images) = containers(template);
    vec![
        json!(object.name()),
        json!(desired),
        json!(current),
        json!(ready),
        json!(age(object.meta(), now)),
        json!(names),
        json!(images),
        json!(selector),
    ]
}

/// At most three of `items`, then how many more; `<unset>` for none.
pub fn first_three(items: Vec<String>) -> String {
    const MAX: usize = 3;
    match items.len() {
        0 => "<unset>".into(),
        n if n > MAX => format!("{} + {} more...", items[..MAX].join(","), n - MAX),
        _ => items.join(","),
    }
}
