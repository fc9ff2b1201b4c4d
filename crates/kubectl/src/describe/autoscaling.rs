//! Horizontal pod autoscalers: what is measured, what is wished, how fast.

use serde_json::Value;

use super::{Lines, events, heading, list, number, shown, text, time};
use crate::error::Result;
use crate::session::Session;
use crate::targets::Target;

const UNKNOWN: &str = "<unknown>";

pub fn autoscaler(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let (spec, status) = (&target.object["spec"], &target.object["status"]);
    heading(out, target, true);
    out.pair(0, "CreationTimestamp", time(&target.object["metadata"]["creationTimestamp"]));
    let of = &spec["scaleTargetRef"];
    out.pair(0, "Reference", format_args!("{}/{}", text(&of["kind"]), text(&of["name"])));
    out.line(0, "Metrics:\t( current / target )");
    for (at, metric) in list(&spec["metrics"]).iter().enumerate() {
        let current = list(&status["currentMetrics"]).get(at).unwrap_or(&Value::Null);
        out.line(1, self::metric(metric, current));
    }
    let least = spec["minReplicas"].as_i64().map_or("<unset>".to_owned(), |n| n.to_string());
    out.pair(0, "Min replicas", least);
    out.pair(0, "Max replicas", number(&spec["maxReplicas"]));
    if spec["behavior"].is_object() {
        out.line(0, "Behavior:");
        for (field, title) in [("scaleUp", "Scale Up"), ("scaleDown", "Scale Down")] {
            if spec["behavior"][field].is_object() {
                rules(out, title, &spec["behavior"][field]);
            }
        }
    }
    out.line(
        0,
        format_args!(
            "{} pods:\t{} current / {} desired",
            text(&of["kind"]),
            number(&status["currentReplicas"]),
            number(&status["desiredReplicas"])
        ),
    );
    let conditions = list(&status["conditions"]);
    if !conditions.is_empty() {
        out.line(0, "Conditions:");
        out.line(1, "Type\tStatus\tReason\tMessage");
        out.line(1, "----\t------\t------\t-------");
        for c in conditions {
            let cells = ["type", "status", "reason", "message"].map(|f| text(&c[f]));
            out.line(1, cells.join("\t"));
        }
    }
    events(session, out, target)
}

/// What is measured, and what is and should be.
fn metric(metric: &Value, current: &Value) -> String {
    let or_unknown = |v: &Value| if v.is_null() { UNKNOWN.to_owned() } else { shown(v) };
    let kind = text(&metric["type"]);
    let field = format!("{}{}", kind[..1.min(kind.len())].to_lowercase(), kind.get(1..).unwrap_or_default());
    let (wish, is) = (&metric[&field], &current[&field]["current"]);
    let aim = &wish["target"];
    match kind {
        "External" => {
            let name = text(&wish["metric"]["name"]);
            match aim["averageValue"].is_null() {
                false => format!(
                    "\"{name}\" (target average value):\t{} / {}",
                    or_unknown(&is["averageValue"]),
                    shown(&aim["averageValue"])
                ),
                true => format!(
                    "\"{name}\" (target value):\t{} / {}",
                    or_unknown(&is["value"]),
                    shown(&aim["value"])
                ),
            }
        }
        "Pods" => format!(
            "\"{}\" on pods:\t{} / {}",
            text(&wish["metric"]["name"]),
            or_unknown(&is["averageValue"]),
            shown(&aim["averageValue"])
        ),
        "Object" => {
            let object = &wish["describedObject"];
            let what = format!(
                "\"{}\" on {}/{}",
                text(&wish["metric"]["name"]),
                text(&object["kind"]),
                text(&object["name"])
            );
            match aim["type"] == "AverageValue" {
                true => format!(
                    "{what} (target average value):\t{} / {}",
                    or_unknown(&is["averageValue"]),
                    shown(&aim["averageValue"])
                ),
                false => {
                    format!("{what} (target value):\t{} / {}", or_unknown(&is["value"]), shown(&aim["value"]))
                }
            }
        }
        "Resource" | "ContainerResource" => {
            let place = match kind {
                "Resource" => String::new(),
                _ => format!("of container \"{}\" ", text(&wish["container"])),
            };
            let what = format!("resource {} {place}on pods", text(&wish["name"]));
            match aim["averageValue"].is_null() {
                false => {
                    format!("{what}:\t{} / {}", or_unknown(&is["averageValue"]), shown(&aim["averageValue"]))
                }
                true => {
                    let now = match is["averageUtilization"].as_i64() {
                        Some(percent) => format!("{percent}% ({})", shown(&is["averageValue"])),
                        None => UNKNOWN.to_owned(),
                    };
                    let wish =
                        aim["averageUtilization"].as_i64().map_or("<auto>".into(), |n| format!("{n}%"));
                    format!("{what}  (as a percentage of request):\t{now} / {wish}")
                }
            }
        }
        other => format!("<unknown metric type \"{other}\">"),
    }
}

/// How fast it may go up or down.
fn rules(out: &mut Lines, title: &str, rules: &Value) {
    out.line(1, format_args!("{title}:"));
    if let Some(seconds) = rules["stabilizationWindowSeconds"].as_i64() {
        out.line(2, format_args!("Stabilization Window: {seconds} seconds"));
    }
    let policies = list(&rules["policies"]);
    if !policies.is_empty() {
        out.line(2, format_args!("Select Policy: {}", rules["selectPolicy"].as_str().unwrap_or("Max")));
        out.line(2, "Policies:");
        for p in policies {
            out.line(
                3,
                format_args!(
                    "- Type: {}\tValue: {}\tPeriod: {} seconds",
                    text(&p["type"]),
                    number(&p["value"]),
                    number(&p["periodSeconds"])
                ),
            );
        }
    }
    if let Some(tolerance) = rules["tolerance"].as_str() {
        out.line(2, format_args!("Tolerance: {tolerance}"));
    }
}
