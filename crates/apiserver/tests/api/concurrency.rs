//! Many clients at one object, and around a list and a watch: nothing is lost, nothing comes twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::server::{Server, config_map, start};

const CMS: &str = "/api/v1/namespaces/default/configmaps";
const CLIENTS: usize = 32;
const ROUNDS: usize = 6;
/// However loaded the machine is.
const PATIENCE: Duration = Duration::from_secs(120);

/// By every kind of patch, and by updates that try again; while a watch sees each state once, in order, and a list in
/// pages its object once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_clients_patch_one_object() {
    let server = Arc::new(start().await);
    let created = server.post(CMS, config_map("one")).await.json();
    let mut watch = server
        .watch(&format!("{CMS}?watch=1&timeoutSeconds=300&resourceVersion={}", version(&created)))
        .await;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let server = server.clone();
            tokio::spawn(async move {
                let mut made = Vec::new();
                for round in 0..ROUNDS {
                    made.push(write(&server, client, round).await);
                }
                made
            })
        })
        .collect();
    let lister = tokio::spawn({
        let server = server.clone();
        async move {
            for _ in 0..ROUNDS {
                let page = server.get(&format!("{CMS}?limit=1")).await.json();
                assert_eq!(page["items"].as_array().unwrap().len(), 1);
                assert_eq!(page["metadata"]["continue"], json!(null), "one object, twice?");
            }
        }
    });
    let mut made = BTreeSet::new();
    for client in clients {
        let versions = tokio::time::timeout(PATIENCE, client).await.expect("no livelock").unwrap();
        for version in versions {
            assert!(made.insert(version), "two writes, one state: {version}");
        }
    }
    lister.await.unwrap();
    let one = server.get(&format!("{CMS}/one")).await.json();
    for client in 0..CLIENTS {
        assert_eq!(one["data"][format!("c{client}")], json!((ROUNDS - 1).to_string()), "{one}");
    }
    let mut seen = Vec::new();
    while seen.last() != Some(&version(&one)) {
        let event = tokio::time::timeout(PATIENCE, watch.next()).await.expect("the watch goes on").unwrap();
        assert_eq!(event["type"], json!("MODIFIED"));
        seen.push(version(&event["object"]));
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
    assert_eq!(seen, made.into_iter().collect::<Vec<_>>());
}

/// Writes the client's own key in its own way. Returns the resourceVersion that came of it.
async fn write(server: &Server, client: usize, round: usize) -> u64 {
    let (path, key) = (format!("{CMS}/one"), format!("c{client}"));
    let value = json!({"data": {&key: round.to_string()}});
    let answer = match client % 5 {
        0 => server.patch(&path, "merge-patch", value).await,
        1 => server.patch(&path, "strategic-merge-patch", value).await,
        2 => {
            let operations =
                json!([{"op": "add", "path": format!("/data/{key}"), "value": round.to_string()}]);
            server.patch(&path, "json-patch", operations).await
        }
        3 => {
            let body = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": value["data"],
            });
            let headers = [("content-type", "application/apply-patch+yaml")];
            let path = format!("{path}?fieldManager={key}");
            server.send("PATCH", &path, &headers, &body.to_string()).await
        }
        _ => loop {
            let mut object = server.get(&path).await.json();
            object["data"][&key] = json!(round.to_string());
            let answer = server.put(&path, object).await;
            // Somebody was faster, and it says so.
            if answer.code != 409 {
                break answer;
            }
        },
    };
    assert_eq!(answer.code, 200, "{}", answer.text);
    version(&answer.json())
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
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
