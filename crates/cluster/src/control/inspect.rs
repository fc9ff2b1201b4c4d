//! Containers and sandboxes as `docker ps` and `docker inspect` show them.

use anyhow::{Result, bail};
use cri::{ContainerState, ContainerStatus, PodSandbox, RuntimeService, SandboxState};
use jiff::Timestamp;
use resources::strategy::human_duration;
use serde_json::{Value, json};

use super::{Node, Row};

const SANDBOX_IMAGE: &str = "knarr/pod";

/// Containers and sandboxes, newest first.
pub async fn rows(node: &Node, all: bool) -> Result<Vec<Row>> {
    let now = node.clock.now();
    let sandboxes = node.runtime.list_pod_sandboxes().await?;
    let mut rows: Vec<(i64, Row)> = Vec::new();
    for sandbox in &sandboxes {
        if all || sandbox.state == SandboxState::Ready {
            rows.push((sandbox.created_at, sandbox_row(sandbox, now)));
        }
    }
    for container in node.runtime.list_containers().await? {
        if !all && container.state != ContainerState::Running {
            continue;
        }
        // It may go between list and look.
        let Ok(status) = node.runtime.container_status(&container.id).await else { continue };
        let pod = sandboxes.iter().find(|s| s.id == container.sandbox);
        rows.push((container.created_at, container_row(&status, pod, now)));
    }
    rows.sort_by_key(|(created, _)| std::cmp::Reverse(*created));
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

fn sandbox_row(sandbox: &PodSandbox, now: Timestamp) -> Row {
    Row {
        id: sandbox.id.clone(),
        image: SANDBOX_IMAGE.into(),
        command: String::new(),
        created: ago(sandbox.created_at, now),
        status: match sandbox.state {
            SandboxState::Ready => format!("Up {}", age(sandbox.created_at, now)),
            SandboxState::NotReady => "Exited".into(),
        },
        name: name("POD", Some(sandbox), sandbox.metadata.attempt),
    }
}

fn container_row(status: &ContainerStatus, pod: Option<&PodSandbox>, now: Timestamp) -> Row {
    let container = &status.container;
    Row {
        id: container.id.clone(),
        image: status.image.clone(),
        command: status.command.join(" "),
        created: ago(container.created_at, now),
        status: match container.state {
            ContainerState::Running => format!("Up {}", age(status.started_at, now)),
            ContainerState::Exited => {
                format!("Exited ({}) {}", status.exit_code, ago(status.finished_at, now))
            }
            ContainerState::Created => "Created".into(),
            ContainerState::Unknown => "Unknown".into(),
        },
        name: name(&container.metadata.name, pod, container.metadata.attempt),
    }
}

fn name(container: &str, pod: Option<&PodSandbox>, attempt: u32) -> String {
    let Some(pod) = pod else { return format!("k8s_{container}") };
    let meta = &pod.metadata;
    format!("k8s_{container}_{}_{}_{}_{attempt}", meta.name, meta.namespace, meta.uid)
}

fn age(nanoseconds: i64, now: Timestamp) -> String {
    human_duration(now.as_second() - nanoseconds / 1_000_000_000)
}

fn ago(nanoseconds: i64, now: Timestamp) -> String {
    format!("{} ago", age(nanoseconds, now))
}

/// One container or sandbox, by id or an unambiguous beginning of it.
pub async fn object(node: &Node, id: &str) -> Result<Value> {
    let containers = node.runtime.list_containers().await?;
    let sandboxes = node.runtime.list_pod_sandboxes().await?;
    let ids = containers.iter().map(|c| &c.id).chain(sandboxes.iter().map(|s| &s.id));
    let found: Vec<&String> = ids.filter(|i| !id.is_empty() && i.starts_with(id)).collect();
    match found[..] {
        [] => bail!("no container or sandbox {id:?} on this node; `knarr ps -a` lists them"),
        [one] if sandboxes.iter().any(|s| s.id == *one) => sandbox(node, one).await,
        [one] => container(node, one, &sandboxes).await,
        _ => bail!("{id:?} is the beginning of {} ids; type more of it", found.len()),
    }
}

async fn container(node: &Node, id: &str, sandboxes: &[PodSandbox]) -> Result<Value> {
    let status = node.runtime.container_status(id).await?;
    let container = &status.container;
    let pod = sandboxes.iter().find(|s| s.id == container.sandbox);
    let mounts: Vec<Value> = status
        .mounts
        .iter()
        .map(|m| json!({ "Type": "bind", "Source": m.host_path, "Destination": m.container_path, "RW": !m.readonly }))
        .collect();
    Ok(json!({
        "Id": container.id,
        "Name": name(&container.metadata.name, pod, container.metadata.attempt),
        "Created": time(container.created_at),
        "Path": status.command.first(),
        "Args": status.command.get(1..),
        "State": {
            "Status": format!("{:?}", container.state).to_lowercase(),
            "Running": container.state == ContainerState::Running,
            "OOMKilled": status.reason == "OOMKilled",
            "Pid": status.pid,
            "ExitCode": status.exit_code,
            "Error": status.message,
            "StartedAt": time(status.started_at),
            "FinishedAt": time(status.finished_at),
        },
        "Image": status.image_ref,
        "LogPath": status.log_path,
        "Mounts": mounts,
        "Config": { "Image": status.image, "Labels": container.labels, "Annotations": container.annotations },
        "HostConfig": { "NetworkMode": format!("container:{}", container.sandbox), "Resources": status.resources },
        // The pod has the addresses, not its containers.
        "NetworkSettings": { "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "SandboxID": container.sandbox },
    }))
}

async fn sandbox(node: &Node, id: &str) -> Result<Value> {
    let status = node.runtime.pod_sandbox_status(id).await?;
    let sandbox = &status.sandbox;
    Ok(json!({
        "Id": sandbox.id,
        "Name": name("POD", Some(sandbox), sandbox.metadata.attempt),
        "Created": time(sandbox.created_at),
        "State": { "Running": sandbox.state == SandboxState::Ready },
        "Config": { "Image": SANDBOX_IMAGE, "Labels": sandbox.labels, "Annotations": sandbox.annotations },
        "NetworkSettings": {
            "IPAddress": status.ips.first().map(ToString::to_string).unwrap_or_default(),
            "IPs": status.ips,
        },
    }))
}

fn time(nanoseconds: i64) -> String {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or_default().to_string()
}
