use apimachinery::Gvk;
use serde_json::{Value, json};

use super::*;
use crate::http::discovery::Discovery;

fn virtual_kind(kind: &str, resource: &'static str, subresource: &'static str, namespaced: bool) -> Virtual {
    let group = if subresource.is_empty() { "authorization.k8s.io" } else { "" };
    Virtual {
        group,
        resource,
        subresource,
        namespaced,
        kind: Gvk::new("authorization.k8s.io", "v1", kind),
        handler: Arc::new(|request| Box::pin(async move { Ok(request.body) })),
    }
}

fn kinds() -> [Virtual; 3] {
    [
        virtual_kind("SelfSubjectAccessReview", "selfsubjectaccessreviews", "", false),
        virtual_kind("LocalSubjectAccessReview", "localsubjectaccessreviews", "", true),
        virtual_kind("TokenRequest", "serviceaccounts", "token", true),
    ]
}

#[test]
fn paths_find_their_kind() {
    let kinds = kinds();
    let found = |path: &str| {
        let crate::pipeline::path::Path::Resource(path) = crate::pipeline::path::Path::parse(path) else {
            return None;
        };
        kinds.iter().find(|v| v.is_for(&path)).map(|v| v.kind.kind.to_string())
    };
    for (path, expected) in [
        ("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", Some("SelfSubjectAccessReview")),
        ("/apis/authorization.k8s.io/v2/selfsubjectaccessreviews", None),
        ("/apis/authorization.k8s.io/v1/namespaces/n/selfsubjectaccessreviews", None),
        (
            "/apis/authorization.k8s.io/v1/namespaces/n/localsubjectaccessreviews",
            Some("LocalSubjectAccessReview"),
        ),
        ("/apis/authorization.k8s.io/v1/localsubjectaccessreviews", None),
        ("/api/v1/namespaces/n/serviceaccounts/s/token", Some("TokenRequest")),
        ("/api/v1/namespaces/n/serviceaccounts/s", None),
    ] {
        assert_eq!(found(path).as_deref(), expected, "{path}");
    }
    assert!(serves_version(&kinds, "authorization.k8s.io", "v1"));
    assert!(!serves_version(&kinds, "authorization.k8s.io", "v2") && !serves_version(&kinds, "", "v1"));
}

#[test]
fn they_are_discovered() {
    let discovery = Discovery::new(&[], &kinds(), "127.0.0.1:6443");
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    let list = read(&discovery.legacy("/apis/authorization.k8s.io/v1").unwrap());
    assert_eq!(
        list["resources"],
        json!([
            {"name": "localsubjectaccessreviews", "singularName": "localsubjectaccessreview", "namespaced": true,
                "kind": "LocalSubjectAccessReview", "verbs": ["create"]},
            {"name": "selfsubjectaccessreviews", "singularName": "selfsubjectaccessreview", "namespaced": false,
                "kind": "SelfSubjectAccessReview", "verbs": ["create"]},
        ])
    );
    let groups = read(&discovery.aggregated("/apis").unwrap().body);
    let rows = &groups["items"][0]["versions"][0]["resources"];
    assert_eq!((&rows[0]["scope"], &rows[1]["scope"]), (&json!("Namespaced"), &json!("Cluster")));
    assert_eq!(rows[1]["responseKind"]["kind"], "SelfSubjectAccessReview");
}
