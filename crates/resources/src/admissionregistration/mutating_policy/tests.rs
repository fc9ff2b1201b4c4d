use std::fmt::Write as _;

use expect_test::expect;

use super::super::expressions;
use super::*;
use crate::testing::{check_create, check_default, check_rows, object};

const POLICY: &str = r#"{
    "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {
        "matchConstraints": {"resourceRules": [
            {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
        ]},
        "reinvocationPolicy": "Never",
        "mutations": [
            {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}},
            {"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}
        ]
    }
}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        POLICY,
        expect![[r#"
        {
          "apiVersion": "admissionregistration.k8s.io/v1",
          "kind": "MutatingAdmissionPolicy",
          "metadata": {
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "name": "p"
          },
          "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
              "matchPolicy": "Equivalent",
              "namespaceSelector": {},
              "objectSelector": {},
              "resourceRules": [
                {
                  "apiGroups": [
                    ""
                  ],
                  "apiVersions": [
                    "v1"
                  ],
                  "operations": [
                    "CREATE"
                  ],
                  "resources": [
                    "pods"
                  ],
                  "scope": "*"
                }
              ]
            },
            "mutations": [
              {
                "applyConfiguration": {
                  "expression": "Object{}"
                },
                "patchType": "ApplyConfiguration"
              },
              {
                "jsonPatch": {
                  "expression": "[]"
                },
                "patchType": "JSONPatch"
              }
            ],
            "reinvocationPolicy": "Never"
          }
        }
    "#]],
    );
}

#[test]
fn rules() {
    check_create(
        &Strategy,
        POLICY,
        r#"
        spec.failurePolicy = "Ignore"

        spec = {}

        spec.failurePolicy = "Cry"
        spec.reinvocationPolicy = "Always"
        spec.paramKind = {}
        spec.variables = [{"name": "", "expression": ""}]

        spec.mutations = [{"patchType": ""}, {"patchType": "Magic"}]

        spec.mutations = [{"patchType": "JSONPatch"}, {"patchType": "JSONPatch", "jsonPatch": {"expression": " "}, "applyConfiguration": {"expression": "x"}}]

        spec.mutations = [{"patchType": "ApplyConfiguration", "jsonPatch": {"expression": "[]"}}]
        "#,
        expect![[r#"
            spec.failurePolicy = "Ignore"
                fine
            spec = {}
                spec.matchConstraints: Required value
                spec.mutations: Required value: mutations must contain at least one item
                spec.reinvocationPolicy: Required value
            spec.failurePolicy = "Cry"
            spec.reinvocationPolicy = "Always"
            spec.paramKind = {}
            spec.variables = [{"name": "", "expression": ""}]
                spec.failurePolicy: Unsupported value: "Cry": supported values: "Fail", "Ignore"
                spec.paramKind.apiVersion: Required value
                spec.paramKind.kind: Required value
                spec.variables[0].name: Required value: name is not specified
                spec.variables[0].expression: Required value: expression is not specified
                spec.reinvocationPolicy: Unsupported value: "Always": supported values: "IfNeeded", "Never"
            spec.mutations = [{"patchType": ""}, {"patchType": "Magic"}]
                spec.mutations[0].patchType: Required value
                spec.mutations[1].patchType: Unsupported value: "Magic": supported values: "ApplyConfiguration", "JSONPatch"
            spec.mutations = [{"patchType": "JSONPatch"}, {"patchType": "JSONPatch", "jsonPatch": {"expression": " "}, "applyConfiguration": {"expression": "x"}}]
                spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch
                spec.mutations[1].jsonPatch.expression: Required value: expression is not specified
                spec.mutations[1].applyConfiguration: Invalid value: "{applyConfiguration}": must not be specified when patchType is JSONPatch
            spec.mutations = [{"patchType": "ApplyConfiguration", "jsonPatch": {"expression": "[]"}}]
                spec.mutations[0].applyConfiguration: Required value: must be specified when patchType is ApplyConfiguration
                spec.mutations[0].jsonPatch: Invalid value: "{jsonPatch}": must not be specified when patchType is ApplyConfiguration
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        POLICY,
        "spec.failurePolicy = \"Fail\"\n\nspec = {}",
        expect![[r#"
        NAME  MUTATIONS  PARAMKIND  AGE
        p  2  <unset>  10m
        p  0  <unset>  10m
    "#]],
    );
}

#[test]
fn its_expressions() {
    let policy = object(&Strategy, POLICY, "");
    let mut out = String::new();
    for e in expressions::of_mutating(&policy) {
        writeln!(out, "{}: {} -> {:?}", e.path, e.text, e.yields).unwrap();
    }
    expect![[r#"
        spec.mutations[0].applyConfiguration.expression: Object{} -> Object
        spec.mutations[1].jsonPatch.expression: [] -> JsonPatch
    "#]]
    .assert_eq(&out);
}
