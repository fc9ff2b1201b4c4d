//! Every namespace has a ConfigMap with the CA that pods trust the API server by.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::{Api, Informer, Requeue};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use resources::core::namespace::NamespaceExt;

use crate::context::{Component, object, synced};

/// The name that projected service-account volumes read.
pub const NAME: &str = "kube-root-ca.crt";
const KEY: &str = "ca.crt";
const DESCRIPTION: &str = "kubernetes.io/description";
const DESCRIPTION_TEXT: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal \
endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of \
Kubernetes clusters.";

pub fn start(component: Component) {
    let namespaces = component.informer::<Namespace>();
    let maps = component.informer::<ConfigMap>();
    let queue = component.queue::<ObjectKey>();
    let woken = queue.clone();
    component.on(&namespaces, move |change| {
        woken.add(ObjectKey::cluster(&object(change).map(|o| o.key.name.clone()).unwrap_or_default()));
    });
    let woken = queue.clone();
    component.on(&maps, move |change| {
        if let Some(map) = object(change).filter(|map| *map.key.name == *NAME) {
            woken.add(ObjectKey::cluster(&map.key.namespace));
        }
    });
    let wait = vec![synced(&namespaces), synced(&maps)];
    let api = component.api::<ConfigMap>();
    let state = Arc::new((namespaces, maps, api, component.config.root_ca.clone()));
    component.run(wait, &queue, 1, move |key| {
        let state = state.clone();
        async move { reconcile(&state.0, &state.1, &state.2, &state.3, &key.name).await }
    });
}

async fn reconcile(
    namespaces: &Informer<Namespace>,
    maps: &Informer<ConfigMap>,
    api: &Api<ConfigMap>,
    ca: &str,
    namespace: &str,
) -> anyhow::Result<Requeue> {
    let active = namespaces.get(&ObjectKey::cluster(namespace)).is_some_and(|n| n.phase() == "Active");
    if !active {
        return Ok(Requeue::Never);
    }
    let done = match diff(namespace, ca, maps.get(&ObjectKey::new(namespace, NAME))) {
        None => Ok(()),
        Some(Action::Create(map)) => api.create(&map).await.map(drop),
        Some(Action::Update(map)) => api.update(&map).await.map(drop),
    };
    match done {
        Err(e) if e.is_already_exists() || e.is_not_found() => Ok(Requeue::Never),
        Err(e) if crate::replicas::is_namespace_terminating(&e) => Ok(Requeue::Never),
        result => result.map(|()| Requeue::Never).context("publish the root CA"),
    }
}

#[derive(Debug, PartialEq)]
enum Action {
    Create(ConfigMap),
    Update(ConfigMap),
}

fn diff(namespace: &str, ca: &str, observed: Option<ConfigMap>) -> Option<Action> {
    let data = BTreeMap::from([(KEY.to_owned(), ca.to_owned())]);
    let Some(mut map) = observed else {
        return Some(Action::Create(ConfigMap {
            metadata: ObjectMeta {
                name: Some(NAME.into()),
                namespace: Some(namespace.into()),
                annotations: Some(BTreeMap::from([(DESCRIPTION.into(), DESCRIPTION_TEXT.into())])),
                ..ObjectMeta::default()
            },
            data: Some(data),
            ..ConfigMap::default()
        }));
    };
    let described = map.metadata.annotations.get_or_insert_default();
    let same = map.data.as_ref() == Some(&data)
        && described.get(DESCRIPTION).map(String::as_str) == Some(DESCRIPTION_TEXT);
    if same {
        return None;
    }
    described.insert(DESCRIPTION.into(), DESCRIPTION_TEXT.into());
    map.data = Some(data);
    Some(Action::Update(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_and_put_right() {
        let Some(Action::Create(mut map)) = diff("ns", "PEM", None) else { panic!("not created") };
        assert_eq!(diff("ns", "PEM", Some(map.clone())), None);
        assert!(matches!(diff("ns", "NEW", Some(map.clone())), Some(Action::Update(_))));
        map.data = None;
        map.metadata.annotations = None;
        let Some(Action::Update(map)) = diff("ns", "PEM", Some(map)) else { panic!("not put right") };
        assert_eq!(diff("ns", "PEM", Some(map)), None);
    }
}
