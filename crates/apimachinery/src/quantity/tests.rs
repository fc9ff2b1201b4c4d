use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn check(inputs: &str, expected: Expect) {
    let mut out = String::new();
    for text in inputs.split_whitespace() {
        let line = match Quantity::parse(text) {
            Ok(q) => format!("{text} → {q} value={} milli={}\n", q.value(), q.milli_value()),
            Err(e) => format!("{text} → {e}\n"),
        };
        out.push_str(&line);
    }
    expected.assert_eq(&out);
}

#[test]
fn canonical_forms() {
    check(
        "0 1 0.5 1000m 1500m 1.5 100k 1000k 1e3 12E6 1.5e3 1e-3 1024 1024Ki 1Mi 1.5Gi 0.5Ki 1023Ki 0.1Mi +7 -3m",
        expect![[r#"
            0 → 0 value=0 milli=0
            1 → 1 value=1 milli=1000
            0.5 → 500m value=1 milli=500
            1000m → 1 value=1 milli=1000
            1500m → 1500m value=2 milli=1500
            1.5 → 1500m value=2 milli=1500
            100k → 100k value=100000 milli=100000000
            1000k → 1M value=1000000 milli=1000000000
            1e3 → 1e3 value=1000 milli=1000000
            12E6 → 12e6 value=12000000 milli=12000000000
            1.5e3 → 1500 value=1500 milli=1500000
            1e-3 → 1e-3 value=1 milli=1
            1024 → 1024 value=1024 milli=1024000
            1024Ki → 1Mi value=1048576 milli=1048576000
            1Mi → 1Mi value=1048576 milli=1048576000
            1.5Gi → 1536Mi value=1610612736 milli=1610612736000
            0.5Ki → 512 value=512 milli=512000
            1023Ki → 1023Ki value=1047552 milli=1047552000
            0.1Mi → 104857600m value=104858 milli=104857600
            +7 → 7 value=7 milli=7000
            -3m → -3m value=-1 milli=-3
        "#]],
    );
}

#[test]
fn limits() {
    check(
        "1n 0.1n 1.1n -0.1n 9Ei 100Ei 9223372036854775807 9223372036854775808 1E 1000E 1e100 1e-100 \
         123456789012345678901234567890123456789012345",
        expect![[r#"
            1n → 1n value=1 milli=1
            0.1n → 1n value=1 milli=1
            1.1n → 2n value=1 milli=1
            -0.1n → -1n value=-1 milli=-1
            9Ei → 9223372036854775807 value=9223372036854775807 milli=9223372036854775807
            100Ei → 9223372036854775807 value=9223372036854775807 milli=9223372036854775807
            9223372036854775807 → 9223372036854775807 value=9223372036854775807 milli=9223372036854775807
            9223372036854775808 → 9223372036854775808 value=9223372036854775807 milli=9223372036854775807
            1E → 1E value=1000000000000000000 milli=9223372036854775807
            1000E → 1e21 value=9223372036854775807 milli=9223372036854775807
            1e100 → 10e99 value=9223372036854775807 milli=9223372036854775807
            1e-100 → 1e-9 value=1 milli=1
            123456789012345678901234567890123456789012345 → 123456789012345678901234567890123456790M value=9223372036854775807 milli=9223372036854775807
        "#]],
    );
}

#[test]
fn refusals() {
    check(
        "abc 1x 1mm 1kib 1.2.3 1e 1e1.5 --1 1e99999999999",
        expect![[r#"
            abc → quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
            1x → quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
            1mm → unable to parse quantity's suffix
            1kib → quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
            1.2.3 → quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
            1e → unable to parse quantity's suffix
            1e1.5 → quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
            --1 → unable to parse quantity's suffix
            1e99999999999 → unable to parse quantity's suffix
        "#]],
    );
    assert_eq!(Quantity::parse(""), Err(ParseError::Format));
    assert_eq!(Quantity::parse(" 1"), Err(ParseError::Format));
}

#[test]
fn a_zero_takes_the_others_format() {
    let mi: Quantity = "1Mi".parse().unwrap();
    assert_eq!((Quantity::ZERO + mi).to_string(), "1Mi");
    assert_eq!((mi - mi).to_string(), "0");
    assert_eq!((mi - "1".parse().unwrap()).to_string(), "1048575");
}

#[test]
fn json() {
    let parsed: Vec<Quantity> = serde_json::from_str(r#"["1.5", 2, 0.25, null, " 3Ki "]"#).unwrap();
    assert_eq!(serde_json::to_string(&parsed).unwrap(), r#"["1500m","2","250m","0","3Ki"]"#);
}

fn quantity_text() -> impl Strategy<Value = String> {
    let suffix = prop_oneof![
        proptest::sample::select(DECIMAL.map(|(s, _)| s).to_vec()),
        proptest::sample::select(BINARY.to_vec()),
        proptest::sample::select(vec!["e3", "E-6", "e12"]),
    ];
    ("[+-]?[0-9]{1,12}(\\.[0-9]{0,6})?", suffix).prop_map(|(n, s)| format!("{n}{s}"))
}

proptest! {
    #[test]
    fn printing_keeps_the_number(text in quantity_text()) {
        let q = Quantity::parse(&text).unwrap();
        let again = Quantity::parse(&q.to_string()).unwrap();
        prop_assert_eq!(q, again);
        // 187.5Ki is 192000, as no whole number of Ki; read again, that is decimal: 192k.
        if q.format() == again.format() {
            prop_assert_eq!(q.to_string(), again.to_string());
        }
    }

    #[test]
    fn sums_and_order_agree(a in quantity_text(), b in quantity_text()) {
        let (a, b) = (Quantity::parse(&a).unwrap(), Quantity::parse(&b).unwrap());
        // More than 38 digits apart, the smaller one does not show in a sum.
        prop_assume!(a.is_zero() || b.is_zero() || (a + b != a && a + b != b));
        prop_assert_eq!(a + b - b, a);
        prop_assert_eq!((a - b).signum() < 0, a < b);
        prop_assert!(a.signum() < 0 || a.round_up(0) >= a);
    }

    #[test]
    fn never_panics(text in "[-+.0-9eEinumkKMGTP]{0,50}|.{0,20}") {
        if let Ok(q) = Quantity::parse(&text) {
            let _ = (q.to_string(), q.value(), q.milli_value(), q + q, q.round_up(-3), q.exact_value());
        }
    }
}
