//! The fake behind real TLS and HTTP, for tests of the HTTPS transport and of components over it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::{Gvr, Status};
use bytes::Bytes;
use futures::StreamExt;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pki::ca::{Ca, Template};
use pki::tls::LiveIdentity;
use stdx::clock::{Clock, SystemClock};
use stdx::{Random, Tasks};
use tokio_rustls::TlsAcceptor;

use super::FakeApi;
use crate::https::{Credential, HttpsConfig, HttpsTransport};
use crate::transport::{Options, PatchType, Request, Transport, Verb, WatchEvent};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A listening fake.
pub struct Wire {
    pub address: SocketAddr,
    pub ca_pem: String,
    pub client: pki::Identity,
}

impl FakeApi {
    /// Serves on a free port of the loopback until `tasks` stops. Each watch event comes `delay` late.
    pub async fn serve(&self, tasks: &Tasks, delay: Duration) -> Wire {
        let now = SystemClock.now();
        let (ca, _) = Ca::create("fake", now).expect("a CA");
        let server = ca.issue(&Template::server("fake", ["127.0.0.1"]), now).expect("a certificate");
        let client = ca.issue(&Template::client("tester", "testers"), now).expect("a certificate");
        let live = Arc::new(LiveIdentity::new(&server).expect("an identity"));
        let tls = TlsAcceptor::from(Arc::new(pki::tls::server_config(live).expect("a TLS config")));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (api, connections) = (self.clone(), tasks.clone());
        tasks.spawn_until_shutdown(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (api, tls) = (api.clone(), tls.clone());
                connections.spawn_until_shutdown(async move {
                    let Ok(stream) = tls.accept(tcp).await else { return };
                    let service = service_fn(move |request| answer(api.clone(), request, delay));
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    // A client that hangs up is no failure of the test.
                    drop(server.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Wire { address, ca_pem: ca.cert_pem().to_owned(), client }
    }
}

impl Wire {
    /// A transport to it, with a client certificate.
    pub fn transport(&self, tasks: &Tasks) -> HttpsTransport {
        let identity = LiveIdentity::new(&self.client).expect("an identity");
        let config = HttpsConfig {
            server: format!("https://{}", self.address).parse().expect("a URI"),
            ca: self.ca_pem.clone(),
            server_name: None,
            identity: Some(Arc::new(identity)),
            credential: Credential::None,
            user_agent: "test".into(),
        };
        HttpsTransport::new(config, SystemClock::shared(), Random::seeded(1), tasks.clone())
            .expect("a transport")
    }
}

async fn answer(
    api: FakeApi,
    request: http::Request<Incoming>,
    delay: Duration,
) -> Result<http::Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    let query = query(head.uri.query().unwrap_or_default());
    let Some(request) = parse(&head, &query, body) else {
        return Ok(failure(&Status::failure(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )));
    };
    if query.get("watch").is_some_and(|w| w == "true") {
        return Ok(match api.watch(&request.gvr, &request.namespace, &request.options).await {
            Ok(events) => watch(events, delay),
            Err(status) => failure(&status),
        });
    }
    Ok(match api.send(request).await {
        Ok(json) => respond(StatusCode::OK, json),
        Err(status) => failure(&status),
    })
}

fn respond(code: StatusCode, json: Bytes) -> http::Response<Body> {
    let body = Full::new(json).boxed_unsync();
    http::Response::builder().status(code).body(body).expect("a response")
}

fn failure(status: &Status) -> http::Response<Body> {
    let code = StatusCode::from_u16(status.code).expect("a code");
    respond(code, serde_json::to_vec(status).expect("JSON").into())
}

fn watch(events: futures::stream::BoxStream<'static, WatchEvent>, delay: Duration) -> http::Response<Body> {
    let frames = events.then(move |event| async move {
        if !delay.is_zero() {
            SystemClock.sleep(delay).await;
        }
        let (kind, object) = match event {
            WatchEvent::Added(json) => ("ADDED", json),
            WatchEvent::Modified(json) => ("MODIFIED", json),
            WatchEvent::Deleted(json) => ("DELETED", json),
            WatchEvent::Bookmark(json) => ("BOOKMARK", json),
            WatchEvent::Error(status) => ("ERROR", serde_json::to_vec(&status).expect("JSON").into()),
        };
        let head = format!("{{\"type\":\"{kind}\",\"object\":");
        let line = [head.as_bytes(), &object, b"}\n"].concat();
        Ok::<_, Infallible>(Frame::data(Bytes::from(line)))
    });
    http::Response::new(StreamBody::new(frames).boxed_unsync())
}

fn query(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (unescape(name), unescape(value))).collect()
}

fn unescape(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let hex: String = bytes.by_ref().take(2).map(char::from).collect();
                out.push(u8::from_str_radix(&hex, 16).expect("an escape"));
            }
            byte => out.push(byte),
        }
    }
    String::from_utf8(out).expect("UTF-8")
}

fn parse(head: &http::request::Parts, query: &HashMap<String, String>, body: Bytes) -> Option<Request> {
    let segments: Vec<String> = head.uri.path().split('/').skip(1).map(unescape).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (gv, rest) = match segments[..] {
        ["api", version, ref rest @ ..] => (("", version), rest),
        ["apis", group, version, ref rest @ ..] => ((group, version), rest),
        _ => return None,
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, resource, ..] if !matches!(*resource, "status" | "finalize") => {
            (*namespace, &rest[2..])
        }
        rest => ("", rest),
    };
    let (resource, name, subresource) = match rest {
        [resource] => (*resource, "", ""),
        [resource, name] => (*resource, *name, ""),
        [resource, name, subresource] => (*resource, *name, *subresource),
        _ => return None,
    };
    let get = |name: &str| query.get(name).cloned().unwrap_or_default();
    let patch_type = [PatchType::Json, PatchType::Merge, PatchType::Strategic, PatchType::Apply]
        .into_iter()
        .find(|p| head.headers.get(http::header::CONTENT_TYPE).is_some_and(|t| t == p.content_type()));
    let verb = match (&head.method, name) {
        (&Method::GET, "") => Verb::List,
        (&Method::GET, _) => Verb::Get,
        (&Method::POST, _) => Verb::Create,
        (&Method::PUT, _) => Verb::Update,
        (&Method::PATCH, _) => Verb::Patch,
        (&Method::DELETE, "") => Verb::DeleteCollection,
        (&Method::DELETE, _) => Verb::Delete,
        _ => return None,
    };
    Some(Request {
        verb,
        gvr: Gvr::new(gv.0, gv.1, resource),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        subresource: subresource.to_owned(),
        body,
        options: Options {
            patch_type,
            label_selector: get("labelSelector"),
            field_selector: get("fieldSelector"),
            resource_version: get("resourceVersion"),
            ..Options::default()
        },
    })
}
