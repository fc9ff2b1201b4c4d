use apimachinery::Gvk;
use expect_test::{Expect, expect};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use proptest::prelude::*;

use super::*;
use crate::Kind;

fn pod() -> Gvk {
    Gvk::new("", "v1", "Pod")
}

/// Decodes each body as a strict Pod and shows what came of it.
fn check(bodies: &[&str], expected: Expect) {
    let mut out = String::new();
    for body in bodies {
        let line = match decode(&pod(), body.as_bytes(), Content::Json, Strictness::Strict) {
            Ok(decoded) => format!("ok {}\n", String::from_utf8_lossy(&decoded.json)),
            Err(status) => format!("{} {}\n", status.code, status.message),
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
            "{",
            "[]",
            "nonsense",
            r#"{"a" 1}"#,
            r#"{"a":1,}"#,
            r#"{"a":tru}"#,
            r#"{"a":01}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":-}"#,
            r#"{"a":1.}"#,
            r#"{"a":[1 2]}"#,
            "{} x",
            "{\"a\":\"\n\"}",
            r#"{"apiVersion":1}"#,
            r#"{"apiVersion":"a/b/c"}"#,
            r#"{"kind":["Pod"]}"#,
        ],
        expect![[r#"
            400 the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)
            400 the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: unexpected end of JSON input ({)
            400 the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" } (5b5d)
            400 the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: invalid character 'o' in literal null (expecting 'u') (6e6f6e73656e7365)
            400 the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: invalid character '1' after object key ({"a" 1})
            400 the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: invalid character '}' looking for beginning of object key string ({"a":1,})
            400 the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: invalid character '}' in literal true (expecting 'e') ({"a":tru})
            400 the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: invalid character '1' after object key:value pair ({"a":01})
            400 the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: invalid character 'x' in string escape code ({"a":"\x"})
            400 the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: invalid character '}' in numeric literal ({"a":-})
            400 the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: invalid character '}' after decimal point in numeric literal ({"a":1.})
            400 the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: invalid character '2' after array element ({"a":[1 2]})
            400 the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: invalid character 'x' after top-level value ({} x)
            400 the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: invalid character '\n' in string literal ({"a":"
            "})
            400 the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .apiVersion of type string ({"apiVersion":1})
            400 the object provided is unrecognized (must be of type Pod): unexpected GroupVersion string: a/b/c ({"apiVersion":"a/b/c"})
            400 the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: json: cannot unmarshal array into Go struct field .kind of type string ({"kind":["Pod"]})
        "#]],
    );
}

#[test]
fn other_kinds() {
    check(
        &[
            "{}",
            r#"{"kind":"Pod"}"#,
            r#"{"kind":"Service","apiVersion":"v1"}"#,
            r#"{"kind":"Foo","apiVersion":"v1"}"#,
            r#"{"kind":"Pod","apiVersion":"v9"}"#,
        ],
        expect![[r#"
            ok {}
            ok {"kind":"Pod"}
            400 Service in version "v1" cannot be handled as a Pod: converting (v1.Service) to (core.Pod): unknown conversion
            400 Foo in version "v1" cannot be handled as a Pod: no kind "Foo" is registered for version "v1" in scheme "pkg/api/legacyscheme/scheme.go:30"
            400 Pod in version "v9" cannot be handled as a Pod: no kind "Pod" is registered for version "v9" in scheme "pkg/api/legacyscheme/scheme.go:30"
        "#]],
    );
    let scaler = Gvk::new("autoscaling", "v2", "HorizontalPodAutoscaler");
    let body = br#"{"kind":"HorizontalPodAutoscaler","apiVersion":"autoscaling/v1"}"#;
    let status = decode(&scaler, body, Content::Json, Strictness::Strict).unwrap_err();
    expect!["the API version in the data (autoscaling/v1) does not match the expected API version (autoscaling/v2)"].assert_eq(&status.message);
    let options = Gvk::new("", "v1", "DeleteOptions");
    let body = br#"{"kind":"DeleteOptions","apiVersion":"apps/v1"}"#;
    assert!(decode(&options, body, Content::Json, Strictness::Strict).is_ok());
}

#[test]
fn wrong_types() {
    check(
        &[
            r#"{"spec":"x"}"#,
            r#"{"spec":{"containers":{}}}"#,
            r#"{"spec":{"containers":[{"env":[{"name":"a","value":1}]}]}}"#,
            r#"{"metadata":{"labels":{"a":1}}}"#,
            r#"{"metadata":{"labels":"a"}}"#,
            r#"{"spec":{"terminationGracePeriodSeconds":"30"}}"#,
            r#"{"spec":{"terminationGracePeriodSeconds":1.5}}"#,
            r#"{"spec":{"priority":3000000000}}"#,
            r#"{"spec":{"hostNetwork":"true"}}"#,
            r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":"x"}}}]}}"#,
            r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":{}}}}]}}"#,
            r#"{"spec":{"containers":[{"resources":{"limits":[]}}]}}"#,
            r#"{"spec":{"containers":[{"livenessProbe":{"httpGet":{"port":true}}}]}}"#,
            r#"{"metadata":{"creationTimestamp":"yesterday"}}"#,
            r#"{"metadata":{"creationTimestamp":"2026-13-01T00:00:00Z"}}"#,
            r#"{"metadata":{"creationTimestamp":"2026-02-30T00:00:00Z"}}"#,
            r#"{"metadata":{"creationTimestamp":"2026-02-03T00:00:00"}}"#,
            r#"{"metadata":{"creationTimestamp":7}}"#,
        ],
        expect![[r#"
            400 Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field Pod.spec of type v1.PodSpec
            400 Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container
            400 Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string
            400 Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string
            400 Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field ObjectMeta.metadata.labels of type map[string]string
            400 Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64
            400 Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64
            400 Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number 3000000000 into Go struct field PodSpec.spec.priority of type int32
            400 Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool
            400 Pod in version "v1" cannot be handled as a Pod: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
            400 Pod in version "v1" cannot be handled as a Pod: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
            400 Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal array into Go struct field ResourceRequirements.spec.containers.resources.limits of type v1.ResourceList
            400 Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal bool into Go value of type int32
            400 Pod in version "v1" cannot be handled as a Pod: parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"
            400 Pod in version "v1" cannot be handled as a Pod: parsing time "2026-13-01T00:00:00Z": month out of range
            400 Pod in version "v1" cannot be handled as a Pod: parsing time "2026-02-30T00:00:00Z": day out of range
            400 Pod in version "v1" cannot be handled as a Pod: parsing time "2026-02-03T00:00:00" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "Z07:00"
            400 Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number into Go value of type string
        "#]],
    );
    let map = Gvk::new("", "v1", "ConfigMap");
    let status = decode(&map, br#"{"binaryData":{"a":"%"}}"#, Content::Json, Strictness::Ignore).unwrap_err();
    expect![[
        r#"ConfigMap in version "v1" cannot be handled as a ConfigMap: illegal base64 data at input byte 0"#
    ]]
    .assert_eq(&status.message);
}

/// What Go's structs do not write when it is empty is not there; pointers' zeros and required lists are.
#[test]
fn what_is_empty_is_left_out() {
    let spec = r#""containers": [], "nodeSelector": {}, "tolerations": [ ], "hostNetwork": false, "nodeName": "",
        "securityContext": {}, "terminationGracePeriodSeconds": 0, "shareProcessNamespace": false,
        "volumes": [{"name": "a", "emptyDir": {"medium": ""}}]"#;
    let meta =
        r#""labels": {}, "annotations": { }, "finalizers": [], "ownerReferences": [], "generateName": """#;
    let body = format!(r#"{{"metadata": {{{meta}}}, "spec": {{{spec}}}}}"#);
    let decoded = decode(&pod(), body.as_bytes(), Content::Json, Strictness::Strict).unwrap();
    let pod = Pod::from_json(&decoded.json).unwrap();
    expect![[
        r#"{"apiVersion":"v1","kind":"Pod","metadata":{},"spec":{"containers":[],"securityContext":{},"shareProcessNamespace":false,"terminationGracePeriodSeconds":0,"volumes":[{"emptyDir":{},"name":"a"}]}}"#
    ]]
    .assert_eq(&String::from_utf8(pod.to_json()).unwrap());
    let role = Gvk::new("rbac.authorization.k8s.io", "v1", "Role");
    let body = br#"{"rules": []}"#;
    let decoded = decode(&role, body, Content::Json, Strictness::Strict).unwrap();
    assert_eq!(decoded.json, body);
}

#[test]
fn unknown_and_duplicate_fields() {
    check(
        &[
            r#"{"spec":{"foo":1,"containers":[{"nme":"x"}],"hostNetwork":true,"hostNetwork":false},"Spec":{}}"#,
            r#"{"metadata":{"labels":{"a":"1","a":"2"},"annotations":{"a/b.c":"","a/b.c":""}}}"#,
            r#"{"spec":{"foo":{"bar":1,"bar":2},"foo":3}}"#,
            r#"{"metadata":{"managedFields":[{"fieldsV1":{"f:x":{},"f:x":{}}}]}}"#,
        ],
        expect![[r#"
            400 Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.foo", unknown field "spec.containers[0].nme", duplicate field "spec.hostNetwork", unknown field "Spec"
            400 Pod in version "v1" cannot be handled as a Pod: strict decoding error: duplicate field "metadata.labels.a", duplicate field "metadata.annotations.a/b.c"
            400 Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.foo"
            ok {"metadata":{"managedFields":[{"fieldsV1":{"f:x":{},"f:x":{}}}]}}
        "#]],
    );
    let body = br#"{"spec":{"foo":1,"hostPID":true,"hostPID":false}}"#;
    let warned = decode(&pod(), body, Content::Json, Strictness::Warn).unwrap();
    assert_eq!(warned.warnings, [r#"unknown field "spec.foo""#, r#"duplicate field "spec.hostPID""#]);
    assert_eq!(Pod::from_json(&warned.json).unwrap().spec.unwrap().host_pid, None);
    let ignored = decode(&pod(), body, Content::Json, Strictness::Ignore).unwrap();
    assert!(ignored.warnings.is_empty());
}

#[test]
fn what_go_reads_differently() {
    let body = br#"{"metadata":{"name":null,"labels":{"a":null},"finalizers":null},
        "spec":{"nodeName":"\ud800x","containers":[null,{"args":[null],"resources":{"limits":{"cpu":null}}}]}}"#;
    let decoded = decode(&pod(), body, Content::Json, Strictness::Strict).unwrap();
    let pod = Pod::from_json(&decoded.json).unwrap();
    assert_eq!(pod.metadata.labels.unwrap()["a"], "");
    let spec = pod.spec.unwrap();
    assert_eq!(spec.node_name.as_deref(), Some("\u{fffd}x"));
    assert_eq!(spec.containers[1].args.as_deref(), Some(&[String::new()][..]));
    assert!(decode(&super::tests::pod(), b"{\"a\xff\":1}", Content::Json, Strictness::Ignore).is_ok());
}

#[test]
fn depth_is_bounded() {
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    check(
        &[&deep],
        expect![[r#"
        400 the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: exceeded max depth ({"x":[[[[[[[[[[[[[[[[[[[[[[[[[ ...)
    "#]],
    );
    let allowed = format!(r#"{{"x":{}{}}}"#, "[".repeat(9_000), "]".repeat(9_000));
    let decoded = decode(&pod(), allowed.as_bytes(), Content::Json, Strictness::Warn).unwrap();
    assert!(Pod::from_json(&decoded.json).is_ok());
}

#[test]
fn yaml() {
    let kind = Gvk::new("", "v1", "ConfigMap");
    let body = b"kind: ConfigMap\ndata:\n  a: |\n    x\n  b: 'yes'\nx: 1\nx: 2\n";
    let decoded = decode(&kind, body, Content::Yaml, Strictness::Warn).unwrap();
    assert_eq!(ConfigMap::from_json(&decoded.json).unwrap().data.unwrap()["a"], "x\n");
    expect![[r#"
        yaml: unmarshal errors:
          line 7: key "x" already set in map
        unknown field "x""#]]
    .assert_eq(&decoded.warnings.join("\n"));
    let status = decode(&kind, b"data:\n  a: 1\n", Content::Yaml, Strictness::Warn).unwrap_err();
    expect![[r#"ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string"#]].assert_eq(&status.message);
    let status = decode(&kind, b"a: b: c", Content::Yaml, Strictness::Warn).unwrap_err();
    expect!["the object provided is unrecognized (must be of type ConfigMap): yaml: line 1: mapping values are not allowed in this context (613a20623a2063)"].assert_eq(&status.message);
}

#[test]
fn no_struct_has_more_fields_than_bits() {
    for kind in facts::kinds() {
        assert!(kind.type_of().fields().len() <= 128);
    }
}

#[test]
fn patches_as_texts() {
    let mut out = String::new();
    for patch in [r#"{"a":{"b":1,"b":2},"l":[{"x":1,"x":2}]}"#, "[]", "null", r#"{"a":"#, "x"] {
        out.push_str(&format!("{:?}\n", merge_patch(patch.as_bytes())));
    }
    for patch in [
        r#"[{"op":"add","path":"/a","path":"/b","value":{"v":1,"v":2},"foo":{"bar":1}}]"#,
        r#"[{"op":1}]"#,
        "[5]",
        "{}",
        "[",
    ] {
        out.push_str(&format!("{:?}\n", operations(patch.as_bytes())));
    }
    expect![[r#"
        Ok(["duplicate field \"a.b\"", "duplicate field \"l[0].x\""])
        Err("json: cannot unmarshal array into Go value of type map[string]interface {}")
        Ok([])
        Err("unexpected end of JSON input")
        Err("invalid character 'x' looking for beginning of value")
        Ok(["duplicate field \"[0].path\"", "duplicate field \"[0].value.v\"", "unknown field \"[0].foo\""])
        Err("json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string")
        Err("json: cannot unmarshal number into Go value of type handlers.jsonPatchOp")
        Err("json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp")
        Err("unexpected end of JSON input")
    "#]]
    .assert_eq(&out);
}

proptest! {
    /// What decode accepts, the typed decoder accepts.
    #[test]
    fn accepted_bodies_have_the_kinds_shape(
        field in proptest::sample::select(vec!["nodeName", "priority", "hostNetwork", "tolerations", "nodeSelector",
            "containers", "terminationGracePeriodSeconds", "securityContext", "overhead", "affinity"]),
        value in proptest::sample::select(vec!["null", "1", "-1.5", "1e3", "\"\"", "\"1\"", "true", "[]", "{}", "[null]",
            "[{}]", "{\"a\":null}", "{\"a\":\"1\"}", "[[1]]", "99999999999999999999"]),
    ) {
        let body = format!(r#"{{"spec":{{"{field}":{value}}}}}"#);
        if let Ok(decoded) = decode(&pod(), body.as_bytes(), Content::Json, Strictness::Ignore) {
            prop_assert!(Pod::from_json(&decoded.json).is_ok(), "{}", body);
        }
    }

    #[test]
    fn never_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        text in "(\\{|\\}|\\[|\\]|:|,|\"spec\"|\"metadata\"|\"labels\"|null|1|\"\\\\ud8\"|\"x\"| ){0,30}",
    ) {
        for content in [Content::Json, Content::Yaml] {
            let _ = decode(&pod(), &bytes, content, Strictness::Warn);
            let _ = decode(&pod(), text.as_bytes(), content, Strictness::Strict);
        }
    }
}
