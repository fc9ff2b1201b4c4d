//! `cordon`, `uncordon`, `drain`, `taint`.

use std::time::Duration;

use serde_json::{Value, json};
use stdx::{Clock, SystemClock};

use crate::change::{Change, DryRun, STRATEGIC, dry_run};
use crate::discovery::query;
use crate::error::{Error, Result};
use crate::session::{Request, Session};
use crate::targets::{Query, Target};
use crate::verbs::metadata::split_pairs;

fn nodes(session: &Session) -> Result<(Vec<Target>, Vec<Error>)> {
    let call = &session.call;
    let verb = call.path();
    let selector = call.text("selector").to_owned();
    if call.args.is_empty() && selector.is_empty() {
        return Err(Error::usage(verb, format!("USAGE: {verb} NODE [flags]")));
    }
    if !call.args.is_empty() && !selector.is_empty() {
        return Err(Error::text("cannot specify both a node name and a --selector option".to_string()));
    }
    let mut args: Vec<String> = Vec::new();
    let pairs = call.args.iter().any(|a| a.contains('/'));
    if !pairs {
        args.push("nodes".into());
    }
    args.extend(call.args.iter().cloned());
    let query = Query { args, selector, latest: true, chunk: 500, ..Query::default() };
    query.targets(session)
}

pub fn cordon(session: &Session) -> Result<()> {
    mark(session, true).and_then(|(_, failed)| crate::verbs::create::outcome(failed))
}

pub fn uncordon(session: &Session) -> Result<()> {
    mark(session, false).and_then(|(_, failed)| crate::verbs::create::outcome(failed))
}

fn suffix(dry: DryRun) -> &'static str {
    match dry {
        DryRun::None => "",
        DryRun::Client => " (dry run)",
        DryRun::Server => " (server dry run)",
    }
}

/// Closes nodes for new pods, or opens them; what was done is said.
fn mark(session: &Session, closed: bool) -> Result<(Vec<Target>, Vec<Error>)> {
    let dry = dry_run(&session.call)?;
    let (targets, mut failed) = nodes(session)?;
    let word = if closed { "cordon" } else { "uncordon" };
    for target in &targets {
        let name = format!("node/{}", target.name);
        let now = target.object["spec"]["unschedulable"] == true;
        if now == closed {
            session.println(&format!("{name} already {word}ed{}", suffix(dry)))?;
            continue;
        }
        let path = target.path() + &query(&[("dryRun", if dry == DryRun::Server { "All" } else { "" })]);
        let patch = match closed {
            true => json!({ "spec": { "unschedulable": true } }),
            false => json!({ "spec": { "unschedulable": null } }),
        };
        if dry != DryRun::Client {
            let request =
                Request { content_type: STRATEGIC, ..Request::with(http::Method::PATCH, path, &patch) };
            if let Err(e) = session.value(&request) {
                failed.push(Error::text(format!("unable to {word} node \"{}\": {e}", target.name)));
                continue;
            }
        }
        session.println(&format!("{name} {word}ed{}", suffix(dry)))?;
    }
    Ok((targets, failed))
}

pub fn drain(session: &Session) -> Result<()> {
    let dry = dry_run(&session.call)?;
    let (targets, failed) = mark(session, true)?;
    if !failed.is_empty() {
        return crate::verbs::create::outcome(failed);
    }
    for target in &targets {
        if let Err(e) = empty(session, target, dry) {
            eprintln!(
                "error: unable to drain node \"{}\" due to error: {}, continuing command...",
                target.name,
                several(&e.to_string())
            );
            return Err(Error::Plain(format!(
                "There are pending nodes to be drained:\n {}\n{e}",
                target.name
            )));
        }
        session.println(&format!("node/{} drained{}", target.name, suffix(dry)))?;
    }
    Ok(())
}

/// Several reasons in one line, as Go shows a list of errors.
fn several(why: &str) -> String {
    match why.contains('\n') {
        true => format!("[{}]", why.split('\n').collect::<Vec<_>>().join(", ")),
        false => why.to_owned(),
    }
}

/// Why a pod may not simply be evicted, or what to be told about.
enum Verdict {
    Evict,
    Skip,
    Warn(&'static str),
    Refuse(&'static str),
}

fn judge(session: &Session, pod: &Value) -> Result<Verdict> {
    let call = &session.call;
    let metadata = &pod["metadata"];
    if metadata["annotations"]["kubernetes.io/config.mirror"].is_string() {
        return Ok(Verdict::Skip);
    }
    let owners = metadata["ownerReferences"].as_array().into_iter().flatten();
    let controller = owners.into_iter().find(|o| o["controller"] == true);
    let ended = crate::verbs::logs::finished(pod);
    if controller.is_some_and(|c| c["kind"] == "DaemonSet") && !ended {
        return Ok(match call.is("ignore-daemonsets") {
            true => Verdict::Warn("ignoring DaemonSet-managed Pods"),
            false => {
                Verdict::Refuse("cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)")
            }
        });
    }
    if ended {
        return Ok(Verdict::Evict);
    }
    let local = pod["spec"]["volumes"].as_array().into_iter().flatten().any(|v| v["emptyDir"].is_object());
    if local && !call.is("delete-emptydir-data") {
        return Ok(Verdict::Refuse(
            "cannot delete Pods with local storage (use --delete-emptydir-data to override)",
        ));
    }
    if controller.is_none() && !call.is("force") {
        return Ok(Verdict::Refuse(
            "cannot delete Pods that declare no controller (use --force to override)",
        ));
    }
    if controller.is_none() {
        return Ok(Verdict::Warn("deleting Pods that declare no controller"));
    }
    Ok(Verdict::Evict)
}

fn empty(session: &Session, node: &Target, dry: DryRun) -> Result<()> {
    let call = &session.call;
    let fields = format!("spec.nodeName={}", node.name);
    let path = "/api/v1/pods".to_owned()
        + &query(&[
            ("fieldSelector", &fields),
            ("labelSelector", call.text("pod-selector")),
            ("limit", "500"),
        ]);
    let list = session.get(&path)?;
    let resource = session.discovery()?.find(session, "pods")?;
    let (mut going, mut warned, mut refused): (
        Vec<Target>,
        Vec<(&str, Vec<String>)>,
        Vec<(&str, Vec<String>)>,
    ) = Default::default();
    for pod in list["items"].as_array().into_iter().flatten() {
        let target = Target::of(resource.clone(), pod.clone());
        let name = format!("{}/{}", target.namespace, target.name);
        let note = |all: &mut Vec<(&'static str, Vec<String>)>, why: &'static str| match all
            .iter_mut()
            .find(|(w, _)| *w == why)
        {
            Some((_, names)) => names.push(name.clone()),
            None => all.push((why, vec![name.clone()])),
        };
        match judge(session, pod)? {
            Verdict::Evict => going.push(target),
            Verdict::Skip => {}
            Verdict::Warn(why) => {
                note(&mut warned, why);
                if why.starts_with("deleting") {
                    going.push(target);
                }
            }
            Verdict::Refuse(why) => note(&mut refused, why),
        }
    }
    let said = |all: &[(&str, Vec<String>)], between: &str| -> String {
        let each = all.iter().map(|(why, names)| format!("{why}: {}", names.join(", ")));
        each.collect::<Vec<_>>().join(between)
    };
    if !refused.is_empty() {
        return Err(Error::Plain(said(&refused, "\n")));
    }
    if !warned.is_empty() {
        eprintln!("Warning: {}", said(&warned, "; "));
    }
    evict_all(session, &going, dry)
}

fn evict_all(session: &Session, going: &[Target], dry: DryRun) -> Result<()> {
    let call = &session.call;
    let deadline =
        Some(call.duration("timeout")).filter(|t| !t.is_zero()).map(|t| SystemClock.monotonic() + t);
    let direct = call.is("disable-eviction");
    for pod in going {
        let word = if direct { "deleting" } else { "evicting" };
        if dry == DryRun::None {
            // As stock: of a deletion only its end is told.
            if !direct {
                session.println(&format!("{word} pod {}/{}", pod.namespace, pod.name))?;
            }
        } else {
            session.println(&format!("{word} pod {}/{}{}", pod.namespace, pod.name, suffix(dry)))?;
            continue;
        }
        evict(session, pod, direct, deadline)?;
    }
    if dry != DryRun::None {
        return Ok(());
    }
    for pod in going {
        crate::verbs::delete::wait_gone(session, pod, crate::verbs::delete::uid(&pod.object), deadline)?;
        let word = if direct { "deleted" } else { "evicted" };
        session.println(&format!("pod/{} {word}", pod.name))?;
    }
    Ok(())
}

/// Asks until disruption budgets allow it.
fn evict(session: &Session, pod: &Target, direct: bool, deadline: Option<Duration>) -> Result<()> {
    let mut options = json!({ "kind": "DeleteOptions", "apiVersion": "v1" });
    if session.call.int("grace-period") >= 0 {
        options["gracePeriodSeconds"] = json!(session.call.int("grace-period"));
    }
    loop {
        let request = match direct {
            true => Request::with(http::Method::DELETE, pod.path(), &options),
            false => {
                let body = json!({
                    "apiVersion": "policy/v1", "kind": "Eviction",
                    "metadata": { "name": pod.name, "namespace": pod.namespace }, "deleteOptions": options,
                });
                Request::with(http::Method::POST, format!("{}/eviction", pod.path()), &body)
            }
        };
        match session.value(&request) {
            Ok(_) => return Ok(()),
            Err(e) if e.is_not_found() => return Ok(()),
            Err(e) if e.is_reason("TooManyRequests") => {
                eprintln!(
                    "error when evicting pods/\"{}\" -n \"{}\" (will retry after 5s): {e}",
                    pod.name, pod.namespace
                );
                if deadline.is_some_and(|d| SystemClock.monotonic() > d) {
                    return Err(Error::text("global timeout reached"));
                }
                session.pause(Duration::from_secs(5))?;
            }
            Err(e) => {
                return Err(Error::text(format!(
                    "error when evicting pods/\"{}\" -n \"{}\": {e}",
                    pod.name, pod.namespace
                )));
            }
        }
    }
}

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Key, value, effect.
type Taint = (String, String, String);

fn parse_taints(pairs: &[String]) -> Result<(Vec<Taint>, Vec<Taint>)> {
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for spec in pairs {
        let bare = spec.strip_suffix('-');
        let text = bare.unwrap_or(spec);
        let (pair, effect) = text.split_once(':').unwrap_or((text, ""));
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !effect.is_empty() && !EFFECTS.contains(&effect) {
            return Err(Error::usage(
                "taint",
                format!("invalid taint effect: {effect}, unsupported taint effect"),
            ));
        }
        let taint = (key.to_owned(), value.to_owned(), effect.to_owned());
        if bare.is_some() {
            removed.push(taint);
            continue;
        }
        if effect.is_empty() {
            return Err(Error::usage("taint", format!("invalid taint spec: {spec}")));
        }
        if let Some(why) = apimachinery::names::qualified_name(key).first() {
            return Err(Error::usage("taint", format!("invalid taint spec: {spec}, {why}")));
        }
        if let Some(why) = apimachinery::names::label_value(value).first() {
            return Err(Error::usage("taint", format!("invalid taint spec: {spec}, {why}")));
        }
        added.push(taint);
    }
    Ok((added, removed))
}

pub fn taint(session: &Session) -> Result<()> {
    let call = &session.call;
    let is_pair = |arg: &String| arg.contains('=') || arg.contains(':') || arg.ends_with('-');
    let first = call.args.iter().position(is_pair).unwrap_or(call.args.len());
    let (objects, pairs) = (call.args[..first].to_vec(), call.args[first..].to_vec());
    let _ = split_pairs;
    if objects.is_empty() {
        return Err(Error::text("one or more resources must be specified as <resource> <name>"));
    }
    if pairs.is_empty() {
        return Err(Error::text("at least one taint update is required"));
    }
    let (added, removed) = parse_taints(&pairs)?;
    let query = Query::of(session, &objects);
    let resources = crate::targets::types(session, objects[0].split('/').next().unwrap_or_default())?;
    if resources.iter().any(|r| !r.is("", "Node")) {
        return Err(Error::text(format!(
            "invalid resource type {}, only node types are supported",
            objects[0]
        )));
    }
    let mut change = Change::new(session, "modified")?;
    for target in query.all(session)? {
        let current: Vec<Value> = target.object["spec"]["taints"].as_array().cloned().unwrap_or_default();
        let same = |t: &Value, (key, _, effect): &Taint| {
            t["key"] == **key && (effect.is_empty() || t["effect"] == **effect)
        };
        if !call.is("overwrite") && current.iter().any(|t| added.iter().any(|a| same(t, a))) {
            return Err(Error::text(format!(
                "node {} already has a taint(s) with same effect(s) and --overwrite is false",
                target.name
            )));
        }
        let mut wanted: Vec<Value> = added
            .iter()
            .map(|(key, value, effect)| match value.as_str() {
                "" => json!({ "key": key, "effect": effect }),
                value => json!({ "key": key, "value": value, "effect": effect }),
            })
            .collect();
        for taint in &removed {
            if !current.iter().any(|t| same(t, taint)) {
                let shown =
                    if taint.2.is_empty() { taint.0.clone() } else { format!("{}:{}", taint.0, taint.2) };
                return Err(Error::text(format!("taint \"{shown}\" not found")));
            }
        }
        let kept = current
            .iter()
            .filter(|t| !added.iter().any(|a| same(t, a)) && !removed.iter().any(|r| same(t, r)));
        wanted.extend(kept.cloned());
        change.operation(match (added.is_empty(), removed.is_empty()) {
            (false, true) if call.is("overwrite") => "modified",
            (false, true) => "tainted",
            (true, false) => "untainted",
            _ => "modified",
        });
        let mut object = target.object.clone();
        object["spec"]["taints"] = json!(wanted);
        if change.dry_run == DryRun::Client {
            change.without_suffix();
            change.show(&object)?;
            continue;
        }
        let patch = json!({ "spec": { "taints": wanted } });
        let done = change.patch(&target.path(), crate::change::MERGE, &patch)?;
        change.without_suffix();
        change.show(&done)?;
    }
    Ok(())
}
