//! Our protobuf against somebody else's types: what we write they read, what they write we read, and nothing is lost on the way.

use std::collections::BTreeSet;

use codec::protobuf::{Message, TAIL, to_json};
use facts::{Type, Value as Holds};
use prost::Message as Theirs;
use serde_json::{Map, Value, json};

#[path = "../src/protobuf/sample.rs"]
mod sample;

/// Every built-in kind of these versions, as k8s-pb has them.
macro_rules! kinds {
    ($($group:literal $version:literal $($module:ident)::+ { $($kind:ident)* })*) => {{
        let mut all: Vec<(&str, &str, &str, Through)> = Vec::new();
        $({
            use k8s_pb::api::$($module)::+ as theirs;
            $(all.push(($group, $version, stringify!($kind), through::<theirs::$kind>));)*
        })*
        all
    }};
}

type Through = fn(&[u8]) -> Vec<u8>;

fn kinds() -> Vec<(&'static str, &'static str, &'static str, Through)> {
    kinds! {
    "" "v1" core::v1 {
        Binding ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod
        PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount
        ConfigMapList EndpointsList EventList NodeList PodList SecretList ServiceList
    }
    "admissionregistration.k8s.io" "v1" admissionregistration::v1 {
        MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration
    }
    "apps" "v1" apps::v1 { ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet DeploymentList }
    "authentication.k8s.io" "v1" authentication::v1 { SelfSubjectReview TokenRequest TokenReview }
    "authorization.k8s.io" "v1" authorization::v1 {
        LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview
    }
    "autoscaling" "v1" autoscaling::v1 { HorizontalPodAutoscaler Scale }
    "autoscaling" "v2" autoscaling::v2 { HorizontalPodAutoscaler }
    "batch" "v1" batch::v1 { CronJob Job JobList }
    "certificates.k8s.io" "v1" certificates::v1 { CertificateSigningRequest }
    "coordination.k8s.io" "v1" coordination::v1 { Lease LeaseList }
    "discovery.k8s.io" "v1" discovery::v1 { EndpointSlice EndpointSliceList }
    "events.k8s.io" "v1" events::v1 { Event }
    "flowcontrol.apiserver.k8s.io" "v1" flowcontrol::v1 { FlowSchema PriorityLevelConfiguration }
    "networking.k8s.io" "v1" networking::v1 { IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR }
    "node.k8s.io" "v1" node::v1 { RuntimeClass }
    "policy" "v1" policy::v1 { Eviction PodDisruptionBudget }
    "rbac.authorization.k8s.io" "v1" rbac::v1 { ClusterRole ClusterRoleBinding Role RoleBinding }
    "resource.k8s.io" "v1" resource::v1 { DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice }
    "scheduling.k8s.io" "v1" scheduling::v1 { PriorityClass }
    "storage.k8s.io" "v1" storage::v1 {
        CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass
    }
    }
}

/// Read into their type and written from it: what the type does not know is gone.
fn through<T: Theirs + Default>(message: &[u8]) -> Vec<u8> {
    T::decode(message).unwrap_or_else(|e| panic!("{}: {e}", std::any::type_name::<T>())).encode_to_vec()
}

/// The message within a whole body, by their type of what is around it.
fn inner(body: &[u8]) -> Vec<u8> {
    let unknown = body.strip_prefix(b"k8s\0").expect("the prefix");
    let unknown = k8s_pb::apimachinery::pkg::runtime::Unknown::decode(unknown).expect("an Unknown");
    assert!(body.ends_with(TAIL) && unknown.type_meta.is_some_and(|t| t.kind.is_some()));
    unknown.raw.unwrap_or_default()
}

/// An object with something in every field that has a number.
fn filled(of: &'static Type, depth: usize) -> Value {
    let fields = of.fields().iter().filter(|f| !f.numbers().is_empty());
    let filled = fields.filter_map(|f| Some((f.name.to_owned(), sample(f.value(), depth)?)));
    Value::Object(filled.collect::<Map<_, _>>())
}

fn sample(holds: &'static Holds, depth: usize) -> Option<Value> {
    Some(match holds {
        Holds::Struct(_) if depth == 0 => return None,
        Holds::Struct(at) => filled(facts::struct_type(*at), depth - 1),
        Holds::Map { of, .. } => json!({"k": sample(facts::value(*of), depth)?}),
        Holds::Array { of, .. } => {
            let one = sample(facts::value(*of), depth)?;
            // Two of each message would be too many, so deep.
            if one.is_object() { json!([one]) } else { json!([one, one]) }
        }
        plain => sample::plain(plain)?,
    })
}

/// The places at which `right` lacks, or has otherwise, what `left` has.
fn differences(left: &Value, right: &Value, at: &str, found: &mut BTreeSet<String>) {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys()) {
                let (a, b) = (a.get(name).unwrap_or(&Value::Null), b.get(name).unwrap_or(&Value::Null));
                differences(a, b, &format!("{at}.{name}"), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).for_each(|(a, b)| differences(a, b, &format!("{at}[]"), found));
        }
        (a, b) if a == b => {}
        (a, b) => drop(found.insert(format!("{at}: {a} {b}"))),
    }
}

#[test]
fn theirs_and_ours_agree() {
    let mut found = BTreeSet::new();
    for (group, version, kind, through) in kinds() {
        let message = Message::named(group, version, kind).unwrap_or_else(|| panic!("no {group} {kind}"));
        let of = facts::kind(group, version, kind).expect("the kind");
        let mut object = filled(of, 7);
        object["apiVersion"] = json!([group, version].join("/").trim_start_matches('/'));
        object["kind"] = json!(kind);
        let body = message.encode(&serde_json::to_vec(&object).unwrap()).unwrap();
        let theirs = message.whole(&through(&inner(&body)));
        let back: Value = serde_json::from_slice(&to_json(&theirs).unwrap()).unwrap();
        differences(&object, &back, kind, &mut found);
    }
    let found: Vec<_> = found.into_iter().collect();
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}
