//! `events`: what happened lately.

use serde_json::{Value, json};

use crate::discovery::query;
use crate::error::{Error, Result};
use crate::print::Printer;
use crate::session::{Request, Session};
use crate::text::age;
use crate::text::columns::Columns;

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    if !call.args.is_empty() {
        return Err(Error::text(
            "unexpected arguments: give --for TYPE/NAME to see the events of one object",
        ));
    }
    let mut types = call.list("types");
    for kind in &mut types {
        match kind.to_lowercase().as_str() {
            "normal" => *kind = "Normal".into(),
            "warning" => *kind = "Warning".into(),
            _ => return Err(Error::text("valid --types are Normal or Warning".to_string())),
        }
    }
    let namespace = if call.is("all-namespaces") { String::new() } else { session.namespace()?.0 };
    let fields = match call.text("for") {
        "" => String::new(),
        word => {
            let Some((kind, name)) = word.split_once('/') else {
                return Err(Error::text("--for must be in resource/name form"));
            };
            let resource = session.discovery()?.find(session, kind)?;
            format!(
                "involvedObject.kind={},involvedObject.apiVersion={},involvedObject.name={name}",
                resource.kind,
                resource.api_version()
            )
        }
    };
    let resource = session.discovery()?.find(session, "events")?;
    let path = resource.path(&namespace, "");
    let list = session.get(&(path.clone() + &query(&[("fieldSelector", &fields), ("limit", "500")])))?;
    let wanted = |e: &Value| types.is_empty() || types.iter().any(|t| e["type"] == **t);
    let mut items: Vec<Value> = list["items"].as_array().cloned().unwrap_or_default();
    items.retain(wanted);
    items.sort_by_key(last);
    let all = call.is("all-namespaces");
    let printer = Printer::of(call, false)?;
    if items.is_empty() && !call.is("watch") {
        match all {
            true => eprintln!("No events found."),
            false => eprintln!("No events found in {namespace} namespace."),
        }
        return Ok(());
    }
    if let Some(mut printer) = printer {
        for item in &mut items {
            crate::targets::complete(item, "v1", "Event");
            // A time that is not there is null in Go; to look for it to be changed makes it so.
            for field in ["eventTime", "firstTimestamp", "lastTimestamp"] {
                let _ = &mut item[field];
            }
            for (field, empty) in
                [("source", json!({})), ("reportingComponent", json!("")), ("reportingInstance", json!(""))]
            {
                if item[field].is_null() {
                    item[field] = empty;
                }
            }
        }
        printer.typed = true;
        let list = json!({ "apiVersion": "v1", "kind": "EventList", "metadata": {}, "items": items });
        return session.print(&printer.text(&list)?);
    }
    let mut table = Columns::table();
    if !call.is("no-headers") {
        table.push(if all { "NAMESPACE\t" } else { "" });
        table.push("LAST SEEN\tTYPE\tREASON\tOBJECT\tMESSAGE\n");
    }
    items.iter().for_each(|e| table.push(&line(e, all)));
    session.print(&table.finish())?;
    if !call.is("watch") {
        return Ok(());
    }
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let path = path + &query(&[("fieldSelector", &fields), ("resourceVersion", version), ("watch", "true")]);
    let mut events = crate::stream::Events::open(session, &Request::get(path))?;
    while let Some((kind, event)) = events.next(session)? {
        if kind != "DELETED" && kind != "BOOKMARK" && wanted(&event) {
            let mut table = Columns::table();
            table.push(&line(&event, all));
            session.print(&table.finish())?;
        }
    }
    Ok(())
}

/// When it happened last.
fn last(event: &Value) -> String {
    let times = [&event["series"]["lastObservedTime"], &event["lastTimestamp"], &event["eventTime"]];
    times.into_iter().find_map(Value::as_str).unwrap_or_default().to_owned()
}

fn line(event: &Value, namespaced: bool) -> String {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let first = [&event["firstTimestamp"], &event["eventTime"]].into_iter().find_map(|v| v.as_str());
    let seen = match (event["series"].is_object(), event["count"].as_i64().unwrap_or(0)) {
        (true, _) => {
            let at = age::since(event["series"]["lastObservedTime"].as_str());
            format!("{at} (x{} over {})", event["series"]["count"].as_i64().unwrap_or(0), age::since(first))
        }
        (_, count) if count > 1 => {
            format!("{} (x{count} over {})", age::since(event["lastTimestamp"].as_str()), age::since(first))
        }
        _ => age::since(first),
    };
    let object =
        format!("{}/{}", text(&event["involvedObject"]["kind"]), text(&event["involvedObject"]["name"]));
    let namespace =
        if namespaced { format!("{}\t", text(&event["metadata"]["namespace"])) } else { String::new() };
    format!(
        "{namespace}{seen}\t{}\t{}\t{object}\t{}\n",
        text(&event["type"]),
        text(&event["reason"]),
        text(&event["message"]).trim()
    )
}
