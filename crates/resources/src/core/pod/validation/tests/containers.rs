//! Containers and what is in them.

use expect_test::expect;

use super::check;

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

        spec.containers[0].restartPolicy = "Sometimes"

        spec.containers[0].restartPolicy = "Never"
        spec.containers[0].restartPolicyRules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]

        spec.containers[0].restartPolicyRules = [{"action": "Odd"}, {"action": "Restart", "exitCodes": {"operator": "Is"}}]

        spec.containers[0].lifecycle.stopSignal = "SIGUSR1"

        spec.os = {"name": "linux"}
        spec.containers[0].lifecycle.stopSignal = "SIGRTMIN+3"

        spec.os = {"name": "linux"}
        spec.containers[0].lifecycle.stopSignal = "SIGODD"

        spec.containers[0].resizePolicy = [{"resourceName": "cpu", "restartPolicy": "NotRequired"}, {"resourceName": "cpu", "restartPolicy": "Never"}]
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
            spec.containers[0].restartPolicy = "Sometimes"
                spec.containers[0].restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"
            spec.containers[0].restartPolicy = "Never"
            spec.containers[0].restartPolicyRules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
                fine
            spec.containers[0].restartPolicyRules = [{"action": "Odd"}, {"action": "Restart", "exitCodes": {"operator": "Is"}}]
                spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used
                spec.containers[0].restartPolicyRules[0].action: Unsupported value: "Odd": supported values: "Restart"
                spec.containers[0].restartPolicyRules[0].exitCodes: Required value: must be specified
                spec.containers[0].restartPolicyRules[1].exitCodes.operator: Unsupported value: "Is": supported values: "In", "NotIn"
            spec.containers[0].lifecycle.stopSignal = "SIGUSR1"
                spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`
            spec.os = {"name": "linux"}
            spec.containers[0].lifecycle.stopSignal = "SIGRTMIN+3"
                fine
            spec.os = {"name": "linux"}
            spec.containers[0].lifecycle.stopSignal = "SIGODD"
                spec.containers[0].lifecycle.stopSignal: Unsupported value: "SIGODD": supported values: "SIGABRT", "SIGALRM", "SIGBUS", "SIGCHLD", "SIGCLD", "SIGCONT", "SIGFPE", "SIGHUP", "SIGILL", "SIGINT", "SIGIO", "SIGIOT", "SIGKILL", "SIGPIPE", "SIGPOLL", "SIGPROF", "SIGPWR", "SIGQUIT", "SIGSEGV", "SIGSTKFLT", "SIGSTOP", "SIGSYS", "SIGTERM", "SIGTRAP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGUSR1", "SIGUSR2", "SIGVTALRM", "SIGWINCH", "SIGXCPU", "SIGXFSZ"
            spec.containers[0].resizePolicy = [{"resourceName": "cpu", "restartPolicy": "NotRequired"}, {"resourceName": "cpu", "restartPolicy": "Never"}]
                spec.containers[0].resizePolicy[1]: Duplicate value: "cpu"
                spec.containers[0].resizePolicy: Unsupported value: "Never": supported values: "NotRequired", "RestartContainer"
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
                fine
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
