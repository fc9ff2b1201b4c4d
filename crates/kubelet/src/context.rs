//! What all parts of the kubelet share.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use apimachinery::ObjectKey;
use client::{Api, EventRecorder, EventType, Transport, View};
use codec::Kind as _;
use cri::{ContainerStatus, RuntimeService};
use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service};
use resources::quantity::Amounts;
use stdx::clock::SharedClock;
use stdx::{Random, Tasks};

use crate::allocation::Allocations;
use crate::cgroups::Cgroups;
use crate::eviction::Thresholds;
use crate::images::Images;
use crate::logs;
use crate::objects::Objects;
use crate::observed::label;
use crate::paths::Paths;
use crate::podconfig::dns::ClusterDns;
use crate::podconfig::env::fields::PodFields;
use crate::podconfig::resources::Machine;
use crate::podconfig::security::NodeDefaults;
use crate::spec::Spec;
use crate::status::NodeFacts;
use crate::userns::UserNamespaces;
use crate::volumes::Volumes;

/// Made once by [`crate::Kubelet::start`].
pub struct Context {
    pub node_name: String,
    pub node_ips: Vec<IpAddr>,
    pub paths: Paths,
    pub seccomp_dir: PathBuf,
    pub seccomp_default: bool,
    pub dns: ClusterDns,
    pub resolv_conf: PathBuf,
    pub max_pods: u32,
    pub eviction: Thresholds,
    pub static_pod_path: Option<PathBuf>,
    pub cgroups: Cgroups,
    pub mounter: Arc<dyn crate::mounts::Mounter>,
    pub transport: Arc<dyn Transport>,
    pub pods: Api<Pod>,
    pub runtime: Arc<dyn RuntimeService>,
    pub images: Images,
    pub objects: Arc<Objects>,
    pub volumes: Volumes,
    pub services: Arc<dyn View>,
    pub recorder: EventRecorder,
    pub machine: Machine,
    pub allocatable: Amounts,
    pub allocations: Allocations,
    pub user_namespaces: UserNamespaces,
    pub facts: NodeFacts,
    pub clock: SharedClock,
    pub random: Random,
    pub tasks: Tasks,
    /// Of ended containers, which do not change.
    pub messages: Mutex<HashMap<String, String>>,
}

impl Context {
    /// An event about the pod as a whole.
    pub fn pod_event(&self, pod: &Pod, kind: EventType, reason: &str, message: impl Into<String>) {
        self.recorder.event(&client::events::reference(pod), kind, reason, message);
    }

    /// An event about one of its containers.
    pub fn container_event(&self, pod: &Pod, spec: &Spec<'_>, kind: EventType, reason: &str, message: &str) {
        let object =
            ObjectReference { field_path: Some(spec.field_path()), ..client::events::reference(pod) };
        self.recorder.event(&object, kind, reason, message);
    }

    pub fn defaults(&self) -> NodeDefaults<'_> {
        NodeDefaults { seccomp_default: self.seccomp_default, seccomp_dir: &self.seccomp_dir }
    }

    /// For the downward API.
    pub fn fields(&self, pod_ips: Vec<String>) -> PodFields {
        PodFields { host_ips: self.facts.ips.clone(), pod_ips, allocatable: self.allocatable.clone() }
    }

    /// The services that containers in the namespace are told of, once the view is complete: its own, and the API server's.
    pub async fn services_for(&self, namespace: &str) -> Vec<Service> {
        self.services.synced().await;
        let mut objects = self.services.list(namespace);
        if namespace != "default" {
            objects.extend(self.services.get(&ObjectKey::new("default", "kubernetes")));
        }
        objects.iter().filter_map(|o| Service::from_json(o.json()).ok()).collect()
    }

    /// What an ended container had to say: its termination message, by its policy its last log lines, or what the runtime says.
    pub fn termination_message(&self, container: &ContainerStatus) -> String {
        let id = &container.container.id;
        if let Some(known) = self.messages.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            return known.clone();
        }
        let message = read_message(container);
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), message.clone());
        message
    }

    pub fn forget_messages(&self, container: &str) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).remove(container);
    }
}

/// Upstream's bounds on messages.
const MESSAGE_MAX: usize = 4096;
const LOG_MAX_LINES: usize = 80;
const LOG_MAX_BYTES: usize = 2048;

fn read_message(container: &ContainerStatus) -> String {
    let annotations = &container.container.annotations;
    let path = annotations.get(label::MESSAGE_PATH);
    let mount = container.mounts.iter().find(|m| Some(&m.container_path) == path);
    let written = mount.map(|m| logs::head(m.host_path.as_ref(), MESSAGE_MAX));
    let message = match written {
        Some(Ok(text)) => text,
        Some(Err(e)) => {
            format!("Error on reading termination log {}: {e}", path.cloned().unwrap_or_default())
        }
        None => String::new(),
    };
    let from_logs = annotations.get(label::MESSAGE_POLICY).is_some_and(|p| p == "FallbackToLogsOnError");
    if message.is_empty() && from_logs && container.exit_code != 0 {
        return match logs::last_lines(container.log_path.as_ref(), LOG_MAX_LINES, LOG_MAX_BYTES) {
            Ok(lines) => lines,
            Err(e) => format!("Error reading termination message from logs: {e}"),
        };
    }
    if message.is_empty() { container.message.clone() } else { message }
}
