//! `delete`: and waiting until it is done.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use stdx::{Clock, SystemClock};

use crate::change::{DryRun, dry_run};
use crate::discovery::query;
use crate::error::{Error, Result};
use crate::session::{Request, Session};
use crate::targets::{Query, Target, Work};

/// How to delete.
pub struct Options {
    pub dry_run: DryRun,
    /// Seconds; negative: as the kind says.
    pub grace: i64,
    pub force: bool,
    pub wait: bool,
    pub timeout: Duration,
    pub propagation: &'static str,
    pub name_only: bool,
    pub ignore_missing: bool,
    pub quiet: bool,
}

pub fn propagation(cascade: &str) -> Result<&'static str> {
    match cascade {
        "background" | "true" => Ok("Background"),
        "orphan" | "false" => Ok("Orphan"),
        "foreground" => Ok("Foreground"),
        other => Err(Error::text(format!(
            "invalid cascade value ({other}). Must be \"background\", \"foreground\", or \"orphan\""
        ))),
    }
}

impl Options {
    /// From the flags of `delete`, and of those commands that delete on the way.
    pub fn of(session: &Session) -> Result<Self> {
        let call = &session.call;
        let mut grace = call.int("grace-period");
        if call.has_flag("now") && call.is("now") {
            if grace != -1 {
                return Err(Error::text("--now and --grace-period cannot be specified together"));
            }
            grace = 1;
        }
        let force = call.is("force");
        if grace == 0 && !force {
            // To forget an object that is still running takes saying so twice; one second is nearly the same.
            grace = 1;
            if call.has_flag("wait") && !call.is("wait") {
                return Err(Error::text("--grace-period=0 requires --force or --wait"));
            }
        }
        if force && grace < 0 {
            grace = 0;
        }
        if force && grace > 0 && call.command.path == "delete" {
            return Err(Error::text(
                "--force and --grace-period greater than 0 cannot be specified together",
            ));
        }
        let output = call.text("output");
        let cascade = if call.has_flag("cascade") { call.text("cascade") } else { "background" };
        Ok(Options {
            dry_run: dry_run(call)?,
            grace,
            force,
            wait: call.is("wait"),
            timeout: call.duration("timeout"),
            propagation: propagation(cascade)?,
            name_only: output == "name",
            ignore_missing: call.has_flag("ignore-not-found") && call.is("ignore-not-found"),
            quiet: false,
        })
    }
}

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    if !call.text("raw").is_empty() {
        let reply = session.send(&Request { method: Method::DELETE, ..Request::get(call.text("raw")) })?;
        return session.print(&String::from_utf8_lossy(&reply.body));
    }
    let mut asked = Query::of(session, &call.args);
    asked.latest = false;
    if call.is("all") && (!asked.selector.is_empty() || !asked.field_selector.is_empty()) {
        return Err(Error::text(match asked.selector.is_empty() {
            false => "cannot set --all and --selector at the same time",
            true => "cannot set --all and --field-selector at the same time",
        }));
    }
    if !matches!(call.text("output"), "" | "name") {
        return Err(Error::text(format!(
            "unexpected -o output mode: {}. We only support '-o name'",
            call.text("output")
        )));
    }
    let options = Options::of(session)?;
    // What a selector does not find is no failure.
    let lists = call.is("all") || !asked.selector.is_empty() || !asked.field_selector.is_empty();
    let options = Options { ignore_missing: options.ignore_missing || lists, ..options };
    if options.force {
        session.note("Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.");
    }
    if call.is("all-namespaces")
        && !asked.args.is_empty()
        && !lists
        && !asked.args.iter().any(|a| a.contains('/'))
        && asked.args.len() == 1
    {
        return Err(Error::text("resource(s) were provided, but no name was specified"));
    }
    let works = asked.works(session)?;
    let mut failed = Vec::new();
    let mut targets = Vec::new();
    for work in works {
        match work {
            Work::Named { resource, namespace, name, source, object } => {
                targets.push(Target { resource, namespace, name, source, object });
            }
            Work::Listed { .. } => match (Query { latest: true, ..asked.clone() }).listed(session, &work) {
                Ok(found) => targets.extend(found),
                Err(e) => failed.push(e),
            },
        }
    }
    if call.has_flag("interactive") && call.is("interactive") && !confirm(session, &targets)? {
        return Ok(());
    }
    let count = targets.len();
    failed.extend(all(session, &targets, &options)?);
    if count == 0 && failed.is_empty() {
        session.println("No resources found")?;
    }
    crate::verbs::create::outcome(failed)
}

fn confirm(session: &Session, targets: &[Target]) -> Result<bool> {
    session.println(&format!("You are about to delete the following {} resource(s):", targets.len()))?;
    for target in targets {
        session.println(&target.shown())?;
    }
    session.print("Do you want to continue? (y/N): ")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if answer.trim().eq_ignore_ascii_case("y") {
        return Ok(true);
    }
    session.println("deletion is cancelled")?;
    Ok(false)
}

/// Deletes each, then waits for all where that is wished; what fails is returned.
pub fn all(session: &Session, targets: &[Target], options: &Options) -> Result<Vec<Error>> {
    let (mut failed, mut gone) = (Vec::new(), Vec::new());
    for target in targets {
        match one(session, target, options) {
            Ok(Some(uid)) => gone.push((target, uid)),
            Ok(None) => {}
            Err(e) => failed.push(e.during("deleting", &target.source)),
        }
    }
    if options.wait && options.dry_run == DryRun::None {
        let deadline = (!options.timeout.is_zero()).then(|| SystemClock.monotonic() + options.timeout);
        for (target, uid) in gone {
            if let Err(e) = wait_gone(session, target, &uid, deadline) {
                failed.push(e);
            }
        }
    }
    Ok(failed)
}

fn one(session: &Session, target: &Target, options: &Options) -> Result<Option<String>> {
    let mut body =
        json!({ "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": options.propagation });
    if options.grace >= 0 {
        body["gracePeriodSeconds"] = json!(options.grace);
    }
    if options.dry_run == DryRun::Server {
        body["dryRun"] = json!(["All"]);
    }
    let mut uid = String::new();
    if options.dry_run != DryRun::Client {
        let dry = if options.dry_run == DryRun::Server { "All" } else { "" };
        let path = target.path() + &query(&[("dryRun", dry)]);
        let answer = match session.value(&Request::with(Method::DELETE, path, &body)) {
            Err(e) if e.is_not_found() && options.ignore_missing => return Ok(None),
            answer => answer?,
        };
        let found = [&answer["metadata"]["uid"], &answer["details"]["uid"]];
        uid = found.iter().find_map(|v| v.as_str()).unwrap_or_default().to_owned();
    }
    if !options.quiet {
        session.println(&said(target, options))?;
    }
    Ok(Some(uid))
}

fn said(target: &Target, options: &Options) -> String {
    if options.name_only {
        return target.shown();
    }
    let mut text = format!("{} \"{}\"", target.resource.prefix(), target.name);
    text.push_str(if options.grace == 0 && options.force { " force deleted" } else { " deleted" });
    if target.resource.namespaced {
        text.push_str(&format!(" from {} namespace", target.namespace));
    }
    text.push_str(match options.dry_run {
        DryRun::None => "",
        DryRun::Client => " (dry run)",
        DryRun::Server => " (server dry run)",
    });
    text
}

/// Returns when the object of that uid is no more.
pub fn wait_gone(session: &Session, target: &Target, uid: &str, deadline: Option<Duration>) -> Result<()> {
    let name = format!("metadata.name={}", target.name);
    loop {
        let path = target.resource.path(&target.namespace, "") + &query(&[("fieldSelector", &name)]);
        let list = match session.get(&path) {
            Err(e) if e.is_not_found() || e.is_reason("MethodNotAllowed") => return Ok(()),
            list => list?,
        };
        let there = list["items"].as_array().and_then(|i| i.first()).cloned();
        let same = there.as_ref().is_some_and(|o| uid.is_empty() || o["metadata"]["uid"] == uid);
        if !same {
            return Ok(());
        }
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let path = target.resource.path(&target.namespace, "")
            + &query(&[("fieldSelector", &name), ("resourceVersion", version), ("watch", "true")]);
        let watched = session.block_on(async {
            let mut events = crate::stream::Events::connect(session, &Request::get(path)).await?;
            loop {
                tokio::select! {
                    event = events.read() => match event? {
                        Some((kind, _)) if kind == "DELETED" => return Ok(true),
                        Some((kind, _)) if kind == "ERROR" => return Ok(false),
                        Some(_) => {}
                        None => return Ok(false),
                    },
                    () = until(deadline) => {
                        return Err(Error::text(format!("timed out waiting for the condition on {}/{}", target.resource.name, target.name)));
                    }
                }
            }
        })?;
        if watched? {
            return Ok(());
        }
    }
}

/// Completes at a point of the monotonic clock; never without one.
pub async fn until(deadline: Option<Duration>) {
    match deadline {
        Some(at) => SystemClock.sleep(at.saturating_sub(SystemClock.monotonic())).await,
        None => std::future::pending().await,
    }
}

/// The `uid` of an object.
pub fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}
