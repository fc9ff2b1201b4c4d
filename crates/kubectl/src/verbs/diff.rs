//! `diff`: what apply would change, by the server's dry run.

use std::path::Path;

use serde_json::Value;

use crate::change::{Change, DryRun, patch_type};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::targets::{Query, Target, Work};

pub fn run(session: &Session) -> Result<()> {
    // Anything but a difference fails with more than one.
    compare(session).map_err(|e| match e {
        Error::Exit(..) | Error::Silent(1) => e,
        e => {
            let (text, _) = e.report();
            Error::Exit(2, text)
        }
    })
}

fn compare(session: &Session) -> Result<()> {
    let query = Query { latest: false, ..Query::of(session, &[]) };
    if !query.has_files() {
        return Err(Error::text("must specify one of -f and -k"));
    }
    let suffix = stdx::Random::from_os().name_suffix(10);
    let dirs = (
        std::env::temp_dir().join(format!("LIVE-{suffix}")),
        std::env::temp_dir().join(format!("MERGED-{suffix}")),
    );
    std::fs::create_dir_all(&dirs.0)?;
    std::fs::create_dir_all(&dirs.1)?;
    let written = write_all(session, &query, &dirs.0, &dirs.1);
    let outcome = written.and_then(|()| program(&dirs.0, &dirs.1));
    for dir in [&dirs.0, &dirs.1] {
        // A directory in /tmp that stays is the system's to clear.
        let _ = std::fs::remove_dir_all(dir);
    }
    outcome
}

fn write_all(session: &Session, query: &Query, live: &Path, merged: &Path) -> Result<()> {
    let mut change = Change::new(session, "diffed")?;
    change.dry_run = DryRun::Server;
    for work in query.works(session)? {
        let Work::Named { resource, namespace, name, source, object } = work else { continue };
        let target = Target { resource, namespace, name, source, object };
        let current = match session.get(&target.path()) {
            Ok(current) => Some(current),
            Err(e) if e.is_not_found() => None,
            Err(e) => return Err(e),
        };
        let wanted = wanted(session, &change, &target, current.as_ref())?;
        let r = &target.resource;
        let group = if r.group.is_empty() { String::new() } else { format!("{}.", r.group) };
        let file = format!("{group}{}.{}.{}.{}", r.version, r.kind, target.namespace, target.name);
        if let Some(current) = current {
            std::fs::write(live.join(&file), shown(session, &target, current))?;
        } else {
            // What is not there yet is an empty file.
            std::fs::write(live.join(&file), "")?;
        }
        std::fs::write(merged.join(&file), shown(session, &target, wanted))?;
    }
    Ok(())
}

fn wanted(session: &Session, change: &Change<'_>, target: &Target, current: Option<&Value>) -> Result<Value> {
    if session.call.is("server-side") {
        return change.apply(&target.path(), &target.object, session.call.is("force-conflicts"));
    }
    match current {
        None => change.create(&target.resource, &target.namespace, &target.object),
        Some(current) => {
            let patch = crate::verbs::apply::patch(target, &target.object, current)?;
            change.patch(&target.path(), patch_type(&target.resource), &patch)
        }
    }
}

fn shown(session: &Session, target: &Target, mut object: Value) -> String {
    if !session.call.is("show-managed-fields") {
        crate::print::strip_managed(&mut object);
    }
    if target.resource.is("", "Secret") && !session.call.is("show-secrets") {
        for (_, value) in object["data"].as_object_mut().into_iter().flatten() {
            *value = Value::String("***".into());
        }
    }
    codec::yaml::from_value(&object)
}

fn program(live: &Path, merged: &Path) -> Result<()> {
    let given = std::env::var("KUBECTL_EXTERNAL_DIFF").unwrap_or_default();
    let mut words: Vec<&str> = given.split_whitespace().collect();
    if words.is_empty() {
        words = vec!["diff", "-u", "-N"];
    }
    let status = std::process::Command::new(words[0]).args(&words[1..]).arg(live).arg(merged).status();
    match status {
        Err(e) => Err(Error::text(format!("failed to run \"{}\": {e}", words[0]))),
        Ok(status) => match status.code() {
            Some(0) => Ok(()),
            Some(1) => Err(Error::Silent(1)),
            code => Err(Error::text(format!(
                "failed to run \"{}\": exit status {}",
                words[0],
                code.unwrap_or(-1)
            ))),
        },
    }
}
