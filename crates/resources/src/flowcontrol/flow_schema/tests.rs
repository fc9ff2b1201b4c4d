use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update};

const SCHEMA: &str = r#"{
    "metadata": {"name": "s", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {
        "priorityLevelConfiguration": {"name": "workload-low"},
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [{
            "subjects": [{"kind": "User", "user": {"name": "jane"}}],
            "resourceRules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["default"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["/healthz", "/api/*", "/"]}]
        }]
    }
}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        r#"{"metadata": {"name": "s"}, "spec": {"priorityLevelConfiguration": {"name": "x"}}}"#,
        expect![[r#"
            {
              "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
              "kind": "FlowSchema",
              "metadata": {
                "name": "s"
              },
              "spec": {
                "matchingPrecedence": 1000,
                "priorityLevelConfiguration": {
                  "name": "x"
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
        SCHEMA,
        r#"
        spec.matchingPrecedence = 500

        spec.matchingPrecedence = -1

        spec.matchingPrecedence = 1

        spec.matchingPrecedence = 10001

        spec.distinguisherMethod.type = "ByMood"

        spec.priorityLevelConfiguration.name = ""

        spec.priorityLevelConfiguration.name = "A"

        spec.rules[0] = {"subjects": []}

        spec.rules[0].subjects = [{"kind": "User"}, {"kind": "Group"}, {"kind": "ServiceAccount"}, {"kind": "Robot"}]

        spec.rules[0].subjects = [{"kind": "User", "user": {"name": ""}, "group": {"name": "g"}, "serviceAccount": {"name": "a", "namespace": "b"}}]

        spec.rules[0].subjects = [{"kind": "ServiceAccount", "serviceAccount": {"name": "", "namespace": ""}, "user": {"name": "u"}}, {"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": "N"}}]

        spec.rules[0].resourceRules[0] = {"verbs": [], "apiGroups": [], "resources": []}

        spec.rules[0].resourceRules[0] = {"verbs": ["*", "get"], "apiGroups": ["*", "apps"], "resources": ["*", "pods"], "namespaces": ["*", "a"]}

        spec.rules[0].resourceRules[0] = {"verbs": ["fly"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["A_"]}

        spec.rules[0].resourceRules[0] = {"verbs": ["get"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true}

        spec.rules[0].nonResourceRules[0] = {"verbs": [], "nonResourceURLs": []}

        spec.rules[0].nonResourceRules[0] = {"verbs": ["*"], "nonResourceURLs": ["*", "/a"]}

        spec.rules[0].nonResourceRules[0] = {"verbs": ["*"], "nonResourceURLs": ["", "a", "/a b", "/a//b", "/a*", "/*/*"]}

        metadata.name = "exempt"
        spec.matchingPrecedence = 1
        spec.distinguisherMethod = null
        spec.rules = []
        "#,
        expect![[r#"
            spec.matchingPrecedence = 500
                fine
            spec.matchingPrecedence = -1
                spec.matchingPrecedence: Invalid value: -1: must be a positive value
            spec.matchingPrecedence = 1
                spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1
            spec.matchingPrecedence = 10001
                spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000
            spec.distinguisherMethod.type = "ByMood"
                spec.distinguisherMethod.type: Unsupported value: "ByMood": supported values: "ByNamespace", "ByUser"
            spec.priorityLevelConfiguration.name = ""
                spec.priorityLevelConfiguration.name: Required value: must reference a priority level
            spec.priorityLevelConfiguration.name = "A"
                spec.priorityLevelConfiguration.name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.rules[0] = {"subjects": []}
                spec.rules[0].subjects: Required value: subjects must contain at least one value
                spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty
            spec.rules[0].subjects = [{"kind": "User"}, {"kind": "Group"}, {"kind": "ServiceAccount"}, {"kind": "Robot"}]
                spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'
                spec.rules[0].subjects[1].group: Required value: group is required when subject kind is 'Group'
                spec.rules[0].subjects[2].serviceAccount: Required value: serviceAccount is required when subject kind is 'ServiceAccount'
                spec.rules[0].subjects[3].kind: Unsupported value: "Robot": supported values: "Group", "ServiceAccount", "User"
            spec.rules[0].subjects = [{"kind": "User", "user": {"name": ""}, "group": {"name": "g"}, "serviceAccount": {"name": "a", "namespace": "b"}}]
                spec.rules[0].subjects[0].user.name: Required value
                spec.rules[0].subjects[0].serviceAccount: Forbidden: serviceAccount is forbidden when subject kind is not 'ServiceAccount'
                spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'
            spec.rules[0].subjects = [{"kind": "ServiceAccount", "serviceAccount": {"name": "", "namespace": ""}, "user": {"name": "u"}}, {"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": "N"}}]
                spec.rules[0].subjects[0].serviceAccount.name: Required value
                spec.rules[0].subjects[0].serviceAccount.namespace: Required value: must specify namespace for service account
                spec.rules[0].subjects[0].user: Forbidden: user is forbidden when subject kind is not 'User'
                spec.rules[0].subjects[1].serviceAccount.namespace: Invalid value: "N": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
            spec.rules[0].resourceRules[0] = {"verbs": [], "apiGroups": [], "resources": []}
                spec.rules[0].resourceRules[0].verbs: Required value: verbs must contain at least one value
                spec.rules[0].resourceRules[0].apiGroups: Required value: resource rules must supply at least one api group
                spec.rules[0].resourceRules[0].resources: Required value: resource rules must supply at least one resource
                spec.rules[0].resourceRules[0].namespaces: Required value: resource rules that are not cluster scoped must supply at least one namespace
            spec.rules[0].resourceRules[0] = {"verbs": ["*", "get"], "apiGroups": ["*", "apps"], "resources": ["*", "pods"], "namespaces": ["*", "a"]}
                spec.rules[0].resourceRules[0].verbs: Invalid value: ["*","get"]: if '*' is present, must not specify other verbs
                spec.rules[0].resourceRules[0].apiGroups: Invalid value: ["*","apps"]: if '*' is present, must not specify other api groups
                spec.rules[0].resourceRules[0].resources: Invalid value: ["*","pods"]: if '*' is present, must not specify other resources
                spec.rules[0].resourceRules[0].namespaces: Invalid value: ["*","a"]: if '*' is present, must not specify other namespaces
            spec.rules[0].resourceRules[0] = {"verbs": ["fly"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["A_"]}
                spec.rules[0].resourceRules[0].verbs: Unsupported value: ["fly"]: supported values: "create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"
                spec.rules[0].resourceRules[0].namespaces[0]: Invalid value: "A_": each member of this list must be '*' or a DNS-1123 label; a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
            spec.rules[0].resourceRules[0] = {"verbs": ["get"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true}
                fine
            spec.rules[0].nonResourceRules[0] = {"verbs": [], "nonResourceURLs": []}
                spec.rules[0].nonResourceRules[0].verbs: Required value: verbs must contain at least one value
                spec.rules[0].nonResourceRules[0].nonResourceURLs: Required value: nonResourceURLs must contain at least one value
            spec.rules[0].nonResourceRules[0] = {"verbs": ["*"], "nonResourceURLs": ["*", "/a"]}
                spec.rules[0].nonResourceRules[0].nonResourceURLs: Invalid value: ["*","/a"]: if '*' is present, must not specify other non-resource URLs
            spec.rules[0].nonResourceRules[0] = {"verbs": ["*"], "nonResourceURLs": ["", "a", "/a b", "/a//b", "/a*", "/*/*"]}
                spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: "": must not be empty
                spec.rules[0].nonResourceRules[0].nonResourceURLs[1]: Invalid value: "a": must start with slash
                spec.rules[0].nonResourceRules[0].nonResourceURLs[2]: Invalid value: "/a b": must not contain white-space
                spec.rules[0].nonResourceRules[0].nonResourceURLs[3]: Invalid value: "/a//b": must not contain double slash
                spec.rules[0].nonResourceRules[0].nonResourceURLs[4]: Invalid value: "/a*": wildcard can only do suffix matching
                spec.rules[0].nonResourceRules[0].nonResourceURLs[5]: Invalid value: "/*/*": wildcard can only do suffix matching
            metadata.name = "exempt"
            spec.matchingPrecedence = 1
            spec.distinguisherMethod = null
            spec.rules = []
                spec: Invalid value: {"matchingPrecedence":1,"priorityLevelConfiguration":{"name":"workload-low"},"rules":[]}: spec of 'exempt' must equal the fixed value
        "#]],
    );
}

#[test]
fn changes() {
    check_update(
        &Strategy,
        SCHEMA,
        r#"
        spec.matchingPrecedence = 77

        spec.matchingPrecedence = 0
        "#,
        Part::Main,
        expect![[r#"
            spec.matchingPrecedence = 77
                fine
            spec.matchingPrecedence = 0
                fine
        "#]],
    );
    check_update(
        &Strategy,
        SCHEMA,
        r#"
        status.conditions = [{"type": "Dangling", "status": "True"}]

        status.conditions = [{"type": ""}, {"type": "a"}, {"type": "a"}]
        "#,
        Part::Status,
        expect![[r#"
            status.conditions = [{"type": "Dangling", "status": "True"}]
                fine
            status.conditions = [{"type": ""}, {"type": "a"}, {"type": "a"}]
                status.conditions[0].type: Required value: must not be empty
                status.conditions[2].type: Duplicate value: "a"
        "#]],
    );
}

#[test]
fn a_status_leaves_the_spec_and_a_spec_the_status() {
    use crate::Strategy as _;
    use crate::testing::object;
    let old = object(&Strategy, SCHEMA, "metadata.generation = 1");
    let edits = "spec.matchingPrecedence = 7\nstatus.conditions = [{\"type\": \"Dangling\"}]\nmetadata.generation = 1";
    let changed = |part| {
        let mut new = object(&Strategy, SCHEMA, edits);
        Strategy.prepare_update(&mut new, &old, part);
        (new.spec.matching_precedence, new.status.is_some(), new.metadata.generation)
    };
    assert_eq!(changed(Part::Main), (Some(7), false, Some(2)));
    assert_eq!(changed(Part::Status), (Some(1000), true, Some(1)));
}

#[test]
fn a_status_leaves_the_metadata_too() {
    use crate::Strategy as _;
    let old = crate::testing::object(&Strategy, SCHEMA, "");
    let mut new = old.clone();
    new.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
    new.metadata.managed_fields = Some(Vec::new());
    Strategy.prepare_update(&mut new, &old, Part::Status);
    assert_eq!(
        (&new.metadata.labels, &new.metadata.managed_fields),
        (&old.metadata.labels, &Some(Vec::new()))
    );
    assert_eq!(Strategy.reset_fields(Part::Status), ["spec", "metadata"]);
    assert_eq!(Strategy.reset_fields(Part::Main), ["status"]);
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        SCHEMA,
        r#"
        spec.matchingPrecedence = 500

        spec.distinguisherMethod = null
        status.conditions = [{"type": "Dangling", "status": "False"}]
        "#,
        expect![[r#"
            NAME  PRIORITYLEVEL  MATCHINGPRECEDENCE  DISTINGUISHERMETHOD  AGE  MISSINGPL
            s  workload-low  500  ByUser  10m  ?
            s  workload-low  1000  <none>  10m  False
        "#]],
    );
}
