use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update};

const SLICE: &str = r#"{
    "metadata": {"name": "s", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "addressType": "IPv4",
    "endpoints": [{"addresses": ["10.0.0.1"]}],
    "ports": [{"port": 80}]
}"#;

#[test]
fn rules() {
    check_create(
        &Strategy,
        SLICE,
        r#"
        ports[0].protocol = "UDP"

        addressType = "Odd"

        addressType = ""

        endpoints[0].addresses = []

        endpoints[0].addresses = ["fd00::1", "x", "127.0.0.1"]

        addressType = "IPv6"

        addressType = "FQDN"
        endpoints[0].addresses = ["example"]

        endpoints[0].hostname = "A"
        endpoints[0].nodeName = "B"
        endpoints[0].hints = {"forZones": [{"name": "a"}, {"name": "a"}, {"name": "-"}]}

        ports = [{"name": "A"}, {"name": "x", "port": 0}, {"name": "x", "protocol": "ICMP", "appProtocol": "a b"}]
        "#,
        expect![[r#"
            ports[0].protocol = "UDP"
                fine
            addressType = "Odd"
                addressType: Unsupported value: "Odd": supported values: "FQDN", "IPv4", "IPv6"
            addressType = ""
                addressType: Required value
            endpoints[0].addresses = []
                endpoints[0].addresses: Required value: must contain at least 1 address
            endpoints[0].addresses = ["fd00::1", "x", "127.0.0.1"]
                endpoints[0].addresses[0]: Invalid value: "fd00::1": must be an IPv4 address
                endpoints[0].addresses[1]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)
                endpoints[0].addresses[2]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)
            addressType = "IPv6"
                endpoints[0].addresses[0]: Invalid value: "10.0.0.1": must be an IPv6 address
            addressType = "FQDN"
            endpoints[0].addresses = ["example"]
                endpoints[0].addresses[0]: Invalid value: "example": should be a domain with at least two segments separated by dots
            endpoints[0].hostname = "A"
            endpoints[0].nodeName = "B"
            endpoints[0].hints = {"forZones": [{"name": "a"}, {"name": "a"}, {"name": "-"}]}
                endpoints[0].nodeName: Invalid value: "B": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
                endpoints[0].hostname: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
                endpoints[0].hints.forZones[1].name: Duplicate value: "a"
                endpoints[0].hints.forZones[2].name: Invalid value: "-": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
            ports = [{"name": "A"}, {"name": "x", "port": 0}, {"name": "x", "protocol": "ICMP", "appProtocol": "a b"}]
                ports[0].name: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
                ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive
                ports[2].name: Duplicate value: "x"
                ports[2].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"
                ports[2].appProtocol: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
        "#]],
    );
    check_update(
        &Strategy,
        SLICE,
        r#"addressType = "IPv6""#,
        Part::Main,
        expect![[r#"
        addressType = "IPv6"
            endpoints[0].addresses[0]: Invalid value: "10.0.0.1": must be an IPv6 address
            addressType: Invalid value: "IPv6": field is immutable
    "#]],
    );
}

#[test]
fn defaults() {
    check_default(
        &Strategy,
        SLICE,
        expect![[r#"
        {
          "addressType": "IPv4",
          "apiVersion": "discovery.k8s.io/v1",
          "endpoints": [
            {
              "addresses": [
                "10.0.0.1"
              ],
              "conditions": {}
            }
          ],
          "kind": "EndpointSlice",
          "metadata": {
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "name": "s",
            "namespace": "default"
          },
          "ports": [
            {
              "name": "",
              "port": 80,
              "protocol": "TCP"
            }
          ]
        }
    "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        SLICE,
        r#"
        metadata.name = "one"

        endpoints = []
        ports = []

        endpoints[0].addresses = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]
        ports = [{"name": "all"}, {"port": 1}, {"port": 2}, {"port": 3}, {"port": 4}]
        "#,
        expect![[r#"
            NAME  ADDRESSTYPE  PORTS  ENDPOINTS  AGE
            one  IPv4  80  10.0.0.1  10m
            s  IPv4  <unset>  <unset>  10m
            s  IPv4  all,1,2 + 2 more...  10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...  10m
        "#]],
    );
}
