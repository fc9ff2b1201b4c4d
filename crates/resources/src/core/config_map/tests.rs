use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_rows, check_update};

const MAP: &str = r#"{"metadata": {"name": "m", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"}, "data": {"a": "1"}}"#;

#[test]
fn rules() {
    check_create(
        &Strategy,
        MAP,
        r#"
        data."b.c-d_e" = ""

        data."a b" = "x"

        data.".." = "x"

        binaryData.a = "AA=="
        "#,
        expect![[r#"
            data."b.c-d_e" = ""
                fine
            data."a b" = "x"
                data[a b]: Invalid value: "a b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')
            data.".." = "x"
                data[..]: Invalid value: "..": must not be '..'
            binaryData.a = "AA=="
                data[a]: Invalid value: "a": duplicate of key present in binaryData
        "#]],
    );
}

#[test]
fn too_large() {
    let mut map = crate::testing::object(&Strategy, MAP, "");
    map.data.get_or_insert_default().insert("big".into(), "x".repeat(MAX_SIZE));
    let errs = crate::Strategy::validate(&Strategy, &map);
    expect![[r#"
            []: Too long: may not be more than 1048576 bytes
    "#]]
    .assert_eq(&crate::testing::causes(&errs));
}

#[test]
fn sealed() {
    let sealed = MAP.replace(r#""data""#, r#""immutable": true, "data""#);
    check_update(
        &Strategy,
        &sealed,
        r#"
        metadata.labels.a = "b"

        data.a = "2"
        - immutable

        binaryData.b = "AA=="
        "#,
        Part::Main,
        expect![[r#"
            metadata.labels.a = "b"
                fine
            data.a = "2"
            - immutable
                immutable: Forbidden: field is immutable when `immutable` is set
                data: Forbidden: field is immutable when `immutable` is set
            binaryData.b = "AA=="
                binaryData: Forbidden: field is immutable when `immutable` is set
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        MAP,
        r#"binaryData.b = "AA==""#,
        expect![[r#"
        NAME  DATA  AGE
        m  2  10m
    "#]],
    );
}
