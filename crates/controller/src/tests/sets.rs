//! Daemon sets, stateful sets and disruption budgets, over an API in memory.

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, StatefulSet};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use resources::core::pod::PodExt;
use resources::owner::{ObjectMetaExt, controller_ref};

use super::*;

/// A kubelet has something to do with the pod.
fn waits(pod: &Pod) -> bool {
    pod.metadata.is_deleting() || pod.phase().is_empty()
}

/// Plays scheduler and kubelet until `done`: new pods run and are ready, pods that are being deleted go.
async fn drive(world: &World, done: impl Fn(&FakeApi) -> bool) {
    loop {
        for pod in world.pods().iter().filter(|pod| waits(pod)) {
            if pod.metadata.is_deleting() {
                world.api.remove::<Pod>("default", pod.name());
                continue;
            }
            let node = crate::daemon_set::nodes::target(pod).unwrap_or("n1").to_owned();
            world.api.edit::<Pod>("default", pod.name(), |pod| {
                ready(pod);
                pod.spec.get_or_insert_default().node_name = Some(node);
            });
        }
        if done(&world.api) {
            return;
        }
        world.api.until(|api| done(api) || api.all::<Pod>().iter().any(waits)).await;
    }
}

fn image(pod: &Pod) -> &str {
    pod.pod_spec().containers[0].image.as_deref().unwrap_or_default()
}

fn live(api: &FakeApi) -> Vec<Pod> {
    api.all::<Pod>().into_iter().filter(|pod| !pod.metadata.is_deleting()).collect()
}

/// What was asked for pods, in order: `create web-0`, `delete web-1`.
fn asked(world: &World, verb: &str) -> Vec<String> {
    let prefix = format!("{verb} pods default/");
    let log = world.api.log();
    log.iter().filter_map(|line| line.strip_prefix(&*prefix)).map(str::to_owned).collect()
}

fn set_json(kind: &str) -> String {
    format!(
        r#"{{"metadata":{{"name":"web","namespace":"default"}},"spec":{{{kind}"selector":{{"matchLabels":{{"app":"web"}}}},
        "template":{{"metadata":{{"labels":{{"app":"web"}}}},"spec":{{"containers":[{{"name":"c","image":"v1"}}]}}}}}}}}"#
    )
}

fn daemon_set() -> DaemonSet {
    let mut set: DaemonSet = parse(&set_json(""));
    resources::apps::daemon_set::Strategy.default(&mut set);
    resources::apps::daemon_set::Strategy.prepare_create(&mut set);
    set
}

fn node(name: &str) -> Node {
    parse(&format!(r#"{{"metadata":{{"name":"{name}"}}}}"#))
}

async fn check_daemon_set(remote: bool) {
    let world = World::either(remote).await;
    world.start(crate::daemon_set::start);
    world.api.insert(&node("n1"));
    world.api.insert(&node("n2"));
    world.api.insert(&daemon_set());
    let runs = |api: &FakeApi, wanted: &str, nodes: i32| {
        let status = api.find::<DaemonSet>("default", "web").and_then(|s| s.status).unwrap_or_default();
        let counts = [status.number_available, status.updated_number_scheduled];
        let generation = api.find::<DaemonSet>("default", "web").and_then(|s| s.metadata.generation);
        status.desired_number_scheduled == nodes
            && status.observed_generation == generation
            && counts == [Some(nodes); 2]
            && live(api).len() == nodes as usize
            && live(api).iter().all(|pod| image(pod) == wanted)
    };
    drive(&world, |api| runs(api, "v1", 2)).await;
    let mut nodes: Vec<_> =
        live(&world.api).iter().filter_map(|p| p.node_name().map(str::to_owned)).collect();
    nodes.sort();
    assert_eq!(nodes, ["n1", "n2"]);

    world.api.insert(&node("n3"));
    drive(&world, |api| runs(api, "v1", 3)).await;

    for (wanted, newest) in [("v2", 2), ("v1", 3)] {
        world.api.edit::<DaemonSet>("default", "web", |set| {
            set.metadata.generation = set.metadata.generation.map(|g| g + 1);
            set.spec.template.spec.get_or_insert_default().containers[0].image = Some(wanted.into());
        });
        drive(&world, |api| runs(api, wanted, 3)).await;
        let revisions = world.api.all::<ControllerRevision>();
        assert_eq!(revisions.len(), 2, "going back uses the old revision");
        assert_eq!(revisions.iter().filter_map(|r| r.revision).max(), Some(newest));
    }

    let failed = live(&world.api)[0].name().to_owned();
    world.api.edit::<Pod>("default", &failed, |pod| {
        pod.status.get_or_insert_default().phase = Some("Failed".into());
    });
    drive(&world, |api| runs(api, "v1", 3) && api.find::<Pod>("default", &failed).is_none()).await;
    world.tasks.stop().await;
}

#[tokio::test]
async fn a_daemon_set_is_on_every_node() {
    check_daemon_set(false).await;
}

#[tokio::test]
async fn a_daemon_set_over_https() {
    check_daemon_set(true).await;
}

fn stateful_set(spec: &str) -> StatefulSet {
    let mut set: StatefulSet = parse(&set_json(spec));
    resources::apps::stateful_set::Strategy.default(&mut set);
    set
}

/// All wanted pods, and no others, are ready and of the present template.
fn complete(api: &FakeApi, wanted: i32) -> bool {
    let Some(set) = api.find::<StatefulSet>("default", "web") else { return false };
    let status = set.status.unwrap_or_default();
    status.observed_generation == set.metadata.generation
        && status.replicas == wanted
        && status.available_replicas == Some(wanted)
        && status.update_revision == status.current_revision
        && api.all::<Pod>().len() == wanted as usize
}

async fn check_stateful_set(remote: bool) {
    let world = World::either(remote).await;
    world.start(crate::stateful_set::start);
    world.api.insert(&stateful_set(r#""replicas":3,"serviceName":"web","#));
    drive(&world, |api| complete(api, 3)).await;
    let names: Vec<_> = live(&world.api).iter().map(|p| p.name().to_owned()).collect();
    assert_eq!(names, ["web-0", "web-1", "web-2"]);

    let before = live(&world.api)[1].uid().to_owned();
    world.api.remove::<Pod>("default", "web-1");
    let other = |api: &FakeApi| api.find::<Pod>("default", "web-1").is_some_and(|p| p.uid() != before);
    drive(&world, |api| other(api) && complete(api, 3)).await;

    world.api.clear_log();
    let change = |image: &str| {
        world.api.edit::<StatefulSet>("default", "web", |set| {
            set.metadata.generation = set.metadata.generation.map(|g| g + 1);
            set.spec.template.spec.get_or_insert_default().containers[0].image = Some(image.into());
        });
    };
    change("v2");
    let of = |api: &FakeApi, wanted: &str| live(api).iter().all(|pod| image(pod) == wanted);
    drive(&world, |api| complete(api, 3) && of(api, "v2")).await;
    let mut deleted = asked(&world, "delete");
    // Over HTTPS a pod may be asked to go twice: its end comes late into view.
    deleted.dedup();
    assert_eq!(deleted, ["web-2", "web-1", "web-0"]);
    change("v1");
    drive(&world, |api| complete(api, 3) && of(api, "v1")).await;
    assert_eq!(world.api.all::<ControllerRevision>().len(), 2, "going back uses the old revision");

    world.api.clear_log();
    world.api.edit::<StatefulSet>("default", "web", |set| {
        set.metadata.generation = set.metadata.generation.map(|g| g + 1);
        set.spec.replicas = Some(1);
    });
    drive(&world, |api| complete(api, 1)).await;
    let mut deleted = asked(&world, "delete");
    deleted.dedup();
    assert_eq!(deleted, ["web-2", "web-1"]);
    world.tasks.stop().await;
}

#[tokio::test]
async fn a_stateful_set_is_made_and_changed_in_order() {
    check_stateful_set(false).await;
}

#[tokio::test]
async fn a_stateful_set_over_https() {
    check_stateful_set(true).await;
}

#[tokio::test]
async fn a_partition_keeps_the_lower_pods_as_they_are() {
    let world = World::running(&[crate::stateful_set::start]);
    let strategy = r#""updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"partition":2}},"#;
    world.api.insert(&stateful_set(&format!(r#""replicas":3,{strategy}"#)));
    drive(&world, |api| complete(api, 3)).await;
    world.api.edit::<StatefulSet>("default", "web", |set| {
        set.metadata.generation = set.metadata.generation.map(|g| g + 1);
        set.spec.template.spec.get_or_insert_default().containers[0].image = Some("v2".into());
    });
    let images = |api: &FakeApi| live(api).iter().map(|p| image(p).to_owned()).collect::<Vec<_>>();
    let updated = |api: &FakeApi| {
        let status = api.find::<StatefulSet>("default", "web").and_then(|s| s.status).unwrap_or_default();
        status.updated_replicas == Some(1) && status.ready_replicas == Some(3)
    };
    drive(&world, |api| updated(api) && images(api) == ["v1", "v1", "v2"]).await;
    // A pod below the partition comes back as it was.
    let before = live(&world.api)[0].uid().to_owned();
    world.api.remove::<Pod>("default", "web-0");
    let other = |api: &FakeApi| api.find::<Pod>("default", "web-0").is_some_and(|p| p.uid() != before);
    drive(&world, |api| other(api) && updated(api) && images(api) == ["v1", "v1", "v2"]).await;
    world.tasks.stop().await;
}

#[tokio::test]
async fn each_pod_has_claims_of_its_own() {
    let world = World::running(&[crate::stateful_set::start]);
    let claims = r#""podManagementPolicy":"Parallel","volumeClaimTemplates":[{"metadata":{"name":"data"}}],"#;
    let retention =
        r#""persistentVolumeClaimRetentionPolicy":{"whenScaled":"Delete","whenDeleted":"Retain"},"#;
    world.api.insert(&stateful_set(&format!(r#""replicas":2,{claims}{retention}"#)));
    drive(&world, |api| complete(api, 2)).await;
    let names: Vec<_> =
        world.api.all::<PersistentVolumeClaim>().iter().map(|c| c.name().to_owned()).collect();
    assert_eq!(names, ["data-web-0", "data-web-1"]);
    world.api.edit::<StatefulSet>("default", "web", |set| {
        set.metadata.generation = set.metadata.generation.map(|g| g + 1);
        set.spec.replicas = Some(1);
    });
    drive(&world, |api| {
        let claim = api.find::<PersistentVolumeClaim>("default", "data-web-1").unwrap_or_default();
        let owned = claim.metadata.owner_references.is_some_and(|o| o[0].kind == "Pod");
        owned && complete(api, 1)
    })
    .await;
    world.tasks.stop().await;
}

fn budget(spec: &str) -> PodDisruptionBudget {
    parse(&format!(
        r#"{{"metadata":{{"name":"b","namespace":"default"}},"spec":{{{spec},
        "selector":{{"matchLabels":{{"app":"web"}}}}}}}}"#
    ))
}

async fn check_budget(remote: bool) {
    let world = World::either(remote).await;
    world.start(crate::disruption::start);
    let owner = world.api.insert(&replica_set(3));
    world.api.insert(&budget(r#""maxUnavailable":1"#));
    for name in ["a", "b", "c"] {
        let json = format!(
            r#"{{"metadata":{{"name":"{name}","namespace":"default","labels":{{"app":"web"}}}},"spec":{{"containers":[]}}}}"#
        );
        let mut pod: Pod = parse(&json);
        pod.metadata.owner_references = Some(vec![controller_ref(&owner)]);
        world.api.insert(&pod);
    }
    let status = |api: &FakeApi| -> PodDisruptionBudgetStatus {
        api.find::<PodDisruptionBudget>("default", "b").and_then(|b| b.status).unwrap_or_default()
    };
    let counts = |api: &FakeApi| {
        let s = status(api);
        [s.disruptions_allowed, s.current_healthy, s.desired_healthy, s.expected_pods].map(|n| n.unwrap_or(0))
    };
    world.api.until(|api| counts(api) == [0, 0, 2, 3]).await;
    world.make_ready();
    world.api.until(|api| counts(api) == [1, 3, 2, 3]).await;
    let reason = status(&world.api).conditions.map(|c| c[0].reason.clone());
    assert_eq!(reason.as_deref(), Some("SufficientPods"));
    world.api.edit::<PodDisruptionBudget>("default", "b", |budget| {
        budget.metadata.generation = Some(2);
        let spec = budget.spec.get_or_insert_default();
        spec.max_unavailable = None;
        spec.min_available =
            Some(k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::String("100%".into()));
    });
    world.api.until(|api| counts(api) == [0, 3, 3, 3] && status(api).observed_generation == Some(2)).await;
    world.tasks.stop().await;
}

#[tokio::test]
async fn a_budget_follows_its_pods() {
    check_budget(false).await;
}

#[tokio::test]
async fn a_budget_over_https() {
    check_budget(true).await;
}

#[tokio::test]
async fn a_budget_that_cannot_be_worked_out_allows_nothing() {
    let world = World::running(&[crate::disruption::start]);
    world.api.insert(&budget(r#""maxUnavailable":1"#));
    let mut pod: Pod = parse(
        r#"{"metadata":{"name":"a","namespace":"default","labels":{"app":"web"}},"spec":{"containers":[]}}"#,
    );
    // Of an owner that is not there.
    pod.metadata.owner_references = Some(vec![controller_ref(&replica_set(1))]);
    world.api.insert(&pod);
    world
        .api
        .until(|api| {
            let status = api.find::<PodDisruptionBudget>("default", "b").and_then(|b| b.status);
            let conditions = status.and_then(|s| s.conditions).unwrap_or_default();
            conditions
                .iter()
                .any(|c| c.reason == "SyncFailed" && c.message == "found no controllers for pod \"a\"")
        })
        .await;
    world.tasks.stop().await;
}

#[tokio::test]
async fn a_disruption_that_did_not_come_is_taken_back() {
    let world = World::running(&[crate::disruption::start]);
    let mut pod: Pod = parse(r#"{"metadata":{"name":"a","namespace":"default"},"spec":{"containers":[]}}"#);
    let long_ago = "2020-01-01T00:00:00Z".parse().expect("a time");
    pod.status.get_or_insert_default().conditions = Some(vec![PodCondition {
        type_: "DisruptionTarget".into(),
        status: "True".into(),
        last_transition_time: Some(Time(long_ago)),
        ..PodCondition::default()
    }]);
    world.api.insert(&pod);
    world
        .api
        .until(|api| {
            let pod = api.find::<Pod>("default", "a").unwrap_or_default();
            pod.condition("DisruptionTarget").is_some_and(|c| c.status == "False")
        })
        .await;
    world.tasks.stop().await;
}
