use expect_test::expect;

use crate::strategy::Part;
use crate::testing::{check_create, check_default, check_rows, check_update};

const CLASS: &str = r#"{"metadata": {"name": "gold", "creationTimestamp": "2026-01-01T00:00:00Z"}, "provisioner": "example.com/p", "parameters": {"a": "b"}}"#;
const DRIVER: &str =
    r#"{"metadata": {"name": "d.example.com", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {}}"#;
const NODE: &str = r#"{"metadata": {"name": "n", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"drivers": [{"name": "d.example.com", "nodeID": "n", "topologyKeys": ["a/b"]}]}}"#;
const CAPACITY: &str =
    r#"{"metadata": {"name": "c", "namespace": "a"}, "storageClassName": "gold", "capacity": "1Gi"}"#;
const ATTACHMENT: &str = r#"{"metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"attacher": "d.example.com", "nodeName": "n", "source": {"persistentVolumeName": "v"}}, "status": {"attached": true}}"#;
const ATTRIBUTES: &str = r#"{"metadata": {"name": "fast", "creationTimestamp": "2026-01-01T00:00:00Z"}, "driverName": "d.example.com", "parameters": {"iops": "1"}}"#;

#[test]
fn classes() {
    use super::storage_class::Strategy;
    check_default(
        &Strategy,
        CLASS,
        expect![[r#"
        {
          "apiVersion": "storage.k8s.io/v1",
          "kind": "StorageClass",
          "metadata": {
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "name": "gold"
          },
          "parameters": {
            "a": "b"
          },
          "provisioner": "example.com/p",
          "reclaimPolicy": "Delete",
          "volumeBindingMode": "Immediate"
        }
    "#]],
    );
    check_create(
        &Strategy,
        CLASS,
        r#"
        provisioner = ""

        provisioner = "a b"

        parameters = {"": "x"}

        reclaimPolicy = "Recycle"

        volumeBindingMode = "Never"

        allowedTopologies = [{"matchLabelExpressions": [{"key": "zone", "values": []}, {"key": "zone", "values": ["a", "a"]}]}]
        "#,
        expect![[r#"
            provisioner = ""
                provisioner: Required value
            provisioner = "a b"
                provisioner: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            parameters = {"": "x"}
                parameters: Invalid value: "": field can not be empty.
            reclaimPolicy = "Recycle"
                reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"
            volumeBindingMode = "Never"
                volumeBindingMode: Unsupported value: "Never": supported values: "Immediate", "WaitForFirstConsumer"
            allowedTopologies = [{"matchLabelExpressions": [{"key": "zone", "values": []}, {"key": "zone", "values": ["a", "a"]}]}]
                allowedTopologies[0].matchLabelExpressions[0].values: Required value
                allowedTopologies[0].matchLabelExpressions[1].values[1]: Duplicate value: "a"
                allowedTopologies[0].matchLabelExpressions[1].key: Duplicate value: "zone"
        "#]],
    );
    check_update(
        &Strategy,
        CLASS,
        r#"
        allowVolumeExpansion = true

        parameters.a = "c"

        provisioner = "example.com/q"

        reclaimPolicy = "Retain"

        volumeBindingMode = "WaitForFirstConsumer"
        "#,
        Part::Main,
        expect![[r#"
            allowVolumeExpansion = true
                fine
            parameters.a = "c"
                parameters: Forbidden: updates to parameters are forbidden.
            provisioner = "example.com/q"
                provisioner: Forbidden: updates to provisioner are forbidden.
            reclaimPolicy = "Retain"
                reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.
            volumeBindingMode = "WaitForFirstConsumer"
                volumeBindingMode: Invalid value: "WaitForFirstConsumer": field is immutable
        "#]],
    );
    check_rows(
        &Strategy,
        CLASS,
        r#"
        allowVolumeExpansion = true

        metadata.annotations."storageclass.kubernetes.io/is-default-class" = "true"
        "#,
        expect![[r#"
            NAME  PROVISIONER  RECLAIMPOLICY  VOLUMEBINDINGMODE  ALLOWVOLUMEEXPANSION  AGE
            gold  example.com/p  Delete  Immediate  true  10m
            gold (default)  example.com/p  Delete  Immediate  false  10m
        "#]],
    );
}

#[test]
fn drivers() {
    use super::csi_driver::Strategy;
    check_default(
        &Strategy,
        DRIVER,
        expect![[r#"
        {
          "apiVersion": "storage.k8s.io/v1",
          "kind": "CSIDriver",
          "metadata": {
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "name": "d.example.com"
          },
          "spec": {
            "attachRequired": true,
            "fsGroupPolicy": "ReadWriteOnceWithFSType",
            "podInfoOnMount": false,
            "requiresRepublish": false,
            "seLinuxMount": false,
            "storageCapacity": false,
            "volumeLifecycleModes": [
              "Persistent"
            ]
          }
        }
    "#]],
    );
    check_create(
        &Strategy,
        DRIVER,
        r#"
        metadata.name = "a_b"

        spec.fsGroupPolicy = "Odd"

        spec.volumeLifecycleModes = ["Odd"]

        spec.tokenRequests = [{"audience": "a", "expirationSeconds": 5}, {"audience": "a", "expirationSeconds": 99999999999}]

        spec.nodeAllocatableUpdatePeriodSeconds = 5
        "#,
        expect![[r#"
            metadata.name = "a_b"
                metadata.name: Invalid value: "a_b": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.fsGroupPolicy = "Odd"
                spec.fsGroupPolicy: Unsupported value: "Odd": supported values: "File", "None", "ReadWriteOnceWithFSType"
            spec.volumeLifecycleModes = ["Odd"]
                spec.volumeLifecycleModes: Unsupported value: "Odd": supported values: "Ephemeral", "Persistent"
            spec.tokenRequests = [{"audience": "a", "expirationSeconds": 5}, {"audience": "a", "expirationSeconds": 99999999999}]
                spec.tokenRequests[0].expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes
                spec.tokenRequests[1].audience: Duplicate value: "a"
                spec.tokenRequests[1].expirationSeconds: Invalid value: 99999999999: may not specify a duration larger than 2^32 seconds
            spec.nodeAllocatableUpdatePeriodSeconds = 5
                spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 5: must be greater than or equal to 10 seconds
        "#]],
    );
    check_update(
        &Strategy,
        DRIVER,
        r#"
        spec.podInfoOnMount = true

        spec.attachRequired = false

        spec.volumeLifecycleModes = ["Ephemeral"]
        "#,
        Part::Main,
        expect![[r#"
            spec.podInfoOnMount = true
                fine
            spec.attachRequired = false
                spec.attachedRequired: Invalid value: false: field is immutable
            spec.volumeLifecycleModes = ["Ephemeral"]
                spec.volumeLifecycleModes: Invalid value: ["Ephemeral"]: field is immutable
        "#]],
    );
    check_rows(
        &Strategy,
        DRIVER,
        r#"spec.tokenRequests = [{"audience": "a"}]"#,
        expect![[r#"
        NAME  ATTACHREQUIRED  PODINFOONMOUNT  STORAGECAPACITY  TOKENREQUESTS  REQUIRESREPUBLISH  MODES  AGE
        d.example.com  true  false  false  a  false  Persistent  10m
    "#]],
    );
}

#[test]
fn nodes() {
    use super::csi_node::Strategy;
    check_create(
        &Strategy,
        NODE,
        r#"
        spec.drivers[0].name = ""

        spec.drivers[0].nodeID = ""

        spec.drivers[0].allocatable.count = -1

        spec.drivers[0].topologyKeys = ["", "a b", "c", "c"]

        spec.drivers[1] = {"name": "d.example.com", "nodeID": "x"}
        "#,
        expect![[r#"
            spec.drivers[0].name = ""
                spec.drivers[0].name: Required value
            spec.drivers[0].nodeID = ""
                spec.drivers[0].nodeID: Required value
            spec.drivers[0].allocatable.count = -1
                spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0
            spec.drivers[0].topologyKeys = ["", "a b", "c", "c"]
                spec.drivers[0].topologyKeys[0]: Required value
                spec.drivers[0].topologyKeys[1]: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
                spec.drivers[0].topologyKeys[3]: Duplicate value: "c"
            spec.drivers[1] = {"name": "d.example.com", "nodeID": "x"}
                spec.drivers[1].name: Duplicate value: "d.example.com"
        "#]],
    );
    check_update(
        &Strategy,
        NODE,
        r#"
        spec.drivers[0].allocatable.count = 3

        spec.drivers[0].nodeID = "m"

        spec.drivers = []
        "#,
        Part::Main,
        expect![[r#"
            spec.drivers[0].allocatable.count = 3
                fine
            spec.drivers[0].nodeID = "m"
                spec.drivers[0]: Invalid value: {"name":"d.example.com","nodeID":"m","topologyKeys":["a/b"]}: field is immutable
            spec.drivers = []
                fine
        "#]],
    );
    check_rows(
        &Strategy,
        NODE,
        "",
        expect![[r#"
        NAME  DRIVERS  AGE
        n  1  10m
    "#]],
    );
}

#[test]
fn capacities() {
    use super::csi_storage_capacity::Strategy;
    check_create(
        &Strategy,
        CAPACITY,
        r#"
        storageClassName = ""

        capacity = "-1"

        nodeTopology.matchLabels."a b" = "c"
        "#,
        expect![[r#"
            storageClassName = ""
                storageClassName: Invalid value: "": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            capacity = "-1"
                capacity: Invalid value: "-1": must be greater than or equal to 0
            nodeTopology.matchLabels."a b" = "c"
                nodeTopology.matchLabels: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
        "#]],
    );
    check_update(
        &Strategy,
        CAPACITY,
        r#"
        capacity = "2Gi"

        storageClassName = "silver"

        nodeTopology.matchLabels.a = "c"
        "#,
        Part::Main,
        expect![[r#"
            capacity = "2Gi"
                fine
            storageClassName = "silver"
                storageClassName: Invalid value: "silver": field is immutable
            nodeTopology.matchLabels.a = "c"
                nodeTopology: Invalid value: {"matchLabels":{"a":"c"}}: field is immutable
        "#]],
    );
    check_rows(
        &Strategy,
        CAPACITY,
        "",
        expect![[r#"
        NAME  STORAGECLASS  CAPACITY
        c  gold  1Gi
    "#]],
    );
}

#[test]
fn attachments() {
    use super::volume_attachment::Strategy;
    check_create(
        &Strategy,
        ATTACHMENT,
        r#"
        spec.attacher = ""

        spec.nodeName = "A"

        spec.source = {}

        spec.source.persistentVolumeName = ""

        spec.source.inlineVolumeSpec = {}

        spec.source = {"inlineVolumeSpec": {}}
        "#,
        expect![[r#"
            spec.attacher = ""
                spec.attacher: Required value
            spec.nodeName = "A"
                spec.nodeName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.source = {}
                spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName
            spec.source.persistentVolumeName = ""
                spec.source.persistentVolumeName: Required value
            spec.source.inlineVolumeSpec = {}
                spec.source: Forbidden: must specify exactly one of inlineVolumeSpec and persistentVolumeName
            spec.source = {"inlineVolumeSpec": {}}
                spec.source.inlineVolumeSpec.accessModes: Required value
                spec.source.inlineVolumeSpec.capacity: Required value
                spec.source.inlineVolumeSpec.capacity: Unsupported value: {}: supported values: "storage"
                spec.source.inlineVolumeSpec.persistentVolumeReclaimPolicy: Unsupported value: "": supported values: "Delete", "Recycle", "Retain"
                spec.source.inlineVolumeSpec: Required value: must specify a volume type
        "#]],
    );
    check_update(
        &Strategy,
        ATTACHMENT,
        r#"
        metadata.labels.a = "b"

        spec.nodeName = "m"
        "#,
        Part::Main,
        expect![[r#"
            metadata.labels.a = "b"
                fine
            spec.nodeName = "m"
                spec: Invalid value: {"attacher":"d.example.com","nodeName":"m","source":{"persistentVolumeName":"v"}}: field is immutable
        "#]],
    );
    check_rows(
        &Strategy,
        ATTACHMENT,
        "",
        expect![[r#"
        NAME  ATTACHER  PV  NODE  ATTACHED  AGE
        a  d.example.com  v  n  true  10m
    "#]],
    );
}

#[test]
fn attributes() {
    use super::volume_attributes_class::Strategy;
    check_create(
        &Strategy,
        ATTRIBUTES,
        r#"
        driverName = ""

        parameters = {}
        "#,
        expect![[r#"
            driverName = ""
                driverName: Required value
            parameters = {}
                parameters: Required value: must contain at least one key/value pair
        "#]],
    );
    check_update(
        &Strategy,
        ATTRIBUTES,
        r#"
        driverName = "e.example.com"

        parameters.iops = "2"
        "#,
        Part::Main,
        expect![[r#"
            driverName = "e.example.com"
                driverName: Forbidden: updates to driverName are forbidden.
            parameters.iops = "2"
                parameters: Forbidden: updates to parameters are forbidden.
        "#]],
    );
    check_rows(
        &Strategy,
        ATTRIBUTES,
        "",
        expect![[r#"
        NAME  DRIVERNAME  AGE
        fast  d.example.com  10m
    "#]],
    );
}
