use k8s_openapi::api::core::v1::Pod;

use super::*;

fn pod(json: &str) -> Pod {
    Pod::from_json(json.as_bytes()).unwrap()
}

#[test]
fn empty_and_absent_are_the_same() {
    let old = pod(r#"{"metadata":{"generation":4},"spec":{"containers":[{"name":"a"}],"nodeName":""}}"#);
    let mut new = pod(r#"{"spec":{"containers":[{"name":"a","args":[]}],"hostNetwork":false}}"#);
    assert!(!changed(&new, &old, "spec"));
    bump_generation(&mut new, &old, "spec");
    assert_eq!(new.metadata.generation, Some(4));
}

#[test]
fn a_change_raises_the_generation() {
    let old = pod(r#"{"metadata":{"generation":4},"spec":{"containers":[{"name":"a"}]}}"#);
    let mut new = pod(r#"{"spec":{"containers":[{"name":"a","image":"b"}]}}"#);
    bump_generation(&mut new, &old, "spec");
    assert_eq!(new.metadata.generation, Some(5));
}
