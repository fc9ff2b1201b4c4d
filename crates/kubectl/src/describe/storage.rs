//! Volumes, claims, classes.

use serde_json::Value;

use super::{Lines, annotations, events, heading, labels, list, shown, text, volumes};
use crate::discovery::query;
use crate::error::Result;
use crate::session::Session;
use crate::targets::Target;

fn modes(object: &Value) -> String {
    let short = |m: &Value| match text(m) {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        _ => "",
    };
    list(object).iter().map(short).collect::<Vec<_>>().join(",")
}

fn finalizers(object: &Value) -> String {
    let all: Vec<&str> = list(&object["metadata"]["finalizers"]).iter().map(text).collect();
    format!("[{}]", all.join(" "))
}

fn phase(object: &Value) -> String {
    match object["metadata"]["deletionTimestamp"].as_str() {
        Some(since) => format!("Terminating (lasts {})", crate::text::age::since(Some(since))),
        None => text(&object["status"]["phase"]).to_owned(),
    }
}

pub fn volume(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let object = &target.object;
    let spec = &object["spec"];
    out.pair(0, "Name", text(&object["metadata"]["name"]));
    labels(out, "", "Labels", &object["metadata"]["labels"]);
    annotations(out, "", &object["metadata"]["annotations"]);
    out.pair(0, "Finalizers", finalizers(object));
    out.pair(0, "StorageClass", text(&spec["storageClassName"]));
    out.pair(0, "Status", phase(object));
    match spec["claimRef"].is_object() {
        true => out.pair(
            0,
            "Claim",
            format_args!("{}/{}", text(&spec["claimRef"]["namespace"]), text(&spec["claimRef"]["name"])),
        ),
        false => out.pair(0, "Claim", ""),
    }
    out.pair(0, "Reclaim Policy", text(&spec["persistentVolumeReclaimPolicy"]));
    out.pair(0, "Access Modes", modes(&spec["accessModes"]));
    out.given(0, "VolumeMode", &spec["volumeMode"]);
    out.pair(0, "Capacity", shown(&spec["capacity"]["storage"]));
    affinity(out, &spec["nodeAffinity"]);
    out.pair(0, "Message", text(&object["status"]["message"]));
    out.line(0, "Source:");
    volumes::source(out, spec);
    events(session, out, target)
}

fn affinity(out: &mut Lines, affinity: &Value) {
    let required = &affinity["required"];
    if !affinity.is_object() {
        return out.pair(0, "Node Affinity", "<none>");
    }
    out.pair(0, "Node Affinity", "");
    let terms = list(&required["nodeSelectorTerms"]);
    if terms.is_empty() {
        return out.pair(1, "Required Terms", "<none>");
    }
    out.pair(1, "Required Terms", "");
    for (at, term) in terms.iter().enumerate() {
        let expressions = list(&term["matchExpressions"]);
        out.raw(&format!("    Term {at}:\t"));
        if expressions.is_empty() {
            out.raw("<none>\n");
        }
        for (at, e) in expressions.iter().enumerate() {
            let values: Vec<&str> = list(&e["values"]).iter().map(text).collect();
            let operator = text(&e["operator"]).to_lowercase();
            let of = if values.is_empty() { String::new() } else { format!(" [{}]", values.join(", ")) };
            out.raw(&format!("{}{} {operator}{of}\n", if at > 0 { "    \t" } else { "" }, text(&e["key"])));
        }
    }
}

pub fn claim(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let object = &target.object;
    let (spec, status) = (&object["spec"], &object["status"]);
    out.pair(0, "Name", text(&object["metadata"]["name"]));
    out.pair(0, "Namespace", text(&object["metadata"]["namespace"]));
    out.pair(0, "StorageClass", text(&spec["storageClassName"]));
    out.pair(0, "Status", phase(object));
    out.pair(0, "Volume", text(&spec["volumeName"]));
    labels(out, "", "Labels", &object["metadata"]["labels"]);
    annotations(out, "", &object["metadata"]["annotations"]);
    out.pair(0, "Finalizers", finalizers(object));
    let bound = !text(&spec["volumeName"]).is_empty();
    out.pair(0, "Capacity", if bound { shown(&status["capacity"]["storage"]) } else { String::new() });
    out.pair(0, "Access Modes", if bound { modes(&status["accessModes"]) } else { String::new() });
    out.given(0, "VolumeMode", &spec["volumeMode"]);
    if spec["dataSource"].is_object() {
        out.line(0, "DataSource:");
        out.given(1, "APIGroup", &spec["dataSource"]["apiGroup"]);
        out.pair(1, "Kind", text(&spec["dataSource"]["kind"]));
        out.pair(1, "Name", text(&spec["dataSource"]["name"]));
    }
    let path = format!("/api/v1/namespaces/{}/pods", target.namespace) + &query(&[("limit", "500")]);
    let pods = session.get(&path).unwrap_or_default();
    let uses = |p: &&Value| {
        list(&p["spec"]["volumes"]).iter().any(|v| v["persistentVolumeClaim"]["claimName"] == *target.name)
    };
    let users: Vec<&str> =
        list(&pods["items"]).iter().filter(uses).map(|p| text(&p["metadata"]["name"])).collect();
    match users[..] {
        [] => out.pair(0, "Used By", "<none>"),
        [first, ref rest @ ..] => {
            out.pair(0, "Used By", first);
            rest.iter().for_each(|name| out.line(0, format_args!("\t{name}")));
        }
    }
    let conditions = list(&status["conditions"]);
    if !conditions.is_empty() {
        out.line(0, "Conditions:");
        out.line(1, "Type\tStatus\tLastProbeTime\tLastTransitionTime\tReason\tMessage");
        out.line(1, "----\t------\t-----------------\t------------------\t------\t-------");
        for c in conditions {
            out.line(
                1,
                format_args!(
                    "{} \t{} \t{} \t{} \t{} \t{}",
                    text(&c["type"]),
                    text(&c["status"]),
                    super::time(&c["lastProbeTime"]),
                    super::time(&c["lastTransitionTime"]),
                    text(&c["reason"]),
                    text(&c["message"])
                ),
            );
        }
    }
    events(session, out, target)
}

pub fn class(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let object = &target.object;
    let _ = heading;
    out.pair(0, "Name", text(&object["metadata"]["name"]));
    let default = object["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true";
    out.pair(0, "IsDefaultClass", if default { "Yes" } else { "No" });
    out.pair(0, "Annotations", pairs(&object["metadata"]["annotations"]));
    out.pair(0, "Provisioner", text(&object["provisioner"]));
    out.pair(0, "Parameters", pairs(&object["parameters"]));
    out.pair(
        0,
        "AllowVolumeExpansion",
        match object["allowVolumeExpansion"].as_bool() {
            Some(true) => "True",
            Some(false) => "False",
            None => "<unset>",
        },
    );
    match list(&object["mountOptions"]) {
        [] => out.pair(0, "MountOptions", "<none>"),
        all => {
            out.line(0, "MountOptions:");
            all.iter().for_each(|o| out.line(1, text(o)));
        }
    }
    out.pair(0, "ReclaimPolicy", text(&object["reclaimPolicy"]));
    out.pair(0, "VolumeBindingMode", text(&object["volumeBindingMode"]));
    if object["allowedTopologies"].is_array() {
        out.pair(0, "AllowedTopologies", "");
        for (at, term) in list(&object["allowedTopologies"]).iter().enumerate() {
            out.raw(&format!("  Term {at}:\t"));
            for (at, e) in list(&term["matchLabelExpressions"]).iter().enumerate() {
                let values: Vec<&str> = list(&e["values"]).iter().map(text).collect();
                let indent = if at > 0 { "\t" } else { "" };
                out.raw(&format!("{indent}{} in [{}]\n", text(&e["key"]), values.join(", ")));
            }
        }
    }
    events(session, out, target)
}

pub fn csi_node(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    heading(out, target, true);
    out.pair(0, "CreationTimestamp", super::time(&target.object["metadata"]["creationTimestamp"]));
    out.line(0, "Spec:");
    out.line(1, "Drivers:");
    for driver in list(&target.object["spec"]["drivers"]) {
        out.line(2, format_args!("{}:", text(&driver["name"])));
        out.pair(3, "Node ID", text(&driver["nodeID"]));
        if driver["allocatable"]["count"].is_i64() {
            out.line(3, "Allocatables:");
            out.pair(4, "Count", shown(&driver["allocatable"]["count"]));
        }
        let keys: Vec<&str> = list(&driver["topologyKeys"]).iter().map(text).collect();
        if !keys.is_empty() {
            out.pair(3, "Topology Keys", format_args!("[{}]", keys.join(" ")));
        }
    }
    events(session, out, target)
}

pub fn attributes_class(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let object = &target.object;
    out.pair(0, "Name", text(&object["metadata"]["name"]));
    out.pair(0, "Annotations", pairs(&object["metadata"]["annotations"]));
    out.pair(0, "DriverName", text(&object["driverName"]));
    out.pair(0, "Parameters", pairs(&object["parameters"]));
    events(session, out, target)
}

fn pairs(map: &Value) -> String {
    let all: Vec<String> =
        map.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={}", text(v))).collect();
    if all.is_empty() { "<none>".into() } else { all.join(",") }
}
