//! Nothing is made in a namespace that is not there or is going; some namespaces never go.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use apimachinery::status::Cause;
use apimachinery::{ObjectKey, Status};
use async_trait::async_trait;
use client::{Api, Informer};
use codec::Kind;
use k8s_openapi::api::core::v1::Namespace;
use registry::admit::{Attributes, Operation};
use stdx::clock::SharedClock;

use crate::ask;
use crate::chain::{Context, Plugin};

const IMMORTAL: &[&str] = &["default", "kube-system", "kube-public"];
/// After a namespace's deletion the view may still show it alive: for so long we ask instead.
const ASK_AFTER_DELETE: Duration = Duration::from_secs(30);

pub(crate) struct NamespaceLifecycle {
    api: Api<Namespace>,
    namespaces: Informer<Namespace>,
    clock: SharedClock,
    /// When each was deleted through us, monotonic.
    deleted: Mutex<HashMap<String, Duration>>,
}

impl NamespaceLifecycle {
    pub(crate) fn new(context: &Context) -> Self {
        NamespaceLifecycle {
            api: Api::new(context.transport.clone()),
            namespaces: Informer::all(&*context.transport),
            clock: context.clock.clone(),
            deleted: Mutex::default(),
        }
    }

    fn note_deletion(&self, name: &str) {
        let now = self.clock.monotonic();
        let mut deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        deleted.retain(|_, at| now.saturating_sub(*at) < ASK_AFTER_DELETE);
        deleted.insert(name.into(), now);
    }

    fn deleted_lately(&self, name: &str) -> bool {
        let deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        deleted.get(name).is_some_and(|at| self.clock.monotonic().saturating_sub(*at) < ASK_AFTER_DELETE)
    }

    /// True when the namespace is going; 404 when it is not there.
    async fn terminating(&self, name: &str) -> Result<bool, Status> {
        let seen = self.namespaces.object(&ObjectKey::cluster(name));
        match seen {
            Some(seen) if seen.meta.deleting || !self.deleted_lately(name) => Ok(seen.meta.deleting),
            _ => match self.api.get("", name).await {
                Ok(namespace) => Ok(namespace.meta().deletion_timestamp.is_some()),
                Err(e) if e.is_not_found() => Err(e),
                Err(e) => Err(Status::internal(e)),
            },
        }
    }

    async fn check(&self, a: &Attributes<'_>) -> Result<(), Status> {
        if ask::is::<Namespace>(a) {
            if a.operation == Operation::Delete {
                if IMMORTAL.contains(&a.name) {
                    return Err(ask::forbidden(a, "this namespace may not be deleted"));
                }
                if !a.dry_run {
                    self.note_deletion(a.name);
                }
            }
            return Ok(());
        }
        // An access review tells nothing of the namespace, not even that it is not there.
        let review = *a.gvr.group == *"authorization.k8s.io";
        if a.namespace.is_empty() || a.operation == Operation::Delete || review {
            return Ok(());
        }
        let terminating = self.terminating(a.namespace).await?;
        if !terminating || a.operation != Operation::Create {
            return Ok(());
        }
        let namespace = a.namespace;
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut status = ask::forbidden(a, why);
        status.details.get_or_insert_default().causes.push(Cause {
            reason: "NamespaceTerminating".into(),
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".into(),
        });
        Err(status)
    }
}

#[async_trait]
impl Plugin for NamespaceLifecycle {
    async fn mutate(&self, a: &mut Attributes<'_>) -> Result<(), Status> {
        self.check(a).await
    }

    /// Deletes are not mutated, so they are looked at here.
    async fn validate(&self, a: &Attributes<'_>) -> Result<(), Status> {
        if a.operation == Operation::Delete { self.check(a).await } else { Ok(()) }
    }
}
