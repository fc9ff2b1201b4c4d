use expect_test::expect;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update};

const BINDING: &str = r#"{
    "metadata": {"name": "b", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
    "subjects": [{"kind": "User", "name": "jane"}, {"kind": "ServiceAccount", "name": "sa", "namespace": "ns"}]
}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy::<RoleBinding>::default(),
        r#"{"metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "Group", "name": "g"}, {"kind": "ServiceAccount", "name": "s"}]}"#,
        expect![[r#"
            {
              "apiVersion": "rbac.authorization.k8s.io/v1",
              "kind": "RoleBinding",
              "metadata": {
                "name": "b"
              },
              "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": "r"
              },
              "subjects": [
                {
                  "apiGroup": "rbac.authorization.k8s.io",
                  "kind": "Group",
                  "name": "g"
                },
                {
                  "kind": "ServiceAccount",
                  "name": "s"
                }
              ]
            }
        "#]],
    );
}

#[test]
fn rules() {
    check_create(
        &Strategy::<RoleBinding>::default(),
        BINDING,
        r#"
        roleRef.kind = "Role"

        roleRef = {"apiGroup": "apps", "kind": "Odd", "name": ""}

        roleRef.name = "a/b"

        subjects[0] = {"kind": "User", "name": "", "apiGroup": "x"}

        subjects[0] = {"kind": "Robot", "name": "r"}

        subjects[1] = {"kind": "ServiceAccount", "name": "Bad", "apiGroup": "x"}
        "#,
        expect![[r#"
            roleRef.kind = "Role"
                fine
            roleRef = {"apiGroup": "apps", "kind": "Odd", "name": ""}
                roleRef.apiGroup: Unsupported value: "apps": supported values: "rbac.authorization.k8s.io"
                roleRef.kind: Unsupported value: "Odd": supported values: "Role", "ClusterRole"
                roleRef.name: Required value
            roleRef.name = "a/b"
                roleRef.name: Invalid value: "a/b": may not contain '/'
            subjects[0] = {"kind": "User", "name": "", "apiGroup": "x"}
                subjects[0].name: Required value
                subjects[0].apiGroup: Unsupported value: "x": supported values: "rbac.authorization.k8s.io"
            subjects[0] = {"kind": "Robot", "name": "r"}
                subjects[0].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"
            subjects[1] = {"kind": "ServiceAccount", "name": "Bad", "apiGroup": "x"}
                subjects[1].name: Invalid value: "Bad": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
                subjects[1].apiGroup: Unsupported value: "x": supported values: ""
        "#]],
    );
    check_create(
        &Strategy::<ClusterRoleBinding>::default(),
        BINDING,
        r#"
        roleRef.kind = "Role"

        - subjects[1].namespace
        "#,
        expect![[r#"
            roleRef.kind = "Role"
                roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"
            - subjects[1].namespace
                subjects[1].namespace: Required value
        "#]],
    );
    check_update(
        &Strategy::<RoleBinding>::default(),
        BINDING,
        r#"
        subjects = []

        roleRef.name = "admin"
        "#,
        Part::Main,
        expect![[r#"
            subjects = []
                fine
            roleRef.name = "admin"
                roleRef: Invalid value: {"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"admin"}: cannot change roleRef
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy::<RoleBinding>::default(),
        BINDING,
        r#"subjects[2] = {"kind": "Group", "name": "devs"}"#,
        expect![[r#"
            NAME  ROLE  AGE  USERS  GROUPS  SERVICEACCOUNTS
            b  ClusterRole/view  10m  jane  devs  ns/sa
        "#]],
    );
}
