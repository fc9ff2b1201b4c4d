//! `cluster-info dump`: the state of a cluster and the logs of its pods, for whoever looks for a fault elsewhere or later.

use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

use crate::discovery::query;
use crate::error::{self, Error, Result};
use crate::print::Printer;
use crate::session::{Request, Session};

/// What a namespace is dumped as: a file's name, and the path before and after the namespace.
const PARTS: &[(&str, &str, &str)] = &[
    ("events", "/api/v1", "events"),
    ("replication-controllers", "/api/v1", "replicationcontrollers"),
    ("services", "/api/v1", "services"),
    ("daemonsets", "/apis/apps/v1", "daemonsets"),
    ("deployments", "/apis/apps/v1", "deployments"),
    ("replicasets", "/apis/apps/v1", "replicasets"),
    ("pods", "/api/v1", "pods"),
];

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    let output = call.text("output");
    let Some(mut printer) = Printer::of(call, false)? else {
        return Err(Error::text("cluster-info dump needs an output format: -o json or -o yaml"));
    };
    if output == "name" {
        return Err(Error::text("list types are not supported by name printing: *v1.NodeList"));
    }
    printer.typed = true;
    let extension = if matches!(output, "json" | "yaml") { format!(".{output}") } else { ".txt".to_owned() };
    let nodes = as_go(session.get("/api/v1/nodes")?);
    put(session, "nodes", &extension, printer.text(&nodes)?.as_bytes())?;
    for namespace in namespaces(session)? {
        for (name, root, resource) in PARTS {
            let list = as_go(session.get(&format!("{root}/namespaces/{namespace}/{resource}"))?);
            let text = printer.text(&list)?;
            put(session, &format!("{namespace}/{name}"), &extension, text.as_bytes())?;
            if *resource == "pods" {
                for pod in list["items"].as_array().into_iter().flatten() {
                    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
                    put(
                        session,
                        &format!("{namespace}/{name}/logs"),
                        ".txt",
                        &logs(session, &namespace, name, pod),
                    )?;
                }
            }
        }
    }
    match directory(session) {
        Some(dir) => session.println(&format!("Cluster info dumped to {}", dir.display())),
        None => Ok(()),
    }
}

/// The list as stock, which reads it into Go's types first, prints it.
fn as_go(mut list: Value) -> Value {
    let kind = list["kind"].as_str().and_then(|k| k.strip_suffix("List")).unwrap_or_default().to_owned();
    let api_version = list["apiVersion"].clone();
    for item in list["items"].as_array_mut().into_iter().flatten() {
        item["apiVersion"] = api_version.clone();
        item["kind"] = Value::from(kind.as_str());
        crate::print::typed::normalise(item);
        if let Some(map) = item.as_object_mut() {
            map.remove("apiVersion");
            map.remove("kind");
        }
        // Times that are not there are null; to look for one to be changed makes it so.
        if kind == "Event" {
            let _ = &mut item["eventTime"];
        }
        if kind == "Pod" {
            for condition in item["status"]["conditions"].as_array_mut().into_iter().flatten() {
                let _ = &mut condition["lastProbeTime"];
            }
        }
    }
    if list["items"].as_array().is_some_and(Vec::is_empty) {
        list["items"] = Value::Null;
    }
    list
}

fn namespaces(session: &Session) -> Result<Vec<String>> {
    let call = &session.call;
    if call.is("all-namespaces") {
        let list = session.get("/api/v1/namespaces")?;
        let names = list["items"].as_array().into_iter().flatten();
        return Ok(names.filter_map(|n| n["metadata"]["name"].as_str()).map(str::to_owned).collect());
    }
    let named = call.list("namespaces");
    if named.is_empty() { Ok(vec!["kube-system".to_owned(), session.namespace()?.0]) } else { Ok(named) }
}

/// What every container of a pod said. What cannot be read is said in its place: the rest is of use all the same.
fn logs(session: &Session, namespace: &str, name: &str, pod: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let listed = |list: &str| pod["spec"][list].as_array().cloned().unwrap_or_default();
    for container in listed("initContainers").into_iter().chain(listed("containers")) {
        let container = container["name"].as_str().unwrap_or_default();
        out.extend(
            format!("==== START logs for container {container} of pod {namespace}/{name} ====\n").bytes(),
        );
        let path =
            format!("/api/v1/namespaces/{namespace}/pods/{name}/log") + &query(&[("container", container)]);
        match session.send(&Request { accept: "*/*", ..Request::get(path) }) {
            Ok(reply) => out.extend(reply.body),
            Err(e) => out.extend(format!("Request log error: {e}\n").bytes()),
        }
        out.extend(
            format!("==== END logs for container {container} of pod {namespace}/{name} ====\n").bytes(),
        );
    }
    out
}

fn directory(session: &Session) -> Option<PathBuf> {
    Some(session.call.text("output-directory")).filter(|d| !d.is_empty() && *d != "-").map(PathBuf::from)
}

/// To a file of the directory, or to everybody.
fn put(session: &Session, name: &str, extension: &str, text: &[u8]) -> Result<()> {
    let Some(dir) = directory(session) else {
        let mut out = session.stdout();
        out.write_all(text)?;
        return Ok(out.flush()?);
    };
    let path = dir.join(format!("{name}{extension}"));
    let shown = path.display().to_string();
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|e| error::io("mkdir", &parent.display().to_string(), &e))?;
    }
    std::fs::write(&path, text).map_err(|e| error::io("open", &shown, &e))
}
