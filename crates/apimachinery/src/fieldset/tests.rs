use proptest::prelude::*;

use super::*;

const FIELDS: &str = r#"{"f:metadata":{"f:finalizers":{".":{},"v:\"x/y\"":{}},"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{}}}},"f:replicas":{}}}"#;

#[test]
fn json_goes_in_and_out() {
    let set = FieldSet::from_json(FIELDS).unwrap();
    assert_eq!(set.to_json(), FIELDS);
    let shown: Vec<String> =
        set.paths().iter().map(|p| p.iter().map(Element::to_string).collect::<String>()).collect();
    assert_eq!(
        shown,
        [
            ".metadata.finalizers",
            r#".metadata.finalizers[="x/y"]"#,
            ".metadata.labels",
            ".metadata.labels.app",
            r#".spec.containers[name="web"]"#,
            r#".spec.containers[name="web"].image"#,
            r#".spec.containers[name="web"].ports[containerPort=80,protocol="TCP"]"#,
            ".spec.replicas",
        ]
    );
}

#[test]
fn nonsense_is_refused() {
    for text in ["[]", r#"{"x":{}}"#, r#"{"q:x":{}}"#, r#"{"k:x":{}}"#, r#"{"f:a":1}"#, r#"{"i:x":{}}"#] {
        assert!(FieldSet::from_json(text).is_err(), "{text}");
    }
    assert!(FieldSet::from_json(&format!("{}{}", r#"{"f:a":"#.repeat(300), "}".repeat(300))).is_err());
}

fn any_element() -> impl Strategy<Value = Element> {
    prop_oneof![
        4 => "[a-c]".prop_map(|n| Element::field(&n)),
        1 => (0..2i64).prop_map(|n| Element::Key([("n".into(), n.into())].into())),
        1 => "[xy]".prop_map(|v| Element::Value(v.into())),
        1 => (0..2i64).prop_map(Element::Index),
    ]
}

fn any_paths() -> impl Strategy<Value = Vec<Vec<Element>>> {
    proptest::collection::vec(proptest::collection::vec(any_element(), 1..4), 0..12)
}

fn set_of(paths: &[Vec<Element>]) -> FieldSet {
    let mut set = FieldSet::new();
    paths.iter().for_each(|p| set.insert(p));
    set
}

proptest! {
    #[test]
    fn sets_behave_like_sets_of_paths(a in any_paths(), b in any_paths()) {
        let (x, y) = (set_of(&a), set_of(&b));
        let (union, both, only) = (x.union(&y), x.intersection(&y), x.difference(&y));
        for path in a.iter().chain(&b) {
            let (in_x, in_y) = (x.contains(path), y.contains(path));
            prop_assert_eq!(in_x, a.contains(path));
            prop_assert_eq!(union.contains(path), in_x || in_y);
            prop_assert_eq!(both.contains(path), in_x && in_y);
            prop_assert_eq!(only.contains(path), in_x && !in_y);
            let above = (1..=path.len()).any(|n| y.contains(&path[..n]));
            prop_assert_eq!(x.recursive_difference(&y).contains(path), in_x && !above);
        }
        prop_assert_eq!(&set_of(&x.paths()), &x);
        prop_assert_eq!(x.difference(&x).is_empty(), true);
        prop_assert_eq!(&FieldSet::from_value(&union.to_value()).unwrap(), &union);
        prop_assert_eq!(FieldSet::from_json(&union.to_json()).unwrap(), union);
    }

    #[test]
    fn never_panics(text in "(\\{|\\}|:|,|\"f:a\"|\"k:\\{\\}\"|\"v:1\"|\"\\.\"|\"i:0\"|1){0,20}") {
        let _ = FieldSet::from_json(&text);
    }
}
