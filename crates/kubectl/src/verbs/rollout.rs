//! `rollout`: how a new version of a workload gets on, and back.

use std::time::Duration;

use serde_json::{Value, json};
use stdx::{Clock, SystemClock};

use crate::change::{Change, DryRun, MERGE, STRATEGIC};
use crate::describe::{Lines, list, number, template, text};
use crate::discovery::query;
use crate::error::{Error, Result};
use crate::session::{Request, Session};
use crate::targets::{Query, Target};
use crate::text::columns::Columns;
use crate::verbs::delete::until;
use crate::verbs::expose::group_kind;

const REVISION: &str = "deployment.kubernetes.io/revision";
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";

fn targets(session: &Session) -> Result<(Vec<Target>, Vec<Error>)> {
    let query = Query { whole_types: true, ..Query::of(session, &session.call.args) };
    if session.call.args.is_empty() && !query.has_files() {
        return Err(Error::text("required resource not specified"));
    }
    query.targets(session)
}

fn is_any(target: &Target, kinds: &[&str]) -> bool {
    target.resource.group == "apps" && kinds.contains(&target.resource.kind.as_str())
}

/// Templates of earlier revisions, by number.
/// The object of each revision as `-o` shows it: a deployment's replica set, the others as they were then.
fn objects(session: &Session, target: &Target) -> Result<Vec<(i64, Value)>> {
    let selector = crate::pods::label_selector(&target.object["spec"]["selector"]);
    let mut found: Vec<(i64, Value)> = Vec::new();
    if target.resource.kind == "Deployment" {
        let (mut all, new) = crate::describe::replica_sets_of(session, target, &selector);
        all.extend(new);
        for mut set in all {
            let revision = text(&set["metadata"]["annotations"][REVISION]).parse().unwrap_or(0);
            if revision > 0 {
                crate::targets::complete(&mut set, "apps/v1", "ReplicaSet");
                found.push((revision, set));
            }
        }
    } else {
        let path = format!("/apis/apps/v1/namespaces/{}/controllerrevisions", target.namespace)
            + &query(&[("labelSelector", &selector)]);
        let all = session.get(&path)?;
        let uid = &target.object["metadata"]["uid"];
        let own = |r: &&Value| list(&r["metadata"]["ownerReferences"]).iter().any(|o| o["uid"] == *uid);
        for revision in list(&all["items"]).iter().filter(own) {
            let was = crate::verbs::apply::local(target, &target.object, &revision["data"])?;
            found.push((number(&revision["revision"]), was));
        }
    }
    found.sort_by_key(|(n, _)| *n);
    Ok(found)
}

fn revisions(session: &Session, target: &Target) -> Result<Vec<(i64, Value, String)>> {
    let selector = crate::pods::label_selector(&target.object["spec"]["selector"]);
    let mut found: Vec<(i64, Value, String)> = Vec::new();
    let cause = |v: &Value| text(&v["metadata"]["annotations"]["kubernetes.io/change-cause"]).to_owned();
    if target.resource.kind == "Deployment" {
        let (mut all, new) = crate::describe::replica_sets_of(session, target, &selector);
        all.extend(new);
        for set in all {
            let revision = text(&set["metadata"]["annotations"][REVISION]).parse().unwrap_or(0);
            if revision > 0 {
                found.push((revision, set["spec"]["template"].clone(), cause(&set)));
            }
        }
    } else {
        let path = format!("/apis/apps/v1/namespaces/{}/controllerrevisions", target.namespace)
            + &query(&[("labelSelector", &selector)]);
        let all = session.get(&path)?;
        let uid = &target.object["metadata"]["uid"];
        for revision in list(&all["items"])
            .iter()
            .filter(|r| list(&r["metadata"]["ownerReferences"]).iter().any(|o| o["uid"] == *uid))
        {
            let merged = crate::verbs::apply::local(target, &target.object, &revision["data"])?;
            found.push((number(&revision["revision"]), merged["spec"]["template"].clone(), cause(revision)));
        }
    }
    found.sort_by_key(|(n, ..)| *n);
    Ok(found)
}

pub fn history(session: &Session) -> Result<()> {
    let call = &session.call;
    let (targets, mut failed) = targets(session)?;
    let wanted = call.int("revision");
    if wanted < 0 {
        return Err(Error::text("revision must be a positive integer: "));
    }
    for target in &targets {
        if !is_any(target, &["Deployment", "DaemonSet", "StatefulSet"]) {
            failed.push(Error::text(format!(
                "error retrieving history for \"{0}\", no visitor method exists for {{{1} {2}}}",
                group_kind(target),
                target.resource.group,
                target.resource.kind
            )));
            continue;
        }
        let all = revisions(session, target)?;
        if let Some(mut printer) = crate::print::Printer::of(call, false)? {
            printer.typed = true;
            let all = objects(session, target)?;
            if wanted > 0 && !all.iter().any(|(n, _)| *n == wanted) {
                failed.push(Error::text("unable to find the specified revision"));
                continue;
            }
            for (_, mut object) in all.into_iter().filter(|(n, _)| wanted == 0 || *n == wanted) {
                crate::print::typed::normalise(&mut object);
                session.print(&printer.text(&object)?)?;
            }
            continue;
        }
        let shown = target.shown();
        if wanted > 0 {
            let Some((_, template_of, cause)) = all.iter().find(|(n, ..)| *n == wanted) else {
                failed.push(Error::text("unable to find the specified revision"));
                continue;
            };
            session.println(&format!("{shown} with revision #{wanted}"))?;
            session.print(&told(template_of, cause))?;
            session.print("\n")?;
            continue;
        }
        session.println(&format!("{shown} "))?;
        if all.is_empty() {
            session.println("No rollout history found.")?;
            continue;
        }
        let mut table = Columns::describe();
        table.push("REVISION\tCHANGE-CAUSE\n");
        for (n, _, cause) in &all {
            table.push(&format!("{n}\t{}\n", if cause.is_empty() { "<none>" } else { cause }));
        }
        session.print(&(table.finish() + "\n"))?;
    }
    crate::verbs::create::outcome(failed)
}

fn told(of: &Value, cause: &str) -> String {
    let mut out = Lines::default();
    let mut shown = of.clone();
    if !cause.is_empty() {
        shown["metadata"]["annotations"]["kubernetes.io/change-cause"] = json!(cause);
    }
    template(&mut out, &shown);
    out.unaligned()
}

fn each(
    session: &Session,
    operation: &str,
    work: impl Fn(&Target) -> Result<(Value, &'static str)>,
) -> Result<()> {
    let (targets, mut failed) = targets(session)?;
    let mut change = Change::new(session, operation)?.typed();
    for target in targets {
        let (patch, kind) = match work(&target) {
            Ok(done) => done,
            Err(e) => {
                failed.push(e);
                continue;
            }
        };
        if change.dry_run == DryRun::Client {
            change.show(&target.object)?;
            continue;
        }
        match change.patch(&target.path(), kind, &patch) {
            Ok(done) => change.show(&done)?,
            Err(e) => failed.push(e),
        }
    }
    crate::verbs::create::outcome(failed)
}

pub fn pause(session: &Session) -> Result<()> {
    each(session, "paused", |target| {
        if !is_any(target, &["Deployment"]) {
            return Err(Error::text(format!(
                "{} \"{}\" pausing is not supported",
                target.resource.group_resource(),
                target.name
            )));
        }
        if target.object["spec"]["paused"] == true {
            return Err(Error::text(format!(
                "{} \"{}\" is already paused",
                target.resource.group_resource(),
                target.name
            )));
        }
        Ok((json!({ "spec": { "paused": true } }), STRATEGIC))
    })
}

pub fn resume(session: &Session) -> Result<()> {
    each(session, "resumed", |target| {
        if !is_any(target, &["Deployment"]) {
            return Err(Error::text(format!(
                "{} \"{}\" resuming is not supported",
                target.resource.group_resource(),
                target.name
            )));
        }
        if target.object["spec"]["paused"] != true {
            return Err(Error::text(format!(
                "{} \"{}\" is not paused",
                target.resource.group_resource(),
                target.name
            )));
        }
        Ok((json!({ "spec": { "paused": null } }), STRATEGIC))
    })
}

pub fn restart(session: &Session) -> Result<()> {
    let now = SystemClock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    each(session, "restarted", |target| {
        if !is_any(target, &["Deployment", "DaemonSet", "StatefulSet"]) {
            return Err(Error::text(format!(
                "{} \"{}\" restarting is not supported",
                target.resource.group_resource(),
                target.name
            )));
        }
        if target.object["spec"]["paused"] == true {
            return Err(Error::text(format!(
                "{} \"{}\" can't restart paused deployment (run rollout resume first)",
                target.resource.group_resource(),
                target.name
            )));
        }
        Ok((
            json!({ "spec": { "template": { "metadata": { "annotations": { RESTARTED: now } } } } }),
            STRATEGIC,
        ))
    })
}

pub fn undo(session: &Session) -> Result<()> {
    let call = &session.call;
    let (targets, mut failed) = targets(session)?;
    let to = call.int("to-revision");
    let mut change = Change::new(session, "rolled back")?;
    if to < 0 {
        return Err(Error::text("revision must be a positive integer"));
    }
    for target in &targets {
        match back(session, &mut change, target, to) {
            Ok(()) => {}
            Err(e) => failed.push(e),
        }
    }
    crate::verbs::create::outcome(failed)
}

fn back(session: &Session, change: &mut Change<'_>, target: &Target, to: i64) -> Result<()> {
    if !is_any(target, &["Deployment", "DaemonSet", "StatefulSet"]) {
        return Err(Error::text(format!(
            "error retrieving rollbacker for \"{0}\", no visitor method exists for {{{1} {2}}}",
            group_kind(target),
            target.resource.group,
            target.resource.kind
        )));
    }
    if target.object["spec"]["paused"] == true {
        return Err(Error::text(format!(
            "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume deployment/{}' and try again",
            target.name
        )));
    }
    if target.object["metadata"]["annotations"][crate::change::LAST_APPLIED].is_string() {
        session.note(&format!(
            "resource {}/{} was previously managed with 'kubectl apply'. Rolling back will not update the {} annotation, which may cause unexpected behavior on future 'kubectl apply' operations. Consider using 'kubectl apply' with your previous configuration file instead.",
            target.resource.name, target.name, crate::change::LAST_APPLIED
        ));
    }
    let all = revisions(session, target)?;
    let found = match to {
        0 if all.len() < 2 => {
            return Err(Error::text(format!(
                "no rollout history found for {} \"{}\"",
                target.resource.kind.to_lowercase(),
                target.name
            )));
        }
        0 => &all[all.len() - 2],
        to => all
            .iter()
            .find(|(n, ..)| *n == to)
            .ok_or_else(|| Error::text(format!("unable to find specified revision {to} in history")))?,
    };
    let mut wanted = found.1.clone();
    if change.dry_run == DryRun::Client {
        change.operation("");
        let text = told(&wanted, "");
        return session.print(&format!("{} {text} (dry run)\n", target.shown()));
    }
    if let Some(labels) = wanted["metadata"]["labels"].as_object_mut() {
        labels.remove("pod-template-hash");
    }
    let mut current = target.object["spec"]["template"].clone();
    if let Some(labels) = current["metadata"]["labels"].as_object_mut() {
        labels.remove("pod-template-hash");
    }
    if wanted == current {
        change
            .operation(&format!("skipped rollback (current template already matches revision {})", found.0));
        return change.show(&target.object);
    }
    let mut patch = json!([{ "op": "replace", "path": "/spec/template", "value": wanted }]);
    if target.resource.kind == "Deployment"
        && let Some(set) = objects(session, target)?.into_iter().find(|(n, _)| *n == found.0)
    {
        let annotations = carried(&target.object, &set.1);
        let place = json!({ "op": "replace", "path": "/metadata/annotations", "value": annotations });
        if let Some(list) = patch.as_array_mut() {
            list.push(place);
        }
    }
    let _ = MERGE;
    change.patch(&target.path(), crate::change::JSON_PATCH, &patch)?;
    // As stock: the object as it was.
    change.show(&target.object)
}

/// The annotations of a deployment that is rolled back: its own about itself, the rest from the replica set.
fn carried(deployment: &Value, set: &Value) -> Value {
    let own = [
        crate::change::LAST_APPLIED,
        REVISION,
        "deployment.kubernetes.io/revision-history",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
        "deprecated.deployment.rollback.to",
    ];
    let of = |object: &Value, mine: bool| -> Vec<(String, Value)> {
        let all = object["metadata"]["annotations"].as_object().into_iter().flatten();
        all.filter(|(k, _)| own.contains(&k.as_str()) == mine).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    of(deployment, true).into_iter().chain(of(set, false)).collect::<serde_json::Map<_, _>>().into()
}

/// What is said of a rollout, and whether it is done.
fn state(object: &Value, kind: &str, name: &str) -> Result<(String, bool)> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let n = |field: &str| number(&status[field]);
    let observed = number(&object["metadata"]["generation"]) <= number(&status["observedGeneration"]);
    match kind {
        "Deployment" => {
            if !observed {
                return Ok(("Waiting for deployment spec update to be observed...\n".into(), false));
            }
            if crate::pods::condition(object, "Progressing")
                .is_some_and(|c| c["reason"] == "ProgressDeadlineExceeded")
            {
                return Err(Error::text(format!("deployment \"{name}\" exceeded its progress deadline")));
            }
            let replicas = spec["replicas"].as_i64().unwrap_or(1);
            if n("updatedReplicas") < replicas {
                return Ok((
                    format!(
                        "Waiting for deployment \"{name}\" rollout to finish: {} out of {replicas} new replicas have been updated...\n",
                        n("updatedReplicas")
                    ),
                    false,
                ));
            }
            if n("replicas") > n("updatedReplicas") {
                return Ok((
                    format!(
                        "Waiting for deployment \"{name}\" rollout to finish: {} old replicas are pending termination...\n",
                        n("replicas") - n("updatedReplicas")
                    ),
                    false,
                ));
            }
            if n("availableReplicas") < n("updatedReplicas") {
                return Ok((
                    format!(
                        "Waiting for deployment \"{name}\" rollout to finish: {} of {} updated replicas are available...\n",
                        n("availableReplicas"),
                        n("updatedReplicas")
                    ),
                    false,
                ));
            }
            Ok((format!("deployment \"{name}\" successfully rolled out\n"), true))
        }
        "DaemonSet" => {
            if spec["updateStrategy"]["type"] != "RollingUpdate" {
                return Err(Error::text("rollout status is only available for RollingUpdate strategy type"));
            }
            if !observed {
                return Ok(("Waiting for daemon set spec update to be observed...\n".into(), false));
            }
            let desired = n("desiredNumberScheduled");
            if n("updatedNumberScheduled") < desired {
                return Ok((
                    format!(
                        "Waiting for daemon set \"{name}\" rollout to finish: {} out of {desired} new pods have been updated...\n",
                        n("updatedNumberScheduled")
                    ),
                    false,
                ));
            }
            if n("numberAvailable") < desired {
                return Ok((
                    format!(
                        "Waiting for daemon set \"{name}\" rollout to finish: {} of {desired} updated pods are available...\n",
                        n("numberAvailable")
                    ),
                    false,
                ));
            }
            Ok((format!("daemon set \"{name}\" successfully rolled out\n"), true))
        }
        _ => {
            if spec["updateStrategy"]["type"] != "RollingUpdate" {
                return Err(Error::text("rollout status is only available for RollingUpdate strategy type"));
            }
            if !observed {
                return Ok(("Waiting for statefulset spec update to be observed...\n".into(), false));
            }
            let replicas = spec["replicas"].as_i64().unwrap_or(1);
            if n("readyReplicas") < replicas {
                return Ok((
                    format!("Waiting for {} pods to be ready...\n", replicas - n("readyReplicas")),
                    false,
                ));
            }
            if let Some(partition) = spec["updateStrategy"]["rollingUpdate"]["partition"]
                .as_i64()
                .filter(|_| spec["updateStrategy"]["rollingUpdate"].is_object())
            {
                if n("updatedReplicas") < replicas - partition {
                    return Ok((
                        format!(
                            "Waiting for partitioned roll out to finish: {} out of {} new pods have been updated...\n",
                            n("updatedReplicas"),
                            replicas - partition
                        ),
                        false,
                    ));
                }
                return Ok((
                    format!(
                        "partitioned roll out complete: {} new pods have been updated...\n",
                        n("updatedReplicas")
                    ),
                    true,
                ));
            }
            if status["updateRevision"] != status["currentRevision"] {
                return Ok((
                    format!(
                        "waiting for statefulset rolling update to complete {} pods at revision {}...\n",
                        n("updatedReplicas"),
                        text(&status["updateRevision"])
                    ),
                    false,
                ));
            }
            Ok((
                format!(
                    "statefulset rolling update complete {} pods at revision {}...\n",
                    n("currentReplicas"),
                    text(&status["currentRevision"])
                ),
                true,
            ))
        }
    }
}

pub fn status(session: &Session) -> Result<()> {
    let (targets, mut failed) = targets(session)?;
    let timeout = session.call.duration("timeout");
    let deadline = (!timeout.is_zero()).then(|| SystemClock.monotonic() + timeout);
    if targets.is_empty() && failed.is_empty() {
        eprintln!("No resources found in {} namespace.", session.namespace()?.0);
        return Err(Error::Silent(1));
    }
    for target in &targets {
        if let Err(e) = follow(session, target, deadline) {
            failed.push(e);
        }
    }
    crate::verbs::create::outcome(failed)
}

fn follow(session: &Session, target: &Target, deadline: Option<Duration>) -> Result<()> {
    if !is_any(target, &["Deployment", "DaemonSet", "StatefulSet"]) {
        return Err(Error::text(format!("no status viewer has been implemented for {}", group_kind(target))));
    }
    let wanted = session.call.int("revision");
    let mut last = String::new();
    let mut progress = crate::hints::Progress::new(session, "");
    let mut see = |object: &Value, progress: &mut crate::hints::Progress| -> Result<bool> {
        progress.clear();
        progress.say(crate::hints::rollout(object, &target.name));
        if wanted > 0 && target.resource.kind == "Deployment" {
            let now = text(&object["metadata"]["annotations"][REVISION]).parse().unwrap_or(0);
            if now != wanted {
                return Err(Error::text(format!(
                    "desired revision ({wanted}) is different from the running revision ({now})"
                )));
            }
        }
        let (said, done) = state(object, &target.resource.kind, &target.name)?;
        if said != last {
            session.print(&said)?;
            last = said;
        }
        Ok(done || !session.call.is("watch"))
    };
    let name = format!("metadata.name={}", target.name);
    loop {
        let object = session.get(&target.path())?;
        if see(&object, &mut progress)? {
            return Ok(());
        }
        let version = text(&object["metadata"]["resourceVersion"]);
        let path = target.resource.path(&target.namespace, "")
            + &query(&[("fieldSelector", &name), ("resourceVersion", version), ("watch", "true")]);
        let done = session.block_on(async {
            let mut events = crate::stream::Events::connect(session, &Request::get(path)).await?;
            loop {
                tokio::select! {
                    event = events.read() => match event? {
                        Some((kind, object)) if kind == "MODIFIED" => {
                            if see(&object, &mut progress)? {
                                return Ok(true);
                            }
                        }
                        Some((kind, _)) if kind == "DELETED" => return Err(Error::text("object has been deleted")),
                        Some(_) => {}
                        None => return Ok(false),
                    },
                    () = progress.tick() => {}
                    () = until(deadline) => return Err(Error::text("timed out waiting for the condition")),
                }
            }
        })?;
        if done? {
            return Ok(());
        }
    }
}
