//! Which of a definition's names are accepted: those that no other definition of its group has. Pure.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionCondition, CustomResourceDefinitionNames,
};

use super::{ESTABLISHED, NAMES_ACCEPTED};

/// What the status of a definition is to say of its names.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    pub accepted: CustomResourceDefinitionNames,
    /// `NamesAccepted` and, once that was true, `Established`; without times.
    pub conditions: Vec<CustomResourceDefinitionCondition>,
}

/// Judges `definition` beside `others`, which may contain itself. Names that it has already it keeps; those that another has accepted
/// it does not get, and says so.
pub fn judge(definition: &CustomResourceDefinition, others: &[CustomResourceDefinition]) -> Judged {
    let name = definition.metadata.name.as_ref();
    let group = &definition.spec.group;
    let accepted = others
        .iter()
        .filter(|o| o.metadata.name.as_ref() != name && o.spec.group == *group)
        .filter_map(|o| o.status.as_ref()?.accepted_names.as_ref());
    let (mut resources, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    for names in accepted {
        resources.extend([names.plural.as_str(), names.singular.as_deref().unwrap_or_default()]);
        resources.extend(names.short_names.iter().flatten().map(String::as_str));
        kinds.extend([names.kind.as_str(), names.list_kind.as_deref().unwrap_or_default()]);
    }
    let wanted = &definition.spec.names;
    let had = definition.status.as_ref().and_then(|s| s.accepted_names.clone()).unwrap_or_default();
    let mut refused: Vec<(&str, String)> = Vec::new();
    let mut choose = |taken: &BTreeSet<&str>, wanted: &str, had: String, reason: &'static str| {
        if wanted == had || !taken.contains(wanted) {
            return wanted.to_owned();
        }
        refused.push((reason, format!("{wanted:?} is already in use")));
        had
    };
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    let plural = choose(&resources, &wanted.plural, had.plural.clone(), "PluralConflict");
    let singular = choose(&resources, &text(&wanted.singular), text(&had.singular), "SingularConflict");
    let kind = choose(&kinds, &wanted.kind, had.kind.clone(), "KindConflict");
    let list_kind = choose(&kinds, &text(&wanted.list_kind), text(&had.list_kind), "ListKindConflict");
    let shorts = wanted.short_names.iter().flatten();
    let in_use: Vec<String> = shorts
        .filter(|s| resources.contains(s.as_str()) && !had.short_names.iter().flatten().any(|h| h == *s))
        .map(|s| format!("{s:?} is already in use"))
        .collect();
    let short_names = if in_use.is_empty() { wanted.short_names.clone() } else { had.short_names.clone() };
    if !in_use.is_empty() {
        refused.push(("ShortNamesConflict", in_use.join(", ")));
    }
    let filled = |t: String| Some(t).filter(|t| !t.is_empty());
    let accepted = CustomResourceDefinitionNames {
        plural,
        singular: filled(singular),
        kind,
        list_kind: filled(list_kind),
        short_names,
        categories: wanted.categories.clone(),
    };
    Judged { conditions: conditions(definition, &refused), accepted }
}

fn conditions(
    definition: &CustomResourceDefinition,
    refused: &[(&str, String)],
) -> Vec<CustomResourceDefinitionCondition> {
    let condition =
        |kind: &str, status: bool, reason: &str, message: &str| CustomResourceDefinitionCondition {
            type_: kind.into(),
            status: if status { "True" } else { "False" }.into(),
            reason: Some(reason.into()),
            message: Some(message.into()),
            last_transition_time: None,
            observed_generation: definition.metadata.generation,
        };
    let names = match refused.last() {
        None => condition(NAMES_ACCEPTED, true, "NoConflicts", "no conflicts found"),
        Some((reason, message)) => condition(NAMES_ACCEPTED, false, reason, message),
    };
    // Once established it stays that: objects may be there.
    use super::CustomResourceDefinitionExt as _;
    let established = match refused.is_empty() || definition.is_true(ESTABLISHED) {
        true => condition(ESTABLISHED, true, "InitialNamesAccepted", "the initial names have been accepted"),
        false => condition(ESTABLISHED, false, "NotAccepted", "not all names are accepted"),
    };
    vec![names, established]
}
