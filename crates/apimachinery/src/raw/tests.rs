use proptest::prelude::*;
use serde_json::Value;

use super::*;

#[test]
fn parts_are_slices() {
    let raw = Raw::new(r#" { "a" : [1, "x]\"", {"b":{}}] , "\u0063": null, "d": true } "#);
    let fields: Vec<_> = raw.fields().map(|(k, v)| format!("{k}={}", v.text())).collect();
    assert_eq!(fields, [r#"a=[1, "x]\"", {"b":{}}]"#, "c=null", "d=true"]);
    let items: Vec<_> = raw.get("a").unwrap().items().map(Raw::kind).collect();
    assert_eq!(items, [Kind::Number, Kind::String, Kind::Object]);
    assert_eq!(raw.get("a").unwrap().items().nth(1).unwrap().string().unwrap(), "x]\"");
    assert!(Raw::new("[ ]").is_empty() && !raw.is_empty());
    assert!(Raw::new("{\"a\":1,\"b\":2}").equals(Raw::new("{\"b\":2, \"a\":1}")));
}

proptest! {
    #[test]
    fn reads_what_serde_reads(keys in proptest::collection::vec("[a-c\"\\\\\u{e9}]{0,3}", 0..5), n in any::<i32>()) {
        let map: serde_json::Map<String, Value> =
            keys.iter().map(|k| (k.clone(), serde_json::json!([n, k, {"x": k}]))).collect();
        let text = Value::Object(map.clone()).to_string();
        let read: serde_json::Map<String, Value> =
            Raw::new(&text).fields().map(|(k, v)| (k.into_owned(), v.value())).collect();
        prop_assert_eq!(read, map);
    }

    #[test]
    fn never_panics(text in "[\\[\\]{}:,\"\\\\ a1\u{e9}]{0,30}") {
        fn walk(raw: Raw<'_>, depth: usize) {
            if depth < 40 {
                raw.fields().for_each(|(_, v)| walk(v, depth + 1));
                raw.items().for_each(|v| walk(v, depth + 1));
                let _ = (raw.string(), raw.is_empty(), raw.value());
            }
        }
        walk(Raw::new(&text), 0);
    }
}
