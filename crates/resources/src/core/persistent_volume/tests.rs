use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update};

const VOLUME: &str = r#"{"metadata": {"name": "v", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/data"}}}"#;

#[test]
fn defaults() {
    let bound = VOLUME.replace(r#""hostPath""#, r#""claimRef": {"name": "c", "namespace": "a"}, "hostPath""#);
    check_default(
        &Strategy,
        &bound,
        expect![[r#"
        {
          "apiVersion": "v1",
          "kind": "PersistentVolume",
          "metadata": {
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "name": "v"
          },
          "spec": {
            "accessModes": [
              "ReadWriteOnce"
            ],
            "capacity": {
              "storage": "1Gi"
            },
            "claimRef": {
              "apiVersion": "v1",
              "kind": "PersistentVolumeClaim",
              "name": "c",
              "namespace": "a"
            },
            "hostPath": {
              "path": "/data",
              "type": ""
            },
            "persistentVolumeReclaimPolicy": "Retain",
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
        VOLUME,
        r#"
        spec.accessModes = []

        spec.accessModes = ["ReadSometimes", "ReadWriteOncePod"]

        spec.capacity = {}

        spec.capacity = {"cpu": "1"}

        spec.capacity.storage = "0"

        spec.persistentVolumeReclaimPolicy = "Forget"

        spec.persistentVolumeReclaimPolicy = "Recycle"
        spec.hostPath.path = "/"

        - spec.hostPath

        spec.nfs = {"server": "s", "path": "/x"}

        spec.hostPath.path = ""

        spec.hostPath.path = "/a/../b"

        spec.hostPath.type = "Odd"

        - spec.hostPath
        spec.nfs = {"server": "", "path": "x"}

        - spec.hostPath
        spec.local.path = "/disk"

        - spec.hostPath
        spec.local.path = "/disk"
        spec.nodeAffinity.required.nodeSelectorTerms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1"]}]}]

        - spec.hostPath
        spec.csi = {"driver": "a b", "volumeHandle": ""}

        spec.nodeAffinity = {}

        spec.storageClassName = "A"

        spec.volumeMode = "Odd"

        spec.volumeAttributesClassName = "gold"
        "#,
        expect![[r#"
            spec.accessModes = []
                spec.accessModes: Required value
            spec.accessModes = ["ReadSometimes", "ReadWriteOncePod"]
                spec.accessModes: Unsupported value: "ReadSometimes": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"
                spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes
            spec.capacity = {}
                spec.capacity: Required value
                spec.capacity: Unsupported value: {}: supported values: "storage"
            spec.capacity = {"cpu": "1"}
                spec.capacity: Unsupported value: {"cpu":"1"}: supported values: "storage"
            spec.capacity.storage = "0"
                spec.capacity[storage]: Invalid value: "0": must be greater than zero
            spec.persistentVolumeReclaimPolicy = "Forget"
                spec.persistentVolumeReclaimPolicy: Unsupported value: "Forget": supported values: "Delete", "Recycle", "Retain"
            spec.persistentVolumeReclaimPolicy = "Recycle"
            spec.hostPath.path = "/"
                spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'
            - spec.hostPath
                spec: Required value: must specify a volume type
            spec.nfs = {"server": "s", "path": "/x"}
                spec.nfs: Forbidden: may not specify more than 1 volume type
            spec.hostPath.path = ""
                spec.hostPath.path: Required value
            spec.hostPath.path = "/a/../b"
                spec.hostPath.path: Invalid value: "/a/../b": must not contain '..'
            spec.hostPath.type = "Odd"
                spec.hostPath.type: Unsupported value: "Odd": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"
            - spec.hostPath
            spec.nfs = {"server": "", "path": "x"}
                spec.nfs.server: Required value
                spec.nfs.path: Invalid value: "x": must be an absolute path
            - spec.hostPath
            spec.local.path = "/disk"
                spec.nodeAffinity: Required value: Local volume requires node affinity
            - spec.hostPath
            spec.local.path = "/disk"
            spec.nodeAffinity.required.nodeSelectorTerms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1"]}]}]
                fine
            - spec.hostPath
            spec.csi = {"driver": "a b", "volumeHandle": ""}
                spec.csi.driver: Invalid value: "a b": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
                spec.csi.volumeHandle: Required value
            spec.nodeAffinity = {}
                spec.nodeAffinity.required: Required value: must specify required node constraints
            spec.storageClassName = "A"
                spec.storageClassName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.volumeMode = "Odd"
                spec.volumeMode: Unsupported value: "Odd": supported values: "Block", "Filesystem"
            spec.volumeAttributesClassName = "gold"
                spec.csi: Required value: has to be specified when using volumeAttributesClassName
        "#]],
    );
}

#[test]
fn updates() {
    check_update(
        &Strategy,
        VOLUME,
        r#"
        spec.capacity.storage = "2Gi"
        spec.claimRef = {"name": "c", "namespace": "a"}

        spec.hostPath.path = "/other"

        spec.volumeMode = "Block"
        "#,
        Part::Main,
        expect![[r#"
            spec.capacity.storage = "2Gi"
            spec.claimRef = {"name": "c", "namespace": "a"}
                fine
            spec.hostPath.path = "/other"
                spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation
                  spec.hostPath.path: "/data" -> "/other"
            spec.volumeMode = "Block"
                volumeMode: Invalid value: "Block": field is immutable
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        VOLUME,
        r#"
        metadata.labels.a = "b"

        spec.claimRef = {"name": "c", "namespace": "a"}
        spec.storageClassName = "gold"
        spec.accessModes = ["ReadWriteMany", "ReadWriteOnce"]
        status = {"phase": "Bound", "reason": "why"}

        metadata.deletionTimestamp = "2026-01-01T00:09:00Z"
        "#,
        expect![[r#"
            NAME  CAPACITY  ACCESS MODES  RECLAIM POLICY  STATUS  CLAIM  STORAGECLASS  VOLUMEATTRIBUTESCLASS  REASON  AGE  VOLUMEMODE
            v  1Gi  RWO  Retain  Pending      <unset>    10m  Filesystem
            v  1Gi  RWO,RWX  Retain  Bound  a/c  gold  <unset>  why  10m  Filesystem
            v  1Gi  RWO  Retain  Terminating      <unset>    10m  Filesystem
        "#]],
    );
}
