//! Do some rules give everything that others give?

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::rules::{ALL, list, url_matches};

/// What of `wanted` is not in `owned`, in the smallest pieces. Empty: covered.
pub fn covers(owned: &[PolicyRule], wanted: &[PolicyRule]) -> Vec<PolicyRule> {
    let pieces = wanted.iter().flat_map(break_down);
    pieces.filter(|piece| !owned.iter().any(|rule| rule_covers(rule, piece))).collect()
}

/// One rule for each verb on each resource (and name), and for each verb on each path.
fn break_down(rule: &PolicyRule) -> Vec<PolicyRule> {
    let one = |s: &String| Some(vec![s.clone()]);
    let mut pieces = Vec::new();
    for group in list(&rule.api_groups) {
        for resource in list(&rule.resources) {
            for verb in &rule.verbs {
                let piece = PolicyRule {
                    api_groups: one(group),
                    resources: one(resource),
                    verbs: vec![verb.clone()],
                    ..PolicyRule::default()
                };
                match list(&rule.resource_names) {
                    [] => pieces.push(piece),
                    names => pieces.extend(
                        names.iter().map(|name| PolicyRule { resource_names: one(name), ..piece.clone() }),
                    ),
                }
            }
        }
    }
    for url in list(&rule.non_resource_urls) {
        for verb in &rule.verbs {
            pieces.push(PolicyRule {
                non_resource_urls: one(url),
                verbs: vec![verb.clone()],
                ..PolicyRule::default()
            });
        }
    }
    pieces
}

fn rule_covers(owner: &PolicyRule, piece: &PolicyRule) -> bool {
    let (names, wanted_names) = (list(&owner.resource_names), list(&piece.resource_names));
    has_all(&owner.verbs, &piece.verbs)
        && has_all(list(&owner.api_groups), list(&piece.api_groups))
        && list(&piece.resources).iter().all(|r| has_resource(list(&owner.resources), r))
        && list(&piece.non_resource_urls)
            .iter()
            .all(|url| list(&owner.non_resource_urls).iter().any(|pattern| url_matches(pattern, url)))
        && (names.is_empty() || !wanted_names.is_empty() && wanted_names.iter().all(|n| names.contains(n)))
}

fn has_all(have: &[String], wanted: &[String]) -> bool {
    wanted.iter().all(|w| have.iter().any(|h| h == ALL || h == w))
}

fn has_resource(have: &[String], wanted: &str) -> bool {
    have.iter().any(|h| {
        h == ALL
            || h == wanted
            || wanted
                .split_once('/')
                .is_some_and(|(_, subresource)| h.strip_prefix("*/") == Some(subresource))
    })
}

/// The pieces put together again: rules about one resource (and name) become one with all the verbs.
pub fn compact(rules: &[PolicyRule]) -> Vec<PolicyRule> {
    let mut compacted = Vec::new();
    let mut simple: BTreeMap<(String, String, Option<String>), PolicyRule> = BTreeMap::new();
    for rule in rules {
        match (list(&rule.api_groups), list(&rule.resources), list(&rule.resource_names)) {
            ([group], [resource], names @ ([] | [_])) if list(&rule.non_resource_urls).is_empty() => {
                let key = (group.clone(), resource.clone(), names.first().cloned());
                simple
                    .entry(key)
                    .and_modify(|known| known.verbs.extend_from_slice(&rule.verbs))
                    .or_insert_with(|| rule.clone());
            }
            _ => compacted.push(rule.clone()),
        }
    }
    compacted.extend(simple.into_values());
    compacted
}

/// `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`
pub fn show(rule: &PolicyRule) -> String {
    let quoted = |list: &[String]| list.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(" ");
    let parts = [
        ("APIGroups", list(&rule.api_groups)),
        ("Resources", list(&rule.resources)),
        ("NonResourceURLs", list(&rule.non_resource_urls)),
        ("ResourceNames", list(&rule.resource_names)),
        ("Verbs", &rule.verbs),
    ];
    let shown: Vec<String> = parts
        .iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| format!("{name}:[{}]", quoted(values)))
        .collect();
    format!("{{{}}}", shown.join(", "))
}
