use super::*;

#[test]
fn hashes_are_stable_and_differ() {
    let template = PodTemplateSpec::default();
    let first = hash(&template, None);
    assert_eq!(first, hash(&template, None));
    assert_ne!(first, hash(&template, Some(0)));
    assert_ne!(hash(&template, Some(0)), hash(&template, Some(1)));
    assert!(apimachinery::names::dns1123_label(&first).is_empty(), "{first}");
}

#[test]
fn suffixes() {
    let mut n = 0;
    let suffix = name_suffix(|bound| {
        n += 7;
        n % bound
    });
    assert_eq!(suffix.len(), 5);
    assert!(suffix.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b)));
}
