use std::sync::Arc;

use codec::Kind as _;
use expect_test::{Expect, expect};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::{Value, json};
use stdx::Random;

use super::{Budget, plan};
use crate::cycle::schedule;
use crate::pod::PodInfo;
use crate::state::Cluster;

/// `name priority cpu`, with labels and whatever else.
fn pod(line: &str, change: impl Fn(&mut Value)) -> Arc<PodInfo> {
    let [name, priority, cpu] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let mut json = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": name, "labels": {"app": name}},
        "spec": {
            "priority": priority.parse::<i32>().expect("priority"),
            "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}],
        },
        "status": {"startTime": "2026-01-01T00:00:00Z"},
    });
    change(&mut json);
    Arc::new(PodInfo::new(Pod::from_json(json.to_string().as_bytes()).expect("pod")))
}

/// Nodes of 4 CPUs, each with its pods.
fn cluster(nodes: &[(&str, &[&str])]) -> Cluster {
    let mut cluster = Cluster::default();
    for (name, pods) in nodes {
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"name": name}},
            "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "10"}},
        });
        cluster.set_node(name, &Node::from_json(node.to_string().as_bytes()).expect("node"));
        for line in *pods {
            cluster.place(&pod(line, |_| {}), name);
        }
    }
    cluster
}

/// The whole of it, but for the order in which a map happens to be gone through.
fn shown(cluster: &Cluster) -> String {
    let text = format!("{cluster:?}");
    let mut words: Vec<_> = text.split(['{', '}', ',']).map(str::trim).collect();
    words.sort();
    words.join("\n")
}

fn check(cluster: &mut Cluster, pod: &PodInfo, budgets: &[Budget], expected: Expect) {
    let random = Random::seeded(1);
    let before = shown(cluster);
    let text = match schedule(pod, cluster, &random) {
        Ok(node) => format!("fits on {node}"),
        Err(mut error) => match plan(pod, cluster, &error, budgets, &random) {
            Ok(plan) => {
                let names: Vec<_> = plan.victims.iter().map(|p| p.key.name.to_string()).collect();
                format!("{}: {}", plan.node, names.join(" "))
            }
            Err(declined) => {
                error.preemption = declined.reason().to_owned();
                error.to_string()
            }
        },
    };
    assert_eq!(shown(cluster), before, "the cluster is as before");
    expected.assert_eq(&text);
}

#[test]
fn the_cheapest_room_is_made() {
    let high = |cpu: &str| pod(&format!("high 10 {cpu}"), |_| {});
    // Only as many as needed, the less important first.
    let mut c = cluster(&[("a", &["one 1 2", "two 2 1", "three 3 1"])]);
    check(&mut c, &high("1"), &[], expect!["a: one"]);
    check(&mut c, &high("3"), &[], expect!["a: two one"]);
    // The node whose victims matter least; then the one with fewest.
    let mut c = cluster(&[("a", &["one 5 4"]), ("b", &["two 4 4"]), ("c", &["three 4 2", "four 4 2"])]);
    check(&mut c, &high("4"), &[], expect!["b: two"]);
    // Nobody is more important than it.
    let mut c = cluster(&[("a", &["one 10 4"]), ("b", &["two 20 4"])]);
    check(
        &mut c,
        &high("1"),
        &[],
        expect![
            "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
        ],
    );
    // Too large for any node, or not for this one: no pod that leaves helps.
    let mut c = cluster(&[("a", &["one 1 4"]), ("b", &["two 1 4"])]);
    check(
        &mut c,
        &high("5"),
        &[],
        expect![
            "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
        ],
    );
    let elsewhere = pod("high 10 1", |p| p["spec"]["nodeSelector"] = json!({"name": "b"}));
    check(&mut c, &elsewhere, &[], expect!["b: two"]);
}

#[test]
fn who_may_not() {
    let mut c = cluster(&[("a", &["one 1 4"])]);
    let meek = pod("meek 10 1", |p| p["spec"]["preemptionPolicy"] = json!("Never"));
    check(
        &mut c,
        &meek,
        &[],
        expect![
            "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never."
        ],
    );
    let high = pod("high 10 1", |_| {});
    c.nominate(&high, "a");
    c.mark_preempted(&"one".into());
    check(
        &mut c,
        &high,
        &[],
        expect![
            "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to a terminating pod on the nominated node."
        ],
    );
}

#[test]
fn room_that_is_being_made_is_not_for_others() {
    let mut c = cluster(&[("a", &[])]);
    let high = pod("high 10 3", |_| {});
    c.nominate(&high, "a");
    check(&mut c, &pod("small 1 1", |_| {}), &[], expect!["fits on a"]);
    check(
        &mut c,
        &pod("large 1 2", |_| {}),
        &[],
        expect![
            "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
        ],
    );
    check(&mut c, &high, &[], expect!["fits on a"]);
    check(&mut c, &pod("higher 11 4", |_| {}), &[], expect!["fits on a"]);
}

#[test]
fn budgets_are_broken_last() {
    let budget = |app: &str, allowed: i32| {
        let json = json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": app, "namespace": "default"},
            "spec": {"selector": {"matchLabels": {"app": app}}},
            "status": {"disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1},
        });
        let pdb = PodDisruptionBudget::from_json(json.to_string().as_bytes()).expect("pdb");
        Budget::new(&pdb).expect("a selector")
    };
    let high = pod("high 10 2", |_| {});
    let mut c = cluster(&[("a", &["one 1 2", "two 2 2"])]);
    check(&mut c, &high, &[budget("one", 0)], expect!["a: two"]);
    check(&mut c, &high, &[budget("one", 1)], expect!["a: one"]);
    let mut c = cluster(&[("a", &["one 1 4"]), ("b", &["two 5 4"])]);
    check(&mut c, &high, &[budget("one", 0)], expect!["b: two"]);
    check(&mut c, &high, &[budget("one", 0), budget("two", 0)], expect!["a: one"]);
}
