mod patches;

use super::*;

fn at(path: &str) -> BuiltIn {
    path.split('.').fold(of_kind(&Gvk::new("", "v1", "Pod")).unwrap(), |node, step| match step {
        "[]" => node.element(),
        name => node.field(name).unwrap(),
    })
}

#[test]
fn a_pods_places() {
    assert_eq!(at("spec").shape(), Shape::Struct { atomic: false });
    assert_eq!(at("spec.nodeSelector").shape(), Shape::Map { atomic: true });
    assert_eq!(at("metadata.labels").shape(), Shape::Map { atomic: false });
    assert_eq!(at("metadata.labels.x").shape(), Shape::Scalar);
    assert_eq!(at("metadata.finalizers").shape(), Shape::List(List::Set));
    assert_eq!(at("spec.tolerations").shape(), Shape::List(List::Atomic));
    let ports = at("spec.containers.[].ports");
    assert_eq!(ports.shape(), Shape::List(List::Map(Keys::Table(&["containerPort", "protocol"]))));
    assert_eq!(ports.element().key_default("protocol"), Some("\"TCP\""));
    assert_eq!(ports.patch().merge_key, Some("containerPort"));
    assert!(at("spec").field("nonsense").is_none());
    assert_eq!(at("spec.containers.[].resources.limits.cpu").shape(), Shape::Scalar);
    assert!(of_kind(&Gvk::new("example.com", "v1", "Foo")).is_none());
}

#[test]
fn an_overridden_type_is_granular() {
    let volume = of_kind(&Gvk::new("", "v1", "PersistentVolume")).unwrap();
    let claim = volume.field("spec").and_then(|s| s.field("claimRef")).unwrap();
    assert_eq!(claim.shape(), Shape::Struct { atomic: false });
}
