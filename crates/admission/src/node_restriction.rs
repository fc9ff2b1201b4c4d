//! A node changes itself, its lease and its own pods, and of those only what is its business.
//!
//! Contract: <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction>. Token requests,
//! which no admission sees, have their part in `auth::answers`.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::{ObjectKey, Status};
use async_trait::async_trait;
use auth::UserInfo;
use auth::authz::node::{LEASE_NAMESPACE, node_name};
use client::{Api, Informer};
use codec::Kind;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, PodCertificateRequest};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    Node, PersistentVolumeClaim, Pod, PodSpec, ServiceAccount, Volume, VolumeProjection,
};
use k8s_openapi::api::resource::v1::ResourceSlice;
use registry::admit::{Attributes, Operation, Requester};
use resources::core::node::is_kubelets_to_set;

use crate::ask;
use crate::chain::{Context, Plugin};
use crate::service_account::{is_mirror, secrets};

/// Whose certificates say which node somebody is.
const KUBELET_SIGNERS: &[&str] =
    &["kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet"];

pub(crate) struct NodeRestriction {
    nodes: Informer<Node>,
    node_api: Api<Node>,
    pods: Informer<Pod>,
    pod_api: Api<Pod>,
    accounts: Informer<ServiceAccount>,
    account_api: Api<ServiceAccount>,
}

/// Why not.
enum No {
    Forbidden(String),
    Status(Box<Status>),
}

impl From<Status> for No {
    fn from(status: Status) -> Self {
        No::Status(Box::new(status))
    }
}

impl NodeRestriction {
    pub(crate) fn new(context: &Context) -> Self {
        NodeRestriction {
            nodes: Informer::all(&*context.transport),
            node_api: Api::new(context.transport.clone()),
            pods: Informer::all(&*context.transport),
            pod_api: Api::new(context.transport.clone()),
            accounts: Informer::all(&*context.transport),
            account_api: Api::new(context.transport.clone()),
        }
    }

    async fn check(&self, a: &Attributes<'_>) -> Result<(), Status> {
        let user = identity(a.user);
        let answer = match node_name(&user) {
            None => return Ok(()),
            Some("") => Err(No::Forbidden(format!("could not determine node from user {:?}", user.name))),
            Some(node) => self.judge(node, a).await,
        };
        answer.map_err(|no| match no {
            No::Forbidden(why) => ask::forbidden(a, why),
            No::Status(status) => *status,
        })
    }

    async fn judge(&self, node: &str, a: &Attributes<'_>) -> Result<(), No> {
        if ask::is::<Pod>(a) {
            return match a.subresource {
                "" => self.pod(node, a).await,
                "status" => pod_status(node, a),
                "eviction" => self.eviction(node, a).await,
                other => Err(No::Forbidden(format!(
                    "unexpected pod subresource {other:?}, only 'status' and 'eviction' are allowed"
                ))),
            };
        }
        if ask::is::<Node>(a) {
            return node_object(node, a);
        }
        if ask::is::<PersistentVolumeClaim>(a) {
            return claim_status(node, a);
        }
        if ask::is::<Lease>(a) {
            return lease(node, a);
        }
        if ask::is::<ServiceAccount>(a) && a.subresource == "token" {
            // See the head of this file: nothing may come this way unjudged.
            return Err(No::Forbidden("node requested token not bound to a pod".into()));
        }
        if ask::is::<ResourceSlice>(a) {
            return resource_slice(node, a);
        }
        if ask::is_main::<CertificateSigningRequest>(a) {
            return certificate_request(node, a);
        }
        if ask::is::<PodCertificateRequest>(a) {
            return self.pod_certificate_request(node, a).await;
        }
        if *a.gvr.group == *"storage.k8s.io" && *a.gvr.resource == *"csinodes" && named(a) != node {
            let why = "can only access CSINode with the same name as the requesting node";
            return Err(No::Forbidden(why.into()));
        }
        Ok(())
    }

    async fn pod(&self, node: &str, a: &Attributes<'_>) -> Result<(), No> {
        match a.operation {
            Operation::Create => match ask::object::<Pod>(a) {
                Some(pod) => self.mirror_pod(node, pod).await,
                None => Err(No::Forbidden("unexpected type".into())),
            },
            Operation::Delete => match ask::old::<Pod>(a) {
                Some(pod) if runs_on(pod) == node => Ok(()),
                _ => Err(No::Forbidden(format!(
                    "node {node:?} can only delete pods with spec.nodeName set to itself"
                ))),
            },
            Operation::Update | Operation::Connect => Err(No::Forbidden(format!(
                "unexpected operation {:?}, node {node:?} can only create and delete mirror pods",
                shown(a.operation)
            ))),
        }
    }

    async fn mirror_pod(&self, node: &str, pod: &Pod) -> Result<(), No> {
        if !is_mirror(pod) {
            return Err(No::Forbidden(format!(
                "pod does not have \"kubernetes.io/config.mirror\" annotation, node {node:?} can only create mirror pods"
            )));
        }
        let may_not = |what: &str| Err(No::Forbidden(format!("node {node:?} {what}")));
        if runs_on(pod) != node {
            return may_not("can only create pods with spec.nodeName set to itself");
        }
        let owner = match pod.metadata.owner_references.as_deref().unwrap_or_default() {
            [owner] => owner,
            [] => return may_not("can only create pods with an owner reference set to itself"),
            _ => return may_not("can only create pods with a single owner reference set to itself"),
        };
        if owner.api_version != "v1" || owner.kind != "Node" || owner.name != node {
            return may_not("can only create pods with an owner reference set to itself");
        }
        if owner.controller != Some(true) {
            return may_not("can only create pods with a controller owner reference set to itself");
        }
        if owner.block_owner_deletion == Some(true) {
            return may_not("must not set blockOwnerDeletion on an owner reference");
        }
        let uid = self.node_uid(node, &owner.uid).await?;
        if uid != owner.uid {
            let why = format!("node {node} UID mismatch: expected {} got {uid}", owner.uid);
            return Err(No::Forbidden(why));
        }
        let Some(spec) = &pod.spec else { return Ok(()) };
        match api_object(spec) {
            Some(what) => may_not(&format!("can not create pods that reference {what}")),
            None => Ok(()),
        }
    }

    /// As seen, unless that is not `expected`: then as it is.
    async fn node_uid(&self, name: &str, expected: &str) -> Result<String, Status> {
        match self.nodes.object(&ObjectKey::cluster(name)) {
            Some(seen) if *seen.meta.uid == *expected => Ok(expected.to_owned()),
            _ => Ok(self.node_api.get("", name).await?.uid().to_owned()),
        }
    }

    /// A node asks for certificates of pods that run on it, as what they are.
    async fn pod_certificate_request(&self, node: &str, a: &Attributes<'_>) -> Result<(), No> {
        let no = |why: String| Err(No::Forbidden(why));
        if a.operation != Operation::Create {
            return no(format!("unexpected operation {}", shown(a.operation)));
        }
        if !a.subresource.is_empty() {
            return no(format!("unexpected subresource {}", a.subresource));
        }
        let Some(request) = ask::object::<PodCertificateRequest>(a) else {
            return no("unexpected type".into());
        };
        let spec = &request.spec;
        if spec.node_name != node {
            return no(format!(
                "PodCertificateRequest.Spec.NodeName={:?}, which is not the requesting node {node:?}",
                spec.node_name
            ));
        }
        let of = format!("PodCertificateRequest for pod \"{}/{}\"", a.namespace, spec.pod_name);
        let uid = self.node_uid(node, &spec.node_uid).await?;
        if uid != spec.node_uid {
            let found = format!("inconsistent with the running node ({uid:?})");
            return later(format!("{of} names node UID {:?}, {found}", spec.node_uid));
        }
        let pod = self.running(a.namespace, &spec.pod_name, &spec.pod_uid).await?;
        if pod.uid() != spec.pod_uid {
            let found = format!("which differs from running pod ({:?})", pod.uid());
            return later(format!("{of} contains pod UID {:?} {found}", spec.pod_uid));
        }
        if runs_on(&pod) != node {
            let found = format!("differs from running pod ({:?})", runs_on(&pod));
            return no(format!("{of} contains nodeName ({node:?}) that {found}"));
        }
        // What a node says of itself gives it no certificates.
        if is_mirror(&pod) {
            return no(format!("pod \"{}/{}\" is a mirror pod", a.namespace, spec.pod_name));
        }
        let account = pod.spec.as_ref().and_then(|s| s.service_account_name.as_deref()).unwrap_or_default();
        if account != spec.service_account_name {
            let found = format!("that differs from running pod ({account:?})");
            return no(format!("{of} contains serviceAccountName ({:?}) {found}", spec.service_account_name));
        }
        let uid = self.account_uid(a.namespace, account, &spec.service_account_uid).await?;
        if uid != spec.service_account_uid {
            let found = format!("inconsistent with the running service account ({uid:?})");
            return later(format!("{of} names service account UID {:?}, {found}", spec.service_account_uid));
        }
        Ok(())
    }

    /// As seen, unless its uid is not `expected`: then as it is.
    async fn running(&self, namespace: &str, name: &str, expected: &str) -> Result<Pod, Status> {
        match self.pods.get(&ObjectKey::new(namespace, name)).filter(|pod| pod.uid() == expected) {
            Some(pod) => Ok(pod),
            None => self.pod_api.get(namespace, name).await,
        }
    }

    async fn account_uid(&self, namespace: &str, name: &str, expected: &str) -> Result<String, Status> {
        match self.accounts.object(&ObjectKey::new(namespace, name)) {
            Some(seen) if *seen.meta.uid == *expected => Ok(expected.to_owned()),
            _ => Ok(self.account_api.get(namespace, name).await?.uid().to_owned()),
        }
    }

    async fn eviction(&self, node: &str, a: &Attributes<'_>) -> Result<(), No> {
        if a.operation != Operation::Create {
            return Err(No::Forbidden(format!("unexpected operation {}", shown(a.operation))));
        }
        let name = named(a);
        if name.is_empty() {
            return Err(No::Forbidden("could not determine pod from request data".into()));
        }
        let pod = match self.pods.get(&ObjectKey::new(a.namespace, name)) {
            Some(pod) => pod,
            None => self.pod_api.get(a.namespace, name).await?,
        };
        if runs_on(&pod) != node {
            let why = format!("node {node} can only evict pods with spec.nodeName set to itself");
            return Err(No::Forbidden(why));
        }
        Ok(())
    }
}

#[async_trait]
impl Plugin for NodeRestriction {
    async fn mutate(&self, a: &mut Attributes<'_>) -> Result<(), Status> {
        self.check(a).await
    }

    /// What is not mutated is looked at here.
    async fn validate(&self, a: &Attributes<'_>) -> Result<(), Status> {
        if a.operation == Operation::Delete { self.check(a).await } else { Ok(()) }
    }
}

/// Who asks may be ahead of us, or behind: upstream's answer is an error, not a refusal.
fn later(why: String) -> Result<(), No> {
    Err(No::Status(Box::new(Status::internal(why))))
}

fn identity(user: &Requester) -> UserInfo {
    UserInfo { name: user.name.clone(), groups: user.groups.clone(), ..UserInfo::default() }
}

/// The object's name, also of a create that has it in the object alone.
fn named<'a>(a: &'a Attributes<'_>) -> &'a str {
    match a.name {
        "" => a.object.as_deref().and_then(|o| o.object_meta().name.as_deref()).unwrap_or_default(),
        name => name,
    }
}

fn runs_on(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).unwrap_or_default()
}

fn shown(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "CREATE",
        Operation::Update => "UPDATE",
        Operation::Delete => "DELETE",
        Operation::Connect => "CONNECT",
    }
}

/// The first sort of API object that the pod names.
fn api_object(spec: &PodSpec) -> Option<&'static str> {
    if spec.service_account_name.as_deref().is_some_and(|name| !name.is_empty()) {
        return Some("a service account");
    }
    if !secrets::references(spec).is_empty() {
        return Some("secrets");
    }
    if names_config_maps(spec) {
        return Some("configmaps");
    }
    let volumes = || spec.volumes.iter().flatten();
    fn sources(v: &Volume) -> impl Iterator<Item = &VolumeProjection> {
        v.projected.iter().flat_map(|p| p.sources.iter().flatten())
    }
    if volumes().any(|v| sources(v).any(|s| s.cluster_trust_bundle.is_some())) {
        return Some("clustertrustbundles");
    }
    if volumes().any(|v| sources(v).any(|s| s.pod_certificate.is_some())) {
        return Some("podcertificates");
    }
    let claims = || spec.resource_claims.iter().flatten();
    if claims().any(|c| c.resource_claim_name.is_some()) {
        return Some("resourceclaims");
    }
    if claims().any(|c| c.resource_claim_template_name.is_some()) {
        return Some("resourceclaimtemplates");
    }
    volumes().any(|v| v.persistent_volume_claim.is_some()).then_some("persistentvolumeclaims")
}

fn names_config_maps(spec: &PodSpec) -> bool {
    let volumes = spec.volumes.iter().flatten().any(|v| {
        let mut sources = v.projected.iter().flat_map(|p| p.sources.iter().flatten());
        v.config_map.is_some() || sources.any(|s| s.config_map.is_some())
    });
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let env = containers.map(|c| (&c.env, &c.env_from));
    let debug = spec.ephemeral_containers.iter().flatten().map(|c| (&c.env, &c.env_from));
    volumes
        || env.chain(debug).any(|(env, from)| {
            let keys = env.iter().flatten().filter_map(|e| e.value_from.as_ref());
            keys.into_iter().any(|v| v.config_map_key_ref.is_some())
                || from.iter().flatten().any(|f| f.config_map_ref.is_some())
        })
}

fn pod_status(node: &str, a: &Attributes<'_>) -> Result<(), No> {
    if a.operation != Operation::Update {
        return Err(No::Forbidden(format!("unexpected operation {:?}", shown(a.operation))));
    }
    let (Some(old), Some(new)) = (ask::old::<Pod>(a), ask::object::<Pod>(a)) else {
        return Err(No::Forbidden("unexpected type".into()));
    };
    if runs_on(old) != node {
        return Err(No::Forbidden(format!(
            "node {node:?} can only update pod status for pods with spec.nodeName set to itself"
        )));
    }
    let labels = |pod: &Pod| pod.metadata.labels.clone().unwrap_or_default();
    if labels(old) != labels(new) {
        return Err(No::Forbidden(format!("node {node:?} cannot update labels through pod status")));
    }
    let claims =
        |pod: &Pod| pod.status.as_ref().and_then(|s| s.resource_claim_statuses.clone()).unwrap_or_default();
    if claims(old) != claims(new) {
        return Err(No::Forbidden(format!("node {node:?} cannot update resource claim statues")));
    }
    Ok(())
}

fn resource_slice(node: &str, a: &Attributes<'_>) -> Result<(), No> {
    // Of others the authorizer knows already whose they are.
    let (slice, verb) = match a.operation {
        Operation::Create => (ask::object::<ResourceSlice>(a), "create"),
        Operation::Delete => (ask::old::<ResourceSlice>(a), "delete"),
        _ => return Ok(()),
    };
    match slice.and_then(|slice| slice.spec.node_name.as_deref()) == Some(node) {
        true => Ok(()),
        false => Err(No::Forbidden(format!(
            "can only {verb} ResourceSlice with the same NodeName as the requesting node"
        ))),
    }
}

/// A node asks for its own certificates only.
fn certificate_request(node: &str, a: &Attributes<'_>) -> Result<(), No> {
    let Some(request) = ask::object::<CertificateSigningRequest>(a) else { return Ok(()) };
    if a.operation != Operation::Create || !KUBELET_SIGNERS.contains(&request.spec.signer_name.as_str()) {
        return Ok(());
    }
    let subject = auth::certificates::request_subject(&request.spec.request.0)
        .map_err(|why| No::Forbidden(format!("unable to parse csr: {why}")))?;
    match subject.common_name == format!("system:node:{node}") {
        true => Ok(()),
        false => Err(No::Forbidden(format!("can only create a node CSR with CN=system:node:{node}"))),
    }
}

fn node_object(node: &str, a: &Attributes<'_>) -> Result<(), No> {
    let requested = named(a);
    if requested != node {
        return Err(No::Forbidden(format!("node {node:?} is not allowed to modify node {requested:?}")));
    }
    let labels = |object: Option<&Node>| object.and_then(|n| n.metadata.labels.clone()).unwrap_or_default();
    let (new, old) = (ask::object::<Node>(a), ask::old::<Node>(a));
    let touched = changed(&labels(new), &labels(old));
    let forbidden: Vec<String> = touched.into_iter().filter(|label| !is_kubelets_to_set(label)).collect();
    let source = |n: Option<&Node>| n.and_then(|n| n.spec.as_ref()?.config_source.clone());
    match a.operation {
        Operation::Create if source(new).is_some() => Err(No::Forbidden(format!(
            "node {node:?} is not allowed to create pods with a non-nil configSource"
        ))),
        Operation::Create if !forbidden.is_empty() => Err(No::Forbidden(format!(
            "node {node:?} is not allowed to set the following labels: {}",
            forbidden.join(", ")
        ))),
        Operation::Update => {
            let taints =
                |n: Option<&Node>| n.and_then(|n| n.spec.as_ref()?.taints.clone()).unwrap_or_default();
            let not_allowed =
                |what: &str| Err(No::Forbidden(format!("node {node:?} is not allowed to {what}")));
            if source(new).is_some() && source(new) != source(old) {
                return not_allowed("update configSource to a new non-nil configSource");
            }
            if taints(new) != taints(old) {
                return not_allowed("modify taints");
            }
            // Whoever names an owner that is not there has the garbage collector delete him.
            let owners = |n: Option<&Node>| n.and_then(|n| n.metadata.owner_references.clone());
            if owners(new).unwrap_or_default() != owners(old).unwrap_or_default() {
                return not_allowed("modify ownerReferences");
            }
            if forbidden.is_empty() {
                return Ok(());
            }
            Err(No::Forbidden(format!("is not allowed to modify labels: {}", forbidden.join(", "))))
        }
        _ => Ok(()),
    }
}

/// The keys that one of the maps has not, or with another value.
fn changed(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> BTreeSet<String> {
    a.keys().chain(b.keys()).filter(|k| a.get(*k) != b.get(*k)).cloned().collect()
}

fn claim_status(node: &str, a: &Attributes<'_>) -> Result<(), No> {
    if a.subresource != "status" {
        return Err(No::Forbidden("may only update PVC status".into()));
    }
    let (Some(old), Some(new)) = (ask::old(a), ask::object(a)) else {
        return Err(No::Forbidden(format!("unexpected operation {:?}", shown(a.operation))));
    };
    let rest = |claim: &PersistentVolumeClaim| {
        let mut claim = claim.clone();
        claim.metadata.resource_version = None;
        claim.metadata.managed_fields = None;
        let status = claim.status.get_or_insert_default();
        status.capacity = None;
        status.conditions = None;
        status.allocated_resource_statuses = None;
        status.allocated_resources = None;
        claim
    };
    if rest(old) != rest(new) {
        return Err(No::Forbidden(format!(
            "node {node:?} is not allowed to update fields other than status.capacity and status.conditions"
        )));
    }
    Ok(())
}

fn lease(node: &str, a: &Attributes<'_>) -> Result<(), No> {
    if a.namespace != LEASE_NAMESPACE {
        let why = format!("can only access leases in the {LEASE_NAMESPACE:?} system namespace");
        return Err(No::Forbidden(why));
    }
    if named(a) != node {
        let why = "can only access node lease with the same name as the requesting node";
        return Err(No::Forbidden(why.into()));
    }
    Ok(())
}
