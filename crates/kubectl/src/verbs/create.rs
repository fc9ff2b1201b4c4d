//! `create`: from files, and by generators that make an object of flags.

mod access;
mod config;
pub use config::hash;
mod misc;
mod service;
pub mod token;
pub mod workload;

use serde_json::{Value, json};

use crate::change::{Change, DryRun, remember};
use crate::error::{Error, Result};
use crate::session::{Request, Session};
use crate::targets::Query;

type Make = fn(&Session, &str) -> Result<Value>;

/// Generators: command, what its failures call the thing, and how the object is made.
const GENERATORS: &[(&str, &str, Make)] = &[
    ("create clusterrole", "clusterrole", access::cluster_role),
    ("create clusterrolebinding", "clusterrolebinding", access::cluster_role_binding),
    ("create configmap", "configmap", config::config_map),
    ("create cronjob", "cronjob", workload::cron_job),
    ("create deployment", "deployment", workload::deployment),
    ("create ingress", "ingress", misc::ingress),
    ("create job", "job", workload::job),
    ("create namespace", "namespace", misc::namespace),
    ("create poddisruptionbudget", "poddisruptionbudgets", misc::disruption_budget),
    ("create priorityclass", "priorityclass", misc::priority_class),
    ("create quota", "resource quota", misc::quota),
    ("create role", "role", access::role),
    ("create rolebinding", "rolebinding", access::role_binding),
    ("create secret docker-registry", "secret docker-registry", config::docker),
    ("create secret generic", "secret", config::generic),
    ("create secret tls", "secret", config::tls),
    ("create service clusterip", "ClusterIP service", service::cluster_ip),
    ("create service externalname", "ExternalName service", service::external_name),
    ("create service loadbalancer", "LoadBalancer service", service::load_balancer),
    ("create service nodeport", "NodePort service", service::node_port),
    ("create serviceaccount", "serviceaccount", misc::service_account),
];

/// Whether there is a generator by that command.
pub fn generates(path: &str) -> bool {
    GENERATORS.iter().any(|(name, ..)| *name == path)
}

/// Flags that must be given, as cobra asks for them before anything else.
pub fn required(session: &Session, flags: &[&str]) -> Result<()> {
    let missing: Vec<String> =
        flags.iter().filter(|f| !session.call.changed(f)).map(|f| format!("\"{f}\"")).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(Error::text(format!("required flag(s) {} not set", missing.join(", ")))),
    }
}

/// Runs a generator.
pub fn generate(session: &Session) -> Result<()> {
    let call = &session.call;
    let Some((path, called, make)) = GENERATORS.iter().find(|(name, ..)| *name == call.path()) else {
        return Err(Error::text("no such generator"));
    };
    let flags: &[&str] = match *path {
        "create clusterrolebinding" => &["clusterrole"],
        "create cronjob" => &["image", "schedule"],
        "create deployment" => &["image"],
        "create priorityclass" => &["value"],
        "create service externalname" => &["external-name"],
        _ => &[],
    };
    required(session, flags)?;
    let (names, _) = call.split_at_dash();
    let [name] = names else {
        return Err(Error::usage(path, format!("exactly one NAME is required, got {}", names.len())));
    };
    let mut change = Change::new(session, "created")?.typed();
    let mut object = make(session, name)?;
    let (namespace, given) = session.namespace()?;
    let namespaced = !matches!(
        object["kind"].as_str(),
        Some("Namespace" | "ClusterRole" | "ClusterRoleBinding" | "PriorityClass")
    );
    if namespaced && given {
        object["metadata"]["namespace"] = json!(namespace);
    }
    // As stock: services do not.
    if call.is("save-config") && object["kind"] != "Service" {
        let mut shown = object.clone();
        crate::print::typed::normalise(&mut shown);
        remember(&mut shown, true);
        object["metadata"]["annotations"] = shown["metadata"]["annotations"].clone();
    }
    if change.dry_run == DryRun::Client {
        return change.show(&object);
    }
    let text = |f: &str| object[f].as_str().unwrap_or_default();
    let resource = session.discovery()?.of_kind(session, text("apiVersion"), text("kind"))?;
    let done = change.create(&resource, if namespaced { &namespace } else { "" }, &object);
    let made = done.map_err(|e| wrapped(called, path, e))?;
    change.show(&made)
}

/// Most generators wrap what the server says; those without a name for it do not.
fn wrapped(called: &str, path: &str, error: Error) -> Error {
    match (&error, path) {
        (_, "create role" | "create clusterrole" | "create namespace") => error,
        (Error::Status(status), _) => Error::text(format!("failed to create {called}: {}", status.message)),
        _ => error,
    }
}

/// `create -f`.
pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    if !call.text("raw").is_empty() {
        return raw(session);
    }
    let query = Query::of(session, &[]);
    if !query.has_files() && call.args.is_empty() {
        return Err(Error::text("must specify one of -f and -k"));
    }
    if !call.args.is_empty() {
        return Err(Error::usage("create", format!("Unexpected args: [{}]", call.args.join(" "))));
    }
    if call.is("edit") {
        return crate::verbs::edit::create(session, &query);
    }
    let mut change = Change::new(session, "created")?;
    create_all(session, &query, &mut change)
}

fn create_all(session: &Session, query: &Query, change: &mut Change<'_>) -> Result<()> {
    let (mut failed, mut done) = (Vec::new(), 0);
    for work in query.works(session)? {
        let crate::targets::Work::Named { resource, namespace, source, mut object, .. } = work else {
            continue;
        };
        if session.call.is("save-config") {
            remember(&mut object, false);
        }
        done += 1;
        if change.dry_run == DryRun::Client {
            change.show(&object)?;
            continue;
        }
        match change.create(&resource, &namespace, &object) {
            Ok(made) => change.show(&made)?,
            Err(e) => failed.push(e.during("creating", &source)),
        }
    }
    if done == 0 && failed.is_empty() {
        return Err(Error::text("no objects passed to create"));
    }
    outcome(failed)
}

/// One failure is itself, several are a line each.
pub fn outcome(mut failed: Vec<Error>) -> Result<()> {
    match failed.len() {
        0 => Ok(()),
        1 => Err(failed.remove(0)),
        _ => Err(Error::Many(failed)),
    }
}

fn raw(session: &Session) -> Result<()> {
    let files = session.call.list("filename");
    let [file] = &files[..] else {
        return Err(Error::usage("create", "--raw can only use a single local file or stdin"));
    };
    let body = match file.as_str() {
        "-" => {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin(), &mut text)?;
            text
        }
        path => std::fs::read(path).map_err(|e| crate::error::io("open", path, &e))?,
    };
    let request =
        Request { method: http::Method::POST, body: body.into(), ..Request::get(session.call.text("raw")) };
    let reply = session.send(&request)?;
    session.print(&String::from_utf8_lossy(&reply.body))
}

pub use access::subjects;
pub use misc::amounts;
