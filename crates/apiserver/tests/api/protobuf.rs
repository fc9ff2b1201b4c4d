//! Answers in protobuf: the same objects as in JSON.

use codec::protobuf::{CONTENT_TYPE, to_json};
use http_body_util::BodyExt;
use serde_json::Value;

use super::server::{Server, config_map, start};

const CMS: &str = "/api/v1/namespaces/default/configmaps";
const ACCEPT: &[(&str, &str)] = &[("accept", "application/vnd.kubernetes.protobuf,application/json")];

/// The answer's type and its body as JSON.
async fn get(server: &Server, path: &str, accept: &str) -> (String, Value) {
    let response = server.request(Some(server.admin()), "GET", path, &[("accept", accept)], "").await;
    let of = response.headers()["content-type"].to_str().unwrap().to_owned();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let json = if of == CONTENT_TYPE { to_json(&bytes).unwrap() } else { bytes.to_vec() };
    (of, serde_json::from_slice(&json).unwrap())
}

#[tokio::test]
async fn the_same_as_in_json() {
    let server = start().await;
    server.post(CMS, config_map("a")).await;
    server.post(CMS, config_map("b")).await;
    for path in [format!("{CMS}/a"), CMS.to_owned(), format!("{CMS}/missing"), "/api/v1/namespaces".into()] {
        let (of, mut protobuf) = get(&server, &path, ACCEPT[0].1).await;
        assert_eq!(of, CONTENT_TYPE, "{path}");
        let mut json = server.get(&path).await.json();
        for value in [&mut protobuf, &mut json] {
            value["metadata"].take();
            // In protobuf the items of a list do not say their type.
            for item in value["items"].as_array_mut().into_iter().flatten() {
                let item = item.as_object_mut().unwrap();
                item.remove("kind");
                item.remove("apiVersion");
            }
        }
        assert_eq!(protobuf, json, "{path}");
    }
    // What has no protobuf form is JSON, when the client takes that.
    let table = "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json";
    assert_eq!(get(&server, CMS, table).await.0, "application/json");
}

#[tokio::test]
async fn a_watch() {
    let server = start().await;
    server.post(CMS, config_map("a")).await;
    let path = format!("{CMS}?watch=1&resourceVersion=0&timeoutSeconds=30");
    let response = server.request(Some(server.admin()), "GET", &path, ACCEPT, "").await;
    assert_eq!(response.headers()["content-type"], "application/vnd.kubernetes.protobuf;stream=watch");
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while bytes.len() < 4 || bytes.len() < 4 + u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize {
        bytes.extend_from_slice(body.frame().await.unwrap().unwrap().data_ref().unwrap());
    }
    let json = server.get(&format!("{CMS}/a")).await.json();
    let message = codec::protobuf::Message::named("", "v1", "ConfigMap").unwrap();
    let whole = message.encode(json.to_string().as_bytes()).unwrap();
    let expected = codec::protobuf::watch_frame("ADDED", &whole);
    assert_eq!(bytes.len(), expected.len());
    assert_eq!(bytes[..20], expected[..20]);
}
