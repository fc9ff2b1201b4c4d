use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn check_read(yaml: &str, expected: Expect) {
    let out = match to_json_strict(yaml.as_bytes()) {
        Ok((json, repeated)) => format!("{json} {}", repeated.join(" | ")),
        Err(e) => e,
    };
    expected.assert_eq(&out);
}

#[test]
fn reading() {
    check_read(
        "a: yes\nb: 0644\nc: 1.0\nd: ~\ne: 'x'\nf: 1e3\ng: 12:30\nh: off\ni: \"yes\"\nj: 0x1F\n",
        expect![[
            r#"{"a":true,"b":420,"c":1,"d":null,"e":"x","f":1000,"g":"12:30","h":false,"i":"yes","j":31} "#
        ]],
    );
    check_read(
        "mode: 0o644\nt: 2026-01-01\nl: [1, two]\n8080: x\nn: null\nbig: 12345678901234567890\n",
        expect![[
            r#"{"8080":"x","big":12345678901234567890,"l":[1,"two"],"mode":420,"n":null,"t":"2026-01-01"} "#
        ]],
    );
    check_read(
        "base: &b {x: 1}\nuse:\n  <<: *b\n  y: 2\n",
        expect![[r#"{"base":{"x":1},"use":{"x":1,"y":2}} "#]],
    );
    check_read("{\"json\": [true, 1.5]}", expect![[r#"{"json":[true,1.5]} "#]]);
    check_read("", expect!["null "]);
}

#[test]
fn bad_documents() {
    check_read(
        "a: 1\nb: 2\na: 3\n",
        expect![[r#"
        {"a":3,"b":2} yaml: unmarshal errors:
          line 3: key "a" already set in map"#]],
    );
    check_read("a: b: c\n", expect!["yaml: line 1: mapping values are not allowed in this context"]);
    check_read("a: 1\n---\nb: 2\n", expect!["yaml: more than one document"]);
    check_read("a: [1\n", expect!["yaml: line 1: unclosed bracket '['"]);
    check_read("\ta: 1\n", expect![[r#"{"a":1} "#]]);
    check_read(
        &format!("{}1{}", "[".repeat(5000), "]".repeat(5000)),
        expect!["yaml: line 1: recursion limit exceeded"],
    );
    check_read(
        "a: &a [x,x]\nb: &b [*a,*a,*a]\nc: *nope\n",
        expect!["yaml: line 3: alias references unknown anchor"],
    );
}

fn check_write(value: Value, expected: Expect) {
    let out = from_value(&value);
    assert_eq!(to_value(out.as_bytes()).as_ref(), Ok(&value), "{out}");
    expected.assert_eq(&out);
}

#[test]
fn writing() {
    check_write(
        json!({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"a": "true", "b": "1", "c": ""}},
            "spec": {"containers": [{"name": "c", "args": ["-c", "a: b", "#x", "x #y", "*"], "ports": []}], "x": {}},
            "n": null, "f": 1.5, "list": [[1, 2], [{"a": 1, "b": 2}]],
        }),
        expect![[r#"
            apiVersion: v1
            f: 1.5
            kind: Pod
            list:
            - - 1
              - 2
            - - a: 1
                b: 2
            metadata:
              creationTimestamp: "2026-01-01T00:00:00Z"
              labels:
                a: "true"
                b: "1"
                c: ""
            "n": null
            spec:
              containers:
              - args:
                - -c
                - 'a: b'
                - '#x'
                - 'x #y'
                - '*'
                name: c
                ports: []
              x: {}
        "#]],
    );
    check_write(
        json!({
            "script": "a\nb\n", "chomped": "a\n  b", "kept": "a\n\n", "tabs": "a\tb\nc", "lead": "  x\ny",
            "space": " x", "quote": "it's", "both": "it's: \"x\"", "nl": "\n", "on": "on", "num": "0x1f",
            "time": "12:30", "dash": "- x", "one-dash": "-", "uni": "ä✓", "bell": "\u{7}", "date": "2026-01-02",
            "x10": 1, "x9": 2, "X": 3, "x-1": "~", "dots": "...", "percent": "50%", "at": "@x", "trail": "a \nb",
        }),
        expect![[r#"
            X: 3
            at: '@x'
            bell: "\a"
            both: 'it''s: "x"'
            chomped: |-
              a
                b
            dash: '- x'
            date: "2026-01-02"
            dots: '...'
            kept: |+
              a

            lead: |2-
                x
              y
            nl: |2+

            num: "0x1f"
            "on": "on"
            one-dash: '-'
            percent: 50%
            quote: it's
            script: |
              a
              b
            space: ' x'
            tabs: "a\tb\nc"
            time: "12:30"
            trail: "a \nb"
            uni: ä✓
            x-1: "~"
            x9: 2
            x10: 1
        "#]],
    );
    check_write(
        json!([]),
        expect![[r#"
        []
    "#]],
    );
    check_write(
        json!("a\nb"),
        expect![[r#"
        |-
          a
          b
    "#]],
    );
}

#[test]
fn documents_of_a_stream() {
    let stream = "# only a comment\n---\na: 1\n--- # second\nb: |\n  --- no\n---\n\n--- {c: 3}\n";
    let values: Vec<Value> = documents(stream).iter().map(|d| to_value(d.as_bytes()).unwrap()).collect();
    assert_eq!(values, [json!({"a": 1}), json!({"b": "--- no\n"}), json!({"c": 3})]);
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[ -~]{0,12}", "[a-z:#\\- \n\t'\"]{0,10}", "\\PC{0,6}", "[0-9._+:eE\\-x]{0,6}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 30, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(text.clone(), inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(value in any_json()) {
        let yaml = from_value(&value);
        prop_assert_eq!(to_value(yaml.as_bytes()), Ok(value), "{}", yaml);
    }

    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40), text in "[a-z:\\-\\[\\]{}&*!|> \n'\"]{0,40}") {
        let _ = (to_json_strict(&bytes), to_json_strict(text.as_bytes()), documents(&text));
    }
}
