//! `label` and `annotate`: pairs on objects.

use serde_json::{Map, Value, json};

use crate::change::{Change, DryRun, MERGE};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::targets::{Query, Target};

/// The two verbs differ in words and in where the pairs stand.
struct Words {
    field: &'static str,
    what: &'static str,
    done: &'static str,
}

const LABEL: Words = Words { field: "labels", what: "label", done: "labeled" };
const ANNOTATE: Words = Words { field: "annotations", what: "annotation", done: "annotated" };

pub fn label(session: &Session) -> Result<()> {
    run(session, &LABEL)
}

pub fn annotate(session: &Session) -> Result<()> {
    run(session, &ANNOTATE)
}

/// Arguments up to the first pair are objects, the rest must be pairs: `key=value` or `key-`.
pub fn split_pairs(args: &[String], what: &str) -> Result<(Vec<String>, Vec<String>)> {
    let pair = |arg: &String| arg.contains('=') || arg.ends_with('-') && arg.len() > 1;
    let first = args.iter().position(pair).unwrap_or(args.len());
    let (objects, pairs) = args.split_at(first);
    if let Some(stray) = pairs.iter().find(|a| !pair(a)) {
        return Err(Error::text(format!("all resources must be specified before {what} changes: {stray}")));
    }
    Ok((objects.to_vec(), pairs.to_vec()))
}

fn run(session: &Session, words: &Words) -> Result<()> {
    let call = &session.call;
    let (objects, pairs) = split_pairs(&call.args, words.what)?;
    let mut query = Query::of(session, &objects);
    query.latest = !call.is("local");
    query.only_local = call.is("local");
    if objects.is_empty() && !query.has_files() {
        return Err(Error::text(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        ));
    }
    let list = call.is("list");
    let (set, removed) = parse(&pairs, words)?;
    if set.is_empty() && removed.is_empty() && !list {
        return Err(Error::text(format!("at least one {} update is required", words.what)));
    }
    let version = call.text("resource-version");
    let targets = query.all(session)?;
    if !version.is_empty() && targets.len() > 1 {
        return Err(Error::text("--resource-version may only be used with a single resource"));
    }
    let mut change = Change::new(session, words.done)?;
    if words.field == "labels" {
        // Stock reads the flag and leaves it at that.
        change = change.manager(call.text("field-manager"));
    }
    let mut failed = Vec::new();
    for target in targets {
        if words.field == "labels" {
            // Each is printed as if it were alone.
            change.restart();
        }
        if let Err(e) = one(session, words, &mut change, target, (&set, &removed), list) {
            failed.push(e);
        }
    }
    crate::verbs::create::outcome(failed)
}

fn parse(pairs: &[String], words: &Words) -> Result<(Map<String, Value>, Vec<String>)> {
    let (mut set, mut removed) = (Map::new(), Vec::new());
    for pair in pairs {
        match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                let labels = words.field == "labels";
                if labels && let Some(why) = apimachinery::names::label_value(value).first() {
                    return Err(Error::text(format!(
                        "invalid label value: {}: {why}",
                        crate::text::quote(&format!("{key}={value}"))
                    )));
                }
                set.insert(key.to_owned(), json!(value));
            }
            Some(_) => return Err(Error::text(format!("invalid {} spec: {pair}", words.what))),
            None => removed.push(pair.trim_end_matches('-').to_owned()),
        }
    }
    if removed.iter().any(|key| set.contains_key(key)) {
        return Err(Error::text(format!(
            "can not both modify and remove {} {} in the same command",
            article(words.what),
            words.what
        )));
    }
    Ok((set, removed))
}

fn article(word: &str) -> &'static str {
    if word.starts_with('a') { "an" } else { "a" }
}

fn one(
    session: &Session,
    words: &Words,
    change: &mut Change<'_>,
    target: Target,
    (set, removed): (&Map<String, Value>, &Vec<String>),
    list: bool,
) -> Result<()> {
    let call = &session.call;
    let current = target.object["metadata"][words.field].as_object().cloned().unwrap_or_default();
    if list && set.is_empty() && removed.is_empty() {
        return print_list(session, &target, &current);
    }
    if !call.is("overwrite") {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let taken: Vec<String> = set
            .iter()
            .filter(|(key, value)| current.get(*key).is_some_and(|old| old != *value))
            .map(|(key, _)| format!("'{key}' already has a value ({})", text(&current[key])))
            .collect();
        if !taken.is_empty() {
            return Err(Error::text(match words.field {
                "labels" => format!("{}, and --overwrite is false", taken.join("; ")),
                _ => format!(
                    "--overwrite is false but found the following declared annotation(s): {}",
                    taken.join("; ")
                ),
            }));
        }
    }
    let mut wanted = current.clone();
    for key in removed {
        if wanted.remove(key).is_none() && words.field == "labels" {
            session.println(&format!("label \"{key}\" not found."))?;
        }
    }
    wanted.extend(set.clone());
    if words.field == "labels" {
        let said = match () {
            () if wanted == current => "not labeled",
            () if !call.is("overwrite") && wanted.len() < current.len() => "unlabeled",
            () => "labeled",
        };
        change.operation(said);
    }
    let mut updated = target.object.clone();
    updated["metadata"][words.field] = Value::Object(wanted.clone());
    if change.dry_run == DryRun::Client || call.is("local") {
        if wanted.is_empty()
            && let Some(metadata) = updated["metadata"].as_object_mut()
        {
            metadata.remove(words.field);
        }
        change.show(&updated)?;
    } else if wanted == current && call.text("resource-version").is_empty() && words.field == "labels" {
        change.show(&target.object)?;
    } else {
        let mut pairs = Map::new();
        for key in removed.iter().filter(|k| current.contains_key(*k)) {
            pairs.insert(key.clone(), Value::Null);
        }
        pairs.extend(set.clone());
        let mut patch = json!({ "metadata": { words.field: pairs } });
        if !call.text("resource-version").is_empty() {
            patch["metadata"]["resourceVersion"] = json!(call.text("resource-version"));
        }
        let done = change.patch(&target.path(), MERGE, &patch)?;
        change.show(&done)?;
    }
    match list {
        true => print_list(session, &target, &wanted),
        false => Ok(()),
    }
}

fn print_list(session: &Session, _target: &Target, pairs: &Map<String, Value>) -> Result<()> {
    for (key, value) in pairs {
        session.println(&format!("{key}={}", value.as_str().unwrap_or_default()))?;
    }
    Ok(())
}
