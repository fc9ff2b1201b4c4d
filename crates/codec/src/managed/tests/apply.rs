//! Server-side apply, told as a story: who applies what, and what becomes of it.

use apimachinery::managed::nowhere;
use apimachinery::{Gvk, Status};
use expect_test::{Expect, expect};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use proptest::prelude::*;

use super::super::*;
use crate::decode::Strictness;
use crate::{Kind, yaml};

/// Bodies need not say what they are.
pub(super) fn run(
    gvk: &Gvk,
    live: Option<&dyn AnyObject>,
    body: &[u8],
    writer: &Writer<'_>,
    force: bool,
) -> Result<Vec<u8>, Status> {
    let given = String::from_utf8_lossy(body);
    let (version, kind) = (gvk.api_version(), &gvk.kind);
    let body = match given.trim_start().strip_prefix('{') {
        _ if given.contains("apiVersion") || given == "x" => given.to_string(),
        Some(rest) => format!("{{apiVersion: {version}, kind: {kind}, {rest}"),
        None => format!("apiVersion: {version}\nkind: {kind}\n{given}"),
    };
    let apply = Apply { gvk, body: body.as_bytes(), strictness: Strictness::Strict, force };
    Ok(super::super::apply(&apply, live, writer, &nowhere)?.json)
}

/// Each step is `manager [force]` and a body, or `manager!` and the JSON patch of an update; what comes of it is printed.
fn check(steps: &[(&str, &str)], expected: Expect) {
    let gvk = Gvk::new("apps", "v1", "Deployment");
    let mut live: Option<Deployment> = None;
    let mut out = String::new();
    for (second, (who, body)) in steps.iter().enumerate() {
        let now = Timestamp::from_second(second as i64).unwrap();
        let manager = who.trim_end_matches(" force").trim_end_matches('!');
        let writer = Writer { manager, api_version: "apps/v1", subresource: "", ignored: &["status"], now };
        out.push_str(&format!("-- {who}\n"));
        if who.ends_with('!') {
            let old = live.clone().unwrap();
            let value = serde_json::from_slice(&old.to_json()).unwrap();
            let merged = apimachinery::patch::merge_patch(
                value,
                yaml::to_value(body.as_bytes()).unwrap().to_string().as_bytes(),
            );
            let mut new = Deployment::from_json(merged.unwrap().to_string().as_bytes()).unwrap();
            updated(&mut new, &old, &writer, &nowhere);
            live = Some(new);
        } else {
            let object = live.as_ref().map(|o| o as &dyn AnyObject);
            match run(&gvk, object, body.as_bytes(), &writer, who.ends_with(" force")) {
                Ok(json) => live = Some(Deployment::from_json(&json).unwrap()),
                Err(status) => {
                    out.push_str(&format!("{} {}\n", status.code, status.message));
                    continue;
                }
            }
        }
        out.push_str(&shown(live.as_ref().unwrap()));
    }
    expected.assert_eq(&out);
}

fn shown(object: &Deployment) -> String {
    let mut bare = object.clone();
    let entries = entries(&bare.metadata.managed_fields.take().unwrap_or_default()).unwrap();
    let mut out = yaml::from_json(&bare.to_json()).unwrap();
    for e in entries {
        let second = e.time.map_or(0, |t| t.as_second());
        out.push_str(&format!("{} {} @{second} {}\n", e.manager, e.operation.as_str(), e.fields.to_json()));
    }
    out
}

const WEB: &str = "
metadata: {name: web, namespace: default, labels: {app: web, tier: front}}
spec:
  replicas: 1
  template: {spec: {containers: [{name: a, image: x, env: [{name: E, value: '1'}]}, {name: b}]}}
";

#[test]
fn what_is_no_longer_applied_goes() {
    check(
        &[
            ("alice", WEB),
            (
                "alice",
                "{metadata: {name: web, labels: {app: web}}, spec: {template: {spec: {containers: [{name: b}]}}}}",
            ),
        ],
        expect![[r#"
            -- alice
            apiVersion: apps/v1
            kind: Deployment
            metadata:
              labels:
                app: web
                tier: front
              name: web
              namespace: default
            spec:
              replicas: 1
              selector: {}
              template:
                spec:
                  containers:
                  - env:
                    - name: E
                      value: "1"
                    image: x
                    name: a
                  - name: b
            alice Apply @0 {"f:metadata":{"f:labels":{"f:app":{},"f:tier":{}}},"f:spec":{"f:replicas":{},"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:env":{"k:{\"name\":\"E\"}":{".":{},"f:name":{},"f:value":{}}},"f:image":{},"f:name":{}},"k:{\"name\":\"b\"}":{".":{},"f:name":{}}}}}}}
            -- alice
            apiVersion: apps/v1
            kind: Deployment
            metadata:
              labels:
                app: web
              name: web
              namespace: default
            spec:
              selector: {}
              template:
                spec:
                  containers:
                  - name: b
            alice Apply @1 {"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"b\"}":{".":{},"f:name":{}}}}}}}
        "#]],
    );
}

#[test]
fn conflicts_are_named_and_can_be_forced() {
    check(
        &[
            ("alice", WEB),
            ("scaler!", "spec: {replicas: 5}"),
            ("alice", WEB),
            ("bob", "{metadata: {name: web, labels: {app: other, tier: back}}, spec: {replicas: 2}}"),
            ("bob force", "{metadata: {name: web, labels: {app: other}}}"),
            ("bob", "{metadata: {name: web, labels: {app: other, tier: front}}}"),
            ("alice", "{metadata: {name: web, labels: {app: other}}}"),
        ],
        expect![[r#"
            -- alice
            apiVersion: apps/v1
            kind: Deployment
            metadata:
              labels:
                app: web
                tier: front
              name: web
              namespace: default
            spec:
              replicas: 1
              selector: {}
              template:
                spec:
                  containers:
                  - env:
                    - name: E
                      value: "1"
                    image: x
                    name: a
                  - name: b
            alice Apply @0 {"f:metadata":{"f:labels":{"f:app":{},"f:tier":{}}},"f:spec":{"f:replicas":{},"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:env":{"k:{\"name\":\"E\"}":{".":{},"f:name":{},"f:value":{}}},"f:image":{},"f:name":{}},"k:{\"name\":\"b\"}":{".":{},"f:name":{}}}}}}}
            -- scaler!
            apiVersion: apps/v1
            kind: Deployment
            metadata:
              labels:
                app: web
                tier: front
              name: web
              namespace: default
            spec:
              replicas: 5
              selector: {}
              template:
                spec:
                  containers:
                  - env:
                    - name: E
                      value: "1"
                    image: x
                    name: a
                  - name: b
            alice Apply @0 {"f:metadata":{"f:labels":{"f:app":{},"f:tier":{}}},"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:env":{"k:{\"name\":\"E\"}":{".":{},"f:name":{},"f:value":{}}},"f:image":{},"f:name":{}},"k:{\"name\":\"b\"}":{".":{},"f:name":{}}}}}}}
            scaler Update @1 {"f:spec":{"f:replicas":{}}}
            -- alice
            409 Apply failed with 1 conflict: conflict with "scaler" using apps/v1: .spec.replicas
            -- bob
            409 Apply failed with 3 conflicts: conflicts with "alice":
            - .metadata.labels.app
            - .metadata.labels.tier
            conflicts with "scaler" using apps/v1:
            - .spec.replicas
            -- bob force
            apiVersion: apps/v1
            kind: Deployment
            metadata:
              labels:
                app: other
                tier: front
              name: web
              namespace: default
            spec:
              replicas: 5
              selector: {}
              template:
                spec:
                  containers:
                  - env:
                    - name: E
                      value: "1"
                    image: x
                    name: a
                  - name: b
            alice Apply @0 {"f:metadata":{"f:labels":{"f:tier":{}}},"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:env":{"k:{\"name\":\"E\"}":{".":{},"f:name":{},"f:value":{}}},"f:image":{},"f:name":{}},"k:{\"name\":\"b\"}":{".":{},"f:name":{}}}}}}}
            bob Apply @4 {"f:metadata":{"f:labels":{"f:app":{}}}}
            scaler Update @1 {"f:spec":{"f:replicas":{}}}
            -- bob
            apiVersion: apps/v1
            kind: Deployment
            metadata:
              labels:
                app: other
                tier: front
              name: web
              namespace: default
            spec:
              replicas: 5
              selector: {}
              template:
                spec:
                  containers:
                  - env:
                    - name: E
                      value: "1"
                    image: x
                    name: a
                  - name: b
            alice Apply @0 {"f:metadata":{"f:labels":{"f:tier":{}}},"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:env":{"k:{\"name\":\"E\"}":{".":{},"f:name":{},"f:value":{}}},"f:image":{},"f:name":{}},"k:{\"name\":\"b\"}":{".":{},"f:name":{}}}}}}}
            bob Apply @5 {"f:metadata":{"f:labels":{"f:app":{},"f:tier":{}}}}
            scaler Update @1 {"f:spec":{"f:replicas":{}}}
            -- alice
            apiVersion: apps/v1
            kind: Deployment
            metadata:
              labels:
                app: other
                tier: front
              name: web
              namespace: default
            spec:
              replicas: 5
              selector: {}
              template: {}
            bob Apply @5 {"f:metadata":{"f:labels":{"f:app":{},"f:tier":{}}}}
            alice Apply @6 {"f:metadata":{"f:labels":{"f:app":{}}}}
            scaler Update @1 {"f:spec":{"f:replicas":{}}}
        "#]],
    );
}

#[test]
fn the_same_again_changes_nothing() {
    let gvk = Gvk::new("apps", "v1", "Deployment");
    let at = |second| Timestamp::from_second(second).unwrap();
    let writer = |second| Writer {
        manager: "a",
        api_version: "apps/v1",
        subresource: "",
        ignored: &[],
        now: at(second),
    };
    let first = run(&gvk, None, WEB.as_bytes(), &writer(1), false).unwrap();
    let live = Deployment::from_json(&first).unwrap();
    let second = run(&gvk, Some(&live), WEB.as_bytes(), &writer(2), false).unwrap();
    assert_eq!(Deployment::from_json(&second).unwrap(), live);
}

#[test]
fn bad_configurations() {
    check(
        &[
            ("a", "{metadata: {name: web, namespace: ns}, spec: {foo: 1}}"),
            ("a", "{metadata: {name: web}, spec: {foo: 1, template: {spec: {containers: [{nme: x}]}}}}"),
            ("a", "{metadata: {name: web}, spec: {template: {spec: {containers: [{image: x}]}}}}"),
            ("a", "{metadata: {name: web}, spec: {template: {spec: {containers: [{name: x}, {name: x}]}}}}"),
            ("a", "{metadata: {name: web, managedFields: []}}"),
            ("a", "metadata: {name: web}\nspec: {}\nspec: {}\n"),
            ("a", "{spec: {replicas: x}}"),
            ("a", "a: b: c"),
        ],
        expect![[r#"
            -- a
            500 failed to create typed patch object (ns/web; apps/v1, Kind=Deployment): .spec.foo: field not declared in schema
            -- a
            500 failed to create typed patch object (/web; apps/v1, Kind=Deployment): errors:
              .spec.foo: field not declared in schema
              .spec.template.spec.containers[0].nme: field not declared in schema
            -- a
            500 failed to create typed patch object (/web; apps/v1, Kind=Deployment): .spec.template.spec.containers: element 0: associative list with keys has an element that omits key field "name" (and doesn't have default value)
            -- a
            500 failed to create typed patch object (/web; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name="x"]
            -- a
            400 metadata.managedFields must be nil
            -- a
            400 error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:
              line 5: key "spec" already set in map
            -- a
            500 failed to create typed patch object (/; apps/v1, Kind=Deployment): .spec.replicas: expected numeric (int or float), got string
            -- a
            400 error decoding YAML: error converting YAML to JSON: yaml: line 3: mapping values are not allowed in this context
        "#]],
    );
}

#[test]
fn an_untracked_object_had_its_fields_before() {
    let gvk = Gvk::new("apps", "v1", "Deployment");
    let writer = Writer {
        manager: "a",
        api_version: "apps/v1",
        subresource: "",
        ignored: &[],
        now: Timestamp::UNIX_EPOCH,
    };
    let live = Deployment::from_json(br#"{"metadata":{"name":"web"},"spec":{"replicas":3}}"#).unwrap();
    let status = run(&gvk, Some(&live), b"spec: {replicas: 4}", &writer, false).unwrap_err();
    expect![[
        r#"Apply failed with 1 conflict: conflict with "before-first-apply" using apps/v1: .spec.replicas"#
    ]]
    .assert_eq(&status.message);
}

fn any_config() -> impl Strategy<Value = String> {
    let labels = proptest::collection::btree_map("[a-c]", "[0-9]", 1..3);
    let names = (Just(["a", "b", "c"]).prop_shuffle(), 1..3usize);
    let images = proptest::collection::vec(proptest::option::of("[xy]"), 3);
    (labels, names, images, proptest::option::of(0..3i64)).prop_map(
        |(labels, (names, count), images, replicas)| {
            let containers: Vec<_> = std::iter::zip(names, images)
                .take(count)
                .map(|(name, image)| match image {
                    Some(image) => serde_json::json!({"name": name, "image": image}),
                    None => serde_json::json!({"name": name}),
                })
                .collect();
            let mut config = serde_json::json!({
                "metadata": {"name": "web", "labels": labels},
                "spec": {"template": {"spec": {"containers": containers}}},
            });
            if let Some(replicas) = replicas {
                config["spec"]["replicas"] = replicas.into();
            }
            config.to_string()
        },
    )
}

/// The Deployment after a forced apply.
fn applied(live: Option<&Deployment>, manager: &str, config: &str) -> Deployment {
    let gvk = Gvk::new("apps", "v1", "Deployment");
    let now = Timestamp::UNIX_EPOCH;
    let writer = Writer { manager, api_version: "apps/v1", subresource: "", ignored: &[], now };
    let live = live.map(|object| object as &dyn AnyObject);
    Deployment::from_json(&run(&gvk, live, config.as_bytes(), &writer, true).unwrap()).unwrap()
}

fn container_names(object: &str) -> Vec<String> {
    let object: serde_json::Value = serde_json::from_str(object).unwrap();
    let containers = object.pointer("/spec/template/spec/containers").and_then(|c| c.as_array());
    containers.into_iter().flatten().filter_map(|c| Some(c["name"].as_str()?.to_owned())).collect()
}

/// What each manager owns, without managers that own nothing.
fn owned(object: &Deployment) -> std::collections::BTreeMap<String, FieldSet> {
    let entries = entries(object.metadata.managed_fields.as_deref().unwrap_or_default()).unwrap();
    entries.into_iter().map(|e| (e.manager, e.fields)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// After a forced apply the object has what was applied, and what no applier wants is gone.
    #[test]
    fn appliers_get_what_they_ask_for(configs in proptest::collection::vec((0..2usize, any_config()), 1..6)) {
        let gvk = Gvk::new("apps", "v1", "Deployment");
        let schema = crate::schema::of_kind(&gvk).unwrap();
        let mut live: Option<Deployment> = None;
        let mut last = ["{}".to_owned(), "{}".to_owned()];
        for (who, config) in configs {
            let writer = Writer {
                manager: ["a", "b"][who], api_version: "apps/v1", subresource: "", ignored: &[], now: Timestamp::UNIX_EPOCH,
            };
            let object = live.as_ref().map(|o| o as &dyn AnyObject);
            let json = run(&gvk, object, config.as_bytes(), &writer, true).unwrap();
            live = Some(Deployment::from_json(&json).unwrap());
            last[who] = config;
            let mut bare = live.clone().unwrap();
            let entries = entries(&bare.metadata.managed_fields.take().unwrap()).unwrap();
            let mut all = FieldSet::new();
            for config in &last {
                all = all.union(&managed::set_of(Raw::new(config), schema));
            }
            let json = String::from_utf8(bare.to_json()).unwrap();
            let has = managed::set_of(Raw::new(&json), schema);
            let applied = managed::set_of(Raw::new(&last[who]), schema);
            prop_assert!(applied.difference(&has).leaves().paths().is_empty(), "{:?}", applied.difference(&has));
            // Every field of the object is one that somebody applied (or names it).
            let mut named = FieldSet::new();
            for name in ["apiVersion", "kind"] {
                named.insert(&[apimachinery::fieldset::Element::field(name)]);
            }
            for path in has.difference(&named).difference(&all).leaves().paths() {
                let text: String = path.iter().map(|e| e.to_string()).collect();
                // Structs that Go and k8s-openapi never leave out.
                prop_assert!([".spec.selector", ".spec.template"].contains(&&*text), "{} in {}", text, json);
            }
            prop_assert!(entries.len() <= 2);
        }
    }

    /// The same again changes nothing, and elements come in the order of who applied last.
    #[test]
    fn twice_is_once_and_order_is_the_last_ones(first in any_config(), second in any_config()) {
        let one = applied(None, "a", &first);
        let two = applied(Some(&one), "b", &second);
        prop_assert_eq!(&applied(Some(&two), "b", &second), &two);
        let wanted = container_names(&second);
        let mut there = container_names(&String::from_utf8(two.to_json()).unwrap());
        there.retain(|name| wanted.contains(name));
        prop_assert_eq!(there, wanted);
    }

    /// Who wants nothing any more gives up what is his, and nothing of anybody else's goes.
    #[test]
    fn who_applies_nothing_releases_all(first in any_config(), second in any_config()) {
        let both = applied(Some(&applied(None, "a", &first)), "b", &second);
        let left = applied(Some(&both), "b", r#"{"metadata": {"name": "web"}}"#);
        let (before, after) = (owned(&both), owned(&left));
        prop_assert!(!after.contains_key("b"), "{after:?}");
        prop_assert_eq!(before.get("a"), after.get("a"));
        let schema = crate::schema::of_kind(&Gvk::new("apps", "v1", "Deployment")).unwrap();
        let mut bare = left.clone();
        bare.metadata.managed_fields = None;
        let has = managed::set_of(Raw::new(&String::from_utf8(bare.to_json()).unwrap()), schema);
        if let Some(own) = after.get("a") {
            let lost = own.leaves().difference(&has);
            prop_assert!(lost.is_empty(), "{lost:?}");
        }
    }
}
