//! The whole proxy against a fake API and the real kernel, each test in network namespaces of its own. Needs root.

mod lab;

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use lab::{Lab, NODE, POD_A, POD_B, WORLD};

#[test]
fn a_cluster_ip_balances_for_pods_and_the_node() {
    Lab::run("balance", |lab| {
        lab.service(r#"{"clusterIP": "10.43.0.5", "ports": [{"port": 80, "protocol": "TCP", "name": "web"}, {"port": 53, "protocol": "UDP", "name": "dns"}]}"#);
        lab.slice(
            r#"[{"name": "web", "port": 8080}, {"name": "dns", "port": 5353, "protocol": "UDP"}]"#,
            &[(POD_A, "{}"), (POD_B, "{}")],
        );
        lab.serve_tcp(POD_A, 8080);
        lab.serve_tcp(POD_B, 8080);
        lab.serve_udp(POD_A, 5353);
        lab.serve_udp(POD_B, 5353);
        let both = BTreeSet::from([POD_A.to_owned(), POD_B.to_owned()]);
        for from in [POD_A, NODE] {
            lab.eventually("it answers", || lab.ask(from, "10.43.0.5:80").is_ok());
            let answers: BTreeSet<String> =
                (0..40).map(|_| lab.ask(from, "10.43.0.5:80").expect("an answer").by).collect();
            assert_eq!(answers, both, "from {from}");
            let answers: BTreeSet<String> =
                (0..40).map(|_| lab.ask_udp(from, "10.43.0.5:53").expect("an answer").by).collect();
            assert_eq!(answers, both, "UDP from {from}");
        }
    });
}
