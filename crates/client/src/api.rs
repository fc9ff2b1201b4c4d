//! Typed calls to the API. Start at [`Api`]; [`raw`] is the same without a type.

use std::marker::PhantomData;
use std::sync::Arc;

use apimachinery::{ObjectKey, Status};
use bytes::Bytes;
use codec::Kind;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::core::v1::{Binding, Pod, ServiceAccount};
use k8s_openapi::api::policy::v1::Eviction;
use serde::Serialize;
use serde_json::Value;

use crate::list;
use crate::transport::{Options, PatchType, Request, Transport, Verb};

/// What becomes of the objects that name the deleted one as their owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Propagation {
    Orphan,
    Background,
    Foreground,
}

/// `meta/v1.DeleteOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// `None`: what the kind or the object says. 0: at once.
    pub grace_seconds: Option<i64>,
    /// Refuse with 409 unless the object still has this uid.
    pub uid: Option<String>,
    /// Refuse with 409 unless the object still has this resourceVersion.
    pub resource_version: Option<String>,
    /// `None`: the kind's default.
    pub propagation: Option<Propagation>,
    pub dry_run: bool,
}

impl DeleteOptions {
    /// Remove at once, whatever the grace period.
    pub fn now() -> Self {
        DeleteOptions { grace_seconds: Some(0), ..Self::default() }
    }

    /// Only the object with this uid.
    pub fn uid(uid: &str) -> Self {
        DeleteOptions { uid: Some(uid.to_owned()), ..Self::default() }
    }

    /// As a request's body.
    pub fn to_json(&self) -> Bytes {
        let mut body = serde_json::json!({"kind": "DeleteOptions", "apiVersion": "v1"});
        if let Some(seconds) = self.grace_seconds {
            body["gracePeriodSeconds"] = seconds.into();
        }
        if let Some(uid) = &self.uid {
            body["preconditions"]["uid"] = uid.as_str().into();
        }
        if let Some(version) = &self.resource_version {
            body["preconditions"]["resourceVersion"] = version.as_str().into();
        }
        if let Some(propagation) = self.propagation {
            body["propagationPolicy"] = match propagation {
                Propagation::Orphan => "Orphan",
                Propagation::Background => "Background",
                Propagation::Foreground => "Foreground",
            }
            .into();
        }
        if self.dry_run {
            body["dryRun"] = vec!["All"].into();
        }
        Bytes::from(body.to_string())
    }
}

/// A page of decoded objects.
#[derive(Clone, Debug)]
pub struct List<K> {
    pub items: Vec<K>,
    /// Watch from here.
    pub resource_version: String,
    /// Not empty: there is more.
    pub continue_token: String,
}

/// Calls about one kind. Cheap to clone. Every error is the API's own [`Status`]; one that could not be reached is a
/// Status too (code 0, 500, 503 or 504).
pub struct Api<K> {
    transport: Arc<dyn Transport>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Api<K> {
    fn clone(&self) -> Self {
        Api { transport: self.transport.clone(), kind: PhantomData }
    }
}

impl<K: Kind> Api<K> {
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Api { transport, kind: PhantomData }
    }

    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    fn request(verb: Verb, namespace: &str, name: &str) -> Request {
        raw::request(verb, &K::gvr(), namespace, name)
    }

    async fn call(&self, request: Request) -> Result<K, Status> {
        decode(&self.transport.send(request).await?)
    }

    /// `namespace` is empty for cluster-scoped kinds, here and below.
    pub async fn get(&self, namespace: &str, name: &str) -> Result<K, Status> {
        self.call(Self::request(Verb::Get, namespace, name)).await
    }

    /// As [`Api::get`]; `None` where there is no such object.
    pub async fn find(&self, key: &ObjectKey) -> Result<Option<K>, Status> {
        match self.get(&key.namespace, &key.name).await {
            Ok(object) => Ok(Some(object)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// One page (all, unless `options.limit` says less).
    pub async fn list(&self, namespace: &str, options: &Options) -> Result<List<K>, Status> {
        let request = Request { options: options.clone(), ..Self::request(Verb::List, namespace, "") };
        let list = list::split(&self.transport.send(request).await?)?;
        let items = list.items.iter().map(|json| decode(json)).collect::<Result<_, _>>()?;
        Ok(List {
            items,
            resource_version: list.meta.resource_version,
            continue_token: list.meta.continue_token,
        })
    }

    /// Creates in the namespace that the object names.
    pub async fn create(&self, object: &K) -> Result<K, Status> {
        self.create_with(object, &Options::default()).await
    }

    pub async fn create_with(&self, object: &K, options: &Options) -> Result<K, Status> {
        let request = Request {
            body: object.to_json().into(),
            options: options.clone(),
            ..Self::request(Verb::Create, object.namespace(), "")
        };
        self.call(request).await
    }

    /// Replaces; 409 unless the object's resourceVersion is current.
    pub async fn update(&self, object: &K) -> Result<K, Status> {
        self.update_part(object, "").await
    }

    /// Replaces the status alone.
    pub async fn update_status(&self, object: &K) -> Result<K, Status> {
        self.update_part(object, "status").await
    }

    /// Replaces through a subresource that takes the kind itself (`status`, `finalize`, `approval`, …).
    pub async fn update_part(&self, object: &K, subresource: &str) -> Result<K, Status> {
        let request = Request {
            subresource: subresource.to_owned(),
            body: object.to_json().into(),
            ..Self::request(Verb::Update, object.namespace(), object.name())
        };
        self.call(request).await
    }

    pub async fn patch(
        &self,
        namespace: &str,
        name: &str,
        patch_type: PatchType,
        patch: &Value,
    ) -> Result<K, Status> {
        self.patch_part(namespace, name, "", patch_type, patch).await
    }

    pub async fn patch_status(
        &self,
        namespace: &str,
        name: &str,
        patch_type: PatchType,
        patch: &Value,
    ) -> Result<K, Status> {
        self.patch_part(namespace, name, "status", patch_type, patch).await
    }

    pub async fn patch_part(
        &self,
        namespace: &str,
        name: &str,
        subresource: &str,
        patch_type: PatchType,
        patch: &Value,
    ) -> Result<K, Status> {
        let request = Request {
            subresource: subresource.to_owned(),
            body: patch.to_string().into(),
            options: Options { patch_type: Some(patch_type), ..Options::default() },
            ..Self::request(Verb::Patch, namespace, name)
        };
        self.call(request).await
    }

    /// Deletes, or marks for deletion where finalizers or a grace period make it wait.
    pub async fn delete(&self, namespace: &str, name: &str, options: &DeleteOptions) -> Result<(), Status> {
        raw::delete(&*self.transport, &K::gvr(), namespace, name, options).await
    }

    pub async fn get_scale(&self, namespace: &str, name: &str) -> Result<Scale, Status> {
        let request = Request { subresource: "scale".into(), ..Self::request(Verb::Get, namespace, name) };
        decode(&self.transport.send(request).await?)
    }

    /// Posts `body` to a subresource of an object and decodes the answer.
    pub async fn post_part<B: Kind, A: Kind>(
        &self,
        key: &ObjectKey,
        subresource: &str,
        body: &B,
    ) -> Result<A, Status> {
        let request = Request {
            subresource: subresource.to_owned(),
            body: body.to_json().into(),
            ..Self::request(Verb::Create, &key.namespace, &key.name)
        };
        decode(&self.transport.send(request).await?)
    }

    /// As [`Api::post_part`] where the answer is a `Status` that says no more than that it was done.
    async fn post_plain<B: Kind>(&self, key: &ObjectKey, subresource: &str, body: &B) -> Result<(), Status> {
        let request = Request {
            subresource: subresource.to_owned(),
            body: body.to_json().into(),
            ..Self::request(Verb::Create, &key.namespace, &key.name)
        };
        self.transport.send(request).await.map(drop)
    }
}

impl Api<Pod> {
    /// Assigns the pod to a node: `pods/binding`. `binding.metadata` names the pod (and, as a guard, its uid).
    pub async fn bind(&self, binding: &Binding) -> Result<(), Status> {
        let key = ObjectKey::new(binding.namespace(), binding.name());
        self.post_plain(&key, "binding", binding).await
    }

    /// Deletes if the disruption budgets allow: `pods/eviction`. 429 when they do not.
    pub async fn evict(&self, eviction: &Eviction) -> Result<(), Status> {
        let key = ObjectKey::new(eviction.namespace(), eviction.name());
        self.post_plain(&key, "eviction", eviction).await
    }
}

impl Api<ServiceAccount> {
    /// A token for the account: `serviceaccounts/token`.
    pub async fn create_token(
        &self,
        namespace: &str,
        name: &str,
        request: &TokenRequest,
    ) -> Result<TokenRequest, Status> {
        self.post_part(&ObjectKey::new(namespace, name), "token", request).await
    }
}

/// Decodes an answer.
pub fn decode<K: Kind>(json: &[u8]) -> Result<K, Status> {
    K::from_json(json).map_err(|e| Status::internal(format!("decode {}: {e}", K::KIND)))
}

/// The same calls for a resource known only at run time.
pub mod raw {
    use apimachinery::Gvr;

    use super::*;
    use crate::list::RawList;

    /// A request with nothing but its address.
    pub fn request(verb: Verb, gvr: &Gvr, namespace: &str, name: &str) -> Request {
        Request {
            verb,
            gvr: gvr.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: String::new(),
            body: Bytes::new(),
            options: Options::default(),
        }
    }

    /// The object's JSON.
    pub async fn get(
        transport: &dyn Transport,
        gvr: &Gvr,
        namespace: &str,
        name: &str,
    ) -> Result<Bytes, Status> {
        transport.send(request(Verb::Get, gvr, namespace, name)).await
    }

    /// One page.
    pub async fn list(
        transport: &dyn Transport,
        gvr: &Gvr,
        namespace: &str,
        options: &Options,
    ) -> Result<RawList, Status> {
        let request = Request { options: options.clone(), ..request(Verb::List, gvr, namespace, "") };
        list::split(&transport.send(request).await?)
    }

    pub async fn patch(
        transport: &dyn Transport,
        gvr: &Gvr,
        key: &ObjectKey,
        patch_type: PatchType,
        patch: &Value,
    ) -> Result<Bytes, Status> {
        let request = Request {
            body: patch.to_string().into(),
            options: Options { patch_type: Some(patch_type), ..Options::default() },
            ..request(Verb::Patch, gvr, &key.namespace, &key.name)
        };
        transport.send(request).await
    }

    pub async fn delete(
        transport: &dyn Transport,
        gvr: &Gvr,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<(), Status> {
        let request = Request { body: options.to_json(), ..request(Verb::Delete, gvr, namespace, name) };
        transport.send(request).await.map(drop)
    }

    /// Deletes whatever `options` selects in the namespace.
    pub async fn delete_collection(
        transport: &dyn Transport,
        gvr: &Gvr,
        namespace: &str,
        delete: &DeleteOptions,
        options: &Options,
    ) -> Result<(), Status> {
        let request = Request {
            body: delete.to_json(),
            options: options.clone(),
            ..request(Verb::DeleteCollection, gvr, namespace, "")
        };
        transport.send(request).await.map(drop)
    }
}
