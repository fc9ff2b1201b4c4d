use cri::DnsConfig;
use expect_test::expect;
use serde_json::{Value, json};

use super::dns::{ClusterDns, parse, pod_dns};
use super::hosts::{hostname, hosts_file};
use super::services::variables;
use crate::testing::pod_json;
use codec::Kind as _;
use k8s_openapi::api::core::v1::{Pod, Service};

fn pod(spec: Value) -> Pod {
    pod_json(json!({"metadata": {"name": "web", "namespace": "ns", "uid": "u"}, "spec": spec}))
}

fn dns_of(spec: Value, servers: &[&str]) -> String {
    let host = parse("# mine\nnameserver 1.1.1.1\nsearch home.example\noptions edns0\n");
    let servers = servers.iter().map(|s| s.parse().unwrap()).collect();
    let cluster = ClusterDns { servers, domain: "cluster.local".into() };
    let (DnsConfig { servers, searches, options }, warning) = pod_dns(&pod(spec), &cluster, &host);
    let warning = warning.map(|(reason, _)| format!(" {reason}")).unwrap_or_default();
    format!("{} | {} | {}{warning}", servers.join(" "), searches.join(" "), options.join(" "))
}

#[test]
fn resolv_conf_follows_the_policy() {
    let cluster = "10.43.0.10 | ns.svc.cluster.local svc.cluster.local cluster.local home.example | ndots:5";
    let host = "1.1.1.1 | home.example | edns0";
    let dns = ["10.43.0.10"];
    assert_eq!(dns_of(json!({}), &dns), cluster);
    assert_eq!(dns_of(json!({"hostNetwork": true}), &dns), host);
    assert_eq!(dns_of(json!({"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"}), &dns), cluster);
    assert_eq!(dns_of(json!({"dnsPolicy": "Default"}), &dns), host);
    assert_eq!(dns_of(json!({}), &[]), format!("{host} MissingClusterDNS"));
    let own =
        json!({"nameservers": ["9.9.9.9"], "searches": ["x"], "options": [{"name": "ndots", "value": "2"}]});
    assert_eq!(dns_of(json!({"dnsPolicy": "None", "dnsConfig": own}), &dns), "9.9.9.9 | x | ndots:2");
    let more = json!({"dnsConfig": {"options": [{"name": "ndots", "value": "1"}, {"name": "rotate"}]}});
    assert!(dns_of(more, &dns).ends_with("| ndots:1 rotate"));
}

#[test]
fn hosts_are_managed() {
    let p = pod(json!({
        "hostname": "a", "subdomain": "sub",
        "hostAliases": [{"ip": "192.0.2.9", "hostnames": ["x", "y"]}],
    }));
    assert_eq!(hostname(&p, "cluster.local"), ("a".into(), "sub.ns.svc.cluster.local".into()));
    expect![[r#"
        # Kubernetes-managed hosts file.
        127.0.0.1	localhost
        ::1	localhost ip6-localhost ip6-loopback
        fe00::0	ip6-localnet
        fe00::0	ip6-mcastprefix
        fe00::1	ip6-allnodes
        fe00::2	ip6-allrouters
        10.42.0.2	a.sub.ns.svc.cluster.local	a

        # Entries added by HostAliases.
        192.0.2.9	x	y
    "#]]
    .assert_eq(&hosts_file(&p, &["10.42.0.2".into()], "cluster.local", "host"));
    let on_host = pod(json!({"hostNetwork": true}));
    assert_eq!(
        hosts_file(&on_host, &["192.0.2.1".into()], "cluster.local", "1.2.3.4 h\n"),
        "# Kubernetes-managed hosts file (host network).\n1.2.3.4 h\n"
    );
}

#[test]
fn services_are_found_by_variables() {
    let service = |namespace: &str, name: &str, ip: &str, ports: Value| {
        let value = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": ip, "ports": ports},
        });
        Service::from_json(value.to_string().as_bytes()).unwrap()
    };
    let all = [
        service(
            "default",
            "kubernetes",
            "10.43.0.1",
            json!([{"name": "https", "port": 443, "protocol": "TCP"}]),
        ),
        service("ns", "my-db", "10.43.0.2", json!([{"port": 5432}])),
        service("ns", "headless", "None", json!([{"port": 1}])),
        service("other", "hidden", "10.43.0.3", json!([{"port": 1}])),
    ];
    let names =
        |links| variables(&all, "ns", links).into_iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>();
    expect![[r#"
        KUBERNETES_SERVICE_HOST=10.43.0.1
        KUBERNETES_SERVICE_PORT=443
        KUBERNETES_SERVICE_PORT_HTTPS=443
        KUBERNETES_PORT=tcp://10.43.0.1:443
        KUBERNETES_PORT_443_TCP=tcp://10.43.0.1:443
        KUBERNETES_PORT_443_TCP_PROTO=tcp
        KUBERNETES_PORT_443_TCP_PORT=443
        KUBERNETES_PORT_443_TCP_ADDR=10.43.0.1
        MY_DB_SERVICE_HOST=10.43.0.2
        MY_DB_SERVICE_PORT=5432
        MY_DB_PORT=tcp://10.43.0.2:5432
        MY_DB_PORT_5432_TCP=tcp://10.43.0.2:5432
        MY_DB_PORT_5432_TCP_PROTO=tcp
        MY_DB_PORT_5432_TCP_PORT=5432
        MY_DB_PORT_5432_TCP_ADDR=10.43.0.2"#]]
    .assert_eq(&names(true).join("\n"));
    assert!(names(false).iter().all(|n| n.starts_with("KUBERNETES_")));
}
