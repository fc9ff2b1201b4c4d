use expect_test::{Expect, expect};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use super::{Found, Zone};
use crate::records::Records;
use apimachinery::ObjectKey;
use codec::Kind;

fn service(records: &mut Records, namespace: &str, name: &str, spec: Value) {
    let object = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    });
    let object = Service::from_json(object.to_string().as_bytes()).unwrap();
    records.set_service(&ObjectKey::new(namespace, name), Some(&object));
}

fn slice(records: &mut Records, name: &str, service: &str, ports: Value, endpoints: Value) {
    let object = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": name, "namespace": "shop", "labels": {"kubernetes.io/service-name": service}},
        "ports": ports, "endpoints": endpoints,
    });
    let object = EndpointSlice::from_json(object.to_string().as_bytes()).unwrap();
    records.set_slice(&ObjectKey::new("shop", name), Some(&object));
}

fn shop() -> Records {
    let mut r = Records::default();
    for namespace in ["default", "shop", "kube-system"] {
        r.set_namespace(&namespace.into(), true);
    }
    let http = json!([{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}]);
    service(
        &mut r,
        "shop",
        "web",
        json!({"clusterIP": "10.43.0.7", "clusterIPs": ["10.43.0.7", "fd00:43::7"], "ports": http}),
    );
    service(&mut r, "shop", "plain", json!({"clusterIP": "10.43.0.8", "ports": [{"port": 80}]}));
    service(&mut r, "shop", "db", json!({"clusterIP": "None", "ports": [{"name": "sql", "port": 5432}]}));
    service(&mut r, "shop", "empty", json!({"clusterIP": "None", "ports": [{"name": "sql", "port": 1}]}));
    service(&mut r, "shop", "away", json!({"type": "ExternalName", "externalName": "shop.example.com"}));
    service(&mut r, "shop", "number", json!({"type": "ExternalName", "externalName": "192.0.2.1"}));
    slice(
        &mut r,
        "db-1",
        "db",
        json!([{"name": "sql", "port": 5432, "protocol": "TCP"}]),
        json!([
            {"addresses": ["10.42.0.5"], "hostname": "db-0", "conditions": {"ready": true}},
            {"addresses": ["10.42.0.6"], "conditions": {}},
            {"addresses": ["10.42.0.9"], "hostname": "db-2", "conditions": {"ready": false}},
        ]),
    );
    slice(
        &mut r,
        "web-1",
        "web",
        json!([{"name": "http", "port": 8080}]),
        json!([{"addresses": ["10.42.0.4"], "conditions": {"ready": true}}]),
    );
    r.set_pod(
        &ObjectKey::new("shop", "db-0"),
        vec!["10.42.0.5".parse().unwrap(), "fd00:42::5".parse().unwrap()],
    );
    for _ in 0..4 {
        r.kind_is_loaded();
    }
    r
}

fn zone() -> Zone {
    let ranges = ["10.42.0.0/16", "10.43.0.0/16", "fd00:43::/112"].map(|r| r.parse().unwrap());
    Zone::new("cluster.local", vec!["10.43.0.10".parse().unwrap()], ranges.into()).unwrap()
}

fn line(record: &Record) -> String {
    format!("{} {} {} {}", record.name, record.ttl, record.record_type(), record.data)
}

fn ask(records: &Records, question: &str) -> String {
    let (name, kind) = question.split_once(' ').unwrap();
    let name = Name::from_ascii(name).unwrap();
    let kind: RecordType = kind.parse().unwrap();
    match zone().find(records, &name, kind, 7) {
        Found::Elsewhere => "elsewhere".into(),
        Found::Alias(target) => format!("an alias of {target}"),
        Found::Here(answer) => {
            assert_eq!(answer.authoritative, answer.code != ResponseCode::ServFail);
            let mut lines: Vec<String> = answer.answers.iter().map(line).collect();
            lines.extend(answer.additionals.iter().map(|r| format!("also {}", line(r))));
            lines.extend(answer.authorities.iter().map(|r| format!("for {} {}", r.ttl, r.name)));
            format!("{:?}\n{}", answer.code, lines.join("\n"))
        }
    }
}

fn check(questions: &[&str], expect: Expect) {
    let records = shop();
    let answers: Vec<String> =
        questions.iter().map(|q| format!("{q}: {}", ask(&records, q).replace('\n', "\n    "))).collect();
    expect.assert_eq(&answers.join("\n"));
}

#[test]
fn services_have_addresses_and_ports() {
    check(
        &[
            "web.shop.svc.cluster.local. A",
            "web.shop.svc.cluster.local. AAAA",
            "WEB.Shop.svc.Cluster.Local. A",
            "web.shop.svc.cluster.local. MX",
            "plain.shop.svc.cluster.local. AAAA",
            "_http._tcp.web.shop.svc.cluster.local. SRV",
            "_dns._udp.web.shop.svc.cluster.local. SRV",
            "_http._udp.web.shop.svc.cluster.local. SRV",
            "_http._tcp.web.shop.svc.cluster.local. A",
            "_tcp.web.shop.svc.cluster.local. SRV",
            "_sctp.web.shop.svc.cluster.local. SRV",
            "_tcp.plain.shop.svc.cluster.local. SRV",
        ],
        expect![[r#"
            web.shop.svc.cluster.local. A: NoError
                web.shop.svc.cluster.local. 5 A 10.43.0.7
            web.shop.svc.cluster.local. AAAA: NoError
                web.shop.svc.cluster.local. 5 AAAA fd00:43::7
            WEB.Shop.svc.Cluster.Local. A: NoError
                WEB.Shop.svc.Cluster.Local. 5 A 10.43.0.7
            web.shop.svc.cluster.local. MX: NoError
                for 5 cluster.local.
            plain.shop.svc.cluster.local. AAAA: NoError
                for 5 cluster.local.
            _http._tcp.web.shop.svc.cluster.local. SRV: NoError
                _http._tcp.web.shop.svc.cluster.local. 5 SRV 0 100 80 web.shop.svc.cluster.local.
                also web.shop.svc.cluster.local. 5 A 10.43.0.7
                also web.shop.svc.cluster.local. 5 AAAA fd00:43::7
            _dns._udp.web.shop.svc.cluster.local. SRV: NoError
                _dns._udp.web.shop.svc.cluster.local. 5 SRV 0 100 53 web.shop.svc.cluster.local.
                also web.shop.svc.cluster.local. 5 A 10.43.0.7
                also web.shop.svc.cluster.local. 5 AAAA fd00:43::7
            _http._udp.web.shop.svc.cluster.local. SRV: NXDomain
                for 5 cluster.local.
            _http._tcp.web.shop.svc.cluster.local. A: NoError
                for 5 cluster.local.
            _tcp.web.shop.svc.cluster.local. SRV: NoError
                for 5 cluster.local.
            _sctp.web.shop.svc.cluster.local. SRV: NXDomain
                for 5 cluster.local.
            _tcp.plain.shop.svc.cluster.local. SRV: NXDomain
                for 5 cluster.local."#]],
    );
}

#[test]
fn headless_services_have_their_ready_endpoints() {
    check(
        &[
            "db.shop.svc.cluster.local. A",
            "db-0.db.shop.svc.cluster.local. A",
            "10-42-0-6.db.shop.svc.cluster.local. A",
            "db-2.db.shop.svc.cluster.local. A",
            "_sql._tcp.db.shop.svc.cluster.local. SRV",
            "_tcp.db.shop.svc.cluster.local. A",
            "empty.shop.svc.cluster.local. A",
            "_sql._tcp.empty.shop.svc.cluster.local. SRV",
            "10-42-0-4.web.shop.svc.cluster.local. A",
        ],
        expect![[r#"
            db.shop.svc.cluster.local. A: NoError
                db.shop.svc.cluster.local. 5 A 10.42.0.5
                db.shop.svc.cluster.local. 5 A 10.42.0.6
            db-0.db.shop.svc.cluster.local. A: NoError
                db-0.db.shop.svc.cluster.local. 5 A 10.42.0.5
            10-42-0-6.db.shop.svc.cluster.local. A: NoError
                10-42-0-6.db.shop.svc.cluster.local. 5 A 10.42.0.6
            db-2.db.shop.svc.cluster.local. A: NXDomain
                for 5 cluster.local.
            _sql._tcp.db.shop.svc.cluster.local. SRV: NoError
                _sql._tcp.db.shop.svc.cluster.local. 5 SRV 0 50 5432 10-42-0-6.db.shop.svc.cluster.local.
                _sql._tcp.db.shop.svc.cluster.local. 5 SRV 0 50 5432 db-0.db.shop.svc.cluster.local.
                also 10-42-0-6.db.shop.svc.cluster.local. 5 A 10.42.0.6
                also db-0.db.shop.svc.cluster.local. 5 A 10.42.0.5
            _tcp.db.shop.svc.cluster.local. A: NoError
                for 5 cluster.local.
            empty.shop.svc.cluster.local. A: NoError
                for 5 cluster.local.
            _sql._tcp.empty.shop.svc.cluster.local. SRV: NoError
                for 5 cluster.local.
            10-42-0-4.web.shop.svc.cluster.local. A: NoError
                10-42-0-4.web.shop.svc.cluster.local. 5 A 10.42.0.4"#]],
    );
}

#[test]
fn what_is_not_there_does_not_exist_and_what_is_may_be_empty() {
    check(
        &[
            "nothing.shop.svc.cluster.local. A",
            "web.nowhere.svc.cluster.local. A",
            "nowhere.svc.cluster.local. A",
            "shop.svc.cluster.local. A",
            "svc.cluster.local. A",
            "cluster.local. A",
            "cluster.local. SOA",
            "cluster.local. NS",
            "ns.dns.cluster.local. A",
            "dns.cluster.local. A",
            "other.cluster.local. A",
            "a.b.web.shop.svc.cluster.local. A",
            "dns-version.cluster.local. TXT",
            "dns-version.cluster.local. A",
            "example.com. A",
            "local. A",
        ],
        expect![[r#"
            nothing.shop.svc.cluster.local. A: NXDomain
                for 5 cluster.local.
            web.nowhere.svc.cluster.local. A: NXDomain
                for 5 cluster.local.
            nowhere.svc.cluster.local. A: NXDomain
                for 5 cluster.local.
            shop.svc.cluster.local. A: NoError
                for 5 cluster.local.
            svc.cluster.local. A: NoError
                for 5 cluster.local.
            cluster.local. A: NoError
                for 5 cluster.local.
            cluster.local. SOA: NoError
                cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. 7 7200 1800 86400 5
            cluster.local. NS: NoError
                cluster.local. 5 NS ns.dns.cluster.local.
            ns.dns.cluster.local. A: NoError
                ns.dns.cluster.local. 5 A 10.43.0.10
            dns.cluster.local. A: NoError
                for 5 cluster.local.
            other.cluster.local. A: NXDomain
                for 5 cluster.local.
            a.b.web.shop.svc.cluster.local. A: NXDomain
                for 5 cluster.local.
            dns-version.cluster.local. TXT: NoError
                dns-version.cluster.local. 5 TXT 1.1.0
            dns-version.cluster.local. A: NoError
                for 5 cluster.local.
            example.com. A: elsewhere
            local. A: elsewhere"#]],
    );
}

#[test]
fn external_names_are_aliases() {
    check(
        &[
            "away.shop.svc.cluster.local. A",
            "away.shop.svc.cluster.local. CNAME",
            "number.shop.svc.cluster.local. A",
        ],
        expect![[r#"
            away.shop.svc.cluster.local. A: an alias of shop.example.com.
            away.shop.svc.cluster.local. CNAME: NoError
                away.shop.svc.cluster.local. 5 CNAME shop.example.com.
            number.shop.svc.cluster.local. A: NoError
                for 5 cluster.local."#]],
    );
}

#[test]
fn pods_are_found_by_their_address() {
    check(
        &[
            "10-42-0-5.shop.pod.cluster.local. A",
            "10-42-0-5.shop.pod.cluster.local. AAAA",
            "fd00-42--5.shop.pod.cluster.local. AAAA",
            "10-42-0-5.default.pod.cluster.local. A",
            "10-42-0-50.shop.pod.cluster.local. A",
            "shop.pod.cluster.local. A",
        ],
        expect![[r#"
            10-42-0-5.shop.pod.cluster.local. A: NoError
                10-42-0-5.shop.pod.cluster.local. 5 A 10.42.0.5
            10-42-0-5.shop.pod.cluster.local. AAAA: NoError
                for 5 cluster.local.
            fd00-42--5.shop.pod.cluster.local. AAAA: NoError
                fd00-42--5.shop.pod.cluster.local. 5 AAAA fd00:42::5
            10-42-0-5.default.pod.cluster.local. A: NXDomain
                for 5 cluster.local.
            10-42-0-50.shop.pod.cluster.local. A: NXDomain
                for 5 cluster.local.
            shop.pod.cluster.local. A: NoError
                for 5 cluster.local."#]],
    );
}

#[test]
fn addresses_lead_back_to_names() {
    check(
        &[
            "7.0.43.10.in-addr.arpa. PTR",
            "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.4.0.0.0.0.d.f.ip6.arpa. PTR",
            "5.0.42.10.in-addr.arpa. PTR",
            "6.0.42.10.in-addr.arpa. PTR",
            "4.0.42.10.in-addr.arpa. PTR",
            "9.0.42.10.in-addr.arpa. PTR",
            "7.0.43.10.in-addr.arpa. A",
            "42.10.in-addr.arpa. PTR",
            "1.2.0.192.in-addr.arpa. PTR",
            "192.in-addr.arpa. PTR",
            "x.43.10.in-addr.arpa. PTR",
        ],
        expect![[r#"
            7.0.43.10.in-addr.arpa. PTR: NoError
                7.0.43.10.in-addr.arpa. 5 PTR web.shop.svc.cluster.local.
            7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.4.0.0.0.0.d.f.ip6.arpa. PTR: NoError
                7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.4.0.0.0.0.d.f.ip6.arpa. 5 PTR web.shop.svc.cluster.local.
            5.0.42.10.in-addr.arpa. PTR: NoError
                5.0.42.10.in-addr.arpa. 5 PTR db-0.db.shop.svc.cluster.local.
            6.0.42.10.in-addr.arpa. PTR: NoError
                6.0.42.10.in-addr.arpa. 5 PTR 10-42-0-6.db.shop.svc.cluster.local.
            4.0.42.10.in-addr.arpa. PTR: NXDomain
                for 5 0.42.10.in-addr.arpa.
            9.0.42.10.in-addr.arpa. PTR: NXDomain
                for 5 0.42.10.in-addr.arpa.
            7.0.43.10.in-addr.arpa. A: NoError
                for 5 0.43.10.in-addr.arpa.
            42.10.in-addr.arpa. PTR: NoError
                for 5 10.in-addr.arpa.
            1.2.0.192.in-addr.arpa. PTR: elsewhere
            192.in-addr.arpa. PTR: elsewhere
            x.43.10.in-addr.arpa. PTR: elsewhere"#]],
    );
}

#[test]
fn nothing_is_denied_before_all_is_known() {
    let mut records = Records::default();
    assert_eq!(ask(&records, "web.shop.svc.cluster.local. A"), "ServFail\n");
    assert_eq!(ask(&records, "7.0.43.10.in-addr.arpa. PTR"), "ServFail\n");
    assert_eq!(ask(&records, "example.com. A"), "elsewhere");
    for _ in 0..4 {
        records.kind_is_loaded();
    }
    assert!(ask(&records, "web.shop.svc.cluster.local. A").starts_with("NXDomain"));
}

#[test]
fn changes_leave_nothing_behind() {
    let mut r = shop();
    let key = |name: &str| ObjectKey::new("shop", name);
    r.set_service(&key("web"), None);
    assert!(ask(&r, "web.shop.svc.cluster.local. A").starts_with("NXDomain"));
    assert!(ask(&r, "7.0.43.10.in-addr.arpa. PTR").starts_with("NXDomain"));

    // A slice that now belongs to another service, with other endpoints.
    slice(&mut r, "db-1", "empty", json!([]), json!([{"addresses": ["10.42.0.6"]}]));
    assert!(ask(&r, "db.shop.svc.cluster.local. A").starts_with("NoError\nfor"));
    assert!(ask(&r, "empty.shop.svc.cluster.local. A").contains("10.42.0.6"));
    assert!(ask(&r, "5.0.42.10.in-addr.arpa. PTR").starts_with("NXDomain"));
    assert!(ask(&r, "6.0.42.10.in-addr.arpa. PTR").contains("10-42-0-6.empty.shop"));
    r.set_slice(&key("db-1"), None);
    assert!(ask(&r, "6.0.42.10.in-addr.arpa. PTR").starts_with("NXDomain"));

    // Two pods may have had one address for a moment: the later one keeps it.
    let ip = vec!["10.42.0.5".parse().unwrap()];
    r.set_pod(&key("next"), ip);
    r.set_pod(&key("db-0"), Vec::new());
    assert!(ask(&r, "10-42-0-5.shop.pod.cluster.local. A").contains(" A 10.42.0.5"));
    r.set_pod(&key("next"), Vec::new());
    assert!(ask(&r, "10-42-0-5.shop.pod.cluster.local. A").starts_with("NXDomain"));
    r.set_namespace(&"shop".into(), false);
    assert!(ask(&r, "shop.svc.cluster.local. A").starts_with("NXDomain"));
}

#[test]
fn services_share_no_record_types() {
    let records = shop();
    let name = Name::from_ascii("web.shop.svc.cluster.local.").unwrap();
    let Found::Here(all) = zone().find(&records, &name, RecordType::ANY, 7) else { panic!("not here") };
    assert_eq!(all.answers.len(), 2);
    assert!(all.answers.iter().all(|r| matches!(r.data, RData::A(_) | RData::AAAA(_))));
}

#[test]
fn addresses_and_labels() {
    for (ip, label) in
        [("10.42.0.7", "10-42-0-7"), ("2001:db8::1", "2001-db8--1"), ("::1", "0--1"), ("fd00::", "fd00--0")]
    {
        let ip = ip.parse().unwrap();
        assert_eq!(crate::records::dashed(ip), label);
        assert_eq!(crate::records::undashed(label), Some(ip));
    }
    for none in ["web", "10-42-0", "10-42-0-256", "10-42-0-7-1", ""] {
        assert_eq!(crate::records::undashed(none), None, "{none}");
    }
}
