//! `api-resources`, `api-versions`, `cluster-info`: what the server has.

use std::rc::Rc;

use crate::discovery::{Resource, query};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::text::columns::Columns;

pub fn resources(session: &Session) -> Result<()> {
    let call = &session.call;
    if !call.args.is_empty() {
        return Err(Error::usage(
            "api-resources",
            format!("unexpected arguments: [{}]", call.args.join(" ")),
        ));
    }
    let output = call.text("output");
    if !matches!(output, "" | "wide" | "name" | "json" | "yaml" | "kyaml") {
        return Err(Error::text(format!("--output {output} is not available")));
    }
    let sort = call.text("sort-by");
    if !matches!(sort, "" | "name" | "kind") {
        return Err(Error::text("--sort-by accepts only name or kind"));
    }
    let discovery = session.discovery()?;
    if !call.is("cached") {
        discovery.refresh(session)?;
    }
    let mut all = preferred(&discovery.all());
    let (group, categories, verbs) = (call.text("api-group"), call.list("categories"), call.list("verbs"));
    all.retain(|r| {
        (!call.changed("api-group") || r.group == group)
            && (!call.changed("namespaced") || r.namespaced == call.is("namespaced"))
            && categories.iter().all(|c| r.categories.contains(c))
            && verbs.iter().all(|v| r.verbs.contains(v))
            && !r.verbs.is_empty()
    });
    let word = |r: &Resource| if sort == "kind" { r.kind.clone() } else { r.name.clone() };
    all.sort_by(|a, b| match sort {
        "" => (&a.group, &a.name).cmp(&(&b.group, &b.name)),
        _ => word(a).cmp(&word(b)),
    });
    if output == "name" {
        return session.print(&all.iter().map(|r| format!("{}\n", r.group_resource())).collect::<String>());
    }
    if matches!(output, "json" | "yaml" | "kyaml") {
        return structured(session, &all);
    }
    let mut table = Columns::table();
    if !call.is("no-headers") {
        table.push("NAME\tSHORTNAMES\tAPIVERSION\tNAMESPACED\tKIND");
        table.push(if output == "wide" { "\tVERBS\tCATEGORIES\n" } else { "\n" });
    }
    for r in &all {
        table.push(&format!(
            "{}\t{}\t{}\t{}\t{}",
            r.name,
            r.short.join(","),
            r.api_version(),
            r.namespaced,
            r.kind
        ));
        table.push(&match output {
            "wide" => format!("\t{}\t{}\n", r.verbs.join(","), r.categories.join(",")),
            _ => "\n".to_owned(),
        });
    }
    session.print(&table.finish())
}

fn structured(session: &Session, all: &[Rc<Resource>]) -> Result<()> {
    let resources: Vec<serde_json::Value> = all
        .iter()
        .map(|r| {
            let mut one = serde_json::json!({
                "name": r.name, "singularName": r.singular, "namespaced": r.namespaced, "version": r.version,
                "kind": r.kind, "verbs": r.verbs,
            });
            for (field, list) in [("shortNames", &r.short), ("categories", &r.categories)] {
                if !list.is_empty() {
                    one[field] = serde_json::json!(list);
                }
            }
            if !r.group.is_empty() {
                one["group"] = serde_json::json!(r.group);
            }
            one
        })
        .collect();
    let list = serde_json::json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "", "resources": resources });
    match crate::print::Printer::named(&session.call, session.call.text("output"), false)? {
        Some(mut printer) => session.print(&printer.text(&list)?),
        None => Ok(()),
    }
}

/// Of each group the first version only.
fn preferred(all: &[Rc<Resource>]) -> Vec<Rc<Resource>> {
    let mut found: Vec<Rc<Resource>> = Vec::new();
    for r in all {
        if !found.iter().any(|f| f.group == r.group && f.name == r.name) {
            found.push(r.clone());
        }
    }
    found
}

pub fn versions(session: &Session) -> Result<()> {
    if !session.call.args.is_empty() {
        return Err(Error::usage(
            "api-versions",
            format!("unexpected arguments: [{}]", session.call.args.join(" ")),
        ));
    }
    let discovery = session.discovery()?;
    discovery.refresh(session)?;
    let mut all: Vec<String> = discovery.all().iter().map(|r| r.api_version()).collect();
    all.sort();
    all.dedup();
    session.print(&all.iter().map(|v| format!("{v}\n")).collect::<String>())
}

pub fn cluster_info(session: &Session) -> Result<()> {
    let server = session.url("");
    let hint = "\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n";
    let (namespace, given) = session.namespace()?;
    let namespace = if given { namespace } else { "kube-system".to_owned() };
    let path = format!("/api/v1/namespaces/{namespace}/services")
        + &query(&[("labelSelector", "kubernetes.io/cluster-service=true")]);
    let list = match session.get(&path) {
        Ok(list) => list,
        Err(e) => {
            session.print(hint)?;
            return Err(e);
        }
    };
    // Colours are for terminals.
    let colour = nix::unistd::isatty(std::io::stdout()).unwrap_or(false);
    let paint =
        |text: &str, code: u8| if colour { format!("\x1b[0;{code}m{text}\x1b[0m") } else { text.to_owned() };
    session.println(&format!(
        "{} is running at {}",
        paint("Kubernetes control plane", 32),
        paint(&server, 33)
    ))?;
    for service in list["items"].as_array().into_iter().flatten() {
        let name = service["metadata"]["name"].as_str().unwrap_or_default();
        let label = service["metadata"]["labels"]["kubernetes.io/name"].as_str().unwrap_or(name);
        let port = &service["spec"]["ports"][0];
        let mut link = format!("{server}/api/v1/namespaces/{namespace}/services/");
        let scheme = if port["port"] == 443 || port["name"] == "https" { "https:" } else { "" };
        let port_name = port["name"].as_str().unwrap_or_default();
        link.push_str(&match (scheme, port_name) {
            ("", "") => format!("{name}/proxy"),
            (scheme, port) => format!("{scheme}{name}:{port}/proxy"),
        });
        session.println(&format!("{} is running at {}", paint(label, 32), paint(&link, 33)))?;
    }
    session.print(hint)
}
