//! Many clients at one object, and around a list and a watch: nothing is lost, nothing comes twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::server::{config_map, start};

const CMS: &str = "/api/v1/namespaces/default/configmaps";
const CLIENTS: usize = 32;
const ROUNDS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_clients_patch_one_object() {
    let server = Arc::new(start().await);
    server.post(CMS, config_map("one")).await;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let server = server.clone();
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    let value = json!({"data": {format!("c{client}"): round.to_string()}});
                    let answer = match client % 3 {
                        0 => server.patch(&format!("{CMS}/one"), "merge-patch", value).await,
                        1 => server.patch(&format!("{CMS}/one"), "strategic-merge-patch", value).await,
                        _ => {
                            let body = json!({
                                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"},
                                "data": value["data"],
                            });
                            let path = format!("{CMS}/one?fieldManager=c{client}");
                            let headers = [("content-type", "application/apply-patch+yaml")];
                            server.send("PATCH", &path, &headers, &body.to_string()).await
                        }
                    };
                    assert_eq!(answer.code, 200, "{}", answer.text);
                }
            })
        })
        .collect();
    for client in clients {
        tokio::time::timeout(Duration::from_secs(120), client).await.expect("no livelock").unwrap();
    }
    let data = server.get(&format!("{CMS}/one")).await.json()["data"].clone();
    for client in 0..CLIENTS {
        assert_eq!(data[format!("c{client}")], json!((ROUNDS - 1).to_string()), "{data}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn creates_lists_and_watches_at_once() {
    let server = Arc::new(start().await);
    let mut watch = server.watch(&format!("{CMS}?watch=1&timeoutSeconds=120")).await;
    let creators: Vec<_> = (0..8)
        .map(|_| {
            let server = server.clone();
            tokio::spawn(async move {
                let mut names = Vec::new();
                for _ in 0..8 {
                    let body =
                        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "g-"}});
                    let created = server.post(CMS, body).await;
                    assert_eq!(created.code, 201, "{}", created.text);
                    names.push(name(&created.json()));
                }
                names
            })
        })
        .collect();
    // A list in pages, meanwhile: each object at most once.
    let mut token = String::new();
    let mut seen = BTreeSet::new();
    loop {
        let page = server.get(&format!("{CMS}?limit=3&continue={token}")).await.json();
        for item in page["items"].as_array().unwrap() {
            assert!(seen.insert(name(item)), "twice: {}", name(item));
        }
        token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            break;
        }
    }
    let mut created = BTreeSet::new();
    for creator in creators {
        for name in creator.await.unwrap() {
            assert!(created.insert(name.clone()), "twice: {name}");
        }
    }
    assert!(seen.is_subset(&created));
    let mut watched = BTreeSet::new();
    while watched.len() < created.len() {
        let event = watch.next().await.expect("the watch goes on");
        assert_eq!(event["type"], json!("ADDED"));
        assert!(watched.insert(name(&event["object"])), "twice: {event}");
    }
    assert_eq!(watched, created);
    let all = server.get(CMS).await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), created.len());
    // All of them in one request that deletes in pieces.
    assert_eq!(server.delete(CMS).await.code, 200);
    assert_eq!(server.get(CMS).await.json()["items"], json!([]));
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}
