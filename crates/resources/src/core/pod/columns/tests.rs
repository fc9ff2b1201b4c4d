use expect_test::{Expect, expect};

use crate::core::pod::Strategy;
use crate::testing::check_rows;

const POD: &str = r#"{
    "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"nodeName": "n1", "containers": [{"name": "a"}, {"name": "b"}]},
    "status": {
        "phase": "Running",
        "podIPs": [{"ip": "10.0.0.5"}],
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [
            {"name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}},
            {"name": "b", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}}
        ]
    }
}"#;

#[track_caller]
fn check(cases: &str, expect: Expect) {
    check_rows(&Strategy, POD, cases, expect);
}

#[test]
fn main_containers() {
    check(
        r#"
        metadata.name = "running"

        metadata.name = "pending"
        status = {"phase": "Pending"}
        - spec.nodeName

        metadata.name = "creating"
        status.phase = "Pending"
        status.containerStatuses[0].state = {"waiting": {"reason": "ContainerCreating"}}
        status.containerStatuses[0].ready = false

        metadata.name = "crashing"
        status.containerStatuses[1].state = {"waiting": {"reason": "CrashLoopBackOff"}}
        status.containerStatuses[1].ready = false
        status.containerStatuses[1].restartCount = 3
        status.containerStatuses[1].lastState = {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:09:55Z"}}

        metadata.name = "completed"
        status.phase = "Succeeded"
        status.containerStatuses[0] = {"name": "a", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
        status.containerStatuses[1] = {"name": "b", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}

        metadata.name = "half-completed"
        status.containerStatuses[0].state = {"terminated": {"exitCode": 0, "reason": "Completed"}}
        status.containerStatuses[0].ready = false

        metadata.name = "half-completed-not-ready"
        status.conditions = []
        status.containerStatuses[0].state = {"terminated": {"exitCode": 0, "reason": "Completed"}}
        status.containerStatuses[0].ready = false

        metadata.name = "signalled"
        status.containerStatuses[0].state = {"terminated": {"exitCode": 137, "signal": 9}}
        status.containerStatuses[0].ready = false

        metadata.name = "exited"
        status.containerStatuses[0].state = {"terminated": {"exitCode": 3}}
        status.containerStatuses[0].ready = false

        metadata.name = "evicted"
        status = {"phase": "Failed", "reason": "Evicted"}

        metadata.name = "terminating"
        metadata.deletionTimestamp = "2026-01-01T00:09:00Z"

        metadata.name = "deleted-but-done"
        metadata.deletionTimestamp = "2026-01-01T00:09:00Z"
        status = {"phase": "Succeeded"}

        metadata.name = "lost"
        metadata.deletionTimestamp = "2026-01-01T00:09:00Z"
        status.reason = "NodeLost"

        metadata.name = "gated"
        status = {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}

        metadata.name = "with-gates"
        spec.readinessGates = [{"conditionType": "a"}, {"conditionType": "b"}]
        status.conditions[1] = {"type": "b", "status": "True"}
        status.nominatedNodeName = "n2"
        "#,
        expect![[r#"
            NAME  READY  STATUS  RESTARTS  AGE  IP  NODE  NOMINATED NODE  READINESS GATES
            running  2/2  Running  0  10m  10.0.0.5  n1  <none>  <none>
            pending  0/2  Pending  0  10m  <none>  <none>  <none>  <none>
            creating  1/2  ContainerCreating  0  10m  10.0.0.5  n1  <none>  <none>
            crashing  1/2  CrashLoopBackOff  3 (5s ago)  10m  10.0.0.5  n1  <none>  <none>
            completed  0/2  Completed  0  10m  10.0.0.5  n1  <none>  <none>
            half-completed  1/2  Running  0  10m  10.0.0.5  n1  <none>  <none>
            half-completed-not-ready  1/2  NotReady  0  10m  10.0.0.5  n1  <none>  <none>
            signalled  1/2  Signal:9  0  10m  10.0.0.5  n1  <none>  <none>
            exited  1/2  ExitCode:3  0  10m  10.0.0.5  n1  <none>  <none>
            evicted  0/2  Evicted  0  10m  <none>  n1  <none>  <none>
            terminating  2/2  Terminating  0  10m  10.0.0.5  n1  <none>  <none>
            deleted-but-done  0/2  Succeeded  0  10m  <none>  n1  <none>  <none>
            lost  2/2  Unknown  0  10m  10.0.0.5  n1  <none>  <none>
            gated  0/2  SchedulingGated  0  10m  <none>  n1  <none>  <none>
            with-gates  2/2  Running  0  10m  10.0.0.5  n1  n2  1/2
        "#]],
    );
}

#[test]
fn init_containers() {
    check(
        r#"
        metadata.name = "init-waits"
        spec.initContainers = [{"name": "i"}, {"name": "j"}]
        status.phase = "Pending"
        status.initContainerStatuses = [{"name": "i", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}]
        status.containerStatuses = []

        metadata.name = "init-second"
        spec.initContainers = [{"name": "i"}, {"name": "j"}]
        status.initContainerStatuses = [{"name": "i", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"terminated": {"exitCode": 0}}}, {"name": "j", "image": "", "imageID": "", "ready": false, "restartCount": 2, "state": {"running": {}}}]
        status.containerStatuses = []

        metadata.name = "init-crashes"
        spec.initContainers = [{"name": "i"}]
        status.initContainerStatuses = [{"name": "i", "image": "", "imageID": "", "ready": false, "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:05:00Z"}}}]
        status.containerStatuses = []

        metadata.name = "init-error"
        spec.initContainers = [{"name": "i"}]
        status.initContainerStatuses = [{"name": "i", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]
        status.containerStatuses = []

        metadata.name = "init-signal"
        spec.initContainers = [{"name": "i"}]
        status.initContainerStatuses = [{"name": "i", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 1, "signal": 11}}}]
        status.containerStatuses = []

        metadata.name = "sidecar-runs"
        spec.initContainers = [{"name": "s", "restartPolicy": "Always"}]
        status.initContainerStatuses = [{"name": "s", "image": "", "imageID": "", "ready": true, "started": true, "restartCount": 1, "state": {"running": {}}}]
        "#,
        expect![[r#"
            NAME  READY  STATUS  RESTARTS  AGE  IP  NODE  NOMINATED NODE  READINESS GATES
            init-waits  0/2  Init:0/2  0  10m  10.0.0.5  n1  <none>  <none>
            init-second  0/2  Init:1/2  2  10m  10.0.0.5  n1  <none>  <none>
            init-crashes  0/2  Init:CrashLoopBackOff  2 (5m ago)  10m  10.0.0.5  n1  <none>  <none>
            init-error  0/2  Init:Error  0  10m  10.0.0.5  n1  <none>  <none>
            init-signal  0/2  Init:Signal:11  0  10m  10.0.0.5  n1  <none>  <none>
            sidecar-runs  3/3  Running  1  10m  10.0.0.5  n1  <none>  <none>
        "#]],
    );
}
