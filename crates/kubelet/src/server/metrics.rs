//! `/metrics`: the few numbers of this kubelet that upstream has under the same names.

use std::fmt::Write as _;
use std::sync::Arc;

use http::{Response, StatusCode};
use k8s_openapi::api::core::v1::Pod;

use super::{Body, with_type};
use crate::context::Context;
use crate::node::KUBELET_VERSION;

pub async fn metrics(context: &Arc<Context>, pods: &[Arc<Pod>]) -> Response<Body> {
    let mut text = String::new();
    let mut family = |name: &str, help: &str, samples: &[(String, usize)]| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let build = format!("{{git_version={KUBELET_VERSION:?}}}");
    family("kubernetes_build_info", "A metric with a constant '1' value labeled by version.", &[(build, 1)]);
    let node = format!("{{node={:?}}}", context.node_name);
    family("kubelet_node_name", "The node's name. The count is always 1.", &[(node, 1)]);
    family(
        "kubelet_active_pods",
        "The number of pods the kubelet considers active.",
        &[(String::new(), pods.len())],
    );
    if let Ok(containers) = context.runtime.list_containers().await {
        let count = |state| containers.iter().filter(|c| c.state == state).count();
        let samples = [
            ("created", cri::ContainerState::Created),
            ("exited", cri::ContainerState::Exited),
            ("running", cri::ContainerState::Running),
            ("unknown", cri::ContainerState::Unknown),
        ]
        .map(|(name, state)| (format!("{{container_state={name:?}}}"), count(state)));
        family("kubelet_running_containers", "Number of containers currently running.", &samples);
    }
    if let Ok(sandboxes) = context.runtime.list_pod_sandboxes().await {
        let ready = sandboxes.iter().filter(|s| s.state == cri::SandboxState::Ready).count();
        family(
            "kubelet_running_pods",
            "Number of pods that have a running pod sandbox.",
            &[(String::new(), ready)],
        );
    }
    with_type(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
}
