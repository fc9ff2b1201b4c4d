//! Why pods do not run, and what mistyped words meant.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::{Trouble, asked, field, meant, nearest, progress, short, trouble, unknown_field};

fn check(pod: &Value, expected: &Expect) {
    let nodes = json!([{ "metadata": { "name": "n1" }, "status": { "allocatable": { "cpu": "2" } } }]);
    let text = match trouble(pod) {
        None => "nothing".to_owned(),
        Some(Trouble::Said(text)) => text,
        Some(Trouble::Short { pod: name, resource }) => {
            short(&name, &resource, &asked(pod, &resource), &nodes)
        }
    };
    expected.assert_eq(&text);
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({
        "metadata": { "name": "web" },
        "status": { "containerStatuses": [{
            "name": "a", "image": "nope", "restartCount": 3,
            "state": { "waiting": { "reason": reason, "message": message } },
            "lastState": { "terminated": { "exitCode": 2, "reason": "Error" } },
        }] },
    })
}

#[test]
fn pods() {
    check(
        &waiting("ImagePullBackOff", "Back-off:\n not found"),
        &expect![[
            r#"web: image "nope" of container a cannot be pulled: Back-off: not found; check its name and tag, and whether the registry wants a secret (imagePullSecrets)"#
        ]],
    );
    check(
        &waiting("CrashLoopBackOff", ""),
        &expect!["web: container a ended with exit code 2 (Error) 3 times: kubectl logs web -c a --previous"],
    );
    check(&waiting("ContainerCreating", ""), &expect!["nothing"]);
    let pending = |asked: &str, message: &str| {
        json!({
            "metadata": { "name": "web" },
            "spec": { "containers": [{ "resources": { "requests": { "cpu": asked } } }, { "resources": { "requests": { "cpu": "500m" } } }] },
            "status": { "conditions": [{ "type": "PodScheduled", "status": "False", "message": message }] },
        })
    };
    let insufficient = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available";
    check(
        &pending("64", insufficient),
        &expect!["web: asks for 64500m cpu; the most that any node has is 2 (n1)"],
    );
    check(
        &pending("1", insufficient),
        &expect![
            "web: asks for 1500m cpu, and no node has that much left (n1 has 2 in all): kubectl describe node n1"
        ],
    );
    check(
        &pending("1", "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."),
        &expect![
            "web: no node takes it: 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
        ],
    );
}

#[test]
fn words() {
    let kinds = ["pods", "pod", "nodes", "services", "deployments"];
    assert_eq!(meant(&nearest("pdos", kinds.into_iter())), None);
    assert_eq!(
        meant(&nearest("podss", kinds.into_iter())).as_deref(),
        Some("did you mean \"pods\" or \"nodes\" or \"pod\"?")
    );
    assert_eq!(
        meant(&nearest("deploments", kinds.into_iter())).as_deref(),
        Some("did you mean \"deployments\"?")
    );
    let pod = facts::kind("", "v1", "Pod").expect("a pod");
    assert_eq!(field(pod, &["spec", "contaners"]).as_deref(), Some("did you mean \"containers\"?"));
    let message = "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"spec.containers[0].imag\"";
    assert_eq!(unknown_field(message).as_deref(), Some("did you mean \"image\"?"));
}

#[test]
fn rollouts() {
    let object = json!({ "kind": "Deployment", "spec": { "replicas": 4 }, "status": { "updatedReplicas": 3, "availableReplicas": 1 } });
    assert_eq!(progress::rollout(&object, "web"), "web [#####...............] 1/4 new and ready");
}
