//! ResourceQuota.

use k8s_openapi::api::core::v1::{ResourceQuota, Service};

use super::*;

/// A quota that the controller has counted.
fn with_quota(spec: Value, used: Value) -> Fixture {
    let f = fixture();
    f.api.insert(&object::<ResourceQuota>(json!({
        "metadata": {"name": "q", "namespace": "default"},
        "spec": spec, "status": {"hard": spec["hard"], "used": used},
    })));
    f
}

fn pod_named(name: &str, resources: Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [{"name": "c", "resources": resources}]}})
}

fn used(f: &Fixture) -> Value {
    let quota = f.api.find::<ResourceQuota>("default", "q").unwrap();
    serde_json::to_value(quota.status.unwrap().used).unwrap()
}

#[tokio::test]
async fn the_last_one_is_refused() {
    let f = with_quota(json!({"hard": {"pods": "2", "secrets": "1"}}), json!({"pods": "1", "secrets": "0"}));
    f.run(create::<Pod>(pod_named("a", json!({})))).await.unwrap();
    assert_eq!(used(&f), json!({"pods": "2", "secrets": "0"}));
    let refused = f.run(create::<Pod>(pod_named("b", json!({})))).await.unwrap_err();
    assert_eq!(
        refused.message,
        "pods \"b\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"
    );
    assert_eq!(refused.code, 403);
    // Another kind does not care.
    f.run(create::<ConfigMap>(json!({"metadata": {"name": "m", "namespace": "default"}}))).await.unwrap();
}

#[tokio::test]
async fn of_many_at_once_no_more_than_fit() {
    let f = with_quota(
        json!({"hard": {"pods": "5", "requests.cpu": "10"}}),
        json!({"pods": "0", "requests.cpu": "0"}),
    );
    let resources = json!({"requests": {"cpu": "100m"}});
    let all = (0..20).map(|i| f.run(create::<Pod>(pod_named(&format!("p{i}"), resources.clone()))));
    let done = futures::future::join_all(all).await;
    assert_eq!(done.iter().filter(|r| r.is_ok()).count(), 5);
    assert_eq!(used(&f), json!({"pods": "5", "requests.cpu": "500m"}));
}

#[tokio::test]
async fn a_bound_amount_has_to_be_said() {
    let f = with_quota(json!({"hard": {"limits.cpu": "2"}}), json!({"limits.cpu": "0"}));
    let refused = f.run(create::<Pod>(pod_named("a", json!({})))).await.unwrap_err();
    assert_eq!(refused.message, "pods \"a\" is forbidden: failed quota: q: must specify limits.cpu for: c");
}

#[tokio::test]
async fn scopes_choose() {
    let f = with_quota(json!({"hard": {"pods": "0"}, "scopes": ["BestEffort"]}), json!({"pods": "0"}));
    f.run(create::<Pod>(pod_named("a", json!({"requests": {"cpu": "1"}})))).await.unwrap();
    let refused = f.run(create::<Pod>(pod_named("b", json!({})))).await.unwrap_err();
    assert!(refused.message.contains("exceeded quota: q"), "{}", refused.message);
}

#[tokio::test]
async fn a_change_counts_what_it_adds() {
    let f = with_quota(
        json!({"hard": {"services": "1", "services.nodeports": "1"}}),
        json!({"services": "1", "services.nodeports": "0"}),
    );
    let service = |kind: &str, ports: Value| json!({"metadata": {"name": "s", "namespace": "default"}, "spec": {"type": kind, "ports": ports}});
    let one = json!([{"port": 1}]);
    f.run(update::<Service>(service("ClusterIP", one.clone()), service("NodePort", one.clone())))
        .await
        .unwrap();
    assert_eq!(used(&f), json!({"services": "1", "services.nodeports": "1"}));
    let two = json!([{"port": 1}, {"port": 2}]);
    let refused = f
        .run(update::<Service>(service("NodePort", one.clone()), service("NodePort", two)))
        .await
        .unwrap_err();
    assert_eq!(
        refused.message,
        "services \"s\" is forbidden: exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=1, limited: services.nodeports=1"
    );
    // Giving back is always allowed.
    f.run(update::<Service>(service("NodePort", one.clone()), service("ClusterIP", one))).await.unwrap();
    assert_eq!(used(&f), json!({"services": "1", "services.nodeports": "0"}));
}

#[tokio::test]
async fn a_quota_that_nobody_counts_lets_nothing_through() {
    let f = fixture();
    f.api.insert(&object::<ResourceQuota>(json!({
        "metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": {"pods": "2"}},
    })));
    let run = f.run(create::<Pod>(pod_named("a", json!({}))));
    tokio::pin!(run);
    let refused = loop {
        tokio::select! {
            done = &mut run => break done.unwrap_err(),
            () = tokio::task::yield_now() => f.clock.advance(Duration::from_secs(1)),
        }
    };
    assert_eq!(refused.message, "pods \"a\" is forbidden: status unknown for quota: q, resources: pods");
}
