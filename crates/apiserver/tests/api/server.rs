//! A server for one test, and the client that speaks to it.

use std::sync::Arc;

use apiserver::local::Loopback;
use apiserver::{Api, Config, KubeletProxy};
use auth::authn::X509;
use auth::authz::Rbac;
use auth::{Authentication, Authorization};
use client::Transport;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use pki::{LiveIdentity, Pki, Template};
use registry::{NODE_PORTS, Registry, ServiceConfig};
use resources::Gate;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use stdx::{Random, SystemClock, Tasks};
use storage::{MemoryEngine, Store, StoreConfig};

/// Stops with the test.
pub struct Server {
    pub api: Arc<Api>,
    address: std::net::SocketAddr,
    ca: String,
    admin: Arc<LiveIdentity>,
    pki: Pki,
    tasks: Tasks,
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.signal();
    }
}

/// What came back.
pub struct Answer {
    pub code: u16,
    pub headers: http::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
}

pub async fn start() -> Server {
    start_with(&[]).await
}

/// As [`start`], with the kinds behind these gates.
pub async fn start_with(gates: &[Gate]) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let (clock, random, tasks) = (SystemClock::shared(), Random::seeded(7), Tasks::new());
    let pki = Pki::load_or_create(dir.path(), clock.clone()).unwrap();
    let store =
        Store::open(Arc::new(MemoryEngine::new()), StoreConfig::new(clock.clone()), &tasks).await.unwrap();
    let services = ServiceConfig { cidrs: vec!["10.96.0.0/24".parse().unwrap()], node_ports: NODE_PORTS };
    let resources = resources::table::served(gates);
    let opened = Registry::open(&store, resources, Some(services), clock.clone(), random.clone()).await;
    let registry = opened.unwrap();
    let loopback: Arc<dyn Transport> = Arc::new(Loopback::new(registry.clone()));
    let rbac = Rbac::start(&*loopback, &tasks);
    rbac.synced().await;
    let x509 = X509::new(pki.ca.cert_pem(), clock.clone()).unwrap();
    let live = |t: Template| Arc::new(LiveIdentity::new(&pki.ca.issue(&t, clock.now()).unwrap()).unwrap());
    let admin = live(Template::client("admin", "system:masters"));
    let kubelets = pki::tls::client_config(pki.ca.cert_pem(), Some(admin.clone())).unwrap();
    let api = Api::new(Config {
        registry,
        authenticator: Arc::new(Authentication::new(Some(x509), Vec::new(), Vec::new(), true)),
        authorizer: Arc::new(Authorization { rbac: Some(rbac), ..Authorization::default() }),
        virtuals: Vec::new(),
        node_proxy: Arc::new(KubeletProxy::new(Arc::new(kubelets), clock.clone(), tasks.clone())),
        checks: Vec::new(),
        advertised: "127.0.0.1:6443".into(),
        clock: clock.clone(),
        random,
        tasks: tasks.clone(),
    });
    let identity = live(Template::server("kube-apiserver", ["127.0.0.1"]));
    let tls = Arc::new(pki::tls::server_config(identity).unwrap());
    let address = apiserver::listen(api.clone(), ([127, 0, 0, 1], 0).into(), tls, &tasks).await.unwrap();
    let server = Server { api, address, ca: pki.ca.cert_pem().to_owned(), admin, pki, tasks, _dir: dir };
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}});
    assert_eq!(server.post("/api/v1/namespaces", namespace).await.code, 201);
    server
}

impl Server {
    /// As the administrator, with a JSON body.
    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], &body.to_string()).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, &[("content-type", "application/json")], &body.to_string()).await
    }

    pub async fn patch(&self, path: &str, kind: &str, body: Value) -> Answer {
        let kind = format!("application/{kind}+json");
        self.send("PATCH", path, &[("content-type", &kind)], &body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], "").await
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.send_as(Some(self.admin.clone()), method, path, headers, body).await
    }

    /// With another identity, or none.
    pub async fn send_as(
        &self,
        identity: Option<Arc<LiveIdentity>>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let response = self.request(identity, method, path, headers, body).await;
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { code: head.status.as_u16(), headers: head.headers, text }
    }

    pub fn admin(&self) -> Arc<LiveIdentity> {
        self.admin.clone()
    }

    /// Who vouches for certificates.
    pub fn ca(&self) -> &pki::Ca {
        &self.pki.ca
    }

    /// A certificate of the cluster's CA.
    pub fn identity(&self, name: &str, group: &str) -> Arc<LiveIdentity> {
        let template = Template::client(name, group);
        let issued = self.pki.ca.issue(&template, jiff_now(&self.api)).unwrap();
        Arc::new(LiveIdentity::new(&issued).unwrap())
    }

    /// Settings of another TLS server, with a certificate of the cluster's CA.
    pub fn tls(&self, name: &str) -> rustls::ServerConfig {
        let issued = self.pki.ca.issue(&Template::server(name, [name]), jiff_now(&self.api)).unwrap();
        let mut config = pki::tls::server_config(Arc::new(LiveIdentity::new(&issued).unwrap())).unwrap();
        config.alpn_protocols.clear();
        config
    }

    /// The response as it is, for what follows a 101.
    pub async fn upgrade(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> http::Response<hyper::body::Incoming> {
        self.request(Some(self.admin.clone()), method, path, headers, "").await
    }

    /// A watch: the response whose body goes on.
    pub async fn watch(&self, path: &str) -> Watch {
        let response = self.request(Some(self.admin.clone()), "GET", path, &[], "").await;
        assert_eq!(response.status(), 200);
        Watch { body: response.into_body(), rest: Vec::new() }
    }

    pub async fn request(
        &self,
        identity: Option<Arc<LiveIdentity>>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> http::Response<hyper::body::Incoming> {
        let mut sender = self.connect(identity).await;
        let mut request = http::Request::builder().method(method).uri(path).header("host", "test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        sender.send_request(request.body(Full::new(body.to_owned().into())).unwrap()).await.unwrap()
    }

    async fn connect(&self, identity: Option<Arc<LiveIdentity>>) -> SendRequest<Full<bytes::Bytes>> {
        let config = Arc::new(pki::tls::client_config(&self.ca, identity).unwrap());
        let stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::IpAddress(self.address.ip().into());
        let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        self.tasks.spawn_until_shutdown(async move { drop(connection.with_upgrades().await) });
        sender
    }
}

fn jiff_now(api: &Api) -> jiff::Timestamp {
    api.clock.now()
}

/// The events of a watch, as `TYPE name`.
pub struct Watch {
    body: hyper::body::Incoming,
    rest: Vec<u8>,
}

impl Watch {
    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = self.body.frame().await?.unwrap();
            self.rest.extend_from_slice(&frame.into_data().unwrap());
        }
    }

    pub async fn line(&mut self) -> String {
        match self.next().await {
            None => "end".into(),
            Some(event) => {
                let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                format!("{} {name}", event["type"].as_str().unwrap_or_default())
            }
        }
    }
}

pub fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}})
}

pub fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "nginx"}]},
    })
}
