use expect_test::{Expect, expect};

use crate::core::pod::Strategy;
use crate::strategy::Part;
use crate::testing::{check_create, check_update};

const POD: &str = r#"{
    "metadata": {"name": "web", "namespace": "default", "resourceVersion": "1"},
    "spec": {
        "serviceAccountName": "default",
        "containers": [{"name": "app", "image": "nginx:1"}],
        "volumes": [{"name": "data", "emptyDir": {}}]
    }
}"#;

#[track_caller]
fn check(cases: &str, expect: Expect) {
    check_create(&Strategy, POD, cases, expect);
}

#[test]
fn containers() {
    check(
        r#"
        spec.nodeName = ""

        spec.containers = []

        spec.containers[0].name = "A_b"

        spec.containers[0].name = ""

        spec.containers[0].image = ""

        spec.containers[0].image = " nginx"

        spec.containers[1] = {"name": "app", "image": "b"}

        spec.containers[0].imagePullPolicy = "Sometimes"

        spec.containers[0].terminationMessagePolicy = "Shout"

        spec.containers[0].restartPolicy = "Always"

        spec.containers[0].resizePolicy = [{"resourceName": "cpu", "restartPolicy": "NotRequired"}, {"resourceName": "cpu", "restartPolicy": "Never"}]

        spec.containers[0].restartPolicyRules = [{"action": "Restart"}]
        "#,
        expect![[r#"
            spec.nodeName = ""
                fine
            spec.containers = []
                spec.containers: Required value
            spec.containers[0].name = "A_b"
                spec.containers[0].name: Invalid value: "A_b": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
            spec.containers[0].name = ""
                spec.containers[0].name: Required value
            spec.containers[0].image = ""
                spec.containers[0].image: Required value
            spec.containers[0].image = " nginx"
                spec.containers[0].image: Invalid value: " nginx": must not have leading or trailing whitespace
            spec.containers[1] = {"name": "app", "image": "b"}
                spec.containers[1].name: Duplicate value: "app"
            spec.containers[0].imagePullPolicy = "Sometimes"
                spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"
            spec.containers[0].terminationMessagePolicy = "Shout"
                spec.containers[0].terminationMessagePolicy: Unsupported value: "Shout": supported values: "File", "FallbackToLogsOnError"
            spec.containers[0].restartPolicy = "Always"
                spec.containers[0].restartPolicy: Forbidden: may not be set for non-init containers
            spec.containers[0].resizePolicy = [{"resourceName": "cpu", "restartPolicy": "NotRequired"}, {"resourceName": "cpu", "restartPolicy": "Never"}]
                spec.containers[0].resizePolicy[1]: Duplicate value: "cpu"
                spec.containers[0].resizePolicy: Unsupported value: "Never": supported values: "NotRequired", "RestartContainer"
            spec.containers[0].restartPolicyRules = [{"action": "Restart"}]
                spec.containers[0].restartPolicyRules: Forbidden: restart rules are not supported
        "#]],
    );
}

#[test]
fn ports() {
    check(
        r#"
        spec.containers[0].ports = [{"containerPort": 80, "name": "http"}, {"containerPort": 443, "name": "http"}]

        spec.containers[0].ports = [{"containerPort": 0}]

        spec.containers[0].ports = [{"containerPort": 65536, "hostPort": -1}]

        spec.containers[0].ports = [{"containerPort": 80, "protocol": "ICMP", "name": "Much-too-long--port"}]

        spec.containers[0].ports = [{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}]

        spec.hostNetwork = true
        spec.containers[0].ports = [{"containerPort": 80, "hostPort": 8080}]

        spec.hostNetwork = true
        spec.containers[0].ports = [{"containerPort": 80}]
        "#,
        expect![[r#"
            spec.containers[0].ports = [{"containerPort": 80, "name": "http"}, {"containerPort": 443, "name": "http"}]
                spec.containers[0].ports[1].name: Duplicate value: "http"
            spec.containers[0].ports = [{"containerPort": 0}]
                spec.containers[0].ports[0].containerPort: Required value
            spec.containers[0].ports = [{"containerPort": 65536, "hostPort": -1}]
                spec.containers[0].ports[0].containerPort: Invalid value: 65536: must be between 1 and 65535, inclusive
                spec.containers[0].ports[0].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive
            spec.containers[0].ports = [{"containerPort": 80, "protocol": "ICMP", "name": "Much-too-long--port"}]
                spec.containers[0].ports[0].name: Invalid value: "Much-too-long--port": must be no more than 15 bytes
                spec.containers[0].ports[0].name: Invalid value: "Much-too-long--port": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)
                spec.containers[0].ports[0].name: Invalid value: "Much-too-long--port": must not contain consecutive hyphens
                spec.containers[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"
            spec.containers[0].ports = [{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}]
                spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//80"
            spec.hostNetwork = true
            spec.containers[0].ports = [{"containerPort": 80, "hostPort": 8080}]
                spec.containers[0].ports[0].hostPort: Invalid value: 8080: must match `containerPort` when `hostNetwork` is true
            spec.hostNetwork = true
            spec.containers[0].ports = [{"containerPort": 80}]
                fine
        "#]],
    );
}

#[test]
fn env() {
    check(
        r#"
        spec.containers[0].env = [{"name": ""}]

        spec.containers[0].env = [{"name": "a=b", "value": "x"}]

        spec.containers[0].env = [{"name": "a.b-c", "value": "x"}]

        spec.containers[0].env = [{"name": "A", "valueFrom": {}}]

        spec.containers[0].env = [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]

        spec.containers[0].env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}, "secretKeyRef": {"name": "s", "key": "k"}}}]

        spec.containers[0].env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.whoops"}}}]

        spec.containers[0].env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}}]

        spec.containers[0].env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}]

        spec.containers[0].env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]

        spec.containers[0].env = [{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v2", "fieldPath": "metadata.name"}}}]

        spec.containers[0].env = [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.gpu"}}}]

        spec.containers[0].env = [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "10m"}}}]

        spec.containers[0].env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "Bad", "key": "a b"}}}]

        spec.containers[0].env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "good", "key": ""}}}]

        spec.containers[0].envFrom = [{}]

        spec.containers[0].envFrom = [{"configMapRef": {"name": ""}, "secretRef": {"name": "x"}}]
        "#,
        expect![[r#"
            spec.containers[0].env = [{"name": ""}]
                spec.containers[0].env[0].name: Required value
            spec.containers[0].env = [{"name": "a=b", "value": "x"}]
                spec.containers[0].env[0].name: Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII characters other than '='
            spec.containers[0].env = [{"name": "a.b-c", "value": "x"}]
                fine
            spec.containers[0].env = [{"name": "A", "valueFrom": {}}]
                spec.containers[0].env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`
            spec.containers[0].env = [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
                spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty
            spec.containers[0].env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}, "secretKeyRef": {"name": "s", "key": "k"}}}]
                spec.containers[0].env[0].valueFrom: Invalid value: "": may not have more than one field specified at a time
            spec.containers[0].env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.whoops"}}}]
                spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.whoops": error converting fieldPath: field label not supported: metadata.whoops
            spec.containers[0].env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}}]
                spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"
            spec.containers[0].env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}]
                fine
            spec.containers[0].env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]
                spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"
            spec.containers[0].env = [{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v2", "fieldPath": "metadata.name"}}}]
                spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.name": error converting fieldPath: unsupported pod version: v2
            spec.containers[0].env = [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.gpu"}}}]
                spec.containers[0].env[0].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.gpu": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"
            spec.containers[0].env = [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "10m"}}}]
                spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are supported with the cpu resource
            spec.containers[0].env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "Bad", "key": "a b"}}}]
                spec.containers[0].env[0].valueFrom.configMapKeyRef.name: Invalid value: "Bad": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
                spec.containers[0].env[0].valueFrom.configMapKeyRef.key: Invalid value: "a b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')
            spec.containers[0].env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "good", "key": ""}}}]
                spec.containers[0].env[0].valueFrom.secretKeyRef.key: Required value
            spec.containers[0].envFrom = [{}]
                spec.containers[0].envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`
            spec.containers[0].envFrom = [{"configMapRef": {"name": ""}, "secretRef": {"name": "x"}}]
                spec.containers[0].envFrom[0].configMapRef.name: Required value
                spec.containers[0].envFrom: Invalid value: "": may not have more than one field specified at a time
        "#]],
    );
}

#[test]
fn probes() {
    check(
        r#"
        spec.containers[0].livenessProbe = {}

        spec.containers[0].livenessProbe = {"exec": {"command": []}}

        spec.containers[0].livenessProbe = {"exec": {"command": ["a"]}, "tcpSocket": {"port": 80}}

        spec.containers[0].livenessProbe = {"tcpSocket": {"port": 80}, "successThreshold": 2, "timeoutSeconds": -1}

        spec.containers[0].readinessProbe = {"httpGet": {"port": "UPPER", "scheme": "FTP"}}

        spec.containers[0].readinessProbe = {"httpGet": {"port": 0, "httpHeaders": [{"name": "a b", "value": ""}]}}

        spec.containers[0].readinessProbe = {"grpc": {"port": 70000}, "terminationGracePeriodSeconds": 3}

        spec.containers[0].startupProbe = {"tcpSocket": {"port": 80}, "terminationGracePeriodSeconds": 0}

        spec.containers[0].lifecycle = {"preStop": {"sleep": {"seconds": 31}}}

        spec.containers[0].lifecycle = {"preStop": {"sleep": {"seconds": 5}}, "postStart": {}}
        "#,
        expect![[r#"
            spec.containers[0].livenessProbe = {}
                spec.containers[0].livenessProbe: Required value: must specify a handler type
            spec.containers[0].livenessProbe = {"exec": {"command": []}}
                spec.containers[0].livenessProbe.exec.command: Required value
            spec.containers[0].livenessProbe = {"exec": {"command": ["a"]}, "tcpSocket": {"port": 80}}
                spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type
            spec.containers[0].livenessProbe = {"tcpSocket": {"port": 80}, "successThreshold": 2, "timeoutSeconds": -1}
                spec.containers[0].livenessProbe.timeoutSeconds: Invalid value: -1: must be greater than or equal to 0
                spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1
            spec.containers[0].readinessProbe = {"httpGet": {"port": "UPPER", "scheme": "FTP"}}
                spec.containers[0].readinessProbe.httpGet.port: Invalid value: "UPPER": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)
                spec.containers[0].readinessProbe.httpGet.port: Invalid value: "UPPER": must contain at least one letter (a-z)
                spec.containers[0].readinessProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS"
            spec.containers[0].readinessProbe = {"httpGet": {"port": 0, "httpHeaders": [{"name": "a b", "value": ""}]}}
                spec.containers[0].readinessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive
                spec.containers[0].readinessProbe.httpGet.httpHeaders: Invalid value: "a b": a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')
            spec.containers[0].readinessProbe = {"grpc": {"port": 70000}, "terminationGracePeriodSeconds": 3}
                spec.containers[0].readinessProbe.grpc.port: Invalid value: 70000: must be between 1 and 65535, inclusive
                spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 3: must not be set for readinessProbes
            spec.containers[0].startupProbe = {"tcpSocket": {"port": 80}, "terminationGracePeriodSeconds": 0}
                spec.containers[0].startupProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0
            spec.containers[0].lifecycle = {"preStop": {"sleep": {"seconds": 31}}}
                spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)
            spec.containers[0].lifecycle = {"preStop": {"sleep": {"seconds": 5}}, "postStart": {}}
                spec.containers[0].lifecycle.postStart: Required value: must specify a handler type
        "#]],
    );
}

#[test]
fn init_and_sidecars() {
    check(
        r#"
        spec.initContainers = [{"name": "init", "image": "a"}, {"name": "side", "image": "b", "restartPolicy": "Always", "livenessProbe": {"tcpSocket": {"port": 1}}}]

        spec.initContainers = [{"name": "app", "image": "a"}]

        spec.initContainers = [{"name": "init", "image": "a", "restartPolicy": "OnFailure"}]

        spec.initContainers = [{"name": "init", "image": "a", "livenessProbe": {"tcpSocket": {"port": 1}}, "lifecycle": {}}]

        spec.ephemeralContainers = [{"name": "debug", "image": "a"}]
        "#,
        expect![[r#"
            spec.initContainers = [{"name": "init", "image": "a"}, {"name": "side", "image": "b", "restartPolicy": "Always", "livenessProbe": {"tcpSocket": {"port": 1}}}]
                fine
            spec.initContainers = [{"name": "app", "image": "a"}]
                spec.initContainers[0].name: Duplicate value: "app"
            spec.initContainers = [{"name": "init", "image": "a", "restartPolicy": "OnFailure"}]
                spec.initContainers[0].restartPolicy: Unsupported value: "OnFailure": supported values: "Always"
            spec.initContainers = [{"name": "init", "image": "a", "livenessProbe": {"tcpSocket": {"port": 1}}, "lifecycle": {}}]
                spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always
                spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always
            spec.ephemeralContainers = [{"name": "debug", "image": "a"}]
                spec.ephemeralContainers: Forbidden: cannot be set on create
        "#]],
    );
}

#[test]
fn resources() {
    check(
        r#"
        spec.containers[0].resources.limits = {"cpu": "1", "memory": "64Mi", "ephemeral-storage": "1Gi", "example.com/gpu": "1", "hugepages-2Mi": "4Mi"}

        spec.containers[0].resources = {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}

        spec.containers[0].resources.requests = {"cpu": "-1"}

        spec.containers[0].resources.requests = {"pods": "1"}

        spec.containers[0].resources.requests = {"gpu": "1"}

        spec.containers[0].resources.requests = {"example.com/gpu": "1"}

        spec.containers[0].resources.limits = {"example.com/gpu": "500m"}

        spec.containers[0].resources = {"limits": {"example.com/gpu": "2"}, "requests": {"example.com/gpu": "1"}}

        spec.containers[0].resources.limits = {"hugepages-2Mi": "3Mi"}

        spec.containers[0].resources.claims = [{"name": "x"}]

        spec.overhead = {"cpu": "-1m"}

        spec.resources = {"limits": {"cpu": "1"}}
        spec.containers[0].resources.limits = {"cpu": "2"}
        "#,
        expect![[r#"
            spec.containers[0].resources.limits = {"cpu": "1", "memory": "64Mi", "ephemeral-storage": "1Gi", "example.com/gpu": "1", "hugepages-2Mi": "4Mi"}
                fine
            spec.containers[0].resources = {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}
                spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1
            spec.containers[0].resources.requests = {"cpu": "-1"}
                spec.containers[0].resources.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0
            spec.containers[0].resources.requests = {"pods": "1"}
                spec.containers[0].resources.requests[pods]: Invalid value: "pods": must be a standard resource for containers
            spec.containers[0].resources.requests = {"gpu": "1"}
                spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified
                spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": must be a standard resource for containers
            spec.containers[0].resources.requests = {"example.com/gpu": "1"}
                spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources
            spec.containers[0].resources.limits = {"example.com/gpu": "500m"}
                spec.containers[0].resources.limits[example.com/gpu]: Invalid value: "500m": must be an integer
                spec.containers[0].resources.requests[example.com/gpu]: Invalid value: "500m": must be an integer
            spec.containers[0].resources = {"limits": {"example.com/gpu": "2"}, "requests": {"example.com/gpu": "1"}}
                spec.containers[0].resources.requests: Invalid value: "1": must be equal to example.com/gpu limit of 2
            spec.containers[0].resources.limits = {"hugepages-2Mi": "3Mi"}
                spec.containers[0].resources.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi
                spec.containers[0].resources.requests[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi
                spec.containers[0].resources: Forbidden: HugePages require cpu or memory
            spec.containers[0].resources.claims = [{"name": "x"}]
                spec.containers[0].resources.claims[0]: Not found: "x": must be one of the names in pod.spec.resourceClaims which is empty
            spec.overhead = {"cpu": "-1m"}
                spec.overhead.limits[cpu]: Invalid value: "-1m": must be greater than or equal to 0
            spec.resources = {"limits": {"cpu": "1"}}
            spec.containers[0].resources.limits = {"cpu": "2"}
                spec.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1
                spec.resources.containers[0][cpu].limits: Invalid value: "2": must be less than or equal to pod limits of 1
        "#]],
    );
}

#[test]
fn volumes() {
    check(
        r#"
        spec.volumes[1] = {"name": "data"}

        spec.volumes[1] = {"name": "Bad"}

        spec.volumes[1] = {"name": "two", "emptyDir": {}, "hostPath": {"path": "/"}}

        spec.volumes[1] = {"name": "host", "hostPath": {"path": "/a/../b", "type": "Pipe"}}

        spec.volumes[1] = {"name": "host", "hostPath": {"path": ""}}

        spec.volumes[1] = {"name": "s", "secret": {"defaultMode": 512}}

        spec.volumes[1] = {"name": "c", "configMap": {"name": "x", "items": [{"key": "", "path": "/abs"}, {"key": "k", "path": "a/../b", "mode": 1000}]}}

        spec.volumes[1] = {"name": "d", "downwardAPI": {"items": [{"path": "..x"}]}}

        spec.volumes[1] = {"name": "d", "downwardAPI": {"items": [{"path": "cpu", "resourceFieldRef": {"resource": "limits.cpu"}}]}}

        spec.volumes[1] = {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "", "expirationSeconds": 5}}]}}

        spec.volumes[1] = {"name": "p", "projected": {"sources": [{"secret": {"name": "a", "items": [{"key": "k", "path": "same"}]}}, {"configMap": {"name": "b", "items": [{"key": "k", "path": "same"}]}}]}}

        spec.volumes[1] = {"name": "p", "projected": {"sources": [{"secret": {"name": "a"}, "configMap": {"name": ""}}]}}

        spec.volumes[1] = {"name": "claim", "persistentVolumeClaim": {"claimName": ""}}

        spec.volumes[1] = {"name": "claim", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}

        spec.volumes[1] = {"name": "nfs", "nfs": {"path": "", "server": ""}}

        - spec.serviceAccountName
        spec.volumes[1] = {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
        "#,
        expect![[r#"
            spec.volumes[1] = {"name": "data"}
                spec.volumes[1].name: Duplicate value: "data"
            spec.volumes[1] = {"name": "Bad"}
                spec.volumes[1].name: Invalid value: "Bad": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
            spec.volumes[1] = {"name": "two", "emptyDir": {}, "hostPath": {"path": "/"}}
                spec.volumes[1].hostPath: Forbidden: may not specify more than 1 volume type
            spec.volumes[1] = {"name": "host", "hostPath": {"path": "/a/../b", "type": "Pipe"}}
                spec.volumes[1].hostPath.path: Invalid value: "/a/../b": must not contain '..'
                spec.volumes[1].hostPath.type: Unsupported value: "Pipe": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"
            spec.volumes[1] = {"name": "host", "hostPath": {"path": ""}}
                spec.volumes[1].hostPath.path: Required value
            spec.volumes[1] = {"name": "s", "secret": {"defaultMode": 512}}
                spec.volumes[1].secret.secretName: Required value
                spec.volumes[1].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive
            spec.volumes[1] = {"name": "c", "configMap": {"name": "x", "items": [{"key": "", "path": "/abs"}, {"key": "k", "path": "a/../b", "mode": 1000}]}}
                spec.volumes[1].configMap.items[0].key: Required value
                spec.volumes[1].configMap.items[0].path: Invalid value: "/abs": must be a relative path
                spec.volumes[1].configMap.items[1].path: Invalid value: "a/../b": must not contain '..'
                spec.volumes[1].configMap.items[1].mode: Invalid value: 1000: must be a number between 0 and 0777 (octal), both inclusive
            spec.volumes[1] = {"name": "d", "downwardAPI": {"items": [{"path": "..x"}]}}
                spec.volumes[1].downwardAPI.path: Invalid value: "..x": must not start with '..'
                spec.volumes[1].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required
            spec.volumes[1] = {"name": "d", "downwardAPI": {"items": [{"path": "cpu", "resourceFieldRef": {"resource": "limits.cpu"}}]}}
                spec.volumes[1].downwardAPI.resourceFieldRef.containerName: Required value
            spec.volumes[1] = {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "", "expirationSeconds": 5}}]}}
                spec.volumes[1].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes
                spec.volumes[1].projected.path: Required value
            spec.volumes[1] = {"name": "p", "projected": {"sources": [{"secret": {"name": "a", "items": [{"key": "k", "path": "same"}]}}, {"configMap": {"name": "b", "items": [{"key": "k", "path": "same"}]}}]}}
                spec.volumes[1].projected: Invalid value: "b": conflicting duplicate paths
            spec.volumes[1] = {"name": "p", "projected": {"sources": [{"secret": {"name": "a"}, "configMap": {"name": ""}}]}}
                spec.volumes[1].projected.sources[0].configMap.name: Required value
                spec.volumes[1].projected.sources[0]: Forbidden: may not specify more than 1 volume type per source
            spec.volumes[1] = {"name": "claim", "persistentVolumeClaim": {"claimName": ""}}
                spec.volumes[1].persistentVolumeClaim.claimName: Required value
            spec.volumes[1] = {"name": "claim", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}
                spec.volumes[1].ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is required
                spec.volumes[1].ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value
            spec.volumes[1] = {"name": "nfs", "nfs": {"path": "", "server": ""}}
                spec.volumes[1].nfs.server: Required value
                spec.volumes[1].nfs.path: Required value
            - spec.serviceAccountName
            spec.volumes[1] = {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
                spec.volumes[1].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set
        "#]],
    );
}

#[test]
fn mounts() {
    check(
        r#"
        spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/data"}]

        spec.containers[0].volumeMounts = [{"name": "gone", "mountPath": ""}]

        spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a"}, {"name": "data", "mountPath": "/a"}]

        spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a", "subPath": "../x", "subPathExpr": "/y"}]

        spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a", "mountPropagation": "Bidirectional"}]

        spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a", "mountPropagation": "Sideways"}]

        spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a", "recursiveReadOnly": "Enabled"}]

        spec.containers[0].volumeDevices = [{"name": "data", "devicePath": "/dev/../x"}, {"name": "gone", "devicePath": ""}]
        "#,
        expect![[r#"
            spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/data"}]
                fine
            spec.containers[0].volumeMounts = [{"name": "gone", "mountPath": ""}]
                spec.containers[0].volumeMounts[0].name: Not found: "gone"
                spec.containers[0].volumeMounts[0].mountPath: Required value
            spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a"}, {"name": "data", "mountPath": "/a"}]
                spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/a": must be unique
            spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a", "subPath": "../x", "subPathExpr": "/y"}]
                spec.containers[0].volumeMounts.subPath: Invalid value: "../x": must not contain '..'
                spec.containers[0].volumeMounts[0].subPathExpr: Invalid value: "/y": subPathExpr and subPath are mutually exclusive
                spec.containers[0].volumeMounts.subPathExpr: Invalid value: "/y": must be a relative path
            spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a", "mountPropagation": "Bidirectional"}]
                spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers
            spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a", "mountPropagation": "Sideways"}]
                spec.containers[0].volumeMounts.mountPropagation: Unsupported value: "Sideways": supported values: "Bidirectional", "HostToContainer", "None"
            spec.containers[0].volumeMounts = [{"name": "data", "mountPath": "/a", "recursiveReadOnly": "Enabled"}]
                spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true
            spec.containers[0].volumeDevices = [{"name": "data", "devicePath": "/dev/../x"}, {"name": "gone", "devicePath": ""}]
                spec.containers[0].volumeDevices[0].name: Invalid value: "data": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode
                spec.containers[0].volumeDevices[0].devicePath: Invalid value: "/dev/../x": can not contain backsteps ('..')
                spec.containers[0].volumeDevices[1].name: Not found: "gone"
                spec.containers[0].volumeDevices[1].devicePath: Required value
        "#]],
    );
}

#[test]
fn security() {
    check(
        r#"
        spec.securityContext = {"runAsUser": -1, "runAsGroup": 2147483648, "fsGroup": -5, "supplementalGroups": [1, -1]}

        spec.securityContext.sysctls = [{"name": "kernel.shm_rmid_forced", "value": "0"}, {"name": "Bad", "value": ""}, {"name": "kernel.shm_rmid_forced", "value": "0"}]

        spec.hostNetwork = true
        spec.securityContext.sysctls = [{"name": "net.core.somaxconn", "value": "1"}]

        spec.securityContext.seccompProfile = {"type": "Localhost"}

        spec.securityContext.seccompProfile = {"type": "RuntimeDefault", "localhostProfile": "a"}

        spec.securityContext.seccompProfile = {"type": "Odd"}

        spec.securityContext = {"fsGroupChangePolicy": "Never", "supplementalGroupsPolicy": "Odd"}

        spec.hostPID = true
        spec.shareProcessNamespace = true

        spec.containers[0].securityContext = {"privileged": true, "allowPrivilegeEscalation": false}

        spec.containers[0].securityContext = {"allowPrivilegeEscalation": false, "capabilities": {"add": ["CAP_SYS_ADMIN"]}}

        spec.containers[0].securityContext = {"procMount": "Unmasked"}

        spec.containers[0].securityContext = {"appArmorProfile": {"type": "Localhost"}}

        spec.hostUsers = false
        spec.hostNetwork = true
        spec.hostPID = true

        spec.os = {"name": "windows"}
        spec.hostPID = true
        spec.securityContext.runAsUser = 1

        spec.os = {"name": "linux"}
        spec.containers[0].securityContext.windowsOptions = {}

        spec.os = {"name": "plan9"}
        "#,
        expect![[r#"
            spec.securityContext = {"runAsUser": -1, "runAsGroup": 2147483648, "fsGroup": -5, "supplementalGroups": [1, -1]}
                spec.securityContext.fsGroup: Invalid value: -5: must be between 0 and 2147483647, inclusive
                spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive
                spec.securityContext.runAsGroup: Invalid value: 2147483648: must be between 0 and 2147483647, inclusive
                spec.securityContext.supplementalGroups[1]: Invalid value: -1: must be between 0 and 2147483647, inclusive
            spec.securityContext.sysctls = [{"name": "kernel.shm_rmid_forced", "value": "0"}, {"name": "Bad", "value": ""}, {"name": "kernel.shm_rmid_forced", "value": "0"}]
                spec.securityContext.sysctls[1].name: Invalid value: "Bad": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$
                spec.securityContext.sysctls[2].name: Duplicate value: "kernel.shm_rmid_forced"
            spec.hostNetwork = true
            spec.securityContext.sysctls = [{"name": "net.core.somaxconn", "value": "1"}]
                spec.securityContext.sysctls[0].name: Invalid value: "net.core.somaxconn": may not be specified when 'hostNetwork' is true
            spec.securityContext.seccompProfile = {"type": "Localhost"}
                spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost
            spec.securityContext.seccompProfile = {"type": "RuntimeDefault", "localhostProfile": "a"}
                spec.securityContext.seccompProfile.localhostProfile: Invalid value: {"Type":"RuntimeDefault","LocalhostProfile":"a"}: can only be set when seccomp type is Localhost
            spec.securityContext.seccompProfile = {"type": "Odd"}
                spec.securityContext.seccompProfile.type: Unsupported value: "Odd": supported values: "Localhost", "RuntimeDefault", "Unconfined"
            spec.securityContext = {"fsGroupChangePolicy": "Never", "supplementalGroupsPolicy": "Odd"}
                spec.securityContext.fsGroupChangePolicy: Unsupported value: "Never": supported values: "Always", "OnRootMismatch"
                spec.securityContext.supplementalGroupsPolicy: Unsupported value: "Odd": supported values: "Merge", "Strict"
            spec.hostPID = true
            spec.shareProcessNamespace = true
                spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled
            spec.containers[0].securityContext = {"privileged": true, "allowPrivilegeEscalation": false}
                spec.containers[0].securityContext: Invalid value: {"allowPrivilegeEscalation":false,"privileged":true}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true
            spec.containers[0].securityContext = {"allowPrivilegeEscalation": false, "capabilities": {"add": ["CAP_SYS_ADMIN"]}}
                spec.containers[0].securityContext: Invalid value: {"allowPrivilegeEscalation":false}: cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN
            spec.containers[0].securityContext = {"procMount": "Unmasked"}
                spec.containers[0].securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`
            spec.containers[0].securityContext = {"appArmorProfile": {"type": "Localhost"}}
                spec.containers[0].securityContext.appArmorProfile.localhostProfile: Required value: must be set when AppArmor type is Localhost
            spec.hostUsers = false
            spec.hostNetwork = true
            spec.hostPID = true
                spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false
                spec.HostPID: Forbidden: when `pod.Spec.HostUsers` is false
            spec.os = {"name": "windows"}
            spec.hostPID = true
            spec.securityContext.runAsUser = 1
                spec.securityContext.runAsUser: Forbidden: cannot be set for a windows pod
                spec.hostPID: Forbidden: cannot be set for a windows pod
            spec.os = {"name": "linux"}
            spec.containers[0].securityContext.windowsOptions = {}
                spec.containers[0].securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod
            spec.os = {"name": "plan9"}
                spec.os: Unsupported value: "plan9": supported values: "linux", "windows"
        "#]],
    );
}

#[test]
fn scheduling() {
    check(
        r#"
        spec.nodeSelector = {"a b": "-"}

        spec.tolerations = [{"key": "a", "operator": "Exists", "value": "x"}, {"operator": "Equal"}, {"key": "b", "effect": "Never"}]

        spec.tolerations = [{"key": "a", "operator": "Lt", "value": "1"}, {"key": "a", "tolerationSeconds": 3}]

        spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution = {"nodeSelectorTerms": []}

        spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In"}, {"key": "a", "operator": "Exists", "values": ["x"]}, {"key": "a", "operator": "Gt", "values": ["1", "2"]}, {"key": "", "operator": "Is"}], "matchFields": [{"key": "metadata.uid", "operator": "In", "values": ["x"]}]}]}

        spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution = [{"weight": 101, "preference": {}}]

        spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution = [{"topologyKey": "", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Gt"}]}}]

        spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution = [{"weight": 0, "podAffinityTerm": {"topologyKey": "zone", "matchLabelKeys": ["x"]}}]

        spec.topologySpreadConstraints = [{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "Maybe", "minDomains": 0}]

        spec.topologySpreadConstraints = [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}, {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["a"]}]

        spec.schedulingGates = [{"name": "a"}, {"name": "a"}, {"name": "b c"}]
        spec.nodeName = "n1"

        spec.readinessGates = [{"conditionType": "a b"}]

        spec.nodeName = "Node"
        spec.priorityClassName = "High!"
        spec.preemptionPolicy = "Sometimes"
        spec.activeDeadlineSeconds = 0
        "#,
        expect![[r#"
            spec.nodeSelector = {"a b": "-"}
                spec.nodeSelector: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
                spec.nodeSelector: Invalid value: "-": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
            spec.tolerations = [{"key": "a", "operator": "Exists", "value": "x"}, {"operator": "Equal"}, {"key": "b", "effect": "Never"}]
                spec.tolerations[0].operator: Invalid value: "x": value must be empty when `operator` is 'Exists'
                spec.tolerations[1].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"
                spec.tolerations[2].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"
            spec.tolerations = [{"key": "a", "operator": "Lt", "value": "1"}, {"key": "a", "tolerationSeconds": 3}]
                spec.tolerations[0].operator: Unsupported value: "Lt": supported values: "Equal", "Exists"
                spec.tolerations[1].effect: Invalid value: "": effect must be 'NoExecute' when `tolerationSeconds` is set
            spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution = {"nodeSelectorTerms": []}
                spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term
            spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In"}, {"key": "a", "operator": "Exists", "values": ["x"]}, {"key": "a", "operator": "Gt", "values": ["1", "2"]}, {"key": "", "operator": "Is"}], "matchFields": [{"key": "metadata.uid", "operator": "In", "values": ["x"]}]}]}
                spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'
                spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[1].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'
                spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[2].values: Required value: must be specified single value when `operator` is 'Lt' or 'Gt'
                spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[3].operator: Invalid value: "Is": not a valid selector operator
                spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[3].key: Invalid value: "": name part must be non-empty
                spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[3].key: Invalid value: "": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
                spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].key: Invalid value: "metadata.uid": not a valid field selector key
            spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution = [{"weight": 101, "preference": {}}]
                spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100
            spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution = [{"topologyKey": "", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Gt"}]}}]
                spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector.matchExpressions[0].operator: Invalid value: "Gt": not a valid selector operator
                spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty
                spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "": name part must be non-empty
                spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution = [{"weight": 0, "podAffinityTerm": {"topologyKey": "zone", "matchLabelKeys": ["x"]}}]
                spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100
                spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.matchLabelKeys: Forbidden: must not be specified when labelSelector is not set
            spec.topologySpreadConstraints = [{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "Maybe", "minDomains": 0}]
                spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero
                spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty
                spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "Maybe": supported values: "DoNotSchedule", "ScheduleAnyway"
                spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: must be greater than zero
                spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not Maybe
            spec.topologySpreadConstraints = [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}, {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["a"]}]
                spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: "{z, DoNotSchedule}"
                spec.topologySpreadConstraints[1].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set
            spec.schedulingGates = [{"name": "a"}, {"name": "a"}, {"name": "b c"}]
            spec.nodeName = "n1"
                spec.schedulingGates[1]: Duplicate value: "a"
                spec.schedulingGates[2]: Invalid value: "b c": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
                spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared
            spec.readinessGates = [{"conditionType": "a b"}]
                spec.readinessGates[0].conditionType: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            spec.nodeName = "Node"
            spec.priorityClassName = "High!"
            spec.preemptionPolicy = "Sometimes"
            spec.activeDeadlineSeconds = 0
                spec.nodeName: Invalid value: "Node": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
                spec.priorityClassName: Invalid value: "High!": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
                spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive
                spec.preemptionPolicy: Unsupported value: "Sometimes": supported values: "PreemptLowerPriority", "Never"
        "#]],
    );
}

#[test]
fn names() {
    check(
        r#"
        spec.hostname = "a.b"
        spec.subdomain = "C"

        spec.serviceAccountName = "Bad!"

        spec.restartPolicy = "Maybe"
        spec.dnsPolicy = "Never"

        spec.dnsPolicy = "None"

        spec.dnsConfig = {"nameservers": ["1.2.3.4", "x", "1.1.1.1", "8.8.8.8"], "searches": ["a_b.c", "."], "options": [{}]}

        spec.hostAliases = [{"ip": "1.2.3", "hostnames": ["ok", "Not_ok"]}]

        metadata.annotations."controller.kubernetes.io/pod-deletion-cost" = "01"

        metadata.annotations."kubernetes.io/config.mirror" = "x"
        "#,
        expect![[r#"
            spec.hostname = "a.b"
            spec.subdomain = "C"
                spec.hostname: Invalid value: "a.b": must not contain dots
                spec.subdomain: Invalid value: "C": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
            spec.serviceAccountName = "Bad!"
                spec.serviceAccountName: Invalid value: "Bad!": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            spec.restartPolicy = "Maybe"
            spec.dnsPolicy = "Never"
                spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"
                spec.dnsPolicy: Unsupported value: "Never": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"
            spec.dnsPolicy = "None"
                spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None
            spec.dnsConfig = {"nameservers": ["1.2.3.4", "x", "1.1.1.1", "8.8.8.8"], "searches": ["a_b.c", "."], "options": [{}]}
                spec.dnsConfig.nameservers: Invalid value: ["1.2.3.4","x","1.1.1.1","8.8.8.8"]: must not have more than 3 nameservers
                spec.dnsConfig.nameservers[1]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)
                spec.dnsConfig.options[0]: Required value: must not be empty
            spec.hostAliases = [{"ip": "1.2.3", "hostnames": ["ok", "Not_ok"]}]
                spec.hostAliases[0].ip: Invalid value: "1.2.3": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)
                spec.hostAliases[0].hostnames[1]: Invalid value: "Not_ok": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            metadata.annotations."controller.kubernetes.io/pod-deletion-cost" = "01"
                metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "01": must be a 32bit integer
            metadata.annotations."kubernetes.io/config.mirror" = "x"
                metadata.annotations[kubernetes.io/config.mirror]: Invalid value: "x": must set spec.nodeName if mirror pod annotation is set
        "#]],
    );
}

#[test]
fn updates() {
    check_update(
        &Strategy,
        POD,
        r#"
        spec.containers[0].image = "nginx:2"

        spec.containers[0].image = ""

        spec.containers[0].command = ["sh"]
        spec.nodeName = "n1"

        spec.containers[1] = {"name": "b", "image": "b"}

        spec.activeDeadlineSeconds = 5

        spec.tolerations = [{"key": "a", "operator": "Exists"}]

        spec.schedulingGates = [{"name": "late"}]

        metadata.annotations."kubernetes.io/config.mirror" = "x"
        spec.nodeName = ""
        "#,
        Part::Main,
        expect![[r#"
            spec.containers[0].image = "nginx:2"
                fine
            spec.containers[0].image = ""
                spec.containers[0].image: Required value
            spec.containers[0].command = ["sh"]
            spec.nodeName = "n1"
                spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)
                  spec.containers[0].command: (unset) -> ["sh"]
                  spec.nodeName: (unset) -> "n1"
            spec.containers[1] = {"name": "b", "image": "b"}
                spec.containers: Forbidden: pod updates may not add or remove containers
            spec.activeDeadlineSeconds = 5
                fine
            spec.tolerations = [{"key": "a", "operator": "Exists"}]
                fine
            spec.schedulingGates = [{"name": "late"}]
                spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'late'
            metadata.annotations."kubernetes.io/config.mirror" = "x"
            spec.nodeName = ""
                metadata.annotations[kubernetes.io/config.mirror]: Invalid value: "x": must set spec.nodeName if mirror pod annotation is set
                metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not add mirror pod annotation
        "#]],
    );
}

#[test]
fn status_updates() {
    let ended = POD.replace(
        r#""spec": {"#,
        r#""status": {"containerStatuses": [{"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0}]},
        "spec": {"restartPolicy": "Never","#,
    );
    check_update(
        &Strategy,
        &ended,
        r#"
        status.podIPs = [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}, {"ip": "x"}]

        status.hostIP = "1.1.1.1"
        status.hostIPs = [{"ip": "2.2.2.2"}]

        status.nominatedNodeName = "Bad"

        status.conditions = [{"type": "a b", "status": "True"}]

        status.qosClass = "Guaranteed"
        "#,
        Part::Status,
        expect![[r#"
            status.podIPs = [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}, {"ip": "x"}]
                status.podIPs[2]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)
                status.podIPs: Invalid value: ["10.0.0.1","10.0.0.2","x"]: may specify no more than one IP for each IP family
            status.hostIP = "1.1.1.1"
            status.hostIPs = [{"ip": "2.2.2.2"}]
                status.hostIPs[0].ip: Invalid value: "2.2.2.2": must be equal to `hostIP`
            status.nominatedNodeName = "Bad"
                status.nominatedNodeName: Invalid value: "Bad": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            status.conditions = [{"type": "a b", "status": "True"}]
                metadata.conditions[0].Type: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            status.qosClass = "Guaranteed"
                status.qosClass: Invalid value: "Guaranteed": field is immutable
        "#]],
    );
}

#[test]
fn ephemeral() {
    check_update(
        &Strategy,
        POD,
        r#"
        spec.ephemeralContainers = [{"name": "debug", "image": "busybox", "targetContainerName": "app"}]
        spec.containers[0].image = "ignored"

        spec.ephemeralContainers = [{"name": "app", "image": "b", "targetContainerName": "gone", "ports": [{"containerPort": 1}], "livenessProbe": {}, "resources": {"limits": {"cpu": "1"}}, "volumeMounts": [{"name": "data", "mountPath": "/d", "subPath": "x"}]}]
        "#,
        Part::EphemeralContainers,
        expect![[r#"
            spec.ephemeralContainers = [{"name": "debug", "image": "busybox", "targetContainerName": "app"}]
            spec.containers[0].image = "ignored"
                fine
            spec.ephemeralContainers = [{"name": "app", "image": "b", "targetContainerName": "gone", "ports": [{"containerPort": 1}], "livenessProbe": {}, "resources": {"limits": {"cpu": "1"}}, "volumeMounts": [{"name": "data", "mountPath": "/d", "subPath": "x"}]}]
                spec.ephemeralContainers[0].name: Duplicate value: "app"
                spec.ephemeralContainers[0].targetContainerName: Not found: "gone"
                spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container
                spec.ephemeralContainers[0].resources: Forbidden: cannot be set for an Ephemeral Container
                spec.ephemeralContainers[0].livenessProbe: Forbidden: cannot be set for an Ephemeral Container
                spec.ephemeralContainers[0].volumeMounts[0].subPath: Forbidden: cannot be set for an Ephemeral Container
        "#]],
    );
}

#[test]
fn resizes() {
    let sized = POD.replace(
        r#""image": "nginx:1""#,
        r#""image": "nginx:1", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}"#,
    );
    check_update(
        &Strategy,
        &sized,
        r#"
        spec.containers[0].resources.requests.cpu = "2"
        spec.containers[0].image = "ignored"

        - spec.containers[0].resources.requests.cpu

        spec.containers[0].resources.limits.memory = "1Gi"

        spec.containers[0].resources.limits."example.com/gpu" = "1"

        spec.containers[0].resources = {"limits": {"cpu": "1", "memory": "2Gi"}, "requests": {"cpu": "1", "memory": "2Gi"}}
        "#,
        Part::Resize,
        expect![[r#"
            spec.containers[0].resources.requests.cpu = "2"
            spec.containers[0].image = "ignored"
                fine
            - spec.containers[0].resources.requests.cpu
                spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed
            spec.containers[0].resources.limits.memory = "1Gi"
                spec.containers[0].resources.limits[memory]: Forbidden: memory limits cannot be decreased unless resizePolicy is RestartContainer
            spec.containers[0].resources.limits."example.com/gpu" = "1"
                spec: Forbidden: only cpu and memory resources are mutable
            spec.containers[0].resources = {"limits": {"cpu": "1", "memory": "2Gi"}, "requests": {"cpu": "1", "memory": "2Gi"}}
                spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing
        "#]],
    );
}

#[test]
fn templates() {
    use crate::core::replication_controller;
    let rc = r#"{"metadata": {"name": "rc", "namespace": "default"}, "spec": {"selector": {"app": "a"}, "template": {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "app", "image": "nginx"}]}}}}"#;
    check_create(
        &replication_controller::Strategy,
        rc,
        r#"
        spec.replicas = 2

        spec.template.spec.ephemeralContainers = [{"name": "debug", "image": "a"}]

        spec.template.spec.containers[0].image = " "

        spec.template.metadata.labels."a b" = "c"

        spec.template.spec.hostNetwork = true
        spec.template.spec.containers[0].ports = [{"containerPort": 80}]
        "#,
        expect![[r#"
            spec.replicas = 2
                fine
            spec.template.spec.ephemeralContainers = [{"name": "debug", "image": "a"}]
                spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template
            spec.template.spec.containers[0].image = " "
                fine
            spec.template.metadata.labels."a b" = "c"
                spec.template.labels: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            spec.template.spec.hostNetwork = true
            spec.template.spec.containers[0].ports = [{"containerPort": 80}]
                fine
        "#]],
    );
}
