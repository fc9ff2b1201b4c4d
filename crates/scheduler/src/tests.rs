use std::sync::Arc;
use std::time::Duration;

use codec::Kind;
use expect_test::{Expect, expect};
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};
use stdx::Random;

use crate::cycle::schedule;
use crate::plugin::ClusterEvent;
use crate::pod::PodInfo;
use crate::queue::Queue;
use crate::state::Cluster;

fn pod(name: &str, labels: Value, spec: Value) -> Arc<PodInfo> {
    let json = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "default", "uid": format!("uid-{name}"), "labels": labels },
        "spec": spec,
    });
    Arc::new(PodInfo::new(Pod::from_json(json.to_string().as_bytes()).expect("pod")))
}

fn asks(cpu: &str, memory: &str) -> Value {
    json!({ "containers": [{ "name": "c", "image": "i", "resources": { "requests": { "cpu": cpu, "memory": memory } } }] })
}

/// A cluster of nodes a, b, … with 4 CPUs, 8Gi and 10 pods each, in zones z1, z2, z1, …
fn cluster(nodes: usize, change: impl Fn(usize, &mut Value)) -> Cluster {
    let mut cluster = Cluster::default();
    for n in 0..nodes {
        let name = char::from(b'a' + n as u8).to_string();
        let zone = format!("z{}", n % 2 + 1);
        let mut json = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": name, "labels": { "zone": zone, "kubernetes.io/hostname": name, "cores": n.to_string() } },
            "spec": {},
            "status": { "allocatable": { "cpu": "4", "memory": "8Gi", "pods": "10" } },
        });
        change(n, &mut json);
        let node = Node::from_json(json.to_string().as_bytes()).expect("node");
        cluster.set_node(&name, &node);
    }
    cluster
}

/// The nodes (sorted) that the pod may get over many seeds, or why none.
fn check(cluster: &Cluster, pod: &PodInfo, expected: Expect) {
    let mut chosen: Vec<String> = Vec::new();
    for seed in 0..50 {
        match schedule(pod, cluster, &Random::seeded(seed)) {
            Ok(node) => chosen.push(node),
            Err(error) => return expected.assert_eq(&error.to_string()),
        }
    }
    chosen.sort();
    chosen.dedup();
    expected.assert_eq(&chosen.join(" "));
}

#[test]
fn no_nodes() {
    check(
        &cluster(0, |_, _| {}),
        &pod("p", json!({}), asks("1", "1Gi")),
        expect!["no nodes available to schedule pods"],
    );
}

#[test]
fn resources_limit_and_spread() {
    let mut c = cluster(2, |_, _| {});
    check(&c, &pod("p", json!({}), asks("1", "1Gi")), expect!["a b"]);
    c.place(&pod("first", json!({}), asks("2", "1Gi")), "a");
    check(&c, &pod("p", json!({}), asks("1", "1Gi")), expect!["b"]);
    c.place(&pod("second", json!({}), asks("3", "6Gi")), "b");
    check(
        &c,
        &pod("p", json!({}), asks("3", "4Gi")),
        expect!["0/2 nodes are available: 1 Insufficient memory, 2 Insufficient cpu."],
    );
    c.displace("uid-second");
    check(&c, &pod("p", json!({}), asks("3", "4Gi")), expect!["b"]);
}

#[test]
fn init_containers_and_overhead_count() {
    let c = cluster(1, |_, _| {});
    let spec = json!({
        "overhead": { "cpu": "500m" },
        "initContainers": [
            { "name": "s", "image": "i", "restartPolicy": "Always", "resources": { "requests": { "cpu": "1" } } },
            { "name": "i", "image": "i", "resources": { "requests": { "cpu": "3" } } },
        ],
        "containers": [{ "name": "c", "image": "i", "resources": { "requests": { "cpu": "1" } } }],
    });
    let p = pod("p", json!({}), spec);
    assert_eq!(p.requests.milli_cpu, 4500);
    check(&c, &p, expect!["0/1 nodes are available: 1 Insufficient cpu."]);
}

#[test]
fn too_many_pods() {
    let mut c = cluster(1, |_, _| {});
    for n in 0..10 {
        c.place(&pod(&format!("p{n}"), json!({}), json!({ "containers": [] })), "a");
    }
    check(
        &c,
        &pod("p", json!({}), json!({ "containers": [] })),
        expect!["0/1 nodes are available: 1 Too many pods."],
    );
}

#[test]
fn cordons_taints_and_tolerations() {
    let c = cluster(3, |n, node| match n {
        0 => node["spec"] = json!({ "unschedulable": true }),
        1 => node["spec"] = json!({ "taints": [{ "key": "k", "value": "v", "effect": "NoSchedule" }] }),
        _ => node["spec"] = json!({ "taints": [{ "key": "gpu", "effect": "NoExecute" }] }),
    });
    check(
        &c,
        &pod("p", json!({}), asks("1", "1Gi")),
        expect!["0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had untolerated taint(s)."],
    );
    let mut spec = asks("1", "1Gi");
    spec["tolerations"] = json!([{ "key": "k", "operator": "Equal", "value": "v" }]);
    check(&c, &pod("p", json!({}), spec.clone()), expect!["b"]);
    spec["tolerations"] = json!([{ "operator": "Exists" }]);
    check(&c, &pod("p", json!({}), spec), expect!["a b c"]);
}

#[test]
fn node_selector_and_affinity() {
    let c = cluster(4, |_, _| {});
    let mut spec = asks("1", "1Gi");
    spec["nodeSelector"] = json!({ "zone": "z2" });
    check(&c, &pod("p", json!({}), spec.clone()), expect!["b d"]);
    spec["affinity"] = json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
        { "matchExpressions": [{ "key": "cores", "operator": "Gt", "values": ["2"] }] },
        { "matchFields": [{ "key": "metadata.name", "operator": "In", "values": ["a"] }] },
    ] } } });
    check(&c, &pod("p", json!({}), spec.clone()), expect!["d"]);
    spec["nodeSelector"] = json!({ "zone": "z3" });
    check(
        &c,
        &pod("p", json!({}), spec),
        expect!["0/4 nodes are available: 4 node(s) didn't match Pod's node affinity/selector."],
    );
    let mut prefers = asks("1", "1Gi");
    prefers["affinity"] = json!({ "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [
        { "weight": 10, "preference": { "matchExpressions": [{ "key": "zone", "operator": "In", "values": ["z1"] }] } },
    ] } });
    check(&c, &pod("p", json!({}), prefers), expect!["a c"]);
}

#[test]
fn host_ports() {
    let port = |ip: &str| json!({ "containers": [{ "name": "c", "image": "i", "ports": [{ "containerPort": 80, "hostPort": 80, "hostIP": ip }] }] });
    let mut c = cluster(1, |_, _| {});
    c.place(&pod("first", json!({}), port("10.0.0.1")), "a");
    check(&c, &pod("p", json!({}), port("10.0.0.2")), expect!["a"]);
    check(
        &c,
        &pod("p", json!({}), port("")),
        expect!["0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."],
    );
}

#[test]
fn pod_affinity_and_anti_affinity() {
    let term = json!([{ "labelSelector": { "matchLabels": { "app": "web" } }, "topologyKey": "zone" }]);
    let with = |kind: &str| {
        let mut spec = asks("1", "1Gi");
        spec["affinity"] = json!({ kind: { "requiredDuringSchedulingIgnoredDuringExecution": term } });
        spec
    };
    let mut c = cluster(3, |_, _| {});
    check(&c, &pod("self", json!({ "app": "web" }), with("podAffinity")), expect!["a b c"]);
    check(
        &c,
        &pod("p", json!({}), with("podAffinity")),
        expect!["0/3 nodes are available: 3 node(s) didn't match pod affinity rules."],
    );
    c.place(&pod("web", json!({ "app": "web" }), with("podAntiAffinity")), "a");
    check(&c, &pod("p", json!({}), with("podAntiAffinity")), expect!["b"]);
    check(&c, &pod("p", json!({}), with("podAffinity")), expect!["c"]);
    check(&c, &pod("p", json!({ "app": "web" }), asks("1", "1Gi")), expect!["b"]);
    c.place(&pod("other", json!({ "app": "web" }), with("podAntiAffinity")), "b");
    check(
        &c,
        &pod("p", json!({ "app": "web" }), asks("1", "1Gi")),
        expect!["0/3 nodes are available: 3 node(s) didn't satisfy existing pods anti-affinity rules."],
    );
}

#[test]
fn topology_spread() {
    let mut spec = asks("100m", "10Mi");
    spec["topologySpreadConstraints"] = json!([{
        "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": { "matchLabels": { "app": "web" } },
    }]);
    let web = |name: &str| pod(name, json!({ "app": "web" }), spec.clone());
    let mut c = cluster(3, |_, _| {});
    c.place(&web("one"), "a");
    check(&c, &web("p"), expect!["b"]);
    c.place(&web("two"), "b");
    check(&c, &web("p"), expect!["c"]);
    let unlabelled = cluster(1, |_, node| node["metadata"]["labels"] = json!({}));
    check(
        &unlabelled,
        &web("p"),
        expect![
            "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label)."
        ],
    );
}

#[test]
fn the_queue_orders_parks_and_wakes() {
    let mut queue = Queue::default();
    let at = Duration::from_secs;
    let spec = |priority: i32| json!({ "priority": priority, "containers": [] });
    queue.add(pod("low", json!({}), spec(0)));
    queue.add(pod("high", json!({}), spec(10)));
    let pop = |queue: &mut Queue| queue.pop().map(|p| p.key.name.to_string());
    assert_eq!(pop(&mut queue).as_deref(), Some("high"));
    assert_eq!(pop(&mut queue).as_deref(), Some("low"));
    assert_eq!(pop(&mut queue), None);
    queue.park("uid-high", vec!["NodeAffinity"], at(0));
    queue.back_off("uid-low", at(0));
    // Room on a node helps nobody whose affinity was wrong.
    queue.wake(ClusterEvent::PodGone, at(0));
    assert_eq!(pop(&mut queue), None);
    // A node does, but not before the back-off of one second.
    queue.wake(ClusterEvent::Node, at(0));
    assert_eq!(queue.next_timer(), Some(at(1)));
    queue.tick(at(1));
    assert_eq!(pop(&mut queue).as_deref(), Some("high"));
    assert_eq!(pop(&mut queue).as_deref(), Some("low"));
    queue.park("uid-high", vec!["NodeAffinity"], at(1));
    assert_eq!(queue.next_timer(), Some(at(301)));
    queue.remove("uid-high");
    queue.remove("uid-low");
    assert_eq!(queue.next_timer(), None);
}

/// A claim of class `local` (late) or `now` (immediate), bound to `volume` if that is not empty.
fn with_claim(cluster: &mut Cluster, name: &str, class: &str, volume: &str) {
    let key = apimachinery::ObjectKey::new("default", name);
    let mut json = json!({
        "metadata": { "name": name, "namespace": "default", "uid": format!("uid-{name}") },
        "spec": { "accessModes": ["ReadWriteOnce"], "volumeMode": "Filesystem", "storageClassName": class,
                  "resources": { "requests": { "storage": "1Gi" } } },
        "status": { "phase": "Pending" },
    });
    if !volume.is_empty() {
        json["spec"]["volumeName"] = volume.into();
        json["metadata"]["annotations"] = json!({ "pv.kubernetes.io/bind-completed": "yes" });
    }
    cluster.storage.set_claim(&key, Some(read(json)));
    for (class, mode, who) in [
        ("local", "WaitForFirstConsumer", "kubernetes.io/no-provisioner"),
        ("made", "WaitForFirstConsumer", "example.com/disks"),
        ("now", "Immediate", "example.com/disks"),
    ] {
        let object = json!({ "metadata": { "name": class }, "provisioner": who, "volumeBindingMode": mode });
        cluster.storage.set_class(class, Some(read(object)));
    }
}

fn with_volume(cluster: &mut Cluster, name: &str, node: &str) {
    let volume = json!({
        "metadata": { "name": name },
        "spec": { "accessModes": ["ReadWriteOnce"], "volumeMode": "Filesystem", "storageClassName": "local",
                  "capacity": { "storage": "1Gi" }, "nodeAffinity": { "required": { "nodeSelectorTerms": [
                  { "matchExpressions": [{ "key": "kubernetes.io/hostname", "operator": "In", "values": [node] }] }] } } },
        "status": { "phase": "Available" },
    });
    cluster.storage.set_volume(name, Some(read(volume)));
}

fn read<K: Kind>(json: Value) -> K {
    K::from_json(json.to_string().as_bytes()).expect("an object")
}

fn uses(claim: &str) -> Value {
    json!({ "containers": [], "volumes": [{ "name": "v", "persistentVolumeClaim": { "claimName": claim } }] })
}

#[test]
fn where_the_volume_is() {
    let mut c = cluster(3, |_, _| {});
    let user = pod("p", json!({}), uses("data"));
    check(&c, &user, expect![[r#"0/3 nodes are available: persistentvolumeclaim "data" not found."#]]);
    with_claim(&mut c, "data", "now", "");
    check(&c, &user, expect!["0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."]);
    with_claim(&mut c, "data", "now", "v");
    check(
        &c,
        &user,
        expect![
            "0/3 nodes are available: 3 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)."
        ],
    );
    with_volume(&mut c, "v", "b");
    check(&c, &user, expect!["b"]);
    with_volume(&mut c, "v", "z");
    check(
        &c,
        &user,
        expect!["0/3 nodes are available: 3 node(s) didn't match PersistentVolume's node affinity."],
    );
}

#[test]
fn volumes_for_their_first_consumer() {
    let mut c = cluster(3, |_, _| {});
    with_claim(&mut c, "data", "local", "");
    with_claim(&mut c, "more", "local", "");
    let user = pod("p", json!({}), uses("data"));
    check(
        &c,
        &user,
        expect!["0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind."],
    );
    with_volume(&mut c, "on-a", "a");
    with_volume(&mut c, "on-c", "c");
    check(&c, &user, expect!["a c"]);
    let wanted = crate::cycle::provision(&user, &c, "c");
    assert_eq!(format!("{:?}", wanted.bind[0].1), r#""on-c""#);
    // Given away before the volume itself says so.
    c.storage.assume(&wanted);
    check(&c, &pod("q", json!({}), uses("more")), expect!["a"]);
    check(&c, &user, expect!["a c"]);
    c.storage.forget(&wanted);
    check(&c, &pod("q", json!({}), uses("more")), expect!["a c"]);
}

#[test]
fn volumes_that_are_to_be_made() {
    let mut c = cluster(2, |_, _| {});
    with_claim(&mut c, "data", "made", "");
    let user = pod("p", json!({}), uses("data"));
    check(&c, &user, expect!["a b"]);
    assert_eq!(crate::cycle::provision(&user, &c, "b").make.len(), 1);
    let own = json!({ "containers": [], "volumes": [{ "name": "v", "ephemeral": {} }] });
    check(
        &c,
        &pod("own", json!({}), own.clone()),
        expect![[
            r#"0/2 nodes are available: waiting for ephemeral volume controller to create the persistentvolumeclaim "own-v"."#
        ]],
    );
    with_claim(&mut c, "own-v", "made", "");
    check(
        &c,
        &pod("own", json!({}), own),
        expect![
            "0/2 nodes are available: PVC default/own-v was not created for pod default/own (pod is not owner)."
        ],
    );
}

#[test]
fn one_pod_at_a_time() {
    let mut c = cluster(2, |_, _| {});
    with_volume(&mut c, "v", "a");
    with_claim(&mut c, "data", "local", "v");
    let key = apimachinery::ObjectKey::new("default", "data");
    let mut claim = c.storage.claim(&key).expect("the claim").clone();
    claim.spec.as_mut().expect("spec").access_modes = Some(vec!["ReadWriteOncePod".into()]);
    c.storage.set_claim(&key, Some(claim));
    let first = pod("first", json!({}), uses("data"));
    c.place(&first, "a");
    check(
        &c,
        &pod("second", json!({}), uses("data")),
        expect![
            "0/2 nodes are available: 2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode."
        ],
    );
    c.displace(&first.uid);
    check(&c, &pod("second", json!({}), uses("data")), expect!["a"]);
}

#[test]
fn profiles_switch_plugins() {
    use crate::profile::{Point, Profile, Profiles};

    let mut c = cluster(2, |n, node| {
        if n == 0 {
            node["spec"] = json!({ "unschedulable": true });
        }
    });
    let mut lax = Profile::new("lax");
    lax.change(Point::Filter, "NodeUnschedulable", false, None).expect("known");
    lax.change(Point::All, "NodeAffinity", false, None).expect("known");
    assert_eq!(
        lax.change(Point::All, "Astrology", true, None).unwrap_err(),
        "there is no plugin Astrology here"
    );
    c.profiles = Profiles::new(vec![Profile::new("default-scheduler"), lax]).expect("profiles");
    let with = |name: &str| {
        let mut spec = asks("1", "1Gi");
        spec["schedulerName"] = name.into();
        pod("p", json!({}), spec)
    };
    check(&c, &with("default-scheduler"), expect!["b"]);
    check(&c, &with("lax"), expect!["a b"]);
    // The one that has room wins, unless nothing scores.
    c.place(&pod("first", json!({}), asks("2", "1Gi")), "a");
    check(&c, &with("lax"), expect!["b"]);
    let mut blind = Profile::new("blind");
    blind.change(Point::Filter, "NodeUnschedulable", false, None).expect("known");
    blind.change(Point::Score, "*", false, None).expect("all");
    c.profiles = Profiles::new(vec![blind]).expect("profiles");
    check(&c, &with("blind"), expect!["a b"]);
    let twice = Profiles::new(vec![Profile::new("a"), Profile::new("a")]).unwrap_err();
    assert_eq!(twice, "two profiles have the schedulerName \"a\"");
}
