use codec::Kind;
use expect_test::{Expect, expect};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use resources::Strategy as _;
use resources::owner::controller_ref;

use super::plan::{Observed, Step, plan};
use super::{revision, scale};

fn template(image: &str) -> PodTemplateSpec {
    deployment(&format!("image={image}")).spec.template
}

/// `replicas=3 image=v2 surge=25% unavailable=25% paused recreate history=2`
fn deployment(text: &str) -> Deployment {
    let json = r#"{"metadata":{"name":"web","namespace":"ns","uid":"d","generation":1},"spec":{"replicas":3,
        "selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},
        "spec":{"containers":[{"name":"c","image":"v1"}]}}}}"#;
    let mut deployment = Deployment::from_json(json.as_bytes()).expect("a deployment");
    for word in text.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let spec = &mut deployment.spec;
        let rolling = spec.strategy.get_or_insert_default().rolling_update.get_or_insert_default();
        let share = || {
            Some(
                serde_json::from_value(value.parse::<i32>().map_or(value.into(), Into::into))
                    .expect("a share"),
            )
        };
        match key {
            "replicas" => spec.replicas = value.parse().ok(),
            "image" => spec.template.spec.get_or_insert_default().containers[0].image = Some(value.into()),
            "surge" => rolling.max_surge = share(),
            "unavailable" => rolling.max_unavailable = share(),
            "history" => spec.revision_history_limit = value.parse().ok(),
            "paused" => spec.paused = Some(true),
            "recreate" => {
                let strategy = spec.strategy.get_or_insert_default();
                strategy.type_ = Some("Recreate".into());
                strategy.rolling_update = None;
            }
            other => panic!("{other}?"),
        }
    }
    resources::apps::deployment::Strategy.default(&mut deployment);
    deployment
}

/// `v1 have=3 available=2 revision=1 desired=3 max=4`, made in the order given.
fn set(text: &str, deployment: &Deployment, at: usize) -> ReplicaSet {
    let mut words = text.split_whitespace();
    let image = words.next().expect("an image");
    let of = Deployment {
        spec: k8s_openapi::api::apps::v1::DeploymentSpec {
            template: template(image),
            ..deployment.spec.clone()
        },
        ..deployment.clone()
    };
    let mut set = revision::new_set(&of, 0);
    set.metadata.name = Some(image.to_owned());
    set.metadata.uid = Some(image.to_owned());
    set.metadata.creation_timestamp = Some(Time(Timestamp::from_second(at as i64).expect("a time")));
    set.metadata.owner_references = Some(vec![controller_ref(deployment)]);
    let mut status = ReplicaSetStatus::default();
    for word in words {
        let (key, value) = word.split_once('=').expect("key=value");
        let annotation = match key {
            "revision" => revision::REVISION,
            "desired" => scale::DESIRED,
            "max" => scale::MAX,
            "have" => {
                set.spec.replicas = value.parse().ok();
                status.replicas = value.parse().expect("a number");
                continue;
            }
            "available" => {
                status.available_replicas = value.parse().ok();
                status.ready_replicas = status.available_replicas;
                continue;
            }
            other => panic!("{other}?"),
        };
        set.metadata.annotations.get_or_insert_default().insert(annotation.into(), value.into());
    }
    set.status = Some(status);
    set
}

/// One line for the deployment, one for each of its sets; what is planned, step by step, and what is said.
fn check(fixture: &str, expected: Expect) {
    let mut lines = fixture.lines().map(str::trim).filter(|l| !l.is_empty());
    let deployment = deployment(lines.next().expect("a deployment"));
    let sets: Vec<_> = lines.enumerate().map(|(at, line)| set(line, &deployment, at)).collect();
    let running = sets.iter().filter(|s| s.status.as_ref().is_some_and(|s| s.replicas > 0));
    let old_pods_run = running.map(|s| s.uid().to_owned()).collect();
    let observed = Observed { deployment, sets, old_pods_run };
    let plan = plan(&observed, Timestamp::from_second(1000).expect("a time"));
    let mut out = String::new();
    for step in plan.steps {
        let line = match step {
            Step::Create(set) => format!("create for {} with {}", image(&set), scale::spec(&set)),
            Step::Update(set) => format!("annotate {} revision {}", set.name(), revision::of(&set)),
            Step::Scale { set, from } => format!("scale {} {from} -> {}", set.name(), scale::spec(&set)),
            Step::Delete(set) => format!("delete {}", set.name()),
        };
        out += &format!("{line}\n");
    }
    for c in plan.status.conditions.into_iter().flatten() {
        let [kind, status, reason] = [c.type_, c.status, c.reason].map(Option::unwrap_or_default);
        out += &format!("{kind} {status} {reason}\n");
    }
    expected.assert_eq(&out);
}

fn image(set: &ReplicaSet) -> String {
    let pod = set.spec.template.as_ref().and_then(|t| t.spec.as_ref()).expect("a pod");
    pod.containers[0].image.clone().unwrap_or_default()
}

#[test]
fn the_first_set_gets_all() {
    check(
        "replicas=3",
        expect![[r#"
        create for v1 with 3
        Available False MinimumReplicasUnavailable
        Progressing True NewReplicaSetCreated
    "#]],
    );
}

#[test]
fn a_new_set_starts_with_the_surge() {
    check(
        "replicas=10 image=v2
         v1 have=10 available=10 revision=1 desired=10 max=13",
        expect![[r#"
            create for v2 with 3
            Available True MinimumReplicasAvailable
            Progressing True ReplicaSetUpdated
        "#]],
    );
}

#[test]
fn old_sets_shrink_as_far_as_availability_allows() {
    check(
        "replicas=10 image=v2
         v1 have=10 available=10 revision=1 desired=10 max=13
         v2 have=3 available=0 revision=2 desired=10 max=13",
        expect![[r#"
            scale v1 10 -> 8
            Available True MinimumReplicasAvailable
            Progressing True ReplicaSetUpdated
        "#]],
    );
}

#[test]
fn broken_old_pods_go_first() {
    check(
        "replicas=4 image=v3 surge=1 unavailable=1
         v1 have=2 available=2 revision=1 desired=4 max=5
         v2 have=2 available=0 revision=2 desired=4 max=5
         v3 have=1 available=1 revision=3 desired=4 max=5",
        expect![[r#"
            scale v2 2 -> 0
            Available True MinimumReplicasAvailable
            Progressing True ReplicaSetUpdated
        "#]],
    );
}

#[test]
fn recreating_waits_for_the_last_old_pod() {
    check(
        "replicas=2 image=v2 recreate
         v1 have=2 available=2 revision=1 desired=2 max=2",
        expect![[r#"
            scale v1 2 -> 0
            Available True MinimumReplicasAvailable
            Progressing True ReplicaSetUpdated
        "#]],
    );
}

#[test]
fn scaling_amid_a_rollout_keeps_the_proportions() {
    check(
        "replicas=20 image=v2 surge=50% unavailable=25%
         v1 have=8 available=8 revision=1 desired=10 max=15
         v2 have=7 available=0 revision=2 desired=10 max=15",
        expect![[r#"
            scale v2 7 -> 14
            scale v1 8 -> 16
            Available False MinimumReplicasUnavailable
        "#]],
    );
}

#[test]
fn a_paused_rollout_is_only_scaled() {
    check(
        "replicas=5 image=v2 paused
         v1 have=3 available=3 revision=1 desired=3 max=4",
        expect![[r#"
            scale v1 3 -> 5
            Available False MinimumReplicasUnavailable
            Progressing Unknown DeploymentPaused
        "#]],
    );
}

#[test]
fn rolling_back_gives_the_old_set_a_new_revision() {
    check(
        "replicas=1 image=v1
         v1 have=0 available=0 revision=1 desired=1 max=2
         v2 have=1 available=1 revision=2 desired=1 max=2",
        expect![[r#"
            scale v1 0 -> 1
            Available True MinimumReplicasAvailable
            Progressing True ReplicaSetUpdated
        "#]],
    );
}

#[test]
fn history_beyond_the_limit_goes_oldest_first() {
    check(
        "replicas=1 image=v4 history=1
         v1 have=0 revision=1
         v2 have=0 revision=2
         v3 have=0 revision=3
         v4 have=1 available=1 revision=4 desired=1 max=2",
        expect![[r#"
            delete v1
            delete v2
            Available True MinimumReplicasAvailable
            Progressing True NewReplicaSetAvailable
        "#]],
    );
}

#[test]
fn a_hash_is_stable_and_feels_collisions() {
    let first = deployment("image=v1");
    let name = |d: &Deployment| revision::new_set(d, 1).name().to_owned();
    let mut collided = first.clone();
    collided.status.get_or_insert_default().collision_count = Some(1);
    assert_eq!(name(&first), name(&deployment("image=v1")));
    assert_ne!(name(&first), name(&deployment("image=v2")));
    assert_ne!(name(&first), name(&collided));
}
