use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update};

const SECRET: &str = r#"{"metadata": {"name": "s", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"}, "data": {"a": "MQ=="}}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        r#"{"metadata": {"name": "s"}, "data": {"a": "MQ==", "b": "Mg=="}, "stringData": {"b": "3"}}"#,
        expect![[r#"
            {
              "apiVersion": "v1",
              "data": {
                "a": "MQ==",
                "b": "Mw=="
              },
              "kind": "Secret",
              "metadata": {
                "name": "s"
              },
              "type": "Opaque"
            }
        "#]],
    );
}

#[test]
fn rules() {
    check_create(
        &Strategy,
        SECRET,
        r#"
        data."a/b" = "MQ=="

        type = "kubernetes.io/service-account-token"

        type = "kubernetes.io/dockercfg"

        type = "kubernetes.io/dockerconfigjson"
        data.".dockerconfigjson" = "MQ=="

        type = "kubernetes.io/basic-auth"

        type = "kubernetes.io/ssh-auth"

        type = "kubernetes.io/tls"

        type = "mine"
        "#,
        expect![[r#"
            data."a/b" = "MQ=="
                data[a/b]: Invalid value: "a/b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')
            type = "kubernetes.io/service-account-token"
                metadata.annotations[kubernetes.io/service-account.name]: Required value
            type = "kubernetes.io/dockercfg"
                data[.dockercfg]: Required value
            type = "kubernetes.io/dockerconfigjson"
            data.".dockerconfigjson" = "MQ=="
                data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": invalid type: integer `1`, expected a map at line 1 column 1
            type = "kubernetes.io/basic-auth"
                data[username]: Required value
                data[password]: Required value
            type = "kubernetes.io/ssh-auth"
                data[ssh-privatekey]: Required value
            type = "kubernetes.io/tls"
                data[tls.crt]: Required value
                data[tls.key]: Required value
            type = "mine"
                fine
        "#]],
    );
}

#[test]
fn updates() {
    let sealed = SECRET.replace(r#""data""#, r#""immutable": true, "data""#);
    check_update(
        &Strategy,
        &sealed,
        r#"
        metadata.labels.a = "b"

        type = "other"

        data.a = "Mg=="
        immutable = false
        "#,
        Part::Main,
        expect![[r#"
            metadata.labels.a = "b"
                fine
            type = "other"
                type: Invalid value: "other": field is immutable
            data.a = "Mg=="
            immutable = false
                immutable: Forbidden: field is immutable when `immutable` is set
                data: Forbidden: field is immutable when `immutable` is set
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        SECRET,
        r#"type = "Opaque""#,
        expect![[r#"
        NAME  TYPE  DATA  AGE
        s  Opaque  1  10m
    "#]],
    );
}
