use std::fmt::Write as _;

use expect_test::expect;

use super::super::expressions;
use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update, object};

const POLICY: &str = r#"{
    "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {
        "matchConstraints": {"resourceRules": [
            {"operations": ["CREATE"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}
        ]},
        "variables": [{"name": "n", "expression": "object.spec.replicas"}],
        "validations": [{"expression": "variables.n <= 5", "messageExpression": "'no'"}]
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
          "kind": "ValidatingAdmissionPolicy",
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
                    "apps"
                  ],
                  "apiVersions": [
                    "v1"
                  ],
                  "operations": [
                    "CREATE"
                  ],
                  "resources": [
                    "deployments"
                  ],
                  "scope": "*"
                }
              ]
            },
            "validations": [
              {
                "expression": "variables.n <= 5",
                "messageExpression": "'no'"
              }
            ],
            "variables": [
              {
                "expression": "object.spec.replicas",
                "name": "n"
              }
            ]
          }
        }
    "#]],
    );
    check_default(
        &Strategy,
        r#"{"metadata": {"name": "p"}}"#,
        expect![[r#"
        {
          "apiVersion": "admissionregistration.k8s.io/v1",
          "kind": "ValidatingAdmissionPolicy",
          "metadata": {
            "name": "p"
          },
          "spec": {
            "failurePolicy": "Fail"
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
        spec = {}

        spec.failurePolicy = "Cry"

        spec.paramKind = {}

        spec.paramKind = {"apiVersion": "a/b/c", "kind": "A_"}

        spec.paramKind = {"apiVersion": "G_/V_", "kind": "ConfigMap"}

        spec.paramKind = {"apiVersion": "g/", "kind": "ConfigMap"}

        spec.matchConstraints.resourceRules = []

        spec.matchConstraints.matchPolicy = "Near"
        spec.matchConstraints.resourceRules[0].resourceNames = ["a", "a", "b/c"]
        spec.matchConstraints.excludeResourceRules = [{}]

        spec.matchConditions = [{"name": "x", "expression": ""}]

        spec.variables = [{"name": "", "expression": ""}, {"name": "1x", "expression": "1"}, {"name": "null", "expression": "1"}]

        spec.validations[0] = {"expression": " ", "messageExpression": " ", "message": " ", "reason": "Whim"}

        spec.validations[0].message = "two\nlines"

        spec.auditAnnotations = [{"key": "k", "valueExpression": "'v'"}, {"key": "k", "valueExpression": " "}, {"key": "a b", "valueExpression": "'v'"}]

        spec.validations = []
        spec.auditAnnotations = [{"key": "k", "valueExpression": "'v'"}]
        "#,
        expect![[r#"
            spec = {}
                spec.matchConstraints: Required value
                spec.validations: Required value: validations or auditAnnotations must contain at least one item
                spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item
            spec.failurePolicy = "Cry"
                spec.failurePolicy: Unsupported value: "Cry": supported values: "Fail", "Ignore"
            spec.paramKind = {}
                spec.paramKind.apiVersion: Required value
                spec.paramKind.kind: Required value
            spec.paramKind = {"apiVersion": "a/b/c", "kind": "A_"}
                spec.paramKind.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c
                spec.paramKind.kind: Invalid value: "A_": may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')
            spec.paramKind = {"apiVersion": "G_/V_", "kind": "ConfigMap"}
                spec.paramKind.apiVersion: Invalid value: "G_": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
                spec.paramKind.apiVersion: Invalid value: "V_": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')
            spec.paramKind = {"apiVersion": "g/", "kind": "ConfigMap"}
                spec.paramKind.apiVersion: Invalid value: "g/": version must be specified
            spec.matchConstraints.resourceRules = []
                spec.matchConstraints.resourceRules: Required value
            spec.matchConstraints.matchPolicy = "Near"
            spec.matchConstraints.resourceRules[0].resourceNames = ["a", "a", "b/c"]
            spec.matchConstraints.excludeResourceRules = [{}]
                spec.matchConstraints.matchPolicy: Unsupported value: "Near": supported values: "Equivalent", "Exact"
                spec.matchConstraints.resourceRules[0].resourceNames[1]: Duplicate value: "a"
                spec.matchConstraints.resourceRules[0].resourceNames[2]: Invalid value: "b/c": may not contain '/'
                spec.matchConstraints.excludeResourceRules[0].operations: Required value
                spec.matchConstraints.excludeResourceRules[0].apiGroups: Required value
                spec.matchConstraints.excludeResourceRules[0].apiVersions: Required value
                spec.matchConstraints.excludeResourceRules[0].resources: Required value
            spec.matchConditions = [{"name": "x", "expression": ""}]
                spec.matchConditions[0].expression: Required value
            spec.variables = [{"name": "", "expression": ""}, {"name": "1x", "expression": "1"}, {"name": "null", "expression": "1"}]
                spec.variables[0].name: Required value: name is not specified
                spec.variables[0].expression: Required value: expression is not specified
                spec.variables[1].name: Invalid value: "1x": name is not a valid CEL identifier
                spec.variables[2].name: Invalid value: "null": name is not a valid CEL identifier
            spec.validations[0] = {"expression": " ", "messageExpression": " ", "message": " ", "reason": "Whim"}
                spec.validations[0].expression: Required value: expression is not specified
                spec.validations[0].messageExpression: Invalid value: " ": must be non-empty if specified
                spec.validations[0].message: Invalid value: " ": message must be non-empty if specified
                spec.validations[0].reason: Unsupported value: "Whim": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"
            spec.validations[0].message = "two\nlines"
                spec.validations[0].message: Invalid value: "two\nlines": message must not contain line breaks
            spec.auditAnnotations = [{"key": "k", "valueExpression": "'v'"}, {"key": "k", "valueExpression": " "}, {"key": "a b", "valueExpression": "'v'"}]
                spec.auditAnnotations[1].valueExpression: Required value: valueExpression is not specified
                spec.auditAnnotations[1].key: Duplicate value: "k"
                spec.auditAnnotations[2].key: Invalid value: "p/a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            spec.validations = []
            spec.auditAnnotations = [{"key": "k", "valueExpression": "'v'"}]
                fine
        "#]],
    );
}

#[test]
fn statuses() {
    check_update(
        &Strategy,
        POLICY,
        r#"
        status.typeChecking.expressionWarnings = [{"fieldRef": "spec.validations[0].expression", "warning": "w"}]

        status.typeChecking.expressionWarnings = [{"fieldRef": " ", "warning": ""}]
        status.conditions = [{"type": "x", "status": "Odd", "reason": "", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
        "#,
        Part::Status,
        expect![[r#"
            status.typeChecking.expressionWarnings = [{"fieldRef": "spec.validations[0].expression", "warning": "w"}]
                fine
            status.typeChecking.expressionWarnings = [{"fieldRef": " ", "warning": ""}]
            status.conditions = [{"type": "x", "status": "Odd", "reason": "", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
                status.typeChecking.expressionWarnings[0].warning: Required value
                status.typeChecking.expressionWarnings[0].fieldRef: Required value
                status.conditions[0].status: Unsupported value: "Odd": supported values: "False", "True", "Unknown"
                status.conditions[0].reason: Required value: must be set
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        POLICY,
        r#"
        spec.paramKind = {"apiVersion": "v1", "kind": "ConfigMap"}

        spec.validations = []
        "#,
        expect![[r#"
            NAME  VALIDATIONS  PARAMKIND  AGE
            p  1  v1/ConfigMap  10m
            p  0  <unset>  10m
        "#]],
    );
}

#[test]
fn its_expressions() {
    let policy = object(
        &Strategy,
        POLICY,
        r#"
        spec.paramKind = {"apiVersion": "v1", "kind": "ConfigMap"}
        spec.matchConditions = [{"name": "x", "expression": "true"}]
        spec.auditAnnotations = [{"key": "k", "valueExpression": "'v'"}]
        "#,
    );
    let mut out = String::new();
    for e in expressions::of_validating(&policy) {
        let (params, authorizer) = (e.params, e.authorizer);
        writeln!(
            out,
            "{}: {} -> {:?} params={params} authorizer={authorizer} variables={}",
            e.path, e.text, e.yields, e.variables
        )
        .unwrap();
    }
    expect![[r#"
        spec.matchConditions[0].expression: true -> Bool params=true authorizer=true variables=0
        spec.variables[0].expression: object.spec.replicas -> Anything params=true authorizer=true variables=0
        spec.validations[0].expression: variables.n <= 5 -> Bool params=true authorizer=true variables=1
        spec.validations[0].messageExpression: 'no' -> String params=true authorizer=false variables=1
        spec.auditAnnotations[0].valueExpression: 'v' -> StringOrNull params=true authorizer=true variables=1
    "#]]
    .assert_eq(&out);
}
