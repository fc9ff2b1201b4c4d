//! The node authorizer: a kubelet reads only what its own pods need, and writes only what is its own.
//!
//! Contract: <https://kubernetes.io/docs/reference/access-authn-authz/node/>. What a node may change of objects that it may
//! change at all is the NodeRestriction admission plugin's business.

use std::sync::{Arc, PoisonError, RwLock};

use apimachinery::ObjectKey;
use apimachinery::selector::FieldSelector;
use async_trait::async_trait;
use client::transport::{Change, Transport, View, ViewScope};
use codec::Kind;
use k8s_openapi::api::core::v1::{PersistentVolume, Pod};
use k8s_openapi::api::rbac::v1::PolicyRule;
use stdx::Tasks;

use crate::authn::UserInfo;
use crate::authz::rbac::rules;
use crate::authz::{Attributes, Authorizer, Decision};
use crate::feed::{Ready, feed};
use crate::policy;

pub mod graph;
mod own;

pub use graph::{Graph, Vertex};
use own::{Own, OwnObjects};

/// Every kubelet's group.
pub const NODES_GROUP: &str = "system:nodes";
/// Every kubelet's user name starts so.
pub const NODE_USER_PREFIX: &str = "system:node:";
/// Where nodes' leases are.
pub const LEASE_NAMESPACE: &str = "kube-node-lease";

/// The node that a user is, if any. `Some("")`: of the nodes' group, but with no node's name.
pub fn node_name(user: &UserInfo) -> Option<&str> {
    user.in_group(NODES_GROUP).then(|| user.name.strip_prefix(NODE_USER_PREFIX).unwrap_or_default())
}

/// Decides for the users in `system:nodes`; has no opinion on others.
pub struct NodeAuthorizer {
    graph: Arc<RwLock<Graph>>,
    /// What the graph is made from: it may be a step ahead of the graph, and so may the kubelet.
    pods: Option<Arc<dyn View>>,
    own: Option<OwnObjects>,
    rules: Vec<PolicyRule>,
    ready: Option<Ready>,
}

impl NodeAuthorizer {
    /// Follows `transport`'s pods and, where they are served (`volumes`), persistent volumes.
    pub fn start(transport: &dyn Transport, volumes: bool, tasks: &Tasks) -> Arc<Self> {
        let graph = Arc::new(RwLock::new(Graph::default()));
        let all = ViewScope::default();
        let pods = transport.reflect(&Pod::gvr(), &all);
        let mut views = vec![(Source::Pod, pods.clone())];
        if volumes {
            views.push((Source::Volume, transport.reflect(&PersistentVolume::gvr(), &all)));
        }
        let fed = graph.clone();
        let ready = feed(tasks, views, move |source, change| {
            let mut graph = fed.write().unwrap_or_else(PoisonError::into_inner);
            match source {
                Source::Pod => graph.pod_changed(change),
                Source::Volume => graph.volume_changed(change),
            }
        });
        Arc::new(NodeAuthorizer {
            graph,
            pods: Some(pods),
            own: Some(OwnObjects::follow(transport)),
            rules: policy::node_rules(),
            ready: Some(ready),
        })
    }

    /// Over a graph that stays as it is.
    pub fn fixed(graph: Graph) -> Arc<Self> {
        let graph = Arc::new(RwLock::new(graph));
        Arc::new(NodeAuthorizer { graph, pods: None, own: None, rules: policy::node_rules(), ready: None })
    }

    pub async fn synced(&self) {
        if let Some(ready) = &self.ready {
            ready.wait().await;
        }
    }

    fn decide(&self, node: &str, a: &Attributes) -> Answer {
        let resource = if a.is_resource() { a.resource.as_str() } else { "" };
        match (a.group.as_str(), resource) {
            ("", "secrets") => self.read_namespaced(node, Vertex::secret, a),
            ("", "configmaps") => self.read_namespaced(node, Vertex::config_map, a),
            ("", "persistentvolumeclaims") if a.subresource == "status" => self.update_claim_status(node, a),
            ("", "persistentvolumeclaims") => self.get(node, Vertex::claim, a),
            ("", "persistentvolumes") => self.get(node, |_, name| Vertex::volume(name), a),
            ("", "serviceaccounts") => self.service_account(node, a),
            ("", "nodes") => node_object(node, a),
            ("", "pods") => self.pod(node, a),
            ("coordination.k8s.io", "leases") => lease(node, a),
            ("storage.k8s.io", "csinodes") => csi_node(node, a),
            ("storage.k8s.io", "volumeattachments") => self.get_own(node, own::ATTACHMENT, a),
            ("resource.k8s.io", "resourceclaims") => self.get(node, Vertex::device_claim, a),
            ("resource.k8s.io", "resourceslices") => self.slice(node, a),
            ("certificates.k8s.io", "podcertificaterequests") => self.certificate_request(node, a),
            _ if rules::allow(a, &self.rules) => Ok(()),
            _ => Err(String::new()),
        }
    }

    fn read_namespaced(&self, node: &str, vertex: fn(&str, &str) -> Vertex, a: &Attributes) -> Answer {
        if !matches!(a.verb.as_str(), "get" | "list" | "watch") {
            return no("can only read resources of this type");
        }
        if !a.subresource.is_empty() {
            return no("cannot read subresource");
        }
        if a.namespace.is_empty() {
            return no("can only read namespaced object of this type");
        }
        self.related(node, vertex(&a.namespace, &a.name), a)
    }

    fn get(&self, node: &str, vertex: impl Fn(&str, &str) -> Vertex, a: &Attributes) -> Answer {
        if a.verb != "get" {
            return no("can only get individual resources of this type");
        }
        if !a.subresource.is_empty() {
            return no("cannot get subresource");
        }
        self.related(node, vertex(&a.namespace, &a.name), a)
    }

    fn update_claim_status(&self, node: &str, a: &Attributes) -> Answer {
        if !matches!(a.verb.as_str(), "update" | "patch") {
            return no("can only get/update/patch this type");
        }
        self.related(node, Vertex::claim(&a.namespace, &a.name), a)
    }

    fn service_account(&self, node: &str, a: &Attributes) -> Answer {
        let vertex = Vertex::service_account(&a.namespace, &a.name);
        if a.verb == "get" && a.subresource.is_empty() {
            return self.related(node, vertex, a);
        }
        if a.verb != "create" || a.name.is_empty() {
            return no("can only create tokens for individual service accounts");
        }
        if a.subresource != "token" {
            return no("can only create token subresource of serviceaccount");
        }
        self.related(node, vertex, a)
    }

    fn pod(&self, node: &str, a: &Attributes) -> Answer {
        match (a.subresource.as_str(), a.verb.as_str()) {
            ("", "get") => self.related(node, Vertex::pod(&a.namespace, &a.name), a),
            ("", "list" | "watch") if selects(a, "spec.nodeName", node) => Ok(()),
            // One pod, by its name.
            ("", "list" | "watch") if !a.name.is_empty() => {
                self.related(node, Vertex::pod(&a.namespace, &a.name), a)
            }
            ("", "list" | "watch") => no("can only list/watch pods with spec.nodeName field selector"),
            // Mirror pods, and those of its own: NodeRestriction looks closer.
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => Ok(()),
            _ => no(""),
        }
    }

    /// Its devices are the node's to tell of.
    fn slice(&self, node: &str, a: &Attributes) -> Answer {
        if !a.subresource.is_empty() {
            return no("cannot authorize ResourceSlice subresources");
        }
        match a.verb.as_str() {
            // Whose it is NodeRestriction sees.
            "create" => Ok(()),
            "get" | "update" | "patch" | "delete" => self.is_own(node, own::SLICE, a),
            "list" | "watch" | "deletecollection" if selects(a, "spec.nodeName", node) => Ok(()),
            "list" | "watch" | "deletecollection" => {
                no("can only list/watch/deletecollection resourceslices with nodeName field selector")
            }
            _ => no(
                "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, \
                 deletecollection",
            ),
        }
    }

    fn certificate_request(&self, node: &str, a: &Attributes) -> Answer {
        if !a.subresource.is_empty() {
            return no("cannot authorize PodCertificateRequest subresources");
        }
        match a.verb.as_str() {
            // For which pod NodeRestriction sees.
            "create" => Ok(()),
            "get" => self.is_own(node, own::CERTIFICATE_REQUEST, a),
            "list" | "watch" if selects(a, "spec.nodeName", node) => Ok(()),
            "list" | "watch" if !a.name.is_empty() => self.is_own(node, own::CERTIFICATE_REQUEST, a),
            "list" | "watch" => {
                no("can only list/watch podcertificaterequests with spec.nodeName field selector")
            }
            _ => no("can only create, get, list, or watch PodCertificateRequests"),
        }
    }

    fn get_own(&self, node: &str, sort: Own, a: &Attributes) -> Answer {
        if a.verb != "get" {
            return no("can only get individual resources of this type");
        }
        if !a.subresource.is_empty() {
            return no("cannot get subresource");
        }
        self.is_own(node, sort, a)
    }

    /// The object says itself that it is this node's.
    fn is_own(&self, node: &str, sort: Own, a: &Attributes) -> Answer {
        if a.name.is_empty() {
            return no("No Object name found");
        }
        let view = self.own.as_ref().map(sort.view);
        let object = view.and_then(|view| view.get(&ObjectKey::new(&a.namespace, &a.name)));
        match object.and_then(|object| (sort.node)(&object)).as_deref() == Some(node) {
            true => Ok(()),
            false => Err(format!("no relationship found between node '{node}' and this object")),
        }
    }

    fn related(&self, node: &str, to: Vertex, a: &Attributes) -> Answer {
        if a.name.is_empty() {
            return no("No Object name found");
        }
        if self.reaches(node, &to) || self.catch_up(node) && self.reaches(node, &to) {
            return Ok(());
        }
        Err(format!("no relationship found between node '{node}' and this object"))
    }

    fn reaches(&self, node: &str, to: &Vertex) -> bool {
        self.graph.read().unwrap_or_else(PoisonError::into_inner).reaches(node, to)
    }

    /// Puts those of the node's pods into the graph that the feed has not brought yet: the kubelet, who sees a pod at the
    /// same moment as the feed does, asks at once. True when there were any.
    fn catch_up(&self, node: &str) -> bool {
        let Some(pods) = &self.pods else { return false };
        // Locked before the view is read: whatever is deleted after that, the feed will say so after us.
        let mut graph = self.graph.write().unwrap_or_else(PoisonError::into_inner);
        let mut any = false;
        for pod in pods.by_index("spec.nodeName", node) {
            if graph.runs_on(&pod.key, node) {
                continue;
            }
            graph.pod_changed(&Change { old: None, new: Some(pod) });
            any = true;
        }
        any
    }
}

#[derive(Clone, Copy)]
enum Source {
    Pod,
    Volume,
}

/// Allowed, or why there is no opinion.
type Answer = Result<(), String>;

fn no(why: &str) -> Answer {
    Err(why.into())
}

fn node_object(node: &str, a: &Attributes) -> Answer {
    match (a.subresource.as_str(), a.verb.as_str()) {
        // NodeRestriction limits these to the node's own.
        ("", "create" | "update" | "patch") | ("status", "update" | "patch") => Ok(()),
        ("", "get" | "list" | "watch") => match a.name.as_str() {
            name if name == node => Ok(()),
            "" => Err(format!("node '{node}' cannot read all nodes, only its own Node object")),
            other => Err(format!("node '{node}' cannot read '{other}', only its own Node object")),
        },
        _ => no(""),
    }
}

fn lease(node: &str, a: &Attributes) -> Answer {
    if !matches!(a.verb.as_str(), "get" | "create" | "update" | "patch" | "delete") {
        return no("can only get, create, update, patch, or delete a node lease");
    }
    if a.namespace != LEASE_NAMESPACE {
        return Err(format!("can only access leases in the {LEASE_NAMESPACE:?} system namespace"));
    }
    // A create's name is not known yet; NodeRestriction knows it.
    if a.verb != "create" && a.name != node {
        return no("can only access node lease with the same name as the requesting node");
    }
    Ok(())
}

fn csi_node(node: &str, a: &Attributes) -> Answer {
    if !matches!(a.verb.as_str(), "get" | "create" | "update" | "patch" | "delete") {
        return no("can only get, create, update, patch, or delete a CSINode");
    }
    if !a.subresource.is_empty() {
        return no("cannot authorize CSINode subresources");
    }
    if a.verb != "create" && a.name != node {
        return no("can only access CSINode with the same name as the requesting node");
    }
    Ok(())
}

/// The request's field selector lets nothing through but objects whose `field` is `value`.
fn selects(a: &Attributes, field: &str, value: &str) -> bool {
    let Ok(selector) = FieldSelector::parse(&a.field_selector) else { return false };
    selector.requires_exact(field) == Some(value)
}

#[async_trait]
impl Authorizer for NodeAuthorizer {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        let node = match node_name(&attributes.user) {
            None => return Decision::NoOpinion(String::new()),
            Some("") => {
                return Decision::NoOpinion(format!("unknown node for user {:?}", attributes.user.name));
            }
            Some(node) => node,
        };
        match self.decide(node, attributes) {
            Ok(()) => Decision::Allow(String::new()),
            Err(reason) => Decision::NoOpinion(reason),
        }
    }
}
