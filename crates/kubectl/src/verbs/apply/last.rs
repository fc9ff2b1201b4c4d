//! `apply view-last-applied`, `set-last-applied`, `edit-last-applied`: the configuration that apply remembers.

use serde_json::{Value, json};

use crate::change::{Change, DryRun, LAST_APPLIED, MERGE, last_applied};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::targets::Query;

pub fn view(session: &Session) -> Result<()> {
    let call = &session.call;
    let mut query = Query::of(session, &call.args);
    query.whole_types = call.is("all");
    let output = call.text("output");
    if !matches!(output, "json" | "yaml") {
        return Err(Error::usage(
            "apply view-last-applied",
            format!("Unexpected -o output mode: {output}, the flag 'output' must be one of yaml|json"),
        ));
    }
    let targets = query.all(session)?;
    let mut texts = Vec::new();
    for target in &targets {
        let text = target.object["metadata"]["annotations"][LAST_APPLIED].as_str();
        // Stock says nothing of what was never applied, unless a file names it.
        if text.is_none() && !target.source.is_empty() {
            return Err(Error::text(format!(
                "error when no last-applied-configuration annotation found on resource: {}\n \"{}\": <nil>",
                target.name, target.source
            )));
        }
        texts.extend(text.map(str::to_owned));
    }
    for text in texts {
        let value: Value = serde_json::from_str(&text).map_err(|e| Error::text(e.to_string()))?;
        match output {
            "json" => session.print(&two_spaces(&value))?,
            _ => session.print(&codec::yaml::from_value(&value))?,
        }
    }
    Ok(())
}

/// JSON as this one command prints it.
fn two_spaces(value: &Value) -> String {
    let text = crate::print::json::pretty(value);
    let halved = text.lines().map(|line| {
        let spaces = line.len() - line.trim_start().len();
        format!("{}{}\n", " ".repeat(spaces / 2), line.trim_start())
    });
    halved.collect()
}

pub fn set(session: &Session) -> Result<()> {
    let call = &session.call;
    let query = Query { latest: false, ..Query::of(session, &[]) };
    if !query.has_files() {
        return Err(Error::text("must specify one of -f and -k"));
    }
    let mut change = Change::new(session, "configured")?;
    for work in query.works(session)? {
        let crate::targets::Work::Named { resource, namespace, name, source, object } = work else {
            continue;
        };
        let target = crate::targets::Target { resource, namespace, name, source, object };
        let current = session.get(&target.path())?;
        let before = current["metadata"]["annotations"][LAST_APPLIED].as_str();
        if before.is_none() && !call.is("create-annotation") {
            return Err(Error::text(format!(
                "no last-applied-configuration annotation found on resource: {}, to create the annotation, run the command with --create-annotation",
                target.name
            )));
        }
        let text = last_applied(&target.object, false);
        let read = |t: &str| serde_json::from_str::<Value>(t).ok();
        if before.and_then(read) == read(&text) {
            session.println(&format!("set-last-applied {}: no changes required.", target.name))?;
            continue;
        }
        let patch = json!({ "metadata": { "annotations": { LAST_APPLIED: text } } });
        match change.dry_run {
            DryRun::Client => change.show(&current)?,
            _ => {
                let done = change.patch(&target.path(), MERGE, &patch)?;
                change.show(&done)?;
            }
        }
    }
    Ok(())
}

pub fn edit(session: &Session) -> Result<()> {
    crate::verbs::edit::last_applied(session)
}
