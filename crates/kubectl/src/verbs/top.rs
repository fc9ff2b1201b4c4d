//! `top`: what nodes and pods use, by the metrics API.

use apimachinery::quantity::Quantity;
use serde_json::Value;

use crate::discovery::query;
use crate::error::{Error, Result};
use crate::session::Session;
use crate::text::columns::Columns;

fn measured(session: &Session) -> Result<()> {
    let discovery = session.discovery()?;
    let there = || discovery.all().iter().any(|r| r.group == "metrics.k8s.io");
    if there() || (discovery.refresh(session)? && there()) {
        return Ok(());
    }
    Err(Error::text("Metrics API not available"))
}

fn of(value: &Value) -> Quantity {
    crate::describe::quantity(value)
}

fn items(list: &Value) -> Vec<Value> {
    match list["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![list.clone()],
    }
}

fn sorted(session: &Session, all: &mut [(Vec<String>, i64, i64)]) -> Result<()> {
    match session.call.text("sort-by") {
        "" => all.sort_by(|a, b| a.0.cmp(&b.0)),
        "cpu" => all.sort_by_key(|l| std::cmp::Reverse(l.1)),
        "memory" => all.sort_by_key(|l| std::cmp::Reverse(l.2)),
        _ => return Err(Error::text("--sort-by accepts only cpu or memory")),
    }
    Ok(())
}

const MI: i64 = 1 << 20;

pub fn node(session: &Session) -> Result<()> {
    let call = &session.call;
    if call.args.len() > 1 {
        return Err(Error::usage("top node", format!("{:?}", call.args)));
    }
    measured(session)?;
    let name = call.args.first().map(|n| format!("/{n}")).unwrap_or_default();
    let selected = query(&[("labelSelector", call.text("selector"))]);
    let metrics = items(&session.get(&format!("/apis/metrics.k8s.io/v1beta1/nodes{name}{selected}"))?);
    let nodes = items(&session.get(&format!("/api/v1/nodes{name}{selected}"))?);
    let field = if call.is("show-capacity") { "capacity" } else { "allocatable" };
    let mut lines = Vec::new();
    for metric in &metrics {
        let name = metric["metadata"]["name"].as_str().unwrap_or_default();
        let (cpu, memory) =
            (of(&metric["usage"]["cpu"]).milli_value(), of(&metric["usage"]["memory"]).value());
        let node = nodes.iter().find(|n| n["metadata"]["name"] == name);
        let share =
            |used: i64, all: i64| if all > 0 { format!("{}%", used * 100 / all) } else { "<unknown>".into() };
        let whole = |resource: &str| node.map(|n| of(&n["status"][field][resource]));
        let cells = vec![
            name.to_owned(),
            format!("{cpu}m"),
            share(cpu, whole("cpu").map_or(0, |q| q.milli_value())),
            format!("{}Mi", memory / MI),
            share(memory, whole("memory").map_or(0, |q| q.value())),
        ];
        lines.push((cells, cpu, memory));
    }
    sorted(session, &mut lines)?;
    let mut table = Columns::table();
    if !call.is("no-headers") {
        table.push("NAME\tCPU(cores)\tCPU(%)\tMEMORY(bytes)\tMEMORY(%)\n");
    }
    lines.iter().for_each(|(cells, ..)| table.push(&format!("{}\t\n", cells.join("\t"))));
    session.print(&table.finish())
}

pub fn pod(session: &Session) -> Result<()> {
    let call = &session.call;
    measured(session)?;
    let all = call.is("all-namespaces");
    let namespace = session.namespace()?.0;
    let selected =
        query(&[("fieldSelector", call.text("field-selector")), ("labelSelector", call.text("selector"))]);
    let path = match (all, call.args.first()) {
        (true, _) => format!("/apis/metrics.k8s.io/v1beta1/pods{selected}"),
        (false, Some(name)) => format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods/{name}"),
        (false, None) => format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods{selected}"),
    };
    let metrics = items(&session.get(&path)?);
    if metrics.is_empty() {
        match all {
            true => eprintln!("No resources found"),
            false => eprintln!("No resources found in {namespace} namespace."),
        }
        return Ok(());
    }
    let by_container = call.is("containers");
    let mut lines = Vec::new();
    let mut total = (0, 0);
    for metric in &metrics {
        let text = |f: &str| metric["metadata"][f].as_str().unwrap_or_default().to_owned();
        let head: Vec<String> = if all { vec![text("namespace"), text("name")] } else { vec![text("name")] };
        let mut sum = (0, 0);
        for container in metric["containers"].as_array().into_iter().flatten() {
            let (cpu, memory) =
                (of(&container["usage"]["cpu"]).milli_value(), of(&container["usage"]["memory"]).value());
            sum = (sum.0 + cpu, sum.1 + memory);
            if by_container {
                let mut cells = head.clone();
                cells.extend([
                    container["name"].as_str().unwrap_or_default().to_owned(),
                    format!("{cpu}m"),
                    format!("{}Mi", memory / MI),
                ]);
                lines.push((cells, cpu, memory));
            }
        }
        total = (total.0 + sum.0, total.1 + sum.1);
        if !by_container {
            let mut cells = head;
            cells.extend([format!("{}m", sum.0), format!("{}Mi", sum.1 / MI)]);
            lines.push((cells, sum.0, sum.1));
        }
    }
    sorted(session, &mut lines)?;
    let mut table = Columns::table();
    if !call.is("no-headers") {
        table.push(if all { "NAMESPACE\t" } else { "" });
        table.push(if by_container {
            "POD\tNAME\tCPU(cores)\tMEMORY(bytes)\n"
        } else {
            "NAME\tCPU(cores)\tMEMORY(bytes)\n"
        });
    }
    lines.iter().for_each(|(cells, ..)| table.push(&format!("{}\t\n", cells.join("\t"))));
    if call.is("sum") {
        let empty = "\t".repeat(usize::from(all) + usize::from(by_container));
        table.push(&format!("{empty}________\t________\t\n{empty}{}m\t{}Mi\t\n", total.0, total.1 / MI));
    }
    session.print(&table.finish())
}
