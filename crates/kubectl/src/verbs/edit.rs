//! `edit`: objects in the user's editor, until what comes back is taken.

use std::io::Write;

use serde_json::Value;

use crate::change::{Change, LAST_APPLIED, last_applied as remembered, patch_type};
use crate::error::{Error, Result};
use crate::print::json;
use crate::session::Session;
use crate::strategic;
use crate::targets::Query;

const NOTE: &str = "# Please edit the object below. Lines beginning with a '#' will be ignored,
# and an empty file will abort the edit. If an error occurs while saving this file will be
# reopened with the relevant failures.
#
";

pub fn run(session: &Session) -> Result<()> {
    let query = Query::of(session, &session.call.args);
    let targets = query.all(session)?;
    let mut change = Change::new(session, "edited")?;
    for mut target in targets {
        if !session.call.is("show-managed-fields") {
            crate::print::strip_managed(&mut target.object);
        }
        let before = target.object.clone();
        let mut take = |edited: &Value| -> Result<()> {
            let r = &target.resource;
            let patch = strategic::two_way(&before, edited, facts::kind(&r.group, &r.version, &r.kind));
            if session.call.is("output-patch") {
                session.println(&format!("Patch: {}", json::compact(&patch)))?;
            }
            let mut path = target.path();
            if !session.call.text("subresource").is_empty() {
                path = format!("{path}/{}", session.call.text("subresource"));
            }
            let done = change.patch(&path, patch_type(r), &patch)?;
            change.show(&done)
        };
        attempt(session, &target.name, &before, &mut take)?;
    }
    Ok(())
}

/// `create --edit`
pub fn create(session: &Session, query: &Query) -> Result<()> {
    let mut change = Change::new(session, "created")?;
    for work in query.works(session)? {
        let crate::targets::Work::Named { resource, namespace, name, object, .. } = work else { continue };
        let mut take = |edited: &Value| {
            let made = change.create(&resource, &namespace, edited)?;
            change.show(&made)
        };
        // What is to be created may be left as it is.
        attempt_from(session, &name, &object, false, &mut take)?;
    }
    Ok(())
}

/// `apply edit-last-applied`
pub fn last_applied(session: &Session) -> Result<()> {
    let query = Query::of(session, &session.call.args);
    let mut change = Change::new(session, "edited")?;
    for target in query.all(session)? {
        let Some(text) = target.object["metadata"]["annotations"][LAST_APPLIED].as_str() else {
            return Err(Error::text(
                "no last-applied-configuration annotation found on resources, to create the annotation, use command `kubectl apply set-last-applied --create-annotation`",
            ));
        };
        let before: Value = serde_json::from_str(text).map_err(|e| Error::text(e.to_string()))?;
        let mut take = |edited: &Value| {
            let text = remembered(edited, false);
            let patch = serde_json::json!({ "metadata": { "annotations": { LAST_APPLIED: text } } });
            let done = change.patch(&target.path(), crate::change::MERGE, &patch)?;
            change.show(&done)
        };
        attempt(session, &target.name, &before, &mut take)?;
    }
    Ok(())
}

fn attempt(
    session: &Session,
    name: &str,
    before: &Value,
    take: &mut dyn FnMut(&Value) -> Result<()>,
) -> Result<()> {
    attempt_from(session, name, before, true, take)
}

/// The editor again and again, with what was wrong on top, until the change is taken or given up.
fn attempt_from(
    session: &Session,
    name: &str,
    before: &Value,
    must_change: bool,
    take: &mut dyn FnMut(&Value) -> Result<()>,
) -> Result<()> {
    let as_json = session.call.text("output") == "json";
    let mut body = if as_json { json::pretty(before) + "\n" } else { codec::yaml::from_value(before) };
    let mut complaint = String::new();
    loop {
        let original = format!("{NOTE}{complaint}{body}");
        let (edited, path) = editor(name, &original, as_json)?;
        let keep = |path: &std::path::Path| {
            format!("A copy of your changes has been stored to \"{}\"\n", path.display())
        };
        let text: String = edited.lines().filter(|l| !l.starts_with('#')).map(|l| format!("{l}\n")).collect();
        if text.trim().is_empty() {
            eprintln!("Edit cancelled, saved file was empty.");
            let _ = std::fs::remove_file(path);
            return Ok(());
        }
        let unchanged = text.trim() == body.trim();
        if unchanged && !complaint.is_empty() {
            eprint!("{}", keep(&path));
            return Err(Error::text("Edit cancelled, no valid changes were saved."));
        }
        if unchanged && must_change {
            eprintln!("Edit cancelled, no changes made.");
            let _ = std::fs::remove_file(path);
            return Ok(());
        }
        let outcome =
            codec::yaml::to_value(text.as_bytes()).map_err(Error::text).and_then(|value| take(&value));
        let _ = std::fs::remove_file(&path);
        match outcome {
            Ok(()) => return Ok(()),
            Err(error) => {
                let (said, _) = error.report();
                complaint = said.lines().map(|l| format!("# {l}\n")).collect::<String>() + "#\n";
                body = text;
            }
        }
    }
}

/// What the user made of a text, and the file it was in.
fn editor(name: &str, text: &str, as_json: bool) -> Result<(String, std::path::PathBuf)> {
    let suffix = if as_json { "json" } else { "yaml" };
    let path = std::env::temp_dir()
        .join(format!("kubectl-edit-{name}-{}.{suffix}", stdx::Random::from_os().name_suffix(10)));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    file.write_all(text.as_bytes())?;
    drop(file);
    let env = |n: &str| std::env::var(n).ok().filter(|v| !v.trim().is_empty());
    let command = env("KUBE_EDITOR").or_else(|| env("EDITOR")).unwrap_or_else(|| "vi".into());
    let status = std::process::Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("{command} \"$1\""))
        .arg("sh")
        .arg(&path)
        .status()
        .map_err(|e| {
            Error::text(format!("unable to launch the editor {}: {e}", crate::text::quote(&command)))
        })?;
    if !status.success() {
        let _ = std::fs::remove_file(&path);
        return Err(Error::text(format!(
            "there was a problem with the editor {}",
            crate::text::quote(&command)
        )));
    }
    Ok((std::fs::read_to_string(&path)?, path))
}
