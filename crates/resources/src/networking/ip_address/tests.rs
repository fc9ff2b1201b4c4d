use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_rows, check_update};

const ADDRESS: &str = r#"{"metadata": {"name": "10.96.0.1", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"parentRef": {"group": "", "resource": "services", "namespace": "default", "name": "kubernetes"}}}"#;

#[test]
fn rules() {
    check_create(
        &Strategy,
        ADDRESS,
        r#"
        - spec.parentRef

        spec.parentRef.group = "A"

        spec.parentRef.resource = ""

        spec.parentRef.name = ""

        spec.parentRef.name = "a/b"

        spec.parentRef.namespace = ".."

        spec.parentRef.group = "example.com"
        "#,
        expect![[r#"
            - spec.parentRef
                spec.parentRef: Required value
            spec.parentRef.group = "A"
                spec.parentRef.group: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.parentRef.resource = ""
                spec.parentRef.resource: Required value
            spec.parentRef.name = ""
                spec.parentRef.name: Required value
            spec.parentRef.name = "a/b"
                spec.parentRef.name: Invalid value: "a/b": may not contain '/'
            spec.parentRef.namespace = ".."
                spec.parentRef.namespace: Invalid value: "..": may not be '..'
            spec.parentRef.group = "example.com"
                fine
        "#]],
    );
    check_update(
        &Strategy,
        ADDRESS,
        r#"
        metadata.labels.a = "b"

        spec.parentRef.name = "other"
        "#,
        Part::Main,
        expect![[r#"
            metadata.labels.a = "b"
                fine
            spec.parentRef.name = "other"
                spec.parentRef: Invalid value: {"group":"","name":"other","namespace":"default","resource":"services"}: field is immutable
        "#]],
    );
}

#[test]
fn names() {
    for good in ["10.0.0.1", "2001:db8::1", "::"] {
        assert!(NameRule::IpAddress.check(good).is_empty(), "{good}");
    }
    let mut out = String::new();
    for bad in ["kubernetes", "10.0.0.01", "10.0.0.0/8", "2001:DB8::1", "2001:db8:0::1", "::ffff:10.0.0.1"] {
        out += &format!("{bad}: {}\n", NameRule::IpAddress.check(bad).join("; "));
    }
    expect![[r#"
        kubernetes: must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)
        10.0.0.01: must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)
        10.0.0.0/8: must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)
        2001:DB8::1: must be in canonical form ("2001:db8::1")
        2001:db8:0::1: must be in canonical form ("2001:db8::1")
        ::ffff:10.0.0.1: must not be an IPv4-mapped IPv6 address
    "#]]
    .assert_eq(&out);
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        ADDRESS,
        r#"
        metadata.labels.a = "b"

        spec.parentRef = {"group": "example.com", "resource": "Gateways", "name": "front"}
        "#,
        expect![[r#"
            NAME  PARENTREF  AGE
            10.96.0.1  services/default/kubernetes  10m
            10.96.0.1  gateways.example.com/front  10m
        "#]],
    );
}

#[test]
fn a_services() {
    let address = of_service("fd00::5".parse().unwrap(), "ns", "web");
    assert_eq!(address.name(), "fd00::5");
    assert_eq!(address.metadata.label(FAMILY), Some("IPv6"));
    assert!(address.is_allocated());
    assert_eq!(address.service(), Some(("ns", "web")));
    use crate::Strategy as _;
    assert!(Strategy.validate(&address).is_empty());
}
