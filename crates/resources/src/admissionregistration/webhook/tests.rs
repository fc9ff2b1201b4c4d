use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update};

const MUTATING: Strategy<MutatingWebhookConfiguration> = Strategy(PhantomData);
const VALIDATING: Strategy<ValidatingWebhookConfiguration> = Strategy(PhantomData);

const HOOKS: &str = r#"{
    "metadata": {"name": "w", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "webhooks": [{
        "name": "a.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {"service": {"namespace": "n", "name": "s"}},
        "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]
    }]
}"#;

#[test]
fn defaults() {
    check_default(
        &MUTATING,
        HOOKS,
        expect![[r#"
        {
          "apiVersion": "admissionregistration.k8s.io/v1",
          "kind": "MutatingWebhookConfiguration",
          "metadata": {
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "name": "w"
          },
          "webhooks": [
            {
              "admissionReviewVersions": [
                "v1"
              ],
              "clientConfig": {
                "service": {
                  "name": "s",
                  "namespace": "n",
                  "port": 443
                }
              },
              "failurePolicy": "Fail",
              "matchPolicy": "Equivalent",
              "name": "a.example.com",
              "namespaceSelector": {},
              "objectSelector": {},
              "reinvocationPolicy": "Never",
              "rules": [
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
              ],
              "sideEffects": "None",
              "timeoutSeconds": 10
            }
          ]
        }
    "#]],
    );
    check_default(
        &VALIDATING,
        r#"{"metadata": {"name": "w"}, "webhooks": [{}]}"#,
        expect![[r#"
        {
          "apiVersion": "admissionregistration.k8s.io/v1",
          "kind": "ValidatingWebhookConfiguration",
          "metadata": {
            "name": "w"
          },
          "webhooks": [
            {
              "admissionReviewVersions": [],
              "clientConfig": {},
              "failurePolicy": "Fail",
              "matchPolicy": "Equivalent",
              "name": "",
              "namespaceSelector": {},
              "objectSelector": {},
              "sideEffects": "",
              "timeoutSeconds": 10
            }
          ]
        }
    "#]],
    );
}

#[test]
fn rules() {
    check_create(
        &MUTATING,
        HOOKS,
        r#"
        webhooks = []

        webhooks[0].name = "a.example"

        webhooks[0].name = ""

        webhooks[0].name = "A.b.c"

        webhooks[1] = {"name": "a.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "clientConfig": {"url": "https://h/p"}}

        webhooks[0].admissionReviewVersions = []

        webhooks[0].admissionReviewVersions = ["v2", "v2", "V"]

        webhooks[0].sideEffects = "Some"

        - webhooks[0].sideEffects

        webhooks[0].failurePolicy = "Cry"
        webhooks[0].matchPolicy = "Near"
        webhooks[0].reinvocationPolicy = "Always"
        webhooks[0].timeoutSeconds = 31

        webhooks[0].namespaceSelector = {"matchExpressions": [{"key": "a", "operator": "In"}]}
        webhooks[0].objectSelector = {"matchLabels": {"a b": "c"}}

        webhooks[0].clientConfig = {}

        webhooks[0].clientConfig.url = "https://h"

        webhooks[0].clientConfig = {"url": "http://user@?q#f"}

        webhooks[0].clientConfig.service = {"namespace": "", "name": "", "port": 70000, "path": "a//B"}

        webhooks[0].clientConfig.service.path = "//"

        webhooks[0].rules[0] = {}

        webhooks[0].rules[0] = {"operations": ["*", "CREATE"], "apiGroups": ["*", "apps"], "apiVersions": ["*", ""], "resources": ["*", "pods"], "scope": "Here"}

        webhooks[0].rules[0].operations = ["LOOK"]

        webhooks[0].rules[0].resources = ["pods/*", "pods/log", "*/scale", "deployments/scale", ""]

        webhooks[0].rules[0].resources = ["*/*", "pods"]

        webhooks[0].matchConditions = [{"name": "", "expression": " "}, {"name": "a", "expression": "true"}, {"name": "a", "expression": "true"}, {"name": "a b", "expression": "true"}]
        "#,
        expect![[r#"
            webhooks = []
                fine
            webhooks[0].name = "a.example"
                webhooks[0].name: Invalid value: "a.example": should be a domain with at least three segments separated by dots
            webhooks[0].name = ""
                webhooks[0].name: Required value
            webhooks[0].name = "A.b.c"
                webhooks[0].name: Invalid value: "A.b.c": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            webhooks[1] = {"name": "a.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "clientConfig": {"url": "https://h/p"}}
                webhooks[1].name: Duplicate value: "a.example.com"
            webhooks[0].admissionReviewVersions = []
                webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1
            webhooks[0].admissionReviewVersions = ["v2", "v2", "V"]
                webhooks[0].admissionReviewVersions[1]: Invalid value: "v2": duplicate version
                webhooks[0].admissionReviewVersions[2]: Invalid value: "V": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')
                webhooks[0].admissionReviewVersions: Invalid value: ["v2","v2","V"]: must include at least one of v1, v1beta1
            webhooks[0].sideEffects = "Some"
                webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"
            - webhooks[0].sideEffects
                webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun
            webhooks[0].failurePolicy = "Cry"
            webhooks[0].matchPolicy = "Near"
            webhooks[0].reinvocationPolicy = "Always"
            webhooks[0].timeoutSeconds = 31
                webhooks[0].failurePolicy: Unsupported value: "Cry": supported values: "Fail", "Ignore"
                webhooks[0].matchPolicy: Unsupported value: "Near": supported values: "Equivalent", "Exact"
                webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds
                webhooks[0].reinvocationPolicy: Unsupported value: "Always": supported values: "IfNeeded", "Never"
            webhooks[0].namespaceSelector = {"matchExpressions": [{"key": "a", "operator": "In"}]}
            webhooks[0].objectSelector = {"matchLabels": {"a b": "c"}}
                webhooks[0].namespaceSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'
                webhooks[0].objectSelector.matchLabels: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            webhooks[0].clientConfig = {}
                webhooks[0].clientConfig: Required value: exactly one of url or service is required
            webhooks[0].clientConfig.url = "https://h"
                webhooks[0].clientConfig: Required value: exactly one of url or service is required
            webhooks[0].clientConfig = {"url": "http://user@?q#f"}
                webhooks[0].clientConfig.url: Invalid value: "http": 'https' is the only allowed URL scheme; desired format: https://host[/path]
                webhooks[0].clientConfig.url: Invalid value: "": host must be provided; desired format: https://host[/path]
                webhooks[0].clientConfig.url: Invalid value: "user": user information is not permitted in the URL
                webhooks[0].clientConfig.url: Invalid value: "f": fragments are not permitted in the URL
                webhooks[0].clientConfig.url: Invalid value: "q": query parameters are not permitted in the URL
            webhooks[0].clientConfig.service = {"namespace": "", "name": "", "port": 70000, "path": "a//B"}
                webhooks[0].clientConfig.service.name: Required value: service name is required
                webhooks[0].clientConfig.service.namespace: Required value: service namespace is required
                webhooks[0].clientConfig.service.port: Invalid value: 70000: port is not valid: must be between 1 and 65535, inclusive
                webhooks[0].clientConfig.service.path: Invalid value: "a//B": must start with a '/'
                webhooks[0].clientConfig.service.path: Invalid value: "a//B": segment[1] may not be empty
                webhooks[0].clientConfig.service.path: Invalid value: "a//B": segment[2]: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            webhooks[0].clientConfig.service.path = "//"
                webhooks[0].clientConfig.service.path: Invalid value: "//": segment[0] may not be empty
            webhooks[0].rules[0] = {}
                webhooks[0].rules[0].operations: Required value
                webhooks[0].rules[0].apiGroups: Required value
                webhooks[0].rules[0].apiVersions: Required value
                webhooks[0].rules[0].resources: Required value
            webhooks[0].rules[0] = {"operations": ["*", "CREATE"], "apiGroups": ["*", "apps"], "apiVersions": ["*", ""], "resources": ["*", "pods"], "scope": "Here"}
                webhooks[0].rules[0].operations: Invalid value: ["*","CREATE"]: if '*' is present, must not specify other operations
                webhooks[0].rules[0].apiGroups: Invalid value: ["*","apps"]: if '*' is present, must not specify other API groups
                webhooks[0].rules[0].apiVersions: Invalid value: ["*",""]: if '*' is present, must not specify other API versions
                webhooks[0].rules[0].apiVersions[1]: Required value
                webhooks[0].rules[0].resources: Invalid value: ["*","pods"]: if '*' is present, must not specify other resources without subresources
                webhooks[0].rules[0].scope: Unsupported value: "Here": supported values: "*", "Cluster", "Namespaced"
            webhooks[0].rules[0].operations = ["LOOK"]
                webhooks[0].rules[0].operations[0]: Unsupported value: "LOOK": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"
            webhooks[0].rules[0].resources = ["pods/*", "pods/log", "*/scale", "deployments/scale", ""]
                webhooks[0].rules[0].resources[1]: Invalid value: "pods/log": if 'pods/*' is present, must not specify pods/log
                webhooks[0].rules[0].resources[3]: Invalid value: "deployments/scale": if '*/scale' is present, must not specify deployments/scale
                webhooks[0].rules[0].resources[4]: Required value
            webhooks[0].rules[0].resources = ["*/*", "pods"]
                webhooks[0].rules[0].resources: Invalid value: ["*/*","pods"]: if '*/*' is present, must not specify other resources
            webhooks[0].matchConditions = [{"name": "", "expression": " "}, {"name": "a", "expression": "true"}, {"name": "a", "expression": "true"}, {"name": "a b", "expression": "true"}]
                webhooks[0].matchConditions[0].expression: Required value
                webhooks[0].matchConditions[0].name: Required value
                webhooks[0].matchConditions[2].name: Duplicate value: "a"
                webhooks[0].matchConditions[3].name: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
        "#]],
    );
}

#[test]
fn what_was_there_may_stay() {
    let old = HOOKS.replace(r#""None""#, r#""Some""#).replace(
        r#"["v1"],
        "side"#,
        r#"["v0"],
        "side"#,
    );
    check_update(
        &VALIDATING,
        &old,
        r#"
        metadata.labels = {"a": "b"}

        webhooks[0].sideEffects = "Much"
        "#,
        Part::Main,
        expect![[r#"
            metadata.labels = {"a": "b"}
                fine
            webhooks[0].sideEffects = "Much"
                webhooks[0].sideEffects: Unsupported value: "Much": supported values: "None", "NoneOnDryRun", "Some", "Unknown"
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &VALIDATING,
        HOOKS,
        "webhooks[0].timeoutSeconds = 1\n\n- webhooks",
        expect![[r#"
        NAME  WEBHOOKS  AGE
        w  1  10m
        w  0  10m
    "#]],
    );
}
