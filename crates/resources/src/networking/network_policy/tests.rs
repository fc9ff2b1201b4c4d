use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update};

const POLICY: &str = r#"{
    "metadata": {"name": "p", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {
        "podSelector": {"matchLabels": {"app": "db"}},
        "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 5432}]}]
    }
}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        r#"{"metadata": {"name": "p"}, "spec": {"podSelector": {}, "egress": [{"ports": [{"port": "dns"}, {"port": 53, "protocol": "UDP"}]}]}}"#,
        expect![[r#"
            {
              "apiVersion": "networking.k8s.io/v1",
              "kind": "NetworkPolicy",
              "metadata": {
                "name": "p"
              },
              "spec": {
                "egress": [
                  {
                    "ports": [
                      {
                        "port": "dns",
                        "protocol": "TCP"
                      },
                      {
                        "port": 53,
                        "protocol": "UDP"
                      }
                    ]
                  }
                ],
                "podSelector": {},
                "policyTypes": [
                  "Ingress",
                  "Egress"
                ]
              }
            }
        "#]],
    );
    check_default(
        &Strategy,
        r#"{"metadata": {"name": "deny"}}"#,
        expect![[r#"
        {
          "apiVersion": "networking.k8s.io/v1",
          "kind": "NetworkPolicy",
          "metadata": {
            "name": "deny"
          },
          "spec": {
            "podSelector": {},
            "policyTypes": [
              "Ingress"
            ]
          }
        }
    "#]],
    );
}

#[test]
fn rules() {
    check_create(
        &Strategy,
        POLICY,
        r#"
        spec.podSelector.matchLabels.app = "db"

        spec.podSelector.matchLabels = {"a b": "-"}

        spec.policyTypes = ["Egress", "Ingres"]

        spec.policyTypes = ["Egress", "Ingress", "Egress"]

        spec.ingress[0].ports = [{"protocol": "ICMP"}, {"port": 0}, {"port": "Not a name"}, {"port": 70000, "endPort": 80}]

        spec.ingress[0].ports = [{"endPort": 80}, {"port": "http", "endPort": 80}, {"port": 80, "endPort": 79}, {"port": 80, "endPort": 90}]

        spec.ingress[0].from = [{}]

        spec.ingress[0].from = [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}]

        spec.ingress[0].from = [{"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}, "podSelector": {}}]

        spec.egress = [{"to": [{"ipBlock": {"cidr": ""}}, {"ipBlock": {"cidr": "10.0.0.0"}}]}]

        spec.egress = [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "11.0.0.0/16", "10.0.0.0/8", "x"]}}]}]
        "#,
        expect![[r#"
            spec.podSelector.matchLabels.app = "db"
                fine
            spec.podSelector.matchLabels = {"a b": "-"}
                spec.podSelector.matchLabels: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
                spec.podSelector.matchLabels: Invalid value: "-": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
            spec.policyTypes = ["Egress", "Ingres"]
                spec.policyTypes[1]: Unsupported value: "Ingres": supported values: "Ingress", "Egress"
            spec.policyTypes = ["Egress", "Ingress", "Egress"]
                spec.policyTypes: Invalid value: ["Egress","Ingress","Egress"]: may not specify more than two policyTypes
            spec.ingress[0].ports = [{"protocol": "ICMP"}, {"port": 0}, {"port": "Not a name"}, {"port": 70000, "endPort": 80}]
                spec.ingress[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"
                spec.ingress[0].ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive
                spec.ingress[0].ports[2].port: Invalid value: "Not a name": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)
                spec.ingress[0].ports[3].port: Invalid value: 70000: must be between 1 and 65535, inclusive
                spec.ingress[0].ports[3].endPort: Invalid value: 80: must be greater than or equal to `port`
            spec.ingress[0].ports = [{"endPort": 80}, {"port": "http", "endPort": 80}, {"port": 80, "endPort": 79}, {"port": 80, "endPort": 90}]
                spec.ingress[0].ports[0].endPort: Invalid value: 80: may not be specified when `port` is not specified
                spec.ingress[0].ports[1].endPort: Invalid value: 80: may not be specified when `port` is non-numeric
                spec.ingress[0].ports[2].endPort: Invalid value: 79: must be greater than or equal to `port`
            spec.ingress[0].from = [{}]
                spec.ingress[0].from[0]: Required value: must specify a peer
            spec.ingress[0].from = [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}]
                spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer
            spec.ingress[0].from = [{"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}, "podSelector": {}}]
                spec.ingress[0].from[0].namespaceSelector.matchExpressions[0].operator: Invalid value: "Near": not a valid selector operator
            spec.egress = [{"to": [{"ipBlock": {"cidr": ""}}, {"ipBlock": {"cidr": "10.0.0.0"}}]}]
                spec.egress[0].to[0].ipBlock.cidr: Required value
                spec.egress[0].to[1].ipBlock.cidr: Invalid value: "10.0.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)
            spec.egress = [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "11.0.0.0/16", "10.0.0.0/8", "x"]}}]}]
                spec.egress[0].to[0].ipBlock.except[1]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`
                spec.egress[0].to[0].ipBlock.except[2]: Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`
                spec.egress[0].to[0].ipBlock.except[3]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)
        "#]],
    );
}

#[test]
fn changes() {
    let odd = POLICY.replace(r#"{"podSelector": {}}"#, r#"{"ipBlock": {"cidr": "10.0.0.0"}}"#);
    check_update(
        &Strategy,
        &odd,
        r#"
        metadata.labels = {"a": "b"}

        spec.ingress[0].from[0].ipBlock.cidr = "10.0.0.1"
        "#,
        Part::Main,
        expect![[r#"
            metadata.labels = {"a": "b"}
                fine
            spec.ingress[0].from[0].ipBlock.cidr = "10.0.0.1"
                spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "10.0.0.1": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        POLICY,
        r#"
        spec.podSelector.matchExpressions = [{"key": "tier", "operator": "In", "values": ["a", "b"]}]

        spec.podSelector = {}
        "#,
        expect![[r#"
            NAME  POD-SELECTOR  AGE
            p  app=db,tier in (a,b)  10m
            p  <none>  10m
        "#]],
    );
}

#[test]
fn what_counts() {
    let types = |json: &str| {
        let policy = crate::testing::object(&Strategy, json, "");
        (policy.filters_ingress(), policy.filters_egress())
    };
    assert_eq!(types(POLICY), (true, false));
    assert_eq!(types(r#"{"spec": {"podSelector": {}, "egress": [{}]}}"#), (true, true));
    assert_eq!(types(r#"{"spec": {"podSelector": {}, "policyTypes": ["Egress"]}}"#), (false, true));
}
