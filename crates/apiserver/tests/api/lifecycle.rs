//! Creating, changing, deleting.

use serde_json::json;

use super::server::{config_map, pod, start};

const CMS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";

#[tokio::test]
async fn creates() {
    let server = start().await;
    let created = server.post(CMS, config_map("a")).await;
    assert_eq!(created.code, 201);
    let meta = created.json()["metadata"].clone();
    assert_eq!(meta["namespace"], json!("default"));
    assert_eq!(meta["uid"].as_str().unwrap().len(), 36);
    assert_eq!(meta["managedFields"][0]["fieldsV1"]["f:data"]["f:k"], json!({}));
    let twice = server.post(CMS, config_map("a")).await;
    assert_eq!((twice.code, &*twice.message()), (409, "configmaps \"a\" already exists"));
    let generated = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "g-"}});
    let name = server.post(CMS, generated).await.json()["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("g-") && name.len() == 7, "{name}");
    let dry = server.post(&format!("{CMS}?dryRun=All"), config_map("dry")).await;
    assert_eq!(dry.code, 201);
    assert_eq!(server.get(&format!("{CMS}/dry")).await.code, 404);
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-yaml}\n";
    assert_eq!(server.send("POST", CMS, &[("content-type", "application/yaml")], yaml).await.code, 201);
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_none() {
    let server = start().await;
    let created = server.post(CMS, config_map("a")).await.json();
    let path = format!("{CMS}/a");
    let same = server.patch(&path, "merge-patch", json!({"data": {"k": "v"}})).await.json();
    assert_eq!(same["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"]);
    let put = server.put(&path, created.clone()).await.json();
    assert_eq!(put["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn status_is_written_apart() {
    let server = start().await;
    let mut object = pod("a");
    object["status"] = json!({"phase": "Running"});
    let created = server.post(PODS, object).await.json();
    assert_eq!(created["status"]["phase"], json!("Pending"));
    let path = format!("{PODS}/a/status");
    let patch = json!({"status": {"phase": "Running"}, "spec": {"nodeName": "n"}});
    let patched = server.patch(&path, "strategic-merge-patch", patch).await.json();
    assert_eq!(
        (&patched["status"]["phase"], &patched["spec"]["nodeName"]),
        (&json!("Running"), &json!(null))
    );
}

#[tokio::test]
async fn pods_wait_for_their_kubelet() {
    let server = start().await;
    server.post(PODS, pod("free")).await;
    assert_eq!(server.delete(&format!("{PODS}/free")).await.code, 200);
    assert_eq!(server.get(&format!("{PODS}/free")).await.code, 404);
    server.post(PODS, pod("bound")).await;
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "bound"}, "target": {"name": "n"}});
    let bound = server.post(&format!("{PODS}/bound/binding"), binding.clone()).await;
    assert_eq!(bound.code, 201, "{}", bound.text);
    let again = server.post(&format!("{PODS}/bound/binding"), binding).await;
    // The old way, to the namespace.
    server.post(PODS, pod("other")).await;
    let other = json!({"metadata": {"name": "other"}, "target": {"kind": "Node", "name": "m"}});
    let answer = server.post("/api/v1/namespaces/default/bindings", other).await;
    assert_eq!((answer.code, &answer.json()["kind"]), (201, &json!("Status")), "{}", answer.text);
    assert_eq!(server.get(&format!("{PODS}/other")).await.json()["spec"]["nodeName"], json!("m"));
    assert_eq!(server.get("/api/v1/namespaces/default/bindings").await.code, 405);
    server.delete(&format!("{PODS}/other?gracePeriodSeconds=0")).await;
    let words = "Operation cannot be fulfilled on pods/binding \"bound\": pod bound is already assigned to node \"n\"";
    assert_eq!((again.code, &*again.message()), (409, words));
    let marked = server.delete(&format!("{PODS}/bound")).await.json();
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], json!(30));
    let shorter = server.delete(&format!("{PODS}/bound?gracePeriodSeconds=5")).await.json();
    assert_eq!(shorter["metadata"]["deletionGracePeriodSeconds"], json!(5));
    let mut watch = server.watch(&format!("{PODS}?watch=1")).await;
    assert_eq!(watch.line().await, "ADDED bound");
    server.delete(&format!("{PODS}/bound?gracePeriodSeconds=0")).await;
    assert_eq!(watch.line().await, "DELETED bound");
    assert_eq!(server.get(&format!("{PODS}/bound")).await.code, 404);
}

#[tokio::test]
async fn finalizers_and_propagation() {
    let server = start().await;
    let mut object = config_map("a");
    object["metadata"]["finalizers"] = json!(["example.com/f"]);
    server.post(CMS, object).await;
    let path = format!("{CMS}/a");
    let marked = server.delete(&format!("{path}?propagationPolicy=Foreground")).await.json();
    assert_eq!(marked["metadata"]["finalizers"], json!(["example.com/f", "foregroundDeletion"]));
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    let more = json!({"metadata": {"finalizers": ["example.com/f", "foregroundDeletion", "example.com/g"]}});
    assert_eq!(server.patch(&path, "merge-patch", more).await.code, 422);
    server.patch(&path, "merge-patch", json!({"metadata": {"finalizers": ["example.com/f"]}})).await;
    assert_eq!(server.get(&path).await.code, 200);
    server.patch(&path, "merge-patch", json!({"metadata": {"finalizers": null}})).await;
    assert_eq!(server.get(&path).await.code, 404);
    server.post(CMS, config_map("b")).await;
    let done = server.delete(&format!("{CMS}/b")).await.json();
    assert_eq!((&done["status"], &done["details"]["kind"]), (&json!("Success"), &json!("configmaps")));
}

#[tokio::test]
async fn a_namespace_ends_in_two_steps() {
    let server = start().await;
    let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}});
    server.post("/api/v1/namespaces", space).await;
    let marked = server.delete("/api/v1/namespaces/ns").await.json();
    assert_eq!(marked["status"]["phase"], json!("Terminating"));
    let refused = server.post("/api/v1/namespaces/ns/configmaps", config_map("a")).await;
    let words = "configmaps \"a\" is forbidden: unable to create new content in namespace ns because it is being \
                 terminated";
    assert_eq!((refused.code, &*refused.message()), (403, words));
    assert_eq!(refused.json()["details"]["causes"][0]["reason"], json!("NamespaceTerminating"));
    let mut last = server.get("/api/v1/namespaces/ns").await.json();
    last["spec"]["finalizers"] = json!([]);
    let finalized = server.put("/api/v1/namespaces/ns/finalize", last).await;
    assert_eq!(finalized.code, 200, "{}", finalized.text);
    assert_eq!(server.get("/api/v1/namespaces/ns").await.code, 404);
}

#[tokio::test]
async fn scale() {
    let server = start().await;
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}},
    });
    let all = "/apis/apps/v1/namespaces/default/deployments";
    let created = server.post(all, deployment).await;
    assert_eq!(created.code, 201, "{}", created.text);
    let path = format!("{all}/d/scale");
    let mut scale = server.get(&path).await.json();
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(1)));
    scale["spec"]["replicas"] = json!(3);
    assert_eq!(server.put(&path, scale.clone()).await.json()["spec"]["replicas"], json!(3));
    let stale = server.put(&path, scale).await;
    assert_eq!(stale.code, 409, "{}", stale.text);
    let patched = server.patch(&path, "merge-patch", json!({"spec": {"replicas": 5}})).await.json();
    assert_eq!(patched["spec"]["replicas"], json!(5));
    let bad = server.patch(&path, "merge-patch", json!({"spec": {"replicas": -1}})).await;
    let words = "Scale.autoscaling \"d\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0";
    assert_eq!((bad.code, &*bad.message()), (422, words));
    assert_eq!(server.get(&format!("{all}/d")).await.json()["metadata"]["generation"], json!(3));
}

#[tokio::test]
async fn a_collection_is_deleted() {
    let server = start().await;
    for name in ["a", "b"] {
        server.post(CMS, config_map(name)).await;
    }
    let gone = server.delete(&format!("{CMS}?fieldSelector=metadata.name%3Da")).await.json();
    assert_eq!(gone["items"].as_array().unwrap().len(), 1);
    assert_eq!(server.get(CMS).await.json()["items"].as_array().unwrap().len(), 1);
}

/// Patches of many writers at once all arrive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_patches() {
    let server = std::sync::Arc::new(start().await);
    server.post(CMS, config_map("a")).await;
    let writers = (0..20).map(|n| {
        let server = server.clone();
        async move {
            let patch = json!({"data": {format!("k{n}"): "x"}});
            assert_eq!(server.patch(&format!("{CMS}/a"), "merge-patch", patch).await.code, 200);
        }
    });
    futures::future::join_all(writers).await;
    let data = server.get(&format!("{CMS}/a")).await.json()["data"].clone();
    assert_eq!(data.as_object().unwrap().len(), 21);
}
