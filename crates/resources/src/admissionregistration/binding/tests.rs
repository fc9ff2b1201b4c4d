use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows};

const VALIDATING: Strategy<ValidatingAdmissionPolicyBinding> = Strategy(PhantomData);
const MUTATING: Strategy<MutatingAdmissionPolicyBinding> = Strategy(PhantomData);

const BINDING: &str = r#"{
    "metadata": {"name": "b", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"policyName": "p", "validationActions": ["Deny"]}
}"#;

#[test]
fn defaults() {
    check_default(
        &VALIDATING,
        r#"{"metadata": {"name": "b"}, "spec": {"policyName": "p", "validationActions": ["Deny"], "matchResources": {"resourceRules": [{}]}}}"#,
        expect![[r#"
            {
              "apiVersion": "admissionregistration.k8s.io/v1",
              "kind": "ValidatingAdmissionPolicyBinding",
              "metadata": {
                "name": "b"
              },
              "spec": {
                "matchResources": {
                  "matchPolicy": "Equivalent",
                  "namespaceSelector": {},
                  "objectSelector": {},
                  "resourceRules": [
                    {
                      "scope": "*"
                    }
                  ]
                },
                "policyName": "p",
                "validationActions": [
                  "Deny"
                ]
              }
            }
        "#]],
    );
}

#[test]
fn rules() {
    check_create(
        &VALIDATING,
        BINDING,
        r#"
        spec.validationActions = ["Warn", "Audit"]

        spec.policyName = ""
        spec.validationActions = []

        spec.policyName = "A"
        spec.validationActions = ["Deny", "Warn", "Deny", "Laugh"]

        spec.paramRef = {}

        spec.paramRef = {"name": "a/b", "selector": {}, "parameterNotFoundAction": "Shrug"}

        spec.paramRef = {"selector": {"matchLabels": {"a b": "c"}}, "parameterNotFoundAction": "Allow"}

        spec.matchResources = {"matchPolicy": "Near", "resourceRules": [{"operations": ["CREATE"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": []}]}
        "#,
        expect![[r#"
            spec.validationActions = ["Warn", "Audit"]
                fine
            spec.policyName = ""
            spec.validationActions = []
                spec.policyName: Required value
                spec.validationActions: Required value: at least one validation action is required
            spec.policyName = "A"
            spec.validationActions = ["Deny", "Warn", "Deny", "Laugh"]
                spec.policyName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
                spec.validationActions[2]: Duplicate value: "Deny"
                spec.validationActions[3]: Unsupported value: "Laugh": supported values: "Audit", "Deny", "Warn"
                spec.validationActions: Invalid value: ["Deny","Warn","Deny","Laugh"]: must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)
            spec.paramRef = {}
                spec.paramRef: Required value: one of name or selector must be specified
                spec.paramRef.parameterNotFoundAction: Required value
            spec.paramRef = {"name": "a/b", "selector": {}, "parameterNotFoundAction": "Shrug"}
                spec.paramRef.name: Invalid value: "a/b": may not contain '/'
                spec.paramRef.name: Forbidden: name and selector are mutually exclusive
                spec.paramRef.selector: Forbidden: name and selector are mutually exclusive
                spec.paramRef.parameterNotFoundAction: Unsupported value: "Shrug": supported values: "Deny", "Allow"
            spec.paramRef = {"selector": {"matchLabels": {"a b": "c"}}, "parameterNotFoundAction": "Allow"}
                spec.paramRef.selector.matchLabels: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            spec.matchResources = {"matchPolicy": "Near", "resourceRules": [{"operations": ["CREATE"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": []}]}
                spec.matchResouces.matchPolicy: Unsupported value: "Near": supported values: "Equivalent", "Exact"
                spec.matchResouces.resourceRules[0].resources: Required value
        "#]],
    );
    check_create(
        &MUTATING,
        BINDING,
        "spec.policyName = \"p\"\n\nspec = null",
        expect![[r#"
        spec.policyName = "p"
            fine
        spec = null
            spec.policyName: Required value
    "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &VALIDATING,
        BINDING,
        r#"
        spec.paramRef = {"name": "n", "namespace": "ns", "parameterNotFoundAction": "Allow"}

        spec.paramRef = {"name": "n", "parameterNotFoundAction": "Allow"}

        spec.paramRef = {"selector": {"matchLabels": {"a": "b"}}, "parameterNotFoundAction": "Allow"}

        - spec.paramRef
        "#,
        expect![[r#"
            NAME  POLICYNAME  PARAMREF  AGE
            b  p  ns/n  10m
            b  p  n  10m
            b  p  a=b  10m
            b  p  <unset>  10m
        "#]],
    );
}
