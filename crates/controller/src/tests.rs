//! The controllers end to end over an API in memory, fresh and stale. What a test waits for is a state of the API, never a time.

use std::sync::Arc;

use apimachinery::ObjectKey;
use client::fake::FakeApi;
use client::transport::Verb;
use client::{Api, DeleteOptions, Propagation};
use codec::Kind;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{
    ConfigMap, Event, Namespace, Node, Pod, PodCondition, ReplicationController, ServiceAccount,
};
use resources::Strategy as _;
use stdx::clock::SharedClock;
use stdx::{Random, SystemClock, Tasks};

use crate::context::{Component, Config};
use crate::replicas;

mod addresses;
mod jobs;
mod sets;

/// An API with some controllers running.
struct World {
    api: FakeApi,
    transport: Arc<dyn client::Transport>,
    clock: SharedClock,
    tasks: Tasks,
    config: Config,
}

impl World {
    fn new() -> Self {
        Self::with_clock(SystemClock::shared())
    }

    fn with_clock(clock: SharedClock) -> Self {
        let api = FakeApi::new(clock.clone());
        let config = Config { root_ca: "PEM".into(), ..Config::default() };
        World { transport: api.transport(), api, clock, tasks: Tasks::new(), config }
    }

    /// The same over TLS and HTTP, where every event comes a little late.
    async fn remote() -> Self {
        let mut world = World::new();
        let wire = world.api.serve(&world.tasks, std::time::Duration::from_millis(5)).await;
        world.transport = Arc::new(wire.transport(&world.tasks));
        world
    }

    async fn either(remote: bool) -> Self {
        if remote { World::remote().await } else { World::new() }
    }

    fn start(&self, start: fn(Component)) {
        start(Component {
            name: "test",
            transport: self.transport.clone(),
            views: self.transport.clone(),
            clock: self.clock.clone(),
            random: Random::seeded(1),
            tasks: self.tasks.clone(),
            config: Arc::new(self.config.clone()),
        });
    }

    fn running(starts: &[fn(Component)]) -> Self {
        let world = World::new();
        starts.iter().for_each(|start| world.start(*start));
        world
    }

    fn pods(&self) -> Vec<Pod> {
        self.api.all::<Pod>()
    }

    /// What a kubelet would do: every pod runs and is ready.
    fn make_ready(&self) {
        for pod in self.pods() {
            self.api.edit::<Pod>("default", pod.name(), ready);
        }
    }
}

fn ready(pod: &mut Pod) {
    pod.spec.get_or_insert_default().node_name = Some("node".into());
    let status = pod.status.get_or_insert_default();
    status.phase = Some("Running".into());
    status.conditions =
        Some(vec![PodCondition { type_: "Ready".into(), status: "True".into(), ..PodCondition::default() }]);
}

/// An object as YAML in a test, defaulted as the API would.
fn parse<K: Kind>(json: &str) -> K {
    K::from_json(json.as_bytes()).expect("an object")
}

fn replica_set(replicas: u32) -> ReplicaSet {
    parse(&format!(
        r#"{{"metadata":{{"name":"web","namespace":"default"}},"spec":{{"replicas":{replicas},
        "selector":{{"matchLabels":{{"app":"web"}}}},"template":{{"metadata":{{"labels":{{"app":"web"}}}},
        "spec":{{"containers":[{{"name":"c","image":"nginx"}}]}}}}}}}}"#
    ))
}

fn deployment(strategy: &str) -> Deployment {
    let mut deployment: Deployment = parse(&format!(
        r#"{{"metadata":{{"name":"web","namespace":"default"}},"spec":{{"replicas":3,
        "strategy":{{"type":"{strategy}"}},"selector":{{"matchLabels":{{"app":"web"}}}},
        "template":{{"metadata":{{"labels":{{"app":"web"}}}},"spec":{{"containers":[{{"name":"c","image":"v1"}}]}}}}}}}}"#
    ));
    resources::apps::deployment::Strategy.default(&mut deployment);
    deployment
}

fn available(api: &FakeApi) -> i32 {
    api.all::<ReplicaSet>().iter().filter_map(|rs| rs.status.as_ref()?.available_replicas).sum()
}

#[tokio::test]
async fn a_replica_set_makes_keeps_and_removes_pods() {
    check_replica_set(false).await;
}

#[tokio::test]
async fn a_replica_set_over_https() {
    check_replica_set(true).await;
}

async fn check_replica_set(remote: bool) {
    let world = World::either(remote).await;
    world.start(replicas::rs::start);
    world.api.insert(&replica_set(3));
    world.api.until(|api| api.all::<Pod>().len() == 3).await;
    world.make_ready();
    world.api.until(|api| available(api) == 3).await;
    let pods = world.pods();
    let owner = &pods[0].metadata.owner_references.as_ref().expect("owner")[0];
    assert_eq!(
        (owner.kind.as_str(), owner.controller, owner.block_owner_deletion),
        ("ReplicaSet", Some(true), Some(true))
    );
    assert!(pods[0].name().starts_with("web-"));

    world.api.remove::<Pod>("default", pods[0].name());
    world.api.until(|api| api.all::<Pod>().len() == 3).await;
    world.api.edit::<ReplicaSet>("default", "web", |rs| rs.spec.replicas = Some(1));
    world
        .api
        .until(|api| api.all::<Pod>().iter().filter(|p| p.metadata.deletion_timestamp.is_none()).count() == 1)
        .await;
    world
        .api
        .until(|api| api.all::<Event>().iter().any(|e| e.reason.as_deref() == Some("SuccessfulDelete")))
        .await;
    world.tasks.stop().await;
}

#[tokio::test]
async fn a_stale_view_makes_no_pod_twice() {
    let world = World::running(&[replicas::rs::start]);
    world.api.insert(&replica_set(0));
    world
        .api
        .until(|api| api.find::<ReplicaSet>("default", "web").is_some_and(|rs| rs.status.is_some()))
        .await;
    world.api.edit::<ReplicaSet>("default", "web", |rs| rs.spec.replicas = Some(5));
    world.api.until(|api| !api.all::<Pod>().is_empty()).await;
    world.api.hold_views();
    world.api.until(|api| api.all::<Pod>().len() == 5).await;
    // Wakes the controller while it cannot see its pods.
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    world.api.release_views();
    world
        .api
        .until(|api| {
            api.find::<ReplicaSet>("default", "web").and_then(|rs| rs.status).is_some_and(|s| s.replicas == 5)
        })
        .await;
    let created = world.api.log().iter().filter(|line| line.starts_with("create pods")).count();
    assert_eq!(created, 5);
    world.tasks.stop().await;
}

#[tokio::test]
async fn refused_pods_are_told_of_and_tried_again() {
    let world = World::running(&[replicas::rs::start]);
    world.api.react(|r| {
        let refused = r.verb == Verb::Create && *r.gvr.resource == *"pods";
        refused
            .then(|| Err(apimachinery::Status::forbidden(&r.gvr.group_resource(), "", "exceeded quota: q")))
    });
    world.api.insert(&replica_set(8));
    world
        .api
        .until(|api| {
            let status = api.find::<ReplicaSet>("default", "web").and_then(|rs| rs.status);
            let conditions = status.and_then(|s| s.conditions).unwrap_or_default();
            conditions.iter().any(|c| {
                c.reason.as_deref() == Some("FailedCreate")
                    && c.message.as_deref() == Some("pods is forbidden: exceeded quota: q")
            })
        })
        .await;
    world.api.clear_reactors();
    world
        .api
        .until(|api| {
            let status =
                api.find::<ReplicaSet>("default", "web").and_then(|rs| rs.status).unwrap_or_default();
            status.replicas == 8 && status.conditions.is_none()
        })
        .await;
    world.tasks.stop().await;
}

#[tokio::test]
async fn orphans_are_adopted_and_strangers_released() {
    let world = World::new();
    let orphan = r#"{"metadata":{"name":"orphan","namespace":"default","labels":{"app":"web"}},"spec":{"containers":[]}}"#;
    world.api.insert::<Pod>(&parse(orphan));
    world.api.insert(&replica_set(1));
    world.start(replicas::rs::start);
    let owned = |api: &FakeApi| {
        api.find::<Pod>("default", "orphan")
            .is_some_and(|p| p.metadata.owner_references.is_some_and(|o| o.len() == 1))
    };
    world.api.until(owned).await;
    assert_eq!(world.pods().len(), 1);
    world.api.edit::<Pod>("default", "orphan", |pod| pod.metadata.labels = None);
    world.api.until(|api| !owned(api) && api.all::<Pod>().len() == 2).await;
    world.tasks.stop().await;
}

#[tokio::test]
async fn a_replication_controller_is_the_same_engine() {
    let world = World::running(&[replicas::rc::start]);
    let rc = r#"{"metadata":{"name":"rc","namespace":"default"},"spec":{"replicas":2,"selector":{"app":"rc"},
        "template":{"metadata":{"labels":{"app":"rc"}},"spec":{"containers":[]}}}}"#;
    world.api.insert::<ReplicationController>(&parse(rc));
    world.api.until(|api| api.all::<Pod>().len() == 2).await;
    world
        .api
        .until(|api| {
            let status = api.find::<ReplicationController>("default", "rc").and_then(|rc| rc.status);
            status.is_some_and(|s| s.replicas == 2 && s.fully_labeled_replicas == Some(2))
        })
        .await;
    world.tasks.stop().await;
}

fn progress(api: &FakeApi) -> Option<String> {
    let status = api.find::<Deployment>("default", "web")?.status?;
    status.conditions?.into_iter().find(|c| c.type_.as_deref() == Some("Progressing"))?.reason
}

/// The pods become ready as they come, until the rollout is complete with `image`.
async fn roll_out(world: &World, image: &str) {
    loop {
        world.make_ready();
        let done = |api: &FakeApi| {
            let images: Vec<_> =
                api.all::<Pod>().into_iter().filter(|p| p.metadata.deletion_timestamp.is_none()).collect();
            progress(api).as_deref() == Some("NewReplicaSetAvailable")
                && images.len() == 3
                && images
                    .iter()
                    .all(|p| p.spec.as_ref().is_some_and(|s| s.containers[0].image.as_deref() == Some(image)))
        };
        if done(&world.api) {
            return;
        }
        // A kubelet's part: pods that are being deleted end.
        for pod in world.pods().iter().filter(|p| p.metadata.deletion_timestamp.is_some()) {
            world.api.remove::<Pod>("default", pod.name());
        }
        let unready = |api: &FakeApi| {
            api.all::<Pod>().iter().any(|p| p.status.is_none() || p.metadata.deletion_timestamp.is_some())
        };
        world.api.until(|api| done(api) || unready(api)).await;
    }
}

async fn check_rollout(strategy: &str, remote: bool) {
    let world = World::either(remote).await;
    world.start(replicas::rs::start);
    world.start(crate::deployment::start);
    world.api.insert(&deployment(strategy));
    roll_out(&world, "v1").await;
    let revision = |api: &FakeApi| {
        let deployment = api.find::<Deployment>("default", "web")?;
        deployment.metadata.annotations?.get("deployment.kubernetes.io/revision").cloned()
    };
    assert_eq!(revision(&world.api).as_deref(), Some("1"));
    for (image, number, sets) in [("v2", "2", 2), ("v1", "3", 2)] {
        world.api.edit::<Deployment>("default", "web", |d| {
            d.metadata.generation = d.metadata.generation.map(|g| g + 1);
            if let Some(spec) = &mut d.spec.template.spec {
                spec.containers[0].image = Some(image.into());
            }
        });
        roll_out(&world, image).await;
        world.api.until(|api| revision(api).as_deref() == Some(number)).await;
        assert_eq!(world.api.all::<ReplicaSet>().len(), sets, "rolling back uses the old set");
    }
    world.tasks.stop().await;
}

#[tokio::test]
async fn a_rolling_update_there_and_back() {
    check_rollout("RollingUpdate", false).await;
}

#[tokio::test]
async fn a_rolling_update_over_https() {
    check_rollout("RollingUpdate", true).await;
}

#[tokio::test]
async fn a_recreating_update_there_and_back() {
    check_rollout("Recreate", false).await;
}

#[tokio::test]
async fn namespaces_get_accounts_and_the_root_ca() {
    let world = World::running(&[
        crate::namespace::bootstrap::start,
        crate::service_account::start,
        crate::root_ca::start,
    ]);
    world.api.until(|api| api.all::<Namespace>().len() == 4).await;
    for namespace in world.api.all::<Namespace>() {
        // The API's part.
        world.api.edit::<Namespace>("", namespace.name(), |n| {
            n.status.get_or_insert_default().phase = Some("Active".into());
        });
    }
    world.api.until(|api| api.all::<ServiceAccount>().len() == 4 && api.all::<ConfigMap>().len() == 4).await;
    world.api.remove::<ServiceAccount>("kube-system", "default");
    world.api.until(|api| api.find::<ServiceAccount>("kube-system", "default").is_some()).await;
    world.tasks.stop().await;
}

#[tokio::test]
async fn a_namespace_is_emptied_before_it_goes() {
    let world = World::running(&[crate::namespace::start]);
    let namespace =
        r#"{"metadata":{"name":"a"},"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}}"#;
    world.api.insert::<Namespace>(&parse(namespace));
    world
        .api
        .insert::<ConfigMap>(&parse(r#"{"metadata":{"name":"m","namespace":"a","finalizers":["x/y"]}}"#));
    world.api.insert::<ConfigMap>(&parse(r#"{"metadata":{"name":"other","namespace":"b"}}"#));
    world.api.insert::<Pod>(&parse(r#"{"metadata":{"name":"p","namespace":"a"},"spec":{"containers":[]}}"#));
    let api = Api::<Namespace>::new(world.api.transport());
    api.delete("", "a", &DeleteOptions::default()).await.expect("delete");
    let says = |api: &FakeApi, text: &str| {
        let status = api.find::<Namespace>("", "a").and_then(|n| n.status).unwrap_or_default();
        status.conditions.iter().flatten().any(|c| c.message.as_deref() == Some(text))
    };
    world
        .api
        .until(|api| {
            says(api, "Some content in the namespace has finalizers remaining: x/y in 1 resource instances")
        })
        .await;
    assert!(says(&world.api, "Some resources are remaining: configmaps. has 1 resource instances"));
    assert!(world.pods().is_empty());
    world.api.edit::<ConfigMap>("a", "m", |map| map.metadata.finalizers = None);
    world.api.until(|api| api.find::<Namespace>("", "a").is_none()).await;
    assert!(world.api.find::<ConfigMap>("b", "other").is_some());
    world.tasks.stop().await;
}

/// A deployment's family under the garbage collector: what remains of it after a deletion.
async fn check_garbage(propagation: Propagation, goes: bool, remote: bool) {
    let world = World::either(remote).await;
    let owner = world.api.insert(&replica_set(1));
    let mut pod: Pod = parse(r#"{"metadata":{"name":"p","namespace":"default"},"spec":{"containers":[]}}"#);
    pod.metadata.owner_references = Some(vec![resources::owner::controller_ref(&owner)]);
    world.api.insert(&pod);
    world.start(crate::garbage::start);
    let api = Api::<ReplicaSet>::new(world.api.transport());
    let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
    api.delete("default", "web", &options).await.expect("delete");
    world
        .api
        .until(|api| {
            let free = api
                .find::<Pod>("default", "p")
                .is_some_and(|p| p.metadata.owner_references.is_none_or(|owners| owners.is_empty()));
            api.all::<ReplicaSet>().is_empty() && if goes { api.all::<Pod>().is_empty() } else { free }
        })
        .await;
    if propagation == Propagation::Foreground {
        let log = world.api.log();
        let at = |text: &str| log.iter().position(|line| line.starts_with(text));
        assert!(at("delete pods") < at("patch replicasets"), "{log:?}");
    }
    world.tasks.stop().await;
}

#[tokio::test]
async fn dependents_go_in_the_background() {
    check_garbage(Propagation::Background, true, false).await;
}

#[tokio::test]
async fn dependents_go_first_in_the_foreground() {
    check_garbage(Propagation::Foreground, true, false).await;
}

#[tokio::test]
async fn dependents_stay_as_orphans() {
    check_garbage(Propagation::Orphan, false, false).await;
}

#[tokio::test]
async fn garbage_is_collected_over_https() {
    check_garbage(Propagation::Background, true, true).await;
    check_garbage(Propagation::Foreground, true, true).await;
    check_garbage(Propagation::Orphan, false, true).await;
}

#[tokio::test]
async fn an_owner_that_never_was_keeps_nothing() {
    let world = World::running(&[crate::garbage::start]);
    let map = r#"{"metadata":{"name":"m","namespace":"default","ownerReferences":[{"apiVersion":"v1","kind":"Pod",
        "name":"x","uid":"gone"}]}}"#;
    world.api.insert::<ConfigMap>(&parse(map));
    world.api.until(|api| api.all::<ConfigMap>().is_empty()).await;
    world.tasks.stop().await;
}

#[tokio::test]
async fn a_silent_node_is_unknown_and_pods_get_ranges() {
    let mut world = World::new();
    world.config.node_monitor_grace = std::time::Duration::from_millis(50);
    world.config.cluster_cidrs = vec!["10.42.0.0/16".into()];
    let node = r#"{"metadata":{"name":"n"},"status":{"conditions":[{"type":"Ready","status":"True"}]}}"#;
    world.api.insert::<Node>(&parse(node));
    world.start(crate::node::ipam::start);
    world.start(crate::node::lifecycle::start);
    world
        .api
        .until(|api| {
            let node = api.find::<Node>("", "n").unwrap_or_default();
            let spec = node.spec.clone().unwrap_or_default();
            let taints: Vec<_> =
                spec.taints.iter().flatten().map(|t| (t.key.as_str(), t.effect.as_str())).collect();
            // The only node: whatever is wrong, its pods are not driven away.
            taints == [("node.kubernetes.io/unreachable", "NoSchedule")]
                && spec.pod_cidr.as_deref() == Some("10.42.0.0/24")
        })
        .await;
    world.tasks.stop().await;
}

#[tokio::test]
async fn pods_that_no_kubelet_will_confirm_are_removed() {
    let world = World::running(&[crate::pod_gc::start]);
    let pod = r#"{"metadata":{"name":"p","namespace":"default","deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{"containers":[]}}"#;
    world.api.insert::<Pod>(&parse(pod));
    world.api.until(|api| api.all::<Pod>().is_empty()).await;
    world.tasks.stop().await;
}

#[tokio::test]
async fn the_service_kubernetes_is_kept() {
    use k8s_openapi::api::core::v1::{Endpoints, Service};
    use k8s_openapi::api::discovery::v1::EndpointSlice;
    let world = World::new();
    let advertise = std::net::SocketAddr::from(([10, 0, 0, 1], 6443));
    crate::kubernetes_service::start(
        world.api.transport(),
        SystemClock::shared(),
        &world.tasks,
        "10.43.0.1",
        advertise,
    );
    let complete = |api: &FakeApi| {
        api.find::<Service>("default", "kubernetes").is_some()
            && api.find::<EndpointSlice>("default", "kubernetes").is_some()
            && api.find::<Endpoints>("default", "kubernetes").is_some_and(|e| e.subsets.is_some())
    };
    world.api.until(complete).await;
    world.api.edit::<Endpoints>("default", "kubernetes", |e| e.subsets = None);
    world.api.until(complete).await;
    world.api.remove::<Service>("default", "kubernetes");
    world.api.until(complete).await;
    let key = ObjectKey::new("default", "kubernetes");
    assert!(Api::<Service>::new(world.api.transport()).find(&key).await.expect("an answer").is_some());
    world.tasks.stop().await;
}
