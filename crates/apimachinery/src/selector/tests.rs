use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn check(inputs: &[&str], expected: Expect) {
    let mut out = String::new();
    for text in inputs {
        let line = match Selector::parse(text) {
            Ok(s) => format!("{text:?} → {s}\n"),
            Err(e) => format!("{text:?} ✗ {e}\n"),
        };
        out.push_str(&line);
    }
    expected.assert_eq(&out);
}

#[test]
fn syntax() {
    check(
        &[
            "",
            "a=b,c!=d,e in (x,y),!f,g>1,h",
            " x in (foo,,baz),y,z notin () ",
            "a==b",
            "in in (in,notin)",
            "a=,b",
            "a in (,)",
            "n<-5",
            "app.kubernetes.io/name = web",
        ],
        expect![[r#"
            "" → 
            "a=b,c!=d,e in (x,y),!f,g>1,h" → a=b,c!=d,e in (x,y),!f,g>1,h
            " x in (foo,,baz),y,z notin () " → x in (,baz,foo),y,z notin ()
            "a==b" → a==b
            "in in (in,notin)" → in in (in,notin)
            "a=,b" → a=,b
            "a in (,)" → a in ()
            "n<-5" ✗ unable to parse requirement: values[0][n]: Invalid value: "-5": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
            "app.kubernetes.io/name = web" → app.kubernetes.io/name=web
        "#]],
    );
}

#[test]
fn errors() {
    check(
        &[
            "a,",
            "=",
            ",a",
            "a b",
            "a=b c",
            "!=x",
            "a in x",
            "a in (x",
            "a in (x y)",
            "a in (=)",
            "a>x",
            "!a=b",
            "a===b",
            "_a",
            "a=-b",
            "x/y/z",
            "a=(b)",
            "!",
        ],
        expect![[r#"
            "a," ✗ found '', expected: identifier after ','
            "=" ✗ found '=', expected: !, identifier, or 'end of string'
            ",a" ✗ found ',', expected: !, identifier, or 'end of string'
            "a b" ✗ unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt
            "a=b c" ✗ found 'c', expected: ',' or 'end of string'
            "!=x" ✗ found '!=', expected: !, identifier, or 'end of string'
            "a in x" ✗ unable to parse requirement: found 'x' expected: '('
            "a in (x" ✗ unable to parse requirement: found '', expected: ',' or ')'
            "a in (x y)" ✗ unable to parse requirement: found 'y', expected: ',' or ')'
            "a in (=)" ✗ unable to parse requirement: found '=', expected: ',', ')' or identifier
            "a>x" ✗ unable to parse requirement: values[0]: Invalid value: "x": for 'Gt', 'Lt' operators, the value must be an integer
            "!a=b" ✗ found '=', expected: ',' or 'end of string'
            "a===b" ✗ unable to parse requirement: found '=', expected: identifier
            "_a" ✗ unable to parse requirement: <nil>: Invalid value: "_a": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
            "a=-b" ✗ unable to parse requirement: values[0][a]: Invalid value: "-b": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
            "x/y/z" ✗ unable to parse requirement: <nil>: Invalid value: "x/y/z": a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')
            "a=(b)" ✗ unable to parse requirement: found '(', expected: identifier
            "!" ✗ unable to parse requirement: found '', expected: identifier
        "#]],
    );
}

fn labels(text: &str) -> BTreeMap<String, String> {
    text.split_whitespace().filter_map(|p| p.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect()
}

#[test]
fn matching() {
    let cases = [
        ("a=1", "a=1 b=2", true),
        ("a=1", "", false),
        ("a!=1", "", true),
        ("a notin (1,2)", "a=3", true),
        ("a notin (1,2)", "a=2", false),
        ("!a", "b=1", true),
        ("a", "a=", true),
        ("a=", "", false),
        ("n>5", "n=6", true),
        ("n>5", "n=x", false),
        ("n<5", "n=4", true),
        ("n<5", "", false),
    ];
    for (selector, set, wanted) in cases {
        let parsed = Selector::parse(selector).unwrap();
        assert_eq!(parsed.matches(&labels(set)), wanted, "{selector} on {set}");
    }
    assert!(!Selector::nothing().matches(&labels("")));
    assert!(Selector::everything().matches(&None));
}

#[test]
fn label_selectors() {
    let values = vec!["x".to_string()];
    let e = |operator| Expression { key: "k", operator, values: &values };
    let selector = Selector::from_label_selector(&labels("b=2 a=1"), [e("In")]).unwrap();
    assert_eq!(selector.to_string(), "a=1,b=2,k in (x)");
    let error = Selector::from_label_selector(&labels(""), [e("Gt")]).unwrap_err();
    assert_eq!(error, r#""Gt" is not a valid label selector operator"#);
    assert_eq!(selector.requires_exact("k"), Some("x"));
}

#[test]
fn field_selectors() {
    let mut out = String::new();
    for text in
        ["a=b,c!=d", "metadata.name==x", r"a=b\,c\=d\\", "a", "a=b=c", r"a=\x", r"a=\", "", "!=", "a=b,,"]
    {
        let line = match FieldSelector::parse(text) {
            Ok(s) => format!("{text} → {s} {:?}\n", s.requires_exact("a")),
            Err(e) => format!("{text} ✗ {e}\n"),
        };
        out.push_str(&line);
    }
    expect![[r#"
        a=b,c!=d → a=b,c!=d Some("b")
        metadata.name==x → metadata.name=x None
        a=b\,c\=d\\ → a=b\,c\=d\\ Some("b,c=d\\")
        a ✗ invalid selector: 'a'; can't understand 'a'
        a=b=c ✗ invalid field selector: unescaped character in value: 61
        a=\x ✗ invalid field selector: invalid escape sequence: \x
        a=\ ✗ invalid field selector: invalid escape sequence: \
         →  None
        != → != None
        a=b,, → a=b Some("b")
    "#]]
    .assert_eq(&out);
    let selector = FieldSelector::parse("spec.nodeName=,a!=x").unwrap();
    assert!(selector.matches(|_| None));
    assert!(!selector.matches(|_| Some("x")));
}

proptest! {
    #[test]
    fn printing_is_parsing_backwards(
        keys in proptest::collection::vec("[a-z]{1,3}", 0..4),
        values in proptest::collection::vec("[a-z0-9]{0,3}", 1..3),
        pick in 0usize..9,
    ) {
        let operators = [
            Operator::In, Operator::NotIn, Operator::Equals, Operator::DoubleEquals, Operator::NotEquals,
            Operator::Exists, Operator::DoesNotExist, Operator::GreaterThan, Operator::LessThan,
        ];
        let requirements = keys.iter().enumerate().map(|(i, key)| {
            let operator = operators[(pick + i) % 9];
            let mut values = match operator {
                Operator::In | Operator::NotIn => values.clone(),
                Operator::Exists | Operator::DoesNotExist => vec![],
                Operator::GreaterThan | Operator::LessThan => vec!["7".into()],
                _ => values[..1].to_vec(),
            };
            values.sort();
            values.dedup();
            Requirement::new(key, operator, values, &Path::default()).unwrap()
        }).collect();
        let selector = Selector::from_requirements(requirements);
        prop_assert_eq!(Selector::parse(&selector.to_string()).unwrap(), selector);
    }

    #[test]
    fn fields_too(field in "[a-z.]{1,5}", value in ".{0,9}", equals: bool) {
        let selector = FieldSelector::new(vec![FieldRequirement { field, equals, value }]);
        prop_assert_eq!(FieldSelector::parse(&selector.to_string()).unwrap(), selector);
    }

    #[test]
    fn never_panics(text in "[a-z0-9=!(),<> ]{0,30}|.{0,30}|[a-z=\\\\,!]{0,20}") {
        let _ = (Selector::parse(&text), FieldSelector::parse(&text));
    }
}
