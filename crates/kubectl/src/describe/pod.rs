//! Pods.

use serde_json::Value;

use super::{Lines, annotations, containers, controller, events, labels, list, number, text, time, volumes};
use crate::error::Result;
use crate::session::Session;
use crate::targets::Target;
use crate::text::age;

pub fn pod(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let pod = &target.object;
    let (metadata, spec, status) = (&pod["metadata"], &pod["spec"], &pod["status"]);
    out.pair(0, "Name", text(&metadata["name"]));
    out.pair(0, "Namespace", text(&metadata["namespace"]));
    if spec["priority"].is_i64() {
        out.pair(0, "Priority", number(&spec["priority"]));
    }
    out.given(0, "Priority Class Name", &spec["priorityClassName"]);
    out.given(0, "Runtime Class Name", &spec["runtimeClassName"]);
    out.given(0, "Service Account", &spec["serviceAccountName"]);
    match text(&spec["nodeName"]) {
        "" => out.pair(0, "Node", "<none>"),
        node => out.pair(0, "Node", format_args!("{node}/{}", text(&status["hostIP"]))),
    }
    if status["startTime"].is_string() {
        out.pair(0, "Start Time", time(&status["startTime"]));
    }
    labels(out, "", "Labels", &metadata["labels"]);
    annotations(out, "", &metadata["annotations"]);
    phase(out, metadata, status);
    if let Some(kind) = spec["securityContext"]["seccompProfile"]["type"].as_str() {
        out.pair(0, "SeccompProfile", kind);
        if kind == "Localhost" {
            out.pair(
                0,
                "LocalhostProfile",
                text(&spec["securityContext"]["seccompProfile"]["localhostProfile"]),
            );
        }
    }
    out.pair(0, "IP", text(&status["podIP"]));
    match list(&status["podIPs"]) {
        [] => out.pair(0, "IPs", "<none>"),
        all => {
            out.line(0, "IPs:");
            all.iter().for_each(|ip| out.pair(1, "IP", text(&ip["ip"])));
        }
    }
    if let Some(owner) = controller(pod) {
        out.pair(0, "Controlled By", owner);
    }
    out.given(0, "NominatedNodeName", &status["nominatedNodeName"]);
    if !list(&spec["initContainers"]).is_empty() {
        containers::all(
            out,
            "Init Containers",
            list(&spec["initContainers"]),
            list(&status["initContainerStatuses"]),
            Some(pod),
            "",
        );
    }
    containers::all(
        out,
        "Containers",
        list(&spec["containers"]),
        list(&status["containerStatuses"]),
        Some(pod),
        "",
    );
    if !list(&spec["ephemeralContainers"]).is_empty() {
        containers::all(
            out,
            "Ephemeral Containers",
            list(&spec["ephemeralContainers"]),
            list(&status["ephemeralContainerStatuses"]),
            Some(pod),
            "",
        );
    }
    conditions(out, spec, status);
    volumes::all(out, list(&spec["volumes"]), "");
    out.pair(0, "QoS Class", text(&status["qosClass"]));
    labels(out, "", "Node-Selectors", &spec["nodeSelector"]);
    containers::tolerations(out, "", list(&spec["tolerations"]));
    containers::spread(out, spec, "");
    events(session, out, target)
}

fn phase(out: &mut Lines, metadata: &Value, status: &Value) {
    if metadata["deletionTimestamp"].is_string() && !matches!(text(&status["phase"]), "Failed" | "Succeeded")
    {
        out.pair(
            0,
            "Status",
            format_args!("Terminating (lasts {})", age::since(metadata["deletionTimestamp"].as_str())),
        );
        out.pair(
            0,
            "Termination Grace Period",
            format_args!("{}s", number(&metadata["deletionGracePeriodSeconds"])),
        );
    } else {
        out.pair(0, "Status", text(&status["phase"]));
    }
    out.given(0, "Reason", &status["reason"]);
    out.given(0, "Message", &status["message"]);
}

fn conditions(out: &mut Lines, spec: &Value, status: &Value) {
    let all = list(&status["conditions"]);
    let gates = list(&spec["readinessGates"]);
    if !gates.is_empty() {
        out.line(0, "Readiness Gates:");
        out.line(1, "Type\tStatus");
        for gate in gates {
            let found = all.iter().find(|c| c["type"] == gate["conditionType"]);
            out.line(
                1,
                format_args!(
                    "{} \t{} ",
                    text(&gate["conditionType"]),
                    found.map_or("<none>", |c| text(&c["status"]))
                ),
            );
        }
    }
    if !all.is_empty() {
        out.line(0, "Conditions:");
        out.line(1, "Type\tStatus");
        all.iter().for_each(|c| out.line(1, format_args!("{} \t{} ", text(&c["type"]), text(&c["status"]))));
    }
}
