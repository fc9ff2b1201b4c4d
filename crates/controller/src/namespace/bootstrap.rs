//! The namespaces that are always there.

use apimachinery::ObjectKey;
use client::{Api, Requeue};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::context::{Component, synced};

pub const SYSTEM_NAMESPACES: &[&str] = &["kube-system", "kube-public", "kube-node-lease", "default"];

/// Creates them, and again when one is deleted.
pub fn start(component: Component) {
    let namespaces = component.informer::<Namespace>();
    let queue = component.queue::<ObjectKey>();
    SYSTEM_NAMESPACES.iter().for_each(|name| queue.add(ObjectKey::cluster(name)));
    let woken = queue.clone();
    component.on(&namespaces, move |change| {
        if let (Some(old), None) = (&change.old, &change.new)
            && SYSTEM_NAMESPACES.contains(&&*old.key.name)
        {
            woken.add(old.key.clone());
        }
    });
    let api = component.api::<Namespace>();
    let known = namespaces.clone();
    component.run(vec![synced(&namespaces)], &queue, 1, move |key| {
        let (api, known) = (api.clone(), known.clone());
        async move {
            if known.object(&key).is_none() {
                ensure(&api, &key.name).await?;
            }
            Ok(Requeue::Never)
        }
    });
}

/// Creates one namespace if it is missing.
pub async fn ensure(api: &Api<Namespace>, name: &str) -> anyhow::Result<()> {
    let namespace = Namespace {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    match api.create(&namespace).await {
        Err(e) if !e.is_already_exists() => Err(e.into()),
        _ => Ok(()),
    }
}
