//! `/containerLogs/NAMESPACE/POD/CONTAINER`

use std::path::PathBuf;
use std::sync::Arc;

use cri::Event;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::StreamExt as _;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::{Body, text};
use crate::context::Context;
use crate::logs::{self, LogOptions, StreamName};
use crate::spec;

/// What the query says.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub options: LogOptions,
    pub previous: bool,
}

impl Query {
    /// As `PodLogOptions` in a URL. The error is for people.
    pub fn parse(query: &str, now: jiff::Timestamp) -> Result<Query, String> {
        let mut parsed = Query::default();
        let options = &mut parsed.options;
        for (key, value) in form_urlencoded::parse(query.as_bytes()).filter(|(_, v)| !v.is_empty()) {
            let number =
                || value.parse::<i64>().map_err(|_| format!("invalid {key}: {value:?} is not a number"));
            let positive = |least: i64| match number()? {
                n if n < least => Err(format!("invalid {key}: must be greater than or equal to {least}")),
                n => Ok(n.unsigned_abs()),
            };
            let yes = || matches!(&*value, "true" | "1");
            match &*key {
                "follow" => options.follow = yes(),
                "previous" => parsed.previous = yes(),
                "timestamps" => options.timestamps = yes(),
                "tailLines" => options.tail = Some(positive(0)?),
                "limitBytes" => options.limit = Some(positive(1)?),
                "sinceSeconds" => {
                    let seconds = i64::try_from(positive(1)?).unwrap_or(i64::MAX);
                    options.since = now.checked_sub(SignedDuration::from_secs(seconds)).ok();
                }
                "sinceTime" => {
                    options.since = Some(value.parse().map_err(|e| format!("invalid sinceTime: {e}"))?);
                }
                "stream" => {
                    options.stream = match &*value {
                        "All" => None,
                        "Stdout" => Some(StreamName::Stdout),
                        "Stderr" => Some(StreamName::Stderr),
                        other => return Err(format!("invalid stream: {other:?}")),
                    };
                }
                _ => {}
            }
        }
        Ok(parsed)
    }
}

/// The container's status in the pod's.
pub fn status_of<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let lists =
        [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    lists.into_iter().flatten().flatten().find(|s| s.name == name)
}

pub async fn container_logs(
    context: &Arc<Context>,
    pod: Option<Arc<Pod>>,
    pod_name: &str,
    container: &str,
    query: Option<&str>,
) -> Response<Body> {
    let Some(pod) = pod else {
        return text(StatusCode::NOT_FOUND, format!("pod {pod_name:?} does not exist\n"));
    };
    if spec::find(&pod, container).is_none() {
        let message = format!("container {container:?} not found in pod {pod_name:?}\n");
        return text(StatusCode::NOT_FOUND, message);
    }
    let query = match Query::parse(query.unwrap_or_default(), context.clock.now()) {
        Ok(query) => query,
        Err(e) => return text(StatusCode::BAD_REQUEST, e),
    };
    // The API's copy of the status may be behind: the runtime is asked.
    let found = match find(context, &pod, container, query.previous).await {
        Ok(found) => found,
        Err(e) => return text(StatusCode::BAD_REQUEST, e),
    };
    let ended: BoxFuture<'static, ()> = match query.options.follow {
        true => ended(context.clone(), found.container.id.clone()).boxed(),
        false => futures::future::ready(()).boxed(),
    };
    let log = PathBuf::from(&found.log_path);
    match logs::open(&log, query.options, ended).await {
        Ok(stream) => {
            let body = StreamBody::new(stream.map(|chunk| chunk.map(Frame::data)));
            let mut response = Response::new(BodyExt::boxed_unsync(body));
            let plain = http::HeaderValue::from_static("text/plain");
            response.headers_mut().insert(http::header::CONTENT_TYPE, plain);
            response
        }
        Err(e) => text(StatusCode::BAD_REQUEST, format!("failed to open log file {:?}: {e}", found.log_path)),
    }
}

/// The container whose log is meant, newest or the one before.
async fn find(
    context: &Context,
    pod: &Pod,
    name: &str,
    previous: bool,
) -> Result<cri::ContainerStatus, String> {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let all = context.runtime.list_containers().await.map_err(|e| e.to_string())?;
    let mut own: Vec<_> = all
        .into_iter()
        .filter(|c| {
            c.metadata.name == name
                && c.labels.get(crate::observed::label::POD_UID).map(String::as_str) == Some(uid)
        })
        .filter(|c| c.state != cri::ContainerState::Created)
        .collect();
    own.sort_by_key(|c| std::cmp::Reverse((c.created_at, c.metadata.attempt)));
    let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
    let chosen = match (previous, own.as_slice()) {
        (false, [newest, ..]) => newest,
        // One that waits for its restart is itself the last that ended.
        (true, [newest, ..]) if newest.state == cri::ContainerState::Exited && is_waiting(pod, name) => {
            newest
        }
        (true, [_, before, ..]) => before,
        (true, _) => {
            return Err(format!("previous terminated container {name:?} in pod {pod_name:?} not found"));
        }
        (false, []) => return Err(not_started(pod, name)),
    };
    context.runtime.container_status(&chosen.id).await.map_err(|e| e.to_string())
}

fn is_waiting(pod: &Pod, name: &str) -> bool {
    status_of(pod, name).and_then(|s| s.state.as_ref()).is_some_and(|s| s.waiting.is_some())
}

fn not_started(pod: &Pod, name: &str) -> String {
    let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
    let waiting = status_of(pod, name).and_then(|s| s.state.as_ref()).and_then(|s| s.waiting.as_ref());
    let reason = waiting.and_then(|w| w.reason.as_deref()).unwrap_or("ContainerCreating");
    let why = match reason {
        "ErrImagePull" => "image can't be pulled",
        "ImagePullBackOff" => "trying and failing to pull image",
        reason => reason,
    };
    format!("container {name:?} in pod {pod_name:?} is waiting to start: {why}")
}

/// Completes when the container does not run (any more).
async fn ended(context: Arc<Context>, id: String) {
    let mut events = context.runtime.events();
    loop {
        // After the subscription: an end in between is an event.
        let status = context.runtime.container_status(&id).await;
        if !status.is_ok_and(|s| crate::observed::is_alive(&s)) {
            return;
        }
        loop {
            match events.next().await {
                Some(
                    Event::ContainerStopped { container, .. } | Event::ContainerDeleted { container, .. },
                ) if container == id => {
                    return;
                }
                Some(Event::Resync) => break,
                Some(_) => {}
                None => return,
            }
        }
    }
}
