//! Evictions and the budgets that may refuse them.

use serde_json::{Value, json};

use super::server::{Answer, Server, pod, start};

const PODS: &str = "/api/v1/namespaces/default/pods";
const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";

/// A pod that runs on a node, so that it lingers when it is deleted.
async fn running(server: &Server, name: &str, ready: bool) {
    let mut object = pod(name);
    object["metadata"]["labels"] = json!({"app": "a"});
    object["spec"]["nodeName"] = json!("n1");
    assert_eq!(server.post(PODS, object).await.code, 201);
    let conditions = json!([{"type": "Ready", "status": if ready { "True" } else { "False" }}]);
    let patch = json!({"status": {"phase": "Running", "conditions": conditions}});
    let patched = server.patch(&format!("{PODS}/{name}/status"), "strategic-merge-patch", patch).await;
    assert_eq!(patched.code, 200, "{}", patched.text);
}

async fn budget(server: &Server, name: &str) {
    let spec = json!({"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}});
    let object = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": name}, "spec": spec});
    let created = server.post(BUDGETS, object).await;
    assert_eq!(created.code, 201, "{}", created.text);
}

/// What the controller would say.
async fn judged(server: &Server, name: &str, status: Value) {
    let patched =
        server.patch(&format!("{BUDGETS}/{name}/status"), "merge-patch", json!({"status": status})).await;
    assert_eq!(patched.code, 200, "{}", patched.text);
}

async fn evict(server: &Server, name: &str, options: Value) -> Answer {
    let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"},
        "deleteOptions": options});
    server.post(&format!("{PODS}/{name}/eviction"), body).await
}

#[tokio::test]
async fn a_budget_refuses_and_allows() {
    let server = start().await;
    running(&server, "a", true).await;
    budget(&server, "b").await;
    let refused = evict(&server, "a", json!({})).await;
    assert_eq!(refused.code, 429);
    assert_eq!(refused.message(), "Cannot evict pod as it would violate the pod's disruption budget.");
    let cause = |answer: &Answer| answer.json()["details"]["causes"][0].clone();
    let text = "The disruption budget b is still being processed by the server.";
    assert_eq!(cause(&refused), json!({"reason": "DisruptionBudget", "message": text}));
    assert_eq!(refused.headers["retry-after"], "10");

    judged(&server, "b", json!({"observedGeneration": 1, "desiredHealthy": 1, "currentHealthy": 1})).await;
    let refused = evict(&server, "a", json!({})).await;
    let text = "The disruption budget b needs 1 healthy pods and has 1 currently";
    assert_eq!((refused.code, &cause(&refused)["message"]), (429, &json!(text)));
    assert!(!refused.headers.contains_key("retry-after"), "kubectl itself decides when to ask again");

    judged(&server, "b", json!({"disruptionsAllowed": 1})).await;
    assert_eq!(evict(&server, "a", json!({"dryRun": ["All"]})).await.code, 201);
    let kept = server.get(&format!("{BUDGETS}/b")).await.json();
    assert_eq!(kept["status"]["disruptionsAllowed"], json!(1), "a dry run spends nothing");

    let evicted = evict(&server, "a", json!({})).await;
    assert_eq!((evicted.code, &evicted.json()["status"]), (201, &json!("Success")));
    let spent = server.get(&format!("{BUDGETS}/b")).await.json();
    assert_eq!(spent["status"]["disruptionsAllowed"], json!(0));
    assert!(spent["status"]["disruptedPods"]["a"].is_string(), "{spent}");
    let pod = server.get(&format!("{PODS}/a")).await.json();
    assert!(pod["metadata"]["deletionTimestamp"].is_string());
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    let told = conditions.iter().find(|c| c["type"] == "DisruptionTarget").unwrap();
    assert_eq!((&told["status"], &told["reason"]), (&json!("True"), &json!("EvictionByEvictionAPI")));
}

#[tokio::test]
async fn pods_that_serve_nobody_go() {
    let server = start().await;
    budget(&server, "b").await;
    let mut pending = pod("pending");
    pending["metadata"]["labels"] = json!({"app": "a"});
    server.post(PODS, pending).await;
    assert_eq!(evict(&server, "pending", json!({})).await.code, 201);

    running(&server, "unready", false).await;
    assert_eq!(evict(&server, "unready", json!({})).await.code, 429);
    judged(&server, "b", json!({"observedGeneration": 1, "desiredHealthy": 1, "currentHealthy": 1})).await;
    assert_eq!(evict(&server, "unready", json!({})).await.code, 201);
}

#[tokio::test]
async fn two_budgets_of_one_pod_are_too_many() {
    let server = start().await;
    running(&server, "a", true).await;
    budget(&server, "b").await;
    budget(&server, "c").await;
    let refused = evict(&server, "a", json!({})).await;
    let text =
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
    assert_eq!((refused.code, &*refused.message()), (500, text));
}

#[tokio::test]
async fn an_eviction_names_its_pod() {
    let server = start().await;
    running(&server, "a", true).await;
    assert_eq!(evict(&server, "a", json!({"preconditions": {"uid": "other"}})).await.code, 409);
    assert_eq!(evict(&server, "missing", json!({})).await.code, 404);
    assert_eq!(evict(&server, "a", json!({})).await.code, 201, "no budget, no refusal");
}
