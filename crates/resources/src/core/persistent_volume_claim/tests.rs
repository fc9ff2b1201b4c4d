use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update};

const CLAIM: &str = r#"{"metadata": {"name": "c", "namespace": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        CLAIM,
        expect![[r#"
        {
          "apiVersion": "v1",
          "kind": "PersistentVolumeClaim",
          "metadata": {
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "name": "c",
            "namespace": "a"
          },
          "spec": {
            "accessModes": [
              "ReadWriteOnce"
            ],
            "resources": {
              "requests": {
                "storage": "1Gi"
              }
            },
            "volumeMode": "Filesystem"
          },
          "status": {
            "phase": "Pending"
          }
        }
    "#]],
    );
}

#[test]
fn rules() {
    check_create(
        &Strategy,
        CLAIM,
        r#"
        spec.accessModes = []

        spec.accessModes = ["Odd"]

        spec.accessModes = ["ReadWriteOncePod", "ReadWriteOnce"]

        - spec.resources

        spec.resources.requests.storage = "0"

        spec.resources.requests.storage = "-1"

        spec.selector.matchExpressions = [{"key": "a", "operator": "In"}]

        spec.storageClassName = "A"

        spec.storageClassName = ""

        spec.volumeMode = "Odd"

        spec.dataSource = {"kind": "Snap", "name": ""}

        spec.dataSource = {"kind": "PersistentVolumeClaim", "name": "x"}
        spec.dataSourceRef = {"kind": "PersistentVolumeClaim", "name": "y"}
        "#,
        expect![[r#"
            spec.accessModes = []
                spec.accessModes: Required value: at least 1 access mode is required
            spec.accessModes = ["Odd"]
                spec.accessModes: Unsupported value: "Odd": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"
            spec.accessModes = ["ReadWriteOncePod", "ReadWriteOnce"]
                spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes
            - spec.resources
                spec.resources[storage]: Required value
            spec.resources.requests.storage = "0"
                spec.resources[storage]: Invalid value: "0": must be greater than zero
            spec.resources.requests.storage = "-1"
                spec.resources[storage]: Invalid value: "-1": must be greater than or equal to 0
                spec.resources[storage]: Invalid value: "-1": must be greater than zero
            spec.selector.matchExpressions = [{"key": "a", "operator": "In"}]
                spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'
            spec.storageClassName = "A"
                spec.storageClassName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.storageClassName = ""
                fine
            spec.volumeMode = "Odd"
                spec.volumeMode: Unsupported value: "Odd": supported values: "Block", "Filesystem"
            spec.dataSource = {"kind": "Snap", "name": ""}
                spec.dataSource.name: Required value
                spec.dataSource: Invalid value: "Snap": must be 'PersistentVolumeClaim' when referencing the default apiGroup
                spec.dataSourceRef.name: Required value
                spec.dataSourceRef: Invalid value: "Snap": must be 'PersistentVolumeClaim' when referencing the default apiGroup
            spec.dataSource = {"kind": "PersistentVolumeClaim", "name": "x"}
            spec.dataSourceRef = {"kind": "PersistentVolumeClaim", "name": "y"}
                spec.dataSource: Invalid value: {"kind":"PersistentVolumeClaim","name":"x"}: must match dataSourceRef
        "#]],
    );
}

#[test]
fn updates() {
    check_update(
        &Strategy,
        CLAIM,
        r#"
        spec.volumeName = "v"

        spec.storageClassName = "gold"

        spec.resources.requests.storage = "2Gi"

        spec.accessModes = ["ReadWriteMany"]

        spec.volumeMode = "Block"
        "#,
        Part::Main,
        expect![[r#"
            spec.volumeName = "v"
                fine
            spec.storageClassName = "gold"
                fine
            spec.resources.requests.storage = "2Gi"
                spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims
                  spec.resources.requests.storage: "1Gi" -> "2Gi"
            spec.accessModes = ["ReadWriteMany"]
                spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims
                  spec.accessModes[0]: "ReadWriteOnce" -> "ReadWriteMany"
            spec.volumeMode = "Block"
                spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims
                  spec.volumeMode: "Filesystem" -> "Block"
                volumeMode: Invalid value: "Block": field is immutable
        "#]],
    );
    check_update(
        &Strategy,
        CLAIM,
        r#"
        status.capacity.storage = "-1"

        status.allocatedResourceStatuses = {"storage": "Odd", "foo": "NodeResizePending"}
        "#,
        Part::Status,
        expect![[r#"
            status.capacity.storage = "-1"
                status.capacity[storage]: Invalid value: "-1": must be greater than or equal to 0
            status.allocatedResourceStatuses = {"storage": "Odd", "foo": "NodeResizePending"}
                status.allocatedResourceStatus[foo]: Unsupported value: "foo": supported values: "storage"
                status.allocatedResourceStatus[storage]: Unsupported value: "Odd": supported values: "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizePending", "NodeResizeInProgress", "NodeResizeInfeasible"
        "#]],
    );
}

#[test]
fn bound_claims_grow() {
    let bound = |size: &str, volume: &str| {
        let edits = format!(
            r#"spec.resources.requests.storage = "{size}"
            spec.volumeName = "{volume}"
            status = {{"phase": "Bound", "capacity": {{"storage": "1Gi"}}}}"#
        );
        crate::testing::object(&Strategy, CLAIM, &edits)
    };
    let judge = |new: &str, old: &str, volume: &str| {
        let (new, old) = (bound(new, volume), bound(old, "v"));
        crate::testing::causes(&crate::Strategy::validate_update(&Strategy, &new, &old, Part::Main))
    };
    expect![["fine\n"]].assert_eq(&judge("2Gi", "1Gi", "v"));
    expect![["fine\n"]].assert_eq(&judge("1500Mi", "2Gi", "v"));
    expect![[r#"
        spec.resources.requests.storage: Forbidden: field can not be less than status.capacity
    "#]]
    .assert_eq(&judge("1Gi", "2Gi", "v"));
    expect![[r#"
        spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims
          spec.volumeName: "v" -> "w"
    "#]].assert_eq(&judge("1Gi", "1Gi", "w"));
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        CLAIM,
        r#"
        metadata.labels.a = "b"

        spec.volumeName = "v"
        spec.storageClassName = "gold"
        status = {"phase": "Bound", "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"]}
        "#,
        expect![[r#"
            NAME  STATUS  VOLUME  CAPACITY  ACCESS MODES  STORAGECLASS  VOLUMEATTRIBUTESCLASS  AGE  VOLUMEMODE
            c  Pending          <unset>  10m  Filesystem
            c  Bound  v  2Gi  RWO  gold  <unset>  10m  Filesystem
        "#]],
    );
}
