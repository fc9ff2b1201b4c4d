//! The whole proxy against a fake API and the real kernel, each test in network namespaces of its own. Needs root.

mod lab;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::UdpSocket;

use k8s_openapi::api::core::v1::{Event, Node, Service};
use lab::{Lab, NODE, POD_A, POD_B, WORLD};
use nlink::netlink::nftables::{BaseChain, Chain, Family, FilterHook, Policy, Priority};
use nlink::netlink::{Connection, Nftables};

const WEB: &str = r#"[{"name": "web", "port": 8080}]"#;
const DNS: &str = r#"[{"name": "dns", "port": 5353, "protocol": "UDP"}]"#;
const READY: &str = r#"{"ready": true}"#;

/// A service whose two pods answer.
fn web(lab: &Lab, more: &str) {
    lab.service(&format!(
        r#"{{"clusterIP": "10.43.0.5", "ports": [{{"port": 80, "name": "web", "nodePort": 30080}}] {more}}}"#
    ));
    lab.slice(WEB, &[(POD_A, READY), (POD_B, READY)]);
    for pod in [POD_A, POD_B] {
        lab.serve_tcp(pod, 8080);
    }
}

/// Everybody who answers when asked often.
fn answers(lab: &Lab, from: &str, to: &str) -> BTreeSet<String> {
    lab.eventually(&format!("{to} answers {from}"), || lab.ask(from, to).is_ok());
    (0..40).map(|_| lab.ask(from, to).expect("an answer").by).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

/// The error of who is not answered, and that it comes at once.
#[track_caller]
fn refused(lab: &Lab, from: &str, to: &str) {
    lab.eventually("it is refused", || {
        lab.ask(from, to).is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused)
    });
}

#[test]
fn a_cluster_ip_balances_for_pods_and_the_node() {
    Lab::run("balance", |lab| {
        lab.service(
            r#"{"clusterIP": "10.43.0.5", "ports": [{"port": 80, "name": "web"}, {"port": 53, "name": "dns", "protocol": "UDP"}]}"#,
        );
        lab.slice(
            r#"[{"name": "web", "port": 8080}, {"name": "dns", "port": 5353, "protocol": "UDP"}]"#,
            &[(POD_A, "{}"), (POD_B, "{}")],
        );
        for pod in [POD_A, POD_B] {
            lab.serve_tcp(pod, 8080);
            lab.serve_udp(pod, 5353);
        }
        for from in [POD_A, NODE] {
            assert_eq!(answers(lab, from, "10.43.0.5:80"), set(&[POD_A, POD_B]), "from {from}");
            let by_udp: BTreeSet<String> =
                (0..40).map(|_| lab.ask_udp(from, "10.43.0.5:53").expect("an answer").by).collect();
            assert_eq!(by_udp, set(&[POD_A, POD_B]), "UDP from {from}");
        }
        // A pod is seen as itself, unless it meets itself.
        let seen = (0..40).map(|_| lab.ask(POD_A, "10.43.0.5:80").expect("an answer"));
        for answer in seen {
            let expected = if answer.by == POD_A { "10.42.0.1" } else { POD_A };
            assert_eq!(answer.to, expected, "{answer:?}");
        }
        refused(lab, POD_A, "10.43.0.5:81");
        refused(lab, NODE, "10.43.0.5:81");
        // A machine that knows only its own network.
        lab.lose_default_route();
        assert_eq!(answers(lab, NODE, "10.43.0.5:80"), set(&[POD_A, POD_B]));
        let elsewhere = lab.ask(NODE, "198.51.100.1:80").expect_err("nobody leads there");
        assert_eq!(elsewhere.kind(), ErrorKind::NetworkUnreachable);
        lab.inside(NODE, || lab.block_on(crate::remove()).expect("remove"));
        let gone = lab.ask(NODE, "10.43.0.5:80").expect_err("nothing is left");
        assert_eq!(gone.kind(), ErrorKind::NetworkUnreachable);
    });
}

#[test]
fn the_world_comes_in_by_node_ports_and_external_addresses() {
    Lab::run("external", |lab| {
        web(lab, r#", "type": "NodePort", "externalIPs": ["198.51.100.7"]"#);
        lab.route(WORLD, "198.51.100.7", NODE);
        for to in ["192.0.2.1:30080", "198.51.100.7:80"] {
            for from in [WORLD, POD_A, NODE] {
                assert_eq!(answers(lab, from, to), set(&[POD_A, POD_B]), "{to} from {from}");
            }
        }
        // Masqueraded, since another node could not answer the world by itself.
        assert_eq!(lab.ask(WORLD, "192.0.2.1:30080").expect("an answer").to, "10.42.0.1");
        // Node ports are the node's own address's alone.
        refused(lab, NODE, "127.0.0.1:30080");
        refused(lab, POD_A, "10.42.0.1:30080");
    });
}

#[test]
fn a_balancers_address_is_for_wanted_sources() {
    Lab::run("sources", |lab| {
        let spec = |ranges: &str| {
            format!(
                r#"{{"clusterIP": "10.43.0.5", "type": "LoadBalancer", "ports": [{{"port": 80, "name": "web", "nodePort": 30080}}],
                     "loadBalancerSourceRanges": [{ranges}], "balancer": "198.51.100.9"}}"#
            )
        };
        lab.route(WORLD, "198.51.100.9", NODE);
        lab.service(&spec(r#""192.0.2.0/24""#));
        lab.slice(WEB, &[(POD_A, READY), (POD_B, READY)]);
        for pod in [POD_A, POD_B] {
            lab.serve_tcp(pod, 8080);
        }
        assert_eq!(answers(lab, WORLD, "198.51.100.9:80"), set(&[POD_A, POD_B]));
        lab.api.edit::<Service>("default", "web", |service| {
            let spec = service.spec.get_or_insert_default();
            spec.load_balancer_source_ranges = Some(vec!["203.0.113.0/24".into()]);
        });
        // Silence, not a refusal: who is not wanted learns nothing.
        lab.eventually("others are dropped", || {
            lab.ask(WORLD, "198.51.100.9:80")
                .is_err_and(|e| matches!(e.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock))
        });
        // That is about the balancer's address alone.
        assert_eq!(answers(lab, WORLD, "192.0.2.1:30080"), set(&[POD_A, POD_B]));
        assert_eq!(answers(lab, POD_A, "10.43.0.5:80"), set(&[POD_A, POD_B]));
    });
}

#[test]
fn hints_keep_clients_near() {
    Lab::run("hints", |lab| {
        lab.api.edit::<Node>("", "node1", |node| {
            let labels = node.metadata.labels.get_or_insert_default();
            labels.insert("topology.kubernetes.io/zone".into(), "east".into());
        });
        web(lab, r#", "trafficDistribution": "PreferClose""#);
        let hinted = |a: &str, b: &str| {
            let zone = |z: &str| format!(r#"{{"ready": true, "zone": "{z}"}}"#);
            lab.set_slice(WEB, &[(POD_A, &zone(a)), (POD_B, &zone(b))]);
        };
        hinted("east", "west");
        lab.eventually("the near one answers", || answers(lab, POD_B, "10.43.0.5:80") == set(&[POD_A]));
        hinted("west", "east");
        lab.eventually("the other is near now", || answers(lab, POD_B, "10.43.0.5:80") == set(&[POD_B]));
        // Nobody near: everybody.
        hinted("west", "west");
        lab.eventually("all answer", || answers(lab, POD_B, "10.43.0.5:80") == set(&[POD_A, POD_B]));
    });
}

#[test]
fn a_local_policy_keeps_the_clients_address() {
    Lab::run("local", |lab| {
        web(lab, r#", "type": "NodePort", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30999"#);
        assert_eq!(answers(lab, WORLD, "192.0.2.1:30080"), set(&[POD_A, POD_B]));
        assert_eq!(lab.ask(WORLD, "192.0.2.1:30080").expect("an answer").to, WORLD);
        lab.eventually("the balancer hears of two", || {
            let text = lab.http(WORLD, "192.0.2.1:30999").unwrap_or_default();
            text.starts_with("HTTP/1.1 200") && text.contains(r#""localEndpoints":2"#)
        });
        // One node further: this one is silent towards the world, and serves its own.
        lab.set_slice_on("node2", WEB, &[(POD_A, READY), (POD_B, READY)]);
        lab.eventually("the balancer hears of none", || {
            lab.http(WORLD, "192.0.2.1:30999").unwrap_or_default().starts_with("HTTP/1.1 503")
        });
        lab.eventually("it is silent", || {
            lab.ask(WORLD, "192.0.2.1:30080")
                .is_err_and(|e| matches!(e.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock))
        });
        assert_eq!(answers(lab, POD_A, "192.0.2.1:30080"), set(&[POD_A, POD_B]));
        assert_eq!(answers(lab, NODE, "192.0.2.1:30080"), set(&[POD_A, POD_B]));
    });
}

#[test]
fn without_endpoints_it_is_refused_at_once() {
    Lab::run("dead", |lab| {
        web(lab, r#", "type": "NodePort""#);
        assert_eq!(answers(lab, POD_A, "10.43.0.5:80"), set(&[POD_A, POD_B]));
        lab.set_slice(WEB, &[(POD_A, r#"{"ready": false}"#), (POD_B, READY)]);
        lab.eventually("only one is left", || {
            (0..20).all(|_| lab.ask(POD_A, "10.43.0.5:80").is_ok_and(|a| a.by == POD_B))
        });
        // Ending, but still serving: better than nobody.
        lab.set_slice(WEB, &[(POD_A, r#"{"ready": false, "serving": true, "terminating": true}"#)]);
        lab.eventually("the one that ends answers", || {
            lab.ask(POD_B, "10.43.0.5:80").is_ok_and(|a| a.by == POD_A)
        });
        lab.set_slice(WEB, &[(POD_A, r#"{"ready": false}"#)]);
        for (from, to) in [
            (POD_A, "10.43.0.5:80"),
            (NODE, "10.43.0.5:80"),
            (WORLD, "192.0.2.1:30080"),
            (NODE, "192.0.2.1:30080"),
        ] {
            refused(lab, from, to);
        }
    });
}

#[test]
fn a_client_stays_with_its_endpoint() {
    Lab::run("affinity", |lab| {
        web(
            lab,
            r#", "type": "NodePort", "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 600}}"#,
        );
        let first = answers(lab, WORLD, "192.0.2.1:30080");
        assert_eq!(first.len(), 1, "{first:?}");
        let stays = first.first().expect("one").clone();
        let goes = if stays == POD_A { POD_B } else { POD_A };
        // Nor does a table that is written anew make it forget.
        lab.flush();
        assert_eq!(answers(lab, WORLD, "192.0.2.1:30080"), first);
        lab.restart();
        assert_eq!(answers(lab, WORLD, "192.0.2.1:30080"), first);
        // What happens to others does not make it forget.
        lab.set_slice(WEB, &[(&stays, READY)]);
        assert_eq!(answers(lab, WORLD, "192.0.2.1:30080"), first);
        lab.set_slice(WEB, &[(POD_A, READY), (POD_B, READY)]);
        assert_eq!(answers(lab, WORLD, "192.0.2.1:30080"), first);
        // Its own endpoint's end does.
        lab.set_slice(WEB, &[(goes, READY)]);
        lab.eventually("it is led to the other", || {
            lab.ask(WORLD, "192.0.2.1:30080").is_ok_and(|a| a.by == goes)
        });
        lab.set_slice(WEB, &[(POD_A, READY), (POD_B, READY)]);
        assert_eq!(answers(lab, WORLD, "192.0.2.1:30080"), set(&[goes]));
    });
}

#[test]
fn the_same_by_the_newer_protocol() {
    Lab::run("v6", |lab| {
        lab.service(
            r#"{"clusterIP": "fd43::5", "clusterIPs": ["fd43::5"], "ports": [{"port": 80, "name": "web"}]}"#,
        );
        let (a, b) = (lab::v6(POD_A), lab::v6(POD_B));
        lab.slice(WEB, &[(&a, READY), (&b, READY)]);
        for pod in [POD_A, POD_B] {
            lab.serve_at(pod, &lab::v6(pod), 8080);
        }
        for from in [POD_A, NODE] {
            assert_eq!(answers(lab, from, "[fd43::5]:80"), set(&[&a, &b]), "from {from}");
        }
        refused(lab, POD_A, "[fd43::5]:81");
        refused(lab, NODE, "[fd43::5]:81");
        lab.api.edit::<Service>("default", "web", |service| {
            service.spec.get_or_insert_default().session_affinity = Some("ClientIP".into());
        });
        lab.eventually("a client stays", || answers(lab, POD_A, "[fd43::5]:80").len() == 1);
        let stays = answers(lab, POD_A, "[fd43::5]:80").first().expect("one").clone();
        let other = if stays == a { &b } else { &a };
        lab.set_slice(WEB, &[(other, READY)]);
        lab.eventually("it is led to the other", || {
            lab.ask(POD_A, "[fd43::5]:80").is_ok_and(|answer| answer.by == *other)
        });
        lab.set_slice(WEB, &[]);
        refused(lab, POD_A, "[fd43::5]:80");
    });
}

#[test]
fn udp_flows_leave_endpoints_that_are_gone() {
    Lab::run("udp", |lab| {
        lab.service(
            r#"{"clusterIP": "10.43.0.5", "ports": [{"port": 53, "name": "dns", "protocol": "UDP"}]}"#,
        );
        lab.slice(DNS, &[(POD_A, READY)]);
        lab.serve_udp(POD_A, 5353);
        lab.serve_udp(POD_B, 5353);
        let socket = lab.inside(NODE, || UdpSocket::bind("0.0.0.0:0").expect("bind"));
        lab.eventually("it answers", || Lab::ask_on(&socket, "10.43.0.5:53").is_ok());
        assert_eq!(Lab::ask_on(&socket, "10.43.0.5:53").expect("an answer").by, POD_A);
        lab.set_slice(DNS, &[(POD_B, READY)]);
        lab.eventually("the same flow is led to the other", || {
            Lab::ask_on(&socket, "10.43.0.5:53").is_ok_and(|a| a.by == POD_B)
        });
    });
}

#[test]
fn a_table_that_others_remove_comes_back_and_theirs_stay() {
    Lab::run("heal", |lab| {
        web(lab, "");
        assert_eq!(answers(lab, POD_A, "10.43.0.5:80"), set(&[POD_A, POD_B]));
        let other = || lab.inside(NODE, || lab.block_on(tables(&["foreign"])));
        assert_eq!(other(), ["foreign", crate::TABLE]);
        lab.inside(NODE, || {
            lab.block_on(async {
                let nft = Connection::<Nftables>::new().expect("socket");
                nft.del_table(crate::TABLE, Family::Inet).await.expect("delete");
            });
        });
        assert_eq!(answers(lab, POD_A, "10.43.0.5:80"), set(&[POD_A, POD_B]));
        lab.flush();
        assert_eq!(answers(lab, POD_A, "10.43.0.5:80"), set(&[POD_A, POD_B]));
        assert_eq!(other(), ["foreign", crate::TABLE]);
        // And what a deleted service leaves behind is nothing.
        let before = lab.inside(NODE, || lab.block_on(chains()));
        assert!(before.iter().any(|c| c == "service4/default/web/tcp/web"), "{before:?}");
        lab.api.remove::<Service>("default", "web");
        lab.eventually("its chains are gone", || {
            lab.inside(NODE, || lab.block_on(chains())).iter().all(|c| !c.contains('/'))
        });
    });
}

#[test]
fn a_foreign_chain_that_drops_is_named() {
    Lab::run("foreign", |lab| {
        lab.inside(NODE, || {
            lab.block_on(async {
                let nft = Connection::<Nftables>::new().expect("socket");
                nft.add_table("firewall", Family::Inet).await.expect("table");
                let base = BaseChain::filter(FilterHook::Forward, Priority::Filter).policy(Policy::Drop);
                let chain = Chain::new("firewall", "through").expect("chain").family(Family::Inet).base(base);
                nft.add_chain(chain).await.expect("chain");
            });
        });
        lab.eventually("an event names it", || {
            lab.api.all::<Event>().iter().any(|e| {
                e.reason.as_deref() == Some("ForeignForwardDrop")
                    && e.message.as_deref().is_some_and(|m| m.ends_with(": inet firewall through"))
                    && e.involved_object.name.as_deref() == Some("node1")
            })
        });
    });
}

/// The names of all tables, after making sure that `wanted` are there.
async fn tables(wanted: &[&str]) -> Vec<String> {
    let nft = Connection::<Nftables>::new().expect("socket");
    let list = || async { nft.list_tables().await.expect("list").into_iter().map(|t| t.name).collect() };
    let mut names: Vec<String> = list().await;
    for missing in wanted.iter().filter(|w| !names.iter().any(|n| n == *w)) {
        nft.add_table(*missing, Family::Inet).await.expect("table");
    }
    names = list().await;
    names.sort();
    names
}

async fn chains() -> Vec<String> {
    let nft = Connection::<Nftables>::new().expect("socket");
    nft.list_chains_in(crate::TABLE, Family::Inet).await.expect("list").into_iter().map(|c| c.name).collect()
}
