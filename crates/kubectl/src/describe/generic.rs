//! Kinds without a teller of their own: field by field.

use serde_json::Value;

use super::{Lines, events, heading, shown};
use crate::error::Result;
use crate::session::Session;
use crate::targets::Target;

pub fn object(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    out.pair(0, "Name", super::text(&target.object["metadata"]["name"]));
    out.pair(0, "Namespace", super::text(&target.object["metadata"]["namespace"]));
    super::labels(out, "", "Labels", &target.object["metadata"]["labels"]);
    super::annotations(out, "", &target.object["metadata"]["annotations"]);
    let _ = heading;
    let mut content = target.object.clone();
    if let Some(metadata) = content["metadata"].as_object_mut() {
        for field in ["managedFields", "name", "namespace", "labels", "annotations"] {
            metadata.remove(field);
        }
    }
    map(out, 0, &content);
    events(session, out, target)
}

fn map(out: &mut Lines, level: usize, content: &Value) {
    for (field, value) in content.as_object().into_iter().flatten() {
        let name = label(field);
        match value {
            Value::Object(_) => {
                out.line(level, format_args!("{name}:"));
                map(out, level + 1, value);
            }
            Value::Array(items) => {
                out.line(level, format_args!("{name}:"));
                for item in items {
                    match item {
                        Value::Object(_) => map(out, level + 1, item),
                        other => out.line(level + 1, shown(other)),
                    }
                }
            }
            other => out.pair(level, &name, shown(other)),
        }
    }
}

/// `API Version` of `apiVersion`.
fn label(field: &str) -> String {
    if field.contains(['/', '.', '-', '_']) {
        return field.to_owned();
    }
    let mut words: Vec<String> = Vec::new();
    let mut previous = 'A';
    for c in field.chars() {
        match words.last_mut() {
            Some(word) if !c.is_uppercase() || previous.is_uppercase() => word.push(c),
            _ => words.push(c.to_string()),
        }
        previous = c;
    }
    let short = ["api", "url", "uid", "oid", "gid"];
    let shape = |w: &String| match short.contains(&w.to_lowercase().as_str()) {
        true => w.to_uppercase(),
        false => crate::text::title(w),
    };
    words.iter().map(shape).collect::<Vec<_>>().join(" ")
}
