use auth::authn::{Authenticator, Credentials, UserInfo};
use auth::authz::{Attributes, Authorizer, Decision};
use http_body_util::Empty;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::probes::http::tls;
use crate::testing::{World, pod};

/// Tokens are names; `admin` may do everything, `reader` only get nodes/stats.
struct ByName;

#[async_trait]
impl Authenticator for ByName {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Option<UserInfo>, String> {
        match credentials.token.as_deref() {
            None => Ok(None),
            Some("bad") => Err("bad token".into()),
            Some(name) => Ok(Some(UserInfo::new(name, &[]))),
        }
    }
}

#[async_trait]
impl Authorizer for ByName {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        match (attributes.user.name.as_str(), attributes.subresource.as_str()) {
            ("admin", _) | ("reader", "stats") => Decision::Allow(String::new()),
            _ => Decision::NoOpinion(String::new()),
        }
    }
}

async fn world() -> (World, std::net::SocketAddr) {
    let mut w = World::without_kubelet();
    let key = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![key.cert.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into()),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut config = w.config();
    config.server = Some(ServerConfig {
        listener,
        plain: Vec::new(),
        tls: Arc::new(server),
        authenticator: Arc::new(ByName),
        authorizer: Arc::new(ByName),
        streaming: None,
    });
    w.start_with(config).await;
    (w, address)
}

async fn get(address: std::net::SocketAddr, token: Option<&str>, path: &str) -> (u16, String) {
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = tls("localhost", stream, &[]).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut request = Request::get(path).header("host", "localhost").header("connection", "close");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let exchange = async {
        let response = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        let code = response.status().as_u16();
        (code, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
    };
    tokio::select! {
        answer = exchange => answer,
        _ = async { let _ = connection.await; std::future::pending::<()>().await } => unreachable!(),
    }
}

#[tokio::test]
async fn only_those_who_may_are_answered() {
    let (_w, address) = world().await;
    assert_eq!(get(address, None, "/healthz").await, (401, "Unauthorized".into()));
    assert_eq!(get(address, Some("bad"), "/healthz").await.0, 401);
    assert_eq!(get(address, Some("admin"), "/healthz").await, (200, "ok".into()));
    let (code, text) = get(address, Some("reader"), "/pods").await;
    assert_eq!(code, 403);
    assert_eq!(text, "Forbidden (user=reader, verb=get, resource=nodes, subresource(s)=[pods proxy])");
    assert_eq!(get(address, Some("reader"), "/stats/summary").await.0, 200);
    assert_eq!(get(address, Some("admin"), "/nothing").await.0, 404);
    let (code, text) = get(address, Some("admin"), "/exec/default/p/c?command=ls").await;
    assert_eq!(code, 501);
    assert!(text.contains("\"reason\":\"NotImplemented\""), "{text}");
}

#[tokio::test]
async fn logs_are_served() {
    let (w, address) = world().await;
    let _held = w.runtime.hold_pull("slow:latest");
    w.api.insert(&pod("p", json!({"containers": [{"name": "c", "image": "a"}]})));
    w.api.insert(&pod("waits", json!({"containers": [{"name": "c", "image": "slow"}]})));
    w.until_pod("p", "Running: c=running,ready").await;
    w.until_pod("waits", "Pending: c=ContainerCreating").await;
    let first = w.container("c");
    w.runtime.write_log(&first, "stdout", "hello");
    w.runtime.write_log(&first, "stderr", "world");
    let logs = "/containerLogs/default/p/c";
    assert_eq!(get(address, Some("admin"), logs).await, (200, "hello\nworld\n".into()));
    assert_eq!(get(address, Some("admin"), &format!("{logs}?tailLines=1")).await, (200, "world\n".into()));
    assert_eq!(get(address, Some("admin"), &format!("{logs}?stream=Stdout")).await, (200, "hello\n".into()));
    assert_eq!(
        get(address, Some("admin"), &format!("{logs}?previous=true")).await,
        (400, "previous terminated container \"c\" in pod \"p\" not found".into())
    );
    assert_eq!(get(address, Some("admin"), &format!("{logs}?tailLines=-1")).await.0, 400);
    assert_eq!(
        get(address, Some("admin"), "/containerLogs/default/waits/c").await,
        (400, "container \"c\" in pod \"waits\" is waiting to start: ContainerCreating".into())
    );
    assert_eq!(
        get(address, Some("admin"), "/containerLogs/default/p/x").await,
        (404, "container \"x\" not found in pod \"p\"\n".into())
    );
    assert_eq!(
        get(address, Some("admin"), "/containerLogs/default/none/c").await,
        (404, "pod \"none\" does not exist\n".into())
    );
    w.runtime.exit(&first, 1);
    w.until_pod("p", "Running: c=running,ready,restarts=1").await;
    w.runtime.write_log(&w.container("c"), "stdout", "again");
    assert_eq!(get(address, Some("admin"), logs).await, (200, "again\n".into()));
    assert_eq!(
        get(address, Some("admin"), &format!("{logs}?previous=true")).await,
        (200, "hello\nworld\n".into())
    );
    // Following ends with the container.
    let follow = format!("{logs}?follow=true");
    let (answer, ()) = tokio::join!(get(address, Some("admin"), &follow), async {
        w.runtime.write_log(&w.container("c"), "stdout", "more");
        w.runtime.exit(&w.container("c"), 0);
    });
    assert_eq!(answer, (200, "again\nmore\n".into()));
}
