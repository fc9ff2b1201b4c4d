//! From what a user names to a pod and a container in it. Start at [`of`] and [`container`].

use serde_json::Value;

use crate::discovery::query;
use crate::error::{Error, Result};
use crate::session::Session;
use crate::targets::{Query, Target};

/// The label selector of an object that has pods.
pub fn selector(target: &Target) -> Result<String> {
    let spec = &target.object["spec"]["selector"];
    match target.resource.kind.as_str() {
        "ReplicationController" | "Service" => {
            let text = pairs(spec);
            if text.is_empty() && target.resource.kind == "Service" {
                return Err(Error::text(format!(
                    "invalid service '{}': Service is defined without a selector",
                    target.name
                )));
            }
            Ok(text)
        }
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" => Ok(label_selector(spec)),
        _ => Err(Error::text(format!("selector for {} not implemented", target.resource.prefix()))),
    }
}

fn pairs(map: &Value) -> String {
    let all = map.as_object().into_iter().flatten();
    all.map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect::<Vec<_>>().join(",")
}

/// A `LabelSelector` as text.
pub fn label_selector(selector: &Value) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        parts.push(format!("{key}={}", value.as_str().unwrap_or_default()));
    }
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let mut values: Vec<&str> =
            expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        values.sort_unstable();
        parts.push(match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.join(",")
}

/// The pods of an object: itself, or those that it selects, the most useful first.
pub fn all_of(session: &Session, target: &Target) -> Result<Vec<Target>> {
    if target.resource.is("", "Pod") {
        return Ok(vec![target.clone()]);
    }
    let selector = selector(target)?;
    let resource = session.discovery()?.find(session, "pods")?;
    let list =
        session.get(&(resource.path(&target.namespace, "") + &query(&[("labelSelector", &selector)])))?;
    let mut pods: Vec<Value> = list["items"].as_array().cloned().unwrap_or_default();
    pods.sort_by_key(usefulness);
    Ok(pods
        .into_iter()
        .map(|mut pod| {
            crate::targets::complete(&mut pod, "v1", "Pod");
            Target::of(resource.clone(), pod)
        })
        .collect())
}

/// Smaller is better: scheduled, running, ready, longer ready.
fn usefulness(pod: &Value) -> (bool, u8, bool, String) {
    let phase = match pod["status"]["phase"].as_str() {
        Some("Running") => 0,
        Some("Pending") => 2,
        _ => 1,
    };
    let ready = condition(pod, "Ready");
    let since = ready.map(|c| c["lastTransitionTime"].as_str().unwrap_or_default().to_owned());
    (
        pod["spec"]["nodeName"].is_null(),
        phase,
        ready.is_none_or(|c| c["status"] != "True"),
        since.unwrap_or_default(),
    )
}

pub fn condition<'v>(object: &'v Value, kind: &str) -> Option<&'v Value> {
    object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == kind)
}

/// The pod that `word` (a pod's name, or `type/name`) leads to; waits for one as long as the command allows.
pub fn of(session: &Session, word: &str) -> Result<Target> {
    let args = match word.contains('/') {
        true => vec![word.to_owned()],
        false => vec!["pods".to_owned(), word.to_owned()],
    };
    let found = Query { args, latest: true, ..Query::default() }.all(session)?;
    let Some(target) = found.into_iter().next() else { return Err(Error::text("no pod found")) };
    of_target(session, &target)
}

pub fn of_target(session: &Session, target: &Target) -> Result<Target> {
    let what = match target.resource.is("", "Pod") {
        true => return Ok(target.clone()),
        false => crate::pods::all_of(session, target)?,
    };
    let kind = &target.resource.kind;
    what.into_iter().next().ok_or_else(|| {
        Error::text(format!(
            "timed out waiting for the condition: no pod of {} {} is there",
            kind.to_lowercase(),
            target.name
        ))
    })
}

/// Every container's name, the pod's own way: ordinary, init, ephemeral.
fn names(pod: &Value, list: &str) -> Vec<String> {
    let all = pod["spec"][list].as_array().into_iter().flatten();
    all.filter_map(|c| c["name"].as_str()).map(str::to_owned).collect()
}

/// The container to work with: the named one, the annotated one, or the first, which is said where there are several.
pub fn container(pod: &Value, asked: &str, quiet: bool) -> Result<String> {
    let ordinary = names(pod, "containers");
    let (init, ephemeral) = (names(pod, "initContainers"), names(pod, "ephemeralContainers"));
    if !asked.is_empty() {
        return match ordinary.iter().chain(&init).chain(&ephemeral).any(|n| n == asked) {
            true => Ok(asked.to_owned()),
            false => {
                let name = pod["metadata"]["name"].as_str().unwrap_or_default();
                let all = described(&ordinary, &init, &ephemeral).join(", ");
                Err(Error::text(format!("container {asked} is not valid for pod {name} out of: {all}")))
            }
        };
    }
    let annotated = pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"].as_str();
    if let Some(name) = annotated.filter(|n| !n.is_empty()) {
        if ordinary.iter().any(|o| o == name) {
            return Ok(name.to_owned());
        }
        if !quiet {
            eprintln!(
                "Default container name \"{name}\" not found in pod {}",
                pod["metadata"]["name"].as_str().unwrap_or_default()
            );
        }
    }
    let Some(first) = ordinary.first() else { return Err(Error::text("the pod has no containers")) };
    if !quiet && ordinary.len() + init.len() + ephemeral.len() > 1 {
        let all = described(&ordinary, &init, &ephemeral);
        eprintln!("Defaulted container \"{first}\" out of: {}", all.join(", "));
    }
    Ok(first.clone())
}

/// All names, with what kind of container it is.
fn described(ordinary: &[String], init: &[String], ephemeral: &[String]) -> Vec<String> {
    let mut all = ordinary.to_vec();
    all.extend(ephemeral.iter().map(|n| format!("{n} (ephem)")));
    all.extend(init.iter().map(|n| format!("{n} (init)")));
    all
}
