//! `set`: images, environment, resources and the like of workloads; selectors, accounts, subjects.

use serde_json::{Map, Value, json};

use crate::change::{Change, DryRun, patch_type};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::strategic;
use crate::targets::{Query, Target};
use crate::verbs::create::outcome;

fn no_template(target: &Target) -> Error {
    Error::text(format!(
        "!the object is not a pod or does not have a pod template: *{}.{}",
        target.resource.version, target.resource.kind
    ))
}

/// Where an object keeps its pod.
fn pod_spec<'v>(target: &Target, object: &'v mut Value) -> Option<&'v mut Value> {
    match target.resource.kind.as_str() {
        "Pod" => object.get_mut("spec"),
        "ReplicationController" | "Deployment" | "DaemonSet" | "ReplicaSet" | "StatefulSet" | "Job" => {
            object.get_mut("spec")?.get_mut("template")?.get_mut("spec")
        }
        "CronJob" => object
            .get_mut("spec")?
            .get_mut("jobTemplate")?
            .get_mut("spec")?
            .get_mut("template")?
            .get_mut("spec"),
        _ => None,
    }
}

fn query(session: &Session, args: &[String]) -> Query {
    let call = &session.call;
    let mut query = Query::of(session, args);
    query.only_local = call.is("local");
    query.latest = !call.is("local");
    query
}

/// Changes each object and sends the difference.
fn change_each(
    session: &Session,
    operation: &str,
    query: &Query,
    edit: &mut dyn FnMut(&Target, &mut Value) -> Result<()>,
) -> Result<()> {
    let call = &session.call;
    let (targets, mut failed) = query.targets(session)?;
    let mut change = Change::new(session, operation)?.typed();
    for target in targets {
        let mut wanted = target.object.clone();
        if let Err(e) = edit(&target, &mut wanted) {
            failed.push(match e {
                Error::Text(why) if why.starts_with('!') => {
                    let of = if call.is("local") {
                        target.resource.prefix()
                    } else {
                        target.resource.name.clone()
                    };
                    Error::text(format!("{of}/{} {}", target.name, &why[1..]))
                }
                e => e,
            });
            continue;
        }
        if change.dry_run == DryRun::Client || call.is("local") {
            change.show(&wanted)?;
            continue;
        }
        let r = &target.resource;
        let patch = strategic::two_way(&target.object, &wanted, facts::kind(&r.group, &r.version, &r.kind));
        // An account is sent also where it is there.
        if patch.as_object().is_some_and(Map::is_empty) && operation != "serviceaccount updated" {
            continue;
        }
        match change.patch(&target.path(), patch_type(r), &patch) {
            Ok(done) => change.show(&done)?,
            Err(e) => failed.push(match e {
                Error::Status(status) if operation != "selector updated" => Error::text(format!(
                    "failed to patch {} update to pod template: {}",
                    operation.split(' ').next().unwrap_or_default(),
                    status.message
                )),
                e => e,
            }),
        }
    }
    outcome(failed)
}

/// Whether a name is of a pattern with `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => {
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        }
    }
}

fn pairs_of(args: &[String]) -> (Vec<String>, Vec<String>) {
    let first = args.iter().position(|a| a.contains('=')).unwrap_or(args.len());
    (args[..first].to_vec(), args[first..].to_vec())
}

pub fn image(session: &Session) -> Result<()> {
    let call = &session.call;
    let (objects, pairs) = pairs_of(&call.args);
    let query = query(session, &objects);
    if objects.is_empty() && !query.has_files() {
        return Err(Error::text(crate::targets::NOTHING));
    }
    let mut images: Vec<(String, String)> = Vec::new();
    for pair in &pairs {
        match pair.split_once('=') {
            Some((name, image)) => images.push((name.to_owned(), image.to_owned())),
            None => return Err(Error::text("all resources must be specified before image changes")),
        }
    }
    if images.is_empty() {
        return Err(Error::text("at least one image update is required"));
    }
    if images.len() > 1 && images.iter().any(|(name, _)| name == "*") {
        return Err(Error::text(
            "all containers are already specified by *, but saw more than one container_name=container_image pairs",
        ));
    }
    change_each(session, "image updated", &query, &mut |target, object| {
        let Some(spec) = pod_spec(target, object) else { return Err(no_template(target)) };
        let mut missing = Vec::new();
        for (name, image) in &images {
            let mut found = false;
            for list in ["initContainers", "containers"] {
                for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                    if name == "*" || container["name"] == **name {
                        found = true;
                        container["image"] = json!(image);
                    }
                }
            }
            if !found {
                missing.push(Error::text(format!("unable to find container named \"{name}\"")));
            }
        }
        outcome(missing)
    })
}

pub fn resources(session: &Session) -> Result<()> {
    let call = &session.call;
    let query = query(session, &call.args);
    if call.text("limits").is_empty() && call.text("requests").is_empty() {
        return Err(Error::text(
            "you must specify an update to requests or limits (in the form of --requests/--limits)",
        ));
    }
    let limits = crate::verbs::create::amounts(call.text("limits"))?;
    let requests = crate::verbs::create::amounts(call.text("requests"))?;
    let pattern = call.text("containers").to_owned();
    change_each(session, "resource requirements updated", &query, &mut |target, object| {
        let Some(spec) = pod_spec(target, object) else { return Err(no_template(target)) };
        let mut found = false;
        for container in spec.get_mut("containers").and_then(Value::as_array_mut).into_iter().flatten() {
            if !matches(&pattern, container["name"].as_str().unwrap_or_default()) {
                continue;
            }
            found = true;
            for (field, amounts) in [("limits", &limits), ("requests", &requests)] {
                for (name, amount) in amounts {
                    // Zero takes it away.
                    let zero = apimachinery::quantity::Quantity::parse(amount.as_str().unwrap_or("1"))
                        .is_ok_and(|q| q.is_zero());
                    match zero {
                        true => {
                            if let Some(map) = container["resources"][field].as_object_mut() {
                                map.remove(name);
                            }
                        }
                        false => container["resources"][field][name] = amount.clone(),
                    }
                }
            }
        }
        if found { Ok(()) } else { Err(Error::text(format!("unable to find container named \"{pattern}\""))) }
    })
}

pub fn selector(session: &Session) -> Result<()> {
    let call = &session.call;
    let Some((expression, objects)) = call.args.split_last() else {
        return Err(Error::text(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        ));
    };
    let mut labels = Map::new();
    for pair in expression.split(',') {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Error::text("a selector is required: KEY=VALUE,…"));
        };
        labels.insert(key.to_owned(), json!(value));
    }
    let query = query(session, objects);
    let version = call.text("resource-version").to_owned();
    change_each(session, "selector updated", &query, &mut |target, object| {
        if !target.resource.is("", "Service") {
            return Err(Error::text("setting a selector is only supported for Services"));
        }
        if !version.is_empty() {
            object["metadata"]["resourceVersion"] = json!(version);
        }
        object["spec"]["selector"] = Value::Object(labels.clone());
        Ok(())
    })
}

pub fn service_account(session: &Session) -> Result<()> {
    let Some((account, objects)) = session.call.args.split_last() else {
        return Err(Error::text("serviceaccount is required"));
    };
    let query = query(session, objects);
    if objects.is_empty() && !query.has_files() {
        return Err(Error::text(crate::targets::NOTHING));
    }
    change_each(session, "serviceaccount updated", &query, &mut |target, object| {
        let Some(spec) = pod_spec(target, object) else { return Err(no_template(target)) };
        spec["serviceAccountName"] = json!(account);
        Ok(())
    })
}

pub fn subject(session: &Session) -> Result<()> {
    let call = &session.call;
    let given = crate::verbs::create::subjects(session)?;
    if given.is_empty() {
        return Err(Error::text("you must specify at least one value of user, group or serviceaccount"));
    }
    let query = query(session, &call.args);
    change_each(session, "subjects updated", &query, &mut |target, object| {
        if !target.resource.kind.ends_with("RoleBinding") {
            return Err(Error::text("setting subjects is only supported for RoleBinding/ClusterRoleBinding"));
        }
        let mut all = object["subjects"].as_array().cloned().unwrap_or_default();
        for subject in &given {
            if !all.contains(subject) {
                all.push(subject.clone());
            }
        }
        object["subjects"] = json!(all);
        Ok(())
    })
}

pub fn env(session: &Session) -> Result<()> {
    let call = &session.call;
    let is_change = |a: &String| a.contains('=') || a.ends_with('-') && a.len() > 1;
    let first = call.args.iter().position(is_change).unwrap_or(call.args.len());
    let (objects, mut changes) = (call.args[..first].to_vec(), call.args[first..].to_vec());
    changes.extend(call.list("env"));
    let query = query(session, &objects);
    if objects.is_empty() && query.files.is_empty() {
        return Err(Error::text(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        ));
    }
    let (mut set, mut removed): (Vec<Value>, Vec<String>) = (Vec::new(), Vec::new());
    for change in &changes {
        match (change.split_once('='), change.strip_suffix('-')) {
            (Some((name, value)), _) => set.push(json!({ "name": name, "value": value })),
            (None, Some(name)) => removed.push(name.to_owned()),
            _ => {
                return Err(Error::text(format!(
                    "environment variables must be of the form key=value and can be removed with a trailing -: {change}"
                )));
            }
        }
    }
    set.extend(from_object(session)?);
    if set.is_empty() && removed.is_empty() && !call.is("list") {
        return Ok(());
    }
    let pattern = call.text("containers").to_owned();
    let overwrite = call.is("overwrite");
    if call.is("list") && set.is_empty() && removed.is_empty() {
        return list(session, &query, &pattern);
    }
    change_each(session, "env updated", &query, &mut |target, object| {
        let Some(spec) = pod_spec(target, object) else { return Err(no_template(target)) };
        let mut found = false;
        for list in ["initContainers", "containers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                if !matches(&pattern, container["name"].as_str().unwrap_or_default()) {
                    continue;
                }
                found = true;
                let mut all = container["env"].as_array().cloned().unwrap_or_default();
                for variable in &set {
                    match all.iter_mut().find(|v| v["name"] == variable["name"]) {
                        Some(have) if !overwrite && have["value"] != variable["value"] => {
                            return Err(Error::text(format!(
                                "!'{}' already has a value ({}), and --overwrite is false",
                                variable["name"].as_str().unwrap_or_default(),
                                have["value"].as_str().unwrap_or_default()
                            )));
                        }
                        Some(have) => *have = variable.clone(),
                        None => all.push(variable.clone()),
                    }
                }
                all.retain(|v| !removed.iter().any(|r| v["name"] == **r));
                match (all.is_empty(), container.as_object_mut()) {
                    (true, Some(map)) => drop(map.remove("env")),
                    _ => container["env"] = json!(all),
                }
            }
        }
        if !found {
            eprintln!(
                "Warning: {}/{} does not have any containers matching {}",
                target.resource.kind,
                target.name,
                crate::text::quote(&pattern)
            );
        }
        Ok(())
    })
}

/// Variables that `--from=secret/x` and `--from=configmap/x` stand for.
fn from_object(session: &Session) -> Result<Vec<Value>> {
    let call = &session.call;
    let from = call.text("from");
    if from.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = call.list("keys");
    let query = Query { args: vec![from.to_owned()], latest: true, ..Query::default() };
    let mut found = Vec::new();
    for target in query.all(session)? {
        let source = match target.resource.kind.as_str() {
            "Secret" => "secretKeyRef",
            "ConfigMap" => "configMapKeyRef",
            kind => return Err(Error::text(format!("unsupported resource specified in --from: {kind}"))),
        };
        for key in target.object["data"].as_object().into_iter().flat_map(|m| m.keys()) {
            if !wanted.is_empty() && !wanted.contains(key) {
                continue;
            }
            let name: String =
                key.to_uppercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            if name != *key {
                eprintln!("Warning: key {key} transferred to {name}");
            }
            found.push(json!({
                "name": format!("{}{name}", call.text("prefix")),
                "valueFrom": { source: { "name": target.name, "key": key } },
            }));
        }
    }
    Ok(found)
}

fn list(session: &Session, query: &Query, pattern: &str) -> Result<()> {
    for mut target in query.all(session)? {
        let kind = target.resource.kind.clone();
        let (name, mut object) = (target.name.clone(), std::mem::take(&mut target.object));
        let Some(spec) = pod_spec(&target, &mut object) else { continue };
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array().into_iter().flatten() {
                let called = container["name"].as_str().unwrap_or_default();
                if !matches(pattern, called) {
                    continue;
                }
                session.println(&format!("# {kind} {name}, container {called}"))?;
                for variable in container["env"].as_array().into_iter().flatten() {
                    session.println(&variable_line(variable))?;
                }
            }
        }
    }
    Ok(())
}

fn variable_line(variable: &Value) -> String {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let name = text(&variable["name"]);
    let from = &variable["valueFrom"];
    if !from.is_object() {
        return format!("{name}={}", text(&variable["value"]));
    }
    let of = if from["fieldRef"].is_object() {
        format!("field path {}", text(&from["fieldRef"]["fieldPath"]))
    } else if from["resourceFieldRef"].is_object() {
        match text(&from["resourceFieldRef"]["containerName"]).as_str() {
            "" => format!("resource field {}", text(&from["resourceFieldRef"]["resource"])),
            container => {
                format!("resource field {container}/{}", text(&from["resourceFieldRef"]["resource"]))
            }
        }
    } else if from["secretKeyRef"].is_object() {
        format!("secret {}, key {}", text(&from["secretKeyRef"]["name"]), text(&from["secretKeyRef"]["key"]))
    } else {
        format!(
            "configmap {}, key {}",
            text(&from["configMapKeyRef"]["name"]),
            text(&from["configMapKeyRef"]["key"])
        )
    };
    format!("# {name} from {of}")
}
