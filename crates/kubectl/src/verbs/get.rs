//! `get`: shows objects. Tables come from the server, page by page; everything else is the objects themselves.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::discovery::{Resource, query};
use crate::error::{Error, Result};
use crate::hints;
use crate::print::table::{self, Lines};
use crate::print::{Printer, sort};
use crate::session::{JSON, Request, Session, TABLE};
use crate::targets::{Query, Work, complete};
use crate::verbs::watch;

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    if !call.text("raw").is_empty() {
        return raw(session);
    }
    let mut query = Query::of(session, &call.args);
    query.whole_types = true;
    query.required = false;
    if call.really {
        query.args = really_all(session, &call.args)?;
    }
    let printer = Printer::of(call, true)?;
    if call.is("output-watch-events") && !(call.is("watch") || call.is("watch-only")) {
        return Err(Error::text(
            "--output-watch-events option can only be used with --watch or --watch-only",
        ));
    }
    if call.args.is_empty() && !query.has_files() {
        eprintln!(
            "You must specify the type of resource to get. Use \"kubectl api-resources\" for a complete list of supported resources.\n"
        );
        return Err(Error::usage(
            "get",
            "Required resource not specified.\nUse \"kubectl explain <resource>\" for a detailed description of that resource (e.g. kubectl explain pods).",
        ));
    }
    if call.is("watch") || call.is("watch-only") {
        return watch::run(session, &query, printer);
    }
    match printer {
        Some(printer) => objects(session, &query, printer),
        None => tables(session, &query),
    }
}

/// `all`, and all means all: every kind that is in namespaces and can be listed, each once, but for what only tells of others.
fn really_all(session: &Session, args: &[String]) -> Result<Vec<String>> {
    if args.first().map(String::as_str) != Some("all") {
        return Err(Error::text("--really goes with `get all` only"));
    }
    let mut kinds: Vec<(String, String)> = Vec::new();
    for r in session.discovery()?.all() {
        let listed = r.namespaced && r.verbs.iter().any(|v| v == "list");
        let copy = r.is("", "Event") || r.group == "events.k8s.io" || r.group == "metrics.k8s.io";
        let known = kinds.iter().any(|(name, group)| *name == r.name && *group == r.group);
        if listed && !copy && !known {
            kinds.push((r.name.clone(), r.group.clone()));
        }
    }
    let names = kinds
        .into_iter()
        .map(|(name, group)| if group.is_empty() { name } else { format!("{name}.{group}") });
    Ok(vec![names.collect::<Vec<_>>().join(",")])
}

fn raw(session: &Session) -> Result<()> {
    let call = &session.call;
    let path = call.text("raw");
    let conflicts = [
        (
            !call.args.is_empty() || !call.list("filename").is_empty(),
            "arguments may not be passed when --raw is specified",
        ),
        (
            call.is("watch") || call.is("watch-only"),
            "--raw may not be specified with other flags that filter the server request or alter the output",
        ),
        (!call.text("output").is_empty(), "--raw and --output are mutually exclusive"),
        (
            !call.text("selector").is_empty(),
            "--raw may not be specified with other flags that filter the server request or alter the output",
        ),
    ];
    if let Some((_, why)) = conflicts.iter().find(|(is, _)| *is) {
        return Err(Error::usage("get", why));
    }
    if !path.starts_with('/') {
        return Err(Error::usage("get", "--raw must be a valid URL path: it begins with a slash"));
    }
    let reply = session.send(&Request { accept: "application/json, */*", ..Request::get(path) })?;
    session.print(&String::from_utf8_lossy(&reply.body))
}

/// Objects for machines: one alone is itself, several are a list.
fn objects(session: &Session, query: &Query, mut printer: Printer) -> Result<()> {
    let mut failed = Vec::new();
    let (mut found, mut single) = (Vec::new(), true);
    let works = query.works(session)?;
    single &= works.len() == 1;
    for work in works {
        match read(session, query, &work) {
            Ok((mut items, is_list)) => {
                single &= !is_list;
                found.append(&mut items);
            }
            Err(e) if e.is_not_found() && session.call.is("ignore-not-found") => {}
            Err(e) => failed.push(e),
        }
    }
    if !session.call.text("sort-by").is_empty() {
        sort::by(&mut found, session.call.text("sort-by"), true, |v| v)?;
    }
    if found.is_empty() && single && (!failed.is_empty() || session.call.is("ignore-not-found")) {
        return outcome(failed);
    }
    let text = match (single, found.len()) {
        (true, 1) => printer.text(&found[0])?,
        _ => printer.text(&json!({
            "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": "" }, "items": found,
        }))?,
    };
    if !found.is_empty() || failed.is_empty() {
        session.print(&text)?;
    }
    outcome(failed)
}

fn outcome(mut failed: Vec<Error>) -> Result<()> {
    match failed.len() {
        0 => Ok(()),
        1 => Err(failed.remove(0)),
        _ => Err(Error::Many(failed)),
    }
}

/// The objects of one piece of work, and whether it asked for a list.
fn read(session: &Session, query: &Query, work: &Work) -> Result<(Vec<Value>, bool)> {
    match work {
        Work::Named { .. } => Ok((vec![session.get(&named_path(query, work))?], false)),
        Work::Listed { resource, namespace } => {
            let mut found = Vec::new();
            let api_version = resource.api_version();
            query.pages(session, resource, namespace, JSON, &mut |list| {
                let items = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
                found.extend(items.into_iter().map(|mut item| {
                    complete(&mut item, &api_version, &resource.kind);
                    item
                }));
                Ok(())
            })?;
            Ok((found, true))
        }
    }
}

pub fn named_path(query: &Query, work: &Work) -> String {
    let Work::Named { resource, namespace, name, .. } = work else { return String::new() };
    let path = resource.path(namespace, name);
    match query.subresource.as_str() {
        "" => path,
        sub => format!("{path}/{sub}"),
    }
}

/// Tables for people.
fn tables(session: &Session, query: &Query) -> Result<()> {
    let call = &session.call;
    let works = query.works(session)?;
    let several = works
        .iter()
        .any(|w| !Rc::ptr_eq(w.resource(), works[0].resource()) && w.resource() != works[0].resource());
    let sorted = call.text("sort-by");
    let (mut failed, mut written, mut lines) = (Vec::new(), false, Lines::default());
    let mut troubled = hints::Troubled::default();
    let mut last: Option<Rc<Resource>> = None;
    let mut all_namespaced = !query.all_namespaces;
    for work in &works {
        let resource = work.resource().clone();
        let fetched = match fetch(session, query, work, !sorted.is_empty()) {
            Ok(tables) => tables,
            Err(e)
                if e.is_not_found() && call.is("ignore-not-found") && matches!(work, Work::Named { .. }) =>
            {
                continue;
            }
            Err(e) => {
                failed.push(e);
                continue;
            }
        };
        let (Work::Named { namespace, .. } | Work::Listed { namespace, .. }) = work;
        troubled.look(&resource, namespace, &fetched);
        all_namespaced &= resource.namespaced;
        if fetched.iter().all(|t| table::rows(t).next().is_none()) {
            continue;
        }
        let same = last.as_ref().is_some_and(|l| **l == *resource);
        if !same {
            flush(session, &mut lines, &mut written)?;
            if last.is_some() && written && !call.is("no-headers") {
                session.print("\n")?;
            }
            lines = Lines::default();
            last = Some(resource.clone());
        }
        let mut options = table::Options::of(call);
        options.namespace = query.all_namespaces && resource.namespaced;
        if several || call.is("show-kind") {
            options.kind = resource.prefix();
        }
        for mut table in fetched {
            if !sorted.is_empty() {
                let mut rows = table["rows"].as_array_mut().map(std::mem::take).unwrap_or_default();
                sort::by(&mut rows, sorted, false, |row| &row["object"])?;
                table["rows"] = Value::Array(rows);
            }
            lines.add(&table, &options, "");
        }
    }
    flush(session, &mut lines, &mut written)?;
    if !written && !call.is("ignore-not-found") && failed.is_empty() {
        match all_namespaced {
            true => eprintln!("No resources found in {} namespace.", session.namespace()?.0),
            false => eprintln!("No resources found"),
        }
    }
    troubled.tell(session);
    outcome(failed)
}

fn flush(session: &Session, lines: &mut Lines, written: &mut bool) -> Result<()> {
    let text = lines.aligned();
    *written |= !text.is_empty();
    session.print(&text)
}

/// The server's tables: one for an object, and for a list one that all its pages went into.
fn fetch(session: &Session, asked: &Query, work: &Work, whole: bool) -> Result<Vec<Value>> {
    let include = if whole { "Object" } else { "" };
    match work {
        Work::Named { .. } => {
            let path = named_path(asked, work) + &query(&[("includeObject", include)]);
            let value = session.value(&Request { accept: columns(session), ..Request::get(path) })?;
            Ok(vec![as_table(value)])
        }
        Work::Listed { resource, namespace } => {
            let mut found: Vec<Value> = Vec::new();
            let call = &session.call;
            let named =
                asked.all_namespaces || call.is("show-labels") || !call.list("label-columns").is_empty();
            pages(session, asked, resource, namespace, include, &mut |table| {
                let mut table = as_table(table);
                if !whole {
                    slim(&mut table, named);
                }
                match found.first_mut() {
                    Some(first) => {
                        let more = table["rows"].as_array_mut().map(std::mem::take).unwrap_or_default();
                        if let Some(rows) = first["rows"].as_array_mut() {
                            rows.extend(more);
                        }
                    }
                    None => found.push(table),
                }
                Ok(())
            })?;
            Ok(found)
        }
    }
}

/// Leaves of each row's object what columns are made of, if any is: of ten thousand pods the rest would be most of the memory.
fn slim(table: &mut Value, named: bool) {
    for row in table["rows"].as_array_mut().into_iter().flatten() {
        if !named {
            row["object"] = Value::Null;
            continue;
        }
        let mut meta = row["object"]["metadata"].take();
        let mut kept = serde_json::Map::new();
        for key in ["name", "namespace", "labels"] {
            let value = meta[key].take();
            if !value.is_null() {
                kept.insert(key.to_owned(), value);
            }
        }
        row["object"] = json!({ "metadata": kept });
    }
}

pub fn pages(
    session: &Session,
    asked: &Query,
    resource: &Resource,
    namespace: &str,
    include: &str,
    each: &mut dyn FnMut(Value) -> Result<()>,
) -> Result<()> {
    let limit = if asked.chunk > 0 { asked.chunk.to_string() } else { String::new() };
    let mut token = String::new();
    loop {
        let path = resource.path(namespace, "")
            + &query(&[
                ("continue", &token),
                ("fieldSelector", &asked.field_selector),
                ("includeObject", include),
                ("labelSelector", &asked.selector),
                ("limit", &limit),
            ]);
        let table = session
            .value(&Request { accept: columns(session), ..Request::get(path) })
            .map_err(|e| asked.listing(resource, e))?;
        token = table["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
        each(table)?;
        if token.is_empty() {
            return Ok(());
        }
    }
}

/// Where a server knows no tables: name and age of each object.
/// Whether the server is asked for columns; without, there are names and ages.
pub fn columns(session: &Session) -> &'static str {
    if session.call.is("server-print") { TABLE } else { JSON }
}

pub fn as_table(value: Value) -> Value {
    if value["kind"] == "Table" {
        return value;
    }
    let items = match value["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![value],
    };
    let rows: Vec<Value> = items
        .into_iter()
        .map(|item| {
            let created = item["metadata"]["creationTimestamp"].as_str();
            let age = crate::text::age::since(created);
            json!({ "cells": [item["metadata"]["name"], age], "object": item })
        })
        .collect();
    json!({
        "kind": "Table",
        "columnDefinitions": [{ "name": "Name", "priority": 0 }, { "name": "Age", "priority": 0 }],
        "rows": rows,
    })
}
