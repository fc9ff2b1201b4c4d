use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_rows, check_update};

const INGRESS: &str = r#"{"metadata": {"name": "i", "namespace": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"rules": [{"host": "a.example.com", "http": {"paths": [
        {"path": "/x", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}]}}"#;

#[test]
fn rules() {
    check_create(
        &Strategy,
        INGRESS,
        r#"
        spec = {}

        spec.rules[0].host = "10.0.0.1"

        spec.rules[0].host = "*.example.com"

        spec.rules[0].host = "*.*"

        spec.rules[0].http.paths = []

        spec.rules[0].http.paths[0].pathType = ""

        spec.rules[0].http.paths[0].pathType = "Odd"

        spec.rules[0].http.paths[0].path = "x"

        spec.rules[0].http.paths[0].path = "/a//b/../%2f/.."

        spec.rules[0].http.paths[0].pathType = "ImplementationSpecific"
        spec.rules[0].http.paths[0].path = ""

        spec.rules[0].http.paths[0].backend = {}

        spec.rules[0].http.paths[0].backend.service.name = ""

        spec.rules[0].http.paths[0].backend.service.port = {}

        spec.rules[0].http.paths[0].backend.service.port = {"name": "A_", "number": 0}

        spec.rules[0].http.paths[0].backend.service.port = {"name": "a", "number": 1}

        spec.rules[0].http.paths[0].backend.service.port.number = 70000

        spec.rules[0].http.paths[0].backend.resource = {"kind": "K", "name": "n"}

        spec.defaultBackend.resource = {"apiGroup": "A", "kind": "", "name": "a/b"}

        spec.tls = [{"hosts": ["A"], "secretName": "B"}]

        spec.ingressClassName = "A"

        spec.ingressClassName = "a"
        metadata.annotations."kubernetes.io/ingress.class" = "b"
        "#,
        expect![[r#"
            spec = {}
                spec: Invalid value: null: either `defaultBackend` or `rules` must be specified
            spec.rules[0].host = "10.0.0.1"
                spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address
            spec.rules[0].host = "*.example.com"
                fine
            spec.rules[0].host = "*.*"
                spec.rules[0].host: Invalid value: "*.*": a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.rules[0].http.paths = []
                spec.rules[0].http.paths: Required value
            spec.rules[0].http.paths[0].pathType = ""
                spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified
            spec.rules[0].http.paths[0].pathType = "Odd"
                spec.rules[0].http.paths[0].pathType: Unsupported value: "Odd": supported values: "Exact", "ImplementationSpecific", "Prefix"
            spec.rules[0].http.paths[0].path = "x"
                spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path
            spec.rules[0].http.paths[0].path = "/a//b/../%2f/.."
                spec.rules[0].http.paths[0].path: Invalid value: "/a//b/../%2f/..": must not contain '//'
                spec.rules[0].http.paths[0].path: Invalid value: "/a//b/../%2f/..": must not contain '/../'
                spec.rules[0].http.paths[0].path: Invalid value: "/a//b/../%2f/..": must not contain '%2f'
                spec.rules[0].http.paths[0].path: Invalid value: "/a//b/../%2f/..": cannot end with '/..'
            spec.rules[0].http.paths[0].pathType = "ImplementationSpecific"
            spec.rules[0].http.paths[0].path = ""
                fine
            spec.rules[0].http.paths[0].backend = {}
                spec.rules[0].http.paths[0].backend: Invalid value: "": resource or service backend is required
            spec.rules[0].http.paths[0].backend.service.name = ""
                spec.rules[0].http.paths[0].backend.service.name: Required value
            spec.rules[0].http.paths[0].backend.service.port = {}
                spec.rules[0].http.paths[0].backend: Required value: port name or number is required
            spec.rules[0].http.paths[0].backend.service.port = {"name": "A_", "number": 0}
                spec.rules[0].http.paths[0].backend.service.port.name: Invalid value: "A_": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)
                spec.rules[0].http.paths[0].backend.service.port.name: Invalid value: "A_": must contain at least one letter (a-z)
            spec.rules[0].http.paths[0].backend.service.port = {"name": "a", "number": 1}
                spec.rules[0].http.paths[0].backend: Invalid value: "": cannot set both port name & port number
            spec.rules[0].http.paths[0].backend.service.port.number = 70000
                spec.rules[0].http.paths[0].backend.service.port.number: Invalid value: 70000: must be between 1 and 65535, inclusive
            spec.rules[0].http.paths[0].backend.resource = {"kind": "K", "name": "n"}
                spec.rules[0].http.paths[0].backend: Invalid value: "": cannot set both resource and service backends
            spec.defaultBackend.resource = {"apiGroup": "A", "kind": "", "name": "a/b"}
                spec.defaultBackend.resource.apiGroup: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
                spec.defaultBackend.resource.kind: Required value: kind is required
                spec.defaultBackend.resource.name: Invalid value: "a/b": may not contain '/'
            spec.tls = [{"hosts": ["A"], "secretName": "B"}]
                spec.tls[0].hosts[0]: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
                spec.tls[0].secretName: Invalid value: "B": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.ingressClassName = "A"
                spec.ingressClassName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.ingressClassName = "a"
            metadata.annotations."kubernetes.io/ingress.class" = "b"
                metadata.annotations.kubernetes.io/ingress.class: Invalid value: "b": can not be set when the class field is also set
        "#]],
    );
    check_update(
        &Strategy,
        INGRESS,
        r#"
        status.loadBalancer.ingress = [{"ip": "x", "hostname": "10.0.0.1", "ports": [{"port": 0, "protocol": "ODD"}]}]
        "#,
        Part::Status,
        expect![[r#"
            status.loadBalancer.ingress = [{"ip": "x", "hostname": "10.0.0.1", "ports": [{"port": 0, "protocol": "ODD"}]}]
                status.loadBalancer.ingress[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)
                status.loadBalancer.ingress[0].hostname: Invalid value: "10.0.0.1": must be a DNS name, not an IP address
                status.loadBalancer.ingress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive
                status.loadBalancer.ingress[0].ports[0].protocol: Unsupported value: "ODD": supported values: "SCTP", "TCP", "UDP"
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        INGRESS,
        r#"
        spec.ingressClassName = "nginx"
        spec.tls = [{"hosts": ["a.example.com"]}]
        status.loadBalancer.ingress = [{"ip": "10.0.0.1"}, {"hostname": "h"}]

        spec.rules = [{"host": "a"}, {"host": "b"}, {"host": "c"}, {"host": "d"}]

        spec.rules = [{}]
        "#,
        expect![[r#"
            NAME  CLASS  HOSTS  ADDRESS  PORTS  AGE
            i  nginx  a.example.com  10.0.0.1,h  80, 443  10m
            i  <none>  a,b,c + 1 more...    80  10m
            i  <none>  *    80  10m
        "#]],
    );
}
