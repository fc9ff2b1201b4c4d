//! Which resources a patch or a replacement means.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use super::Res;
use super::resource::{Gvk, Resource, Set};

/// A target: patterns of names and kinds, selectors of labels and annotations.
#[derive(Debug)]
pub struct Target {
    group: Regex,
    version: Regex,
    kind: Regex,
    name: Regex,
    namespace: Regex,
    labels: String,
    annotations: String,
}

/// A pattern of the whole text; an empty one fits everything.
fn pattern(value: &Value, key: &str) -> Res<Regex> {
    let text = value[key].as_str().unwrap_or_default();
    let whole = if text.is_empty() { String::new() } else { format!("^(?:{text})$") };
    Regex::new(&whole).map_err(|_| wrong_pattern(text))
}

/// What is wrong with a pattern, as Go says it.
pub fn wrong_pattern(text: &str) -> String {
    match text.chars().next().filter(|c| "*+?".contains(*c)) {
        Some(first) => format!("error parsing regexp: missing argument to repetition operator: `{first}`"),
        None => format!("error parsing regexp: `{text}`"),
    }
}

impl Target {
    pub fn read(value: &Value) -> Res<Self> {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        Ok(Target {
            group: pattern(value, "group")?,
            version: pattern(value, "version")?,
            kind: pattern(value, "kind")?,
            name: pattern(value, "name")?,
            namespace: pattern(value, "namespace")?,
            labels: text("labelSelector"),
            annotations: text("annotationSelector"),
        })
    }

    fn fits_gvk(&self, gvk: &Gvk) -> bool {
        self.group.is_match(&gvk.group)
            && self.version.is_match(&gvk.version)
            && self.kind.is_match(&gvk.kind)
    }

    fn fits(&self, resource: &Resource) -> Res<bool> {
        let (now, first) = (resource.id(), resource.original());
        let either = |of: &Regex, a: &str, b: &str| of.is_match(a) || of.is_match(b);
        Ok(self.fits_gvk(&now.gvk)
            && either(&self.namespace, first.effective_namespace(), now.effective_namespace())
            && either(&self.name, &first.name, &now.name)
            && selected(&resource.value["metadata"]["labels"], &self.labels)?
            && selected(&resource.value["metadata"]["annotations"], &self.annotations)?)
    }

    /// The places of the resources.
    pub fn places(&self, set: &Set) -> Res<Vec<usize>> {
        let mut found = Vec::new();
        for (at, resource) in set.0.iter().enumerate() {
            if self.fits(resource)? {
                found.push(at);
            }
        }
        Ok(found)
    }
}

/// Whether labels (or annotations) are those that a selector asks for.
pub fn selected(map: &Value, selector: &str) -> Res<bool> {
    if selector.is_empty() {
        return Ok(true);
    }
    let selector = apimachinery::Selector::parse(selector)?;
    let labels: BTreeMap<String, String> = map
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    Ok(selector.matches(&labels))
}
