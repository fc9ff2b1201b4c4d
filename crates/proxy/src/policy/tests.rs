use std::fmt::Write as _;

use expect_test::{Expect, expect};
use serde_json::json;

use super::table::{Peers, Ports};
use super::*;

/// Pods of these tests: name, labels, node, address, and a named port with its number.
const PODS: &[(&str, &str, &str, &str, &str, u16)] = &[
    ("a/web", "app=web", "here", "10.0.0.1", "http", 8080),
    ("a/db", "app=db", "here", "10.0.0.2", "sql", 5432),
    ("a/far", "app=web", "there", "10.0.1.1", "http", 9090),
    ("b/client", "app=client", "there", "10.0.1.2", "http", 80),
    ("b/local", "app=client", "here", "fd00::3", "http", 80),
];

fn pods() -> Vec<Member> {
    let pod = |(name, labels, node, address, port, number): &(&str, &str, &str, &str, &str, u16)| {
        let (namespace, name) = name.split_once('/').unwrap();
        let (key, value) = labels.split_once('=').unwrap();
        let json = json!({
            "metadata": {"namespace": namespace, "name": name, "labels": {key: value}},
            "spec": {"nodeName": node, "containers": [
                {"name": "c", "ports": [{"name": port, "containerPort": number, "protocol": "TCP"}]}
            ]},
            "status": {"podIPs": [{"ip": address}]},
        });
        Member::of(&Pod::from_json(json.to_string().as_bytes()).unwrap()).unwrap()
    };
    PODS.iter().map(pod).collect()
}

fn namespaces() -> BTreeMap<String, BTreeMap<String, String>> {
    ["a", "b"].map(|n| (n.to_owned(), [("name".to_owned(), n.to_owned())].into())).into()
}

fn compiled(specs: &[serde_json::Value]) -> Table {
    let policy = |spec: &serde_json::Value| {
        let json = json!({"metadata": {"namespace": "a", "name": "p"}, "spec": spec});
        let mut policy = NetworkPolicy::from_json(json.to_string().as_bytes()).unwrap();
        resources::Strategy::default(&resources::networking::network_policy::Strategy, &mut policy);
        policy
    };
    let policies: Vec<NetworkPolicy> = specs.iter().map(policy).collect();
    let pods = pods();
    compile::compile(&policies, &pods.iter().collect::<Vec<_>>(), &namespaces(), "here")
}

fn shown(table: &Table) -> String {
    let mut out = String::new();
    for (what, pods) in [("to", &table.ingress), ("from", &table.egress)] {
        for (address, chain) in pods {
            writeln!(out, "{what} {address}:").unwrap();
            let line = |allow: &table::Allow| {
                let peers = match &allow.peers {
                    Peers::Everybody => "everybody".to_owned(),
                    Peers::Set(set) => format!("{:?}", table.sets[set]),
                    Peers::Block(block) => format!("{:?}", table.blocks[block]),
                };
                let port = match allow.port {
                    Ports::All => String::new(),
                    Ports::Protocol(protocol) => format!(" {protocol}"),
                    Ports::Range(protocol, first, last) if first == last => format!(" {protocol} {first}"),
                    Ports::Range(protocol, first, last) => format!(" {protocol} {first}-{last}"),
                };
                format!("    {peers}{port}\n")
            };
            let mut lines: Vec<String> = table.chains[chain].iter().map(line).collect();
            lines.sort();
            out.extend(lines);
        }
    }
    out
}

/// The table that policies with these specs, in namespace a, make for the node `here`.
#[track_caller]
fn check(specs: &[serde_json::Value], expect: Expect) {
    expect.assert_eq(&shown(&compiled(specs)));
}

#[test]
fn nothing_is_filtered_without_a_policy() {
    check(&[], expect![[""]]);
    // Nor what is elsewhere, or in another namespace.
    check(&[json!({"podSelector": {"matchLabels": {"app": "client"}}})], expect![[""]]);
}

#[test]
fn default_deny() {
    check(
        &[json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})],
        expect![[r#"
            to 10.0.0.1:
            to 10.0.0.2:
            from 10.0.0.1:
            from 10.0.0.2:
        "#]],
    );
}

#[test]
fn everybody_may() {
    check(
        &[json!({"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{}]})],
        expect![[r#"
            to 10.0.0.2:
                everybody
        "#]],
    );
}

#[test]
fn peers() {
    let db = json!({"matchLabels": {"app": "db"}});
    check(
        &[
            json!({"podSelector": db, "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]}),
        ],
        expect![[r#"
            to 10.0.0.2:
                {10.0.0.1, 10.0.1.1}
        "#]],
    );
    check(
        &[
            json!({"podSelector": db, "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"name": "b"}}}]}]}),
        ],
        expect![[r#"
            to 10.0.0.2:
                {10.0.1.2, fd00::3}
        "#]],
    );
    check(
        &[
            json!({"podSelector": db, "egress": [{"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}]}],
            "policyTypes": ["Egress"]}),
        ],
        expect![[r#"
            from 10.0.0.2:
                {10.0.0.1, 10.0.1.1}
        "#]],
    );
}

#[test]
fn blocks() {
    check(
        &[json!({"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{
            "from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.128.0.0/9", "10.0.0.0/10"]}}]
        }]})],
        expect![[r#"
            to 10.0.0.2:
                [10.64.0.0/10]
        "#]],
    );
    // Host bits do not count.
    check(
        &[
            json!({"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.1.2.3/8"}}]}]}),
        ],
        expect![[r#"
            to 10.0.0.2:
                [10.0.0.0/8]
        "#]],
    );
}

#[test]
fn ports() {
    check(
        &[json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"ports": [
            {"port": 80}, {"port": 8000, "endPort": 8100, "protocol": "UDP"}, {"protocol": "SCTP"}, {"port": "http"}, {"port": "none"}
        ]}]})],
        expect![[r#"
            to 10.0.0.1:
                everybody sctp
                everybody tcp 80
                everybody tcp 8080
                everybody udp 8000-8100
        "#]],
    );
}

/// A name is the destination's: another number in every peer.
#[test]
fn named_ports_of_peers() {
    check(
        &[json!({"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Egress"], "egress": [{
            "to": [{"podSelector": {}}], "ports": [{"port": "http"}]
        }]})],
        expect![[r#"
            from 10.0.0.2:
                {10.0.0.1} tcp 8080
                {10.0.1.1} tcp 9090
        "#]],
    );
}

#[test]
fn policies_add_up() {
    let db = json!({"matchLabels": {"app": "db"}});
    check(
        &[
            json!({"podSelector": {}}),
            json!({"podSelector": db, "ingress": [{"ports": [{"port": 1}]}]}),
            json!({"podSelector": db, "ingress": [{"ports": [{"port": 2}]}]}),
        ],
        expect![[r#"
            to 10.0.0.1:
            to 10.0.0.2:
                everybody tcp 1
                everybody tcp 2
        "#]],
    );
}

/// Another pod among the peers changes a set's members, and no rule.
#[test]
fn rules_stay_while_peers_come_and_go() {
    let spec =
        json!({"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"from": [{"podSelector": {}}]}]});
    let before = compiled(&[spec]);
    let mut pods = pods();
    pods.remove(2);
    let policies = {
        let json = json!({"metadata": {"namespace": "a", "name": "p"}, "spec": {
            "podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"from": [{"podSelector": {}}]}], "policyTypes": ["Ingress"]}});
        [NetworkPolicy::from_json(json.to_string().as_bytes()).unwrap()]
    };
    let after = compile::compile(&policies, &pods.iter().collect::<Vec<_>>(), &namespaces(), "here");
    assert_eq!((&before.chains, &before.ingress), (&after.chains, &after.ingress));
    assert_ne!(before.sets, after.sets);
}

#[test]
fn pods_of_the_hosts_network_are_not_filtered() {
    let pod = |spec: serde_json::Value, status: serde_json::Value| {
        let json = json!({"metadata": {"namespace": "a", "name": "p"}, "spec": spec, "status": status});
        Member::of(&Pod::from_json(json.to_string().as_bytes()).unwrap()).is_some()
    };
    let addressed = json!({"podIPs": [{"ip": "10.0.0.1"}]});
    assert!(pod(json!({"containers": []}), addressed.clone()));
    assert!(!pod(json!({"containers": [], "hostNetwork": true}), addressed));
    assert!(!pod(json!({"containers": []}), json!({})));
    assert!(!pod(json!({"containers": []}), json!({"phase": "Failed", "podIPs": [{"ip": "10.0.0.1"}]})));
}
