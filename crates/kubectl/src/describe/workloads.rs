//! Controllers of pods.

use serde_json::Value;

use super::{
    Lines, annotations, containers, controller as owner, events, heading, labels, list, number, shown, text,
    time, volumes,
};
use crate::discovery::query;
use crate::error::Result;
use crate::pods::label_selector;
use crate::session::Session;
use crate::targets::Target;

/// How many pods run, wait, succeeded, failed.
fn counts(session: &Session, target: &Target, selector: &str) -> (usize, usize, usize, usize) {
    let path = format!("/api/v1/namespaces/{}/pods", target.namespace)
        + &query(&[("labelSelector", selector), ("limit", "500")]);
    let found = session.get(&path).unwrap_or_default();
    let uid = &target.object["metadata"]["uid"];
    let mine = |p: &&Value| {
        list(&p["metadata"]["ownerReferences"]).iter().any(|o| o["controller"] == true && o["uid"] == *uid)
    };
    let pods: Vec<&Value> = list(&found["items"]).iter().filter(mine).collect();
    let of = |phase: &str| pods.iter().filter(|p| p["status"]["phase"] == phase).count();
    (of("Running"), of("Pending"), of("Succeeded"), of("Failed"))
}

fn pods_status(out: &mut Lines, (running, waiting, succeeded, failed): (usize, usize, usize, usize)) {
    out.pair(
        0,
        "Pods Status",
        format_args!("{running} Running / {waiting} Waiting / {succeeded} Succeeded / {failed} Failed"),
    );
}

fn conditions(out: &mut Lines, object: &Value) {
    let all = list(&object["status"]["conditions"]);
    if all.is_empty() {
        return;
    }
    out.line(0, "Conditions:");
    out.line(1, "Type\tStatus\tReason");
    out.line(1, "----\t------\t------");
    all.iter().for_each(|c| {
        out.line(1, format_args!("{} \t{}\t{}", text(&c["type"]), text(&c["status"]), text(&c["reason"])))
    });
}

pub fn controller(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let object = &target.object;
    heading(out, target, false);
    let selector = crate::pods::selector(target)?;
    out.pair(0, "Selector", &selector);
    labels(out, "", "Labels", &object["metadata"]["labels"]);
    annotations(out, "", &object["metadata"]["annotations"]);
    out.pair(
        0,
        "Replicas",
        format_args!(
            "{} current / {} desired",
            number(&object["status"]["replicas"]),
            number(&object["spec"]["replicas"])
        ),
    );
    pods_status(out, counts(session, target, &selector));
    containers::template(out, &object["spec"]["template"]);
    conditions(out, object);
    events(session, out, target)
}

pub fn replica_set(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let object = &target.object;
    heading(out, target, false);
    let selector = label_selector(&object["spec"]["selector"]);
    out.pair(0, "Selector", &selector);
    labels(out, "", "Labels", &object["metadata"]["labels"]);
    annotations(out, "", &object["metadata"]["annotations"]);
    if let Some(owner) = owner(object) {
        out.pair(0, "Controlled By", owner);
    }
    out.pair(
        0,
        "Replicas",
        format_args!(
            "{} current / {} desired",
            number(&object["status"]["replicas"]),
            number(&object["spec"]["replicas"])
        ),
    );
    pods_status(out, counts(session, target, &selector));
    containers::template(out, &object["spec"]["template"]);
    conditions(out, object);
    events(session, out, target)
}

pub fn daemon_set(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let object = &target.object;
    heading(out, target, false);
    let selector = label_selector(&object["spec"]["selector"]);
    out.pair(0, "Selector", &selector);
    labels(out, "", "Node-Selector", &object["spec"]["template"]["spec"]["nodeSelector"]);
    labels(out, "", "Labels", &object["metadata"]["labels"]);
    annotations(out, "", &object["metadata"]["annotations"]);
    // No cells: these are wider than the column.
    for (title, field) in [
        ("Desired Number of Nodes Scheduled", "desiredNumberScheduled"),
        ("Current Number of Nodes Scheduled", "currentNumberScheduled"),
        ("Number of Nodes Scheduled with Up-to-date Pods", "updatedNumberScheduled"),
        ("Number of Nodes Scheduled with Available Pods", "numberAvailable"),
        ("Number of Nodes Misscheduled", "numberMisscheduled"),
    ] {
        out.line(0, format_args!("{title}: {}", number(&object["status"][field])));
    }
    pods_status(out, counts(session, target, &selector));
    containers::template(out, &object["spec"]["template"]);
    events(session, out, target)
}

pub fn deployment(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let object = &target.object;
    let (spec, status) = (&object["spec"], &object["status"]);
    heading(out, target, false);
    out.pair(0, "CreationTimestamp", time(&object["metadata"]["creationTimestamp"]));
    labels(out, "", "Labels", &object["metadata"]["labels"]);
    annotations(out, "", &object["metadata"]["annotations"]);
    let selector = label_selector(&spec["selector"]);
    out.pair(0, "Selector", &selector);
    let n = |field: &str| number(&status[field]);
    out.pair(
        0,
        "Replicas",
        format_args!(
            "{} desired | {} updated | {} total | {} available | {} unavailable",
            number(&spec["replicas"]),
            n("updatedReplicas"),
            n("replicas"),
            n("availableReplicas"),
            n("unavailableReplicas")
        ),
    );
    out.pair(0, "StrategyType", text(&spec["strategy"]["type"]));
    out.pair(0, "MinReadySeconds", number(&spec["minReadySeconds"]));
    let rolling = &spec["strategy"]["rollingUpdate"];
    if rolling.is_object() {
        out.pair(
            0,
            "RollingUpdateStrategy",
            format_args!(
                "{} max unavailable, {} max surge",
                shown(&rolling["maxUnavailable"]),
                shown(&rolling["maxSurge"])
            ),
        );
    }
    containers::template(out, &spec["template"]);
    conditions(out, object);
    let (old, new) = sets(session, target, &selector);
    let join = |sets: &[Value]| match sets {
        [] => "<none>".to_owned(),
        sets => sets
            .iter()
            .map(|s| {
                format!(
                    "{} ({}/{} replicas created)",
                    text(&s["metadata"]["name"]),
                    number(&s["status"]["replicas"]),
                    number(&s["spec"]["replicas"])
                )
            })
            .collect::<Vec<_>>()
            .join(", "),
    };
    if !old.is_empty() || !new.is_empty() {
        out.pair(0, "OldReplicaSets", join(&old));
        out.pair(0, "NewReplicaSet", join(&new));
    }
    events(session, out, target)
}

/// A deployment's replica sets: the old ones, and the new one.
pub fn sets(session: &Session, target: &Target, selector: &str) -> (Vec<Value>, Vec<Value>) {
    let mut all = replica_sets(session, target, selector);
    let wanted = &target.object["spec"]["template"];
    let same = |set: &Value| {
        let mut template = set["spec"]["template"].clone();
        if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
            labels.remove("pod-template-hash");
        }
        template == *wanted
    };
    all.sort_by_key(|s| text(&s["metadata"]["creationTimestamp"]).to_owned());
    let new = all.iter().position(&same);
    let new: Vec<Value> = new.map(|at| all.remove(at)).into_iter().collect();
    (all, new)
}

pub fn replica_sets(session: &Session, target: &Target, selector: &str) -> Vec<Value> {
    let path = format!("/apis/apps/v1/namespaces/{}/replicasets", target.namespace)
        + &query(&[("labelSelector", selector), ("limit", "500")]);
    let found = session.get(&path).unwrap_or_default();
    let uid = &target.object["metadata"]["uid"];
    let mine = |s: &&Value| list(&s["metadata"]["ownerReferences"]).iter().any(|o| o["uid"] == *uid);
    list(&found["items"]).iter().filter(mine).cloned().collect()
}

pub fn stateful_set(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let object = &target.object;
    let spec = &object["spec"];
    heading(out, target, false);
    out.pair(0, "CreationTimestamp", time(&object["metadata"]["creationTimestamp"]));
    let selector = label_selector(&spec["selector"]);
    out.pair(0, "Selector", &selector);
    labels(out, "", "Labels", &object["metadata"]["labels"]);
    annotations(out, "", &object["metadata"]["annotations"]);
    out.pair(0, "Service Name", text(&spec["serviceName"]));
    out.pair(0, "Pod Management Policy", text(&spec["podManagementPolicy"]));
    out.pair(
        0,
        "Replicas",
        format_args!(
            "{} desired | {} total",
            number(&spec["replicas"]),
            number(&object["status"]["replicas"])
        ),
    );
    out.pair(0, "Update Strategy", text(&spec["updateStrategy"]["type"]));
    if spec["updateStrategy"]["rollingUpdate"]["partition"].is_i64() {
        out.pair(1, "Partition", number(&spec["updateStrategy"]["rollingUpdate"]["partition"]));
    }
    let most = &spec["updateStrategy"]["rollingUpdate"]["maxUnavailable"];
    out.given(1, "MaxUnavailable", most);
    let retention = &spec["persistentVolumeClaimRetentionPolicy"];
    if retention.is_object() {
        out.line(0, "Persistent Volume Claim Retention Policy:");
        out.pair(1, "WhenDeleted", text(&retention["whenDeleted"]));
        out.pair(1, "WhenScaled", text(&retention["whenScaled"]));
    }
    pods_status(out, counts(session, target, &selector));
    containers::template(out, &spec["template"]);
    claims(out, list(&spec["volumeClaimTemplates"]));
    events(session, out, target)
}

fn claims(out: &mut Lines, all: &[Value]) {
    if all.is_empty() {
        return out.pair(0, "Volume Claims", "<none>");
    }
    out.line(0, "Volume Claims:");
    for claim in all {
        out.pair(1, "Name", text(&claim["metadata"]["name"]));
        out.pair(1, "StorageClass", shown(&claim["spec"]["storageClassName"]));
        labels(out, "  ", "Labels", &claim["metadata"]["labels"]);
        super::labels(out, "  ", "Annotations", &claim["metadata"]["annotations"]);
        let capacity = shown(&claim["spec"]["resources"]["requests"]["storage"]);
        out.pair(1, "Capacity", super::or_none(&capacity));
        let modes: Vec<&str> = list(&claim["spec"]["accessModes"]).iter().map(text).collect();
        out.pair(1, "Access Modes", format_args!("[{}]", modes.join(" ")));
    }
}

pub fn job(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let object = &target.object;
    let (spec, status) = (&object["spec"], &object["status"]);
    heading(out, target, false);
    out.pair(0, "Selector", label_selector(&spec["selector"]));
    labels(out, "", "Labels", &object["metadata"]["labels"]);
    annotations(out, "", &object["metadata"]["annotations"]);
    if let Some(owner) = owner(object) {
        out.pair(0, "Controlled By", owner);
    }
    out.pair(
        0,
        "Parallelism",
        if spec["parallelism"].is_i64() { shown(&spec["parallelism"]) } else { "<unset>".into() },
    );
    out.pair(
        0,
        "Completions",
        if spec["completions"].is_i64() { shown(&spec["completions"]) } else { "<unset>".into() },
    );
    if spec["completionMode"].is_string() {
        out.pair(0, "Completion Mode", text(&spec["completionMode"]));
    }
    if spec["suspend"].is_boolean() {
        out.pair(0, "Suspend", spec["suspend"] == true);
    }
    if spec["backoffLimit"].is_i64() {
        out.pair(0, "Backoff Limit", number(&spec["backoffLimit"]));
    }
    if spec["ttlSecondsAfterFinished"].is_i64() {
        out.pair(0, "TTL Seconds After Finished", number(&spec["ttlSecondsAfterFinished"]));
    }
    if status["startTime"].is_string() {
        out.pair(0, "Start Time", time(&status["startTime"]));
    }
    if status["completionTime"].is_string() {
        out.pair(0, "Completed At", time(&status["completionTime"]));
        let at =
            |v: &Value| v.as_str().and_then(|t| t.parse::<jiff::Timestamp>().ok()).map(|t| t.as_second());
        if let (Some(from), Some(to)) = (at(&status["startTime"]), at(&status["completionTime"])) {
            out.pair(0, "Duration", crate::text::age::human(to - from));
        }
    }
    if spec["activeDeadlineSeconds"].is_i64() {
        out.pair(0, "Active Deadline Seconds", format_args!("{}s", number(&spec["activeDeadlineSeconds"])));
    }
    let n = |field: &str| number(&status[field]);
    match status["ready"].is_i64() {
        true => out.pair(
            0,
            "Pods Statuses",
            format_args!(
                "{} Active ({} Ready) / {} Succeeded / {} Failed",
                n("active"),
                n("ready"),
                n("succeeded"),
                n("failed")
            ),
        ),
        false => out.pair(
            0,
            "Pods Statuses",
            format_args!("{} Active / {} Succeeded / {} Failed", n("active"), n("succeeded"), n("failed")),
        ),
    }
    if spec["completionMode"] == "Indexed" {
        out.pair(0, "Completed Indexes", super::or_none(text(&status["completedIndexes"])));
    }
    containers::template(out, &spec["template"]);
    events(session, out, target)
}

pub fn cron_job(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let object = &target.object;
    let spec = &object["spec"];
    heading(out, target, true);
    out.pair(0, "Schedule", text(&spec["schedule"]));
    out.pair(0, "Concurrency Policy", text(&spec["concurrencyPolicy"]));
    out.pair(0, "Suspend", if spec["suspend"] == true { "True" } else { "False" });
    out.given(0, "Time Zone", &spec["timeZone"]);
    let limit = |field: &str| if spec[field].is_i64() { shown(&spec[field]) } else { "<unset>".into() };
    out.pair(0, "Successful Job History Limit", limit("successfulJobsHistoryLimit"));
    out.pair(0, "Failed Job History Limit", limit("failedJobsHistoryLimit"));
    out.pair(
        0,
        "Starting Deadline Seconds",
        match spec["startingDeadlineSeconds"].as_i64() {
            Some(n) => format!("{n}s"),
            None => "<unset>".into(),
        },
    );
    let job = &spec["jobTemplate"]["spec"];
    out.pair(
        0,
        "Selector",
        if job["selector"].is_object() { label_selector(&job["selector"]) } else { "<unset>".into() },
    );
    out.pair(
        0,
        "Parallelism",
        if job["parallelism"].is_i64() { shown(&job["parallelism"]) } else { "<unset>".into() },
    );
    out.pair(
        0,
        "Completions",
        if job["completions"].is_i64() { shown(&job["completions"]) } else { "<unset>".into() },
    );
    if job["activeDeadlineSeconds"].is_i64() {
        out.pair(0, "Active Deadline Seconds", format_args!("{}s", number(&job["activeDeadlineSeconds"])));
    }
    containers::template(out, &job["template"]);
    let last = &object["status"]["lastScheduleTime"];
    out.pair(0, "Last Schedule Time", if last.is_string() { time(last) } else { "<unset>".into() });
    let active: Vec<&str> = list(&object["status"]["active"]).iter().map(|a| text(&a["name"])).collect();
    out.pair(0, "Active Jobs", if active.is_empty() { "<none>".into() } else { active.join(", ") });
    let _ = volumes::all;
    events(session, out, target)
}
