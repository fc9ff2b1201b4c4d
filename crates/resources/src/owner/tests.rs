use k8s_openapi::api::apps::v1::ReplicaSet;

use super::*;

#[test]
fn who_controls_whom() {
    let mut rs = ReplicaSet::default();
    rs.metadata.name = Some("rs".into());
    rs.metadata.uid = Some("u1".into());
    let reference = controller_ref(&rs);
    assert_eq!((&*reference.api_version, &*reference.kind), ("apps/v1", "ReplicaSet"));
    let mut meta = ObjectMeta {
        owner_references: Some(vec![owner_ref(&ReplicaSet::default()), reference]),
        finalizers: Some(vec!["a/b".into()]),
        ..ObjectMeta::default()
    };
    assert_eq!(meta.controller().unwrap().name, "rs");
    assert!(meta.is_controlled_by("u1") && !meta.is_controlled_by("u2"));
    assert!(meta.has_finalizer("a/b") && !meta.is_deleting());
    meta.owner_references = None;
    assert!(meta.controller().is_none());
}
