//! Which objects a node's pods refer to.

use std::collections::HashMap;

use apimachinery::ObjectKey;
use client::informer::decode;
use client::transport::Change;
use k8s_openapi::api::core::v1::{Container, PersistentVolume, Pod, PodSpec, Volume};

/// An object that a node may reach.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vertex {
    sort: Sort,
    key: ObjectKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Sort {
    Pod,
    Secret,
    ConfigMap,
    Claim,
    Volume,
    ServiceAccount,
    DeviceClaim,
}

impl Vertex {
    fn new(sort: Sort, namespace: &str, name: &str) -> Self {
        Vertex { sort, key: ObjectKey::new(namespace, name) }
    }
    pub fn pod(namespace: &str, name: &str) -> Self {
        Self::new(Sort::Pod, namespace, name)
    }
    pub fn secret(namespace: &str, name: &str) -> Self {
        Self::new(Sort::Secret, namespace, name)
    }
    pub fn config_map(namespace: &str, name: &str) -> Self {
        Self::new(Sort::ConfigMap, namespace, name)
    }
    /// A persistent volume claim.
    pub fn claim(namespace: &str, name: &str) -> Self {
        Self::new(Sort::Claim, namespace, name)
    }
    /// A persistent volume.
    pub fn volume(name: &str) -> Self {
        Self::new(Sort::Volume, "", name)
    }
    /// A claim for devices (`resourceclaims`).
    pub fn device_claim(namespace: &str, name: &str) -> Self {
        Self::new(Sort::DeviceClaim, namespace, name)
    }
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self::new(Sort::ServiceAccount, namespace, name)
    }
}

/// Nodes, and what their pods refer to. A pod's references never change but for ephemeral containers, which add some.
#[derive(Default)]
pub struct Graph {
    /// How many of the node's pods refer to each object.
    nodes: HashMap<String, HashMap<Vertex, u32>>,
    /// Where each pod runs and what it refers to.
    pods: HashMap<ObjectKey, (String, Vec<Vertex>)>,
    /// By the claim that each persistent volume is bound to: the volume, and the secrets that its driver needs.
    volumes: HashMap<ObjectKey, Vec<Vertex>>,
    /// The claim of each volume.
    claims: HashMap<ObjectKey, ObjectKey>,
}

impl Graph {
    /// True when a pod of `node` refers to the object, or to a claim whose volume it is or needs.
    pub fn reaches(&self, node: &str, to: &Vertex) -> bool {
        let Some(objects) = self.nodes.get(node) else { return false };
        if objects.contains_key(to) {
            return true;
        }
        // Volumes are looked for from their side: few pods have any.
        matches!(to.sort, Sort::Volume | Sort::Secret)
            && objects
                .keys()
                .filter(|v| v.sort == Sort::Claim)
                .any(|claim| self.volumes.get(&claim.key).is_some_and(|volumes| volumes.contains(to)))
    }

    /// True when the pod is known to run there.
    pub fn runs_on(&self, pod: &ObjectKey, node: &str) -> bool {
        self.pods.get(pod).is_some_and(|(on, _)| on == node)
    }

    pub fn pod_changed(&mut self, change: &Change) {
        let Some(object) = change.new.as_ref().or(change.old.as_ref()) else { return };
        self.forget_pod(&object.key);
        let Some(pod) = change.new.as_deref().and_then(decode::<Pod>) else { return };
        let Some(spec) = &pod.spec else { return };
        let node = spec.node_name.as_deref().unwrap_or_default();
        if node.is_empty() {
            return;
        }
        let namespace = &*object.key.namespace;
        let mut refers = vec![Vertex::pod(namespace, &object.key.name)];
        // A mirror pod is the node's own word: it opens no doors.
        let mirror = |a: &std::collections::BTreeMap<_, _>| a.contains_key("kubernetes.io/config.mirror");
        if !pod.metadata.annotations.as_ref().is_some_and(mirror) {
            references(namespace, &object.key.name, spec, &mut refers);
            device_claims(namespace, &pod, &mut refers);
        }
        refers.sort();
        refers.dedup();
        let counts = self.nodes.entry(node.to_owned()).or_default();
        for vertex in &refers {
            *counts.entry(vertex.clone()).or_default() += 1;
        }
        self.pods.insert(object.key.clone(), (node.to_owned(), refers));
    }

    fn forget_pod(&mut self, key: &ObjectKey) {
        let Some((node, refers)) = self.pods.remove(key) else { return };
        let Some(counts) = self.nodes.get_mut(&node) else { return };
        for vertex in refers {
            if let Some(count) = counts.get_mut(&vertex) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&vertex);
                }
            }
        }
        if counts.is_empty() {
            self.nodes.remove(&node);
        }
    }

    pub fn volume_changed(&mut self, change: &Change) {
        let Some(object) = change.new.as_ref().or(change.old.as_ref()) else { return };
        if let Some(claim) = self.claims.remove(&object.key) {
            self.volumes.remove(&claim);
        }
        let Some(volume) = change.new.as_deref().and_then(decode::<PersistentVolume>) else { return };
        let Some(spec) = &volume.spec else { return };
        let Some(claim) = &spec.claim_ref else { return };
        let claim = ObjectKey::new(
            claim.namespace.as_deref().unwrap_or_default(),
            claim.name.as_deref().unwrap_or_default(),
        );
        let mut reached = vec![Vertex::volume(&object.key.name)];
        if let Some(csi) = &spec.csi {
            let secrets = [
                &csi.node_stage_secret_ref,
                &csi.node_publish_secret_ref,
                &csi.node_expand_secret_ref,
                &csi.controller_publish_secret_ref,
            ];
            for secret in secrets.into_iter().flatten() {
                let namespace = secret.namespace.as_deref().unwrap_or_default();
                reached.push(Vertex::secret(namespace, secret.name.as_deref().unwrap_or_default()));
            }
        }
        self.claims.insert(object.key.clone(), claim.clone());
        self.volumes.insert(claim, reached);
    }
}

/// The claims for devices that the pod names, and those that were made for it.
fn device_claims(namespace: &str, pod: &Pod, out: &mut Vec<Vertex>) {
    let claims = pod.spec.iter().flat_map(|s| s.resource_claims.iter().flatten());
    let named = claims.filter_map(|c| c.resource_claim_name.as_deref());
    let status = pod.status.as_ref();
    let made = status.into_iter().flat_map(|s| s.resource_claim_statuses.iter().flatten());
    let made = made.filter_map(|c| c.resource_claim_name.as_deref());
    let extended = status.and_then(|s| s.extended_resource_claim_status.as_ref());
    let extended = extended.map(|c| c.resource_claim_name.as_str());
    out.extend(named.chain(made).chain(extended).map(|name| Vertex::device_claim(namespace, name)));
}

/// Everything that the pod names.
fn references(namespace: &str, pod: &str, spec: &PodSpec, out: &mut Vec<Vertex>) {
    if let Some(account) = spec.service_account_name.as_deref().filter(|n| !n.is_empty()) {
        out.push(Vertex::service_account(namespace, account));
    }
    for secret in spec.image_pull_secrets.iter().flatten() {
        out.push(Vertex::secret(namespace, &secret.name));
    }
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        environment(namespace, container, out);
    }
    for container in spec.ephemeral_containers.iter().flatten() {
        let as_container = Container {
            env: container.env.clone(),
            env_from: container.env_from.clone(),
            ..Container::default()
        };
        environment(namespace, &as_container, out);
    }
    for volume in spec.volumes.iter().flatten() {
        mounted(namespace, pod, volume, out);
    }
}

fn environment(namespace: &str, container: &Container, out: &mut Vec<Vertex>) {
    for source in container.env_from.iter().flatten() {
        out.extend(source.secret_ref.iter().map(|r| Vertex::secret(namespace, &r.name)));
        out.extend(source.config_map_ref.iter().map(|r| Vertex::config_map(namespace, &r.name)));
    }
    for source in container.env.iter().flatten().filter_map(|e| e.value_from.as_ref()) {
        out.extend(source.secret_key_ref.iter().map(|r| Vertex::secret(namespace, &r.name)));
        out.extend(source.config_map_key_ref.iter().map(|r| Vertex::config_map(namespace, &r.name)));
    }
}

fn mounted(namespace: &str, pod: &str, volume: &Volume, out: &mut Vec<Vertex>) {
    let mut secret = |name: Option<&str>| {
        out.extend(name.filter(|n| !n.is_empty()).map(|name| Vertex::secret(namespace, name)));
    };
    secret(volume.secret.as_ref().and_then(|v| v.secret_name.as_deref()));
    // Drivers' secrets.
    secret(volume.azure_file.as_ref().map(|v| v.secret_name.as_str()));
    for reference in [
        volume.cephfs.as_ref().and_then(|v| v.secret_ref.as_ref()),
        volume.csi.as_ref().and_then(|v| v.node_publish_secret_ref.as_ref()),
        volume.flex_volume.as_ref().and_then(|v| v.secret_ref.as_ref()),
        volume.iscsi.as_ref().and_then(|v| v.secret_ref.as_ref()),
        volume.rbd.as_ref().and_then(|v| v.secret_ref.as_ref()),
        volume.scale_io.as_ref().map(|v| &v.secret_ref),
        volume.storageos.as_ref().and_then(|v| v.secret_ref.as_ref()),
    ] {
        secret(reference.map(|r| r.name.as_str()));
    }
    for source in volume.projected.iter().flat_map(|p| p.sources.iter().flatten()) {
        secret(source.secret.as_ref().map(|s| s.name.as_str()));
    }
    for source in volume.projected.iter().flat_map(|p| p.sources.iter().flatten()) {
        out.extend(source.config_map.iter().map(|c| Vertex::config_map(namespace, &c.name)));
    }
    out.extend(volume.config_map.iter().map(|c| Vertex::config_map(namespace, &c.name)));
    out.extend(volume.persistent_volume_claim.iter().map(|c| Vertex::claim(namespace, &c.claim_name)));
    if volume.ephemeral.is_some() {
        // The claim that the ephemeral volume controller makes of it.
        out.push(Vertex::claim(namespace, &format!("{pod}-{}", volume.name)));
    }
}
