//! LimitRanger.

use k8s_openapi::api::core::v1::{LimitRange, PersistentVolumeClaim};

use super::*;

fn with_range(limits: Value) -> Fixture {
    let f = fixture();
    f.api.insert(&object::<LimitRange>(json!({
        "metadata": {"name": "r", "namespace": "default"}, "spec": {"limits": limits}
    })));
    f
}

fn pod_with(resources: Value) -> Value {
    json!({"metadata": {"name": "p", "namespace": "default"},
        "spec": {"containers": [{"name": "c", "resources": resources}]}})
}

async fn refusal(f: &Fixture, object: Value) -> String {
    f.run(create::<Pod>(object)).await.unwrap_err().message
}

#[tokio::test]
async fn defaults_are_filled_in_and_noted() {
    let f = with_range(
        json!([{"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"}}]),
    );
    let pod = f
        .run(create::<Pod>(pod_with(json!({"limits": {"cpu": "2"}, "requests": {"cpu": "2"}}))))
        .await
        .unwrap()
        .unwrap();
    let annotation = pod.metadata.annotations.clone().unwrap_or_default();
    assert_eq!(
        annotation.get("kubernetes.io/limit-ranger").map(String::as_str),
        Some("LimitRanger plugin set: memory limit for container c")
    );
    let pod = f.run(create::<Pod>(pod_with(json!({})))).await.unwrap().unwrap();
    let resources = serde_json::to_value(&pod.spec.unwrap().containers[0].resources).unwrap();
    assert_eq!(resources, json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}}));
}

#[tokio::test]
async fn bounds() {
    let f = with_range(
        json!([{"type": "Container", "min": {"cpu": "100m"}, "max": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "2"}}]),
    );
    let asks = |request: &str, limit: &str| {
        pod_with(json!({"requests": {"cpu": request}, "limits": {"cpu": limit}}))
    };
    assert!(f.run(create::<Pod>(asks("500m", "1"))).await.is_ok());
    assert_eq!(
        refusal(&f, asks("50m", "80m")).await,
        "pods \"p\" is forbidden: minimum cpu usage per Container is 100m, but request is 50m"
    );
    assert_eq!(
        refusal(&f, asks("1", "1500m")).await,
        "pods \"p\" is forbidden: maximum cpu usage per Container is 1, but limit is 1500m"
    );
    assert_eq!(
        refusal(&f, asks("200m", "1")).await,
        "pods \"p\" is forbidden: cpu max limit to request ratio per Container is 2, but provided ratio is 5.000000"
    );
    assert_eq!(
        refusal(&f, pod_with(json!({}))).await,
        "pods \"p\" is forbidden: [minimum cpu usage per Container is 100m.  No request is specified, \
         maximum cpu usage per Container is 1.  No limit is specified, cpu max limit to request ratio per Container is 2, \
         but no request is specified or request is 0]"
    );
}

#[tokio::test]
async fn whole_pods_and_claims() {
    let f = with_range(json!([
        {"type": "Pod", "max": {"memory": "1Gi"}},
        {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}},
    ]));
    let half = json!({"limits": {"memory": "600Mi"}, "requests": {"memory": "600Mi"}});
    let mut two = pod_with(json!({}));
    two["spec"]["containers"] = json!([{"name": "c", "resources": half}, {"name": "d", "resources": half}]);
    assert_eq!(
        refusal(&f, two).await,
        "pods \"p\" is forbidden: maximum memory usage per Pod is 1Gi, but limit is 1200Mi"
    );
    let claim = |size: &str| {
        create::<PersistentVolumeClaim>(json!({"metadata": {"name": "c", "namespace": "default"},
        "spec": {"resources": {"requests": {"storage": size}}}}))
    };
    assert!(f.run(claim("1Gi")).await.is_ok());
    assert_eq!(
        f.run(claim("3Gi")).await.unwrap_err().message,
        "persistentvolumeclaims \"c\" is forbidden: maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"
    );
    assert_eq!(
        f.run(claim("1Mi")).await.unwrap_err().message,
        "persistentvolumeclaims \"c\" is forbidden: minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi"
    );
}
