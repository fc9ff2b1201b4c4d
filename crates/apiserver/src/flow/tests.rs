use std::fmt::Write as _;

use expect_test::expect;
use futures::FutureExt as _;
use k8s_openapi::api::flowcontrol::v1::PriorityLevelConfigurationSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;
use stdx::SystemClock;

use super::*;

/// A user, optional groups, a method and a URL; and where that belongs.
fn placed(cases: &str) -> String {
    let flow = Flow::new(SystemClock::shared());
    let mut out = String::new();
    for case in cases.trim().lines().map(str::trim) {
        let [user, groups, method, url] = case.split(' ').collect::<Vec<_>>()[..] else { panic!("{case}") };
        let place = place(&flow, user, &groups.split(',').collect::<Vec<_>>(), method, url);
        writeln!(out, "{case}: {}", place.schema().map_or("nowhere", |s| s.rules.name())).unwrap();
    }
    out
}

fn place(flow: &Flow, user: &str, groups: &[&str], method: &str, url: &str) -> Place {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let user = UserInfo::new(user, groups);
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    flow.place(&user, &method, &Path::parse(path), &Params::parse(query).unwrap())
}

#[test]
fn the_suggested_schemas() {
    let got = placed(
        "admin system:masters,system:authenticated GET /api/v1/pods
        jane system:authenticated GET /api/v1/pods
        jane system:authenticated GET /livez
        jane system:authenticated GET /version
        system:anonymous system:unauthenticated GET /version
        system:kube-scheduler system:authenticated PUT /apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x
        system:kube-scheduler system:authenticated GET /api/v1/pods?watch=1
        system:kube-controller-manager system:authenticated GET /api/v1/namespaces/a/endpoints/x
        system:kube-controller-manager system:authenticated GET /api/v1/namespaces/a/pods
        system:serviceaccount:kube-system:x system:serviceaccounts,system:authenticated GET /api/v1/pods
        system:serviceaccount:kube-system:x system:serviceaccounts PUT /apis/coordination.k8s.io/v1/namespaces/a/leases/x
        system:serviceaccount:default:x system:serviceaccounts GET /api/v1/pods
        system:node:n system:nodes PATCH /api/v1/nodes/n/status
        system:node:n system:nodes PUT /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n
        system:node:n system:nodes GET /api/v1/pods
        nobody none GET /version",
    );
    expect![[r#"
        admin system:masters,system:authenticated GET /api/v1/pods: exempt
        jane system:authenticated GET /api/v1/pods: global-default
        jane system:authenticated GET /livez: probes
        jane system:authenticated GET /version: global-default
        system:anonymous system:unauthenticated GET /version: global-default
        system:kube-scheduler system:authenticated PUT /apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x: system-leader-election
        system:kube-scheduler system:authenticated GET /api/v1/pods?watch=1: kube-scheduler
        system:kube-controller-manager system:authenticated GET /api/v1/namespaces/a/endpoints/x: endpoint-controller
        system:kube-controller-manager system:authenticated GET /api/v1/namespaces/a/pods: kube-controller-manager
        system:serviceaccount:kube-system:x system:serviceaccounts,system:authenticated GET /api/v1/pods: kube-system-service-accounts
        system:serviceaccount:kube-system:x system:serviceaccounts PUT /apis/coordination.k8s.io/v1/namespaces/a/leases/x: system-leader-election
        system:serviceaccount:default:x system:serviceaccounts GET /api/v1/pods: service-accounts
        system:node:n system:nodes PATCH /api/v1/nodes/n/status: system-node-high
        system:node:n system:nodes PUT /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n: system-node-high
        system:node:n system:nodes GET /api/v1/pods: system-nodes
        nobody none GET /version: nowhere
    "#]]
    .assert_eq(&got);
}

#[test]
fn shares_become_seats() {
    let levels = bootstrap::priority_levels();
    let mut out = String::new();
    for (level, seats) in levels.iter().zip(level::seats(600, &levels)) {
        writeln!(
            out,
            "{}: own {}, lent {}, of the pool {}",
            level.name(),
            seats.own,
            seats.lendable,
            seats.of_pool
        )
        .unwrap();
    }
    expect![[r#"
        exempt: own 0, lent 0, of the pool 600
        catch-all: own 13, lent 0, of the pool 600
        system: own 50, lent 24, of the pool 624
        node-high: own 73, lent 25, of the pool 625
        leader-election: own 25, lent 0, of the pool 600
        workload-high: own 49, lent 49, of the pool 649
        workload-low: own 24, lent 221, of the pool 821
        global-default: own 24, lent 25, of the pool 625
    "#]]
    .assert_eq(&out);
}

/// One level for everybody but the exempt: so many seats, queues, and so many in each.
fn one_level(seats: i32, queues: i32, length: i32) -> Arc<Flow> {
    let flow = Flow::new(SystemClock::shared());
    flow.set_concurrency(usize::try_from(seats).unwrap());
    let spec: PriorityLevelConfigurationSpec = serde_json::from_value(json!({
        "type": "Limited",
        "limited": {
            "nominalConcurrencyShares": 1_000_000,
            "lendablePercent": 0,
            "borrowingLimitPercent": 0,
            "limitResponse": {"type": "Queue", "queuing": {"queues": queues, "handSize": 1, "queueLengthLimit": length}},
        },
    }))
    .unwrap();
    let metadata = ObjectMeta { name: Some("global-default".into()), ..ObjectMeta::default() };
    let level = PriorityLevelConfiguration { metadata, spec, status: None };
    flow.configure(bootstrap::flow_schemas(), vec![level]);
    flow
}

fn enter(flow: &Flow, user: &str) -> futures::future::BoxFuture<'static, Result<Seat, u16>> {
    let groups = if user == "admin" { "system:masters" } else { "system:authenticated" };
    let place = place(flow, user, &[groups], "GET", "/api/v1/pods");
    async move { place.enter().await.map_err(|status| status.code) }.boxed()
}

#[tokio::test]
async fn who_finds_no_seat_waits_and_who_finds_no_place_comes_again() {
    let flow = one_level(1, 1, 2);
    let first = enter(&flow, "jane").await.unwrap();
    let (mut second, mut third) = (enter(&flow, "jane"), enter(&flow, "jane"));
    assert!((&mut second).now_or_never().is_none());
    assert!((&mut third).now_or_never().is_none());
    assert_eq!(enter(&flow, "jane").await.err(), Some(429));
    // The exempt never wait.
    assert!(enter(&flow, "admin").now_or_never().unwrap().is_ok());
    drop(first);
    let second = second.await.unwrap();
    assert!((&mut third).now_or_never().is_none());
    // Who goes away leaves its place, and its seat, to others.
    drop(third);
    let mut fourth = enter(&flow, "jane");
    assert!((&mut fourth).now_or_never().is_none());
    drop(second);
    drop(fourth);
    assert!(enter(&flow, "jane").now_or_never().unwrap().is_ok());
}

#[tokio::test]
async fn a_noisy_flow_keeps_only_itself_waiting() {
    let flow = one_level(2, 64, 300);
    let mut running: Vec<_> =
        vec![enter(&flow, "noisy").await.unwrap(), enter(&flow, "noisy").await.unwrap()];
    let mut noisy: Vec<_> = (0..200).map(|_| enter(&flow, "noisy")).collect();
    for one in &mut noisy {
        assert!(one.now_or_never().is_none());
    }
    let mut quiet = enter(&flow, "jane");
    assert!((&mut quiet).now_or_never().is_none());
    // Two requests end: one of their seats is the noisy one's, the other jane's.
    running.clear();
    let seat = quiet.await.unwrap();
    drop(seat);
    for one in noisy {
        drop(one.await.unwrap());
    }
    assert!(enter(&flow, "noisy").now_or_never().unwrap().is_ok());
}

/// Nobody is forgotten when seats come free while others look for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_for_ever() {
    let flow = one_level(3, 8, 10_000);
    let users = ["a", "b", "c", "d"];
    let tasks: Vec<_> = (0..8)
        .map(|i| {
            let flow = flow.clone();
            tokio::spawn(async move {
                for _ in 0..2000 {
                    let seat = enter(&flow, users[i % 4]).await.unwrap();
                    tokio::task::yield_now().await;
                    drop(seat);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn lent_seats_are_for_whoever_comes() {
    let flow = Flow::new(SystemClock::shared());
    flow.set_concurrency(100);
    let seats = level::seats(100, &bootstrap::priority_levels());
    let lent: usize = seats.iter().map(|s| s.lendable).sum();
    let own = seats.last().unwrap().own;
    let taken: Vec<_> =
        (0..own + lent).map(|_| enter(&flow, "jane").now_or_never().unwrap().unwrap()).collect();
    let mut waiting = enter(&flow, "jane");
    assert!((&mut waiting).now_or_never().is_none());
    // What others have for themselves is still there.
    let node = place(&flow, "system:node:n", &["system:nodes"], "GET", "/api/v1/pods");
    assert!(node.enter().now_or_never().unwrap().is_ok());
    drop(taken);
    assert!(waiting.await.is_ok());
}

#[test]
fn a_schema_without_its_level_does_not_count() {
    let flow = Flow::new(SystemClock::shared());
    flow.configure(bootstrap::flow_schemas(), Vec::new());
    let place = place(&flow, "jane", &["system:authenticated"], "GET", "/api/v1/pods");
    assert_eq!(place.schema().map(|s| s.rules.name()), Some("catch-all"));
}

/// Not a test of speed, but the figure is printed: `cargo test -p apiserver --release flow::tests::how_long -- --nocapture`.
#[test]
fn how_long_it_takes() {
    let flow = Flow::new(SystemClock::shared());
    let user = UserInfo::new("jane", &["system:authenticated"]);
    let (path, params) = (Path::parse("/api/v1/namespaces/a/pods/x"), Params::parse("").unwrap());
    let clock = SystemClock::shared();
    let before = clock.monotonic();
    const ROUNDS: u32 = 100_000;
    for _ in 0..ROUNDS {
        let place = flow.place(&user, &Method::GET, &path, &params);
        drop(place.enter().now_or_never().unwrap());
    }
    println!("{:?} for a request that finds a seat", (clock.monotonic() - before) / ROUNDS);
}
