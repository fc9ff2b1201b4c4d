//! Deployments, jobs, cron jobs.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::session::Session;

/// The name of an image without registry, tag and digest, as a container's name.
fn container_name(image: &str) -> String {
    let image = image.rsplit('/').next().unwrap_or(image);
    let image = image.split(':').next().unwrap_or(image).split('@').next().unwrap_or(image);
    let safe: String =
        image.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect();
    safe.to_lowercase()
}

pub fn deployment(session: &Session, name: &str) -> Result<Value> {
    let call = &session.call;
    let images = call.list("image");
    let (_, command) = call.split_at_dash();
    if images.len() > 1 && !command.is_empty() {
        return Err(Error::text("cannot specify multiple --image options and command"));
    }
    let mut containers = Vec::new();
    for image in &images {
        let mut container = json!({ "name": container_name(image), "image": image });
        if !command.is_empty() {
            container["command"] = json!(command);
        }
        containers.push(container);
    }
    if call.int("port") >= 0 {
        containers[0]["ports"] = json!([{ "containerPort": call.int("port") }]);
    }
    let labels = json!({ "app": name });
    Ok(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "labels": labels },
        "spec": {
            "replicas": call.int("replicas"),
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": { "containers": containers } },
        },
    }))
}

fn pod_template(name: &str, image: &str, command: &[String], restart: &str) -> Value {
    let mut container = json!({ "name": name, "image": image });
    if !command.is_empty() {
        container["command"] = json!(command);
    }
    json!({ "metadata": {}, "spec": { "containers": [container], "restartPolicy": restart } })
}

pub fn job(session: &Session, name: &str) -> Result<Value> {
    let call = &session.call;
    let (_, command) = call.split_at_dash();
    let (image, from) = (call.text("image"), call.text("from"));
    if image.is_empty() == from.is_empty() {
        return Err(Error::text("either --image or --from must be specified"));
    }
    if !command.is_empty() && image.is_empty() {
        return Err(Error::text("cannot specify --from and command"));
    }
    if from.is_empty() {
        return Ok(json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": name },
            "spec": { "template": pod_template(name, image, command, "Never") },
        }));
    }
    let query = crate::targets::Query { args: vec![from.to_owned()], ..Default::default() };
    let found = query.all(session)?;
    let [target] = &found[..] else {
        return Err(Error::text("from must be an existing cronjob"));
    };
    if target.resource.kind != "CronJob" {
        return Err(Error::text(format!(
            "unknown object type *{}.{}",
            target.resource.version, target.resource.kind
        )));
    }
    let source = &target.object;
    let template = &source["spec"]["jobTemplate"];
    let mut annotations = json!({ "cronjob.kubernetes.io/instantiate": "manual" });
    for (key, value) in template["metadata"]["annotations"].as_object().into_iter().flatten() {
        annotations[key] = value.clone();
    }
    let mut metadata = json!({
        "name": name,
        "annotations": annotations,
        "ownerReferences": [{
            "apiVersion": source["apiVersion"], "kind": source["kind"], "name": source["metadata"]["name"],
            "uid": source["metadata"]["uid"], "controller": true,
        }],
    });
    if template["metadata"]["labels"].is_object() {
        metadata["labels"] = template["metadata"]["labels"].clone();
    }
    Ok(json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"] }))
}

pub fn cron_job(session: &Session, name: &str) -> Result<Value> {
    let call = &session.call;
    let (_, command) = call.split_at_dash();
    let restart = match call.text("restart") {
        "" => "OnFailure",
        given => given,
    };
    Ok(json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": name },
        "spec": {
            "schedule": call.text("schedule"),
            "jobTemplate": {
                "metadata": { "name": name },
                "spec": { "template": pod_template(name, call.text("image"), command, restart) },
            },
        },
    }))
}
