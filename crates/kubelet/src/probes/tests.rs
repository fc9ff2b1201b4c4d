use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::prober::Outcome;
use super::*;
use crate::testing::{World, pod};

/// Answers every connection with the same bytes.
async fn server(answer: &'static str) -> (SocketAddr, Tasks) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = Tasks::new();
    tasks.spawn_until_shutdown(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, tasks)
}

fn target(address: SocketAddr) -> target::HttpTarget {
    target::HttpTarget {
        tls: false,
        host: address.ip().to_string(),
        port: address.port(),
        path: "/healthz?x=1".into(),
        headers: vec![],
    }
}

#[tokio::test]
async fn http_judges_by_the_status() {
    let ok = server("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(http::probe(&target(ok.0)).await, Outcome::Success);
    let bad = server("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(
        http::probe(&target(bad.0)).await,
        Outcome::Failure("HTTP probe failed with statuscode: 500".into())
    );
    let away =
        server("HTTP/1.1 302 Found\r\nlocation: http://other.example/\r\ncontent-length: 0\r\n\r\n").await;
    assert!(matches!(http::probe(&target(away.0)).await, Outcome::Warning(_)));
    let around = server("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n").await;
    assert!(
        matches!(http::probe(&target(around.0)).await, Outcome::Failure(e) if e.contains("10 redirects"))
    );
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let expected =
        format!("Get \"http://{closed}/healthz?x=1\": dial tcp {closed}: connect: connection refused");
    assert_eq!(http::probe(&target(closed)).await, Outcome::Failure(expected));
}

fn probed(kind: &str, probe: Value) -> k8s_openapi::api::core::v1::Pod {
    pod("p", json!({"containers": [{"name": "c", "image": "a", kind: probe}]}))
}

fn fails(w: &World) {
    let answer = cri::ExecSyncResponse { exit_code: 1, stdout: b"no".to_vec(), ..Default::default() };
    w.runtime.answer_exec("check", answer);
}

fn check() -> Value {
    json!({"exec": {"command": ["check"]}, "periodSeconds": 1, "failureThreshold": 2})
}

#[tokio::test]
async fn readiness_follows_the_probe() {
    let w = World::new().await;
    fails(&w);
    w.api.insert(&probed("readinessProbe", check()));
    w.until_pod("p", "Running: c=running").await;
    w.until("event", |w| w.events().contains("Warning Unhealthy: Readiness probe failed: no")).await;
    w.runtime.answer_exec("check", cri::ExecSyncResponse::default());
    w.until_pod("p", "Running: c=running,ready").await;
    fails(&w);
    w.until_pod("p", "Running: c=running").await;
}

#[tokio::test]
async fn a_container_that_fails_its_liveness_is_restarted() {
    let w = World::new().await;
    w.api.insert(&probed("livenessProbe", check()));
    w.until_pod("p", "Running: c=running,ready").await;
    fails(&w);
    w.until("restarted", |w| w.runtime.containers_named("c").len() > 1).await;
    w.runtime.answer_exec("check", cri::ExecSyncResponse::default());
    w.until("event", |w| {
        w.events().contains("Normal Killing: Container c failed liveness probe, will be restarted")
    })
    .await;
}

#[tokio::test]
async fn startup_comes_before_the_others() {
    let w = World::new().await;
    fails(&w);
    let mut p = probed(
        "startupProbe",
        json!({"exec": {"command": ["check"]}, "periodSeconds": 1, "failureThreshold": 1000}),
    );
    p.spec.as_mut().unwrap().containers[0].readiness_probe = None;
    w.api.insert(&p);
    w.until("probed", |w| w.events().contains("Startup probe failed: no")).await;
    let status = w.pod("p").unwrap().status.unwrap().container_statuses.unwrap().remove(0);
    assert_eq!((status.ready, status.started), (false, Some(false)));
    w.runtime.answer_exec("check", cri::ExecSyncResponse::default());
    w.until_pod("p", "Running: c=running,ready").await;
    assert_eq!(w.pod("p").unwrap().status.unwrap().container_statuses.unwrap()[0].started, Some(true));
}

/// A gRPC server whose health is `serving`.
async fn grpc_server(serving: u8) -> (SocketAddr, Tasks) {
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = Tasks::new();
    tasks.spawn_until_shutdown(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(
                move |request: ::http::Request<hyper::body::Incoming>| async move {
                    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                    let asked = request.into_body().collect().await?.to_bytes();
                    // "x" is asked for by name.
                    let known = &asked[..] == b"\0\0\0\0\x03\x0a\x01x";
                    let mut trailers = ::http::HeaderMap::new();
                    let code = if known { "0" } else { "5" };
                    trailers.insert("grpc-status", ::http::HeaderValue::from_static(code));
                    let body = Full::new(bytes::Bytes::from(vec![0, 0, 0, 0, 2, 8, serving]));
                    let body = body.with_trailers(async move { Some(Ok(trailers)) });
                    Ok::<_, hyper::Error>(::http::Response::new(body))
                },
            );
            let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        }
    });
    (address, tasks)
}

#[tokio::test]
async fn grpc_asks_for_health() {
    let healthy = grpc_server(1).await;
    let address = healthy.0.to_string();
    assert_eq!(grpc::probe(&address, "x", false).await, Outcome::Success);
    assert_eq!(
        grpc::probe(&address, "other", false).await,
        Outcome::Failure("error: health rpc probe failed: status code 5".into())
    );
    let sick = grpc_server(2).await;
    assert_eq!(
        grpc::probe(&sick.0.to_string(), "x", false).await,
        Outcome::Failure("service unhealthy (responded with \"NOT_SERVING\")".into())
    );
}
