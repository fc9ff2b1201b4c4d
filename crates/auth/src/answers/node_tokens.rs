//! What tokens a node gets: those of its own pods, for whom these show them to. The part of NodeRestriction that is about token
//! requests, which no admission chain sees.
//!
//! Contract: <https://kubernetes.io/docs/reference/access-authn-authz/node/#service-account-token-audience-restriction>

use apimachinery::{ObjectKey, Status};
use client::Api;
use codec::Kind;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, ServiceAccount, Volume};
use k8s_openapi::api::storage::v1::CSIDriver;

use super::Answers;
use crate::authn::UserInfo;
use crate::authz::{Attributes, Authorizer, Decision, node};

impl Answers {
    /// Refuses what a node may not ask for; others are none of its business.
    pub(super) async fn restrict_node(
        &self,
        user: &UserInfo,
        namespace: &str,
        account: &str,
        request: &TokenRequest,
    ) -> Result<(), Status> {
        let Some(node) = node::node_name(user) else { return Ok(()) };
        let forbidden = |why: &str| Status::forbidden(&ServiceAccount::gvr().group_resource(), account, why);
        let bound = request.spec.as_ref().and_then(|s| s.bound_object_ref.as_ref());
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let Some(bound) = bound.filter(|b| text(&b.kind) == "Pod" && text(&b.api_version) == "v1") else {
            return Err(forbidden("node requested token not bound to a pod"));
        };
        let (name, uid) = (text(&bound.name), text(&bound.uid));
        if name.is_empty() {
            return Err(forbidden("node requested token not bound to a pod"));
        }
        if uid.is_empty() {
            return Err(forbidden("node requested token with a pod binding without a uid"));
        }
        let key = ObjectKey::new(namespace, &name);
        let pod = match self.pods.get(&key).filter(|pod| pod.uid() == uid) {
            Some(pod) => pod,
            None => Api::<Pod>::new(self.transport.clone()).get(namespace, &name).await?,
        };
        if pod.uid() != uid {
            return Err(forbidden(&format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
            )));
        }
        let runs_on = pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).unwrap_or_default();
        if runs_on != node {
            return Err(forbidden("node requested token bound to a pod scheduled on a different node"));
        }
        let audience = match request.spec.as_ref().and_then(|s| s.audiences.as_deref()).unwrap_or_default() {
            [] => "",
            [one] => one,
            _ => return Err(forbidden("node may only request 0 or 1 audiences")),
        };
        if self.shows_tokens_to(&pod, audience).await?
            || self.may_ask(user, namespace, account, audience).await
        {
            return Ok(());
        }
        Err(forbidden(&format!(
            "audience {audience:?} not found in pod spec volume, {} is not authorized to request tokens for this audience",
            user.name
        )))
    }

    /// Whether a volume of the pod has a token for this audience, or a driver that asks for one.
    async fn shows_tokens_to(&self, pod: &Pod, audience: &str) -> Result<bool, Status> {
        let volumes = || pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let projected = |volume: &Volume| {
            let mut sources = volume.projected.iter().flat_map(|p| p.sources.iter().flatten());
            sources.any(|source| {
                let token = source.service_account_token.as_ref();
                token.is_some_and(|t| t.audience.as_deref().unwrap_or_default() == audience)
            })
        };
        if volumes().any(projected) {
            return Ok(true);
        }
        for volume in volumes() {
            let Some(driver) = self.driver(pod, volume).await? else { continue };
            let found =
                Api::<CSIDriver>::new(self.transport.clone()).find(&ObjectKey::cluster(&driver)).await;
            // Where drivers are not served there are none.
            let Ok(Some(driver)) = found else { continue };
            if driver.spec.token_requests.iter().flatten().any(|t| t.audience == audience) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The CSI driver that a volume is of, itself or through its claim.
    async fn driver(&self, pod: &Pod, volume: &Volume) -> Result<Option<String>, Status> {
        if let Some(csi) = &volume.csi {
            return Ok(Some(csi.driver.clone()));
        }
        let named = volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.clone());
        let made = volume.ephemeral.as_ref().map(|_| format!("{}-{}", pod.name(), volume.name));
        let Some(claim) = named.or(made) else { return Ok(None) };
        let claims = Api::<PersistentVolumeClaim>::new(self.transport.clone());
        let claim = claims.find(&ObjectKey::new(pod.namespace(), &claim)).await?;
        let Some(volume) = claim.and_then(|claim| claim.spec?.volume_name) else { return Ok(None) };
        let volumes = Api::<PersistentVolume>::new(self.transport.clone());
        let volume = volumes.find(&ObjectKey::cluster(&volume)).await?;
        Ok(volume.and_then(|volume| Some(volume.spec?.csi?.driver)))
    }

    /// Whether a role lets the node ask for this audience all the same.
    async fn may_ask(&self, user: &UserInfo, namespace: &str, account: &str, audience: &str) -> bool {
        let question = Attributes {
            user: user.clone(),
            verb: "request-serviceaccounts-token-audience".into(),
            version: "v1".into(),
            resource: audience.into(),
            namespace: namespace.into(),
            name: account.into(),
            ..Attributes::default()
        };
        !audience.is_empty() && matches!(self.authorization.authorize(&question).await, Decision::Allow(_))
    }
}
