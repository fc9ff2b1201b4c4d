//! How many pods the controllers of some pods want together.

use std::collections::HashMap;
use std::sync::Arc;

use apimachinery::ObjectKey;
use client::Informer;
use client::api::raw;
use client::transport::{Request, Transport, Verb};
use codec::Kind;
use futures::future::BoxFuture;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use resources::apps::deployment::DeploymentExt;
use resources::apps::replica_set::ReplicaSetExt;
use resources::apps::stateful_set::StatefulSetExt;
use resources::core::replication_controller::ReplicationControllerExt;
use resources::owner::ObjectMetaExt;

use crate::context::{Component, Served, synced};

pub(super) struct Scales {
    replication_controllers: Informer<ReplicationController>,
    replica_sets: Informer<ReplicaSet>,
    deployments: Informer<Deployment>,
    stateful_sets: Informer<StatefulSet>,
    transport: Arc<dyn Transport>,
    served: Vec<Served>,
}

/// What a controller wants, and which it is: a replica set may stand for its deployment.
struct Wanted {
    uid: String,
    replicas: i32,
}

impl Scales {
    pub(super) fn new(component: &Component) -> Self {
        Scales {
            replication_controllers: component.informer(),
            replica_sets: component.informer(),
            deployments: component.informer(),
            stateful_sets: component.informer(),
            transport: component.transport.clone(),
            served: component.config.resources.clone(),
        }
    }

    pub(super) fn synced(&self) -> Vec<BoxFuture<'static, ()>> {
        vec![
            synced(&self.replication_controllers),
            synced(&self.replica_sets),
            synced(&self.deployments),
            synced(&self.stateful_sets),
        ]
    }

    /// The sum of what the pods' controllers want; whether any pod has none.
    pub(super) async fn expected(&self, namespace: &str, pods: &[Pod]) -> anyhow::Result<(i32, bool)> {
        let (mut wanted, mut asked, mut unmanaged) = (HashMap::new(), HashMap::new(), false);
        for pod in pods {
            let Some(owner) = pod.metadata.controller() else {
                unmanaged = true;
                continue;
            };
            if asked.insert(owner.uid.clone(), ()).is_some() {
                continue;
            }
            let found = self.of(namespace, owner).await?;
            let Some(found) = found else {
                anyhow::bail!("found no controllers for pod {:?}", pod.name());
            };
            wanted.insert(found.uid, found.replicas);
        }
        Ok((wanted.values().sum(), unmanaged))
    }

    async fn of(&self, namespace: &str, owner: &OwnerReference) -> anyhow::Result<Option<Wanted>> {
        let key = ObjectKey::new(namespace, &owner.name);
        match (owner.api_version.as_str(), owner.kind.as_str()) {
            ("v1", "ReplicationController") => {
                Ok(here(&self.replication_controllers, &key, &owner.uid, ReplicationControllerExt::replicas))
            }
            ("apps/v1", "StatefulSet") => {
                Ok(here(&self.stateful_sets, &key, &owner.uid, StatefulSetExt::replicas))
            }
            ("apps/v1", "ReplicaSet") => Ok(self.of_replica_set(&key, &owner.uid)),
            _ => self.ask(&key, owner).await,
        }
    }

    fn of_replica_set(&self, key: &ObjectKey, uid: &str) -> Option<Wanted> {
        let set = self.replica_sets.get(key).filter(|set| set.uid() == uid)?;
        let above = set.metadata.controller().filter(|o| o.kind == Deployment::KIND);
        let Some(above) = above else {
            return Some(Wanted { uid: uid.to_owned(), replicas: set.replicas() });
        };
        let key = ObjectKey::new(set.namespace(), &above.name);
        here(&self.deployments, &key, &above.uid, DeploymentExt::replicas)
    }

    /// Any other kind, through its scale.
    async fn ask(&self, key: &ObjectKey, owner: &OwnerReference) -> anyhow::Result<Option<Wanted>> {
        let of_owner = |s: &&Served| {
            let gvr = &s.gvr;
            let version = match &*gvr.group {
                "" => gvr.version.to_string(),
                group => format!("{group}/{}", gvr.version),
            };
            s.kind == owner.kind && version == owner.api_version
        };
        let Some(served) = self.served.iter().find(of_owner) else { return Ok(None) };
        let gvr = &served.gvr;
        let request = Request {
            subresource: "scale".into(),
            ..raw::request(Verb::Get, gvr, &key.namespace, &key.name)
        };
        match self.transport.send(request).await {
            Ok(json) => {
                let scale: Scale = client::api::decode(&json)?;
                let replicas = scale.spec.as_ref().and_then(|s| s.replicas).unwrap_or(0);
                let same = scale.uid() == owner.uid;
                Ok(same.then(|| Wanted { uid: owner.uid.clone(), replicas }))
            }
            Err(e) if e.is_not_found() => {
                anyhow::bail!("{} does not implement the scale subresource", gvr.group_resource())
            }
            Err(e) => Err(e.into()),
        }
    }
}

fn here<K: Kind>(
    view: &Informer<K>,
    key: &ObjectKey,
    uid: &str,
    replicas: impl Fn(&K) -> i32,
) -> Option<Wanted> {
    let object = view.get(key).filter(|object| object.uid() == uid)?;
    Some(Wanted { uid: uid.to_owned(), replicas: replicas(&object) })
}
