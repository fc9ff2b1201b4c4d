//! Classes of storage, ingresses and runtimes; protection of storage.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::api::storage::v1::StorageClass;

use super::*;

fn storage_class(name: &str, created: &str, default: bool, grows: bool) -> StorageClass {
    object(json!({
        "metadata": {"name": name, "creationTimestamp": created,
            "annotations": {"storageclass.kubernetes.io/is-default-class": default.to_string()}},
        "provisioner": "x", "allowVolumeExpansion": grows,
    }))
}

fn claim(spec: Value, phase: &str) -> Value {
    json!({"metadata": {"name": "c", "namespace": "default"}, "spec": spec, "status": {"phase": phase}})
}

#[tokio::test]
async fn claims_get_the_newest_default_class_and_protection() {
    let f = fixture();
    let plain = f.run(create::<PersistentVolumeClaim>(claim(json!({}), "Pending"))).await.unwrap().unwrap();
    assert_eq!(plain.spec.unwrap().storage_class_name, None);
    assert_eq!(plain.metadata.finalizers, Some(vec!["kubernetes.io/pvc-protection".to_owned()]));
    f.api.insert(&storage_class("old", "2026-01-01T00:00:00Z", true, false));
    f.api.insert(&storage_class("new", "2026-01-02T00:00:00Z", true, false));
    f.api.insert(&storage_class("other", "2026-01-03T00:00:00Z", false, false));
    let class = async |spec: Value| {
        let made = f.run(create::<PersistentVolumeClaim>(claim(spec, "Pending"))).await.unwrap().unwrap();
        made.spec.unwrap().storage_class_name
    };
    assert_eq!(class(json!({})).await.as_deref(), Some("new"));
    assert_eq!(class(json!({"storageClassName": ""})).await.as_deref(), Some(""));
    assert_eq!(class(json!({"storageClassName": "old"})).await.as_deref(), Some("old"));
}

#[tokio::test]
async fn claims_grow_where_the_class_lets_them() {
    let f = fixture();
    f.api.insert(&storage_class("grows", "2026-01-01T00:00:00Z", false, true));
    f.api.insert(&storage_class("stays", "2026-01-01T00:00:00Z", false, false));
    let sized = |class: &str, size: &str, phase: &str| {
        claim(json!({"storageClassName": class, "resources": {"requests": {"storage": size}}}), phase)
    };
    let grow = |class: &str, phase: &str| {
        update::<PersistentVolumeClaim>(sized(class, "1Gi", phase), sized(class, "2Gi", phase))
    };
    f.check(grow("grows", "Bound"), "").await;
    f.check(grow("stays", "Bound"), "403 persistentvolumeclaims \"c\" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize").await;
    f.check(
        grow("grows", "Pending"),
        "403 persistentvolumeclaims \"c\" is forbidden: Only bound persistent volume claims can be expanded",
    )
    .await;
}

#[tokio::test]
async fn ingresses_get_the_default_class() {
    let f = fixture();
    f.api.insert(&object::<IngressClass>(json!({"metadata": {"name": "nginx",
        "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}})));
    let class = async |ingress: Value| {
        f.run(create::<Ingress>(ingress)).await.unwrap().unwrap().spec.and_then(|s| s.ingress_class_name)
    };
    let meta = json!({"name": "i", "namespace": "default"});
    assert_eq!(class(json!({"metadata": meta})).await.as_deref(), Some("nginx"));
    assert_eq!(
        class(json!({"metadata": meta, "spec": {"ingressClassName": "own"}})).await.as_deref(),
        Some("own")
    );
    let old =
        json!({"name": "i", "namespace": "default", "annotations": {"kubernetes.io/ingress.class": "x"}});
    assert_eq!(class(json!({"metadata": old})).await, None);
}

#[tokio::test]
async fn runtime_classes_cost_and_place() {
    let f = fixture();
    f.api.insert(&object::<RuntimeClass>(json!({
        "metadata": {"name": "kata"}, "handler": "kata", "overhead": {"podFixed": {"cpu": "250m"}},
        "scheduling": {"nodeSelector": {"kata": "yes"}, "tolerations": [{"key": "kata", "operator": "Exists"}]},
    })));
    let pod = |more: Value| {
        let mut spec = json!({"containers": [{"name": "c"}]});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        create::<Pod>(json!({"metadata": {"name": "p", "namespace": "default"}, "spec": spec}))
    };
    let made = f.run(pod(json!({"runtimeClassName": "kata"}))).await.unwrap().unwrap().spec.unwrap();
    assert_eq!(serde_json::to_value(&made.overhead).unwrap(), json!({"cpu": "250m"}));
    assert_eq!(made.node_selector.unwrap()["kata"], "yes");
    assert!(made.tolerations.unwrap().iter().any(|t| t.key.as_deref() == Some("kata")));
    let bad = "403 pods \"p\" is forbidden: pod rejected: ";
    f.check(pod(json!({"runtimeClassName": "none"})), &format!("{bad}RuntimeClass \"none\" not found")).await;
    f.check(
        pod(json!({"overhead": {"cpu": "1"}})),
        &format!("{bad}Pod Overhead set without corresponding RuntimeClass defined Overhead"),
    )
    .await;
    f.check(
        pod(json!({"runtimeClassName": "kata", "overhead": {"cpu": "1"}})),
        &format!("{bad}Pod's Overhead doesn't match RuntimeClass's defined Overhead"),
    )
    .await;
    f.check(pod(json!({"runtimeClassName": "kata", "nodeSelector": {"kata": "no"}})), &format!("{bad}conflict: runtimeClass.scheduling.nodeSelector[kata] = yes; pod.spec.nodeSelector[kata] = no")).await;
}
