//! Label and field selectors of a request as a filter on the cache.

use std::sync::Arc;

use apimachinery::Status;
use apimachinery::selector::{FieldSelector, Operator, Selector};
use cache::{Filter, Object};
use resources::Resource;

use crate::options::Selection;
use crate::registry::Target;

/// The filter of a list or watch; 400 for selectors that cannot be.
pub(crate) fn filter(target: &Target<'_>, selection: &Selection) -> Result<Filter, Status> {
    let labels = Selector::parse(&selection.label_selector).map_err(Status::bad_request)?;
    let fields = FieldSelector::parse(&selection.field_selector).map_err(Status::bad_request)?;
    for requirement in fields.requirements() {
        check_field(target.resource, &requirement.field)?;
    }
    let fields = as_stored(target.resource, fields);
    let trivial = labels.is_empty() && fields.is_empty();
    let namespace = match (target.namespace, fields.requires_exact("metadata.namespace")) {
        ("", Some(namespace)) => Some(namespace),
        ("", None) => None,
        (namespace, _) => Some(namespace),
    };
    let name = match (target.name, fields.requires_exact("metadata.name")) {
        ("", name) => name,
        (name, _) => Some(name),
    };
    let indexed = target.strategy().field_names().iter().find_map(|field| {
        let value = fields.requires_exact(field).filter(|v| !v.is_empty())?;
        Some((*field, Arc::from(value)))
    });
    let (namespace, name) = (namespace.map(Arc::from), name.map(Arc::from));
    let exact = labels.requirements().iter().filter_map(|r| match (r.operator(), r.values()) {
        (Operator::Equals | Operator::DoubleEquals | Operator::In, [value]) => {
            Some((Arc::from(r.key()), Arc::from(value.as_str())))
        }
        _ => None,
    });
    let exact = exact.collect();
    let matches = move |object: &Object| {
        labels.matches(&object.meta) && fields.matches(|field| Some(object.field(field).unwrap_or_default()))
    };
    let predicate = (!trivial).then(|| Arc::new(matches) as _);
    Ok(Filter { namespace, name, index: indexed, labels: exact, predicate })
}

/// Whether anything but namespace and name selects.
pub(crate) fn selects(selection: &Selection) -> bool {
    !selection.label_selector.is_empty() || !selection.field_selector.is_empty()
}

/// The selector in the names of the version that is stored.
fn as_stored(resource: &Resource, fields: FieldSelector) -> FieldSelector {
    if resource.labels.is_empty() {
        return fields;
    }
    let renamed = fields.requirements().iter().cloned().map(|mut requirement| {
        if let Some((_, stored)) = resource.labels.iter().find(|(own, _)| *own == requirement.field) {
            requirement.field = (*stored).to_owned();
        }
        requirement
    });
    FieldSelector::new(renamed.collect())
}

fn check_field(resource: &Resource, field: &str) -> Result<(), Status> {
    let known = resource.strategy.field_names();
    let own = match resource.labels {
        [] => known.contains(&field),
        labels => labels.iter().any(|(own, _)| *own == field),
    };
    if own || matches!(field, "metadata.name" | "metadata.namespace") {
        return Ok(());
    }
    Err(Status::bad_request(match known {
        [] => {
            format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
        }
        _ => format!("field label not supported: {field}"),
    }))
}
