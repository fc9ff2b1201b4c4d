//! Nodes, with what runs on them.

use apimachinery::quantity::{Format, Quantity};
use serde_json::Value;

use super::{Lines, annotations, events, labels, list, quantity, shown, text, time};
use crate::discovery::query;
use crate::error::Result;
use crate::session::Session;
use crate::targets::Target;
use crate::text::age;

pub fn node(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let (metadata, spec, status) =
        (&target.object["metadata"], &target.object["spec"], &target.object["status"]);
    out.pair(0, "Name", text(&metadata["name"]));
    let mut roles: Vec<&str> = metadata["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(k, v)| match k.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role).filter(|r| !r.is_empty()),
            None => Some(text(v)).filter(|_| k == "kubernetes.io/role"),
        })
        .collect();
    roles.sort_unstable();
    out.pair(0, "Roles", super::or_none(&roles.join(",")));
    labels(out, "", "Labels", &metadata["labels"]);
    annotations(out, "", &metadata["annotations"]);
    out.pair(0, "CreationTimestamp", time(&metadata["creationTimestamp"]));
    taints(out, list(&spec["taints"]));
    out.pair(0, "Unschedulable", spec["unschedulable"] == true);
    lease(session, out, target);
    let conditions = list(&status["conditions"]);
    if !conditions.is_empty() {
        out.line(0, "Conditions:");
        out.line(1, "Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage");
        out.line(1, "----\t------\t-----------------\t------------------\t------\t-------");
        for c in conditions {
            out.line(
                1,
                format_args!(
                    "{} \t{} \t{} \t{} \t{} \t{}",
                    text(&c["type"]),
                    text(&c["status"]),
                    time(&c["lastHeartbeatTime"]),
                    time(&c["lastTransitionTime"]),
                    text(&c["reason"]),
                    text(&c["message"])
                ),
            );
        }
    }
    out.line(0, "Addresses:");
    list(&status["addresses"]).iter().for_each(|a| out.pair(1, text(&a["type"]), text(&a["address"])));
    for (title, field) in [("Capacity", "capacity"), ("Allocatable", "allocatable")] {
        if let Some(map) = status[field].as_object().filter(|m| !m.is_empty()) {
            out.line(0, format_args!("{title}:"));
            map.iter().for_each(|(name, amount)| out.pair(1, name, shown(amount)));
        }
    }
    let info = &status["nodeInfo"];
    out.line(0, "System Info:");
    for (title, field) in [
        ("Machine ID", "machineID"),
        ("System UUID", "systemUUID"),
        ("Boot ID", "bootID"),
        ("Kernel Version", "kernelVersion"),
        ("OS Image", "osImage"),
        ("Operating System", "operatingSystem"),
        ("Architecture", "architecture"),
        ("Container Runtime Version", "containerRuntimeVersion"),
        ("Kubelet Version", "kubeletVersion"),
    ] {
        out.pair(1, title, text(&info[field]));
    }
    if !text(&spec["podCIDR"]).is_empty() {
        out.pair(0, "PodCIDR", text(&spec["podCIDR"]));
    }
    let cidrs: Vec<&str> = list(&spec["podCIDRs"]).iter().map(text).collect();
    if !cidrs.is_empty() {
        out.pair(0, "PodCIDRs", cidrs.join(","));
    }
    out.given(0, "ProviderID", &spec["providerID"]);
    pods(session, out, target);
    events(session, out, target)
}

fn taints(out: &mut Lines, all: &[Value]) {
    out.raw("Taints:\t");
    if all.is_empty() {
        return out.raw("<none>\n");
    }
    let mut lines: Vec<String> = all
        .iter()
        .map(|t| match text(&t["value"]) {
            "" => format!("{}:{}", text(&t["key"]), text(&t["effect"])),
            value => format!("{}={value}:{}", text(&t["key"]), text(&t["effect"])),
        })
        .collect();
    // As stock has it: by effect first.
    let effect = |line: &String| line.rsplit(':').next().unwrap_or_default().to_owned();
    lines.sort_by_key(|l| (effect(l), l.clone()));
    out.raw(&format!("{}\n", lines.join("\n\t")));
}

fn lease(session: &Session, out: &mut Lines, target: &Target) {
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{}", target.name);
    let found = match session.get(&path) {
        Ok(found) => found,
        Err(crate::error::Error::Status(status)) => {
            return out.pair(0, "Lease", format_args!("Failed to get lease: {}", status.message));
        }
        Err(_) => Value::Null,
    };
    out.line(0, "Lease:");
    let holder = text(&found["spec"]["holderIdentity"]);
    out.pair(1, "HolderIdentity", if holder.is_empty() { "<unset>" } else { holder });
    out.pair(1, "AcquireTime", time(&found["spec"]["acquireTime"]));
    out.pair(1, "RenewTime", time(&found["spec"]["renewTime"]));
}

/// What a pod asks for, and how much it may have: the most of its containers together and of each init container.
fn sums(pod: &Value, field: &str, resource: &str) -> Quantity {
    let of = |c: &Value| quantity(&c["resources"][field][resource]);
    let add = |a: Quantity, b: Quantity| -> Quantity {
        let milli = a.milli_value() + b.milli_value();
        let format = if a.is_zero() { b.format() } else { a.format() };
        if milli % 1000 == 0 { Quantity::new(milli / 1000, format) } else { Quantity::milli(milli, format) }
    };
    let zero = || Quantity::new(0, Format::DecimalSi);
    let (mut sidecars, mut most) = (zero(), zero());
    for init in list(&pod["spec"]["initContainers"]) {
        let together = match init["restartPolicy"] == "Always" {
            true => {
                sidecars = add(sidecars, of(init));
                sidecars
            }
            false => add(sidecars, of(init)),
        };
        if together.milli_value() > most.milli_value() {
            most = together;
        }
    }
    let mut total = list(&pod["spec"]["containers"]).iter().fold(sidecars, |sum, c| add(sum, of(c)));
    if most.milli_value() > total.milli_value() {
        total = most;
    }
    let overhead = quantity(&pod["spec"]["overhead"][resource]);
    if overhead.is_zero() { total } else { add(total, overhead) }
}

fn pods(session: &Session, out: &mut Lines, target: &Target) {
    let fields = format!("spec.nodeName={},status.phase!=Failed,status.phase!=Succeeded", target.name);
    let Ok(found) =
        session.get(&("/api/v1/pods".to_owned() + &query(&[("fieldSelector", &fields), ("limit", "500")])))
    else {
        return out.line(0, "Pods:\tnot authorized");
    };
    let pods = list(&found["items"]);
    let allocatable = |resource: &str| quantity(&target.object["status"]["allocatable"][resource]);
    let percent = |amount: &Quantity, of: &Quantity, milli: bool| -> i64 {
        let (a, b) =
            if milli { (amount.milli_value(), of.milli_value()) } else { (amount.value(), of.value()) };
        if b == 0 { 0 } else { (a as f64 / b as f64 * 100.0) as i64 }
    };
    out.line(0, format_args!("Non-terminated Pods:\t({} in total)", pods.len()));
    out.line(1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge");
    out.line(1, "---------\t----\t\t------------\t----------\t---------------\t-------------\t---");
    let mut totals: Vec<(String, i64, i64)> = Vec::new();
    let (cpu, memory) = (allocatable("cpu"), allocatable("memory"));
    for pod in pods {
        let cell = |field: &str, resource: &str| {
            let amount = sums(pod, field, resource);
            let (of, milli) = if resource == "cpu" { (&cpu, true) } else { (&memory, false) };
            format!("{amount} ({}%)", percent(&amount, of, milli))
        };
        out.line(
            1,
            format_args!(
                "{}\t{}\t\t{}\t{}\t{}\t{}\t{}",
                text(&pod["metadata"]["namespace"]),
                text(&pod["metadata"]["name"]),
                cell("requests", "cpu"),
                cell("limits", "cpu"),
                cell("requests", "memory"),
                cell("limits", "memory"),
                age::since(pod["metadata"]["creationTimestamp"].as_str())
            ),
        );
    }
    let mut names: Vec<String> = vec!["cpu".into(), "memory".into(), "ephemeral-storage".into()];
    let more = || target.object["status"]["allocatable"].as_object().into_iter().flat_map(|m| m.keys());
    names.extend(more().filter(|n| n.starts_with("hugepages-")).cloned());
    names.extend(more().filter(|n| n.contains('/')).cloned());
    out.line(0, "Allocated resources:");
    out.line(1, "(Total limits may be over 100 percent, i.e., overcommitted.)");
    out.line(1, "Resource\tRequests\tLimits");
    out.line(1, "--------\t--------\t------");
    for name in &names {
        let total = |field: &str| {
            let (mut milli, mut format) = (0, None);
            for pod in pods {
                let amount = sums(pod, field, name);
                milli += amount.milli_value();
                if !amount.is_zero() && format.is_none() {
                    format = Some(amount.format());
                }
            }
            let format = format.unwrap_or(Format::DecimalSi);
            if milli % 1000 == 0 {
                Quantity::new(milli / 1000, format)
            } else {
                Quantity::milli(milli, format)
            }
        };
        let (requests, limits) = (total("requests"), total("limits"));
        let of = allocatable(name);
        let milli = name == "cpu";
        totals.push((name.clone(), 0, 0));
        if name.contains('/') {
            out.line(1, format_args!("{name}\t{requests}\t{limits}"));
        } else {
            out.line(
                1,
                format_args!(
                    "{name}\t{requests} ({}%)\t{limits} ({}%)",
                    percent(&requests, &of, milli),
                    percent(&limits, &of, milli)
                ),
            );
        }
    }
}
