//! `pods/exec`, `pods/attach`, `pods/portforward`, `nodes/proxy`: the connection itself is handed through.

use apimachinery::Status;
use http::Response;
use k8s_openapi::api::core::v1::Pod;

use super::super::body::Body;
use super::{Connect, assigned, container, query, with_slash};
use crate::pipeline::params::Params;

pub async fn exec(connect: Connect) -> Result<Response<Body>, Status> {
    in_container(connect, "exec").await
}

pub async fn attach(connect: Connect) -> Result<Response<Body>, Status> {
    in_container(connect, "attach").await
}

pub async fn port_forward(connect: Connect) -> Result<Response<Body>, Status> {
    let pod = connect.pod()?;
    let ports: Vec<&str> =
        connect.exchange.params.raw.iter().filter(|(k, _)| k == "ports").map(|(_, v)| &**v).collect();
    let pairs = if ports.is_empty() { Vec::new() } else { vec![("port", ports.join(","))] };
    let path = format!("/portForward/{}/{}{}", connect.path.namespace, connect.path.name, query(&pairs));
    forward(connect, &pod, &path).await
}

/// Everything below `/api/v1/nodes/NAME/proxy` is the kubelet's own path.
pub async fn node(connect: Connect) -> Result<Response<Body>, Status> {
    let node = connect.node(&connect.path.name)?;
    let uri = connect.exchange.request.uri();
    let upgrades = connect.exchange.request.headers().contains_key(http::header::UPGRADE);
    let rest = match connect.rest() {
        "" if !upgrades => return Ok(with_slash(uri)),
        "" => "/",
        rest => rest,
    };
    let path = format!("{rest}{}", uri.query().map(|q| format!("?{q}")).unwrap_or_default());
    connect.api.node_proxy.forward(&node, &path, connect.exchange.request).await
}

async fn in_container(connect: Connect, what: &str) -> Result<Response<Body>, Status> {
    let pod = connect.pod()?;
    let container = container(&pod, connect.exchange.params.get("container"))?;
    let pairs = stream_pairs(&connect.exchange.params);
    let path =
        format!("/{what}/{}/{}/{container}{}", connect.path.namespace, connect.path.name, query(&pairs));
    forward(connect, &pod, &path).await
}

async fn forward(connect: Connect, pod: &Pod, path: &str) -> Result<Response<Body>, Status> {
    let node = assigned(pod).ok_or_else(|| {
        Status::bad_request(format!("pod {} does not have a host assigned", connect.path.name))
    })?;
    let node = connect.node(node)?;
    connect.api.node_proxy.forward(&node, path, connect.exchange.request).await
}

/// The API's option names as the kubelet knows them.
fn stream_pairs(params: &Params) -> Vec<(&'static str, String)> {
    // stdout and stderr are on unless turned off.
    const FLAGS: [(&str, &str, bool); 4] = [
        ("stdin", "input", false),
        ("stdout", "output", true),
        ("stderr", "error", true),
        ("tty", "tty", false),
    ];
    let on = |key, default| {
        params.get(key).map_or(default, |v| !matches!(&*v.to_ascii_lowercase(), "false" | "0"))
    };
    let mut pairs: Vec<_> = FLAGS
        .into_iter()
        .filter(|(key, _, default)| on(key, *default))
        .map(|(_, name, _)| (name, "1".to_owned()))
        .collect();
    pairs.extend(params.raw.iter().filter(|(k, _)| k == "command").map(|(_, v)| ("command", v.clone())));
    pairs
}
