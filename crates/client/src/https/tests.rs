use std::path::Path;
use std::time::Duration;

use apimachinery::ObjectKey;
use bytes::BytesMut;
use codec::Kind;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use pki::Kubeconfig;
use stdx::{SystemClock, Tasks};

use super::*;
use crate::Informer;
use crate::api::Api;
use crate::fake::FakeApi;

fn map(name: &str) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.name = Some(name.into());
    map.metadata.namespace = Some("ns".into());
    map
}

/// Waits, by the view's own events, until it shows exactly these.
async fn shows(informer: &Informer<ConfigMap>, names: &[&str]) {
    use futures::StreamExt;
    let mut changes = informer.subscribe();
    loop {
        let shown: Vec<_> = informer.objects("").iter().map(|o| o.key.name.to_string()).collect();
        if shown == names {
            return;
        }
        changes.next().await.expect("a change");
    }
}

#[tokio::test]
async fn requests_go_there_and_answers_come_back() {
    let (api, tasks) = (FakeApi::new(SystemClock::shared()), Tasks::new());
    let wire = api.serve(&tasks, Duration::ZERO).await;
    let maps = Api::<ConfigMap>::new(Arc::new(wire.transport(&tasks)));
    let created = maps.create(&map("a b/c%")).await.expect("created");
    assert_eq!(maps.get("ns", "a b/c%").await.expect("there").uid(), created.uid());
    let missing = maps.get("ns", "x").await.expect_err("nothing there");
    assert_eq!((missing.code, missing.message.as_str()), (404, "configmaps \"x\" not found"));
    let stale = ConfigMap { metadata: created.metadata.clone(), ..ConfigMap::default() };
    let patch = serde_json::json!({"data": {"k": "v"}});
    maps.patch("ns", "a b/c%", crate::PatchType::Merge, &patch).await.expect("patched");
    assert!(maps.update(&stale).await.expect_err("stale").is_conflict());
    assert_eq!(maps.list("", &Options::default()).await.expect("a list").items.len(), 1);
    maps.delete("ns", "a b/c%", &crate::DeleteOptions::default()).await.expect("deleted");
    tasks.stop().await;
}

#[tokio::test]
async fn a_mirror_follows_resumes_and_relists() {
    let (api, tasks) = (FakeApi::new(SystemClock::shared()), Tasks::new());
    let wire = api.serve(&tasks, Duration::ZERO).await;
    let transport = wire.transport(&tasks);
    api.insert(&map("a"));
    let informer = Informer::<ConfigMap>::all(&transport);
    informer.synced().await;
    shows(&informer, &["a"]).await;
    assert_eq!(informer.get(&ObjectKey::new("ns", "a")).expect("decoded").name(), "a");
    api.insert(&map("b"));
    shows(&informer, &["a", "b"]).await;

    // Cut off, it goes on from the last event: what happened meanwhile is not lost.
    api.cut_watches();
    api.remove::<ConfigMap>("ns", "a");
    api.insert(&map("c"));
    shows(&informer, &["b", "c"]).await;

    // Cut off for too long, it lists again and finds the differences.
    api.remove::<ConfigMap>("ns", "b");
    api.cut_watches();
    api.insert(&map("d"));
    api.compact();
    shows(&informer, &["c", "d"]).await;
    tasks.stop().await;
}

#[tokio::test]
async fn a_server_of_another_ca_is_not_trusted() {
    let (api, tasks) = (FakeApi::new(SystemClock::shared()), Tasks::new());
    let mut wire = api.serve(&tasks, Duration::ZERO).await;
    wire.ca_pem = api.serve(&tasks, Duration::ZERO).await.ca_pem;
    let maps = Api::<ConfigMap>::new(Arc::new(wire.transport(&tasks)));
    let error = maps.get("ns", "a").await.expect_err("not trusted");
    assert_eq!(error.code, 503);
    assert!(error.message.contains("TLS handshake"), "{error}");
    tasks.stop().await;
}

#[test]
fn watch_events_are_taken_out_of_a_stream_whole() {
    let mut buffer = BytesMut::new();
    let line = br#"{"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"a\nb"}}}"#;
    for byte in line {
        buffer.extend_from_slice(&[*byte]);
        assert!(watch::take_event(&mut buffer).expect("no error").is_none());
    }
    buffer.extend_from_slice(b"\n\n{\"type\":\"BOOKMARK\",\"object\":{}}\nrest");
    let first = watch::take_event(&mut buffer).expect("no error");
    let Some(WatchEvent::Added(json)) = first else { panic!("{first:?}") };
    assert_eq!(Pod::from_json(&json).expect("a pod").name(), "a\nb");
    assert!(matches!(watch::take_event(&mut buffer), Ok(Some(WatchEvent::Bookmark(_)))));
    assert!(matches!(watch::take_event(&mut buffer), Ok(None)));
    assert_eq!(&buffer[..], b"rest");
    for bad in ["[]\n", "{\"type\":\"NEW\",\"object\":{}}\n", "{\"type\"\n"] {
        assert!(watch::take_event(&mut BytesMut::from(bad)).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn kubeconfigs_embedded_and_by_file() {
    let (api, tasks) = (FakeApi::new(SystemClock::shared()), Tasks::new());
    let wire = api.serve(&tasks, Duration::ZERO).await;
    let server = format!("https://{}", wire.address);
    let written = Kubeconfig { name: "k", server: &server, ca_pem: &wire.ca_pem, identity: &wire.client };
    let loaded = kubeconfig::parse(&written.render(), Path::new("/"), "test").expect("loaded");
    assert_eq!(loaded.namespace, "default");
    let random = Random::seeded(1);
    let transport = HttpsTransport::new(loaded.config, SystemClock::shared(), random, tasks.clone())
        .expect("a transport");
    let maps = Api::<ConfigMap>::new(Arc::new(transport));
    maps.create(&map("a")).await.expect("created");
    tasks.stop().await;
}

#[test]
fn kubeconfigs_that_cannot_work_are_refused() {
    let check = |user: &str, cluster: &str, expected: &str| {
        let text = format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
             clusters: [{{name: k, cluster: {{{cluster}}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n"
        );
        let error = kubeconfig::parse(&text, Path::new("/"), "test").err().expect("refused");
        assert!(format!("{error:#}").contains(expected), "{error:#} does not contain {expected:?}");
    };
    check("", "server: 'https://x'", "no certificate-authority");
    check(
        "",
        "server: 'https://x', insecure-skip-tls-verify: true",
        "insecure-skip-tls-verify is not supported",
    );
    check("exec: {command: x}", "server: 'http://x'", "exec is not supported");
    check("client-certificate-data: YQ==", "server: 'http://x'", "come only together");
    check("client-certificate: none.pem", "server: 'http://x'", "read /none.pem");
    assert!(kubeconfig::parse("{}", Path::new("/"), "test").is_err());
}
