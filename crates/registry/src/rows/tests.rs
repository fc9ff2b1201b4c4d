//! What other API servers have stored.

use super::*;

/// The JSON that is published of a stored value.
fn check(plural: &str, stored: &[u8], expected: &str) {
    let all = resources::table::all();
    let resource = all.iter().find(|r| &*r.gvr.resource == plural).expect("served");
    let key = ObjectKey::new("ns", "a");
    let object = (spec(resource).parse)(&key, Revision(7), stored).expect("readable");
    assert_eq!(std::str::from_utf8(object.json()).expect("text"), expected);
    assert_eq!(&*object.meta.name, "a");
}

#[test]
fn values_that_upstream_wrote_are_read() {
    let json =
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"ns"},"data":{"k":"v"}}"#;
    let message = codec::protobuf::Message::named("", "v1", "ConfigMap").expect("a message");
    let protobuf = message.encode(json.as_bytes()).expect("encoded");
    assert!(protobuf.starts_with(PROTOBUF));
    let expected = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"resourceVersion":"7","name":"a","namespace":"ns"},"data":{"k":"v"}}"#;
    // Go's encoder ends with a line.
    check("configmaps", format!("{json}\n").as_bytes(), expected);
    let read = codec::protobuf::to_json(&protobuf).expect("read");
    let expected = codec::splice::with_resource_version(&read, Revision(7));
    check("configmaps", &protobuf, std::str::from_utf8(&expected).expect("text"));
    let value: serde_json::Value = serde_json::from_slice(&expected).expect("JSON");
    assert_eq!(value["data"]["k"], "v");
    assert_eq!(value["metadata"]["resourceVersion"], "7");
}

#[test]
fn the_layout_is_upstreams() {
    let all = resources::table::all();
    let prefix = |group: &str, plural: &str| {
        let found = all.iter().find(|r| &*r.gvr.group == group && &*r.gvr.resource == plural);
        found.map(|r| spec(r).prefix)
    };
    for (group, plural, expected) in [
        ("", "pods", "/registry/pods/"),
        ("", "nodes", "/registry/minions/"),
        ("", "replicationcontrollers", "/registry/controllers/"),
        ("", "services", "/registry/services/specs/"),
        ("", "endpoints", "/registry/services/endpoints/"),
        ("apps", "deployments", "/registry/deployments/"),
        ("networking.k8s.io", "ingresses", "/registry/ingress/"),
        ("coordination.k8s.io", "leases", "/registry/leases/"),
        ("rbac.authorization.k8s.io", "clusterroles", "/registry/clusterroles/"),
    ] {
        assert_eq!(prefix(group, plural).as_deref(), Some(expected), "{group}/{plural}");
    }
}
