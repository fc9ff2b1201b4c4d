//! Does everything that a token is bound to still live?

use std::sync::Arc;

use apimachinery::ObjectKey;
use client::transport::{Transport, View, ViewScope};
use client::{Api, informer};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, Secret, ServiceAccount};

use super::LEEWAY;
use crate::authn::claims::{Kubernetes, Ref};

/// The objects that tokens are bound to.
pub(super) struct Subjects {
    transport: Arc<dyn Transport>,
    accounts: Arc<dyn View>,
    pods: Arc<dyn View>,
    nodes: Arc<dyn View>,
    secrets: Arc<dyn View>,
}

/// What validation needs of an object.
struct Found {
    uid: String,
    deleted: Option<Timestamp>,
}

impl Found {
    fn of<K: Kind>(object: &K) -> Self {
        Found {
            uid: object.uid().to_owned(),
            deleted: object.meta().deletion_timestamp.as_ref().map(|t| t.0),
        }
    }
}

impl Subjects {
    pub(super) fn new(transport: Arc<dyn Transport>) -> Self {
        let all = ViewScope::default();
        Subjects {
            accounts: transport.reflect(&ServiceAccount::gvr(), &all),
            pods: transport.reflect(&Pod::gvr(), &all),
            nodes: transport.reflect(&Node::gvr(), &all),
            secrets: transport.reflect(&Secret::gvr(), &all),
            transport,
        }
    }

    pub(super) fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    /// The errors are upstream's, for logs and TokenReviews.
    pub(super) async fn validate(&self, claim: &Kubernetes, now: Timestamp) -> Result<(), String> {
        // Deleted objects are gone, but for the clocks' difference.
        let dead_since = now.checked_sub(LEEWAY).unwrap_or(Timestamp::MIN);
        let namespace = claim.namespace.as_str();
        self.account(namespace, &claim.serviceaccount, now).await?;
        if let Some(secret) = &claim.secret {
            let found = self.find::<Secret>(&self.secrets, namespace, secret).await?;
            judge(found, secret, "secret", dead_since)?;
        }
        if let Some(pod) = &claim.pod {
            let found = self.find::<Pod>(&self.pods, namespace, pod).await?;
            judge(found, pod, "pod", dead_since)?;
        // A pod's node is told, not checked: the pod's own life is what counts.
        } else if let Some(node) = &claim.node {
            let found = self.find::<Node>(&self.nodes, "", node).await?;
            judge(found, node, "node", dead_since)?;
        }
        Ok(())
    }

    /// A secret as it is seen; where there is none, by asking: the view may lag behind.
    pub(super) async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Secret>, String> {
        let key = ObjectKey::new(namespace, name);
        match self.secrets.get(&key) {
            Some(seen) => Ok(informer::decode(&seen)),
            None => Api::new(self.transport.clone()).find(&key).await.map_err(|e| e.message),
        }
    }

    /// Whether the account still lives under that uid; the error says how it does not.
    pub(super) async fn account(&self, namespace: &str, account: &Ref, now: Timestamp) -> Result<(), String> {
        let dead_since = now.checked_sub(LEEWAY).unwrap_or(Timestamp::MIN);
        let name = format!("{namespace}/{}", account.name);
        let found = self
            .find::<ServiceAccount>(&self.accounts, namespace, account)
            .await?
            .ok_or_else(|| format!("service account {name} has been deleted"))?;
        if found.deleted.is_some_and(|t| t < dead_since) {
            return Err(format!("service account {name} has been deleted"));
        }
        if found.uid != account.uid {
            return Err(format!(
                "service account UID ({}) does not match claim ({})",
                found.uid, account.uid
            ));
        }
        Ok(())
    }

    /// By the view; where that says no or shows another uid, by asking: the view may lag behind.
    async fn find<K: Kind>(
        &self,
        view: &Arc<dyn View>,
        namespace: &str,
        reference: &Ref,
    ) -> Result<Option<Found>, String> {
        let key = ObjectKey::new(namespace, &reference.name);
        match view.get(&key) {
            Some(seen) if *seen.meta.uid == *reference.uid => {
                if !seen.meta.deleting {
                    return Ok(Some(Found { uid: reference.uid.clone(), deleted: None }));
                }
                Ok(informer::decode::<K>(&seen).map(|object| Found::of(&object)))
            }
            _ => {
                let found = Api::<K>::new(self.transport.clone()).find(&key).await;
                Ok(found.map_err(|e| e.message)?.map(|object| Found::of(&object)))
            }
        }
    }
}

fn judge(found: Option<Found>, claim: &Ref, kind: &str, dead_since: Timestamp) -> Result<(), String> {
    match found {
        Some(found) if found.uid != claim.uid => Err(format!(
            "{kind} UID ({}) does not match service account {kind} ref claim ({})",
            found.uid, claim.uid
        )),
        Some(found) if found.deleted.is_none_or(|t| t >= dead_since) => Ok(()),
        _ => Err("service account token has been invalidated".into()),
    }
}
