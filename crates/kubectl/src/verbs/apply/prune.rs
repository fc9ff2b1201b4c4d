//! `--prune`: what was applied once and is not in the files any more goes.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::change::{Change, DryRun, LAST_APPLIED};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::targets::{Query, Target};
use crate::verbs::delete::{Options, propagation, uid};

/// Kinds that are looked at unless `--prune-allowlist` says otherwise; the second half has no namespace.
const KINDS: &[(&str, &str, &str)] = &[
    ("", "v1", "ConfigMap"),
    ("", "v1", "Endpoints"),
    ("", "v1", "PersistentVolumeClaim"),
    ("", "v1", "Pod"),
    ("", "v1", "ReplicationController"),
    ("", "v1", "Secret"),
    ("", "v1", "Service"),
    ("batch", "v1", "Job"),
    ("batch", "v1", "CronJob"),
    ("networking.k8s.io", "v1", "Ingress"),
    ("apps", "v1", "DaemonSet"),
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "ReplicaSet"),
    ("apps", "v1", "StatefulSet"),
    ("", "v1", "Namespace"),
    ("", "v1", "PersistentVolume"),
];

pub fn run(session: &Session, change: &Change<'_>, seen: &[Target]) -> Result<()> {
    let call = &session.call;
    let mut kinds: Vec<(String, String, String)> = Vec::new();
    for entry in call.list("prune-allowlist") {
        let parts: Vec<&str> = entry.split('/').collect();
        let [group, version, kind] = parts[..] else {
            return Err(Error::text(format!(
                "invalid GroupVersionKind format: {entry}, please follow <group/version/kind>"
            )));
        };
        let group = if group == "core" { "" } else { group };
        kinds.push((group.into(), version.into(), kind.into()));
    }
    let given = !kinds.is_empty();
    if !given {
        kinds = KINDS.iter().map(|(g, v, k)| ((*g).to_owned(), (*v).to_owned(), (*k).to_owned())).collect();
    }
    let kept: BTreeSet<&str> = seen.iter().map(|t| uid(&t.object)).collect();
    let mut namespaces: BTreeSet<String> =
        seen.iter().map(|t| t.namespace.clone()).filter(|n| !n.is_empty()).collect();
    if namespaces.is_empty() {
        namespaces.insert(session.namespace()?.0);
    }
    let options = Options {
        dry_run: change.dry_run,
        grace: call.int("grace-period"),
        force: false,
        wait: false,
        timeout: Duration::ZERO,
        propagation: propagation(call.text("cascade"))?,
        name_only: false,
        ignore_missing: true,
        quiet: true,
    };
    let query = Query { selector: call.text("selector").to_owned(), chunk: 500, ..Query::default() };
    for (group, version, kind) in kinds {
        let api_version = if group.is_empty() { version } else { format!("{group}/{version}") };
        let resource = match session.discovery()?.of_kind(session, &api_version, &kind) {
            Ok(resource) => resource,
            // Of those that one names each has to be there.
            Err(_) if given => {
                return Err(Error::text(format!(
                    "no matches for kind \"{kind}\" in version \"{api_version}\""
                )));
            }
            Err(_) => continue,
        };
        let places: Vec<String> =
            if resource.namespaced { namespaces.iter().cloned().collect() } else { vec![String::new()] };
        for namespace in places {
            let work = crate::targets::Work::Listed { resource: resource.clone(), namespace };
            for target in query.listed(session, &work)? {
                let applied = target.object["metadata"]["annotations"][LAST_APPLIED].is_string();
                if !applied || kept.contains(uid(&target.object)) {
                    continue;
                }
                crate::verbs::create::outcome(crate::verbs::delete::all(
                    session,
                    std::slice::from_ref(&target),
                    &options,
                )?)?;
                let suffix = match change.dry_run {
                    DryRun::None => "",
                    DryRun::Client => " (dry run)",
                    DryRun::Server => " (server dry run)",
                };
                session.println(&format!("{} pruned{suffix}", target.shown()))?;
            }
        }
    }
    Ok(())
}
