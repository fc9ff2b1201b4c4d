//! `run`: a pod from an image; with `--generator=run/v1` the replication controller that the guide shows.

use serde_json::{Value, json};

use crate::change::{Change, DryRun, remember};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::targets::Target;

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    crate::verbs::create::required(session, &["image"])?;
    let Some(name) = call.args.first().filter(|_| call.dash != Some(0)) else {
        return Err(Error::usage("run", "NAME is required for run"));
    };
    let (stdin, attach) =
        (call.is("stdin"), call.is("attach") || (call.is("stdin") && !call.changed("attach")));
    let restart = match call.text("restart") {
        policy @ ("Always" | "OnFailure" | "Never") => policy,
        other => {
            return Err(Error::text(format!(
                "invalid restart policy: {other}, valid values are: Always, OnFailure, Never"
            )));
        }
    };
    if call.is("tty") && !stdin {
        return Err(Error::text("-i/--stdin is required for containers with -t/--tty=true"));
    }
    if call.is("expose") && call.text("port").is_empty() {
        return Err(Error::text("--port must be set when exposing a service"));
    }
    if call.is("rm") && !attach {
        return Err(Error::text("--rm should only be used for attached containers"));
    }
    if attach && crate::change::dry_run(call)? != DryRun::None {
        return Err(Error::text(
            "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)",
        ));
    }
    let policy = call.text("image-pull-policy");
    if !matches!(policy, "" | "Always" | "IfNotPresent" | "Never") {
        return Err(Error::text(format!("invalid image pull policy: {policy}")));
    }
    let image = call.text("image");
    if image.is_empty() || image.contains(char::is_whitespace) {
        return Err(Error::text(format!("Invalid image name \"{image}\": invalid reference format")));
    }
    let object = match call.text("generator") {
        "" | "run-pod/v1" => pod(session, name, restart)?,
        "run/v1" => controller(session, name, restart)?,
        other => {
            return Err(Error::text(format!(
                "generator \"{other}\" not found: run-pod/v1 and run/v1 are known"
            )));
        }
    };
    let object = overridden(session, object)?;
    let mut change = Change::new(session, "created")?.typed();
    let target = create(session, &mut change, object)?;
    let mut made = vec![target.clone()];
    if call.is("expose") {
        made.push(create(session, &mut change, service(session, name)?)?);
    }
    match attach {
        true => crate::verbs::exec::run_attached(session, &target, &made),
        false => Ok(()),
    }
}

/// Makes the object and says so (unless one attaches to it).
fn create(session: &Session, change: &mut Change<'_>, mut object: Value) -> Result<Target> {
    let call = &session.call;
    let (namespace, given) = session.namespace()?;
    if given {
        object["metadata"]["namespace"] = json!(namespace);
    }
    if call.is("save-config") && change.dry_run != DryRun::Client {
        remember(&mut object, true);
    }
    let quiet = call.is("quiet") || call.is("attach") || call.is("stdin");
    if change.dry_run == DryRun::Client {
        change.show(&object)?;
        let resource = std::rc::Rc::new(crate::discovery::Resource::default());
        return Ok(Target::of(resource, object));
    }
    let text = |f: &str| object[f].as_str().unwrap_or_default();
    let resource = session.discovery()?.of_kind(session, text("apiVersion"), text("kind"))?;
    let made = change.create(&resource, &namespace, &object)?;
    if !quiet {
        change.show(&made)?;
    }
    Ok(Target::of(resource, made))
}

fn labels(session: &Session, name: &str) -> Result<Value> {
    let given = session.call.text("labels");
    if given.is_empty() {
        return Ok(json!({ "run": name }));
    }
    let mut labels = json!({});
    for pair in given.split(',') {
        match pair.split_once('=') {
            Some((key, value)) => labels[key] = json!(value),
            None => return Err(Error::text(format!("unexpected label spec: {pair}"))),
        }
    }
    Ok(labels)
}

fn container(session: &Session, name: &str) -> Result<Value> {
    let call = &session.call;
    let mut container = json!({ "name": name, "image": call.text("image") });
    let words = &call.args[1..];
    if !words.is_empty() {
        container[if call.is("command") { "command" } else { "args" }] = json!(words);
    }
    let mut env = Vec::new();
    for pair in call.list("env") {
        match pair.split_once('=').filter(|(key, _)| !key.is_empty()) {
            Some((key, "")) => env.push(json!({ "name": key })),
            Some((key, value)) => env.push(json!({ "name": key, "value": value })),
            None => return Err(Error::text(format!("invalid env: {pair}"))),
        }
    }
    if !env.is_empty() {
        container["env"] = json!(env);
    }
    if !call.text("port").is_empty() {
        let port: i64 = call.text("port").parse().map_err(|_| {
            Error::text(format!(
                "strconv.Atoi: parsing {}: invalid syntax",
                crate::text::quote(call.text("port"))
            ))
        })?;
        container["ports"] = json!([{ "containerPort": port }]);
    }
    if !call.text("image-pull-policy").is_empty() {
        container["imagePullPolicy"] = json!(call.text("image-pull-policy"));
    }
    if call.is("stdin") {
        container["stdin"] = json!(true);
        if !call.is("leave-stdin-open") {
            container["stdinOnce"] = json!(true);
        }
    }
    if call.is("tty") {
        container["tty"] = json!(true);
    }
    if call.is("privileged") {
        container["securityContext"] = json!({ "privileged": true });
    }
    Ok(container)
}

fn pod(session: &Session, name: &str, restart: &str) -> Result<Value> {
    let mut metadata = json!({ "name": name, "labels": labels(session, name)? });
    for pair in session.call.list("annotations") {
        match pair.split_once('=') {
            Some((key, value)) => metadata["annotations"][key] = json!(value),
            None => return Err(Error::text(format!("unexpected annotation spec: {pair}"))),
        }
    }
    Ok(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
        "spec": {
            "containers": [container(session, name)?], "dnsPolicy": "ClusterFirst", "restartPolicy": restart,
        },
    }))
}

/// What `run` made before there were deployments.
fn controller(session: &Session, name: &str, restart: &str) -> Result<Value> {
    if restart != "Always" {
        return Err(Error::text(format!(
            "a replication controller keeps its pods running: --restart={restart} is not for run/v1"
        )));
    }
    let labels = labels(session, name)?;
    let replicas = if session.call.changed("replicas") { session.call.int("replicas") } else { 1 };
    Ok(json!({
        "apiVersion": "v1", "kind": "ReplicationController",
        "metadata": { "name": name, "labels": labels },
        "spec": {
            "replicas": replicas, "selector": labels,
            "template": { "metadata": { "labels": labels }, "spec": { "containers": [container(session, name)?] } },
        },
    }))
}

fn service(session: &Session, name: &str) -> Result<Value> {
    let port = session.call.int("port");
    let labels = labels(session, name)?;
    let mut metadata = json!({ "name": name });
    if !session.call.text("labels").is_empty() {
        metadata["labels"] = labels.clone();
    }
    Ok(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata,
        "spec": { "ports": [{ "port": port, "protocol": "TCP", "targetPort": port }], "selector": labels },
    }))
}

/// With `--overrides` merged in.
pub fn overridden(session: &Session, object: Value) -> Result<Value> {
    let call = &session.call;
    let text = call.text("overrides");
    if text.is_empty() {
        return Ok(object);
    }
    let bad = |e: String| Error::text(format!("invalid --overrides: {e}"));
    let patch = codec::yaml::to_value(text.as_bytes()).map_err(bad)?;
    let bytes = patch.to_string();
    Ok(match call.text("override-type") {
        "json" => apimachinery::patch::json_patch(object, bytes.as_bytes())?,
        "strategic" => {
            let api_version = object["apiVersion"].as_str().unwrap_or_default().to_owned();
            let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
            let of = facts::kind(group, version, object["kind"].as_str().unwrap_or_default());
            let of = of.ok_or_else(|| bad("the kind is not known".into()))?;
            apimachinery::patch::strategic_merge(object, patch, codec::schema::of_type(of))?
        }
        "merge" => apimachinery::patch::merge_patch(object, bytes.as_bytes())?,
        other => return Err(Error::text(format!("invalid override type: {other}"))),
    })
}
