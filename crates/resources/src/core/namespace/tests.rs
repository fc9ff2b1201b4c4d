use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update};

const NAMESPACE: &str = r#"{"metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Active"}}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        NAMESPACE,
        expect![[r#"
        {
          "apiVersion": "v1",
          "kind": "Namespace",
          "metadata": {
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {
              "kubernetes.io/metadata.name": "a"
            },
            "name": "a"
          },
          "status": {
            "phase": "Active"
          }
        }
    "#]],
    );
}

#[test]
fn rules() {
    check_create(
        &Strategy,
        NAMESPACE,
        r#"
        spec.finalizers = ["example.com/mine"]

        spec.finalizers = ["mine", "a/b/c"]
        "#,
        expect![[r#"
            spec.finalizers = ["example.com/mine"]
                fine
            spec.finalizers = ["mine", "a/b/c"]
                spec.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified
                spec.finalizers: Invalid value: "a/b/c": a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')
        "#]],
    );
    check_update(
        &Strategy,
        NAMESPACE,
        r#"
        status.phase = "Terminating"

        status.phase = "Active"
        "#,
        Part::Status,
        expect![[r#"
            status.phase = "Terminating"
                status.Phase: Invalid value: "Terminating": may only be 'Active' if `deletionTimestamp` is empty
            status.phase = "Active"
                fine
        "#]],
    );
    check_update(
        &Strategy,
        NAMESPACE,
        r#"spec.finalizers = ["mine"]"#,
        Part::Finalize,
        expect![[r#"
        spec.finalizers = ["mine"]
            spec.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified
    "#]],
    );
}

#[test]
fn an_update_of_the_main_part_keeps_spec_and_status() {
    use crate::Strategy as _;
    let mut old = crate::testing::object(&Strategy, NAMESPACE, "");
    Strategy.prepare_create(&mut old);
    let mut new =
        crate::testing::object(&Strategy, NAMESPACE, "spec.finalizers = []\nstatus.phase = \"Terminating\"");
    Strategy.prepare_update(&mut new, &old, Part::Main);
    assert_eq!((new.spec, new.status), (old.spec, old.status));
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        NAMESPACE,
        "",
        expect![[r#"
        NAME  STATUS  AGE
        a  Active  10m
    "#]],
    );
}
