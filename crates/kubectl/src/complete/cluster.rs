//! Candidates that the cluster and the kubeconfig know. Start at [`positional`] and [`value`].

use std::rc::Rc;

use serde_json::Value;

use super::{Answer, NO_FILES, NO_SPACE};
use crate::discovery::{Resource, query};
use crate::session::{Request, Session};

/// Names without what they name: lists of thousands are small so.
const NAMES: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";

/// What a command's words may be.
#[derive(Clone, Copy)]
enum Words {
    /// A kind, then names; or `kind/name`.
    Anything,
    /// The same, of some kinds.
    Of(&'static [&'static str]),
    /// A kind, and no name.
    Kind,
    /// Names of one kind only.
    Names(&'static str),
    /// One pod, or `kind/name` of what has pods.
    Pod,
    /// A pod's name and a colon, or a local path.
    PodPath,
    Contexts,
    Clusters,
    Users,
    Shells,
    /// What one may do, then a kind.
    Verbs,
    Nodes,
}

const SCALABLE: &[&str] = &["deployments", "replicasets", "replicationcontrollers", "statefulsets"];
const ROLLING: &[&str] = &["deployments", "daemonsets", "statefulsets"];
const WITH_PODS: &[&str] = &[
    "pods",
    "deployments",
    "replicasets",
    "statefulsets",
    "daemonsets",
    "jobs",
    "replicationcontrollers",
    "services",
];
const WITH_TEMPLATE: &[&str] = &[
    "pods",
    "deployments",
    "replicasets",
    "statefulsets",
    "daemonsets",
    "jobs",
    "cronjobs",
    "replicationcontrollers",
];

const COMMANDS: &[(&str, Words)] = &[
    ("get", Words::Anything),
    ("describe", Words::Anything),
    ("delete", Words::Anything),
    ("edit", Words::Anything),
    ("label", Words::Anything),
    ("annotate", Words::Anything),
    ("patch", Words::Anything),
    ("wait", Words::Anything),
    ("apply edit-last-applied", Words::Anything),
    ("apply view-last-applied", Words::Anything),
    ("explain", Words::Kind),
    ("scale", Words::Of(SCALABLE)),
    ("autoscale", Words::Of(SCALABLE)),
    ("expose", Words::Of(&["pods", "services", "deployments", "replicasets", "replicationcontrollers"])),
    ("rollout history", Words::Of(ROLLING)),
    ("rollout pause", Words::Of(&["deployments"])),
    ("rollout restart", Words::Of(ROLLING)),
    ("rollout resume", Words::Of(&["deployments"])),
    ("rollout status", Words::Of(ROLLING)),
    ("rollout undo", Words::Of(ROLLING)),
    ("set env", Words::Of(WITH_TEMPLATE)),
    ("set image", Words::Of(WITH_TEMPLATE)),
    ("set resources", Words::Of(WITH_TEMPLATE)),
    ("set selector", Words::Of(&["services"])),
    ("set serviceaccount", Words::Of(WITH_TEMPLATE)),
    ("set subject", Words::Of(&["rolebindings", "clusterrolebindings"])),
    ("logs", Words::Pod),
    ("exec", Words::Pod),
    ("attach", Words::Pod),
    ("port-forward", Words::Pod),
    ("debug", Words::Pod),
    ("cp", Words::PodPath),
    ("top pod", Words::Names("pods")),
    ("top node", Words::Names("nodes")),
    ("cordon", Words::Names("nodes")),
    ("uncordon", Words::Names("nodes")),
    ("drain", Words::Names("nodes")),
    ("taint", Words::Nodes),
    ("certificate approve", Words::Names("certificatesigningrequests")),
    ("certificate deny", Words::Names("certificatesigningrequests")),
    ("create token", Words::Names("serviceaccounts")),
    ("auth can-i", Words::Verbs),
    ("config use-context", Words::Contexts),
    ("config delete-context", Words::Contexts),
    ("config rename-context", Words::Contexts),
    ("config set-context", Words::Contexts),
    ("config delete-cluster", Words::Clusters),
    ("config set-cluster", Words::Clusters),
    ("config delete-user", Words::Users),
    ("config set-credentials", Words::Users),
    ("completion", Words::Shells),
];

/// Candidates for the next word that is not a flag.
pub fn positional(session: &Session, typed: &str) -> Answer {
    let args = &session.call.args;
    let Some((_, words)) = COMMANDS.iter().find(|(path, _)| *path == session.call.path()) else {
        return if session.call.path() == "kustomize" { Answer::files() } else { Answer::nothing() };
    };
    match words {
        Words::Anything => objects(session, typed, |_| true),
        Words::Of(kinds) => objects(session, typed, |r| kinds.contains(&r.name.as_str())),
        Words::Kind if args.is_empty() => kinds(session, |_| true).beginning(typed),
        Words::Names(kind) => names(session, kind, args).beginning(typed),
        Words::Pod if !args.is_empty() => Answer::nothing(),
        Words::Pod if typed.contains('/') => pairs(session, typed),
        Words::Pod => {
            let mut answer = names(session, "pods", &[]);
            let kinds = kinds(session, |r| WITH_PODS.contains(&r.name.as_str()) && r.name != "pods");
            answer.candidates.extend(kinds.candidates.into_iter().map(|(k, about)| (format!("{k}/"), about)));
            spaced(answer.beginning(typed))
        }
        Words::PodPath => {
            let mut answer = names(session, "pods", &[]);
            answer.candidates.iter_mut().for_each(|(c, _)| c.push(':'));
            Answer { directive: NO_SPACE, ..answer.beginning(typed) }
        }
        Words::Contexts if args.is_empty() => configured(session, "contexts").beginning(typed),
        Words::Clusters if args.is_empty() => configured(session, "clusters").beginning(typed),
        Words::Users if args.is_empty() => configured(session, "users").beginning(typed),
        Words::Shells if args.is_empty() => Answer::of(["bash", "fish", "zsh"]).beginning(typed),
        Words::Verbs if args.is_empty() => {
            Answer::of(["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"])
                .beginning(typed)
        }
        Words::Verbs if args.len() == 1 => kinds(session, |_| true).beginning(typed),
        Words::Nodes if args.is_empty() => Answer::of(["nodes"]).beginning(typed),
        Words::Nodes if args.len() == 1 => names(session, "nodes", &[]).beginning(typed),
        _ => Answer::nothing(),
    }
}

/// Candidates for a flag's value.
pub fn value(session: &Session, flag: &str, typed: &str) -> Answer {
    match flag {
        "namespace" | "namespaces" => names(session, "namespaces", &[]),
        "context" => configured(session, "contexts"),
        "cluster" => configured(session, "clusters"),
        "user" if !session.call.path().starts_with("create") => configured(session, "users"),
        "container" | "containers" | "target" => containers(session),
        "serviceaccount" | "clusterrole" | "role" => names(session, &format!("{flag}s"), &[]),
        "api-group" => {
            let groups = session.discovery().map(|d| d.all()).unwrap_or_default();
            Answer::of(groups.iter().map(|r| r.group.clone()).filter(|g| !g.is_empty()))
        }
        "for" if session.call.path() == "events" => pairs_or_kinds(session, typed),
        "filename"
        | "from-file"
        | "from-env-file"
        | "kustomize"
        | "kubeconfig"
        | "kuberc"
        | "certificate-authority"
        | "client-certificate"
        | "client-key"
        | "cert"
        | "key"
        | "patch-file"
        | "raw"
        | "cache-dir"
        | "www"
        | "unix-socket"
        | "output-directory" => Answer::files(),
        _ => Answer::nothing(),
    }
}

fn objects(session: &Session, typed: &str, of: impl Fn(&Resource) -> bool) -> Answer {
    let args = &session.call.args;
    if typed.contains('/') {
        return pairs(session, typed);
    }
    match args.first() {
        None => match typed.rsplit_once(',') {
            // `get pods,se…`
            Some((before, last)) => kinds(session, of).beginning(last).after(&format!("{before},")),
            None => kinds(session, of).beginning(typed),
        },
        Some(first) if first.contains('/') => Answer::nothing(),
        Some(kind) => names(session, kind, &args[1..]).beginning(typed),
    }
}

fn kinds(session: &Session, of: impl Fn(&Resource) -> bool) -> Answer {
    let all = session.discovery().map(|d| d.all()).unwrap_or_default();
    let mut seen: Vec<Rc<Resource>> = Vec::new();
    for resource in all.into_iter().filter(|r| of(r) && !r.verbs.is_empty()) {
        if !seen.iter().any(|s| s.name == resource.name && s.group == resource.group) {
            seen.push(resource);
        }
    }
    let twice = |r: &Resource| seen.iter().filter(|s| s.name == r.name).count() > 1;
    let candidates = seen
        .iter()
        .map(|r| {
            let first = seen.iter().find(|s| s.name == r.name).is_some_and(|s| s.group == r.group);
            let name = if twice(r) && !first { r.group_resource() } else { r.name.clone() };
            let short = if r.short.is_empty() { String::new() } else { format!(" ({})", r.short.join(", ")) };
            (name, format!("{}{short}", r.kind))
        })
        .collect();
    Answer { candidates, directive: NO_FILES }
}

/// `kind/na…`
fn pairs(session: &Session, typed: &str) -> Answer {
    let (kind, name) = typed.split_once('/').unwrap_or((typed, ""));
    names(session, kind, &[]).beginning(name).after(&format!("{kind}/"))
}

fn pairs_or_kinds(session: &Session, typed: &str) -> Answer {
    match typed.contains('/') {
        true => pairs(session, typed),
        false => {
            let mut answer = kinds(session, |_| true);
            answer.candidates.iter_mut().for_each(|(c, _)| c.push('/'));
            spaced(answer)
        }
    }
}

/// A word that ends in a slash goes on.
fn spaced(mut answer: Answer) -> Answer {
    if !answer.candidates.is_empty() && answer.candidates.iter().all(|(c, _)| c.ends_with('/')) {
        answer.directive |= NO_SPACE;
    }
    answer
}

/// The names of a kind's objects, but those that are on the line already.
fn names(session: &Session, kind: &str, but: &[String]) -> Answer {
    let found = (|| {
        let resource = session.discovery().ok()?.find(session, kind).ok()?;
        let everywhere = session.call.has_flag("all-namespaces") && session.call.is("all-namespaces");
        let namespace = if everywhere { String::new() } else { session.namespace().ok()?.0 };
        let selector = if session.call.has_flag("selector") { session.call.text("selector") } else { "" };
        let path = resource.path(&namespace, "") + &query(&[("labelSelector", selector)]);
        session.value(&Request { accept: NAMES, ..Request::get(path) }).ok()
    })();
    let list = found.unwrap_or_default();
    let all = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |o: &Value| o["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    Answer::of(all.iter().map(name).filter(|n| !but.contains(n)))
}

fn configured(session: &Session, list: &str) -> Answer {
    let Ok(config) = session.config() else { return Answer::nothing() };
    let all = match list {
        "contexts" => &config.contexts,
        "clusters" => &config.clusters,
        _ => &config.users,
    };
    let about = |name: &String| match list {
        "contexts" if *name == config.current => "The current one".to_owned(),
        _ => String::new(),
    };
    Answer { candidates: all.keys().map(|n| (n.clone(), about(n))).collect(), directive: NO_FILES }
}

/// The containers of the pod (or of the template) that the line names.
fn containers(session: &Session) -> Answer {
    let found = (|| {
        let args = &session.call.args;
        let first = args.first()?;
        let (kind, name) = match (first.split_once('/'), args.get(1)) {
            (Some(pair), _) => pair,
            (None, Some(name)) if session.call.path().starts_with("set ") => (first.as_str(), name.as_str()),
            (None, _) => ("pods", first.as_str()),
        };
        let resource = session.discovery().ok()?.find(session, kind).ok()?;
        session.get(&resource.path(&session.namespace().ok()?.0, name)).ok()
    })();
    let object = found.unwrap_or_default();
    let spec = match &object["spec"]["template"]["spec"] {
        Value::Null => &object["spec"],
        spec => spec,
    };
    let mut candidates = Vec::new();
    for (list, about) in [
        ("containers", ""),
        ("initContainers", "init container"),
        ("ephemeralContainers", "ephemeral container"),
    ] {
        for container in spec[list].as_array().into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            let image = container["image"].as_str().unwrap_or_default();
            let about = if about.is_empty() { image.to_owned() } else { format!("{about}, {image}") };
            candidates.push((name, about));
        }
    }
    Answer { candidates, directive: NO_FILES }
}
