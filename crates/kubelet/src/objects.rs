//! The ConfigMaps and Secrets that pods name: one live view per object (all that the node authorizer allows), shared
//! by the pods that name it and gone with the last of them; one of all cluster trust bundles while any pod asks for
//! some; and one of the requests for certificates of each pod that has any. Start at [`Objects::of_pod`].

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use apimachinery::{Gvr, ObjectKey};
use client::{Transport, View, ViewScope};
use codec::Kind;
use futures::StreamExt as _;
use k8s_openapi::api::certificates::v1::{ClusterTrustBundle, PodCertificateRequest};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use stdx::Tasks;
use stdx::clock::SharedClock;
use tokio::sync::watch;

use crate::podconfig::env;
use crate::spec;

/// How long a read waits for a new view to be complete.
const SYNC_TIMEOUT: Duration = Duration::from_secs(10);

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    resource: &'static str,
    key: ObjectKey,
    /// Of what is not looked for by its own name: which of its namespace.
    selector: String,
}

impl Reference {
    pub fn config_map(namespace: &str, name: &str) -> Self {
        Reference {
            resource: ConfigMap::RESOURCE,
            key: ObjectKey::new(namespace, name),
            selector: String::new(),
        }
    }

    pub fn secret(namespace: &str, name: &str) -> Self {
        Reference {
            resource: Secret::RESOURCE,
            key: ObjectKey::new(namespace, name),
            selector: String::new(),
        }
    }

    /// All cluster trust bundles: which a pod gets may depend on their labels.
    pub fn trust_bundles() -> Self {
        Reference {
            resource: ClusterTrustBundle::RESOURCE,
            key: ObjectKey::cluster(""),
            selector: String::new(),
        }
    }

    /// The requests for certificates of this pod: all that the node authorizer lets us see are those of our node.
    pub fn pod_certificates(pod: &Pod) -> Self {
        let node = spec::of(pod).node_name.as_deref().unwrap_or_default();
        Reference {
            resource: PodCertificateRequest::RESOURCE,
            key: ObjectKey::new(pod.namespace(), ""),
            selector: format!("spec.nodeName={node},spec.podName={}", pod.name()),
        }
    }

    /// Where the object is, and which of its resource are looked at.
    fn place(&self) -> (Gvr, ViewScope) {
        if self.resource == ClusterTrustBundle::RESOURCE {
            return (ClusterTrustBundle::gvr(), ViewScope::default());
        }
        if self.resource == PodCertificateRequest::RESOURCE {
            let scope = ViewScope {
                namespace: self.key.namespace.to_string(),
                field_selector: self.selector.clone(),
                ..ViewScope::default()
            };
            return (PodCertificateRequest::gvr(), scope);
        }
        let scope = ViewScope {
            namespace: self.key.namespace.to_string(),
            field_selector: format!("metadata.name={}", self.key.name),
            ..ViewScope::default()
        };
        (Gvr::new("", "v1", self.resource), scope)
    }
}

/// All views.
pub struct Objects {
    transport: Arc<dyn Transport>,
    clock: SharedClock,
    tasks: Tasks,
    entries: Mutex<HashMap<Reference, Weak<Entry>>>,
}

/// One object's view; its task ends with it.
pub struct Entry {
    view: Arc<dyn View>,
    changes: watch::Sender<u64>,
    tasks: Tasks,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.tasks.signal();
    }
}

/// The views of one pod's objects. As long as it lives, they do.
#[derive(Default)]
pub struct PodObjects {
    entries: Vec<(Reference, Arc<Entry>)>,
}

impl Objects {
    pub fn new(transport: Arc<dyn Transport>, clock: SharedClock, tasks: Tasks) -> Self {
        Objects { transport, clock, tasks, entries: Mutex::default() }
    }

    /// Starts watching what the pod names.
    pub fn of_pod(&self, pod: &Pod) -> PodObjects {
        let entries = references(pod).into_iter().map(|r| (r.clone(), self.entry(&r))).collect();
        PodObjects { entries }
    }

    fn entry(&self, reference: &Reference) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(reference).and_then(Weak::upgrade) {
            return entry;
        }
        entries.retain(|_, entry| entry.strong_count() > 0);
        let (gvr, scope) = reference.place();
        let view = self.transport.reflect(&gvr, &scope);
        let entry = Arc::new(Entry { changes: watch::Sender::new(0), tasks: self.tasks.child(), view });
        let (changes, mut stream) = (entry.changes.clone(), entry.view.subscribe());
        entry.tasks.spawn_until_shutdown(async move {
            while stream.next().await.is_some() {
                changes.send_modify(|n| *n += 1);
            }
        });
        entries.insert(reference.clone(), Arc::downgrade(&entry));
        entry
    }

    /// The object as it is now, read through a view that is complete; the error is upstream's.
    pub async fn get<K: Kind>(
        &self,
        objects: &PodObjects,
        reference: &Reference,
    ) -> Result<Option<K>, String> {
        let entry = self.complete::<K>(objects, reference).await?;
        match entry.view.get(&reference.key) {
            Some(object) => K::from_json(object.json()).map(Some).map_err(|e| e.to_string()),
            None => Ok(None),
        }
    }

    /// As [`Objects::get`], all that the view shows.
    pub async fn list<K: Kind>(&self, objects: &PodObjects, reference: &Reference) -> Result<Vec<K>, String> {
        let entry = self.complete::<K>(objects, reference).await?;
        let objects = entry.view.list("");
        objects.iter().map(|object| K::from_json(object.json()).map_err(|e| e.to_string())).collect()
    }

    /// The view once it is complete.
    async fn complete<K: Kind>(
        &self,
        objects: &PodObjects,
        reference: &Reference,
    ) -> Result<Arc<Entry>, String> {
        let held = objects.entries.iter().find(|(r, _)| r == reference).map(|(_, e)| e.clone());
        let entry = held.unwrap_or_else(|| self.entry(reference));
        tokio::select! {
            () = entry.view.synced() => {}
            () = self.clock.sleep(SYNC_TIMEOUT) => {
                let kind = K::KIND.to_lowercase();
                return Err(format!("failed to sync {kind} cache: timed out waiting for the condition"));
            }
        }
        Ok(entry)
    }
}

impl PodObjects {
    /// Changes from now on of what a reference stands for; `None`: the pod does not name it.
    pub fn watch(&self, reference: &Reference) -> Option<watch::Receiver<u64>> {
        self.entries.iter().find(|(r, _)| r == reference).map(|(_, entry)| entry.changes.subscribe())
    }

    /// Completes at the next change of any of them; never when there are none.
    pub async fn changed(&self) {
        let mut receivers: Vec<_> = self.entries.iter().map(|(_, e)| e.changes.subscribe()).collect();
        let changes = receivers.iter_mut().map(|r| Box::pin(r.changed()));
        match self.entries.is_empty() {
            true => std::future::pending().await,
            false => drop(futures::future::select_all(changes).await),
        }
    }

    /// A sum that differs after every change: compare it to what it was to miss none.
    pub fn version(&self) -> u64 {
        self.entries.iter().map(|(_, e)| *e.changes.borrow()).sum()
    }
}

/// Everything a pod's volumes, environments and pull secrets name.
pub fn references(pod: &Pod) -> BTreeSet<Reference> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let spec = spec::of(pod);
    let (mut maps, mut secrets, mut trusts, mut certificates) = (Vec::new(), Vec::new(), false, false);
    for container in spec::all(pod) {
        let needs = env::needs(&container.container);
        maps.extend(needs.config_maps);
        secrets.extend(needs.secrets);
    }
    for volume in spec.volumes.iter().flatten() {
        maps.extend(volume.config_map.as_ref().map(|v| v.name.clone()));
        secrets.extend(volume.secret.as_ref().and_then(|v| v.secret_name.clone()));
        for source in volume.projected.iter().flat_map(|p| p.sources.iter().flatten()) {
            maps.extend(source.config_map.as_ref().map(|v| v.name.clone()));
            secrets.extend(source.secret.as_ref().map(|v| v.name.clone()));
            trusts |= source.cluster_trust_bundle.is_some();
            certificates |= source.pod_certificate.is_some();
        }
    }
    secrets.extend(spec.image_pull_secrets.iter().flatten().map(|r| r.name.clone()));
    let maps = maps.iter().filter(|n| !n.is_empty()).map(|n| Reference::config_map(namespace, n));
    let secrets = secrets.iter().filter(|n| !n.is_empty()).map(|n| Reference::secret(namespace, n));
    let certificates = certificates.then(|| Reference::pod_certificates(pod));
    maps.chain(secrets).chain(trusts.then(Reference::trust_bundles)).chain(certificates).collect()
}
