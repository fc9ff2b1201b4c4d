use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_rows, check_update};

const CLASS: &str = r#"{"metadata": {"name": "nginx", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"controller": "example.com/ingress", "parameters": {"apiGroup": "k.example.com", "kind": "P", "name": "p"}}}"#;

#[test]
fn rules() {
    check_create(
        &Strategy,
        CLASS,
        r#"
        spec.controller = ""

        spec.controller = "nginx"

        spec.controller = "A_/b c"

        spec.parameters.kind = ""

        spec.parameters.scope = "Odd"

        spec.parameters.scope = "Namespace"

        spec.parameters.namespace = "a"
        "#,
        expect![[r#"
            spec.controller = ""
                spec.controller: Required value
            spec.controller = "nginx"
                spec.controller: Invalid value: "nginx": must be a domain-prefixed path (such as "acme.io/foo")
            spec.controller = "A_/b c"
                spec.controller: Invalid value: "A_": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
                spec.controller: Invalid value: "b c": Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')
            spec.parameters.kind = ""
                spec.parameters.kind: Required value: kind is required
            spec.parameters.scope = "Odd"
                spec.parameters.scope: Unsupported value: "Odd": supported values: "Cluster", "Namespace"
            spec.parameters.scope = "Namespace"
                spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'
            spec.parameters.namespace = "a"
                spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'
        "#]],
    );
    check_update(
        &Strategy,
        CLASS,
        r#"spec.controller = "example.com/other""#,
        Part::Main,
        expect![[r#"
        spec.controller = "example.com/other"
            spec.controller: Invalid value: "example.com/other": field is immutable
    "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        CLASS,
        r#"
        metadata.labels.a = "b"

        - spec.parameters
        "#,
        expect![[r#"
            NAME  CONTROLLER  PARAMETERS  AGE
            nginx  example.com/ingress  P.k.example.com/p  10m
            nginx  example.com/ingress  <none>  10m
        "#]],
    );
}
