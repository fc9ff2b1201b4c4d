//! `wait`: until objects are as one wants them.

use std::time::Duration;

use serde_json::Value;
use stdx::{Clock, SystemClock};

use crate::discovery::query;
use crate::error::{Error, Result};
use crate::jsonpath::JsonPath;
use crate::session::{Request, Session};
use crate::targets::{Query, Target, Work};
use crate::verbs::delete::{uid, until, wait_gone};

/// What to wait for.
enum Wanted {
    Delete,
    Create,
    Condition { name: String, value: String },
    Path { path: JsonPath, value: Option<String> },
}

fn parse(text: &str) -> Result<Wanted> {
    let unknown = || Error::text(format!("unrecognized condition: {}", crate::text::quote(text)));
    match text.to_lowercase().as_str() {
        "delete" => return Ok(Wanted::Delete),
        "create" => return Ok(Wanted::Create),
        _ => {}
    }
    if let Some(condition) = text.strip_prefix("condition=") {
        let (name, value) = condition.split_once('=').unwrap_or((condition, "true"));
        return Ok(Wanted::Condition { name: name.to_owned(), value: value.to_owned() });
    }
    if let Some(spec) = text.strip_prefix("jsonpath=") {
        // A value stands after the last `=` that is outside the braces.
        let end = spec.rfind('}').map_or(0, |at| at + 1);
        let (path, value) = match spec[end..].split_once('=') {
            Some((rest, value)) => {
                (format!("{}{rest}", &spec[..end]), Some(value.trim_matches(['\'', '"']).to_owned()))
            }
            None => (spec.to_owned(), None),
        };
        if value.as_deref() == Some("") {
            return Err(Error::text(
                "jsonpath wait has to have a value after equal sign, like --for=jsonpath='{.status.readyReplicas}'=3",
            ));
        }
        let path = crate::print::custom::relaxed(path.trim_matches(['\'', '"']))?;
        let path = JsonPath::parse(&path).map_err(Error::text)?.allow_missing(true);
        return Ok(Wanted::Path { path, value });
    }
    Err(unknown())
}

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    let conditions = call.list("for");
    let mut wanted = Vec::new();
    if conditions.is_empty() {
        return Err(Error::text("unrecognized condition: []"));
    }
    for condition in &conditions {
        wanted.push(parse(condition)?);
    }
    let timeout = crate::text::duration::parse_nanoseconds(call.text("timeout")).unwrap_or(0);
    // Negative means a week, zero to look once.
    let timeout = match timeout {
        n if n < 0 => Duration::from_secs(7 * 24 * 3600),
        n => Duration::from_nanos(u64::try_from(n).unwrap_or(0)),
    };
    let deadline = SystemClock.monotonic() + timeout;
    let mut query = Query::of(session, &call.args);
    query.latest = false;
    let (mut any, mut failed) = (false, Vec::new());
    for want in &wanted {
        if matches!(want, Wanted::Create) {
            wait_created(session, &query, deadline)?;
        }
        let (targets, errors) = gather(session, &query, want)?;
        failed.extend(errors);
        for target in targets {
            any = true;
            match one(session, &target, want, deadline) {
                Ok(true) => session.println(&format!("{} condition met", target.shown()))?,
                Ok(false) => failed.push(Error::text(format!(
                    "timed out waiting for the condition on {}/{}",
                    target.resource.name, target.name
                ))),
                Err(e) => failed.push(e),
            }
        }
    }
    if !any && failed.is_empty() {
        if matches!(wanted[0], Wanted::Delete) {
            return Ok(());
        }
        return Err(Error::text("no matching resources found"));
    }
    crate::verbs::create::outcome(failed)
}

fn gather(session: &Session, query: &Query, want: &Wanted) -> Result<(Vec<Target>, Vec<Error>)> {
    let query = Query { latest: true, ..query.clone() };
    let (found, failed) = query.targets(session)?;
    let gone = matches!(want, Wanted::Delete);
    Ok((found, failed.into_iter().filter(|e| !(gone && e.is_not_found())).collect()))
}

fn wait_created(session: &Session, query: &Query, deadline: Duration) -> Result<()> {
    let query = Query { latest: true, ..query.clone() };
    loop {
        match query.targets(session)? {
            (found, failed) if !found.is_empty() && failed.is_empty() => return Ok(()),
            (_, failed) if failed.iter().any(|e| !e.is_not_found()) => {
                return crate::verbs::create::outcome(failed);
            }
            _ => {}
        }
        if SystemClock.monotonic() >= deadline {
            return Err(Error::text("timed out waiting for the condition"));
        }
        match &query.works(session)?[..] {
            [work] => watch_created(session, &query, work, deadline)?,
            // Several cannot be watched as one: stock looks twice a second, too.
            _ => session.pause(Duration::from_millis(500))?,
        }
    }
}

/// Until something of that name, or with those labels, is made; or nobody knows any more.
fn watch_created(session: &Session, asked: &Query, work: &Work, deadline: Duration) -> Result<()> {
    let (resource, namespace, fields) = match work {
        Work::Named { resource, namespace, name, .. } => {
            (resource, namespace, format!("metadata.name={name}"))
        }
        Work::Listed { resource, namespace } => (resource, namespace, asked.field_selector.clone()),
    };
    let selected = [("fieldSelector", fields.as_str()), ("labelSelector", asked.selector.as_str())];
    let path = resource.path(namespace, "");
    let list = session.get(&(path.clone() + &query(&selected)))?;
    if list["items"].as_array().is_some_and(|items| !items.is_empty()) {
        return Ok(());
    }
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let [fields, labels] = selected;
    let path = path + &query(&[fields, labels, ("resourceVersion", version), ("watch", "true")]);
    let seen: Result<()> = session.block_on(async {
        let mut events = crate::stream::Events::connect(session, &Request::get(path)).await?;
        loop {
            tokio::select! {
                event = events.read() => match event? {
                    Some((kind, _)) if kind == "BOOKMARK" => {}
                    _ => return Ok(()),
                },
                () = until(Some(deadline)) => return Ok(()),
            }
        }
    })?;
    seen
}

fn met(object: &Value, want: &Wanted) -> Result<bool> {
    match want {
        Wanted::Condition { name, value } => {
            let Some(conditions) = object["status"]["conditions"].as_array() else { return Ok(false) };
            let found =
                conditions.iter().find(|c| c["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case(name)));
            let Some(found) = found else { return Ok(false) };
            let stale =
                match (found["observedGeneration"].as_i64(), object["metadata"]["generation"].as_i64()) {
                    (Some(observed), Some(generation)) => observed < generation,
                    _ => match (
                        object["status"]["observedGeneration"].as_i64(),
                        object["metadata"]["generation"].as_i64(),
                    ) {
                        (Some(observed), Some(generation)) => observed < generation,
                        _ => false,
                    },
                };
            Ok(!stale && found["status"].as_str().is_some_and(|s| s.eq_ignore_ascii_case(value)))
        }
        Wanted::Path { path, value } => {
            let found: Vec<Value> = path.find(object).map_err(Error::text)?.into_iter().flatten().collect();
            match (&found[..], value) {
                ([], _) => Ok(false),
                ([_], None) => Ok(true),
                ([Value::Object(_) | Value::Array(_)], Some(_)) => {
                    Err(Error::text("jsonpath leads to a nested object or list which is not supported"))
                }
                ([one], Some(value)) => Ok(crate::jsonpath::shown(one).trim() == value.trim()),
                _ => Err(Error::text("given jsonpath expression matches more than one value")),
            }
        }
        Wanted::Create => Ok(true),
        Wanted::Delete => Ok(false),
    }
}

fn one(session: &Session, target: &Target, want: &Wanted, deadline: Duration) -> Result<bool> {
    if matches!(want, Wanted::Delete) {
        return match wait_gone(session, target, uid(&target.object), Some(deadline)) {
            Ok(()) => Ok(true),
            Err(Error::Text(text)) if text.starts_with("timed out") => Ok(false),
            Err(e) => Err(e),
        };
    }
    if met(&target.object, want)? {
        return Ok(true);
    }
    let name = format!("metadata.name={}", target.name);
    loop {
        let path = target.resource.path(&target.namespace, "");
        let list = session.get(&(path.clone() + &query(&[("fieldSelector", &name)])))?;
        match list["items"].as_array().and_then(|i| i.first()) {
            Some(object) if met(object, want)? => return Ok(true),
            Some(_) => {}
            None => {
                let resource = &target.resource;
                return Err(apimachinery::Status::failure(
                    404,
                    "NotFound",
                    format!("{} \"{}\" not found", resource.group_resource(), target.name),
                )
                .into());
            }
        }
        if SystemClock.monotonic() >= deadline {
            return Ok(false);
        }
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let path =
            path + &query(&[("fieldSelector", &name), ("resourceVersion", version), ("watch", "true")]);
        let mut progress = crate::hints::Progress::new(session, format!("waiting for {}", target.shown()));
        let done = session.block_on(async {
            let mut events = crate::stream::Events::connect(session, &Request::get(path)).await?;
            loop {
                tokio::select! {
                    () = progress.tick() => {}
                    event = events.read() => match event? {
                        Some((kind, object)) if kind == "MODIFIED" || kind == "ADDED" => {
                            if met(&object, want)? {
                                return Ok(Some(true));
                            }
                        }
                        Some((kind, _)) if kind == "DELETED" => return Ok(None),
                        Some(_) => {}
                        None => return Ok(None),
                    },
                    () = until(Some(deadline)) => return Ok(Some(false)),
                }
            }
        })?;
        let done: Result<Option<bool>> = done;
        if let Some(done) = done? {
            return Ok(done);
        }
    }
}
