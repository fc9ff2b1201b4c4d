use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_rows, check_update};

const RANGE: &str = r#"{"metadata": {"name": "more", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"cidrs": ["10.0.0.0/24"]}}"#;

#[test]
fn rules() {
    check_create(
        &Strategy,
        RANGE,
        r#"
        spec.cidrs = ["10.0.0.0/24", "fd00::/112"]

        - spec.cidrs

        spec.cidrs = ["10.0.0.0/24", "fd00::/112", "10.1.0.0/24"]

        spec.cidrs = ["10.0.0.0/24", "10.1.0.0/24"]

        spec.cidrs = ["10.0.0.0"]

        spec.cidrs = ["10.0.0.1/24"]

        spec.cidrs = ["10.0.0.0/024"]

        spec.cidrs = ["FD00::/112"]

        spec.cidrs = ["::ffff:10.0.0.0/120"]

        spec.cidrs = ["10.0.0.1/32"]

        spec.cidrs = ["0.0.0.0/0"]
        "#,
        expect![[r#"
            spec.cidrs = ["10.0.0.0/24", "fd00::/112"]
                fine
            - spec.cidrs
                spec.cidrs: Required value: at least one CIDR required
            spec.cidrs = ["10.0.0.0/24", "fd00::/112", "10.1.0.0/24"]
                spec.cidrs: Invalid value: {"cidrs":["10.0.0.0/24","fd00::/112","10.1.0.0/24"]}: may only hold up to 2 values
            spec.cidrs = ["10.0.0.0/24", "10.1.0.0/24"]
                spec.cidrs: Invalid value: {"cidrs":["10.0.0.0/24","10.1.0.0/24"]}: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64
            spec.cidrs = ["10.0.0.0"]
                spec.cidrs[0]: Invalid value: "10.0.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)
            spec.cidrs = ["10.0.0.1/24"]
                spec.cidrs[0]: Invalid value: "10.0.0.1/24": must not have bits set beyond the prefix length
            spec.cidrs = ["10.0.0.0/024"]
                spec.cidrs[0]: Invalid value: "10.0.0.0/024": must be in canonical form ("10.0.0.0/24")
            spec.cidrs = ["FD00::/112"]
                spec.cidrs[0]: Invalid value: "FD00::/112": must be in canonical form ("fd00::/112")
            spec.cidrs = ["::ffff:10.0.0.0/120"]
                spec.cidrs[0]: Invalid value: "::ffff:10.0.0.0/120": must not have an IPv4-mapped IPv6 address
            spec.cidrs = ["10.0.0.1/32"]
                fine
            spec.cidrs = ["0.0.0.0/0"]
                fine
        "#]],
    );
    check_update(
        &Strategy,
        RANGE,
        r#"
        metadata.labels.a = "b"

        spec.cidrs = ["10.0.0.0/24", "fd00::/112"]

        spec.cidrs = ["10.0.0.0/24", "10.1.0.0/24"]

        spec.cidrs = ["10.1.0.0/24"]

        spec.cidrs = []
        "#,
        Part::Main,
        expect![[r#"
            metadata.labels.a = "b"
                fine
            spec.cidrs = ["10.0.0.0/24", "fd00::/112"]
                fine
            spec.cidrs = ["10.0.0.0/24", "10.1.0.0/24"]
                spec.cidrs: Invalid value: {"cidrs":["10.0.0.0/24","10.1.0.0/24"]}: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64
            spec.cidrs = ["10.1.0.0/24"]
                spec.cidrs[0]: Invalid value: "10.1.0.0/24": field is immutable
            spec.cidrs = []
                spec.cidrs: Invalid value: []: field is immutable
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        RANGE,
        r#"
        metadata.labels.a = "b"

        spec.cidrs = ["10.0.0.0/24", "fd00::/112"]
        "#,
        expect![[r#"
            NAME  CIDRS  AGE
            more  10.0.0.0/24  10m
            more  10.0.0.0/24,fd00::/112  10m
        "#]],
    );
}

#[test]
fn readiness() {
    let mut range = crate::testing::object(&Strategy, RANGE, "");
    let (early, late) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
    assert!(!range.is_ready());
    assert!(range.set_ready(true, "", "ready", early));
    assert!(range.is_ready());
    assert!(!range.set_ready(true, "", "ready", late), "said twice");
    assert!(range.set_ready(false, "Terminating", "going", late));
    assert!(!range.is_ready());
}
