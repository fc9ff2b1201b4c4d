//! `replace`: an object wholly as a file says; with `--force` by deleting it first.

use std::time::Duration;

use serde_json::Value;

use crate::change::{Change, DryRun, LAST_APPLIED, remember};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::targets::{Query, Target, Work};
use crate::verbs::delete::{Options, all, propagation, uid, wait_gone};

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    let query = Query { latest: false, ..Query::of(session, &[]) };
    if !call.text("raw").is_empty() {
        return raw(session);
    }
    if call.int("grace-period") >= 0 && !call.is("force") {
        return Err(Error::text("--grace-period must have --force specified"));
    }
    if !call.duration("timeout").is_zero() && !call.is("force") {
        return Err(Error::text("--timeout must have --force specified"));
    }
    if !query.has_files() {
        return Err(Error::text("must specify one of -f and -k"));
    }
    let mut change = Change::new(session, "replaced")?;
    if call.is("force") && change.dry_run != DryRun::None {
        return Err(Error::text("--dry-run can not be used when --force is set"));
    }
    let works = query.works(session)?;
    let mut failed = Vec::new();
    let mut targets = Vec::new();
    for work in works {
        let Work::Named { resource, namespace, name, source, object } = work else { continue };
        targets.push(Target { resource, namespace, name, source, object });
    }
    if targets.is_empty() {
        return Err(Error::text("no objects passed to replace"));
    }
    if call.is("force") {
        return forced(session, &mut change, &targets);
    }
    for target in &targets {
        match one(session, &mut change, target) {
            Ok(done) => change.show(&done)?,
            Err(e) => failed.push(e.during("replacing", &target.source)),
        }
    }
    crate::verbs::create::outcome(failed)
}

fn one(session: &Session, change: &mut Change<'_>, target: &Target) -> Result<Value> {
    let mut object = target.object.clone();
    if session.call.is("save-config") || object["metadata"]["annotations"][LAST_APPLIED].is_string() {
        remember(&mut object, false);
    }
    if change.dry_run == DryRun::Client {
        return Ok(object);
    }
    let mut path = target.path();
    if !session.call.text("subresource").is_empty() {
        path = format!("{path}/{}", session.call.text("subresource"));
    }
    // Who names no version means whichever is there.
    if object["metadata"]["resourceVersion"].as_str().unwrap_or_default().is_empty() {
        for _ in 0..5 {
            let current = session.get(&path)?;
            object["metadata"]["resourceVersion"] = current["metadata"]["resourceVersion"].clone();
            match change.update(&path, &object) {
                Err(e) if e.is_conflict() => {}
                done => return done,
            }
        }
    }
    change.update(&path, &object)
}

fn raw(session: &Session) -> Result<()> {
    let files = session.call.list("filename");
    let [file] = &files[..] else {
        return Err(Error::usage("replace", "--raw can only use a single local file or stdin"));
    };
    let body = std::fs::read(if file == "-" { "/dev/stdin" } else { file })
        .map_err(|e| crate::error::io("open", file, &e))?;
    let request = crate::session::Request {
        method: http::Method::PUT,
        body: body.into(),
        ..crate::session::Request::get(session.call.text("raw"))
    };
    session.print(&String::from_utf8_lossy(&session.send(&request)?.body))
}

fn forced(session: &Session, change: &mut Change<'_>, targets: &[Target]) -> Result<()> {
    let options = Options { ignore_missing: true, ..Options::of(session)? };
    let options = Options { force: false, ..options };
    let options = Options {
        wait: true,
        timeout: if options.timeout.is_zero() { Duration::from_secs(300) } else { options.timeout },
        ..options
    };
    crate::verbs::create::outcome(all(session, targets, &options)?)?;
    for target in targets {
        let mut object = target.object.clone();
        if session.call.is("save-config") {
            remember(&mut object, false);
        }
        let made = change.create(&target.resource, &target.namespace, &object)?;
        change.show(&made)?;
    }
    Ok(())
}

/// Deletes what is there and makes it anew.
pub fn anew(session: &Session, change: &Change<'_>, target: &Target, object: &Value) -> Result<Value> {
    let current = session.get(&target.path())?;
    let options = Options {
        dry_run: DryRun::None,
        grace: session.call.int("grace-period"),
        force: false,
        wait: false,
        timeout: Duration::ZERO,
        propagation: propagation("background")?,
        name_only: false,
        ignore_missing: true,
        quiet: true,
    };
    crate::verbs::create::outcome(all(session, std::slice::from_ref(target), &options)?)?;
    wait_gone(session, target, uid(&current), None)?;
    change.create(&target.resource, &target.namespace, object)
}
