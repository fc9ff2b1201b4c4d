//! `expose`: a service in front of pods.

use serde_json::{Value, json};

use crate::change::{Change, DryRun, remember};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::targets::{Query, Target};

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    let mut asked = Query::of(session, &call.args);
    // The selector is the service's; what stands in files is taken as it stands.
    asked.selector.clear();
    asked.latest = false;
    let (targets, mut failed) = asked.targets(session)?;
    let mut change = Change::new(session, "exposed")?.typed();
    for target in targets {
        if !EXPOSED.contains(&target.resource.kind.as_str()) {
            failed.push(Error::text(format!("cannot expose a {}", group_kind(&target))));
            continue;
        }
        let mut service = crate::verbs::run::overridden(session, service(session, &target)?)?;
        let (namespace, given) = session.namespace()?;
        if given {
            service["metadata"]["namespace"] = json!(namespace);
        }
        if change.dry_run == DryRun::Client {
            change.show(&service)?;
            continue;
        }
        if call.is("save-config") {
            remember(&mut service, true);
        }
        let resource = session.discovery()?.of_kind(session, "v1", "Service")?;
        let made = change.create(&resource, &namespace, &service)?;
        change.show(&made)?;
    }
    // Of several each is told as it is.
    match failed.len() {
        0 => Ok(()),
        1 => Err(failed.remove(0)),
        _ => Err(Error::Plain(failed.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))),
    }
}

const EXPOSED: [&str; 5] = ["ReplicationController", "Pod", "Service", "Deployment", "ReplicaSet"];

/// `DaemonSet.apps`
pub fn group_kind(target: &Target) -> String {
    let r = &target.resource;
    if r.group.is_empty() { r.kind.clone() } else { format!("{}.{}", r.kind, r.group) }
}

/// What pods an object stands for.
pub fn selector(target: &Target) -> Result<Value> {
    let object = &target.object;
    let found = match target.resource.kind.as_str() {
        "ReplicationController" => &object["spec"]["selector"],
        "Pod" => {
            if object["metadata"]["labels"].as_object().is_none_or(|l| l.is_empty()) {
                return Err(Error::text(
                    "couldn't retrieve selectors via --selector flag or introspection: the pod has no labels and cannot be exposed",
                ));
            }
            &object["metadata"]["labels"]
        }
        "Service" => {
            if object["spec"]["selector"].as_object().is_none_or(|l| l.is_empty()) {
                return Err(Error::text(
                    "couldn't retrieve selectors via --selector flag or introspection: the service has no pod selector set",
                ));
            }
            &object["spec"]["selector"]
        }
        "Deployment" | "ReplicaSet" => {
            let selector = &object["spec"]["selector"];
            if let Some(expressions) = selector["matchExpressions"].as_array().filter(|e| !e.is_empty()) {
                let _ = expressions;
                return Err(Error::text(
                    "couldn't retrieve selectors via --selector flag or introspection: couldn't convert expressions to map-based selector format",
                ));
            }
            &selector["matchLabels"]
        }
        _ => return Err(Error::text(format!("cannot expose a {}", group_kind(target)))),
    };
    Ok(found.clone())
}

fn ports(target: &Target) -> Vec<(i64, String)> {
    let spec = match target.resource.kind.as_str() {
        "Pod" | "Service" => &target.object["spec"],
        _ => &target.object["spec"]["template"]["spec"],
    };
    let protocol = |p: &Value| p["protocol"].as_str().unwrap_or("TCP").to_owned();
    if target.resource.kind == "Service" {
        let all = spec["ports"].as_array().into_iter().flatten();
        return all.map(|p| (p["port"].as_i64().unwrap_or(0), protocol(p))).collect();
    }
    let containers = spec["containers"].as_array().into_iter().flatten();
    let all = containers.flat_map(|c| c["ports"].as_array().into_iter().flatten());
    all.map(|p| (p["containerPort"].as_i64().unwrap_or(0), protocol(p))).collect()
}

fn service(session: &Session, target: &Target) -> Result<Value> {
    let call = &session.call;
    let selector = match call.text("selector") {
        "" => selector(target)?,
        text => {
            let mut labels = json!({});
            for pair in text.split(',') {
                let Some((key, value)) = pair.split_once('=') else {
                    return Err(Error::text(format!("unexpected label spec: {pair}")));
                };
                labels[key] = json!(value);
            }
            labels
        }
    };
    let known = ports(target);
    let headless = call.text("cluster-ip") == "None";
    let wanted: Vec<i64> = match call.text("port") {
        "" if known.is_empty() && !headless => {
            return Err(Error::text("couldn't find port via --port flag or introspection"));
        }
        "" => known.iter().map(|(port, _)| *port).collect(),
        text => {
            let number = |t: &str| {
                t.parse::<i64>().map_err(|_| {
                    Error::text(format!("strconv.Atoi: parsing {}: invalid syntax", crate::text::quote(t)))
                })
            };
            text.split(',').map(number).collect::<Result<_>>()?
        }
    };
    let target_port = match call.text("target-port") {
        "" => None,
        text => Some(text.parse::<i64>().map_or_else(|_| json!(text), |n| json!(n))),
    };
    let mut entries = Vec::new();
    for (at, port) in wanted.iter().enumerate() {
        let protocol = match call.text("protocol") {
            "" => known.iter().find(|(p, _)| p == port).map_or("TCP", |(_, protocol)| protocol),
            given => given,
        };
        let mut entry = json!({ "port": port, "protocol": protocol, "targetPort": target_port.clone().unwrap_or(json!(port)) });
        if wanted.len() > 1 {
            entry["name"] = json!(format!("port-{}", at + 1));
        }
        entries.push(entry);
    }
    let name = match call.text("name") {
        "" => target.name.as_str(),
        name => name,
    };
    let mut metadata = json!({ "name": name });
    let labels = match call.text("labels") {
        "" => target.object["metadata"]["labels"].clone(),
        text => {
            let mut labels = json!({});
            for (key, value) in text.split(',').filter_map(|p| p.split_once('=')) {
                labels[key] = json!(value);
            }
            labels
        }
    };
    if labels.is_object() {
        metadata["labels"] = labels;
    }
    let mut spec = json!({ "selector": selector });
    if !entries.is_empty() {
        spec["ports"] = json!(entries);
    }
    for (flag, field) in [
        ("type", "type"),
        ("cluster-ip", "clusterIP"),
        ("session-affinity", "sessionAffinity"),
        ("load-balancer-ip", "loadBalancerIP"),
    ] {
        if !call.text(flag).is_empty() {
            spec[field] = json!(call.text(flag));
        }
    }
    if !call.text("external-ip").is_empty() {
        spec["externalIPs"] = json!([call.text("external-ip")]);
    }
    Ok(json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec }))
}
