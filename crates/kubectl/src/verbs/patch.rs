//! `patch`: a change as it is written.

use serde_json::Value;

use crate::change::{Change, DryRun, JSON_PATCH, MERGE, STRATEGIC};
use crate::error::{Error, Result, io};
use crate::session::Session;
use crate::targets::{Query, Target};

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    let (inline, file) = (call.text("patch"), call.text("patch-file"));
    match (inline.is_empty(), file.is_empty()) {
        (true, true) => {
            return Err(Error::text(
                "must specify --patch or --patch-file containing the contents of the patch",
            ));
        }
        (false, false) => return Err(Error::text("cannot specify --patch and --patch-file together")),
        _ => {}
    }
    let kind = match call.text("type").to_lowercase().as_str() {
        "json" => JSON_PATCH,
        "merge" => MERGE,
        "strategic" | "" => STRATEGIC,
        other => {
            return Err(Error::text(format!(
                "--type must be one of [json merge strategic], not \"{other}\""
            )));
        }
    };
    let text = match file {
        "" => inline.as_bytes().to_vec(),
        "-" => {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin(), &mut text)?;
            text
        }
        path => std::fs::read(path)
            .map_err(|e| Error::text(format!("unable to read patch file: {}", io("open", path, &e))))?,
    };
    let shown = String::from_utf8_lossy(&text).into_owned();
    let json = shown.trim_start().starts_with(['{', '[']) && serde_json::from_str::<Value>(&shown).is_err();
    // What begins as JSON goes to the server as it is, broken or not.
    let patch = match json {
        true => Value::Null,
        false => codec::yaml::to_value(&text)
            .map_err(|e| Error::text(format!("unable to parse {}: {e}", crate::text::quote(&shown))))?,
    };
    let mut query = Query::of(session, &call.args);
    query.latest = !call.is("local");
    query.only_local = call.is("local");
    let targets = query.all(session)?;
    if targets.is_empty() {
        return Err(Error::text("no objects passed to patch"));
    }
    let mut change = Change::new(session, "patched")?;
    for target in targets {
        let local = call.is("local") || change.dry_run == DryRun::Client;
        let done = match local {
            true => here(&target, kind, &patch)?,
            false => {
                let path = match call.text("subresource") {
                    "" => target.path(),
                    sub => format!("{}/{sub}", target.path()),
                };
                match json {
                    true => change.patch_text(&path, kind, text.clone())?,
                    false => change.patch(&path, kind, &patch)?,
                }
            }
        };
        let same = unchanged(&target.object, &done);
        change.operation(if same { "patched (no change)" } else { "patched" });
        if change.dry_run == DryRun::Server {
            // As stock: only what is done here says that it is not done there.
            change.without_suffix();
        }
        change.show(&done)?;
    }
    Ok(())
}

fn unchanged(old: &Value, new: &Value) -> bool {
    old == new
}

/// The patch applied in our own hands.
fn here(target: &Target, kind: &str, patch: &Value) -> Result<Value> {
    let bytes = patch.to_string();
    let object = target.object.clone();
    let done = match kind {
        JSON_PATCH => apimachinery::patch::json_patch(object, bytes.as_bytes()),
        MERGE => apimachinery::patch::merge_patch(object, bytes.as_bytes()),
        _ => {
            let r = &target.resource;
            let Some(of) = facts::kind(&r.group, &r.version, &r.kind) else {
                return Err(Error::text(format!(
                    "no kind \"{}\" is registered for version \"{}\"",
                    r.kind,
                    r.api_version()
                )));
            };
            apimachinery::patch::strategic_merge(object, patch.clone(), codec::schema::of_type(of))
        }
    };
    Ok(done?)
}
