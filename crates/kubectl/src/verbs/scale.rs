//! `scale`: how many replicas there should be.

use http::Method;
use serde_json::{Value, json};
use stdx::{Clock, SystemClock};

use crate::change::{Change, DryRun, MERGE};
use crate::discovery::query;
use crate::error::{Error, Result};
use crate::session::{Request, Session};
use crate::targets::{Query, Target};

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    crate::verbs::create::required(session, &["replicas"])?;
    let replicas = call.int("replicas");
    if replicas < 0 {
        return Err(Error::text(
            "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0",
        ));
    }
    let query = Query::of(session, &call.args);
    let (targets, mut failed) = query.targets(session)?;
    let mut change = Change::new(session, "scaled")?.manager("kubectl-scale");
    if targets.len() > 1 && !call.text("resource-version").is_empty() {
        return Err(Error::text("cannot use --resource-version with multiple resources"));
    }
    for target in &targets {
        if let Err(e) = one(session, &mut change, target, replicas) {
            failed.push(e);
        }
    }
    if targets.is_empty() && failed.is_empty() {
        return Err(Error::text("no objects passed to scale"));
    }
    crate::verbs::create::outcome(failed)
}

fn one(session: &Session, change: &mut Change<'_>, target: &Target, replicas: i64) -> Result<()> {
    let call = &session.call;
    if change.dry_run == DryRun::Client {
        return change.show(&target.object);
    }
    set(
        session,
        change.dry_run,
        target,
        replicas,
        (call.int("current-replicas"), call.text("resource-version")),
    )?;
    if !call.duration("timeout").is_zero() {
        wait(session, target, replicas)?;
    }
    match change.in_words() {
        true => change.show(&target.object),
        false => change.show(&session.get(&target.path())?),
    }
}

/// Sets the number by the scale subresource, if the object is as expected.
pub fn set(
    session: &Session,
    dry: DryRun,
    target: &Target,
    replicas: i64,
    expected: (i64, &str),
) -> Result<Value> {
    let path = format!("{}/scale", target.path());
    let dry = if dry == DryRun::Server { "All" } else { "" };
    if expected == (-1, "") {
        let path = path + &query(&[("dryRun", dry)]);
        let patch = json!({ "spec": { "replicas": replicas } });
        return session.value(&Request { content_type: MERGE, ..Request::with(Method::PATCH, path, &patch) });
    }
    let mut scale = session.get(&path)?;
    let now = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if expected.0 != -1 && now != expected.0 {
        return Err(Error::text(format!("Expected replicas to be {}, was {now}", expected.0)));
    }
    let version = scale["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if !expected.1.is_empty() && version != expected.1 {
        return Err(Error::text(format!("Expected resource version to be {}, was {version}", expected.1)));
    }
    scale["spec"]["replicas"] = json!(replicas);
    session.value(&Request::with(Method::PUT, path + &query(&[("dryRun", dry)]), &scale))
}

fn wait(session: &Session, target: &Target, replicas: i64) -> Result<()> {
    let deadline = SystemClock.monotonic() + session.call.duration("timeout");
    loop {
        let scale = session.get(&format!("{}/scale", target.path()))?;
        if scale["status"]["replicas"].as_i64().unwrap_or(0) == replicas {
            return Ok(());
        }
        if SystemClock.monotonic() > deadline {
            return Err(Error::text(format!("timed out waiting for \"{}\" to be synced", target.name)));
        }
        session.pause(std::time::Duration::from_millis(100))?;
    }
}
