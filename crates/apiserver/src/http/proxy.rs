//! Subresources that are somebody else's answer: the node's kubelet gives logs and streams. [`CONNECTS`] lists
//! them.

use std::sync::Arc;

use apimachinery::{GroupResource, ObjectKey, Status};
use async_trait::async_trait;
use codec::Kind as _;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::{Node, Pod};

use super::body::{self, Body, RequestBody};
use super::endpoints::not_found;
use super::service::{Exchange, method_not_allowed};
use crate::api::Api;
use crate::pipeline::authorize::{authorize, resource_attributes};
use crate::pipeline::path::ResourcePath;

mod backend;
mod kubelet;
mod links;
mod log;
mod relay;
mod stream;

pub use kubelet::KubeletProxy;

/// The way to a node's kubelet.
#[async_trait]
pub trait NodeProxy: Send + Sync + 'static {
    /// Sends `request` to the kubelet of `node` with its path and query replaced by `path_and_query`, and answers
    /// what it answers. After a 101 the bytes of both sides flow until one closes.
    async fn forward(
        &self,
        node: &Node,
        path_and_query: &str,
        request: Request<RequestBody>,
    ) -> Result<Response<Body>, Status>;
}

/// What a connect handler works with.
pub struct Connect {
    pub api: Arc<Api>,
    pub exchange: Exchange,
    pub path: ResourcePath,
}

type Handler = fn(Connect) -> BoxFuture<'static, Result<Response<Body>, Status>>;

/// What proxies hand on.
const ANY: &[Method] =
    &[Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// Resource, subresource, the methods it takes, and who answers.
const CONNECTS: &[(&str, &str, &[Method], Handler)] = &[
    ("pods", "log", &[Method::GET, Method::HEAD], |c| Box::pin(log::log(c))),
    ("pods", "exec", &[Method::GET, Method::POST], |c| Box::pin(stream::exec(c))),
    ("pods", "attach", &[Method::GET, Method::POST], |c| Box::pin(stream::attach(c))),
    ("pods", "portforward", &[Method::GET, Method::POST], |c| Box::pin(stream::port_forward(c))),
    ("nodes", "proxy", ANY, |c| Box::pin(stream::node(c))),
    ("pods", "proxy", ANY, |c| Box::pin(backend::pod(c))),
    ("services", "proxy", ANY, |c| Box::pin(backend::service(c))),
];

/// Whether the path is answered here.
pub fn is_connect(path: &ResourcePath) -> bool {
    path.group.is_empty() && path.version == "v1" && find(path).is_some()
}

fn find(path: &ResourcePath) -> Option<&'static (&'static str, &'static str, &'static [Method], Handler)> {
    CONNECTS.iter().find(|(resource, sub, ..)| path.resource == *resource && path.subresource == *sub)
}

/// Authorizes, then lets the handler answer.
pub async fn connect(
    api: &Arc<Api>,
    exchange: Exchange,
    path: ResourcePath,
) -> Result<Response<Body>, Status> {
    let Some((resource, sub, methods, handler)) = find(&path) else { return Ok(not_found()) };
    let method = exchange.request.method();
    for verb in verbs(sub, method) {
        authorize(&*api.authorizer, &resource_attributes(&exchange.user, verb, &path, "")).await?;
    }
    let served = api.registry.resource("", "v1", resource).is_some_and(|r| r.subresources.contains(sub));
    if !served {
        return Err(crate::pipeline::dispatch::unknown_resource());
    }
    if !methods.contains(method) {
        return Err(method_not_allowed());
    }
    handler(Connect { api: api.clone(), exchange, path }).await
}

/// What a method means here. A WebSocket can only be opened by GET, and yet runs commands: streams ask for
/// create as well.
fn verbs(subresource: &str, method: &Method) -> &'static [&'static str] {
    let stream = matches!(subresource, "exec" | "attach" | "portforward");
    match *method {
        Method::GET | Method::HEAD if stream => &["get", "create"],
        Method::GET | Method::HEAD => &["get"],
        Method::PUT => &["update"],
        Method::PATCH => &["patch"],
        Method::DELETE => &["delete"],
        _ => &["create"],
    }
}

impl Connect {
    /// The pod that the path names.
    fn pod(&self) -> Result<Pod, Status> {
        let key = ObjectKey::new(&self.path.namespace, &self.path.name);
        let object = self.api.registry.peek("", "pods", &key)?;
        Pod::from_json(object.json()).map_err(Status::internal)
    }

    /// What follows `/proxy` in the request's path, as it was sent: empty, or from the `/` on.
    fn rest(&self) -> &str {
        let path = self.exchange.request.uri().path();
        let parts = if self.path.namespace.is_empty() { 5 } else { 7 };
        path.match_indices('/').nth(parts).map_or("", |(at, _)| &path[at..])
    }

    /// A node by its name.
    fn node(&self, name: &str) -> Result<Node, Status> {
        let object = self.api.registry.peek("", "nodes", &ObjectKey::cluster(name))?;
        Node::from_json(object.json()).map_err(Status::internal)
    }
}

/// To the same place with a slash at its end: relative links go wrong without.
fn with_slash(uri: &http::Uri) -> Response<Body> {
    let query = uri.query().map(|q| format!("?{q}")).unwrap_or_default();
    let mut response = body::with_type(301, "text/plain; charset=utf-8", "");
    if let Ok(to) = http::HeaderValue::from_str(&format!("{}/{query}", uri.path())) {
        response.headers_mut().insert(http::header::LOCATION, to);
    }
    response
}

/// The container meant: the one named, or the only one.
fn container(pod: &Pod, asked: Option<&str>) -> Result<String, Status> {
    let spec = pod.spec.clone().unwrap_or_default();
    let init: Vec<String> = spec.init_containers.unwrap_or_default().into_iter().map(|c| c.name).collect();
    let ephemeral = spec.ephemeral_containers.unwrap_or_default().into_iter().map(|c| c.name);
    let main: Vec<String> = spec.containers.into_iter().map(|c| c.name).collect();
    match asked.filter(|name| !name.is_empty()) {
        Some(name) => {
            match main.iter().chain(&init).any(|n| n == name) || ephemeral.into_iter().any(|n| n == name) {
                true => Ok(name.to_owned()),
                false => {
                    Err(Status::bad_request(format!("container {name} is not valid for pod {}", pod.name())))
                }
            }
        }
        None => match &main[..] {
            [only] => Ok(only.clone()),
            [] => {
                Err(Status::bad_request(format!("a container name must be specified for pod {}", pod.name())))
            }
            many => {
                let choices = format!("choose one of: [{}]", many.join(" "));
                let init = match &init[..] {
                    [] => String::new(),
                    init => format!(" or one of the init containers: [{}]", init.join(" ")),
                };
                Err(Status::bad_request(format!(
                    "a container name must be specified for pod {}, {choices}{init}",
                    pod.name()
                )))
            }
        },
    }
}

fn assigned(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).filter(|n| !n.is_empty())
}

/// `a=1&b=2` with what needs it escaped.
fn query(pairs: &[(&str, String)]) -> String {
    let escape = |text: &str| -> String {
        text.bytes()
            .map(|b| match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    (b as char).to_string()
                }
                b => format!("%{b:02X}"),
            })
            .collect()
    };
    let joined: Vec<_> = pairs.iter().map(|(k, v)| format!("{}={}", escape(k), escape(v))).collect();
    if joined.is_empty() { String::new() } else { format!("?{}", joined.join("&")) }
}

/// At most this much of a kubelet's refusal is read.
const REFUSAL_MAX: usize = 50_000;

/// What a kubelet's refusal means to the client: its text in a `Status`.
async fn checked(response: Response<Body>, subresource: &str, name: &str) -> Result<Response<Body>, Status> {
    let code = response.status().as_u16();
    if (200..=206).contains(&code) || code == 101 {
        return Ok(response);
    }
    let mut text = Vec::new();
    let mut incoming = response.into_body();
    while let Some(Ok(frame)) = incoming.frame().await {
        if let Ok(data) = frame.into_data() {
            text.extend_from_slice(&data[..data.len().min(REFUSAL_MAX - text.len())]);
        }
        if text.len() >= REFUSAL_MAX {
            break;
        }
    }
    let text = String::from_utf8_lossy(&text).trim_end_matches('\n').to_owned();
    Err(match code {
        400 => Status::bad_request(text),
        500 => Status::internal(text),
        404 => {
            let resource = GroupResource { group: "".into(), resource: format!("pods/{subresource}").into() };
            let mut status = Status::not_found(&resource, name);
            status.message = format!("the server could not find the requested resource ( {resource} {name})");
            status
        }
        code => Status::failure(code, "", text),
    })
}

/// 204, upstream's answer where there is nothing to stream from yet.
fn nothing() -> Response<Body> {
    body::with_type(204, "text/plain", "")
}

#[cfg(test)]
mod tests;
