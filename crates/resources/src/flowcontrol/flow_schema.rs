//! Flow schemas: whose requests, for what, go to which priority level, and which of them are one flow.

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::flowcontrol::v1::{
    FlowSchema, FlowSchemaCondition, FlowSchemaSpec, FlowSchemaStatus, NonResourcePolicyRule,
    PolicyRulesWithSubjects, ResourcePolicyRule, ServiceAccountSubject, Subject,
};
use serde_json::{Value, json};

use super::bootstrap::{self, EXEMPT};
use crate::check::{each, known, one, required, shown_list};
use crate::columns::{AGE, NAME, text};
use crate::strategy::{Column, Part, age};
use crate::{conditions, desired, fill};

#[cfg(test)]
mod tests;

/// The condition that says that the schema's priority level is not there.
pub const DANGLING: &str = "Dangling";

const PRECEDENCE_DEFAULT: i32 = 1000;
const PRECEDENCE_MAX: i32 = 10_000;
const VERBS: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

/// The rules of flow schemas.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = FlowSchema;

    fn default(&self, schema: &mut FlowSchema) {
        fill::number(&mut schema.spec.matching_precedence, PRECEDENCE_DEFAULT);
    }

    fn prepare_create(&self, schema: &mut FlowSchema) {
        schema.status = Some(FlowSchemaStatus::default());
        schema.metadata.generation = Some(1);
    }

    fn prepare_update(&self, new: &mut FlowSchema, old: &FlowSchema, part: Part) {
        match part {
            Part::Status => {
                new.spec.clone_from(&old.spec);
                desired::keep_metadata(new, old);
            }
            _ => {
                new.status.clone_from(&old.status);
                desired::bump_generation(new, old, "spec");
            }
        }
    }

    fn reset_fields(&self, part: Part) -> &'static [&'static str] {
        match part {
            Part::Main => &["status"],
            _ => &["spec", "metadata"],
        }
    }

    fn validate(&self, schema: &FlowSchema) -> ErrorList {
        let path = Path::new("spec");
        let mut errs = spec_errors(schema.name(), &schema.spec, &path);
        let fixed = bootstrap::is_mandatory(schema.name())
            && bootstrap::flow_schemas().iter().any(|s| s.name() == schema.name() && !same(s, schema));
        if fixed {
            let why = format!("spec of '{}' must equal the fixed value", schema.name());
            errs.push(Error::invalid(&path, Raw(json!(schema.spec).to_string()), why));
        }
        errs.extend(condition_errors(schema));
        errs
    }

    fn validate_update(&self, new: &FlowSchema, _: &FlowSchema, part: Part) -> ErrorList {
        match part {
            Part::Status => condition_errors(new),
            _ => self.validate(new),
        }
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("PriorityLevel", "Where its requests run."),
            text("MatchingPrecedence", "The schema with the least number is asked first."),
            text("DistinguisherMethod", "Which of its requests are one flow."),
            AGE,
            text("MissingPL", "Whether its priority level is missing."),
        ];
        COLUMNS
    }

    fn row(&self, schema: &FlowSchema, now: Timestamp) -> Vec<Value> {
        let spec = &schema.spec;
        let conditions = schema.status.iter().flat_map(|s| s.conditions.iter().flatten());
        let dangling = conditions.filter(|c| c.type_ == DANGLING).find_map(|c| c.status.as_deref());
        vec![
            json!(schema.name()),
            json!(spec.priority_level_configuration.name),
            json!(spec.matching_precedence.unwrap_or(0)),
            json!(spec.distinguisher_method.as_ref().map_or("<none>", |m| &m.type_)),
            json!(age(&schema.metadata, now)),
            json!(dangling.unwrap_or("?")),
        ]
    }
}

/// Whether the specs say the same.
fn same(a: &FlowSchema, b: &FlowSchema) -> bool {
    !desired::changed(a, b, "spec")
}

impl conditions::Condition for FlowSchemaCondition {
    fn kind(&self) -> &str {
        &self.type_
    }

    fn status(&self) -> &str {
        self.status.as_deref().unwrap_or_default()
    }

    fn last_transition_time(&mut self) -> &mut Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time> {
        &mut self.last_transition_time
    }
}

fn condition_errors(schema: &FlowSchema) -> ErrorList {
    let kinds: Vec<&str> =
        schema.status.iter().flat_map(|s| s.conditions.iter().flatten()).map(|c| &*c.type_).collect();
    super::priority_level::condition_types(&kinds)
}

fn spec_errors(name: &str, spec: &FlowSchemaSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let precedence = spec.matching_precedence.unwrap_or(0);
    let at = path.child("matchingPrecedence");
    if precedence <= 0 {
        errs.push(Error::invalid(&at, precedence, "must be a positive value"));
    }
    if precedence > PRECEDENCE_MAX {
        errs.push(Error::invalid(&at, precedence, format!("must not be greater than {PRECEDENCE_MAX}")));
    }
    if precedence == 1 && name != EXEMPT {
        let why = "only the schema named 'exempt' may have matchingPrecedence 1";
        errs.push(Error::invalid(&at, precedence, why));
    }
    if let Some(method) = &spec.distinguisher_method {
        let path = path.child("distinguisherMethod").child("type");
        errs.extend(known(&path, &method.type_, &["ByNamespace", "ByUser"]));
    }
    let at = path.child("priorityLevelConfiguration").child("name");
    let level = &spec.priority_level_configuration.name;
    match level.is_empty() {
        true => errs.push(Error::required(&at, "must reference a priority level")),
        false => errs.extend(each(&at, level, names::dns1123_subdomain(level))),
    }
    for (i, rule) in spec.rules.iter().flatten().enumerate() {
        errs.extend(rule_errors(rule, &path.child("rules").index(i)));
    }
    errs
}

fn rule_errors(rule: &PolicyRulesWithSubjects, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if rule.subjects.is_empty() {
        errs.push(Error::required(&path.child("subjects"), "subjects must contain at least one value"));
    }
    for (i, subject) in rule.subjects.iter().enumerate() {
        errs.extend(subject_errors(subject, &path.child("subjects").index(i)));
    }
    let resources = rule.resource_rules.as_deref().unwrap_or_default();
    let others = rule.non_resource_rules.as_deref().unwrap_or_default();
    if resources.is_empty() && others.is_empty() {
        let why = "at least one of resourceRules and nonResourceRules has to be non-empty";
        errs.push(Error::required(path, why));
    }
    for (i, rule) in resources.iter().enumerate() {
        errs.extend(resource_errors(rule, &path.child("resourceRules").index(i)));
    }
    for (i, rule) in others.iter().enumerate() {
        errs.extend(url_errors(rule, &path.child("nonResourceRules").index(i)));
    }
    errs
}

fn subject_errors(subject: &Subject, path: &Path) -> ErrorList {
    let name = |field: &str, kind: &str, name: Option<&String>| match name {
        None => {
            let why = format!("{field} is required when subject kind is '{kind}'");
            [Error::required(&path.child(field), why)].into_iter().collect()
        }
        Some(name) => required(&path.child(field).child("name"), name),
    };
    let mut errs = match &*subject.kind {
        "ServiceAccount" => match &subject.service_account {
            None => name("serviceAccount", "ServiceAccount", None),
            Some(account) => account_errors(account, &path.child("serviceAccount")),
        },
        "User" => name("user", "User", subject.user.as_ref().map(|u| &u.name)),
        "Group" => name("group", "Group", subject.group.as_ref().map(|g| &g.name)),
        other => return known(&path.child("kind"), other, &["Group", "ServiceAccount", "User"]),
    };
    let given = [
        ("serviceAccount", "ServiceAccount", subject.service_account.is_some()),
        ("user", "User", subject.user.is_some()),
        ("group", "Group", subject.group.is_some()),
    ];
    for (field, kind, there) in given {
        if there && subject.kind != kind {
            let why = format!("{field} is forbidden when subject kind is not '{kind}'");
            errs.push(Error::forbidden(&path.child(field), why));
        }
    }
    errs
}

fn account_errors(account: &ServiceAccountSubject, path: &Path) -> ErrorList {
    let mut errs = required(&path.child("name"), &account.name);
    if !account.name.is_empty() && account.name != "*" {
        errs.extend(each(&path.child("name"), &account.name, names::dns1123_subdomain(&account.name)));
    }
    let at = path.child("namespace");
    match account.namespace.is_empty() {
        true => errs.push(Error::required(&at, "must specify namespace for service account")),
        false => errs.extend(each(&at, &account.namespace, names::dns1123_label(&account.namespace))),
    }
    errs
}

/// `*` stands alone, or the verbs are known ones.
fn verb_errors(verbs: &[String], path: &Path) -> ErrorList {
    let path = path.child("verbs");
    if verbs.is_empty() {
        return [Error::required(&path, "verbs must contain at least one value")].into_iter().collect();
    }
    let lonely = alone(verbs, &path, "verbs");
    let unknown = !is_wild(verbs) && verbs.iter().any(|v| !VERBS.contains(&v.as_str()));
    match unknown {
        true => [Error::not_supported(&path, shown_list(verbs), VERBS)].into_iter().collect(),
        false => lonely,
    }
}

fn is_wild(list: &[String]) -> bool {
    list.iter().any(|item| item == "*")
}

fn alone(list: &[String], path: &Path, what: &str) -> ErrorList {
    one(list.len() > 1 && is_wild(list), || {
        Error::invalid(path, shown_list(list), format!("if '*' is present, must not specify other {what}"))
    })
}

fn resource_errors(rule: &ResourcePolicyRule, path: &Path) -> ErrorList {
    let mut errs = verb_errors(&rule.verbs, path);
    let lists = [
        ("apiGroups", &rule.api_groups, "api group", "api groups"),
        ("resources", &rule.resources, "resource", "resources"),
    ];
    for (field, list, what, whats) in lists {
        let path = path.child(field);
        if list.is_empty() {
            let why = format!("resource rules must supply at least one {what}");
            errs.push(Error::required(&path, why));
        }
        errs.extend(alone(list, &path, whats));
    }
    let namespaces = rule.namespaces.as_deref().unwrap_or_default();
    let path = path.child("namespaces");
    if namespaces.is_empty() && !rule.cluster_scope.unwrap_or(false) {
        let why = "resource rules that are not cluster scoped must supply at least one namespace";
        errs.push(Error::required(&path, why));
    }
    errs.extend(alone(namespaces, &path, "namespaces"));
    if !is_wild(namespaces) {
        for (i, namespace) in namespaces.iter().enumerate() {
            for why in names::dns1123_label(namespace) {
                let why = format!("each member of this list must be '*' or a DNS-1123 label; {why}");
                errs.push(Error::invalid(&path.index(i), namespace, why));
            }
        }
    }
    errs
}

fn url_errors(rule: &NonResourcePolicyRule, path: &Path) -> ErrorList {
    let mut errs = verb_errors(&rule.verbs, path);
    let urls = &rule.non_resource_urls;
    let path = path.child("nonResourceURLs");
    if urls.is_empty() {
        errs.push(Error::required(&path, "nonResourceURLs must contain at least one value"));
    }
    errs.extend(alone(urls, &path, "non-resource URLs"));
    if !is_wild(urls) {
        for (i, url) in urls.iter().enumerate() {
            if let Some(why) = url_error(url) {
                errs.push(Error::invalid(&path.index(i), url, why));
            }
        }
    }
    errs
}

fn url_error(url: &str) -> Option<&'static str> {
    let stars = url.matches('*').count();
    Some(match url {
        "" => "must not be empty",
        "/" => return None,
        url if !url.starts_with('/') => "must start with slash",
        url if url.contains(' ') => "must not contain white-space",
        url if url.contains("//") => "must not contain double slash",
        url if stars > 1 || stars == 1 && !url.ends_with("/*") => "wildcard can only do suffix matching",
        _ => return None,
    })
}
