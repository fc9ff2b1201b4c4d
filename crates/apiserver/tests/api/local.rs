//! The API without a wire.

use std::time::Duration;

use apimachinery::{Gvr, ObjectKey};
use auth::UserInfo;
use client::transport::{Options, Request, Verb, ViewScope};
use futures::StreamExt;
use serde_json::{Value, json};
use stdx::{Clock, SystemClock};

use super::server::{Server, config_map, start};

const CMS: &str = "/api/v1/namespaces/default/configmaps";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

fn list() -> Request {
    Request {
        verb: Verb::List,
        gvr: Gvr::new("", "v1", "configmaps"),
        namespace: "default".into(),
        name: String::new(),
        subresource: String::new(),
        body: Default::default(),
        options: Options::default(),
    }
}

async fn allow(server: &Server) {
    let api_version = "rbac.authorization.k8s.io/v1";
    let role = json!({
        "apiVersion": api_version, "kind": "ClusterRole", "metadata": {"name": "reader"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}],
    });
    let binding = json!({
        "apiVersion": api_version, "kind": "ClusterRoleBinding", "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}],
    });
    assert_eq!(server.post(&format!("{RBAC}/clusterroles"), role).await.code, 201);
    assert_eq!(server.post(&format!("{RBAC}/clusterrolebindings"), binding).await.code, 201);
}

/// Without its role a component is refused and its views stop; with it again they go on, and nothing is lost.
#[tokio::test]
async fn a_component_needs_its_role() {
    let server = start().await;
    server.post(CMS, config_map("before")).await;
    let jane = server.api.local(UserInfo::new("jane", &[]));
    assert!(jane.send(list()).await.unwrap_err().is_forbidden());
    let view = jane.reflect(&Gvr::new("", "v1", "configmaps"), &ViewScope::default());
    assert!(!view.is_synced() && view.list("").is_empty());

    allow(&server).await;
    view.synced().await;
    let listed: Value = serde_json::from_slice(&jane.send(list()).await.unwrap()).unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let mut changes = view.subscribe();
    assert_eq!(&*changes.next().await.unwrap().new.unwrap().key.name, "before");

    assert_eq!(server.delete(&format!("{RBAC}/clusterrolebindings/reader")).await.code, 200);
    let mut hidden = String::new();
    for n in 0..200 {
        hidden = format!("n{n}");
        server.post(CMS, config_map(&hidden)).await;
        if view.get(&ObjectKey::new("default", &hidden)).is_none() {
            break;
        }
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    assert!(view.get(&ObjectKey::new("default", &hidden)).is_none());
    assert!(jane.send(list()).await.unwrap_err().is_forbidden());

    assert_eq!(server.delete(&format!("{RBAC}/clusterroles/reader")).await.code, 200);
    allow(&server).await;
    while &*changes.next().await.unwrap().new.unwrap().key.name != hidden.as_str() {}
    assert!(view.get(&ObjectKey::new("default", &hidden)).is_some());
}
