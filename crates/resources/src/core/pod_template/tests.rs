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

const TEMPLATE: &str = r#"{"metadata": {"name": "t", "namespace": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}"#;

#[test]
fn rules() {
    crate::testing::check_create(
        &Strategy,
        TEMPLATE,
        r#"
        template.spec.containers[0].name = "A"

        template.spec.containers = []

        template.metadata.labels."a b" = "c"
        "#,
        expect_test::expect![[r#"
            template.spec.containers[0].name = "A"
                template.spec.containers[0].name: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
            template.spec.containers = []
                template.spec.containers: Required value
            template.metadata.labels."a b" = "c"
                template.labels: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
        "#]],
    );
}

#[test]
fn changes_count() {
    use crate::Strategy as _;
    let old = crate::testing::object(&Strategy, TEMPLATE, "metadata.generation = 3");
    for (edit, generation) in [(r#"metadata.labels.x = "y""#, 3), (r#"template.metadata.labels.x = "y""#, 4)]
    {
        let mut new = crate::testing::object(&Strategy, TEMPLATE, edit);
        Strategy.prepare_update(&mut new, &old, crate::strategy::Part::Main);
        assert_eq!(new.metadata.generation, Some(generation), "{edit}");
    }
}

#[test]
fn columns() {
    crate::testing::check_rows(
        &Strategy,
        TEMPLATE,
        "",
        expect_test::expect![[r#"
        NAME  CONTAINERS  IMAGES  POD LABELS
        t  c  i  app=a
    "#]],
    );
}
