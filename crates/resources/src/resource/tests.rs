use expect_test::expect;

use super::*;
use crate::strategy::Part;
use crate::testing::{check_create, check_default, check_rows, check_update};

const CLAIM: &str = r#"{
    "metadata": {"name": "c", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com"}}]}}
}"#;

#[test]
fn claims_are_filled() {
    check_default(
        &resource_claim::Strategy,
        r#"{"spec": {"devices": {"requests": [
            {"name": "a", "exactly": {"deviceClassName": "x", "tolerations": [{"key": "k"}]}},
            {"name": "b", "firstAvailable": [{"name": "c", "deviceClassName": "x", "allocationMode": "All"}]}]}}}"#,
        expect![[r#"
            {
              "apiVersion": "resource.k8s.io/v1",
              "kind": "ResourceClaim",
              "metadata": {},
              "spec": {
                "devices": {
                  "requests": [
                    {
                      "exactly": {
                        "allocationMode": "ExactCount",
                        "count": 1,
                        "deviceClassName": "x",
                        "tolerations": [
                          {
                            "key": "k",
                            "operator": "Equal"
                          }
                        ]
                      },
                      "name": "a"
                    },
                    {
                      "firstAvailable": [
                        {
                          "allocationMode": "All",
                          "deviceClassName": "x",
                          "name": "c"
                        }
                      ],
                      "name": "b"
                    }
                  ]
                }
              }
            }
        "#]],
    );
}

#[test]
fn claims() {
    check_create(
        &resource_claim::Strategy,
        CLAIM,
        r#"
        spec.devices.requests[1] = {"name": "gpu", "exactly": {"deviceClassName": ""}}

        spec.devices.requests[0] = {"name": "A"}

        spec.devices.requests[0].firstAvailable = [{"name": "x", "deviceClassName": "y"}]

        spec.devices.requests[0].exactly.count = -1
        spec.devices.requests[0].exactly.selectors = [{}, {"cel": {"expression": ""}}]

        spec.devices.requests[0].exactly.allocationMode = "All"
        spec.devices.requests[0].exactly.count = 2

        spec.devices.requests[0].exactly.allocationMode = "Some"
        spec.devices.requests[0].exactly.tolerations = [{"operator": "Exists", "value": "x"}, {"operator": "Like", "effect": "Never"}]

        spec.devices.constraints = [{"requests": ["gpu", "cpu", "a/b/c"]}, {"matchAttribute": "model"}, {"distinctAttribute": "example.com/model"}]
        spec.devices.config = [{"requests": ["gpu", "gpu"]}, {"opaque": {"driver": "", "parameters": null}}, {"opaque": {"driver": "d", "parameters": "x"}}]
        "#,
        expect![[r#"
            spec.devices.requests[1] = {"name": "gpu", "exactly": {"deviceClassName": ""}}
                spec.devices.requests[1].exactly.deviceClassName: Required value
                spec.devices.requests[1]: Duplicate value: "gpu"
            spec.devices.requests[0] = {"name": "A"}
                spec.devices.requests[0].name: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
                spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required
            spec.devices.requests[0].firstAvailable = [{"name": "x", "deviceClassName": "y"}]
                spec.devices.requests[0]: Invalid value: null: exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set
            spec.devices.requests[0].exactly.count = -1
            spec.devices.requests[0].exactly.selectors = [{}, {"cel": {"expression": ""}}]
                spec.devices.requests[0].exactly.selectors[0].cel: Required value
                spec.devices.requests[0].exactly.selectors[1].cel.expression: Required value
                spec.devices.requests[0].exactly.count: Invalid value: -1: must be greater than zero
            spec.devices.requests[0].exactly.allocationMode = "All"
            spec.devices.requests[0].exactly.count = 2
                spec.devices.requests[0].exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'
            spec.devices.requests[0].exactly.allocationMode = "Some"
            spec.devices.requests[0].exactly.tolerations = [{"operator": "Exists", "value": "x"}, {"operator": "Like", "effect": "Never"}]
                spec.devices.requests[0].exactly.allocationMode: Unsupported value: "Some": supported values: "All", "ExactCount"
                spec.devices.requests[0].exactly.tolerations[0].value: Invalid value: "x": must be empty for operator `Exists`
                spec.devices.requests[0].exactly.tolerations[1].operator: Unsupported value: "Like": supported values: "Equal", "Exists"
                spec.devices.requests[0].exactly.tolerations[1].effect: Unsupported value: "Never": supported values: "NoExecute", "NoSchedule", "None"
            spec.devices.constraints = [{"requests": ["gpu", "cpu", "a/b/c"]}, {"matchAttribute": "model"}, {"distinctAttribute": "example.com/model"}]
            spec.devices.config = [{"requests": ["gpu", "gpu"]}, {"opaque": {"driver": "", "parameters": null}}, {"opaque": {"driver": "d", "parameters": "x"}}]
                spec.devices.constraints[0].requests[1]: Invalid value: "cpu": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'
                spec.devices.constraints[0].requests[2]: Invalid value: "a/b/c": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'
                spec.devices.constraints[0]: Required value: exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set
                spec.devices.constraints[1].matchAttribute: Invalid value: "model": a fully qualified name must be a domain and a name separated by a slash
                spec.devices.config[0].requests[1]: Duplicate value: "gpu"
                spec.devices.config[0].opaque: Required value
                spec.devices.config[1].opaque.driver: Required value
                spec.devices.config[1].opaque.parameters: Required value
                spec.devices.config[2].opaque.parameters: Invalid value: "<value omitted>": must be a valid JSON object
        "#]],
    );
    check_update(
        &resource_claim::Strategy,
        CLAIM,
        r#"
        metadata.labels.a = "b"

        spec.devices.requests[0].name = "other"
        "#,
        Part::Main,
        expect![[r#"
            metadata.labels.a = "b"
                fine
            spec.devices.requests[0].name = "other"
                spec: Invalid value: {"devices":{"requests":[{"exactly":{"allocationMode":"ExactCount","count":1,"deviceClassName":"gpu.example.com"},"name":"other"}]}}: field is immutable
        "#]],
    );
    check_update(
        &resource_claim::Strategy,
        CLAIM,
        r#"
        status.reservedFor = [{"resource": "pods", "name": "p", "uid": "1"}, {"resource": "", "name": "", "uid": "1"}]

        status.allocation.devices.results = [{"request": "gpu", "driver": "d.example.com", "pool": "p/q", "device": "gpu-0"}]
        status.devices = [{"driver": "d.example.com", "pool": "p/q", "device": "gpu-0", "networkData": {"ips": ["10.0.0.1"]}}, {"driver": "d.example.com", "pool": "p/q", "device": "gpu-1"}]

        status.allocation.devices.results = [{"request": "x", "driver": "", "pool": "", "device": "", "shareID": "z", "bindingConditions": ["a"]}]
        status.allocation.devices.config = [{"source": "Nobody", "opaque": {"driver": "d", "parameters": {}}}]
        "#,
        Part::Status,
        expect![[r#"
            status.reservedFor = [{"resource": "pods", "name": "p", "uid": "1"}, {"resource": "", "name": "", "uid": "1"}]
                status.reservedFor[1].resource: Required value
                status.reservedFor[1].name: Required value
                status.reservedFor[1]: Duplicate value: "1"
                status.reservedFor: Forbidden: may not be specified when `allocated` is not set
            status.allocation.devices.results = [{"request": "gpu", "driver": "d.example.com", "pool": "p/q", "device": "gpu-0"}]
            status.devices = [{"driver": "d.example.com", "pool": "p/q", "device": "gpu-0", "networkData": {"ips": ["10.0.0.1"]}}, {"driver": "d.example.com", "pool": "p/q", "device": "gpu-1"}]
                status.devices[0].networkData.ips[0]: Invalid value: "10.0.0.1": must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)
                status.devices[1]: Invalid value: d.example.com/p/q/gpu-1: must be an allocated device in the claim
            status.allocation.devices.results = [{"request": "x", "driver": "", "pool": "", "device": "", "shareID": "z", "bindingConditions": ["a"]}]
            status.allocation.devices.config = [{"source": "Nobody", "opaque": {"driver": "d", "parameters": {}}}]
                status.allocation.devices.results[0].request: Invalid value: "x": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'
                status.allocation.devices.results[0].driver: Required value
                status.allocation.devices.results[0].pool: Required value
                status.allocation.devices.results[0].device: Invalid value: "": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
                status.allocation.devices.results[0].bindingFailureConditions: Invalid value: []: bindingFailureConditions are required to use bindingConditions
                status.allocation.devices.results[0].shareID: Invalid value: "z": uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters
                status.allocation.devices.config[0].source: Unsupported value: "Nobody": supported values: "FromClaim", "FromClass"
        "#]],
    );
    check_rows(
        &resource_claim::Strategy,
        CLAIM,
        r#"
        status = {}

        status = {"allocation": {}, "reservedFor": [{"resource": "pods", "name": "p", "uid": "1"}]}

        metadata.deletionTimestamp = "2026-01-01T00:00:00Z"
        "#,
        expect![[r#"
            NAME  STATE  AGE
            c  pending  10m
            c  allocated,reserved  10m
            c  deleted  10m
        "#]],
    );
}

#[test]
fn templates() {
    const TEMPLATE: &str = r#"{"metadata": {"name": "t", "namespace": "ns"}, "spec": {"spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu"}}]}}}}"#;
    check_create(
        &resource_claim_template::Strategy,
        TEMPLATE,
        r#"
        spec.metadata.labels = {"a b": "c"}
        spec.spec.devices.requests[0].name = ""
        "#,
        expect![[r#"
            spec.metadata.labels = {"a b": "c"}
            spec.spec.devices.requests[0].name = ""
                spec.metadata.labels: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
                spec.spec.devices.requests[0].name: Invalid value: "": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
        "#]],
    );
    check_update(
        &resource_claim_template::Strategy,
        TEMPLATE,
        r#"
        spec.metadata.labels = {"a": "c"}
        "#,
        Part::Main,
        expect![[r#"
            spec.metadata.labels = {"a": "c"}
                spec: Invalid value: {"metadata":{"labels":{"a":"c"}},"spec":{"devices":{"requests":[{"exactly":{"allocationMode":"ExactCount","count":1,"deviceClassName":"gpu"},"name":"gpu"}]}}}: field is immutable
        "#]],
    );
}

#[test]
fn classes() {
    check_create(
        &device_class::Strategy,
        r#"{"metadata": {"name": "c"}, "spec": {}}"#,
        r#"
        spec.selectors = [{"cel": {"expression": "true"}}]

        spec.selectors = [{}]
        spec.config = [{}]
        spec.extendedResourceName = "cpu"

        spec.extendedResourceName = "example.com/gpu"
        "#,
        expect![[r#"
            spec.selectors = [{"cel": {"expression": "true"}}]
                fine
            spec.selectors = [{}]
            spec.config = [{}]
            spec.extendedResourceName = "cpu"
                spec.selectors[0].cel: Required value
                spec.config[0].opaque: Required value
                spec.extendedResourceName: Invalid value: "cpu": must be a valid extended resource name
            spec.extendedResourceName = "example.com/gpu"
                fine
        "#]],
    );
}

const SLICE: &str = r#"{
    "metadata": {"name": "s", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"driver": "d.example.com", "nodeName": "n", "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
        "devices": [{"name": "gpu-0", "attributes": {"model": {"string": "x"}}, "capacity": {"memory": {"value": "1Gi"}}}]}
}"#;

#[test]
fn slices() {
    check_create(
        &resource_slice::Strategy,
        SLICE,
        r#"
        - spec.nodeName
        spec.driver = ""
        spec.pool = {"name": "", "generation": -1, "resourceSliceCount": 0}

        spec.allNodes = true
        spec.perDeviceNodeSelection = false

        - spec.nodeName
        spec.nodeSelector = {"nodeSelectorTerms": []}

        spec.sharedCounters = [{"name": "", "counters": {}}]

        spec.devices[1] = {"name": "gpu-0", "nodeName": "n", "taints": [{"key": "", "effect": ""}, {"key": "a", "effect": "Wait"}]}

        spec.devices[0].attributes = {"a/b": {}, "/x": {"int": 1, "bool": true}, "1": {"version": "1.0"}, "v": {"version": "1.2.3-a.1+b"}}

        spec.devices[0].capacity.memory.requestPolicy = {"default": "1"}

        spec.devices[0].allowMultipleAllocations = true
        spec.devices[0].capacity.memory.requestPolicy = {"default": "3Mi", "validValues": ["2Mi", "1Mi", "2Gi"]}

        spec.devices[0].allowMultipleAllocations = true
        spec.devices[0].capacity.memory.requestPolicy = {"default": "1", "validRange": {"min": "2", "max": "9", "step": "0"}}

        spec.devices[0].consumesCounters = [{"counterSet": "", "counters": {"A": {"value": "1"}}}]
        spec.devices[0].bindingConditions = ["a", "a"]
        spec.devices[0].bindingFailureConditions = ["a"]

        - spec.nodeName
        spec.perDeviceNodeSelection = true
        spec.devices[1] = {"name": "x", "nodeName": "", "allNodes": false}
        spec.devices[2] = {"name": "y", "nodeName": "n", "allNodes": true}
        "#,
        expect![[r#"
            - spec.nodeName
            spec.driver = ""
            spec.pool = {"name": "", "generation": -1, "resourceSliceCount": 0}
                spec.driver: Required value
                spec.pool.name: Required value
                spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero
                spec.pool.generation: Invalid value: -1: must be greater than or equal to zero
                spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required
            spec.allNodes = true
            spec.perDeviceNodeSelection = false
                spec.perDeviceNodeSelection: Invalid value: false: must be either unset or set to true
                spec: Invalid value: "{`nodeName`, `allNodes`}": exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set
            - spec.nodeName
            spec.nodeSelector = {"nodeSelectorTerms": []}
                spec.nodeSelector.nodeSelectorTerms: Required value: must have at least one node selector term
                spec.nodeSelector.nodeSelectorTerms: Invalid value: []: must have exactly one node selector term
            spec.sharedCounters = [{"name": "", "counters": {}}]
                spec: Invalid value: "": only one of `sharedCounters` or `devices` is allowed
                spec.sharedCounters[0].name: Required value
                spec.sharedCounters[0].counters: Required value
            spec.devices[1] = {"name": "gpu-0", "nodeName": "n", "taints": [{"key": "", "effect": ""}, {"key": "a", "effect": "Wait"}]}
                spec.devices[1].taints[0].key: Invalid value: "": name part must be non-empty
                spec.devices[1].taints[0].key: Invalid value: "": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
                spec.devices[1].taints[0].effect: Required value
                spec.devices[1].taints[1].effect: Unsupported value: "Wait": supported values: "NoExecute", "NoSchedule", "None"
                spec.devices[1]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec
                spec.devices[1]: Duplicate value: "gpu-0"
            spec.devices[0].attributes = {"a/b": {}, "/x": {"int": 1, "bool": true}, "1": {"version": "1.0"}, "v": {"version": "1.2.3-a.1+b"}}
                spec.devices[0].attributes[/x]: Invalid value: "": the domain must not be empty
                spec.devices[0].attributes[/x]: Invalid value: {"bool":true,"int":1}: exactly one value must be specified
                spec.devices[0].attributes[1]: Invalid value: "1": a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')
                spec.devices[0].attributes[1].version: Invalid value: "1.0": must be a string compatible with semver.org spec 2.0.0
                spec.devices[0].attributes[a/b]: Invalid value: "": exactly one value must be specified
            spec.devices[0].capacity.memory.requestPolicy = {"default": "1"}
                spec.devices[0].capacity[memory].requestPolicy: Forbidden: allowMultipleAllocations must be true
            spec.devices[0].allowMultipleAllocations = true
            spec.devices[0].capacity.memory.requestPolicy = {"default": "3Mi", "validValues": ["2Mi", "1Mi", "2Gi"]}
                spec.devices[0].capacity[memory].requestPolicy.validValues[1]: Invalid value: "1Mi": values must be sorted in ascending order
                spec.devices[0].capacity[memory].requestPolicy.validValues[2]: Invalid value: "2Gi": option is larger than capacity value: 1Gi
                spec.devices[0].capacity[memory].requestPolicy.validValues: Invalid value: "3Mi": default value is not valid according to the requestPolicy
            spec.devices[0].allowMultipleAllocations = true
            spec.devices[0].capacity.memory.requestPolicy = {"default": "1", "validRange": {"min": "2", "max": "9", "step": "0"}}
                spec.devices[0].capacity[memory].requestPolicy.validRange.min: Invalid value: "1": default is less than min: 2
                spec.devices[0].capacity[memory].requestPolicy.validRange.step: Invalid value: "1": value is not a multiple of a given step (0) from (2)
                spec.devices[0].capacity[memory].requestPolicy.validRange.step: Invalid value: "9": value is not a multiple of a given step (0) from (2)
            spec.devices[0].consumesCounters = [{"counterSet": "", "counters": {"A": {"value": "1"}}}]
            spec.devices[0].bindingConditions = ["a", "a"]
            spec.devices[0].bindingFailureConditions = ["a"]
                spec.devices[0].consumesCounters[0].counterSet: Required value
                spec.devices[0].consumesCounters[0].counters[A]: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
                spec.devices[0].bindingConditions[1]: Duplicate value: "a"
                spec.devices[0].bindingFailureConditions[0]: Invalid value: "a": bindingFailureConditions must not overlap with bindingConditions
            - spec.nodeName
            spec.perDeviceNodeSelection = true
            spec.devices[1] = {"name": "x", "nodeName": "", "allNodes": false}
            spec.devices[2] = {"name": "y", "nodeName": "n", "allNodes": true}
                spec.devices[0]: Required value: exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec
                spec.devices[1].nodeName: Invalid value: "": must not be empty
                spec.devices[1].allNodes: Invalid value: false: must be either unset or set to true
                spec.devices[1]: Required value: exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec
                spec.devices[2]: Invalid value: "{`nodeName`, `allNodes`}": exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec
        "#]],
    );
    check_update(
        &resource_slice::Strategy,
        SLICE,
        r#"
        spec.driver = "e.example.com"
        spec.pool.name = "q"
        spec.nodeName = "m"

        spec.pool.generation = 2
        "#,
        Part::Main,
        expect![[r#"
            spec.driver = "e.example.com"
            spec.pool.name = "q"
            spec.nodeName = "m"
                spec.pool.name: Invalid value: "q": field is immutable
                spec.driver: Invalid value: "e.example.com": field is immutable
                spec.nodeName: Invalid value: "m": field is immutable
            spec.pool.generation = 2
                fine
        "#]],
    );
    check_rows(
        &resource_slice::Strategy,
        SLICE,
        r#"
        spec.driver = "d"

        - spec.nodeName
        "#,
        expect![[r#"
            NAME  NODE  DRIVER  POOL  AGE
            s  n  d  p  10m
            s  <unset>  d.example.com  p  10m
        "#]],
    );
}

#[test]
fn taint_rules() {
    const RULE: &str =
        r#"{"metadata": {"name": "r"}, "spec": {"taint": {"key": "broken", "effect": "NoExecute"}}}"#;
    check_create(
        &device_taint_rule::Strategy,
        RULE,
        r#"
        spec.deviceSelector = {"driver": "", "pool": "", "device": "A"}

        spec.taint = {"key": "", "value": "a b", "effect": "Wait"}
        "#,
        expect![[r#"
            spec.deviceSelector = {"driver": "", "pool": "", "device": "A"}
                spec.deviceSelector.driver: Required value
                spec.deviceSelector.pool: Required value
                spec.deviceSelector.device: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
            spec.taint = {"key": "", "value": "a b", "effect": "Wait"}
                spec.taint.key: Invalid value: "": name part must be non-empty
                spec.taint.key: Invalid value: "": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
                spec.taint.value: Invalid value: "a b": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
                spec.taint.effect: Unsupported value: "Wait": supported values: "NoExecute", "NoSchedule", "None"
        "#]],
    );
    check_update(
        &device_taint_rule::Strategy,
        RULE,
        r#"
        status.conditions = [{"type": "", "status": "Maybe", "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
        "#,
        Part::Status,
        expect![[r#"
            status.conditions = [{"type": "", "status": "Maybe", "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
                status.conditions[0].type: Invalid value: "": name part must be non-empty
                status.conditions[0].type: Invalid value: "": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
                status.conditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"
        "#]],
    );
}
