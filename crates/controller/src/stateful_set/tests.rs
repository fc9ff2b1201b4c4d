use codec::Kind;
use expect_test::{Expect, expect};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use resources::Strategy as _;
use resources::owner::{ObjectMetaExt, controller_ref, owner_ref};

use super::plan::{Observed, Revision, Step, plan};
use super::{identity, status};

/// `replicas=3 start=0 partition=0 unavailable=1 parallel ondelete claims scaled=Delete deleted=Delete going`
fn set(text: &str) -> StatefulSet {
    let json = r#"{"metadata":{"name":"web","namespace":"ns","uid":"s","generation":1},"spec":{"replicas":3,
        "serviceName":"svc","selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},
        "spec":{"containers":[{"name":"c","image":"new"}]}}}}"#;
    let mut set = StatefulSet::from_json(json.as_bytes()).expect("a set");
    for word in text.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let spec = &mut set.spec;
        let strategy = spec.update_strategy.get_or_insert_default();
        let retention = spec.persistent_volume_claim_retention_policy.get_or_insert_default();
        match key {
            "replicas" => spec.replicas = value.parse().ok(),
            "start" => spec.ordinals.get_or_insert_default().start = value.parse().ok(),
            "partition" => strategy.rolling_update.get_or_insert_default().partition = value.parse().ok(),
            "unavailable" => {
                let value = serde_json::from_str(value).expect("a number");
                strategy.rolling_update.get_or_insert_default().max_unavailable = Some(value);
            }
            "parallel" => spec.pod_management_policy = Some("Parallel".into()),
            "ondelete" => strategy.type_ = Some("OnDelete".into()),
            "claims" => {
                let json = br#"{"metadata":{"name":"data"}}"#;
                spec.volume_claim_templates =
                    Some(vec![PersistentVolumeClaim::from_json(json).expect("a claim")]);
            }
            "scaled" => retention.when_scaled = Some(value.into()),
            "deleted" => retention.when_deleted = Some(value.into()),
            "going" => set.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH)),
            other => panic!("{other}?"),
        }
    }
    resources::apps::stateful_set::Strategy.default(&mut set);
    set
}

/// `0 new ready going Failed Pending`
fn pod(set: &StatefulSet, text: &str) -> Pod {
    let mut words = text.split_whitespace();
    let ordinal = words.next().expect("an ordinal").parse().expect("an ordinal");
    let revision = words.next().expect("a revision");
    let mut pod = identity::new_pod(set, &set.spec.template, revision, ordinal);
    pod.metadata.uid = Some(format!("uid-{ordinal}"));
    let status = pod.status.get_or_insert_default();
    status.phase = Some("Running".into());
    for word in words {
        match word {
            "ready" => {
                let ready =
                    PodCondition { type_: "Ready".into(), status: "True".into(), ..PodCondition::default() };
                status.conditions = Some(vec![ready]);
            }
            "Failed" | "Succeeded" | "Pending" => status.phase = Some(word.into()),
            "going" => pod.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH)),
            "nameless" => {
                drop(pod.metadata.labels.as_mut().map(|l| l.remove("apps.kubernetes.io/pod-index")))
            }
            other => panic!("{other}?"),
        }
    }
    pod
}

/// The set; `pod …`; `claim data-web-0 [set|pod|oldpod]`, with its owner. Then the steps, and the counts: replicas, ready,
/// current, updated, and which revision is the current one.
fn check(fixture: &str, expected: Expect) {
    let mut lines = fixture.lines().map(str::trim).filter(|l| !l.is_empty());
    let set = set(lines.next().expect("a set"));
    let (mut pods, mut claims) = (Vec::new(), Vec::new());
    for line in lines {
        match line.split_once(' ').expect("words") {
            ("pod", rest) => pods.push(pod(&set, rest)),
            ("claim", rest) => claims.push(claim(&set, rest)),
            (other, _) => panic!("{other}?"),
        }
    }
    let revision = |name: &str| Revision { name: name.into(), template: set.spec.template.clone() };
    let observed = Observed {
        set: &set,
        pods: &pods,
        current: &revision("old"),
        update: &revision("new"),
        claim: &|name| claims.iter().find(|c: &&PersistentVolumeClaim| c.name() == name).cloned(),
        now: Timestamp::from_second(1000).expect("a time"),
    };
    let mut out: String = plan(&observed).iter().map(|step| shown(step) + "\n").collect();
    let s = status::observe(&observed, None);
    let n = |count: Option<i32>| count.unwrap_or(0);
    let counts = [s.replicas, n(s.ready_replicas), n(s.current_replicas), n(s.updated_replicas)];
    out += &format!("{counts:?} {}\n", s.current_revision.unwrap_or_default());
    expected.assert_eq(&out);
}

fn claim(set: &StatefulSet, text: &str) -> PersistentVolumeClaim {
    let (name, owner) = text.split_once(' ').unwrap_or((text, ""));
    let pod_name = name.strip_prefix("data-").expect("a pod's claim");
    let owner_pod = |uid: &str| {
        let mut pod = Pod::default();
        pod.metadata.name = Some(pod_name.into());
        pod.metadata.uid = Some(uid.into());
        owner_ref(&pod)
    };
    let mut claim = PersistentVolumeClaim::default();
    claim.metadata.name = Some(name.into());
    claim.metadata.owner_references = match owner {
        "" => None,
        "set" => Some(vec![controller_ref(set)]),
        "oldpod" => Some(vec![owner_pod("old")]),
        other => panic!("{other}?"),
    };
    claim
}

fn shown(step: &Step) -> String {
    let names = |claims: &[PersistentVolumeClaim]| {
        claims.iter().map(|c| format!(" with {}", owners(c))).collect::<String>()
    };
    match step {
        Step::Create { pod, claims } => {
            format!("create {} {}{}", pod.name(), identity::revision(pod), names(claims))
        }
        Step::Claims { pod, claims } => format!("claims of {}{}", pod.name(), names(claims)),
        Step::Update(pod) => format!("update {}", pod.name()),
        Step::UpdateClaim(claim) => format!("own {}", owners(claim)),
        Step::Delete { pod, why } => format!("delete {} {why:?}", pod.name()),
        Step::AwaitClaim(pod) => format!("wait for the claim of {pod}"),
    }
}

fn owners(claim: &PersistentVolumeClaim) -> String {
    let owners = claim.metadata.owner_references.iter().flatten();
    let owners: Vec<_> = owners.map(|o| format!("{}/{}", o.kind, o.uid)).collect();
    format!("{} of [{}]", claim.name(), owners.join(" "))
}

#[test]
fn one_after_the_other() {
    check(
        "replicas=3",
        expect![[r#"
        create web-0 new
        [0, 0, 0, 0] old
    "#]],
    );
    check(
        "replicas=3\npod 0 new",
        expect![[r#"
        [1, 0, 0, 1] old
    "#]],
    );
    check(
        "replicas=3\npod 0 new ready",
        expect![[r#"
        create web-1 new
        [1, 1, 0, 1] old
    "#]],
    );
    check(
        "replicas=2 start=5\npod 5 new ready\npod 6 new ready",
        expect![[r#"
        [2, 2, 2, 2] new
    "#]],
    );
}

#[test]
fn all_at_once_when_parallel() {
    check(
        "replicas=3 parallel\npod 1 new",
        expect![[r#"
        create web-0 new
        create web-2 new
        [1, 0, 0, 1] old
    "#]],
    );
    check(
        "replicas=1 parallel\npod 0 new\npod 1 new\npod 2 new ready",
        expect![[r#"
        delete web-2 Scaled
        delete web-1 Scaled
        [3, 1, 0, 3] old
    "#]],
    );
}

#[test]
fn scaled_down_from_the_top() {
    check(
        "replicas=1\npod 0 new ready\npod 1 new ready\npod 2 new ready",
        expect![[r#"
        delete web-2 Scaled
        [3, 3, 0, 3] old
    "#]],
    );
    check(
        "replicas=1\npod 0 new ready\npod 1 new ready\npod 2 new ready going",
        expect![[r#"
        [3, 3, 0, 2] old
    "#]],
    );
    check(
        "replicas=1\npod 0 new\npod 1 new ready",
        expect![[r#"
        [2, 1, 0, 2] old
    "#]],
    );
    check(
        "replicas=0\npod 0 new\npod 1 new ready\npod 2 new",
        expect![[r#"
        [3, 1, 0, 3] old
    "#]],
    );
    check(
        "replicas=0\npod 1 new ready\npod 2 new",
        expect![[r#"
        delete web-2 Scaled
        [2, 1, 0, 2] old
    "#]],
    );
}

#[test]
fn ended_pods_are_made_anew() {
    check(
        "replicas=2\npod 0 new Failed\npod 1 new ready",
        expect![[r#"
        delete web-0 Failed
        [2, 1, 0, 2] old
    "#]],
    );
    check(
        "replicas=2\npod 0 new Failed going\npod 1 new ready",
        expect![[r#"
        [2, 1, 0, 1] old
    "#]],
    );
    check(
        "replicas=1 parallel\npod 0 new Succeeded",
        expect![[r#"
        delete web-0 Succeeded
        [1, 0, 0, 1] old
    "#]],
    );
}

#[test]
fn updated_from_the_top() {
    check(
        "replicas=2\npod 0 old ready\npod 1 old ready",
        expect![[r#"
        delete web-1 Outdated
        [2, 2, 2, 0] old
    "#]],
    );
    check(
        "replicas=2\npod 0 old ready\npod 1 new",
        expect![[r#"
        [2, 1, 1, 1] old
    "#]],
    );
    check(
        "replicas=2\npod 0 old ready\npod 1 new ready",
        expect![[r#"
        delete web-0 Outdated
        [2, 2, 1, 1] old
    "#]],
    );
    check(
        "replicas=2\npod 0 new ready\npod 1 new ready",
        expect![[r#"
        [2, 2, 2, 2] new
    "#]],
    );
}

#[test]
fn a_partition_holds_back() {
    check(
        "replicas=3 partition=2\npod 0 old ready\npod 1 old ready\npod 2 old ready",
        expect![[r#"
        delete web-2 Outdated
        [3, 3, 3, 0] old
    "#]],
    );
    check(
        "replicas=3 partition=2\npod 0 old ready\npod 2 new ready",
        expect![[r#"
        create web-1 old
        [2, 2, 1, 1] old
    "#]],
    );
    check(
        "replicas=3 partition=2\npod 0 old ready\npod 1 old ready\npod 2 new ready",
        expect![[r#"
        [3, 3, 2, 1] old
    "#]],
    );
    check(
        "replicas=2 start=3 partition=1\npod 3 old ready\npod 4 old ready",
        expect![[r#"
        delete web-4 Outdated
        [2, 2, 2, 0] old
    "#]],
    );
}

#[test]
fn more_than_one_may_be_unavailable() {
    check(
        "replicas=4 unavailable=2\npod 0 old ready\npod 1 old ready\npod 2 old ready\npod 3 old ready",
        expect![[r#"
            delete web-3 Outdated
            delete web-2 Outdated
            [4, 4, 4, 0] old
        "#]],
    );
    check(
        "replicas=4 unavailable=2 parallel\npod 0 old\npod 1 old ready\npod 2 old ready\npod 3 old ready",
        expect![[r#"
            delete web-3 Outdated
            delete web-0 Outdated
            [4, 3, 4, 0] old
        "#]],
    );
}

#[test]
fn on_delete_waits_for_somebody_to_delete() {
    check(
        "replicas=2 ondelete\npod 0 old ready\npod 1 old ready",
        expect![[r#"
        [2, 2, 2, 0] old
    "#]],
    );
    check(
        "replicas=2 ondelete\npod 0 old ready",
        expect![[r#"
        create web-1 new
        [1, 1, 1, 0] old
    "#]],
    );
}

#[test]
fn a_set_that_goes_does_nothing() {
    check(
        "replicas=2 going\npod 0 old ready",
        expect![[r#"
        [1, 1, 1, 0] old
    "#]],
    );
}

#[test]
fn claims_come_before_their_pods() {
    check(
        "replicas=1 claims",
        expect![[r#"
        create web-0 new with data-web-0 of []
        [0, 0, 0, 0] old
    "#]],
    );
    check(
        "replicas=1 claims deleted=Delete",
        expect![[r#"
        create web-0 new with data-web-0 of [StatefulSet/s]
        [0, 0, 0, 0] old
    "#]],
    );
    check(
        "replicas=1 claims\nclaim data-web-0",
        expect![[r#"
        create web-0 new
        [0, 0, 0, 0] old
    "#]],
    );
    check(
        "replicas=1 claims\npod 0 new Pending",
        expect![[r#"
        claims of web-0 with data-web-0 of []
        [1, 0, 0, 1] old
    "#]],
    );
    check(
        "replicas=1 claims scaled=Delete\nclaim data-web-0 oldpod",
        expect![[r#"
        wait for the claim of web-0
        [0, 0, 0, 0] old
    "#]],
    );
}

#[test]
fn claims_follow_the_policy() {
    check(
        "replicas=1 claims deleted=Delete\npod 0 new ready\nclaim data-web-0",
        expect![[r#"
        own data-web-0 of [StatefulSet/s]
        [1, 1, 1, 1] new
    "#]],
    );
    check(
        "replicas=1 claims\npod 0 new ready\nclaim data-web-0 set",
        expect![[r#"
        own data-web-0 of []
        [1, 1, 1, 1] new
    "#]],
    );
    check(
        "replicas=0 claims scaled=Delete deleted=Delete\npod 0 new ready\nclaim data-web-0 set",
        expect![[r#"
            own data-web-0 of [Pod/uid-0]
            delete web-0 Scaled
            [1, 1, 0, 1] old
        "#]],
    );
}

#[test]
fn a_pod_knows_who_it_is() {
    let set = set("claims");
    let pod = identity::new_pod(&set, &set.spec.template, "r", 3);
    let spec = pod.spec.as_ref().expect("a spec");
    let labels: Vec<_> = pod.metadata.labels.iter().flatten().map(|(k, v)| format!("{k}={v}")).collect();
    let claim = spec.volumes.as_ref().and_then(|v| v[0].persistent_volume_claim.as_ref());
    expect![[r#"
        web-3 Some("web-3") Some("svc")
        app=web apps.kubernetes.io/pod-index=3 controller-revision-hash=r statefulset.kubernetes.io/pod-name=web-3
        Some("data-web-3")
    "#]].assert_eq(&format!(
        "{} {:?} {:?}\n{}\n{:?}\n",
        pod.name(),
        spec.hostname,
        spec.subdomain,
        labels.join(" "),
        claim.map(|c| c.claim_name.as_str())
    ));
    assert!(pod.metadata.is_controlled_by("s"));
    let ordinal = |name| identity::ordinal(&set, name);
    assert_eq!(
        [ordinal("web-3"), ordinal("web-03"), ordinal("web--1"), ordinal("other-1"), ordinal("web")],
        [Some(3), None, None, None, None]
    );
    check(
        "replicas=1\npod 0 new ready nameless",
        expect![[r#"
        update web-0
        [1, 1, 1, 1] new
    "#]],
    );
}
