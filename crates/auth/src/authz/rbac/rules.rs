//! Does a rule allow a request?

use k8s_openapi::api::rbac::v1::PolicyRule;

use crate::authz::Attributes;

/// Means all: verbs, groups, resources, paths.
pub const ALL: &str = "*";

/// True when one of the rules allows the request.
pub fn allow<'r>(attributes: &Attributes, rules: impl IntoIterator<Item = &'r PolicyRule>) -> bool {
    let combined = match attributes.subresource.as_str() {
        "" => attributes.resource.clone(),
        subresource => format!("{}/{subresource}", attributes.resource),
    };
    rules.into_iter().any(|rule| allows(attributes, &combined, rule))
}

fn allows(a: &Attributes, combined: &str, rule: &PolicyRule) -> bool {
    if !any(&rule.verbs, &a.verb) {
        return false;
    }
    if !a.is_resource() {
        return list(&rule.non_resource_urls).iter().any(|pattern| url_matches(pattern, &a.path));
    }
    any(list(&rule.api_groups), &a.group)
        && list(&rule.resources).iter().any(|r| resource_matches(r, combined, &a.subresource))
        && (list(&rule.resource_names).is_empty() || list(&rule.resource_names).contains(&a.name))
}

fn any(have: &[String], wanted: &str) -> bool {
    have.iter().any(|h| h == ALL || h == wanted)
}

/// `combined` is `pods` or `pods/status`; `*/status` is the status of everything.
fn resource_matches(rule: &str, combined: &str, subresource: &str) -> bool {
    rule == ALL
        || rule == combined
        || !subresource.is_empty() && rule.strip_prefix("*/").is_some_and(|s| s == subresource)
}

/// `*` at the end stands for anything.
pub(super) fn url_matches(pattern: &str, path: &str) -> bool {
    pattern == ALL
        || pattern == path
        || pattern.ends_with('*') && path.starts_with(pattern.trim_end_matches('*'))
}

/// An absent list is an empty one.
pub(crate) fn list(list: &Option<Vec<String>>) -> &[String] {
    list.as_deref().unwrap_or_default()
}
