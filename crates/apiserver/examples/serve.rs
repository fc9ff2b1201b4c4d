//! An API server on the memory engine: `cargo run -p apiserver --example serve -- DIR [PORT [all]]` writes DIR/kubeconfig
//! and serves until it is killed; with `all` also the kinds behind gates, which nothing enforces here.

use std::sync::Arc;

use anyhow::Context as _;
use apiserver::local::Loopback;
use apiserver::{Api, Config, KubeletProxy};
use auth::authn::X509;
use auth::authz::Rbac;
use auth::{Authentication, Authorization};
use client::Transport;
use pki::{Kubeconfig, LiveIdentity, Pki, Template};
use registry::{NODE_PORTS, Registry, ServiceConfig};
use stdx::{Random, SystemClock, Tasks};
use storage::{MemoryEngine, Store, StoreConfig};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut args = std::env::args().skip(1);
    let dir = std::path::PathBuf::from(args.next().context("usage: serve DIR [PORT]")?);
    let port: u16 = args.next().as_deref().unwrap_or("0").parse()?;
    let everything = args.next().as_deref() == Some("all");
    let behind = |r: resources::Resource| r.gate.filter(|_| everything);
    let gates: Vec<_> = resources::table::all().into_iter().filter_map(behind).collect();
    let (clock, random, tasks) = (SystemClock::shared(), Random::from_os(), Tasks::new());
    let pki = Pki::load_or_create(&dir, clock.clone())?;

    let store = Store::open(Arc::new(MemoryEngine::new()), StoreConfig::new(clock.clone()), &tasks).await?;
    let services = ServiceConfig {
        cidrs: vec!["10.96.0.0/12".parse().map_err(anyhow::Error::msg)?],
        node_ports: NODE_PORTS,
    };
    let registry = Registry::open(
        &store,
        resources::table::served(&gates),
        Some(services),
        clock.clone(),
        random.clone(),
    )
    .await?;
    let loopback: Arc<dyn Transport> = Arc::new(Loopback::new(registry.clone()));
    auth::policy::reconcile::reconcile(&loopback, &auth::policy::bootstrap()).await?;
    for namespace in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        create_namespace(&loopback, namespace).await?;
    }

    let rbac = Rbac::start(&*loopback, &tasks);
    rbac.synced().await;
    let x509 = X509::new(pki.ca.cert_pem(), clock.clone())?;
    let client = pki.live("kubelet-client", &Template::client("kube-apiserver", "system:masters"))?;
    let kubelets = pki::tls::client_config(pki.ca.cert_pem(), Some(client))?;
    let api = Api::new(Config {
        registry,
        authenticator: Arc::new(Authentication::new(Some(x509), Vec::new(), Vec::new(), true)),
        authorizer: Arc::new(Authorization { rbac: Some(rbac), ..Authorization::default() }),
        virtuals: Vec::new(),
        node_proxy: Arc::new(KubeletProxy::new(Arc::new(kubelets), clock.clone(), tasks.clone())),
        checks: Vec::new(),
        advertised: format!("127.0.0.1:{port}"),
        clock: clock.clone(),
        random,
        tasks: tasks.clone(),
    });

    let now = clock.now();
    let server =
        pki.ca.issue(&Template::server("kube-apiserver", ["127.0.0.1", "localhost", "kubernetes"]), now)?;
    let tls = pki::tls::server_config(Arc::new(LiveIdentity::new(&server)?))?;
    let bound = apiserver::listen(api, ([127, 0, 0, 1], port).into(), Arc::new(tls), &tasks).await?;
    let admin = pki.ca.issue(&Template::client("kubernetes-admin", "system:masters"), now)?;
    let url = format!("https://{bound}");
    Kubeconfig { name: "knarr", server: &url, ca_pem: pki.ca.cert_pem(), identity: &admin }
        .write(&dir.join("kubeconfig"))?;
    println!("{url}");
    tokio::signal::ctrl_c().await?;
    tasks.stop().await;
    Ok(())
}

async fn create_namespace(transport: &Arc<dyn Transport>, name: &str) -> anyhow::Result<()> {
    use client::transport::{Options, Request, Verb};
    let body = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{name}"}}}}"#);
    let request = Request {
        verb: Verb::Create,
        gvr: apimachinery::Gvr::new("", "v1", "namespaces"),
        namespace: String::new(),
        name: String::new(),
        subresource: String::new(),
        body: body.into(),
        options: Options::default(),
    };
    match transport.send(request).await {
        Err(status) if status.is_already_exists() => {}
        done => drop(done?),
    }
    Ok(())
}
