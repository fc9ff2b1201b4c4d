use std::sync::Arc;

use client::fake::FakeApi;
use codec::Kind;
use k8s_openapi::api::core::v1::{Event, Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use resources::core::persistent_volume::matching;
use resources::prelude::*;
use stdx::{Random, SystemClock, Tasks};

use super::*;
use crate::context::{Component, Config};

struct World {
    api: FakeApi,
    tasks: Tasks,
}

fn world(starts: &[fn(Component)]) -> World {
    let (api, tasks) = (FakeApi::new(SystemClock::shared()), Tasks::new());
    for start in starts {
        start(Component {
            name: "test",
            transport: api.transport(),
            views: api.transport(),
            clock: SystemClock::shared(),
            random: Random::seeded(1),
            tasks: tasks.clone(),
            config: Arc::new(Config::default()),
        });
    }
    World { api, tasks }
}

fn object<K: Kind>(json: &str) -> K {
    K::from_json(json.as_bytes()).unwrap()
}

fn volume(name: &str, size: &str, more: &str) -> PersistentVolume {
    object(&format!(
        r#"{{"metadata": {{"name": "{name}"}}, "spec": {{"capacity": {{"storage": "{size}"}}, "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem", "hostPath": {{"path": "/x"}}{more}}}}}"#
    ))
}

fn claim(name: &str, size: &str, more: &str) -> PersistentVolumeClaim {
    object(&format!(
        r#"{{"metadata": {{"name": "{name}", "namespace": "a"}}, "spec": {{"accessModes": ["ReadWriteOnce"], "volumeMode": "Filesystem",
        "resources": {{"requests": {{"storage": "{size}"}}}}{more}}}, "status": {{"phase": "Pending"}}}}"#
    ))
}

fn volume_of(api: &FakeApi, claim: &str) -> Option<String> {
    let claim = api.find::<PersistentVolumeClaim>("a", claim).filter(|c| c.phase() == "Bound")?;
    claim.volume_name().map(str::to_owned)
}

fn phase(api: &FakeApi, volume: &str) -> String {
    api.find::<PersistentVolume>("", volume).map(|v| v.phase().to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn the_smallest_that_will_do() {
    let World { api, tasks } = world(&[binder::start]);
    api.insert(&volume("big", "10Gi", ""));
    api.insert(&volume("small", "1Gi", ""));
    api.insert(&volume("middle", "5Gi", ""));
    api.insert(&volume("classy", "3Gi", r#", "storageClassName": "gold""#));
    api.until(|api| phase(api, "classy") == "Available").await;
    api.insert(&claim("c", "2Gi", ""));
    api.until(|api| volume_of(api, "c").as_deref() == Some("middle")).await;
    assert_eq!(phase(&api, "middle"), "Bound");
    let bound = api.find::<PersistentVolumeClaim>("a", "c").unwrap();
    assert_eq!(bound.status.unwrap().capacity.unwrap()["storage"].0, "5Gi");
    // The claim goes: its volume is kept as it is, for nobody.
    api.remove::<PersistentVolumeClaim>("a", "c");
    api.until(|api| phase(api, "middle") == "Released").await;
    tasks.stop().await;
}

#[tokio::test]
async fn reserved_by_either_side() {
    let World { api, tasks } = world(&[binder::start]);
    api.insert(&volume("mine", "9Gi", r#", "claimRef": {"namespace": "a", "name": "c"}"#));
    api.insert(&volume("other", "1Gi", ""));
    api.insert(&claim("c", "1Gi", ""));
    api.insert(&claim("d", "1Gi", r#", "volumeName": "other""#));
    api.until(|api| volume_of(api, "c").as_deref() == Some("mine")).await;
    api.until(|api| volume_of(api, "d").as_deref() == Some("other")).await;
    api.remove::<PersistentVolume>("", "other");
    api.until(|api| api.find::<PersistentVolumeClaim>("a", "d").is_some_and(|c| c.phase() == "Lost")).await;
    tasks.stop().await;
}

#[tokio::test]
async fn waiting_for_the_first_consumer() {
    let World { api, tasks } = world(&[binder::start]);
    api.insert(&object::<StorageClass>(
        r#"{"metadata": {"name": "local"}, "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}"#,
    ));
    for node in ["n1", "n2"] {
        api.insert(&object::<Node>(&format!(
            r#"{{"metadata": {{"name": "{node}", "labels": {{"host": "{node}"}}}}}}"#
        )));
        let on = format!(
            r#", "storageClassName": "local", "nodeAffinity": {{"required": {{"nodeSelectorTerms": [{{"matchExpressions": [
            {{"key": "host", "operator": "In", "values": ["{node}"]}}]}}]}}}}"#
        );
        api.insert(&volume(&format!("on-{node}"), "1Gi", &on));
    }
    api.insert(&claim("c", "1Gi", r#", "storageClassName": "local""#));
    api.until(|api| api.all::<Event>().iter().any(|e| e.reason.as_deref() == Some("WaitForFirstConsumer")))
        .await;
    assert_eq!(volume_of(&api, "c"), None);
    api.insert(&object::<Pod>(
        r#"{"metadata": {"name": "p", "namespace": "a"}, "spec": {"nodeName": "n2", "containers": [{"name": "c"}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}}"#,
    ));
    api.until(|api| volume_of(api, "c").as_deref() == Some("on-n2")).await;
    tasks.stop().await;
}

#[tokio::test]
async fn what_is_used_is_kept() {
    let World { api, tasks } = world(&[protection::start_claims, protection::start_volumes]);
    let mut kept = claim("c", "1Gi", "");
    kept.metadata.finalizers = Some(vec!["kubernetes.io/pvc-protection".into()]);
    api.insert(&kept);
    let mut bound = volume("v", "1Gi", "");
    bound.metadata.finalizers = Some(vec!["kubernetes.io/pv-protection".into()]);
    bound.status.get_or_insert_default().phase = Some("Bound".into());
    api.insert(&bound);
    api.insert(&object::<Pod>(
        r#"{"metadata": {"name": "p", "namespace": "a"}, "spec": {"nodeName": "n", "containers": [{"name": "c"}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}}"#,
    ));
    let transport = api.transport();
    let gone = client::DeleteOptions::default();
    client::Api::<PersistentVolumeClaim>::new(transport.clone()).delete("a", "c", &gone).await.unwrap();
    client::Api::<PersistentVolume>::new(transport).delete("", "v", &gone).await.unwrap();
    assert!(api.find::<PersistentVolumeClaim>("a", "c").is_some());
    api.remove::<Pod>("a", "p");
    api.until(|api| api.find::<PersistentVolumeClaim>("a", "c").is_none()).await;
    api.edit::<PersistentVolume>("", "v", |v| {
        v.status.get_or_insert_default().phase = Some("Released".into())
    });
    api.until(|api| api.find::<PersistentVolume>("", "v").is_none()).await;
    tasks.stop().await;
}

#[test]
fn choices() {
    let want = claim("c", "1Gi", r#", "selector": {"matchLabels": {"tier": "fast"}}"#);
    let plain = volume("plain", "1Gi", "");
    let mut fast = volume("fast", "2Gi", "");
    fast.metadata.labels = Some([("tier".to_owned(), "fast".to_owned())].into());
    let all = [plain, fast.clone()];
    assert_eq!(matching::choose(&want, &all, None).map(Kind::name), Some("fast"));
    let mut shared = claim("c", "1Gi", "");
    shared.spec.as_mut().unwrap().access_modes = Some(vec!["ReadWriteMany".into()]);
    assert_eq!(matching::choose(&shared, &all, None).map(Kind::name), None);
    fast.spec.as_mut().unwrap().volume_mode = Some("Block".into());
    assert_eq!(matching::choose(&want, [&fast], None), None);
}
