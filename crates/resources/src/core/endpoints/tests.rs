use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_rows};

const ENDPOINTS: &str = r#"{
    "metadata": {"name": "e", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]
}"#;

#[test]
fn rules() {
    check_create(
        &Strategy,
        ENDPOINTS,
        r#"
        - subsets

        subsets[0] = {}

        subsets[0].addresses = [{"ip": "x", "hostname": "A", "nodeName": "B"}]

        subsets[0].notReadyAddresses = [{"ip": "127.0.0.1"}, {"ip": "0.0.0.0"}, {"ip": "169.254.1.1"}, {"ip": "224.0.0.1"}, {"ip": "fe80::1"}]

        subsets[0].ports = [{"port": 0, "protocol": "X"}, {"port": 80, "name": "A", "appProtocol": "a b"}]
        "#,
        expect![[r#"
            - subsets
                fine
            subsets[0] = {}
                subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`
            subsets[0].addresses = [{"ip": "x", "hostname": "A", "nodeName": "B"}]
                subsets[0].addresses[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)
                subsets[0].addresses[0].hostname: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
                subsets[0].addresses[0].nodeName: Invalid value: "B": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            subsets[0].notReadyAddresses = [{"ip": "127.0.0.1"}, {"ip": "0.0.0.0"}, {"ip": "169.254.1.1"}, {"ip": "224.0.0.1"}, {"ip": "fe80::1"}]
                subsets[0].notReadyAddresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)
                subsets[0].notReadyAddresses[1].ip: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)
                subsets[0].notReadyAddresses[2].ip: Invalid value: "169.254.1.1": may not be in the link-local range (169.254.0.0/16, fe80::/10)
                subsets[0].notReadyAddresses[3].ip: Invalid value: "224.0.0.1": may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)
                subsets[0].notReadyAddresses[4].ip: Invalid value: "fe80::1": may not be in the link-local range (169.254.0.0/16, fe80::/10)
            subsets[0].ports = [{"port": 0, "protocol": "X"}, {"port": 80, "name": "A", "appProtocol": "a b"}]
                subsets[0].ports[0].name: Required value
                subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive
                subsets[0].ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"
                subsets[0].ports[1].name: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
                subsets[0].ports[1].appProtocol: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        ENDPOINTS,
        r#"
        metadata.name = "one"

        - subsets

        subsets[0].ports = []

        subsets[0].ports = [{"port": 80}, {"port": 443}]
        subsets[0].addresses = [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}, {"ip": "10.0.0.3"}]
        "#,
        expect![[r#"
            NAME  ENDPOINTS  AGE
            one  10.0.0.1:80  10m
            e  <none>  10m
            e  10.0.0.1  10m
            e  10.0.0.1:80,[fd00::1]:80,10.0.0.3:80 + 3 more...  10m
        "#]],
    );
}
