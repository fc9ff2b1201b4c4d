use proptest::prelude::*;

use super::*;

#[test]
fn a_pods_metadata() {
    let head = parse_head(
        br#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web-1","namespace":"default","uid":"u1",
            "generation":3,"creationTimestamp":"2026-01-01T00:00:00Z","deletionTimestamp":"2026-01-02T00:00:00Z",
            "labels":{"b":"2","a":"1","b":"3"},"finalizers":["x/y"],"managedFields":[{"manager":"m"}],
            "ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web","uid":"u0","controller":true}]
            },"spec":{"containers":[{"name":"c"}]},"status":null}"#,
    )
    .unwrap();
    assert_eq!((&*head.api_version, &*head.kind), ("v1", "Pod"));
    let meta = head.meta;
    assert_eq!((&*meta.namespace, &*meta.name, &*meta.uid), ("default", "web-1", "u1"));
    assert_eq!((meta.label("a"), meta.label("b"), meta.label("c")), (Some("1"), Some("3"), None));
    assert_eq!((meta.labels.len(), meta.generation, meta.deleting), (2, 3, true));
    assert_eq!(meta.controller().map(|o| &*o.uid), Some("u0"));
    assert_eq!(&*meta.finalizers[0], "x/y");
}

#[test]
fn nothing_is_needed() {
    assert_eq!(parse(b"{}").unwrap(), Meta::default());
    assert_eq!(parse(br#"{"metadata":null,"spec":1}"#).unwrap(), Meta::default());
    assert!(parse(br#"{"metadata":[]"#).is_err());
    assert!(parse(br#"{"metadata":{"labels":{"a":1}}}"#).is_err());
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60), text in "[{}\\[\\]:,\"a-z0-9]{0,60}") {
        let _ = (parse(&bytes), parse(text.as_bytes()));
    }
}
