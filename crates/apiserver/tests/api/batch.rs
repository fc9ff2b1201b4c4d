//! Jobs as the API makes and unmakes them.

use serde_json::{Value, json};

use super::server::start;

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

fn job(meta: Value) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox"}]}}}})
}

#[tokio::test]
async fn a_job_selects_its_own_pods() {
    let server = start().await;
    let made = server.post(JOBS, job(json!({"generateName": "j-"}))).await.json();
    // Name and uid are known when the selector is made of them.
    let (name, uid) = (&made["metadata"]["name"], &made["metadata"]["uid"]);
    assert!(name.as_str().is_some_and(|n| n.len() == "j-".len() + 5), "{made}");
    let labels = json!({"controller-uid": uid, "batch.kubernetes.io/controller-uid": uid, "job-name": name,
        "batch.kubernetes.io/job-name": name});
    assert_eq!(made["spec"]["template"]["metadata"]["labels"], labels);
    assert_eq!(made["metadata"]["labels"], labels);
    let selector = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
    assert_eq!(made["spec"]["selector"], selector);
    assert_eq!(made["status"], json!({}));
    let path = format!("{JOBS}/{}", name.as_str().unwrap());
    let other = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "other"}]}}}});
    let refused = server.patch(&path, "merge-patch", other).await;
    assert_eq!(refused.code, 422);
    assert!(refused.message().contains("spec.template: Invalid value: "), "{}", refused.text);
    assert!(refused.message().ends_with("field is immutable"), "{}", refused.text);
}

#[tokio::test]
async fn pods_of_a_deleted_job_stay_unless_told() {
    let server = start().await;
    for (name, options, orphans) in [("a", "", true), ("b", "?propagationPolicy=Background", false)] {
        server.post(JOBS, job(json!({"name": name, "finalizers": ["x/y"]}))).await;
        let path = format!("{JOBS}/{name}");
        let answer = server.delete(&format!("{path}{options}")).await;
        let warning = answer.headers.get("warning").map(|w| w.to_str().unwrap().to_owned());
        assert_eq!(warning.is_some_and(|w| w.contains("child pods are preserved by default")), orphans);
        let left = server.get(&path).await.json();
        let orphan = left["metadata"]["finalizers"].as_array().is_some_and(|f| f.contains(&json!("orphan")));
        assert_eq!(orphan, orphans, "{left}");
    }
}
