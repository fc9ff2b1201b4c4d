use expect_test::{Expect, expect};
use serde_json::json;

use super::JsonPath;

/// A template a line; what it prints, or why not.
fn check(templates: &str, expected: Expect) {
    let object = json!({
        "kind": "List",
        "items": [
            {"metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "x"}}, "n": 1, "ports": [80, 443]},
            {"metadata": {"name": "b"}, "n": 2, "ports": []},
        ],
    });
    let mut out = String::new();
    for template in templates.lines().map(str::trim).filter(|t| !t.is_empty()) {
        let said = match JsonPath::parse(template).and_then(|p| p.render(&object)) {
            Ok(text) => text,
            Err(e) => format!("error: {e}"),
        };
        out.push_str(&format!("{template}  =>  {said:?}\n"));
    }
    expected.assert_eq(&out);
}

#[test]
fn paths() {
    check(
        r#"
        kind is {.kind}
        {.items[*].metadata.name}
        {.items[0].metadata.labels.app\.kubernetes\.io/name}
        {.items[0]['metadata']['name']}
        {.items[-1].metadata.name}
        {.items[?(@.n > 1)].metadata.name}
        {.items[?(@.metadata.name=="a")].ports[1]}
        {..name}
        {range .items[*]}{.metadata.name}{"\t"}{.n}{"\n"}{end}
        {.items[0].ports[0,1]}
        {.items[0:2].n}
        {.items[0].ports}
        {.nothing}
        {.items[7]}
        {.kind
        {end}
        "#,
        expect![[r#"
            kind is {.kind}  =>  "kind is List"
            {.items[*].metadata.name}  =>  "a b"
            {.items[0].metadata.labels.app\.kubernetes\.io/name}  =>  "x"
            {.items[0]['metadata']['name']}  =>  "a"
            {.items[-1].metadata.name}  =>  "b"
            {.items[?(@.n > 1)].metadata.name}  =>  "b"
            {.items[?(@.metadata.name=="a")].ports[1]}  =>  "443"
            {..name}  =>  "a b"
            {range .items[*]}{.metadata.name}{"\t"}{.n}{"\n"}{end}  =>  "a\t1\nb\t2\n"
            {.items[0].ports[0,1]}  =>  "80 443"
            {.items[0:2].n}  =>  "1 2"
            {.items[0].ports}  =>  "[80,443]"
            {.nothing}  =>  "error: nothing is not found"
            {.items[7]}  =>  "error: array index out of bounds: index 7, length 2"
            {.kind  =>  "error: unclosed action"
            {end}  =>  "error: not in range, nothing to end"
        "#]],
    );
}
