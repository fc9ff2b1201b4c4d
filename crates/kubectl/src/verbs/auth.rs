//! `auth`: who am I, and what may I do; and roles brought to what files say.

use serde_json::{Value, json};

use crate::change::Change;
use crate::error::{Error, Result};
use crate::session::{Request, Session};
use crate::targets::Query;
use crate::text::columns::Columns;

fn review(session: &Session, kind: &str, group: &str, spec: Value) -> Result<Value> {
    let resource = format!("{}s", kind.to_lowercase());
    let mut body = json!({ "apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {} });
    if !spec.is_null() {
        body["spec"] = spec;
    }
    session.value(&Request::with(http::Method::POST, format!("/apis/{group}/v1/{resource}"), &body))
}

const KNOWN: &[&str] = &[
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "use",
    "bind",
    "impersonate",
    "*",
    "approve",
    "sign",
    "escalate",
    "attest",
    "head",
    "post",
    "put",
    "options",
];

pub fn can_i(session: &Session) -> Result<()> {
    let call = &session.call;
    let (namespace, _) = session.namespace()?;
    let namespace = if call.is("all-namespaces") { String::new() } else { namespace };
    if call.is("list") {
        return list(session, &namespace);
    }
    let usage = || {
        Error::text(
            "you must specify two arguments: verb resource or verb resource/resourceName.\nSee 'kubectl auth can-i -h' for help and examples.",
        )
    };
    let (verb, word, given_name) = match &call.args[..] {
        [verb, word] => (verb, word, ""),
        [verb, word, name] => (verb, word, name.as_str()),
        _ => return Err(usage()),
    };
    let quiet = call.is("quiet");
    let spec = if word.starts_with('/') {
        if !call.text("subresource").is_empty() {
            return Err(Error::text("--subresource can not be used with NonResourceURL"));
        }
        json!({ "nonResourceAttributes": { "verb": verb, "path": word } })
    } else {
        let (resource, name) = word.split_once('/').unwrap_or((word, given_name));
        let found = session.discovery()?.find(session, resource).ok();
        if !quiet && !KNOWN.contains(&verb.as_str()) {
            eprintln!("Warning: verb '{verb}' is not a known verb\n");
        }
        if found.is_none() && resource != "*" && !quiet {
            let (bare, group) = resource.split_once('.').unwrap_or((resource, ""));
            match group {
                "" => eprintln!("Warning: the server doesn't have a resource type '{bare}'\n"),
                group => eprintln!(
                    "Warning: the server doesn't have a resource type '{bare}' in group '{group}'\n"
                ),
            }
        }
        if !quiet && found.as_ref().is_some_and(|r| !r.namespaced) && !call.is("all-namespaces") {
            let r = found.as_ref().map(|r| r.name.clone()).unwrap_or_default();
            let group = found.as_ref().map(|r| r.group.clone()).unwrap_or_default();
            let of = if group.is_empty() { String::new() } else { format!(" in group '{group}'") };
            eprintln!("Warning: resource '{r}' is not namespace scoped{of}\n");
        }
        let (group, plural) = match &found {
            Some(r) => (r.group.clone(), r.name.clone()),
            None => {
                let (bare, group) = resource.split_once('.').unwrap_or((resource, ""));
                (group.to_owned(), bare.to_owned())
            }
        };
        let mut attributes = json!({ "verb": verb, "resource": plural, "namespace": namespace });
        for (field, value) in
            [("group", group.as_str()), ("name", name), ("subresource", call.text("subresource"))]
        {
            if !value.is_empty() {
                attributes[field] = json!(value);
            }
        }
        json!({ "resourceAttributes": attributes })
    };
    let answer = review(session, "SelfSubjectAccessReview", "authorization.k8s.io", spec)?;
    let status = &answer["status"];
    let allowed = status["allowed"] == true;
    if !quiet {
        let mut said = if allowed { "yes" } else { "no" }.to_owned();
        for (field, shown) in [("reason", " - "), ("evaluationError", " - ")] {
            if let Some(text) = status[field].as_str().filter(|t| !t.is_empty() && !allowed) {
                said.push_str(&format!("{shown}{text}"));
            }
        }
        session.println(&said)?;
    }
    if allowed { Ok(()) } else { Err(Error::Silent(1)) }
}

fn list(session: &Session, namespace: &str) -> Result<()> {
    let answer =
        review(session, "SelfSubjectRulesReview", "authorization.k8s.io", json!({ "namespace": namespace }))?;
    let strings = |v: &Value| -> Vec<String> {
        v.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let bracketed = |v: &Value| format!("[{}]", strings(v).join(" "));
    // One line for each resource: rules that name several are taken apart, what is told of the same one is put together.
    let mut lines: Vec<(String, [String; 4])> = Vec::new();
    let mut merged: Vec<((String, String, Vec<String>), Vec<String>)> = Vec::new();
    for rule in answer["status"]["resourceRules"].as_array().into_iter().flatten() {
        for group in strings(&rule["apiGroups"]) {
            for resource in strings(&rule["resources"]) {
                let key = (group.clone(), resource, strings(&rule["resourceNames"]));
                let verbs = strings(&rule["verbs"]);
                match merged.iter_mut().find(|(k, _)| *k == key) {
                    Some((_, have)) => verbs.into_iter().for_each(|v| {
                        if !have.contains(&v) {
                            have.push(v);
                        }
                    }),
                    None => merged.push((key, verbs)),
                }
            }
        }
    }
    for ((group, resource, names), verbs) in merged {
        let (plural, sub) = resource.split_once('/').map_or((resource.as_str(), ""), |(p, s)| (p, s));
        let mut name = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
        if !sub.is_empty() {
            name.push_str(&format!("/{sub}"));
        }
        let (names, verbs) = (names.join(" "), verbs.join(" "));
        let place =
            format!("Verbs:[{verbs}],APIGroups:[{group}],Resources:[{resource}],ResourceNames:[{names}]");
        lines.push((place, [name, "[]".into(), format!("[{names}]"), format!("[{verbs}]")]));
    }
    for rule in answer["status"]["nonResourceRules"].as_array().into_iter().flatten() {
        for url in strings(&rule["nonResourceURLs"]) {
            let verbs = bracketed(&rule["verbs"]);
            let place =
                format!("Verbs:{verbs},APIGroups:[],Resources:[],ResourceNames:[],NonResourceURLs:[{url}]");
            lines.push((place, [String::new(), format!("[{url}]"), "[]".into(), verbs]));
        }
    }
    // In the order of the rules as Go prints them.
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    let mut table = Columns::table();
    if !session.call.is("no-headers") {
        table.push("Resources\tNon-Resource URLs\tResource Names\tVerbs\n");
    }
    lines.iter().for_each(|(_, cells)| table.push(&format!("{}\n", cells.join("\t"))));
    session.print(&table.finish())
}

pub fn whoami(session: &Session) -> Result<()> {
    let mut answer = review(session, "SelfSubjectReview", "authentication.k8s.io", Value::Null)?;
    if let Some(map) = answer.as_object_mut() {
        map.remove("spec");
    }
    if let Some(mut printer) = crate::print::Printer::of(&session.call, false)? {
        printer.typed = true;
        return session.print(&printer.text(&answer)?);
    }
    let user = &answer["status"]["userInfo"];
    let list = |v: &Value| {
        let all: Vec<&str> = v.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        format!("[{}]", all.join(" "))
    };
    let mut table = Columns::table();
    table.push("ATTRIBUTE\tVALUE\n");
    if let Some(name) = user["username"].as_str().filter(|n| !n.is_empty()) {
        table.push(&format!("Username\t{name}\n"));
    }
    if let Some(uid) = user["uid"].as_str().filter(|n| !n.is_empty()) {
        table.push(&format!("UID\t{uid}\n"));
    }
    if user["groups"].is_array() {
        table.push(&format!("Groups\t{}\n", list(&user["groups"])));
    }
    for (key, value) in user["extra"].as_object().into_iter().flatten() {
        table.push(&format!("Extra: {key}\t{}\n", list(value)));
    }
    session.print(&table.finish())
}

/// Brings roles and bindings to what files say: rules and subjects are added, and taken away where that is asked for.
pub fn reconcile(session: &Session) -> Result<()> {
    let call = &session.call;
    let query = Query { latest: false, ..Query::of(session, &[]) };
    if !query.has_files() {
        return Err(Error::text("must specify one of -f and -k"));
    }
    let mut change = Change::new(session, "reconciled")?;
    for work in query.works(session)? {
        let crate::targets::Work::Named { resource, namespace, name, object, source } = work else {
            continue;
        };
        if resource.group != "rbac.authorization.k8s.io" {
            return Err(Error::text(format!(
                "only rbac.authorization.k8s.io/v1 is supported: not {}",
                resource.api_version()
            )));
        }
        let field = if resource.kind.ends_with("Binding") { "subjects" } else { "rules" };
        let prune =
            call.is(if field == "rules" { "remove-extra-permissions" } else { "remove-extra-subjects" });
        let target = crate::targets::Target {
            resource: resource.clone(),
            namespace: namespace.clone(),
            name,
            source,
            object,
        };
        let done = match session.get(&target.path()) {
            Err(e) if e.is_not_found() => match change.dry_run {
                crate::change::DryRun::Client => target.object.clone(),
                _ => change.create(&resource, &namespace, &target.object)?,
            },
            Err(e) => return Err(e),
            Ok(current) => {
                let mut wanted = current.clone();
                let given = target.object[field].as_array().cloned().unwrap_or_default();
                let mut list =
                    if prune { Vec::new() } else { current[field].as_array().cloned().unwrap_or_default() };
                list.extend(
                    given
                        .into_iter()
                        .filter(|g| prune || !current[field].as_array().is_some_and(|c| c.contains(g))),
                );
                wanted[field] = json!(list);
                match wanted == current || change.dry_run == crate::change::DryRun::Client {
                    true => wanted,
                    false => change.update(&target.path(), &wanted)?,
                }
            }
        };
        change.show(&done)?;
    }
    Ok(())
}
