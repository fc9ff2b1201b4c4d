use expect_test::{Expect, expect};
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::*;
use crate::spec;
use crate::testing::pod_json;

fn fixture(env: Value, env_from: Value) -> Pod {
    pod_json(json!({
        "metadata": {"name": "p", "namespace": "ns", "uid": "u", "labels": {"app": "web"}, "annotations": {"a/b": "x"}},
        "spec": {"nodeName": "n1", "serviceAccountName": "sa", "containers": [{
            "name": "c", "env": env, "envFrom": env_from,
            "resources": {"limits": {"cpu": "1500m", "memory": "100Mi"}, "requests": {"cpu": "250m"}},
        }]},
    }))
}

fn sources() -> Sources {
    let mut sources = Sources {
        services: vec![("SVC_HOST".into(), "10.0.0.1".into()), ("A".into(), "hidden".into())],
        ..Sources::default()
    };
    let pairs =
        |list: &[(&str, &str)]| list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let map =
        ConfigMap { data: Some(pairs(&[("k", "v"), ("b=d", "no"), ("x.y", "dot")])), ..ConfigMap::default() };
    sources.config_maps.insert("m".into(), Ok(Some(map)));
    sources.config_maps.insert("gone".into(), Ok(None));
    sources.config_maps.insert("slow".into(), Err("failed to sync".into()));
    let data = [("s".to_owned(), ByteString(b"secret".to_vec()))].into();
    sources.secrets.insert("s".into(), Ok(Some(Secret { data: Some(data), ..Secret::default() })));
    sources.secrets.insert("gone".into(), Ok(None));
    sources
}

fn check(env: Value, env_from: Value, expected: Expect) {
    let pod = fixture(env, env_from);
    let container = spec::main(&pod).next().unwrap().container.into_owned();
    let fields = PodFields {
        host_ips: vec!["192.0.2.1".into()],
        pod_ips: vec!["10.42.0.2".into(), "fd00::2".into()],
        allocatable: resources::quantity::Amounts::default(),
    };
    let text = match environment(&pod, &container, &fields, &sources()) {
        Ok(all) => all.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("\n"),
        Err(e) => format!("error: {e}"),
    };
    expected.assert_eq(&text);
}

#[test]
fn values_expand_what_comes_before() {
    check(
        json!([
            {"name": "A", "value": "1"}, {"name": "B", "value": "$(A)-$(SVC_HOST)-$(LATER)"},
            {"name": "A", "value": "2"}, {"name": "LATER"},
        ]),
        json!([]),
        expect![[r#"
            A=2
            B=1-10.0.0.1-$(LATER)
            LATER=
            SVC_HOST=10.0.0.1"#]],
    );
}

#[test]
fn whole_objects_come_with_a_prefix_and_under_env() {
    check(
        json!([{"name": "P_k", "value": "own"}]),
        json!([{"prefix": "P_", "configMapRef": {"name": "m"}}, {"secretRef": {"name": "s"}},
               {"configMapRef": {"name": "gone", "optional": true}}]),
        expect![[r#"
            P_k=own
            P_x.y=dot
            s=secret
            SVC_HOST=10.0.0.1
            A=hidden"#]],
    );
    check(
        json!([]),
        json!([{"secretRef": {"name": "gone"}}]),
        expect![[r#"error: secret "gone" not found"#]],
    );
    check(json!([]), json!([{"configMapRef": {"name": "slow"}}]), expect!["error: failed to sync"]);
}

fn from(source: Value) -> Value {
    json!([{"name": "X", "valueFrom": source}])
}

#[test]
fn keys_fields_and_resources() {
    let only = |source: Value, expected: &str| {
        let pod = fixture(from(source.clone()), json!([]));
        let container = spec::main(&pod).next().unwrap().container.into_owned();
        let fields = PodFields {
            host_ips: vec!["192.0.2.1".into()],
            pod_ips: vec!["10.42.0.2".into(), "fd00::2".into()],
            allocatable: resources::quantity::Amounts::default(),
        };
        let bare = Sources { services: vec![], ..sources() };
        let got = match environment(&pod, &container, &fields, &bare) {
            Ok(all) => all.iter().map(|(_, v)| v.clone()).collect::<Vec<_>>().join(","),
            Err(e) => format!("error: {e}"),
        };
        assert_eq!(got, expected, "{source}");
    };
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    only(field("metadata.name"), "p");
    only(field("metadata.labels['app']"), "web");
    only(field("metadata.annotations['a/b']"), "x");
    only(field("metadata.labels['none']"), "");
    only(field("spec.nodeName"), "n1");
    only(field("spec.serviceAccountName"), "sa");
    only(field("status.hostIP"), "192.0.2.1");
    only(field("status.podIP"), "10.42.0.2");
    only(field("status.podIPs"), "10.42.0.2,fd00::2");
    only(field("spec.containers"), "error: unsupported fieldPath: spec.containers");
    let resource =
        |name: &str, divisor: &str| json!({"resourceFieldRef": {"resource": name, "divisor": divisor}});
    only(resource("limits.cpu", "0"), "2");
    only(resource("limits.cpu", "1m"), "1500");
    only(resource("requests.cpu", "1m"), "250");
    only(resource("limits.memory", "1Mi"), "100");
    only(resource("requests.memory", "1"), "104857600");
    only(resource("limits.memory", "1Gi"), "1");
    let key = |kind: &str, name: &str, key: &str, optional: bool| json!({kind: {"name": name, "key": key, "optional": optional}});
    only(key("configMapKeyRef", "m", "k", false), "v");
    only(key("configMapKeyRef", "m", "none", false), "error: couldn't find key none in ConfigMap ns/m");
    only(key("configMapKeyRef", "m", "none", true), "");
    only(key("configMapKeyRef", "gone", "k", false), "error: configmap \"gone\" not found");
    only(key("secretKeyRef", "s", "s", false), "secret");
    only(key("secretKeyRef", "s", "none", false), "error: couldn't find key none in Secret ns/s");
    only(key("secretKeyRef", "gone", "k", true), "");
}
