//! The downward API: fields of the pod and of its containers' resources as text.

use apimachinery::quantity::Quantity as Amount;
use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use resources::quantity::Amounts;
use std::collections::BTreeMap;

use super::super::ConfigError;
use crate::amounts;
use crate::spec;

/// What the downward API shows that is not in the pod's spec.
#[derive(Clone, Debug, Default)]
pub struct PodFields {
    pub host_ips: Vec<String>,
    pub pod_ips: Vec<String>,
    /// What limits default to.
    pub allocatable: Amounts,
}

impl PodFields {
    /// A field by its path, as for `env`.
    pub fn value(&self, pod: &Pod, path: &str) -> Result<String, ConfigError> {
        let meta = &pod.metadata;
        let own = |s: &Option<String>| s.clone().unwrap_or_default();
        if let Some((map, key)) = subscript(path) {
            let map = match map {
                "metadata.labels" => &meta.labels,
                "metadata.annotations" => &meta.annotations,
                _ => return Err(unsupported(path)),
            };
            return Ok(map.as_ref().and_then(|m| m.get(key)).cloned().unwrap_or_default());
        }
        Ok(match path {
            "metadata.name" => own(&meta.name),
            "metadata.namespace" => own(&meta.namespace),
            "metadata.uid" => own(&meta.uid),
            "metadata.labels" => format_map(meta.labels.as_ref()),
            "metadata.annotations" => format_map(meta.annotations.as_ref()),
            "spec.nodeName" => own(&spec::of(pod).node_name),
            "spec.serviceAccountName" => own(&spec::of(pod).service_account_name),
            "status.hostIP" => self.host_ips.first().cloned().unwrap_or_default(),
            "status.hostIPs" => self.host_ips.join(","),
            "status.podIP" => self.pod_ips.first().cloned().unwrap_or_default(),
            "status.podIPs" => self.pod_ips.join(","),
            _ => return Err(unsupported(path)),
        })
    }

    /// A container's request or limit in units of the divisor, rounded up.
    pub fn resource(
        &self,
        pod: &Pod,
        own: &Container,
        selector: &ResourceFieldSelector,
    ) -> Result<String, ConfigError> {
        let found = match selector.container_name.as_deref().filter(|n| !n.is_empty()) {
            None => own.clone(),
            Some(name) => spec::find(pod, name)
                .map(|s| s.container.into_owned())
                .ok_or_else(|| ConfigError(format!("container {name} not found")))?,
        };
        let (list, resource) =
            selector.resource.split_once('.').ok_or_else(|| ConfigError(unsupported_resource(selector)))?;
        let resources = found.resources.unwrap_or_default();
        let amount = match list {
            // An unlimited container may use all the node has.
            "limits" => amounts::get(resources.limits.as_ref(), resource)
                .or_else(|| self.allocatable.0.get(resource).copied()),
            "requests" => {
                let request = amounts::get(resources.requests.as_ref(), resource);
                request.or_else(|| amounts::get(resources.limits.as_ref(), resource))
            }
            _ => return Err(ConfigError(unsupported_resource(selector))),
        };
        let zero = || Amount::new(0, apimachinery::quantity::Format::DecimalSi);
        let amount = amount.unwrap_or_else(zero);
        let divisor =
            selector.divisor.as_ref().and_then(|d| Amount::parse(&d.0).ok()).filter(|d| !d.is_zero());
        let (amount, divisor) = match resource {
            "cpu" => (amount.milli_value(), divisor.map_or(1000, |d| d.milli_value())),
            _ => (amount.value(), divisor.map_or(1, |d| d.value())),
        };
        let divisor = divisor.max(1);
        Ok((amount / divisor + i64::from(amount % divisor > 0)).to_string())
    }
}

fn unsupported(path: &str) -> ConfigError {
    ConfigError(format!("unsupported fieldPath: {path}"))
}

fn unsupported_resource(selector: &ResourceFieldSelector) -> String {
    format!("unsupported container resource : {}", selector.resource)
}

/// `metadata.labels['a.b/c']` → map and key.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once("['")?;
    Some((map, rest.strip_suffix("']")?))
}

/// As in downward API files: `key="value"` lines, sorted.
fn format_map(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map.into_iter().flatten().map(|(k, v)| format!("{k}={v:?}"));
    lines.collect::<Vec<_>>().join("\n")
}
