//! `get --watch`: what is there, and then what happens to it.

use serde_json::{Value, json};

use crate::discovery::query;
use crate::error::{Error, Result};
use crate::print::table::{self, Lines};
use crate::print::{Format, Printer, strip_managed};
use crate::session::{JSON, Request, Session, TABLE};
use crate::stream::Events;
use crate::targets::{Query, Work, complete};
use crate::verbs::get::{as_table, named_path, pages};

pub fn run(session: &Session, asked: &Query, mut printer: Option<Printer>) -> Result<()> {
    let call = &session.call;
    let works = asked.works(session)?;
    let [work] = &works[..] else {
        return Err(Error::text("you may only specify a single resource type"));
    };
    if call.is("watch") && !call.text("sort-by").is_empty() {
        eprintln!("warning: --watch requested, --sort-by will be ignored for watch events received");
    }
    let resource = work.resource().clone();
    let mut options = table::Options::of(call);
    options.namespace = asked.all_namespaces && resource.namespaced;
    if call.is("show-kind") {
        options.kind = resource.prefix();
    }
    let events = call.is("output-watch-events");
    let mut lines = if events { Lines::with_events() } else { Lines::default() };
    let mut show = |session: &Session, event: &str, object: Value| -> Result<()> {
        match &mut printer {
            None => {
                lines.add(&as_table(object), &options, event);
                session.print(&lines.aligned())
            }
            Some(printer) => {
                let mut object = object;
                complete(&mut object, &resource.api_version(), &resource.kind);
                match events {
                    true => session.print(&told(printer, event, object)?),
                    false => session.print(&printer.text(&object)?),
                }
            }
        }
    };
    let people = call.text("output").is_empty() || call.text("output") == "wide";
    let accept = if people { crate::verbs::get::columns(session) } else { JSON };
    let (path, fields, version) = start(session, asked, work, accept, &mut show)?;
    let mut watched = Query { field_selector: fields, ..asked.clone() };
    if watched.selector.is_empty() {
        watched.selector = asked.selector.clone();
    }
    let path = path
        + &query(&[
            ("fieldSelector", &watched.field_selector),
            ("labelSelector", &watched.selector),
            ("resourceVersion", &version),
            ("watch", "true"),
        ]);
    let mut stream = Events::open(session, &Request { accept, ..Request::get(path) })?;
    let deadline = session.timeout()?.map(|t| stdx::Clock::monotonic(&stdx::SystemClock) + t);
    loop {
        // A time limit ends a watch as the server's end does.
        let next = session.block_on(async {
            tokio::select! {
                next = stream.read() => next,
                () = crate::verbs::delete::until(deadline) => Ok(None),
            }
        })?;
        let Some((kind, object)) = next? else { break };
        match kind.as_str() {
            "BOOKMARK" => {}
            "ERROR" => {
                let status: apimachinery::Status =
                    serde_json::from_value(object).map_err(|e| Error::text(e.to_string()))?;
                return Err(status.into());
            }
            kind => show(session, kind, object)?,
        }
    }
    Ok(())
}

/// An event for machines. As JSON it is a line, its fields in the order of Go's type.
fn told(printer: &mut Printer, event: &str, mut object: Value) -> Result<String> {
    if !matches!(printer.format, Format::Json) {
        return printer.text(&json!({ "type": event, "object": object }));
    }
    if !printer.managed_fields {
        strip_managed(&mut object);
    }
    Ok(format!(
        "{{\"type\":{},\"object\":{}}}\n",
        crate::text::quote(event),
        crate::print::json::compact(&object)
    ))
}

type Show<'s> = &'s mut dyn FnMut(&Session, &str, Value) -> Result<()>;

/// Shows what is there; says what to watch, and from where.
fn start(
    session: &Session,
    asked: &Query,
    work: &Work,
    accept: &'static str,
    show: Show<'_>,
) -> Result<(String, String, String)> {
    let only = session.call.is("watch-only");
    let revision = |v: &Value| v["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    match work {
        Work::Named { resource, namespace, name, .. } => {
            let value = session.value(&Request { accept, ..Request::get(named_path(asked, work)) })?;
            let mut version = revision(&value);
            if version.is_empty() {
                version = table::rows(&value).next().map(|row| revision(&row["object"])).unwrap_or_default();
            }
            if !only {
                show(session, "ADDED", value)?;
            }
            Ok((resource.path(namespace, ""), format!("metadata.name={name}"), version))
        }
        Work::Listed { resource, namespace } => {
            let mut version = String::new();
            if accept == TABLE {
                pages(session, asked, resource, namespace, "", &mut |table| {
                    version = revision(&table);
                    if only { Ok(()) } else { show(session, "ADDED", table) }
                })?;
            } else {
                asked.pages(session, resource, namespace, accept, &mut |list| {
                    version = revision(list);
                    let items = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
                    items.into_iter().filter(|_| !only).try_for_each(|item| show(session, "ADDED", item))
                })?;
            }
            Ok((resource.path(namespace, ""), asked.field_selector.clone(), version))
        }
    }
}
