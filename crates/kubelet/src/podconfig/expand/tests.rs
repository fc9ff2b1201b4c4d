use super::*;

fn known(name: &str) -> Option<String> {
    match name {
        "A" => Some("1".into()),
        "EMPTY" => Some(String::new()),
        "B_C" => Some("$(A)".into()),
        _ => None,
    }
}

#[test]
fn references_are_replaced_once() {
    for (text, expected) in [
        ("plain", "plain"),
        ("$(A)", "1"),
        ("x-$(A)-y", "x-1-y"),
        ("$(A)$(A)", "11"),
        ("$(EMPTY)", ""),
        // What comes out is not expanded again.
        ("$(B_C)", "$(A)"),
        ("$(NO)", "$(NO)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$A", "$A"),
        ("cost: 5$", "cost: 5$"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("$(A))", "1)"),
        ("é$(A)é", "é1é"),
    ] {
        assert_eq!(expand(text, &known), expected, "{text}");
    }
}

#[test]
fn strict_names_the_first_missing() {
    assert_eq!(expand_strict("a/$(A)", &known), Ok("a/1".into()));
    assert_eq!(expand_strict("$(X)/$(Y)", &known), Err("missing value for \"X\"".into()));
    assert_eq!(expand_strict("a/$(EMPTY)", &known), Err("missing value for \"EMPTY\"".into()));
}
