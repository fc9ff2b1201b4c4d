use std::os::unix::fs::PermissionsExt;

use super::*;

#[track_caller]
fn check(text: &str, good: bool) {
    let parsed = Token::parse(text);
    assert_eq!(parsed.is_ok(), good, "{text:?}");
    if let Err(error) = parsed {
        assert!(text.len() < 3 || !format!("{error:#}").contains(text), "the error tells the secret");
    }
}

#[test]
fn only_bootstrap_tokens_are_tokens() {
    check("abcdef.0123456789abcdef", true);
    check(" abcdef.0123456789abcdef\n", true);
    check("abcdef.0123456789ABCDEF", false);
    check("abcde.0123456789abcdef", false);
    check("abcdef-0123456789abcdef", false);
    check("secret", false);
    check("", false);
}

#[test]
fn a_token_is_made_kept_and_replaced() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(FILE);
    let made = load_or_create(dir.path(), None).expect("made");
    assert!(Token::parse(&made.token.text()).is_ok() && made.replaced.is_none());
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(load_or_create(dir.path(), None).expect("kept").token, made.token);

    let given = load_or_create(dir.path(), Some("abcdef.0123456789abcdef")).expect("given");
    assert_eq!(given.token.text(), "abcdef.0123456789abcdef");
    assert_eq!(given.replaced, Some(made.token));
    // Another secret under the same id is written over, not removed.
    let changed = load_or_create(dir.path(), Some("abcdef.ffffffffffffffff")).expect("changed");
    assert_eq!(changed.replaced, None);
    assert_eq!(std::fs::read_to_string(&path).expect("read"), "abcdef.ffffffffffffffff\n");

    std::fs::write(&path, "nonsense").expect("write");
    let error = load_or_create(dir.path(), None).err().map(|e| format!("{e:#}")).unwrap_or_default();
    assert!(error.contains("holds no token"), "{error}");
}

#[test]
fn generated_tokens_differ() {
    assert_ne!(Token::generate(), Token::generate());
}
