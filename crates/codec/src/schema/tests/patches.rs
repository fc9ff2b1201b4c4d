//! Strategic merge patches over the tables.

use apimachinery::Gvk;
use apimachinery::patch::strategic_merge_patch;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{schema, yaml};

/// Patches a Pod; both are YAML, as is what comes out.
fn check(original: &str, patch: &str, expected: Expect) {
    check_kind(("", "v1", "Pod"), original, patch, expected);
}

fn check_kind(kind: (&str, &str, &str), original: &str, patch: &str, expected: Expect) {
    let schema = schema::of_kind(&Gvk::new(kind.0, kind.1, kind.2)).unwrap();
    let original = yaml::to_value(original.as_bytes()).unwrap();
    let patch = yaml::to_value(patch.as_bytes()).unwrap().to_string();
    let out = match strategic_merge_patch(original, patch.as_bytes(), schema) {
        Ok(value) => yaml::from_value(&value),
        Err(status) => format!("{} {}\n", status.code, status.message),
    };
    expected.assert_eq(&out);
}

const POD: &str = "
metadata: {labels: {a: '1', b: '2'}, finalizers: [x/a, x/b]}
spec:
  containers:
  - {name: web, image: nginx, ports: [{containerPort: 80}, {containerPort: 443}], args: [a, b]}
  - {name: side, image: busybox}
  tolerations: [{key: x}]
  volumes: [{name: v, emptyDir: {}}]
";

#[test]
fn maps_and_lists_merge() {
    check(
        POD,
        "
metadata: {labels: {a: null, c: '3'}, finalizers: [x/c]}
spec:
  containers: [{name: web, image: 'nginx:2', ports: [{containerPort: 443, name: tls}], args: [c]}, {name: new}]
  tolerations: [{key: y}]
",
        expect![[r#"
            metadata:
              finalizers:
              - x/c
              - x/a
              - x/b
              labels:
                b: "2"
                c: "3"
            spec:
              containers:
              - args:
                - c
                image: nginx:2
                name: web
                ports:
                - containerPort: 80
                - containerPort: 443
                  name: tls
              - name: new
              - image: busybox
                name: side
              tolerations:
              - key: true
              volumes:
              - emptyDir: {}
                name: v
        "#]],
    );
}

#[test]
fn directives() {
    check(
        POD,
        "
metadata: {labels: {$patch: replace, z: '1'}, $deleteFromPrimitiveList/finalizers: [x/a]}
spec:
  $setElementOrder/containers: [{name: side}, {name: web}]
  containers: [{name: web, $patch: delete}]
  volumes: [{name: v, $retainKeys: [name, hostPath], hostPath: {path: /x}}]
",
        expect![[r#"
            metadata:
              finalizers:
              - x/b
              labels:
                z: "1"
            spec:
              containers:
              - image: busybox
                name: side
              tolerations:
              - key: x
              volumes:
              - hostPath:
                  path: /x
                name: v
        "#]],
    );
    check(
        POD,
        "spec: {containers: [{$patch: replace}, {name: only}], tolerations: [{key: y}, {$patch: replace}]}",
        expect![[r#"
        metadata:
          finalizers:
          - x/a
          - x/b
          labels:
            a: "1"
            b: "2"
        spec:
          containers:
          - name: only
          tolerations:
          - key: true
          volumes:
          - emptyDir: {}
            name: v
    "#]],
    );
    check(
        POD,
        "{spec: {$patch: delete}}",
        expect![[r#"
        metadata:
          finalizers:
          - x/a
          - x/b
          labels:
            a: "1"
            b: "2"
        spec: {}
    "#]],
    );
    check(
        "{}",
        "{spec: {containers: [{name: gone, $patch: delete}, {name: a, env: null}]}}",
        expect![[r#"
        spec:
          containers:
          - name: a
    "#]],
    );
}

#[test]
fn order() {
    let list = "spec: {containers: [{name: a}, {name: b}, {name: c}, {name: d}]}";
    check(
        list,
        "spec: {$setElementOrder/containers: [{name: d}, {name: b}]}",
        expect![[r#"
        spec:
          containers:
          - name: a
          - name: c
          - name: d
          - name: b
    "#]],
    );
    check(
        list,
        "spec: {containers: [{name: e}, {name: b, image: x}]}",
        expect![[r#"
        spec:
          containers:
          - name: e
          - name: a
          - image: x
            name: b
          - name: c
          - name: d
    "#]],
    );
    check(
        "metadata: {finalizers: [a, b, c]}",
        "metadata: {$setElementOrder/finalizers: [c, a], finalizers: [c, a]}",
        expect![[r#"
        metadata:
          finalizers:
          - b
          - c
          - a
    "#]],
    );
}

#[test]
fn bad_patches() {
    check(
        POD,
        "spec: {containers: [{image: x}]}",
        expect![[r#"
        500 map: map[image:x] does not contain declared merge key: name
    "#]],
    );
    check(
        POD,
        "spec: {containers: [{name: web, $patch: frob}]}",
        expect![[r#"
        500 unknown patch type: frob in map: map[$patch:frob name:web]
    "#]],
    );
    check(
        POD,
        "spec: {$patch: frob}",
        expect![[r#"
        500 unknown patch type: frob in map: map[]
    "#]],
    );
    check(
        POD,
        "spec: {volumes: [{name: v, $retainKeys: [name], hostPath: {path: /x}}]}",
        expect![[r#"
        400 invalid patch format of retainKeys
    "#]],
    );
    check(
        POD,
        "spec: {$setElementOrder/containers: [{name: web}], containers: [{name: new}]}",
        expect![[r#"
        500 The order in patch list:
        [{"name":"new"}]
         doesn't match $setElementOrder list:
        [{"name":"web"}]

    "#]],
    );
    check(
        POD,
        "spec: {$setElementOrder/containers: x}",
        expect![[r#"
        400 invalid patch format of setElementOrder list
    "#]],
    );
    check(
        POD,
        "spec: {containers: [x]}",
        expect![[r#"
        500 list element types are not identical
    "#]],
    );
    check(
        POD,
        "[]",
        expect![[r#"
        400 json: cannot unmarshal array into Go value of type map[string]interface {}
    "#]],
    );
}

#[test]
fn a_deployments_strategy_keeps_named_keys() {
    check_kind(
        ("apps", "v1", "Deployment"),
        "spec: {strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}}",
        "spec: {strategy: {$retainKeys: [type], type: Recreate}}",
        expect![[r#"
            spec:
              strategy:
                type: Recreate
        "#]],
    );
}

fn any_pod() -> impl Strategy<Value = Value> {
    let container = ("[a-c]", proptest::option::of("[x-z]"), proptest::collection::btree_set(1u16..4, 0..3));
    let containers = proptest::collection::vec(container, 0..4);
    (containers, proptest::collection::btree_map("[a-c]", "[0-9]", 0..3)).prop_map(|(containers, labels)| {
        let mut seen = std::collections::BTreeSet::new();
        let containers: Vec<Value> = containers
            .into_iter()
            .filter(|(name, ..)| seen.insert(name.clone()))
            .map(|(name, image, ports)| {
                let ports: Vec<Value> = ports.into_iter().map(|p| json!({"containerPort": p})).collect();
                json!({"name": name, "image": image.unwrap_or_default(), "ports": ports})
            })
            .collect();
        json!({"metadata": {"labels": labels}, "spec": {"containers": containers}})
    })
}

proptest! {
    #[test]
    fn an_empty_patch_changes_nothing_and_a_patch_twice_is_the_patch_once(a in any_pod(), b in any_pod()) {
        let pod = schema::of_kind(&Gvk::new("", "v1", "Pod")).unwrap();
        prop_assert_eq!(strategic_merge_patch(a.clone(), b"{}", pod).unwrap(), a.clone());
        let patch = b.to_string();
        let once = strategic_merge_patch(a, patch.as_bytes(), pod).unwrap();
        let twice = strategic_merge_patch(once.clone(), patch.as_bytes(), pod).unwrap();
        prop_assert_eq!(twice, once);
    }

    /// A list merged by keys has each element once: the patch's in the order it asks for, the others in the order they had.
    #[test]
    fn merged_lists_keep_both_orders(a in any_pod(), b in any_pod(), order in Just(["a", "b", "c"]).prop_shuffle()) {
        let pod = schema::of_kind(&Gvk::new("", "v1", "Pod")).unwrap();
        let names = |pod: &Value| -> Vec<String> {
            let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
            containers.map(|c| c["name"].as_str().unwrap().to_owned()).collect()
        };
        // Patches have to be in the order that they ask for.
        let mut patch = b;
        let place = |container: &Value| order.iter().position(|n| container["name"] == *n);
        if let Some(containers) = patch["spec"]["containers"].as_array_mut() {
            containers.sort_by_key(place);
        }
        let asked: Vec<Value> = names(&patch).iter().map(|n| json!({"name": n})).collect();
        patch["spec"]["$setElementOrder/containers"] = json!(asked);
        let merged = strategic_merge_patch(a.clone(), patch.to_string().as_bytes(), pod).unwrap();
        let (before, after) = (names(&a), names(&merged));
        let asked: Vec<&str> = asked.iter().map(|e| e["name"].as_str().unwrap()).collect();
        let (mut own, mut rest) = (after.clone(), after.clone());
        own.retain(|n| asked.contains(&&**n));
        rest.retain(|n| !asked.contains(&&**n));
        prop_assert_eq!(own, asked.clone());
        prop_assert_eq!(rest, before.into_iter().filter(|n| !asked.contains(&&**n)).collect::<Vec<_>>());
    }

    #[test]
    fn never_panics(text in "(\\{|\\}|\\[|\\]|:|,|\"spec\"|\"containers\"|\"name\"|\"\\$patch\"|\"delete\"|\"\\$setElementOrder/containers\"|null|1){0,30}") {
        let pod = schema::of_kind(&Gvk::new("", "v1", "Pod")).unwrap();
        let original = yaml::to_value(POD.as_bytes()).unwrap();
        let _ = strategic_merge_patch(original.clone(), text.as_bytes(), pod);
        let _ = apimachinery::patch::json_patch(original.clone(), text.as_bytes());
        let _ = apimachinery::patch::merge_patch(original, text.as_bytes());
    }
}
