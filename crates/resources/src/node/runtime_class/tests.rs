use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_rows, check_update};

const CLASS: &str =
    r#"{"metadata": {"name": "kata", "creationTimestamp": "2026-01-01T00:00:00Z"}, "handler": "kata"}"#;

#[test]
fn rules() {
    check_create(
        &Strategy,
        CLASS,
        r#"
        handler = ""

        handler = "a_b"

        overhead.podFixed = {"cpu": "10m", "foo": "1", "memory": "-1"}

        scheduling.nodeSelector."a b" = "c"

        scheduling.tolerations = [{"key": "a", "operator": "Odd"}, {"key": "b", "operator": "Exists"}, {"key": "b", "operator": "Exists"}]
        "#,
        expect![[r#"
            handler = ""
                handler: Invalid value: "": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
            handler = "a_b"
                handler: Invalid value: "a_b": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
            overhead.podFixed = {"cpu": "10m", "foo": "1", "memory": "-1"}
                overhead.podFixed[foo]: Invalid value: "foo": must be a standard resource type or fully qualified
                overhead.podFixed[foo]: Invalid value: "foo": must be a standard resource for containers
                overhead.podFixed[memory]: Invalid value: "-1": must be greater than or equal to 0
            scheduling.nodeSelector."a b" = "c"
                scheduling.nodeSelector: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            scheduling.tolerations = [{"key": "a", "operator": "Odd"}, {"key": "b", "operator": "Exists"}, {"key": "b", "operator": "Exists"}]
                scheduling.tolerations[0].operator: Unsupported value: "Odd": supported values: "Equal", "Exists"
                scheduling.tolerations[2]: Duplicate value: {"key":"b","operator":"Exists"}
        "#]],
    );
    check_update(
        &Strategy,
        CLASS,
        r#"
        overhead.podFixed.cpu = "1"

        handler = "other"
        "#,
        Part::Main,
        expect![[r#"
            overhead.podFixed.cpu = "1"
                fine
            handler = "other"
                handler: Invalid value: "other": field is immutable
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        CLASS,
        "",
        expect![[r#"
        NAME  HANDLER  AGE
        kata  kata  10m
    "#]],
    );
}
