use expect_test::expect;

use super::*;

#[test]
fn all() {
    let json = r#"{"metadata": {"name": "a.b"}, "spec": {
        "terminationGracePeriodSeconds": -1,
        "imagePullSecrets": [{"name": "a"}, {"name": "a"}, {"name": ""}],
        "hostAliases": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}],
        "volumes": [{"name": "v", "gitRepo": {"repository": "r"}}],
        "containers": [{
            "name": "a",
            "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}, {"name": "A", "value": "$(A)3"}],
            "ports": [{"containerPort": 80}, {"containerPort": 80, "name": "b"}],
            "resources": {"requests": {"memory": "100m"}}
        }]
    }}"#;
    let pod = Pod::from_json(json.as_bytes()).unwrap();
    expect![[r#"
        metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]
        spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1
        spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+
        spec.imagePullSecrets[1]: duplicate name "a"
        spec.imagePullSecrets[2]: invalid empty name ""
        spec.hostAliases[1].ip: duplicate ip "1.1.1.1"
        spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply
        spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]
        spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer
    "#]].assert_eq(&(of(&pod).join("\n") + "\n"));
}
