use codec::Kind as _;
use expect_test::{Expect, expect};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::*;
use crate::rules::Place;

/// A service's spec and endpoints → its part, a line per chain and element. An endpoint is its address, then words: `unready`,
/// `ending` (and still serving), `elsewhere`, `zone=z` and `node=n` (hints).
fn check(spec: &str, ports: &str, endpoints: &[&str], expect: Expect) {
    expect.assert_eq(&show(&part(spec, ports, endpoints, None, &mut ids())));
}

/// Every name wants 1, so that they are 1, 2, 3, …
fn ids() -> Ids {
    Ids { first: |_| 1, ..Ids::default() }
}

fn part(spec: &str, ports: &str, endpoints: &[&str], previous: Option<&Part>, ids: &mut Ids) -> Part {
    let node = Node {
        name: "here".into(),
        zone: Some("east".into()),
        addresses: BTreeSet::from(["192.0.2.1".parse().expect("address")]),
    };
    let slices = [false, true].map(|v6| slice(ports, endpoints.iter().filter(|e| e.contains("::") == v6)));
    render(&service(spec), &slices, &node, previous, ids)
}

fn service(spec: &str) -> Service {
    let spec: serde_json::Value = serde_json::from_str(spec).expect("JSON");
    let status =
        spec.get("balancer").map(|ip| serde_json::json!({"loadBalancer": {"ingress": [{"ip": ip}]}}));
    let object = serde_json::json!({
        "metadata": {"namespace": "ns", "name": "web", "labels": spec.get("labels")},
        "spec": spec,
        "status": status,
    });
    Service::from_json(object.to_string().as_bytes()).expect("a service")
}

fn slice<'a>(ports: &str, endpoints: impl Iterator<Item = &'a &'a str>) -> EndpointSlice {
    let ports: serde_json::Value = serde_json::from_str(ports).expect("JSON");
    let endpoint = |text: &&str| {
        let mut words = text.split(' ');
        let address = words.next().unwrap_or_default();
        let (mut ready, mut serving, mut ending, mut node) = (true, true, false, "here");
        let mut hints = serde_json::json!({});
        for word in words {
            match word.split_once('=') {
                Some(("zone", z)) => hints["forZones"] = serde_json::json!([{ "name": z }]),
                Some(("node", n)) => hints["forNodes"] = serde_json::json!([{ "name": n }]),
                _ => match word {
                    "unready" => (ready, serving) = (false, false),
                    "ending" => (ready, ending) = (false, true),
                    "elsewhere" => node = "there",
                    other => panic!("word {other:?}"),
                },
            }
        }
        serde_json::json!({
            "addresses": [address],
            "nodeName": node,
            "hints": hints,
            "conditions": {"ready": ready, "serving": serving, "terminating": ending},
        })
    };
    let endpoints: Vec<serde_json::Value> = endpoints.map(endpoint).collect();
    let object =
        serde_json::json!({"metadata": {}, "addressType": "IPv4", "ports": ports, "endpoints": endpoints});
    EndpointSlice::from_json(object.to_string().as_bytes()).expect("a slice")
}

fn show(part: &Part) -> String {
    let chains = part.chains.iter().map(|(name, chain)| {
        let steps: Vec<String> = chain.steps.iter().map(|s| format!("{s:?}")).collect();
        format!("{name}: {}\n", steps.join("; ").replace('"', ""))
    });
    let elements = part.elements.iter().filter(|(p, _)| !matches!(p.kind, Kind::Hairpins | Kind::ClusterIps));
    let elements = elements.map(|(place, value)| format!("{} {}\n", show_place(place), show_value(value)));
    chains.chain(elements).collect()
}

fn show_place(place: &Place) -> String {
    let key = match place.key {
        Key::Frontend(ip, protocol, port) => format!("{ip} {protocol} {port}"),
        Key::Port(protocol, port) => format!("{protocol} {port}"),
        Key::Slot(pool, n) => format!("{pool}.{n}"),
        Key::Member(pool, at) => format!("{pool} {at}"),
        Key::Address(ip) => ip.to_string(),
    };
    format!("{:?} {key}", place.kind)
}

fn show_value(value: &Value) -> String {
    match value {
        Value::Present => "in".into(),
        Value::Goto(chain) => format!("→ {chain}"),
        Value::Drop => "drop".into(),
        Value::Endpoint(at) => format!("= {at}"),
    }
}

const WEB: &str = r#"[{"name": "web", "port": 8080}]"#;

#[test]
fn a_cluster_ip_leads_to_ready_endpoints() {
    check(
        r#"{"clusterIP": "10.43.0.5", "ports": [{"name": "web", "port": 80}, {"name": "other", "port": 81}]}"#,
        WEB,
        &["10.42.0.2", "10.42.1.3 elsewhere", "10.42.0.4 unready", "10.42.0.5 ending"],
        expect![[r#"
            service4/ns/web/tcp/web: MasqueradeUnlessPod; Balance { pool: 1, count: 2 }
            Frontends 10.43.0.5 tcp 80 → service4/ns/web/tcp/web
            Dead 10.43.0.5 tcp 81 → reject
            Endpoints 1.0 = 10.42.0.2:8080
            Endpoints 1.1 = 10.42.1.3:8080
        "#]],
    );
}

#[test]
fn who_ends_but_serves_is_better_than_nobody() {
    check(
        r#"{"clusterIP": "10.43.0.5", "ports": [{"name": "web", "port": 80}]}"#,
        WEB,
        &["10.42.0.4 unready", "10.42.0.5 ending"],
        expect![[r#"
            service4/ns/web/tcp/web: MasqueradeUnlessPod; Balance { pool: 1, count: 1 }
            Frontends 10.43.0.5 tcp 80 → service4/ns/web/tcp/web
            Endpoints 1.0 = 10.42.0.5:8080
        "#]],
    );
}

#[test]
fn node_ports_external_addresses_and_balancers() {
    check(
        r#"{"type": "LoadBalancer", "clusterIP": "10.43.0.5", "externalIPs": ["198.51.100.7"], "balancer": "203.0.113.9",
            "loadBalancerSourceRanges": ["192.0.2.0/24", "2001:db8::/32"], "sessionAffinity": "ClientIP",
            "ports": [{"name": "web", "port": 80, "nodePort": 30080}]}"#,
        WEB,
        &["10.42.0.2"],
        expect![[r#"
            external4/ns/web/tcp/web: Masquerade; Goto(service4/ns/web/tcp/web)
            firewall4/ns/web/tcp/web: ReturnFrom([192.0.2.0/24, 203.0.113.9/32]); Drop
            service4/ns/web/tcp/web: MasqueradeUnlessPod; Remember { pool: 1, count: 1, memory: 1, seconds: 10800 }
            Frontends 10.43.0.5 tcp 80 → service4/ns/web/tcp/web
            Frontends 198.51.100.7 tcp 80 → external4/ns/web/tcp/web
            Frontends 203.0.113.9 tcp 80 → external4/ns/web/tcp/web
            NodePorts tcp 30080 → external4/ns/web/tcp/web
            Guarded 203.0.113.9 tcp 80 → firewall4/ns/web/tcp/web
            Endpoints 1.0 = 10.42.0.2:8080
            Members 1 10.42.0.2:8080 in
        "#]],
    );
}

#[test]
fn local_policies() {
    let spec = |more: &str| {
        format!(
            r#"{{"type": "NodePort", "clusterIP": "10.43.0.5", "ports": [{{"name": "web", "port": 80, "nodePort": 30080}}], {more}}}"#
        )
    };
    let both = ["10.42.0.2", "10.42.1.3 elsewhere"];
    check(
        &spec(r#""externalTrafficPolicy": "Local""#),
        WEB,
        &both,
        expect![[r#"
            external4/ns/web/tcp/web: PodsGoto(service4/ns/web/tcp/web); HostGoto(service4/ns/web/tcp/web); Goto(local4/ns/web/tcp/web)
            local4/ns/web/tcp/web: Balance { pool: 2, count: 1 }
            service4/ns/web/tcp/web: MasqueradeUnlessPod; Balance { pool: 1, count: 2 }
            Frontends 10.43.0.5 tcp 80 → service4/ns/web/tcp/web
            NodePorts tcp 30080 → external4/ns/web/tcp/web
            Endpoints 1.0 = 10.42.0.2:8080
            Endpoints 1.1 = 10.42.1.3:8080
            Endpoints 2.0 = 10.42.0.2:8080
        "#]],
    );
    check(
        &spec(r#""externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local""#),
        WEB,
        &["10.42.1.3 elsewhere"],
        expect![[r#"
            external4/ns/web/tcp/web: PodsGoto(service4/ns/web/tcp/web); HostGoto(service4/ns/web/tcp/web)
            service4/ns/web/tcp/web: MasqueradeUnlessPod; Balance { pool: 1, count: 1 }
            NodePorts tcp 30080 → external4/ns/web/tcp/web
            Dead 10.43.0.5 tcp 80 drop
            DeadNodePorts tcp 30080 drop
            Endpoints 1.0 = 10.42.1.3:8080
        "#]],
    );
    check(
        &spec(r#""internalTrafficPolicy": "Local""#),
        WEB,
        &both,
        expect![[r#"
            external4/ns/web/tcp/web: Masquerade; Goto(service4/ns/web/tcp/web)
            internal4/ns/web/tcp/web: MasqueradeUnlessPod; Goto(local4/ns/web/tcp/web)
            local4/ns/web/tcp/web: Balance { pool: 2, count: 1 }
            service4/ns/web/tcp/web: MasqueradeUnlessPod; Balance { pool: 1, count: 2 }
            Frontends 10.43.0.5 tcp 80 → internal4/ns/web/tcp/web
            NodePorts tcp 30080 → external4/ns/web/tcp/web
            Endpoints 1.0 = 10.42.0.2:8080
            Endpoints 1.1 = 10.42.1.3:8080
            Endpoints 2.0 = 10.42.0.2:8080
        "#]],
    );
}

#[test]
fn two_families_and_protocols() {
    check(
        r#"{"clusterIP": "10.43.0.5", "clusterIPs": ["10.43.0.5", "fd43::5"], "ports": [{"name": "dns", "protocol": "UDP", "port": 53}]}"#,
        r#"[{"name": "dns", "port": 5353, "protocol": "UDP"}, {"name": "dns", "port": 5354, "protocol": "TCP"}]"#,
        &["10.42.0.2", "fd42::2"],
        expect![[r#"
            service4/ns/web/udp/dns: MasqueradeUnlessPod; Balance { pool: 1, count: 1 }
            service6/ns/web/udp/dns: MasqueradeUnlessPod; Balance { pool: 2, count: 1 }
            Frontends 10.43.0.5 udp 53 → service4/ns/web/udp/dns
            Frontends fd43::5 udp 53 → service6/ns/web/udp/dns
            Endpoints 1.0 = 10.42.0.2:5353
            Endpoints 2.0 = [fd42::2]:5353
        "#]],
    );
}

#[test]
fn hints_of_node_then_zone_when_all_have_them() {
    let spec = r#"{"clusterIP": "10.43.0.5", "ports": [{"name": "web", "port": 80}]}"#;
    let chosen = |endpoints: &[&str]| {
        let part = part(spec, WEB, endpoints, None, &mut ids());
        let slots = part.pools.values().flat_map(|p| p.slots.iter().map(|e| e.ip.to_string()));
        slots.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(chosen(&["10.42.0.2 zone=east", "10.42.0.3 zone=west"]), "10.42.0.2");
    assert_eq!(chosen(&["10.42.0.2 zone=east node=there", "10.42.0.3 zone=west node=here"]), "10.42.0.3");
    assert_eq!(chosen(&["10.42.0.2 zone=east", "10.42.0.3"]), "10.42.0.2 10.42.0.3");
    assert_eq!(chosen(&["10.42.0.2 zone=west", "10.42.0.3 zone=west"]), "10.42.0.2 10.42.0.3");
}

#[test]
fn nothing_for_services_without_an_address_or_of_another_proxy() {
    for spec in [
        r#"{"clusterIP": "None", "ports": [{"name": "web", "port": 80}]}"#,
        r#"{"type": "ExternalName", "externalName": "example.com", "externalIPs": ["198.51.100.7"], "ports": [{"name": "web", "port": 80}]}"#,
        r#"{"clusterIP": "10.43.0.5", "labels": {"service.kubernetes.io/service-proxy-name": "x"}, "ports": [{"name": "web", "port": 80}]}"#,
    ] {
        assert_eq!(part(spec, WEB, &["10.42.0.2"], None, &mut ids()), Part::default(), "{spec}");
    }
}

#[test]
fn one_that_goes_moves_at_most_one_other() {
    let spec = r#"{"clusterIP": "10.43.0.5", "ports": [{"name": "web", "port": 80}]}"#;
    let mut ids = ids();
    let mut before = part(spec, WEB, &["10.42.0.2", "10.42.0.3", "10.42.0.4", "10.42.0.5"], None, &mut ids);
    let mut next = |endpoints: &[&str]| {
        before = part(spec, WEB, endpoints, Some(&before), &mut ids);
        let pool = before.pools.values().next().expect("a pool");
        let slots: Vec<String> = pool.slots.iter().map(|e| e.ip.to_string()).collect();
        format!("{}: {}", pool.id, slots.join(" "))
    };
    assert_eq!(next(&["10.42.0.2", "10.42.0.4", "10.42.0.5"]), "1: 10.42.0.2 10.42.0.5 10.42.0.4");
    assert_eq!(next(&["10.42.0.1", "10.42.0.4", "10.42.0.5"]), "1: 10.42.0.1 10.42.0.5 10.42.0.4");
    assert_eq!(next(&["10.42.0.4"]), "1: 10.42.0.4");
    assert_eq!(next(&["10.42.0.4", "10.42.0.9"]), "1: 10.42.0.4 10.42.0.9");
    assert_eq!(next(&["10.42.0.7", "10.42.0.8"]), "1: 10.42.0.7 10.42.0.8");
}

#[test]
fn numbers_come_from_names_and_are_given_back() {
    let (mut one, mut other) = (Ids::default(), Ids::default());
    assert_eq!(one.of("service4/ns/web/tcp/web"), other.of("service4/ns/web/tcp/web"));
    assert_ne!(one.of("a"), one.of("b"));
    let mut ids = ids();
    let spec = r#"{"clusterIP": "10.43.0.5", "ports": [{"name": "web", "port": 80}]}"#;
    let before = part(spec, WEB, &["10.42.0.2"], None, &mut ids);
    assert_eq!((ids.of("other"), ids.of("other")), (2, 2));
    ids.free(&before, &before);
    assert_eq!(ids.of("third"), 3);
    ids.free(&before, &Part::default());
    assert_eq!(ids.of("fourth"), 1);
}
