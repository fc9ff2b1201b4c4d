//! Pods as people really write them: nothing is said about them.

use expect_test::expect;

use super::check;

#[test]
fn everything_at_once() {
    check(
        r#"
        # a system daemon on the node's network
        spec.hostNetwork = true
        spec.hostPID = true
        spec.priorityClassName = "system-node-critical"
        spec.priority = 2000001000
        spec.preemptionPolicy = "PreemptLowerPriority"
        spec.tolerations = [{"operator": "Exists"}, {"key": "CriticalAddonsOnly", "operator": "Exists"}, {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]
        spec.nodeSelector = {"kubernetes.io/os": "linux"}
        spec.containers[0] = {"name": "proxy", "image": "registry.k8s.io/kube-proxy:v1.37.0", "command": ["kube-proxy", "--v=2"], "securityContext": {"privileged": true}, "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}], "volumeMounts": [{"name": "modules", "mountPath": "/lib/modules", "readOnly": true}, {"name": "lock", "mountPath": "/run/xtables.lock"}, {"name": "config", "mountPath": "/var/lib/kube-proxy"}]}
        spec.volumes = [{"name": "modules", "hostPath": {"path": "/lib/modules"}}, {"name": "lock", "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"}}, {"name": "config", "configMap": {"name": "kube-proxy", "items": [{"key": "config.conf", "path": "config.conf"}]}}]

        # cluster DNS
        spec.dnsPolicy = "Default"
        spec.affinity = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": {"labelSelector": {"matchExpressions": [{"key": "k8s-app", "operator": "In", "values": ["kube-dns"]}]}, "topologyKey": "kubernetes.io/hostname"}}]}}
        spec.containers[0] = {"name": "coredns", "image": "coredns/coredns:1.12.0", "args": ["-conf", "/etc/coredns/Corefile"], "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}}, "ports": [{"containerPort": 53, "name": "dns", "protocol": "UDP"}, {"containerPort": 53, "name": "dns-tcp", "protocol": "TCP"}, {"containerPort": 9153, "name": "metrics", "protocol": "TCP"}], "livenessProbe": {"httpGet": {"path": "/health", "port": 8080, "scheme": "HTTP"}, "initialDelaySeconds": 60, "timeoutSeconds": 5, "failureThreshold": 5}, "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}}, "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}, "readOnlyRootFilesystem": true}}

        # an application with everything around it
        spec.initContainers = [{"name": "migrate", "image": "app:1", "command": ["migrate"], "envFrom": [{"configMapRef": {"name": "app"}}, {"secretRef": {"name": "app", "optional": true}, "prefix": "APP_"}]}, {"name": "mesh", "image": "mesh:1", "restartPolicy": "Always", "startupProbe": {"tcpSocket": {"port": "admin"}}, "ports": [{"containerPort": 15000, "name": "admin"}]}]
        spec.securityContext = {"runAsNonRoot": true, "runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000, "fsGroupChangePolicy": "OnRootMismatch", "supplementalGroups": [4000], "seccompProfile": {"type": "RuntimeDefault"}, "sysctls": [{"name": "net.ipv4.ip_local_port_range", "value": "1024 65535"}]}
        spec.topologySpreadConstraints = [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"app": "web"}}}]
        spec.hostname = "web-0"
        spec.subdomain = "web"
        spec.imagePullSecrets = [{"name": "registry"}]
        spec.terminationGracePeriodSeconds = 60
        spec.shareProcessNamespace = true
        spec.readinessGates = [{"conditionType": "example.com/feature-1"}]
        spec.dnsConfig = {"nameservers": ["192.0.2.1", "2001:db8::1"], "searches": ["ns1.svc.cluster-domain.example", "my.dns.search.suffix"], "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}
        spec.hostAliases = [{"ip": "127.0.0.1", "hostnames": ["foo.local", "bar.local"]}]
        spec.containers[0] = {"name": "web", "image": "host:5000/team/app@sha256:0000000000000000000000000000000000000000000000000000000000000000", "stdin": true, "tty": true, "workingDir": "/app", "env": [{"name": "A", "value": "1"}, {"name": "CPU", "valueFrom": {"resourceFieldRef": {"containerName": "web", "resource": "limits.cpu", "divisor": "1m"}}}, {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k.e-y_"}}}], "lifecycle": {"postStart": {"exec": {"command": ["true"]}}, "preStop": {"sleep": {"seconds": 10}}}, "resources": {"limits": {"cpu": "2", "memory": "1Gi", "nvidia.com/gpu": 1, "ephemeral-storage": "2Gi"}}, "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "data", "mountPath": "/data", "subPath": "a/b"}, {"name": "all", "mountPath": "/etc/all", "readOnly": true, "recursiveReadOnly": "IfPossible"}]}
        spec.volumes = [{"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}, {"name": "data", "persistentVolumeClaim": {"claimName": "web"}}, {"name": "all", "projected": {"defaultMode": 292, "sources": [{"secret": {"name": "s", "items": [{"key": "u", "path": "g/u", "mode": 511}]}}, {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}, {"path": "cpu", "resourceFieldRef": {"containerName": "web", "resource": "limits.cpu"}}]}}, {"configMap": {"name": "c"}}, {"serviceAccountToken": {"path": "token", "expirationSeconds": 7200, "audience": "vault"}}]}}]
        "#,
        expect![[r##"
            # a system daemon on the node's network
            spec.hostNetwork = true
            spec.hostPID = true
            spec.priorityClassName = "system-node-critical"
            spec.priority = 2000001000
            spec.preemptionPolicy = "PreemptLowerPriority"
            spec.tolerations = [{"operator": "Exists"}, {"key": "CriticalAddonsOnly", "operator": "Exists"}, {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]
            spec.nodeSelector = {"kubernetes.io/os": "linux"}
            spec.containers[0] = {"name": "proxy", "image": "registry.k8s.io/kube-proxy:v1.37.0", "command": ["kube-proxy", "--v=2"], "securityContext": {"privileged": true}, "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}], "volumeMounts": [{"name": "modules", "mountPath": "/lib/modules", "readOnly": true}, {"name": "lock", "mountPath": "/run/xtables.lock"}, {"name": "config", "mountPath": "/var/lib/kube-proxy"}]}
            spec.volumes = [{"name": "modules", "hostPath": {"path": "/lib/modules"}}, {"name": "lock", "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"}}, {"name": "config", "configMap": {"name": "kube-proxy", "items": [{"key": "config.conf", "path": "config.conf"}]}}]
                fine
            # cluster DNS
            spec.dnsPolicy = "Default"
            spec.affinity = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": {"labelSelector": {"matchExpressions": [{"key": "k8s-app", "operator": "In", "values": ["kube-dns"]}]}, "topologyKey": "kubernetes.io/hostname"}}]}}
            spec.containers[0] = {"name": "coredns", "image": "coredns/coredns:1.12.0", "args": ["-conf", "/etc/coredns/Corefile"], "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}}, "ports": [{"containerPort": 53, "name": "dns", "protocol": "UDP"}, {"containerPort": 53, "name": "dns-tcp", "protocol": "TCP"}, {"containerPort": 9153, "name": "metrics", "protocol": "TCP"}], "livenessProbe": {"httpGet": {"path": "/health", "port": 8080, "scheme": "HTTP"}, "initialDelaySeconds": 60, "timeoutSeconds": 5, "failureThreshold": 5}, "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}}, "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}, "readOnlyRootFilesystem": true}}
                fine
            # an application with everything around it
            spec.initContainers = [{"name": "migrate", "image": "app:1", "command": ["migrate"], "envFrom": [{"configMapRef": {"name": "app"}}, {"secretRef": {"name": "app", "optional": true}, "prefix": "APP_"}]}, {"name": "mesh", "image": "mesh:1", "restartPolicy": "Always", "startupProbe": {"tcpSocket": {"port": "admin"}}, "ports": [{"containerPort": 15000, "name": "admin"}]}]
            spec.securityContext = {"runAsNonRoot": true, "runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000, "fsGroupChangePolicy": "OnRootMismatch", "supplementalGroups": [4000], "seccompProfile": {"type": "RuntimeDefault"}, "sysctls": [{"name": "net.ipv4.ip_local_port_range", "value": "1024 65535"}]}
            spec.topologySpreadConstraints = [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"app": "web"}}}]
            spec.hostname = "web-0"
            spec.subdomain = "web"
            spec.imagePullSecrets = [{"name": "registry"}]
            spec.terminationGracePeriodSeconds = 60
            spec.shareProcessNamespace = true
            spec.readinessGates = [{"conditionType": "example.com/feature-1"}]
            spec.dnsConfig = {"nameservers": ["192.0.2.1", "2001:db8::1"], "searches": ["ns1.svc.cluster-domain.example", "my.dns.search.suffix"], "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}
            spec.hostAliases = [{"ip": "127.0.0.1", "hostnames": ["foo.local", "bar.local"]}]
            spec.containers[0] = {"name": "web", "image": "host:5000/team/app@sha256:0000000000000000000000000000000000000000000000000000000000000000", "stdin": true, "tty": true, "workingDir": "/app", "env": [{"name": "A", "value": "1"}, {"name": "CPU", "valueFrom": {"resourceFieldRef": {"containerName": "web", "resource": "limits.cpu", "divisor": "1m"}}}, {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k.e-y_"}}}], "lifecycle": {"postStart": {"exec": {"command": ["true"]}}, "preStop": {"sleep": {"seconds": 10}}}, "resources": {"limits": {"cpu": "2", "memory": "1Gi", "nvidia.com/gpu": 1, "ephemeral-storage": "2Gi"}}, "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "data", "mountPath": "/data", "subPath": "a/b"}, {"name": "all", "mountPath": "/etc/all", "readOnly": true, "recursiveReadOnly": "IfPossible"}]}
            spec.volumes = [{"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}, {"name": "data", "persistentVolumeClaim": {"claimName": "web"}}, {"name": "all", "projected": {"defaultMode": 292, "sources": [{"secret": {"name": "s", "items": [{"key": "u", "path": "g/u", "mode": 511}]}}, {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}, {"path": "cpu", "resourceFieldRef": {"containerName": "web", "resource": "limits.cpu"}}]}}, {"configMap": {"name": "c"}}, {"serviceAccountToken": {"path": "token", "expirationSeconds": 7200, "audience": "vault"}}]}}]
                fine
        "##]],
    );
}
