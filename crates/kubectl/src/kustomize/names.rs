//! References by name follow what was renamed; variables are filled in. Start at [`references`].

use std::collections::BTreeSet;

use serde_json::Value;

use super::Res;
use super::paths::{self, Make, Spec};
use super::resource::{Gvk, Id, Resource, Set};
use super::specs::{Reference, Specs};

/// Changes every field that holds the name of a resource that has another name now.
pub fn references(set: &mut Set, specs: &Specs) -> Res<()> {
    for at in 0..set.0.len() {
        let original = set.0[at].original();
        let mut value = set.0[at].value.clone();
        for Reference { target, referrers } in &specs.references {
            let fields = referrers.iter().filter(|spec| original.gvk.is_selected(&spec.gvk));
            for spec in fields.filter(|spec| paths::has(&value, &spec.parts())).collect::<Vec<_>>() {
                let filter = Filter::new(&set.0, at, target, &spec.path);
                let path = spec.parts();
                paths::walk(&mut value, &path, Make::Nothing, &mut |field| filter.set(field)).map_err(
                    |why| {
                        format!(
                            "updating name reference in '{}' field of '{}': {why}",
                            spec.path,
                            set.0[at].id()
                        )
                    },
                )?;
            }
        }
        set.0[at].value = value;
    }
    Ok(())
}

/// One field of one resource, and those that it may refer to.
struct Filter<'r> {
    referrer: &'r Resource,
    id: Id,
    target: &'r Gvk,
    path: &'r str,
    candidates: Vec<&'r Resource>,
}

fn was_named(resource: &Resource, name: &str) -> bool {
    resource.previous.iter().any(|id| id.name == name)
}

fn was_of(resource: &Resource, gvk: &Gvk) -> bool {
    resource.previous.iter().any(|id| id.gvk.is_selected(gvk))
}

impl<'r> Filter<'r> {
    fn new(all: &'r [Resource], at: usize, target: &'r Gvk, path: &'r str) -> Self {
        let referrer = &all[at];
        let id = referrer.id();
        let subjects: BTreeSet<&str> = match id.gvk.kind.as_str() {
            "RoleBinding" => referrer.value["subjects"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|s| s["kind"] == "ServiceAccount")
                .filter_map(|s| s["namespace"].as_str())
                .collect(),
            _ => BTreeSet::new(),
        };
        let near = |r: &&Resource| {
            let other = r.id();
            id.gvk.is_cluster_scoped()
                || other.gvk.is_cluster_scoped()
                || other.same_namespace(&id)
                || subjects.contains(r.namespace())
                || r.previous.iter().any(|p| subjects.contains(p.namespace.as_str()))
        };
        let candidates = all.iter().filter(near).collect();
        Filter { referrer, id: id.clone(), target, path, candidates }
    }

    fn set(&self, value: &mut Value) -> Res<()> {
        match value {
            Value::Null => Ok(()),
            Value::Array(list) => list.iter_mut().try_for_each(|item| self.set(item)),
            Value::Object(map) => {
                let Some(name) = map.get("name").and_then(Value::as_str) else {
                    return Err("path config error; no 'name' field in node".into());
                };
                let candidates = match map.get("namespace").and_then(Value::as_str) {
                    Some(namespace) => self.of_namespace(namespace),
                    None => self.candidates.clone(),
                };
                let Some(found) = self.select(name, candidates, true)? else { return Ok(()) };
                map.insert("name".into(), found.name().into());
                if !found.namespace().is_empty() {
                    map.insert("namespace".into(), found.namespace().into());
                }
                Ok(())
            }
            Value::String(name) => {
                if let Some(found) = self.select(name, self.candidates.clone(), false)? {
                    *value = found.name().into();
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Those that were in the namespace at first; if none was, those that are.
    fn of_namespace(&self, namespace: &str) -> Vec<&'r Resource> {
        let wanted = if namespace.is_empty() { "default" } else { namespace };
        let by = |id: &dyn Fn(&Resource) -> Id| -> Vec<&'r Resource> {
            let fits = |r: &&&'r Resource| id(r).effective_namespace() == wanted;
            self.candidates.iter().filter(fits).copied().collect()
        };
        let first = by(&Resource::original);
        if first.is_empty() { by(&Resource::id) } else { first }
    }

    fn select(&self, name: &str, mut from: Vec<&'r Resource>, whole: bool) -> Res<Option<&'r Resource>> {
        from.retain(|r| was_named(r, name) && was_of(r, self.target));
        if self.path.ends_with("roleRef/name")
            && let (Some(group), Some(kind)) = (
                self.referrer.value["roleRef"]["apiGroup"].as_str(),
                self.referrer.value["roleRef"]["kind"].as_str(),
            )
        {
            let role = Gvk { group: group.into(), version: String::new(), kind: kind.into() };
            from.retain(|r| was_of(r, &role));
        }
        if !self.id.gvk.is_cluster_scoped() {
            from.retain(|r| {
                let id = r.id();
                id.gvk.is_cluster_scoped() || r.kind() == "ServiceAccount" || id.same_namespace(&self.id)
            });
        }
        if let [one] = from.as_slice() {
            return Ok(Some(one));
        }
        from.retain(|r| {
            same_end(&r.prefixes, &self.referrer.prefixes) && same_end(&r.suffixes, &self.referrer.suffixes)
        });
        let Some(first) = from.first().copied() else { return Ok(None) };
        let same = |r: &&Resource| r.name() == first.name() && (!whole || r.namespace() == first.namespace());
        if from.iter().all(same) {
            return Ok(Some(first));
        }
        let ids: Vec<String> = from.iter().map(|r| r.id().to_string()).collect();
        let mut details =
            format!("\n**** Too many possible referral targets to referrer:\n{}\n", self.referrer.yaml());
        for (at, resource) in from.iter().enumerate() {
            details.push_str(&format!("--- possible referral {at}:\n{}\n", resource.yaml()));
        }
        Err(format!(" found multiple possible referrals: {}\n{details}", ids.join(", ")))
    }
}

/// Whether the shorter list ends the longer one.
fn same_end(a: &[String], b: &[String]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short.is_empty() { long.is_empty() } else { long.ends_with(short) }
}

/// A variable of a kustomization.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    pub name: String,
    pub of: Id,
    pub field: String,
}

impl Variable {
    pub fn read(value: &Value) -> Res<Self> {
        let name = value["name"].as_str().unwrap_or_default().to_owned();
        let target = &value["objref"];
        let text = |key: &str| target[key].as_str().unwrap_or_default();
        let gvk = Gvk::parse(text("apiVersion"), text("kind"));
        let field =
            value["fieldref"]["fieldPath"].as_str().filter(|f| !f.is_empty()).unwrap_or("metadata.name");
        let of = Id { gvk, name: text("name").into(), namespace: text("namespace").into() };
        Ok(Variable { name, of, field: field.to_owned() })
    }

    /// Marks the resource that the variable is read from.
    pub fn mark(&self, set: &mut Set) -> Res<()> {
        let fits = |id: &Id| {
            let namespace = self.of.namespace.is_empty() || id.same_namespace(&self.of);
            id.name == self.of.name && id.gvk.is_selected(&self.of.gvk) && namespace
        };
        let mut found: Vec<&mut Resource> = set.0.iter_mut().filter(|r| r.was(fits)).collect();
        match found.as_mut_slice() {
            [] => Ok(()),
            [one] => {
                one.variables.push(self.name.clone());
                Ok(())
            }
            several => Err(format!(
                "found {} resId matches for var {} (unable to disambiguate)",
                several.len(),
                self.name
            )),
        }
    }
}

/// Fills in `$(NAME)`. Names that were never used are returned.
pub fn variables(set: &mut Set, variables: &[Variable], specs: &[Spec]) -> Res<Vec<String>> {
    let mut values: Vec<(String, Value)> = Vec::new();
    for variable in variables {
        let from = set.0.iter().find(|r| r.variables.contains(&variable.name));
        let Some(from) = from else {
            return Err(format!(
                "var '{{{} {} {{{}}}}}' cannot be mapped to a field in the set of known resources",
                variable.name, variable.of.gvk, variable.field
            ));
        };
        let mut at = &from.value;
        for part in variable.field.split('.') {
            let (name, index) = match part.split_once('[') {
                Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
                None => (part, None),
            };
            at = &at[name];
            if let Some(index) = index {
                at = &at[index];
            }
        }
        if at.is_null() {
            return Err(format!(
                "field specified in var '{} ~ {} ~ {}' not found in corresponding resource",
                variable.name, variable.of, variable.field
            ));
        }
        values.push((variable.name.clone(), at.clone()));
    }
    let mut used = BTreeSet::new();
    for resource in &mut set.0 {
        for spec in specs {
            paths::change(&mut resource.value, spec, Make::Nothing, &mut |value| {
                fill(value, &values, &mut used);
                Ok(())
            })?;
        }
    }
    Ok(variables.iter().map(|v| &v.name).filter(|name| !used.contains(*name)).cloned().collect())
}

fn fill(value: &mut Value, values: &[(String, Value)], used: &mut BTreeSet<String>) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|item| fill(item, values, used)),
        Value::Object(map) => map.values_mut().for_each(|item| fill(item, values, used)),
        Value::String(text) => {
            // A value that is nothing but a variable takes its type, too.
            let whole = text.strip_prefix("$(").and_then(|t| t.strip_suffix(')'));
            if let Some((name, found)) = values.iter().find(|(name, _)| Some(name.as_str()) == whole) {
                used.insert(name.clone());
                *value = found.clone();
            } else {
                *text = expanded(text, values, used);
            }
        }
        _ => {}
    }
}

/// `$(NAME)` where it is known; `$$` is one that begins nothing.
fn expanded(text: &str, values: &[(String, Value)], used: &mut BTreeSet<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(')').filter(|_| rest.starts_with("$("));
        if let Some(after) = rest.strip_prefix("$$") {
            out.push('$');
            rest = after;
        } else if let Some(end) = end {
            let name = &rest[2..end];
            match values.iter().find(|(known, _)| known == name) {
                Some((_, Value::String(value))) => out.push_str(value),
                Some((_, other)) => out.push_str(&other.to_string()),
                None => out.push_str(&rest[..=end]),
            }
            if values.iter().any(|(known, _)| known == name) {
                used.insert(name.to_owned());
            }
            rest = &rest[end + 1..];
        } else {
            out.push('$');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}
