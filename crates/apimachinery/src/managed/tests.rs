use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::schema::{Keys, List, Patch, Shape};

/// A small type: `items` is a list of maps by name, `tags` a set, `atom` an atomic map; all else is unknown.
#[derive(Clone, Copy)]
enum Toy {
    Root,
    Items,
    Item,
    Tags,
    Atom,
    Other,
}

impl Schema<'static> for Toy {
    fn shape(self) -> Shape<'static> {
        match self {
            Toy::Root | Toy::Item => Shape::Struct { atomic: false },
            Toy::Items => Shape::List(List::Map(Keys::Table(&["name"]))),
            Toy::Tags => Shape::List(List::Set),
            Toy::Atom => Shape::Map { atomic: true },
            Toy::Other => Shape::Unknown,
        }
    }

    fn field(self, name: &str) -> Option<Self> {
        Some(match (self, name) {
            (Toy::Root, "items") => Toy::Items,
            (Toy::Root, "tags") => Toy::Tags,
            (Toy::Root, "atom") => Toy::Atom,
            _ => Toy::Other,
        })
    }

    fn element(self) -> Self {
        match self {
            Toy::Items => Toy::Item,
            _ => Toy::Other,
        }
    }

    fn patch(self) -> Patch<'static> {
        Patch::default()
    }

    fn key_default(self, _: &str) -> Option<&'static str> {
        None
    }
}

fn check(live: &str, new: &str, expected: Expect) {
    let c = compare(Raw::new(live), Raw::new(new), Toy::Root);
    let out = format!(
        "added {}\nmodified {}\nremoved {}\n",
        c.added.to_json(),
        c.modified.to_json(),
        c.removed.to_json()
    );
    expected.assert_eq(&out);
}

#[test]
fn comparisons() {
    check(
        r#"{"items":[{"name":"a","x":1},{"name":"b"}],"tags":["p","q"],"atom":{"k":1},"m":{"x":1,"y":2}}"#,
        r#"{"items":[{"name":"c","x":3},{"name":"a","x":2}],"tags":["q","r"],"atom":{"k":2},"m":{"y":2,"z":{}}}"#,
        expect![[r#"
            added {"f:items":{"k:{\"name\":\"c\"}":{".":{},"f:name":{},"f:x":{}}},"f:m":{"f:z":{}},"f:tags":{"v:\"r\"":{}}}
            modified {"f:atom":{},"f:items":{"k:{\"name\":\"a\"}":{"f:x":{}}}}
            removed {"f:items":{"k:{\"name\":\"b\"}":{".":{},"f:name":{}}},"f:m":{"f:x":{}},"f:tags":{"v:\"p\"":{}}}
        "#]],
    );
    check(
        "{}",
        r#"{"m":{"a":{"b":1}},"l":[1],"n":null,"e":{},"tags":[]}"#,
        expect![[r#"
        added {"f:e":{},"f:l":{},"f:m":{".":{},"f:a":{".":{},"f:b":{}}},"f:n":{},"f:tags":{}}
        modified {}
        removed {}
    "#]],
    );
    check(
        r#"{"m":{"a":1}}"#,
        r#"{"m":7}"#,
        expect![[r#"
        added {}
        modified {"f:m":{}}
        removed {}
    "#]],
    );
    check(
        r#"{"m":[1]}"#,
        r#"{"m":{"a":1}}"#,
        expect![[r#"
        added {"f:m":{"f:a":{}}}
        modified {"f:m":{}}
        removed {}
    "#]],
    );
    check(
        r#"{"items":[{"name":"a"},{"name":"a","x":1}]}"#,
        r#"{"items":[{"name":"a"}]}"#,
        expect![[r#"
        added {}
        modified {"f:items":{"k:{\"name\":\"a\"}":{}}}
        removed {}
    "#]],
    );
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn writer(manager: &'static str, second: i64) -> Writer<'static> {
    Writer { manager, api_version: "v1", subresource: "", ignored: &["status"], now: at(second) }
}

fn shown(entries: &[Entry]) -> String {
    entries
        .iter()
        .map(|e| {
            let time = e.time.map_or(0, |t| t.as_second());
            format!("{} {} @{time} {}\n", e.manager, e.operation.as_str(), e.fields.to_json())
        })
        .collect()
}

#[test]
fn updates() {
    let states = [
        ("{}", "nobody", 0),
        (r#"{"kind":"K","metadata":{"name":"n","uid":"u","labels":{"a":"1"}},"x":1,"y":1}"#, "alice", 1),
        (
            r#"{"kind":"K","metadata":{"name":"n","uid":"u","labels":{"a":"1","b":"1"}},"x":2,"y":1}"#,
            "bob",
            2,
        ),
        (r#"{"kind":"K","metadata":{"name":"n","uid":"v","labels":{"b":"1"}},"x":2,"y":1}"#, "carol", 3),
        (
            r#"{"kind":"K","metadata":{"name":"n","uid":"v","labels":{"b":"1"}},"x":2,"y":1,"status":{"z":1}}"#,
            "dan",
            4,
        ),
        (r#"{"kind":"K","metadata":{"name":"n","uid":"v"},"x":2,"y":3,"status":{"z":1}}"#, "alice", 5),
    ];
    let mut entries = Vec::new();
    let mut out = String::new();
    for pair in states.windows(2) {
        let (live, (new, who, when)) = (pair[0].0, pair[1]);
        entries = update(entries, Raw::new(live), Raw::new(new), Toy::Root, &writer(who, when), &nowhere);
        out.push_str(&format!("-- {who}\n{}", shown(&entries)));
    }
    expect![[r#"
        -- alice
        alice Update @1 {"f:metadata":{"f:labels":{".":{},"f:a":{}}},"f:x":{},"f:y":{}}
        -- bob
        alice Update @1 {"f:metadata":{"f:labels":{".":{},"f:a":{}}},"f:y":{}}
        bob Update @2 {"f:metadata":{"f:labels":{"f:b":{}}},"f:x":{}}
        -- carol
        alice Update @1 {"f:metadata":{"f:labels":{}},"f:y":{}}
        bob Update @2 {"f:metadata":{"f:labels":{"f:b":{}}},"f:x":{}}
        -- dan
        alice Update @1 {"f:metadata":{"f:labels":{}},"f:y":{}}
        bob Update @2 {"f:metadata":{"f:labels":{"f:b":{}}},"f:x":{}}
        -- alice
        bob Update @2 {"f:x":{}}
        alice Update @5 {"f:y":{}}
    "#]]
    .assert_eq(&out);
}

#[test]
fn old_managers_are_folded() {
    let mut entries = Vec::new();
    let mut live = "{}".to_owned();
    for n in 0..14 {
        let fields: Vec<String> = (0..=n).map(|i| format!("\"f{i}\":1")).collect();
        let new = format!("{{{}}}", fields.join(","));
        let name: &'static str =
            ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9", "ma", "mb", "mc", "md"][n];
        entries = update(
            entries,
            Raw::new(&live),
            Raw::new(&new),
            Toy::Root,
            &writer(name, n as i64 + 1),
            &nowhere,
        );
        live = new;
    }
    expect![[r#"
        ancient-changes Update @5 {"f:f0":{},"f:f1":{},"f:f2":{},"f:f3":{},"f:f4":{}}
        m5 Update @6 {"f:f5":{}}
        m6 Update @7 {"f:f6":{}}
        m7 Update @8 {"f:f7":{}}
        m8 Update @9 {"f:f8":{}}
        m9 Update @10 {"f:f9":{}}
        ma Update @11 {"f:f10":{}}
        mb Update @12 {"f:f11":{}}
        mc Update @13 {"f:f12":{}}
        md Update @14 {"f:f13":{}}
    "#]]
    .assert_eq(&shown(&entries));
}

fn any_object() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::json!(null)),
        (0..3i64).prop_map(Into::into),
        "[ab]".prop_map(Into::into)
    ];
    let unknown = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(serde_json::Value::from),
            proptest::collection::btree_map("[xyz]", inner, 0..3)
                .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
        ]
    });
    let items = proptest::collection::btree_map("[a-c]", unknown.clone(), 0..3);
    let tags = proptest::collection::btree_set("[a-c]", 0..3);
    (items, tags, unknown).prop_map(|(items, tags, m)| {
        let items: Vec<_> =
            items.into_iter().map(|(name, x)| serde_json::json!({"name": name, "x": x})).collect();
        serde_json::json!({"items": items, "tags": tags, "m": m, "atom": {"k": tags.len()}})
    })
}

proptest! {
    /// Whoever writes, the fields of the object are owned by somebody, each leaf by one.
    #[test]
    fn every_leaf_has_one_owner(states in proptest::collection::vec(any_object(), 1..5)) {
        let names = ["alice", "bob", "carol"];
        let mut entries = Vec::new();
        let mut live = "{}".to_owned();
        for (n, state) in states.iter().enumerate() {
            let new = state.to_string();
            entries = update(entries, Raw::new(&live), Raw::new(&new), Toy::Root, &writer(names[n % 3], n as i64), &nowhere);
            live = new;
        }
        let all = set_of(Raw::new(&live), Toy::Root);
        for path in all.leaves().paths() {
            let owners = entries.iter().filter(|e| e.fields.contains(&path)).count();
            prop_assert_eq!(owners, 1, "{:?} in {}", path, live);
        }
    }

    #[test]
    fn a_comparison_with_itself_is_empty_and_turns_around(a in any_object(), b in any_object()) {
        let (a, b) = (a.to_string(), b.to_string());
        prop_assert_eq!(compare(Raw::new(&a), Raw::new(&a), Toy::Root), Comparison::default());
        let there = compare(Raw::new(&a), Raw::new(&b), Toy::Root);
        let back = compare(Raw::new(&b), Raw::new(&a), Toy::Root);
        prop_assert_eq!(there.modified.leaves(), back.modified.leaves());
    }
}
