use serde_json::json;

use super::*;

#[test]
fn json_patches() {
    let document = json!({"spec": {"replicas": 1, "list": ["a"]}});
    let apply = |patch: &str| json_patch(document.clone(), patch.as_bytes());
    let patched = apply(
        r#"[{"op":"test","path":"/spec/replicas","value":1},{"op":"replace","path":"/spec/replicas","value":2},
            {"op":"add","path":"/spec/list/-","value":"b"},{"op":"copy","from":"/spec/list/0","path":"/x~1y"}]"#,
    );
    assert_eq!(patched.unwrap(), json!({"spec": {"replicas": 2, "list": ["a", "b"]}, "x/y": "a"}));
    let missing = apply(r#"[{"op":"remove","path":"/nope"}]"#).unwrap_err();
    assert_eq!((missing.code, missing.reason.as_str()), (422, "Invalid"));
    assert_eq!(missing.message, "the server rejected our request due to an error in our request");
    assert_eq!(apply(r#"[{"op":"test","path":"/spec/replicas","value":3}]"#).unwrap_err().code, 422);
    assert_eq!(apply(r#"{"op":"add"}"#).unwrap_err().code, 400);
    assert_eq!(apply(r#"[{"op":"frobnicate","path":"/a"}]"#).unwrap_err().code, 422);
    // Nothing there is null to upstream's library.
    assert!(apply(r#"[{"op":"test","path":"/spec/none","value":null}]"#).is_ok());
    assert_eq!(apply(r#"[{"op":"test","path":"/none/none","value":null}]"#).unwrap_err().code, 422);
    let many = format!("[{}]", vec![r#"{"op":"remove","path":"/a"}"#; 10_001].join(","));
    assert_eq!(apply(&many).unwrap_err().code, 413);
}

#[test]
fn merge_patches() {
    let document = json!({"a": {"b": 1, "c": [1]}, "d": 1});
    let apply = |patch: &str| merge_patch(document.clone(), patch.as_bytes());
    assert_eq!(
        apply(r#"{"a":{"b":null,"c":[2],"e":{"f":null}},"d":{"x":1}}"#).unwrap(),
        json!({"a": {"c": [2], "e": {}}, "d": {"x": 1}})
    );
    assert_eq!(apply("[]").unwrap_err().code, 400);
    assert_eq!(apply("{").unwrap_err().code, 400);
}
