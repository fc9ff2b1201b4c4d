//! The Node object's birth, or its adoption when it is there already.

use std::collections::BTreeMap;

use apimachinery::Status;
use client::PatchType;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use super::NodeKeeper;

impl NodeKeeper {
    /// Creates the node; one that exists gets our labels.
    pub(super) async fn register(&self, now: Timestamp) -> Result<Node, Status> {
        let name = &self.context.node_name;
        let mut node = Node {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                labels: Some(self.all_labels()),
                annotations: Some(self.annotations()),
                ..ObjectMeta::default()
            },
            spec: Some(NodeSpec {
                taints: (!self.taints.is_empty()).then(|| self.taints.clone()),
                ..NodeSpec::default()
            }),
            status: None,
        };
        node.status = Some(self.status(&node, now).await);
        match self.api.create(&node).await {
            Err(e) if e.is_already_exists() => {
                let patch =
                    json!({"metadata": {"labels": self.all_labels(), "annotations": self.annotations()}});
                self.api.patch("", name, PatchType::Strategic, &patch).await
            }
            made => made,
        }
    }

    fn annotations(&self) -> BTreeMap<String, String> {
        [("volumes.kubernetes.io/controller-managed-attach-detach".to_owned(), "true".to_owned())].into()
    }

    fn all_labels(&self) -> BTreeMap<String, String> {
        let arch = self.machine.architecture.clone();
        let mut labels: BTreeMap<String, String> = [
            ("beta.kubernetes.io/arch", arch.as_str()),
            ("beta.kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", arch.as_str()),
            ("kubernetes.io/hostname", &self.context.node_name),
            ("kubernetes.io/os", "linux"),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
        labels.extend(self.labels.clone());
        labels
    }
}
