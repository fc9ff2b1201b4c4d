use std::sync::Arc;
use std::time::Duration;

use client::fake::FakeApi;
use codec::Kind;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ResourceQuota, Service};
use resources::quantity::Amounts;
use stdx::{Random, Tasks};
use testkit::FakeClock;

use super::*;
use crate::context::Config;

struct World {
    api: FakeApi,
    clock: FakeClock,
    tasks: Tasks,
}

fn world() -> World {
    let clock = FakeClock::new();
    let (api, tasks) = (FakeApi::new(clock.shared()), Tasks::new());
    start(Component {
        name: "test",
        transport: api.transport(),
        views: api.transport(),
        clock: clock.shared(),
        random: Random::seeded(1),
        tasks: tasks.clone(),
        config: Arc::new(Config::default()),
    });
    World { api, clock, tasks }
}

fn object<K: Kind>(json: &str) -> K {
    K::from_json(json.as_bytes()).unwrap()
}

fn pod(name: &str) -> Pod {
    object(&format!(
        r#"{{"metadata": {{"name": "{name}", "namespace": "a"}}, "spec": {{"containers": [
        {{"name": "c", "resources": {{"requests": {{"cpu": "100m"}}}}}}]}}}}"#
    ))
}

fn quota(hard: &str) -> ResourceQuota {
    object(&format!(r#"{{"metadata": {{"name": "q", "namespace": "a"}}, "spec": {{"hard": {hard}}}}}"#))
}

fn used(api: &FakeApi) -> String {
    let status = api.find::<ResourceQuota>("a", "q").and_then(|q| q.status).unwrap_or_default();
    Amounts::of(status.used.as_ref()).0.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_new_quota_is_counted() {
    let World { api, tasks, .. } = world();
    for name in ["x", "y"] {
        api.insert(&pod(name));
    }
    api.insert(&object::<ConfigMap>(r#"{"metadata": {"name": "m", "namespace": "a"}}"#));
    api.insert(&object::<ConfigMap>(r#"{"metadata": {"name": "m", "namespace": "b"}}"#));
    api.insert(&object::<Service>(
        r#"{"metadata": {"name": "s", "namespace": "a"}, "spec": {"type": "NodePort", "ports": [{"port": 1}]}}"#,
    ));
    let hard = r#"{"pods": "5", "requests.cpu": "1", "configmaps": "9", "count/configmaps": "9", "services.nodeports": "2", "count/deployments.apps": "1", "requests.memory": "1Gi"}"#;
    api.insert(&quota(hard));
    let want = "configmaps=1 count/configmaps=1 count/deployments.apps=0 pods=2 requests.cpu=200m requests.memory=0 services.nodeports=1";
    api.until(|api| used(api) == want).await;
    tasks.stop().await;
}

#[tokio::test]
async fn what_is_gone_is_taken_back_but_not_what_is_on_its_way() {
    let World { api, clock, tasks } = world();
    api.insert(&pod("x"));
    api.insert(&pod("y"));
    api.insert(&quota(r#"{"pods": "5"}"#));
    api.until(|api| used(api) == "pods=2").await;
    // Admission notes a third pod that is not there yet.
    api.edit::<ResourceQuota>("a", "q", |q| {
        let status = q.status.get_or_insert_default();
        status.used = Some(
            [("pods".to_owned(), k8s_openapi::apimachinery::pkg::api::resource::Quantity("3".into()))].into(),
        );
    });
    clock.advance(SETTLED / 2);
    api.insert(&pod("z"));
    api.remove::<Pod>("a", "x");
    while used(&api) != "pods=2" {
        clock.advance(Duration::from_millis(100));
        tokio::task::yield_now().await;
    }
    tasks.stop().await;
}

#[test]
fn lowering() {
    let status = |pods: &str| ResourceQuotaStatus {
        used: Some(
            [("pods".to_owned(), k8s_openapi::apimachinery::pkg::api::resource::Quantity(pods.into()))]
                .into(),
        ),
        hard: None,
    };
    assert!(lowers(&status("2"), &status("1")));
    assert!(!lowers(&status("1"), &status("2")) && !lowers(&status("1"), &status("1")));
    assert!(!lowers(&ResourceQuotaStatus::default(), &status("1")));
}
