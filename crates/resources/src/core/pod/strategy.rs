//! Writes of pods.

use apimachinery::field::ErrorList;
use apimachinery::raw::Raw;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::Value;

use super::{PodExt, columns, defaults, label_keys, validation, warnings};
use crate::desired;
use crate::strategy::{Column, Grace, Part};

/// The rules of pods.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = Pod;

    fn default(&self, pod: &mut Pod) {
        defaults::pod(pod);
    }

    fn prepare_create(&self, pod: &mut Pod) {
        pod.metadata.generation = Some(1);
        label_keys::resolve(pod);
        pod.status = Some(PodStatus {
            phase: Some("Pending".into()),
            qos_class: Some(pod.qos_class().into()),
            ..PodStatus::default()
        });
        gate_condition(pod);
    }

    fn prepare_update(&self, new: &mut Pod, old: &Pod, part: Part) {
        match part {
            Part::Status => {
                new.spec.clone_from(&old.spec);
                new.metadata.generation = old.metadata.generation;
                new.metadata.deletion_timestamp.clone_from(&old.metadata.deletion_timestamp);
                new.metadata.owner_references.clone_from(&old.metadata.owner_references);
                keep_qos(new, old);
            }
            // The registry itself changes nothing but node and conditions.
            Part::Binding => {}
            Part::EphemeralContainers => {
                let added = new.spec.as_mut().and_then(|s| s.ephemeral_containers.take());
                new.spec.clone_from(&old.spec);
                new.status.clone_from(&old.status);
                if let Some(spec) = &mut new.spec {
                    spec.ephemeral_containers = added;
                }
                desired::bump_generation(new, old, "spec");
            }
            Part::Resize => {
                resize_only(new, old);
                new.status.clone_from(&old.status);
                desired::bump_generation(new, old, "spec");
            }
            _ => {
                new.status.clone_from(&old.status);
                gate_condition(new);
                desired::bump_generation(new, old, "spec");
            }
        }
    }

    fn reset_fields(&self, part: Part) -> &'static [&'static str] {
        match part {
            Part::Main => &["status"],
            _ => &["spec", "metadata.deletionTimestamp", "metadata.ownerReferences"],
        }
    }

    fn validate(&self, pod: &Pod) -> ErrorList {
        validation::create(pod)
    }

    fn validate_update(&self, new: &Pod, old: &Pod, part: Part) -> ErrorList {
        match part {
            Part::Status => validation::status_update(new, old),
            Part::Binding => ErrorList::new(),
            Part::EphemeralContainers => validation::ephemeral_update(new, old),
            Part::Resize => validation::resize_update(new, old),
            _ => validation::update(new, old),
        }
    }

    fn warnings(&self, pod: &Pod) -> Vec<String> {
        warnings::of(pod)
    }

    fn fields(&self, pod: &Pod) -> Vec<(&'static str, String)> {
        let (spec, status) = (pod.pod_spec(), pod.pod_status());
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        vec![
            ("spec.nodeName", text(&spec.node_name)),
            ("spec.restartPolicy", text(&spec.restart_policy)),
            ("spec.schedulerName", text(&spec.scheduler_name)),
            ("spec.serviceAccountName", text(&spec.service_account_name)),
            ("spec.hostNetwork", pod.uses_host_network().to_string()),
            ("status.phase", text(&status.phase)),
            ("status.podIP", pod.ips().first().map(|ip| (*ip).to_owned()).unwrap_or_default()),
            ("status.nominatedNodeName", text(&status.nominated_node_name)),
        ]
    }

    fn stored_fields(&self, json: Raw<'_>) -> Option<Vec<(&'static str, String)>> {
        let of = |part: &str| json.get(part).unwrap_or(Raw::new("{}"));
        let (spec, status) = (of("spec"), of("status"));
        let first_ip = status.get("podIPs").and_then(|ips| ips.items().next()).map(|ip| ip.text_at(&["ip"]));
        let host_network = spec.get("hostNetwork").is_some_and(|v| v.text() == "true");
        Some(vec![
            ("spec.nodeName", spec.text_at(&["nodeName"])),
            ("spec.restartPolicy", spec.text_at(&["restartPolicy"])),
            ("spec.schedulerName", spec.text_at(&["schedulerName"])),
            ("spec.serviceAccountName", spec.text_at(&["serviceAccountName"])),
            ("spec.hostNetwork", host_network.to_string()),
            ("status.phase", status.text_at(&["phase"])),
            ("status.podIP", first_ip.unwrap_or_else(|| status.text_at(&["podIP"]))),
            ("status.nominatedNodeName", status.text_at(&["nominatedNodeName"])),
        ])
    }

    fn field_names(&self) -> &'static [&'static str] {
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ]
    }

    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }

    fn row(&self, pod: &Pod, now: Timestamp) -> Vec<Value> {
        columns::row(pod, now)
    }

    fn row_conditions(&self, pod: &Pod) -> Vec<Value> {
        columns::row_conditions(pod)
    }

    /// Unscheduled pods go at once, as no kubelet will confirm them; so do those that have ended.
    fn grace(&self, pod: &Pod, requested: Option<i64>) -> Grace {
        let wanted = requested.or(pod.pod_spec().termination_grace_period_seconds).unwrap_or(0);
        match pod.node_name() {
            Some(_) if !pod.is_terminal() && wanted != 0 => {
                Grace::Seconds(if wanted < 0 { 1 } else { wanted })
            }
            _ => Grace::Immediate,
        }
    }
}

/// A pod with scheduling gates says so until the last one is gone.
fn gate_condition(pod: &mut Pod) {
    let gated = pod.pod_spec().scheduling_gates.as_ref().is_some_and(|g| !g.is_empty());
    let said = pod.condition("PodScheduled").is_some();
    if gated && !said {
        let condition = k8s_openapi::api::core::v1::PodCondition {
            type_: "PodScheduled".into(),
            status: "False".into(),
            reason: Some("SchedulingGated".into()),
            message: Some("Scheduling is blocked due to non-empty scheduling gates".into()),
            ..Default::default()
        };
        pod.status.get_or_insert_default().conditions.get_or_insert_default().push(condition);
    }
}

/// The class is decided at creation.
fn keep_qos(new: &mut Pod, old: &Pod) {
    let before = old.pod_status().qos_class.clone();
    let status = new.status.get_or_insert_default();
    if status.qos_class.as_deref().unwrap_or_default().is_empty() {
        status.qos_class = before;
    }
}

/// Everything but the containers' resources and resize policies stays.
fn resize_only(new: &mut Pod, old: &Pod) {
    let Some(wanted) = new.spec.take() else { return };
    new.spec.clone_from(&old.spec);
    let Some(spec) = &mut new.spec else { return };
    spec.resources = wanted.resources;
    let wanted_init = wanted.init_containers.unwrap_or_default();
    let pairs = spec.containers.iter_mut().zip(&wanted.containers);
    for (container, wish) in pairs.chain(spec.init_containers.iter_mut().flatten().zip(&wanted_init)) {
        if container.name == wish.name {
            container.resources.clone_from(&wish.resources);
            container.resize_policy.clone_from(&wish.resize_policy);
        }
    }
}

#[cfg(test)]
mod tests;
