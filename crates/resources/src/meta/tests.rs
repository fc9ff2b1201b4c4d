use expect_test::{Expect, expect};

use super::*;
use crate::testing::{causes, edited};
use codec::Kind;
use k8s_openapi::api::core::v1::ConfigMap;

const OBJECT: &str =
    r#"{"metadata": {"name": "a", "namespace": "default", "uid": "u", "resourceVersion": "1"}}"#;

fn meta(base: &str, edits: &str) -> ObjectMeta {
    ConfigMap::from_json(edited(base, edits).to_string().as_bytes()).unwrap().metadata
}

#[track_caller]
fn check(scope: Scope, rule: NameRule, cases: &str, expect: Expect) {
    let out: String = cases
        .trim()
        .split("\n\n")
        .map(|edits| {
            let errs = validate_create(&meta(OBJECT, edits), scope, rule);
            let edits: Vec<_> = edits.lines().map(str::trim).collect();
            let causes = causes(&errs).lines().map(|line| format!("    {line}\n")).collect::<String>();
            format!("{}\n{causes}", edits.join("\n"))
        })
        .collect();
    expect.assert_eq(&out);
}

#[test]
fn creates() {
    check(
        Scope::Namespaced,
        NameRule::DnsSubdomain,
        r#"
        metadata.name = "a.b-c"

        metadata.name = "A"

        - metadata.name

        metadata.generateName = "A-"

        metadata.generateName = "ok-"

        metadata.namespace = "a.b"

        - metadata.namespace

        metadata.labels."a/b/c" = "x y"

        metadata.annotations."A/b c" = "anything goes"

        metadata.finalizers = ["x", "orphan", "foregroundDeletion"]

        metadata.ownerReferences = [{"apiVersion": "", "kind": "", "name": "", "uid": ""}]

        metadata.ownerReferences = [{"apiVersion": "v1", "kind": "Event", "name": "e", "uid": "1"}]

        metadata.ownerReferences = [{"apiVersion": "v1", "kind": "Pod", "name": "e", "uid": "1", "controller": true}, {"apiVersion": "v1", "kind": "Pod", "name": "f", "uid": "2", "controller": true}]

        metadata.managedFields = [{"operation": "Odd", "fieldsType": "V2"}]
        "#,
        expect![[r#"
            metadata.name = "a.b-c"
                fine
            metadata.name = "A"
                metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            - metadata.name
                metadata.name: Required value: name or generateName is required
            metadata.generateName = "A-"
                metadata.generateName: Invalid value: "A-": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            metadata.generateName = "ok-"
                fine
            metadata.namespace = "a.b"
                metadata.namespace: Invalid value: "a.b": must not contain dots
            - metadata.namespace
                metadata.namespace: Required value
            metadata.labels."a/b/c" = "x y"
                metadata.labels: Invalid value: "a/b/c": a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')
                metadata.labels: Invalid value: "x y": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
            metadata.annotations."A/b c" = "anything goes"
                metadata.annotations: Invalid value: "A/b c": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            metadata.finalizers = ["x", "orphan", "foregroundDeletion"]
                metadata.finalizers[0]: Invalid value: "x": name is neither a standard finalizer name nor is it fully qualified
                metadata.finalizers: Invalid value: ["x","orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set
            metadata.ownerReferences = [{"apiVersion": "", "kind": "", "name": "", "uid": ""}]
                metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty
                metadata.ownerReferences.kind: Invalid value: "": must not be empty
                metadata.ownerReferences.name: Invalid value: "": must not be empty
                metadata.ownerReferences.uid: Invalid value: "": must not be empty
            metadata.ownerReferences = [{"apiVersion": "v1", "kind": "Event", "name": "e", "uid": "1"}]
                metadata.ownerReferences: Invalid value: [{"apiVersion":"v1","kind":"Event","name":"e","uid":"1"}]: /v1, Kind=Event is disallowed from being an owner
            metadata.ownerReferences = [{"apiVersion": "v1", "kind": "Pod", "name": "e", "uid": "1", "controller": true}, {"apiVersion": "v1", "kind": "Pod", "name": "f", "uid": "2", "controller": true}]
                metadata.ownerReferences: Invalid value: [{"apiVersion":"v1","controller":true,"kind":"Pod","name":"e","uid":"1"},{"apiVersion":"v1","controller":true,"kind":"Pod","name":"f","uid":"2"}]: Only one reference can have Controller set to true. Found "true" in references for Pod/e and Pod/f
            metadata.managedFields = [{"operation": "Odd", "fieldsType": "V2"}]
                metadata.managedFields[0].operation: Invalid value: "Odd": must be `Apply` or `Update`
                metadata.managedFields[0].fieldsType: Invalid value: "V2": must be `FieldsV1`
        "#]],
    );
}

#[test]
fn other_rules() {
    check(
        Scope::Cluster,
        NameRule::PathSegment,
        r#"
        metadata.name = "system:a b"

        - metadata.namespace
        metadata.name = "a/b%c"

        - metadata.namespace
        metadata.name = ".."
        "#,
        expect![[r#"
            metadata.name = "system:a b"
                metadata.namespace: Forbidden: not allowed on this type
            - metadata.namespace
            metadata.name = "a/b%c"
                metadata.name: Invalid value: "a/b%c": may not contain '/'
                metadata.name: Invalid value: "a/b%c": may not contain '%'
            - metadata.namespace
            metadata.name = ".."
                metadata.name: Invalid value: "..": may not be '..'
        "#]],
    );
}

#[test]
fn updates() {
    let old = meta(OBJECT, "metadata.generation = 3\nmetadata.deletionTimestamp = \"2026-01-01T00:00:00Z\"");
    let new = meta(
        OBJECT,
        "metadata.name = \"b\"\nmetadata.namespace = \"x\"\nmetadata.uid = \"v\"\n- metadata.resourceVersion\nmetadata.generation = 2\nmetadata.finalizers = [\"a/b\"]",
    );
    expect![[r#"
            metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"a/b"}
            metadata.resourceVersion: Invalid value: "": must be specified for an update
            metadata.generation: Invalid value: 2: must not be decremented
            metadata.name: Invalid value: "b": field is immutable
            metadata.namespace: Invalid value: "x": field is immutable
            metadata.uid: Invalid value: "v": field is immutable
            metadata.deletionTimestamp: Invalid value: "null": field is immutable
    "#]].assert_eq(&causes(&validate_update(&new, &old)));
    assert!(validate_update(&old, &old).is_empty());
}
