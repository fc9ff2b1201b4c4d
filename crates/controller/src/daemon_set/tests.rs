use codec::Kind;
use expect_test::{Expect, expect};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use resources::Strategy as _;

use super::nodes::{self, Eligible};
use super::plan::{Observed, Plan, manage, update};
use super::status;

fn set(strategy: &str) -> DaemonSet {
    let json = format!(
        r#"{{"metadata":{{"name":"d","namespace":"ns","uid":"d","generation":1}},"spec":{{"updateStrategy":{strategy},
        "selector":{{"matchLabels":{{"app":"d"}}}},"template":{{"metadata":{{"labels":{{"app":"d"}}}},
        "spec":{{"containers":[{{"name":"c","image":"v1"}}],"nodeSelector":{{"role":"worker"}}}}}}}}}}"#
    );
    let mut set = DaemonSet::from_json(json.as_bytes()).expect("a set");
    resources::apps::daemon_set::Strategy.default(&mut set);
    set
}

/// `n1 taint=NoSchedule other`: other lacks the label that the set wants.
fn node(text: &str) -> Node {
    let mut words = text.split_whitespace();
    let name = words.next().expect("a name");
    let mut node = Node::from_json(
        format!(r#"{{"metadata":{{"name":"{name}","labels":{{"role":"worker"}}}},"spec":{{}}}}"#).as_bytes(),
    )
    .expect("a node");
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("other", _) => node.metadata.labels = None,
            ("taint", effect) => {
                let taint = k8s_openapi::api::core::v1::Taint {
                    key: "mine".into(),
                    effect: effect.into(),
                    ..Default::default()
                };
                node.spec.get_or_insert_default().taints.get_or_insert_default().push(taint);
            }
            other => panic!("{other:?}?"),
        }
    }
    node
}

/// `a n1 new ready Failed going unbound`, made in the order given.
fn pod(text: &str, at: usize) -> Pod {
    let mut words = text.split_whitespace();
    let (name, on) = (words.next().expect("a name"), words.next().expect("a node"));
    let words: Vec<_> = words.collect();
    let hash = if words.contains(&"new") { "new" } else { "old" };
    let mut pod = nodes::pod_for(&set("{}"), on, hash);
    pod.metadata.name = Some(name.into());
    pod.metadata.uid = Some(name.into());
    pod.metadata.creation_timestamp = Some(Time(Timestamp::from_second(at as i64).expect("a time")));
    let status = pod.status.get_or_insert_default();
    if !words.contains(&"unbound") {
        pod.spec.get_or_insert_default().node_name = Some(on.into());
    }
    for word in words {
        match word {
            "ready" => {
                status.conditions = Some(vec![k8s_openapi::api::core::v1::PodCondition {
                    type_: "Ready".into(),
                    status: "True".into(),
                    ..Default::default()
                }]);
            }
            "Failed" | "Succeeded" => status.phase = Some(word.into()),
            "going" => pod.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH)),
            "new" | "old" | "unbound" => {}
            other => panic!("{other}?"),
        }
    }
    pod
}

/// The strategy, then `node …` and `pod …`: what is done for the number of pods, then what a rolling update adds, and the
/// counts: desired, current, ready, available, updated, misscheduled.
fn check(fixture: &str, expected: Expect) {
    let mut lines = fixture.lines().map(str::trim).filter(|l| !l.is_empty());
    let set = set(lines.next().expect("a strategy"));
    let (mut nodes, mut pods) = (Vec::new(), Vec::new());
    for (at, line) in lines.enumerate() {
        match line.split_once(' ').expect("words") {
            ("node", rest) => nodes.push(node(rest)),
            ("pod", rest) => pods.push(pod(rest, at)),
            (other, _) => panic!("{other}?"),
        }
    }
    let now = Timestamp::from_second(1000).expect("a time");
    let hashes = ["new".to_owned()];
    let observed = Observed { set: &set, nodes: &nodes, pods: &pods, hashes: &hashes, now };
    let mut out = shown("", manage(&observed));
    if resources::apps::daemon_set::DaemonSetExt::is_rolling(&set) {
        out += &shown("update: ", update(&observed));
    }
    let s = status::observe(&observed, None);
    let n = |count: Option<i32>| count.unwrap_or(0);
    out += &format!(
        "status {} {} {} {} {} {}\n",
        s.desired_number_scheduled,
        s.current_number_scheduled,
        s.number_ready,
        n(s.number_available),
        n(s.updated_number_scheduled),
        s.number_misscheduled
    );
    expected.assert_eq(&out);
}

fn shown(prefix: &str, plan: Plan<'_>) -> String {
    let lines = plan.create.iter().map(|node| format!("create on {node}"));
    let lines = lines.chain(plan.delete.iter().map(|pod| format!("delete {}", pod.name())));
    let lines = lines.chain(plan.failed.iter().map(|(pod, node)| format!("failed {} on {node}", pod.name())));
    let lines =
        lines.chain(plan.succeeded.iter().map(|(pod, node)| format!("succeeded {} on {node}", pod.name())));
    lines.map(|line| format!("{prefix}{line}\n")).collect()
}

#[test]
fn each_node_that_should_run_one_gets_one() {
    check(
        "{}
        node n1
        node n2
        node n3 other
        node n4 taint=NoSchedule
        node n5 taint=NoExecute
        pod a n1 new ready
        pod b n3 new ready
        pod c n4 new ready
        pod d n5 new ready
        pod e gone new unbound",
        expect![[r#"
            create on n2
            delete b
            delete d
            delete e
            status 2 1 1 1 1 3
        "#]],
    );
}

#[test]
fn one_is_enough_and_the_oldest_stays() {
    check(
        r#"{"type": "OnDelete"}
        node n1
        node n2
        node n3
        pod a n1 new unbound
        pod b n1 old
        pod c n1 old
        pod d n2 old Failed
        pod e n2 old Succeeded
        pod f n3 old going"#,
        expect![[r#"
            delete c
            delete a
            failed d on n2
            succeeded e on n2
            status 3 3 0 0 0 0
        "#]],
    );
}

#[test]
fn an_update_leaves_no_more_nodes_without_than_allowed() {
    check(
        r#"{"rollingUpdate": {"maxUnavailable": 2}}
        node n1
        node n2
        node n3
        node n4
        pod a n1 old ready
        pod b n2 old ready
        pod c n3 old ready
        pod d n4 new"#,
        expect![[r#"
            update: delete a
            status 4 4 3 3 1 0
        "#]],
    );
}

#[test]
fn what_does_not_work_anyway_is_replaced_at_once() {
    check(
        r#"{"rollingUpdate": {"maxUnavailable": 1}}
        node n1
        node n2
        node n3
        pod a n1 old
        pod b n2 old
        pod c n3 old ready"#,
        expect![[r#"
            update: delete a
            update: delete b
            status 3 3 1 1 0 0
        "#]],
    );
}

#[test]
fn a_surge_makes_the_new_one_first() {
    check(
        r#"{"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        node n1
        node n2
        pod a n1 old ready
        pod b n2 old ready"#,
        expect![[r#"
            update: create on n1
            status 2 2 2 2 0 0
        "#]],
    );
    check(
        r#"{"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        node n1
        node n2
        pod a n1 old ready
        pod b n1 new
        pod c n2 old ready"#,
        expect![[r#"
            status 2 2 2 2 0 0
        "#]],
    );
    check(
        r#"{"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        node n1
        node n2
        pod a n1 old ready
        pod b n1 new ready
        pod c n2 old ready"#,
        expect![[r#"
            delete a
            update: create on n2
            update: delete a
            status 2 2 2 2 0 0
        "#]],
    );
}

#[test]
fn a_pod_is_bound_to_its_node_and_bears_what_nodes_suffer() {
    let pod = nodes::pod_for(&set("{}"), "n1", "h");
    assert_eq!(nodes::target(&pod), Some("n1"));
    let tolerations = pod.spec.as_ref().and_then(|s| s.tolerations.as_ref()).expect("tolerations");
    let told: String = tolerations
        .iter()
        .map(|t| {
            format!("{} {}\n", t.key.as_deref().unwrap_or_default(), t.effect.as_deref().unwrap_or_default())
        })
        .collect();
    expect![[r#"
        node.kubernetes.io/not-ready NoExecute
        node.kubernetes.io/unreachable NoExecute
        node.kubernetes.io/disk-pressure NoSchedule
        node.kubernetes.io/memory-pressure NoSchedule
        node.kubernetes.io/pid-pressure NoSchedule
        node.kubernetes.io/unschedulable NoSchedule
    "#]]
    .assert_eq(&told);
    assert_eq!(Eligible::of(&set("{}")).fit(&node("n1")), nodes::Fit::Runs);
}
