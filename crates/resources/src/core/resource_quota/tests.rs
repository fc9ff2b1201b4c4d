use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update};

const QUOTA: &str = r#"{"metadata": {"name": "q", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"hard": {"pods": "4", "requests.cpu": "1", "limits.memory": "1Gi", "count/widgets.example.com": "5"}}}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        r#"{"metadata": {"name": "q"}, "spec": {"hard": {"cpu": "0.1", "memory": "1024Mi"}}}"#,
        expect![[r#"
            {
              "apiVersion": "v1",
              "kind": "ResourceQuota",
              "metadata": {
                "name": "q"
              },
              "spec": {
                "hard": {
                  "cpu": "100m",
                  "memory": "1Gi"
                }
              }
            }
        "#]],
    );
}

#[test]
fn rules() {
    check_create(
        &Strategy,
        QUOTA,
        r#"
        spec.hard."requests.nvidia.com/gpu" = "4"

        spec.hard.foo = "1"

        spec.hard."a b" = "1"

        spec.hard.pods = "-1"

        spec.hard.pods = "500m"

        spec.hard.pods = "x"

        spec.scopes = ["Terminating", "NotTerminating"]
        spec.hard = {"pods": "1"}

        spec.scopes = ["BestEffort"]
        spec.hard = {"cpu": "1"}

        spec.scopes = ["Odd"]

        spec.scopeSelector.matchExpressions = [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]
        spec.hard = {"pods": "1"}

        spec.scopeSelector.matchExpressions = [{"scopeName": "PriorityClass", "operator": "In"}, {"scopeName": "BestEffort", "operator": "In", "values": ["x"]}, {"scopeName": "Odd", "operator": "Exists", "values": ["x"]}, {"scopeName": "PriorityClass", "operator": "Like"}]
        spec.hard = {"pods": "1"}
        "#,
        expect![[r#"
            spec.hard."requests.nvidia.com/gpu" = "4"
                fine
            spec.hard.foo = "1"
                spec.hard[foo]: Invalid value: "foo": must be a standard resource type or fully qualified
                spec.hard[foo]: Invalid value: "foo": must be a standard resource for quota
            spec.hard."a b" = "1"
                spec.hard[a b]: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
                spec.hard[a b]: Invalid value: "a b": must be a standard resource for quota
            spec.hard.pods = "-1"
                spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0
            spec.hard.pods = "500m"
                spec.hard[pods]: Invalid value: "500m": must be an integer
            spec.hard.pods = "x"
                spec.hard[pods]: Invalid value: "x": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
            spec.scopes = ["Terminating", "NotTerminating"]
            spec.hard = {"pods": "1"}
                spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes
            spec.scopes = ["BestEffort"]
            spec.hard = {"cpu": "1"}
                spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource
            spec.scopes = ["Odd"]
                spec.scopes: Invalid value: ["Odd"]: unsupported scope
            spec.scopeSelector.matchExpressions = [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]
            spec.hard = {"pods": "1"}
                fine
            spec.scopeSelector.matchExpressions = [{"scopeName": "PriorityClass", "operator": "In"}, {"scopeName": "BestEffort", "operator": "In", "values": ["x"]}, {"scopeName": "Odd", "operator": "Exists", "values": ["x"]}, {"scopeName": "PriorityClass", "operator": "Like"}]
            spec.hard = {"pods": "1"}
                spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector
                spec.scopeSelector.matchExpressions.operator: Invalid value: "In": must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity
                spec.scopeSelector.matchExpressions.scopeName: Invalid value: "Odd": unsupported scope
                spec.scopeSelector.matchExpressions.values: Invalid value: ["x"]: must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector
                spec.scopeSelector.matchExpressions.operator: Invalid value: "Like": not a valid selector operator
        "#]],
    );
}

#[test]
fn updates() {
    check_update(
        &Strategy,
        QUOTA,
        r#"
        spec.hard.pods = "5"

        spec.scopes = ["BestEffort"]
        spec.hard = {"pods": "1"}
        "#,
        Part::Main,
        expect![[r#"
            spec.hard.pods = "5"
                fine
            spec.scopes = ["BestEffort"]
            spec.hard = {"pods": "1"}
                spec.scopes: Invalid value: ["BestEffort"]: field is immutable
        "#]],
    );
    check_update(
        &Strategy,
        QUOTA,
        r#"
        status.used.pods = "5"

        status.used.foo = "5"

        status.hard.pods = "-2"
        "#,
        Part::Status,
        expect![[r#"
            status.used.pods = "5"
                fine
            status.used.foo = "5"
                status.used[foo]: Invalid value: "foo": must be a standard resource type or fully qualified
                status.used[foo]: Invalid value: "foo": must be a standard resource for quota
            status.hard.pods = "-2"
                status.hard[pods]: Invalid value: "-2": must be greater than or equal to 0
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        QUOTA,
        r#"
        status = {"hard": {"pods": "4", "requests.cpu": "1", "limits.memory": "1Gi"}, "used": {"pods": "1", "requests.cpu": "100m"}}

        status = {}
        "#,
        expect![[r#"
            NAME  REQUEST  LIMIT  AGE
            q  pods: 1/4, requests.cpu: 100m/1  limits.memory: 0/1Gi  10m
            q      10m
        "#]],
    );
}
