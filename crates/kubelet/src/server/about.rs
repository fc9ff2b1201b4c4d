//! `/configz` and `/runningpods/`: how this kubelet is set, and what the runtime runs.

use std::collections::BTreeMap;

use http::{Response, StatusCode};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use super::{Body, text, with_type};
use crate::context::Context;
use crate::observed::label;

/// The fields of a KubeletConfiguration that mean something here.
pub fn configz(context: &Context) -> Response<Body> {
    let config = json!({"kubeletconfig": {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": true, "cacheTTL": "2m0s"}},
        "authorization": {
            "mode": "Webhook",
            "webhook": {"cacheAuthorizedTTL": "5m0s", "cacheUnauthorizedTTL": "30s"},
        },
        "cgroupDriver": "cgroupfs",
        "clusterDomain": context.dns.domain,
        "clusterDNS": context.dns.servers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "containerLogMaxFiles": 5,
        "containerLogMaxSize": "10Mi",
        "evictionHard": context.eviction.as_config(),
        "imageGCHighThresholdPercent": 85,
        "imageGCLowThresholdPercent": 80,
        "maxPods": context.max_pods,
        "resolvConf": context.resolv_conf,
        "seccompDefault": context.seccomp_default,
        "staticPodPath": context.static_pod_path,
    }});
    with_type(StatusCode::OK, "application/json", config.to_string())
}

/// Pods as the runtime alone knows them.
pub async fn running_pods(context: &Context) -> Response<Body> {
    let containers = match context.runtime.list_containers().await {
        Ok(containers) => containers,
        Err(e) => return text(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()),
    };
    let mut pods: BTreeMap<String, Pod> = BTreeMap::new();
    for container in containers.into_iter().filter(|c| c.state == cri::ContainerState::Running) {
        let label = |name: &str| container.labels.get(name).cloned();
        let Some(uid) = label(label::POD_UID) else { continue };
        let pod = pods.entry(uid.clone()).or_insert_with(|| Pod {
            metadata: ObjectMeta {
                name: label(label::POD_NAME),
                namespace: label(label::POD_NAMESPACE),
                uid: Some(uid),
                ..ObjectMeta::default()
            },
            spec: Some(PodSpec::default()),
            status: None,
        });
        if let Some(spec) = &mut pod.spec {
            spec.containers.push(Container {
                name: container.metadata.name.clone(),
                image: Some(container.image.clone()),
                ..Container::default()
            });
        }
    }
    with_type(StatusCode::OK, "application/json", super::pod_list(pods.values()))
}
