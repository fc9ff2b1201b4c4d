//! Every namespace has a service account `default`.

use std::sync::Arc;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::{Api, Informer, Requeue};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use resources::core::namespace::NamespaceExt;

use crate::context::{Component, object, synced};

const NAME: &str = "default";

pub fn start(component: Component) {
    let namespaces = component.informer::<Namespace>();
    let accounts = component.informer::<ServiceAccount>();
    let queue = component.queue::<ObjectKey>();
    let woken = queue.clone();
    component.on(&namespaces, move |change| {
        woken.add(ObjectKey::cluster(&object(change).map(|o| o.key.name.clone()).unwrap_or_default()));
    });
    let woken = queue.clone();
    component.on(&accounts, move |change| {
        if let (Some(old), None) = (&change.old, &change.new)
            && *old.key.name == *NAME
        {
            woken.add(ObjectKey::cluster(&old.key.namespace));
        }
    });
    let wait = vec![synced(&namespaces), synced(&accounts)];
    let api = component.api::<ServiceAccount>();
    let state = Arc::new((namespaces, accounts, api));
    component.run(wait, &queue, 1, move |key| {
        let state = state.clone();
        async move { reconcile(&state.0, &state.1, &state.2, &key.name).await }
    });
}

async fn reconcile(
    namespaces: &Informer<Namespace>,
    accounts: &Informer<ServiceAccount>,
    api: &Api<ServiceAccount>,
    namespace: &str,
) -> anyhow::Result<Requeue> {
    let active = namespaces.get(&ObjectKey::cluster(namespace)).is_some_and(|n| n.phase() == "Active");
    if let Some(account) =
        missing(active, namespace, accounts.object(&ObjectKey::new(namespace, NAME)).is_some())
    {
        match api.create(&account).await {
            Err(e) if e.is_already_exists() => {}
            // The view of namespaces was behind: it is going, or gone.
            Err(e) if e.is_not_found() || crate::replicas::is_namespace_terminating(&e) => {}
            result => drop(result.context("create the default service account")?),
        }
    }
    Ok(Requeue::Never)
}

/// The account to create.
fn missing(active: bool, namespace: &str, exists: bool) -> Option<ServiceAccount> {
    (active && !exists).then(|| ServiceAccount {
        metadata: ObjectMeta {
            name: Some(NAME.into()),
            namespace: Some(namespace.into()),
            ..ObjectMeta::default()
        },
        ..ServiceAccount::default()
    })
}

#[cfg(test)]
mod tests {
    use codec::Kind;

    use super::*;

    #[test]
    fn only_active_namespaces_get_one() {
        assert_eq!(missing(true, "a", true), None);
        assert_eq!(missing(false, "a", false), None);
        let account = missing(true, "a", false).expect("an account");
        assert_eq!((account.namespace(), account.name()), ("a", "default"));
    }
}
