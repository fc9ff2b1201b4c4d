//! What a namespace holds, how it is deleted, and what there is to say about what remains.

use std::collections::BTreeMap;

use apimachinery::{Gvr, Status};
use client::api::raw;
use client::transport::{Options, Transport};
use client::{DeleteOptions, Propagation};
use k8s_openapi::api::core::v1::NamespaceCondition;

use crate::context::Served;

/// What is left after everything was told to go.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Objects by resource, each more than 0.
    pub remaining: Vec<(Gvr, usize)>,
    /// Objects by finalizer.
    pub finalizers: BTreeMap<String, usize>,
    pub failures: Vec<String>,
}

/// Deletes everything in the namespace: pods first, so that they still find what they need to end well; the rest when the last
/// is gone.
pub(super) async fn delete_all(transport: &dyn Transport, served: &[Served], namespace: &str) -> Content {
    let mut content = Content::default();
    let deletable = |r: &&Served| r.namespaced && r.can("delete") && r.can("list");
    let (pods, others): (Vec<_>, Vec<_>) = served.iter().filter(deletable).partition(|r| is_pods(&r.gvr));
    for resources in [pods, others] {
        for resource in resources {
            if let Err(status) = content.delete(transport, resource, namespace).await {
                content.failures.push(format!("{}: {status}", resource.gvr.group_resource()));
            }
        }
        if !content.is_empty() || !content.failures.is_empty() {
            return content;
        }
    }
    content
}

fn is_pods(gvr: &Gvr) -> bool {
    gvr.group.is_empty() && *gvr.resource == *"pods"
}

impl Content {
    pub(super) fn is_empty(&self) -> bool {
        self.remaining.is_empty()
    }

    async fn delete(
        &mut self,
        transport: &dyn Transport,
        of: &Served,
        namespace: &str,
    ) -> Result<(), Status> {
        let all = Options::default();
        // The usual case costs one read.
        if raw::list(transport, &of.gvr, namespace, &all).await?.items.is_empty() {
            return Ok(());
        }
        let background =
            DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        if of.can("deletecollection") {
            raw::delete_collection(transport, &of.gvr, namespace, &background, &all).await?;
        } else {
            for item in raw::list(transport, &of.gvr, namespace, &all).await?.items {
                let meta = metadata(&item)?;
                let name = meta["name"].as_str().unwrap_or_default();
                match raw::delete(transport, &of.gvr, namespace, name, &background).await {
                    Err(e) if !e.is_not_found() => return Err(e),
                    _ => {}
                }
            }
        }
        self.count(&of.gvr, &raw::list(transport, &of.gvr, namespace, &all).await?.items)
    }

    fn count(&mut self, gvr: &Gvr, items: &[bytes::Bytes]) -> Result<(), Status> {
        if items.is_empty() {
            return Ok(());
        }
        self.remaining.push((gvr.clone(), items.len()));
        for item in items {
            for finalizer in metadata(item)?["finalizers"].as_array().into_iter().flatten() {
                let name = finalizer.as_str().unwrap_or_default().to_owned();
                *self.finalizers.entry(name).or_default() += 1;
            }
        }
        Ok(())
    }

    /// All conditions of a deletion, good and bad, in upstream's words.
    pub(super) fn conditions(&self) -> Vec<NamespaceCondition> {
        let condition = |kind: &str, bad: bool, reason: &str, message: String| NamespaceCondition {
            type_: kind.into(),
            status: if bad { "True" } else { "False" }.into(),
            reason: Some(reason.into()),
            message: Some(message),
            last_transition_time: None,
        };
        let said = |text: &str| text.to_owned();
        let failed = match &self.failures[..] {
            [] => condition(
                "NamespaceDeletionContentFailure",
                false,
                "ContentDeleted",
                said("All content successfully deleted, may be waiting on finalization"),
            ),
            failures => condition(
                "NamespaceDeletionContentFailure",
                true,
                "ContentDeletionFailed",
                format!(
                    "Failed to delete all resource types, {} remaining: {}",
                    failures.len(),
                    failures.join(", ")
                ),
            ),
        };
        let remaining: Vec<_> = self
            .remaining
            .iter()
            .map(|(gvr, n)| format!("{}.{} has {n} resource instances", gvr.resource, gvr.group))
            .collect();
        let remains = match remaining.is_empty() {
            true => {
                let text = said("All content successfully removed");
                condition("NamespaceContentRemaining", false, "ContentRemoved", text)
            }
            false => condition(
                "NamespaceContentRemaining",
                true,
                "SomeResourcesRemain",
                format!("Some resources are remaining: {}", remaining.join(", ")),
            ),
        };
        let finalizers: Vec<_> =
            self.finalizers.iter().map(|(name, n)| format!("{name} in {n} resource instances")).collect();
        let finalizing = match finalizers.is_empty() {
            true => {
                let text = said("All content-preserving finalizers finished");
                condition("NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers", text)
            }
            false => condition(
                "NamespaceFinalizersRemaining",
                true,
                "SomeFinalizersRemain",
                format!("Some content in the namespace has finalizers remaining: {}", finalizers.join(", ")),
            ),
        };
        vec![
            condition(
                "NamespaceDeletionDiscoveryFailure",
                false,
                "ResourcesDiscovered",
                said("All resources successfully discovered"),
            ),
            condition(
                "NamespaceDeletionGroupVersionParsingFailure",
                false,
                "ParsedGroupVersions",
                said("All legacy kube types successfully parsed"),
            ),
            failed,
            remains,
            finalizing,
        ]
    }
}

fn metadata(item: &[u8]) -> Result<serde_json::Value, Status> {
    let mut item: serde_json::Value =
        serde_json::from_slice(item).map_err(|e| Status::internal(format!("decode an item: {e}")))?;
    Ok(item["metadata"].take())
}
