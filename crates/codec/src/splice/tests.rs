use k8s_openapi::api::core::v1::ConfigMap;

use super::*;
use crate::Kind;

fn check(json: &str, expected: &str) {
    let out = with_resource_version(json.as_bytes(), Revision(42));
    assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
}

#[test]
fn the_revision_goes_first_into_metadata() {
    check(
        r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{}}"#,
        r#"{"apiVersion":"v1","kind":"Pod","metadata":{"resourceVersion":"42","name":"a"},"spec":{}}"#,
    );
    check(r#"{"metadata":{}}"#, r#"{"metadata":{"resourceVersion":"42"}}"#);
}

#[test]
fn other_orders_work_too() {
    let quoted = r#"{"data":{"x":"\"metadata\":{"},"metadata":{"name":"a"}}"#;
    check(quoted, r#"{"data":{"x":"\"metadata\":{"},"metadata":{"name":"a","resourceVersion":"42"}}"#);
    check(r#"{"metadata":null}"#, r#"{"metadata":{"resourceVersion":"42"}}"#);
    check("{}", r#"{"metadata":{"resourceVersion":"42"}}"#);
    check("not json", "not json");
}

#[test]
fn our_own_encoding_is_split() {
    let mut map = ConfigMap::default();
    map.metadata.name = Some("a".into());
    let json = map.to_json();
    let (head, tail) = split_at_metadata(&json).unwrap();
    assert_eq!(head, br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"#);
    assert_eq!(tail, br#""name":"a"}}"#);
    assert_eq!(&without_type_meta(&json)[..], br#"{"metadata":{"name":"a"}}"#);
}

#[test]
fn metadata_comes_first_whatever_the_alphabet_says() {
    let mut map = ConfigMap::default();
    map.metadata.name = Some("a".into());
    map.data.get_or_insert_default().insert("metadata".into(), "\"metadata\":{".into());
    map.immutable = Some(true);
    let json = String::from_utf8(map.to_json()).unwrap();
    let expected = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"metadata":"\"metadata\":{"},"immutable":true}"#;
    assert_eq!(json, expected);
    assert_eq!(ConfigMap::from_json(json.as_bytes()).unwrap(), map);
}
