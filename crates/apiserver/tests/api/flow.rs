//! Priority and fairness over the wire.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use stdx::{Clock as _, SystemClock};

use crate::server;

const GROUP: &str = "/apis/flowcontrol.apiserver.k8s.io/v1";

/// The suggested objects, as their keeper makes them at a server's start.
async fn bootstrap(server: &server::Server) {
    for level in resources::flowcontrol::bootstrap::priority_levels() {
        let path = format!("{GROUP}/prioritylevelconfigurations");
        assert_eq!(server.post(&path, serde_json::to_value(&level).unwrap()).await.code, 201);
    }
    for schema in resources::flowcontrol::bootstrap::flow_schemas() {
        let path = format!("{GROUP}/flowschemas");
        assert_eq!(server.post(&path, serde_json::to_value(&schema).unwrap()).await.code, 201);
    }
}

#[tokio::test]
async fn answers_tell_where_they_belong() {
    let server = server::start().await;
    bootstrap(&server).await;
    let uid = |object: Value| object["metadata"]["uid"].as_str().unwrap().to_owned();
    let schema = uid(server.get(&format!("{GROUP}/flowschemas/exempt")).await.json());
    let level = uid(server.get(&format!("{GROUP}/prioritylevelconfigurations/exempt")).await.json());
    // The server takes its own objects over by a watch.
    let wait = async {
        loop {
            let answer = server.get("/api/v1/namespaces/default").await;
            let header = |name: &str| answer.headers.get(name).map(|v| v.to_str().unwrap().to_owned());
            let told =
                (header("x-kubernetes-pf-flowschema-uid"), header("x-kubernetes-pf-prioritylevel-uid"));
            if told == (Some(schema.clone()), Some(level.clone())) {
                return;
            }
            SystemClock.sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the headers name the objects");
}

#[tokio::test]
async fn mandatory_objects_stay_what_they_are() {
    let server = server::start().await;
    bootstrap(&server).await;
    let path = format!("{GROUP}/flowschemas/catch-all");
    let patch = json!({"spec": {"matchingPrecedence": 7}});
    let answer = server.patch(&path, "merge-patch", patch.clone()).await;
    assert_eq!(answer.code, 422);
    assert!(answer.message().contains("spec of 'catch-all' must equal the fixed value"), "{}", answer.text);
    let path = format!("{GROUP}/flowschemas/service-accounts");
    assert_eq!(server.patch(&path, "merge-patch", patch).await.code, 200);
}

/// 200 requests of one user that cannot run do not keep the administrator, nor a node, waiting; and all are answered in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_noisy_user_keeps_only_itself_waiting() {
    const NOISY: usize = 200;
    let server = std::sync::Arc::new(server::start().await);
    let flow = server.api.flow.clone();
    // So few seats that each level has but one or two, and what the noisy one needs is there once.
    flow.set_concurrency(10);
    let (user, path) = (auth::UserInfo::new("noisy", &["system:authenticated"]), "/api/v1/pods");
    let path = apiserver::pipeline::path::Path::parse(path);
    let params = apiserver::pipeline::params::Params::parse("").unwrap();
    let mut seats = Vec::new();
    while let Ok(Ok(seat)) = tokio::time::timeout(
        Duration::from_millis(200),
        flow.place(&user, &Method::GET, &path, &params).enter(),
    )
    .await
    {
        seats.push(seat);
    }
    assert!(!seats.is_empty());

    let identity = server.identity("noisy", "people");
    let requests: Vec<_> = (0..NOISY)
        .map(|_| {
            let (server, identity) = (server.clone(), identity.clone());
            tokio::spawn(
                async move { server.send_as(Some(identity), "GET", "/api/v1/pods", &[], "").await.code },
            )
        })
        .collect();
    let all_wait = async {
        while flow.waiting() < NOISY {
            SystemClock.sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all_wait).await.expect("all the noisy ones wait");

    assert_eq!(server.get("/api/v1/pods").await.code, 200);
    let node = server.identity("system:node:n", "system:nodes");
    let answer = server.send_as(Some(node), "GET", "/api/v1/nodes/n", &[], "").await;
    assert_eq!(answer.code, 403, "{}", answer.text);
    assert_eq!(flow.waiting(), NOISY);

    drop(seats);
    for request in requests {
        // Nobody has given that user a role.
        assert_eq!(request.await.unwrap(), 403);
    }
    assert_eq!(flow.waiting(), 0);
}
