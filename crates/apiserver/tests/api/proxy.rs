//! Logs and streams through the API server, from a kubelet that only pretends.

use std::sync::Arc;

use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::server::{Server, pod, start};

const PODS: &str = "/api/v1/namespaces/default/pods";

async fn kubelet(
    mut request: Request<Incoming>,
) -> Result<Response<Full<bytes::Bytes>>, std::convert::Infallible> {
    let path = request.uri().to_string();
    if path.starts_with("/containerLogs/default/p/c?tailLines=0") {
        let waiting = "container \"c\" in pod \"p\" is waiting to start: ContainerCreating\n";
        let mut response = Response::new(Full::from(waiting));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    }
    if path.starts_with("/exec/") {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            let mut word = [0; 4];
            stream.read_exact(&mut word).await.unwrap();
            stream.write_all(&word).await.unwrap();
            stream.write_all(path.as_bytes()).await.unwrap();
        });
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert(header::UPGRADE, "SPDY/3.1".parse().unwrap());
        response.headers_mut().insert(header::CONNECTION, "Upgrade".parse().unwrap());
        return Ok(response);
    }
    Ok(Response::new(Full::from(path)))
}

/// A server with pod `p` bound to a node whose kubelet is the one above.
async fn with_kubelet() -> Server {
    let server = start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server.tls("127.0.0.1")));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await.unwrap();
                let serving = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(kubelet));
                drop(serving.with_upgrades().await);
            });
        }
    });
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}});
    assert_eq!(server.post("/api/v1/nodes", node).await.code, 201);
    let status = json!({"status": {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }});
    assert_eq!(server.patch("/api/v1/nodes/n/status", "strategic-merge-patch", status).await.code, 200);
    server.post(PODS, pod("p")).await;
    assert_eq!(server.get(&format!("{PODS}/p/log")).await.code, 204);
    let binding =
        json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"name": "n"}});
    assert_eq!(server.post(&format!("{PODS}/p/binding"), binding).await.code, 201);
    server
}

#[tokio::test]
async fn logs() {
    let server = with_kubelet().await;
    let log = server.get(&format!("{PODS}/p/log?follow=true&tailLines=5&sinceSeconds=9")).await;
    let expected = "/containerLogs/default/p/c?follow=true&sinceSeconds=9&tailLines=5";
    assert_eq!((log.code, &*log.text), (200, expected));
    assert_eq!(log.headers["content-type"], "text/plain");
    let waiting = server.get(&format!("{PODS}/p/log?tailLines=0")).await;
    let words = "container \"c\" in pod \"p\" is waiting to start: ContainerCreating";
    assert_eq!((waiting.code, &*waiting.message()), (400, words));
    let missing = server.get(&format!("{PODS}/q/log")).await;
    assert_eq!((missing.code, &*missing.message()), (404, "pods \"q\" not found"));
    let node = server.get("/api/v1/nodes/n/proxy/metrics/cadvisor?x=y").await;
    assert_eq!(&*node.text, "/metrics/cadvisor?x=y");
}

/// What a browser would send to get its answer in messages.
const WEBSOCKET: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

#[tokio::test]
async fn logs_and_watches_over_a_websocket() {
    let server = with_kubelet().await;
    let log = format!("{PODS}/p/log");
    // No protocol, then the two there are: a first byte that says binary or text, a length, the log; then the farewell.
    for (protocol, first, expected) in [
        (None, 0x82, "/containerLogs/default/p/c"),
        (Some("binary.k8s.io"), 0x82, "/containerLogs/default/p/c"),
        (Some("base64.binary.k8s.io"), 0x81, "L2NvbnRhaW5lckxvZ3MvZGVmYXVsdC9wL2M="),
    ] {
        let mut headers = WEBSOCKET.to_vec();
        headers.extend(protocol.map(|p| ("sec-websocket-protocol", p)));
        let response = server.upgrade("GET", &log, &headers).await;
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers().get("sec-websocket-protocol").map(|v| v.to_str().unwrap()), protocol);
        let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        let mut sent = vec![0; 2 + expected.len() + 4];
        stream.read_exact(&mut sent).await.unwrap();
        let whole = [&[first, expected.len() as u8], expected.as_bytes(), &[0x88, 2, 0x03, 0xe8]].concat();
        assert_eq!(sent, whole);
    }
    let refused = [&WEBSOCKET[..], &[("sec-websocket-protocol", "v4.channel.k8s.io")]].concat();
    assert_eq!(server.upgrade("GET", &log, &refused).await.status(), 403);
    assert_eq!(server.upgrade("GET", &format!("{PODS}/q/log"), &WEBSOCKET).await.status(), 404);

    let response = server.upgrade("GET", &format!("{PODS}?watch=1"), &WEBSOCKET).await;
    assert_eq!(response.status(), 101);
    let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[..2], [0x81, 126]);
    let mut event = vec![0; u16::from_be_bytes([head[2], head[3]]).into()];
    stream.read_exact(&mut event).await.unwrap();
    let event: serde_json::Value = serde_json::from_slice(&event).unwrap();
    assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("p")));
}

#[tokio::test]
async fn an_upgrade_goes_through() {
    let server = with_kubelet().await;
    let path = format!("{PODS}/p/exec?command=ls&command=-l&stdin=true&tty=true&stderr=false");
    let headers = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];
    let response = server.upgrade("POST", &path, &headers).await;
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["upgrade"], "SPDY/3.1");
    let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    stream.write_all(b"ping").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "ping/exec/default/p/c?input=1&output=1&tty=1&command=ls&command=-l");
}

/// A pod's own server: pages with links, and an echo behind an upgrade.
async fn backend(
    mut request: Request<Incoming>,
) -> Result<Response<Full<bytes::Bytes>>, std::convert::Infallible> {
    if request.headers().contains_key(header::UPGRADE) {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            let mut word = [0; 4];
            stream.read_exact(&mut word).await.unwrap();
            stream.write_all(&word).await.unwrap();
        });
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert(header::UPGRADE, "websocket".parse().unwrap());
        response.headers_mut().insert(header::CONNECTION, "Upgrade".parse().unwrap());
        return Ok(response);
    }
    let path = request.uri().to_string();
    let mut response = Response::new(Full::from(match &*path {
        "/page" => "<a href=\"/rewriteme\">test</a>".to_owned(),
        path => format!("{} {path}", request.method()),
    }));
    if path == "/page" {
        response.headers_mut().insert(header::CONTENT_TYPE, "text/html".parse().unwrap());
    }
    if path == "/moved" {
        response.headers_mut().insert(header::LOCATION, "/there".parse().unwrap());
        *response.status_mut() = StatusCode::FOUND;
    }
    Ok(response)
}

/// An address of this machine that is no loopback one; without any there is nothing to test.
fn own_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: only the route is looked up.
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

#[tokio::test]
async fn to_pods_and_services() {
    let Some(ip) = own_address() else { return };
    let server = start().await;
    let listener = tokio::net::TcpListener::bind((ip, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(backend));
            tokio::spawn(serving.with_upgrades());
        }
    });
    server.post(PODS, pod("p")).await;
    let unready = server.get(&format!("{PODS}/p/proxy/x")).await;
    assert_eq!((unready.code, &*unready.message()), (400, "address not allowed"));
    let status = json!({"status": {"podIP": ip.to_string(), "podIPs": [{"ip": ip.to_string()}]}});
    assert_eq!(server.patch(&format!("{PODS}/p/status"), "merge-patch", status).await.code, 200);
    let base = format!("{PODS}/p:{port}/proxy");
    let moved = server.get(&format!("{base}?a=b")).await;
    assert_eq!((moved.code, moved.headers["location"].to_str().unwrap()), (301, &*format!("{base}/?a=b")));
    assert_eq!(server.get(&format!("{base}/")).await.text, "GET /");
    assert_eq!(server.get(&format!("{base}/a%2Fb/?x=y%20z")).await.text, "GET /a%2Fb/?x=y%20z");
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        assert_eq!(server.send(method, &format!("{base}/m"), &[], "").await.text, format!("{method} /m"));
    }
    assert_eq!(
        server.get(&format!("{base}/page")).await.text,
        format!("<a href=\"{base}/rewriteme\">test</a>")
    );
    let elsewhere = server.get(&format!("{base}/moved")).await;
    assert_eq!(elsewhere.headers["location"].to_str().unwrap(), format!("{base}/there"));
    let headers = [("connection", "Upgrade"), ("upgrade", "websocket")];
    let response = server.upgrade("GET", &format!("{base}/up"), &headers).await;
    assert_eq!(response.status(), 101);
    let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    stream.write_all(b"ping").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "ping");

    const SERVICES: &str = "/api/v1/namespaces/default/services";
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"ports": [{"name": "web", "port": 80, "targetPort": port}]},
    });
    assert_eq!(server.post(SERVICES, service).await.code, 201);
    let none = server.get(&format!("{SERVICES}/s:web/proxy/")).await;
    assert_eq!((none.code, &*none.message()), (503, "no endpoints available for service \"s\""));
    let endpoints = |target: &str| {
        json!({
            "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "s"},
            "subsets": [{
                "addresses": [{"ip": ip.to_string(), "targetRef": {"kind": "Pod", "name": target, "namespace": "default"}}],
                "ports": [{"name": "web", "port": port}],
            }],
        })
    };
    const ENDPOINTS: &str = "/api/v1/namespaces/default/endpoints";
    assert_eq!(server.post(ENDPOINTS, endpoints("nobody")).await.code, 201);
    assert_eq!(server.get(&format!("{SERVICES}/s:web/proxy/")).await.code, 503);
    assert_eq!(server.put(&format!("{ENDPOINTS}/s"), endpoints("p")).await.code, 200);
    for id in ["s:web", "s:80", "http:s:web"] {
        assert_eq!(server.get(&format!("{SERVICES}/{id}/proxy/x?y=z")).await.text, "GET /x?y=z", "{id}");
    }
    let wrong = server.get(&format!("{SERVICES}/s:81/proxy/")).await;
    assert_eq!((wrong.code, &*wrong.message()), (503, "no service port 81 found for service \"s\""));
    let bad = server.get(&format!("{SERVICES}/a:b:c:d/proxy/")).await;
    assert_eq!((bad.code, &*bad.message()), (400, "invalid service request \"a:b:c:d\""));
}
