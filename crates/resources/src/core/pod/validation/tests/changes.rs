//! Updates of every part, and templates.

use expect_test::expect;

use super::POD;
use crate::core::pod::Strategy;
use crate::strategy::Part;
use crate::testing::{check_create, check_update};

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
        spec.containers[0].resources.limits.cpu = "2"

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
            spec.containers[0].resources.limits.cpu = "2"
                fine
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
