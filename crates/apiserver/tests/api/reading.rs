//! Lists, watches, shapes.

use serde_json::{Value, json};

use super::server::{config_map, pod, start};

const CMS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";

#[tokio::test]
async fn a_list_in_pages_is_one_state() {
    let server = start().await;
    for name in ["a", "b", "c", "d", "e"] {
        server.post(CMS, config_map(name)).await;
    }
    let first = server.get(&format!("{CMS}?limit=2")).await.json();
    let names = |list: &serde_json::Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap();
        items.iter().map(|i| i["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], json!(3));
    server.delete(&format!("{CMS}/c")).await;
    server.post(CMS, config_map("cc")).await;
    let token = first["metadata"]["continue"].as_str().unwrap();
    let rest = server.get(&format!("{CMS}?limit=9&continue={token}")).await.json();
    assert_eq!(names(&rest), ["c", "d", "e"]);
    assert_eq!(rest["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert_eq!(rest["metadata"]["continue"], json!(null));
    let version = first["metadata"]["resourceVersion"].as_str().unwrap();
    let exact =
        server.get(&format!("{CMS}?resourceVersion={version}&resourceVersionMatch=Exact")).await.json();
    assert_eq!(names(&exact), ["a", "b", "c", "d", "e"]);
    assert_eq!(names(&server.get(CMS).await.json()), ["a", "b", "cc", "d", "e"]);
}

#[tokio::test]
async fn selectors() {
    let server = start().await;
    server.post(PODS, pod("a")).await;
    server.post(PODS, pod("b")).await;
    for (query, expected) in [
        ("labelSelector=app%3Da", 1),
        ("labelSelector=app%20in%20(a,b)", 2),
        ("labelSelector=!app", 0),
        ("fieldSelector=metadata.name%3Db", 1),
        ("fieldSelector=spec.nodeName%3D", 2),
        ("fieldSelector=status.phase!%3DPending", 0),
    ] {
        let list = server.get(&format!("{PODS}?{query}")).await.json();
        assert_eq!(list["items"].as_array().unwrap().len(), expected, "{query}: {list}");
    }
}

#[tokio::test]
async fn a_watch_from_a_revision() {
    let server = start().await;
    server.post(CMS, config_map("a")).await;
    let version = server.get(CMS).await.json()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let mut watch = server.watch(&format!("{CMS}?watch=1&resourceVersion={version}&timeoutSeconds=30")).await;
    let mut selected =
        server.watch(&format!("{CMS}?watch=1&labelSelector=x&resourceVersion={version}")).await;
    server.post(CMS, config_map("b")).await;
    let path = format!("{CMS}/b");
    server.patch(&path, "merge-patch", json!({"metadata": {"labels": {"x": "1"}}})).await;
    server.patch(&path, "merge-patch", json!({"metadata": {"labels": null}})).await;
    server.delete(&path).await;
    for expected in ["ADDED b", "MODIFIED b", "MODIFIED b", "DELETED b"] {
        assert_eq!(watch.line().await, expected);
    }
    for expected in ["ADDED b", "DELETED b"] {
        assert_eq!(selected.line().await, expected);
    }
}

#[tokio::test]
async fn a_watch_with_initial_events() {
    let server = start().await;
    server.post(CMS, config_map("a")).await;
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = server.watch(&format!("{CMS}?{query}")).await;
    assert_eq!(watch.line().await, "ADDED a");
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], json!("BOOKMARK"));
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], json!("true"));
    let mut short = server.watch(&format!("{CMS}?watch=1&timeoutSeconds=1")).await;
    assert_eq!(short.line().await, "ADDED a");
    assert_eq!(short.line().await, "end");
    let mut old = server
        .watch(&format!(
            "{CMS}?watch=1&resourceVersion=0&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"
        ))
        .await;
    server.post(CMS, config_map("b")).await;
    assert_eq!(old.line().await, "ADDED b");
}

#[tokio::test]
async fn shapes() {
    let server = start().await;
    server.post(PODS, pod("a")).await;
    let get = async |accept: &str, path: &str| server.send("GET", path, &[("accept", accept)], "").await;
    let table = get("application/json;as=Table;v=v1;g=meta.k8s.io", PODS).await.json();
    assert_eq!(table["kind"], json!("Table"));
    assert_eq!(table["columnDefinitions"][0]["name"], json!("Name"));
    assert_eq!(table["rows"][0]["cells"][0], json!("a"));
    assert_eq!(table["rows"][0]["object"]["kind"], json!("PartialObjectMetadata"));
    let accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let partial = get(accept, PODS).await.json();
    assert_eq!(partial["kind"], json!("PartialObjectMetadataList"));
    assert_eq!(partial["items"][0]["spec"], json!(null));
    assert_eq!(partial["items"][0]["metadata"]["name"], json!("a"));
    let yaml = get("application/yaml", &format!("{PODS}/a")).await;
    assert_eq!(yaml.headers["content-type"], "application/yaml");
    assert!(yaml.text.contains("\n  name: a\n"), "{}", yaml.text);
    let pretty = get("application/json", &format!("{PODS}/a?pretty=true")).await;
    assert!(pretty.text.starts_with("{\n  \"apiVersion\""), "{}", pretty.text);
    let discovery =
        get("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "/apis").await;
    assert_eq!(discovery.json()["kind"], json!("APIGroupDiscoveryList"));
    let etag = discovery.headers["etag"].to_str().unwrap().to_owned();
    let accept = ("accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    assert_eq!(server.send("GET", "/apis", &[accept, ("if-none-match", &etag)], "").await.code, 304);
    assert_eq!(server.get("/apis/apps/v1").await.json()["kind"], json!("APIResourceList"));
}

#[tokio::test]
async fn documents() {
    let server = start().await;
    let index = server.get("/openapi/v3").await.json();
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let apps = server.get(&url).await.json();
    assert_eq!(apps["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"]["type"], json!("object"));
    assert_eq!(server.get("/openapi/v3/apis/apps/v1?hash=OLD").await.code, 301);
    let metrics = server.get("/openapi/v3/apis/metrics.k8s.io/v1beta1").await.json();
    let node = &metrics["components"]["schemas"]["io.k8s.metrics.pkg.apis.metrics.v1beta1.NodeMetrics"];
    assert_eq!(node["description"], json!("NodeMetrics sets resource usage metrics of a node."));
    let read = &metrics["paths"]["/apis/metrics.k8s.io/v1beta1/nodes/{name}"];
    assert_eq!(read["get"]["operationId"], json!("readMetricsV1beta1NodeMetrics"));
    assert_eq!(read["parameters"][0]["name"], json!("name"));
    dangling(&metrics, &metrics["components"]["schemas"]);
    assert_eq!(server.get("/openapi/v2").await.json()["swagger"], json!("2.0"));
    assert_eq!(server.get("/version").await.json()["minor"], json!("37"));
    let metrics = server.get("/metrics").await.text;
    assert!(metrics.contains("apiserver_request_total{code=\"200\",component=\"apiserver\""), "{metrics}");
    let anonymous = server.send_as(None, "GET", "/metrics", &[], "").await;
    assert_eq!(anonymous.code, 403);
}

#[tokio::test]
async fn large_answers_are_compressed_for_who_reads_that() {
    let server = start().await;
    let mut large = config_map("large");
    large["data"]["k"] = json!("x".repeat(200_000));
    server.post(CMS, large).await;
    server.post(CMS, config_map("small")).await;
    let get = async |path: &str, encoding: &str| {
        let headers: &[(&str, &str)] = &[("accept-encoding", encoding)];
        let identity = Some(server.admin());
        server.request(identity, "GET", path, headers, "").await
    };
    let response = get(&format!("{CMS}/large"), "br, gzip").await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let bytes = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut text).unwrap();
    assert_eq!(text, server.get(&format!("{CMS}/large")).await.text);
    assert!(bytes.len() < 20_000);
    assert!(get(&format!("{CMS}/small"), "gzip").await.headers().get("content-encoding").is_none());
    assert!(get(&format!("{CMS}/large"), "identity").await.headers().get("content-encoding").is_none());
}

/// Every reference leads somewhere.
fn dangling(value: &Value, schemas: &Value) {
    match value {
        Value::Object(map) => {
            if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                let name = reference.trim_start_matches("#/components/schemas/");
                assert!(schemas.get(name).is_some(), "{reference} leads nowhere");
            }
            map.values().for_each(|value| dangling(value, schemas));
        }
        Value::Array(list) => list.iter().for_each(|value| dangling(value, schemas)),
        _ => {}
    }
}
