//! `apply`: makes objects be as files say, by the client's three-way patch or by the server; and its relatives.

pub mod applyset;
mod last;
mod prune;

use serde_json::{Value, json};

use crate::change::{Change, DryRun, LAST_APPLIED, remember};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::strategic;
use crate::targets::{Query, Target, Work};

pub use last::{edit, set, view};

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    let server_side = call.is("server-side");
    if call.is("force-conflicts") && !server_side {
        return Err(Error::text("--force-conflicts only works with --server-side"));
    }
    if server_side && crate::change::dry_run(call)? == DryRun::Client {
        return Err(Error::text(
            "--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)",
        ));
    }
    if call.is("force") && server_side {
        return Err(Error::text("--force cannot be used with --server-side"));
    }
    let query = Query { latest: false, ..Query::of(session, &[]) };
    if !query.has_files() {
        return Err(Error::text("must specify one of -f and -k"));
    }
    if !call.args.is_empty() {
        return Err(Error::usage("apply", format!("Unexpected args: [{}]", call.args.join(" "))));
    }
    let with_set = !call.text("applyset").is_empty();
    if with_set {
        applyset::check(session)?;
    }
    if call.is("prune") && !with_set && !call.is("all") && call.text("selector").is_empty() {
        return Err(Error::text(
            "all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all flag. If you did not mean to prune all resources, specify a label selector",
        ));
    }
    let mut change = Change::new(session, if server_side { "serverside-applied" } else { "configured" })?;
    if server_side && !call.changed("field-manager") {
        change = change.manager("kubectl");
    }
    // What is there already may not be wanted any more: those that were seen are not pruned.
    let (mut seen, mut failed) = (Vec::new(), Vec::new());
    let single = |n: usize| n == 1;
    let mut set = if with_set { Some(applyset::ApplySet::of(session)?) } else { None };
    let mut works = query.works(session)?;
    if let Some(set) = &mut set {
        for work in &mut works {
            if let Work::Named { resource, namespace, object, .. } = work {
                set.take(object, resource, namespace);
            }
        }
        set.before(&change)?;
    }
    if works.is_empty() {
        return Err(Error::text("no objects passed to apply"));
    }
    let mut shown = Vec::new();
    for work in works {
        let Work::Named { resource, namespace, name, source, object } = work else { continue };
        let target = Target { resource, namespace, name, source, object };
        match one(session, &mut change, &target, server_side) {
            Ok((object, said)) => {
                seen.push(Target { object: object.clone(), ..target });
                match change.in_words() {
                    true => {
                        change.operation(said);
                        change.show(&object)?;
                    }
                    false => shown.push(object),
                }
            }
            Err(e) => failed.push(e),
        }
    }
    match shown.len() {
        0 => {}
        n if single(n) => change.show(&shown[0])?,
        _ => change.show(&json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": shown }))?,
    }
    match &set {
        Some(set) if failed.is_empty() => {
            set.prune(session, &change, &seen)?;
            set.after(&change)?;
        }
        None if call.is("prune") && failed.is_empty() => prune::run(session, &change, &seen)?,
        _ => {}
    }
    crate::verbs::create::outcome(failed)
}

/// The object as it is afterwards, and what happened to it.
fn one(
    session: &Session,
    change: &mut Change<'_>,
    target: &Target,
    server_side: bool,
) -> Result<(Value, &'static str)> {
    if target.name.is_empty() {
        if target.object["metadata"]["generateName"].is_string() {
            let generated = target.object["metadata"]["generateName"].as_str().unwrap_or_default();
            return Err(Error::text(format!("from {generated}: cannot use generate name with apply")));
        }
        return Err(Error::text(
            "error when retrieving current configuration of: resource name may not be empty",
        ));
    }
    if server_side {
        return by_server(session, change, target);
    }
    let mut modified = target.object.clone();
    remember(&mut modified, false);
    let current = match session.get(&target.path()) {
        Ok(current) => current,
        Err(e) if e.is_not_found() => {
            if change.dry_run == DryRun::Client {
                return Ok((modified, "created"));
            }
            let made = change
                .create(&target.resource, &target.namespace, &modified)
                .map_err(|e| e.during("creating", &target.source))?;
            return Ok((made, "created"));
        }
        Err(e) => return Err(retrieving(target, e)),
    };
    if current["metadata"]["annotations"][LAST_APPLIED].is_null() {
        session.note(&format!(
            "resource {}/{} is missing the {LAST_APPLIED} annotation which is required by kubectl apply. kubectl apply should only be used on resources created declaratively by either kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically.",
            target.resource.name, target.name
        ));
    }
    if change.dry_run == DryRun::Client {
        let patch = patch(target, &modified, &current)?;
        let patched = local(target, &current, &patch)?;
        let same = patch.as_object().is_some_and(serde_json::Map::is_empty);
        return Ok((patched, if same { "unchanged" } else { "configured" }));
    }
    send(session, change, target, &modified, current)
}

fn retrieving(target: &Target, error: Error) -> Error {
    let r = &target.resource;
    let place = format!(
        "Resource: \"{}, Resource={}\", GroupVersionKind: \"{}, Kind={}\"\nName: \"{}\", Namespace: \"{}\"",
        r.api_version(),
        r.name,
        r.api_version(),
        r.kind,
        target.name,
        target.namespace
    );
    match error {
        Error::Status(mut status) => {
            status.message = format!(
                "error when retrieving current configuration of:\n{place}\nfrom server for: \"{}\": {}",
                target.source, status.message
            );
            Error::Status(status)
        }
        other => other,
    }
}

/// Sends the patch; of a write that came between, five times anew.
fn send(
    session: &Session,
    change: &mut Change<'_>,
    target: &Target,
    modified: &Value,
    mut current: Value,
) -> Result<(Value, &'static str)> {
    for last in (0..5).rev() {
        let patch = patch(target, modified, &current)?;
        if patch.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok((current, "unchanged"));
        }
        let kind = crate::change::patch_type(&target.resource);
        let said = |e: Error| patching(target, &patch, e);
        match change.patch(&target.path(), kind, &patch) {
            Err(e) if e.is_conflict() && last > 0 => current = session.get(&target.path())?,
            Err(e) if (e.is_conflict() || e.is_reason("Invalid")) && session.call.is("force") => {
                return crate::verbs::replace::anew(session, change, target, modified)
                    .map(|made| (made, "configured"));
            }
            done => return Ok((done.map_err(said)?, "configured")),
        }
    }
    Ok((current, "unchanged"))
}

fn patching(target: &Target, patch: &Value, error: Error) -> Error {
    let r = &target.resource;
    match error {
        Error::Status(mut status) if status.reason != "Invalid" => {
            status.message = format!(
                "error when applying patch:\n{}\nto:\nResource: \"{}, Resource={}\", GroupVersionKind: \"{}, Kind={}\"\nName: \"{}\", Namespace: \"{}\"\nfor: \"{}\": error when patching \"{}\": {}",
                crate::print::json::compact(patch),
                r.api_version(),
                r.name,
                r.api_version(),
                r.kind,
                target.name,
                target.namespace,
                target.source,
                target.source,
                status.message
            );
            Error::Status(status)
        }
        other => other,
    }
}

/// The three-way patch.
pub fn patch(target: &Target, modified: &Value, current: &Value) -> Result<Value> {
    let original = match current["metadata"]["annotations"][LAST_APPLIED].as_str() {
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| json!({})),
        None => json!({}),
    };
    let r = &target.resource;
    let of = facts::kind(&r.group, &r.version, &r.kind);
    Ok(strategic::three_way(&original, modified, current, of))
}

/// The patch applied in our own hands.
pub fn local(target: &Target, current: &Value, patch: &Value) -> Result<Value> {
    let r = &target.resource;
    Ok(match facts::kind(&r.group, &r.version, &r.kind) {
        Some(of) => {
            apimachinery::patch::strategic_merge(current.clone(), patch.clone(), codec::schema::of_type(of))?
        }
        None => apimachinery::patch::merge_patch(current.clone(), patch.to_string().as_bytes())?,
    })
}

fn by_server(session: &Session, change: &mut Change<'_>, target: &Target) -> Result<(Value, &'static str)> {
    let call = &session.call;
    let mut path = target.path();
    if call.has_flag("subresource") && !call.text("subresource").is_empty() {
        path = format!("{path}/{}", call.text("subresource"));
    }
    let force = call.is("force-conflicts");
    match change.apply(&path, &target.object, force) {
        Err(Error::Status(mut status)) if status.reason == "Conflict" => {
            status.message = format!(
                "{}\nPlease review the fields above--they currently have other managers. Here\nare the ways you can resolve this warning:\n* If you intend to manage all of these fields, please re-run the apply\n  command with the `--force-conflicts` flag.\n* If you do not intend to manage all of the fields, please edit your\n  manifest to remove references to the fields that should keep their\n  current managers.\n* You may co-own fields by updating your manifest to match the existing\n  value; in this case, you'll become the manager if the other manager(s)\n  stop managing the field (remove it from their configuration).\nSee https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts",
                status.message
            );
            Err(Error::Text(status.message))
        }
        done => Ok((done?, "serverside-applied")),
    }
}
