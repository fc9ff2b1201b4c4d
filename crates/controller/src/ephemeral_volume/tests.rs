use std::sync::Arc;

use client::fake::FakeApi;
use k8s_openapi::api::core::v1::Event;
use stdx::{Random, SystemClock, Tasks};

use super::*;
use crate::context::Config;

fn pod(name: &str, uid: &str) -> Pod {
    let json = format!(
        r#"{{"metadata": {{"name": "{name}", "namespace": "a", "uid": "{uid}"}}, "spec": {{"containers": [{{"name": "c"}}],
        "volumes": [{{"name": "tmp", "emptyDir": {{}}}}, {{"name": "scratch", "ephemeral": {{"volumeClaimTemplate": {{
            "metadata": {{"labels": {{"kind": "scratch"}}}},
            "spec": {{"accessModes": ["ReadWriteOnce"], "resources": {{"requests": {{"storage": "1Gi"}}}}}}}}}}}}]}}}}"#
    );
    Pod::from_json(json.as_bytes()).unwrap()
}

fn claim(api: &FakeApi, name: &str) -> Option<PersistentVolumeClaim> {
    api.find::<PersistentVolumeClaim>("a", name)
}

#[tokio::test]
async fn made_once_and_made_again() {
    let (api, tasks) = (FakeApi::new(SystemClock::shared()), Tasks::new());
    start(Component {
        name: "test",
        transport: api.transport(),
        views: api.transport(),
        clock: SystemClock::shared(),
        random: Random::seeded(1),
        tasks: tasks.clone(),
        config: Arc::new(Config::default()),
    });
    api.insert(&pod("p", "u1"));
    api.until(|api| claim(api, "p-scratch").is_some()).await;
    let made = claim(&api, "p-scratch").unwrap();
    assert_eq!(made.metadata.labels.as_ref().unwrap()["kind"], "scratch");
    let owner = &made.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!((&*owner.kind, &*owner.uid, owner.controller), ("Pod", "u1", Some(true)));
    assert_eq!(api.all::<PersistentVolumeClaim>().len(), 1);
    // Somebody deletes it while the pod waits for it.
    api.remove::<PersistentVolumeClaim>("a", "p-scratch");
    api.until(|api| claim(api, "p-scratch").is_some()).await;
    // A claim of that name which is not the pod's is never used for it.
    let foreign = PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some("q-scratch".into()),
            namespace: Some("a".into()),
            ..ObjectMeta::default()
        },
        ..PersistentVolumeClaim::default()
    };
    api.insert(&foreign);
    api.insert(&pod("q", "u2"));
    api.until(|api| api.all::<Event>().iter().any(|e| e.reason.as_deref() == Some("FailedBinding"))).await;
    assert!(claim(&api, "q-scratch").unwrap().metadata.owner_references.is_none());
    tasks.stop().await;
}
