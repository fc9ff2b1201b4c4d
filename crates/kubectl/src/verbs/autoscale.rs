//! `autoscale`: a horizontal pod autoscaler for a workload.

use serde_json::json;

use crate::change::{Change, DryRun, remember};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::targets::Query;
use crate::verbs::expose::group_kind;

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    crate::verbs::create::required(session, &["max"])?;
    let (min, max) = (call.int("min"), call.int("max"));
    if max < 1 {
        return Err(Error::text(format!("--max=MAXPODS is required and must be at least 1, max: {max}")));
    }
    if max < min {
        return Err(Error::text(format!(
            "--max=MAXPODS must be larger or equal to --min=MINPODS, max: {max}, min: {min}"
        )));
    }
    let mut change = Change::new(session, "autoscaled")?.typed();
    let asked = Query { latest: false, ..Query::of(session, &call.args) };
    let (targets, mut failed) = asked.targets(session)?;
    for target in targets {
        if !SCALED.contains(&target.resource.kind.as_str()) {
            let (kind, r) = (group_kind(&target), &target.resource);
            failed.push(Error::text(format!(
                "cannot autoscale a {kind}: could not find scale subresource for {}/{}, Resource={} in discovery information",
                r.group, r.version, r.name
            )));
            continue;
        }
        let name = if call.text("name").is_empty() { target.name.as_str() } else { call.text("name") };
        let mut spec = json!({
            "maxReplicas": max,
            "scaleTargetRef": { "apiVersion": target.resource.api_version(), "kind": target.resource.kind, "name": target.name },
        });
        if min > 0 {
            spec["minReplicas"] = json!(min);
        }
        let mut metrics = Vec::new();
        for resource in ["cpu", "memory"] {
            let wanted = call.text(resource);
            if wanted.is_empty() {
                continue;
            }
            let aim = match wanted.strip_suffix('%') {
                Some(percent) => {
                    let percent: i64 = percent.parse().map_err(|_| {
                        Error::text(format!("invalid {resource} utilization value: {wanted}"))
                    })?;
                    json!({ "type": "Utilization", "averageUtilization": percent })
                }
                None => json!({ "type": "AverageValue", "averageValue": wanted }),
            };
            metrics.push(json!({ "type": "Resource", "resource": { "name": resource, "target": aim } }));
        }
        if !metrics.is_empty() {
            spec["metrics"] = json!(metrics);
        }
        let mut object = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": { "name": name }, "spec": spec, "status": { "currentMetrics": null, "desiredReplicas": 0 },
        });
        let (namespace, given) = session.namespace()?;
        if given {
            object["metadata"]["namespace"] = json!(namespace);
        }
        if call.is("save-config") {
            remember(&mut object, true);
        }
        if change.dry_run == DryRun::Client {
            change.show(&object)?;
            continue;
        }
        if let Some(map) = object.as_object_mut() {
            map.remove("status");
        }
        let resource = session.discovery()?.of_kind(session, "autoscaling/v2", "HorizontalPodAutoscaler")?;
        let made = change.create(&resource, &namespace, &object)?;
        change.show(&made)?;
    }
    match failed.len() {
        0 => Ok(()),
        1 => Err(failed.remove(0)),
        _ => Err(Error::Plain(failed.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))),
    }
}

/// Built-in kinds that have a scale.
const SCALED: [&str; 4] = ["Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"];
