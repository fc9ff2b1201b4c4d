use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;

use crate::testing::World;

fn node(w: &World) -> Option<Node> {
    w.api.find::<Node>("", "n1")
}

fn ready(w: &World) -> String {
    let conditions = node(w).and_then(|n| n.status).and_then(|s| s.conditions).unwrap_or_default();
    let ready = conditions.into_iter().find(|c| c.type_ == "Ready");
    ready
        .map(|c| format!("{} {}: {}", c.status, c.reason.unwrap_or_default(), c.message.unwrap_or_default()))
        .unwrap_or_default()
}

const READY: &str = "True KubeletReady: kubelet is posting ready status";

#[tokio::test]
async fn a_node_is_registered_and_comes_back_when_deleted() {
    let w = World::new().await;
    w.until("ready", |w| ready(w) == READY).await;
    let n = node(&w).unwrap();
    let label = |key: &str| n.metadata.labels.as_ref().unwrap().get(key).cloned().unwrap_or_default();
    assert_eq!(
        (label("kubernetes.io/hostname").as_str(), label("kubernetes.io/os").as_str()),
        ("n1", "linux")
    );
    let status = n.status.unwrap();
    let info = status.node_info.unwrap();
    assert_eq!(info.kubelet_version, "v1.37.0+knarr");
    assert_eq!(info.container_runtime_version, "knarr://0.1.0");
    assert_eq!(status.capacity.unwrap()["pods"].0, "110");
    let addresses: Vec<_> =
        status.addresses.unwrap().into_iter().map(|a| format!("{}={}", a.type_, a.address)).collect();
    assert_eq!(addresses, ["InternalIP=192.0.2.1", "Hostname=n1"]);
    let lease = |w: &World| {
        w.api.find::<Lease>("kube-node-lease", "n1").and_then(|l| l.spec).and_then(|s| s.renew_time)
    };
    w.until("a lease", |w| lease(w).is_some()).await;
    let first = lease(&w);
    w.until("renewed", |w| lease(w) > first).await;
    let uid = n.metadata.uid;
    w.api.remove::<Node>("", "n1");
    w.until("registered again", |w| node(w).is_some_and(|n| n.metadata.uid != uid) && ready(w) == READY)
        .await;
}

#[tokio::test]
async fn a_broken_runtime_shows() {
    let w = World::new().await;
    w.until("ready", |w| ready(w) == READY).await;
    w.runtime.set_condition("NetworkReady", false, "NetworkPluginNotReady", "no addresses");
    let expected = "False KubeletNotReady: container runtime network not ready: NetworkReady=false \
        reason:NetworkPluginNotReady message:no addresses";
    w.until("not ready", |w| ready(w) == expected).await;
    w.runtime.set_condition("NetworkReady", true, "", "");
    w.until("ready", |w| ready(w) == READY).await;
}

#[tokio::test]
async fn the_runtime_learns_its_addresses() {
    let w = World::new().await;
    w.until("registered", |w| node(w).is_some()).await;
    w.api.edit("", "n1", |n: &mut Node| {
        n.spec.get_or_insert_default().pod_cidrs = Some(vec!["10.42.0.0/24".into()]);
    });
    w.until("told", |w| w.runtime.take_journal().contains(&"update_runtime_config 10.42.0.0/24".to_owned()))
        .await;
}

#[tokio::test]
async fn a_quiet_node_is_written_seldom() {
    let w = World::new().await;
    w.until("ready", |w| ready(w) == READY).await;
    w.api.clear_log();
    let begun = stdx::Clock::now(&*w.clock.shared());
    w.until("two minutes", |w| stdx::Clock::now(&*w.clock.shared()).duration_since(begun).as_secs() > 120)
        .await;
    let writes = w.api.log().iter().filter(|l| l.contains("nodes")).count();
    assert!(writes <= 1, "{:?}", w.api.log());
}
