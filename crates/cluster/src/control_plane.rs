//! Store, registry, API server, controllers and scheduler of one server.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use apiserver::local::Loopback;
use apiserver::{Api, Check, KubeletProxy};
use auth::Answers;
use auth::authn::service_account::TokenConfig;
use auth::authn::{Authentication, BootstrapTokens, ServiceAccountTokens, X509};
use auth::authz::{Authorization, NodeAuthorizer, Rbac};
use client::{Api as Objects, Transport};
use controller::namespace::bootstrap as namespace;
use controller::service_cidr;
use k8s_openapi::api::core::v1::Namespace;
use pki::{LiveIdentity, Pki, Template};
use registry::{NODE_PORTS, Registry, ServiceConfig};
use stdx::clock::SharedClock;
use stdx::{Random, Tasks};
use storage::{EmbeddedConfig, EmbeddedEngine, Store, StoreConfig};

use crate::config::ServerConfig;
use crate::{identities, token, virtuals};

/// What everything of a process shares.
#[derive(Clone)]
pub struct Shared {
    pub clock: SharedClock,
    pub random: Random,
    pub pki: Arc<Pki>,
    pub node_ip: IpAddr,
}

/// Groups of tasks in the order they are stopped: who asks before who answers.
#[derive(Default)]
pub struct Groups {
    pub components: Tasks,
    pub api: Tasks,
    pub store: Tasks,
}

impl Groups {
    pub async fn stop(self) {
        self.components.stop().await;
        self.api.stop().await;
        self.store.stop().await;
    }
}

/// A running control plane.
pub struct ControlPlane {
    pub api: Arc<Api>,
    pub address: SocketAddr,
}

/// Opens the store in `dir`; refuses when another server has it.
pub async fn open_engine(config: &ServerConfig) -> Result<Arc<EmbeddedEngine>> {
    let dir = config.data_dir.join("db");
    let opened = tokio::task::spawn_blocking(move || EmbeddedEngine::open(EmbeddedConfig::new(dir))).await?;
    Ok(Arc::new(opened?))
}

impl ControlPlane {
    /// Starts everything of the control plane; when it returns the API answers.
    pub async fn start(
        config: &ServerConfig,
        shared: &Shared,
        engine: Arc<EmbeddedEngine>,
        groups: &Groups,
    ) -> Result<ControlPlane> {
        let clock = &shared.clock;
        let store = Store::open(engine, StoreConfig::new(clock.clone()), &groups.store)
            .await
            .context("open the store")?;
        let registry = open_registry(config, shared, &store).await?;
        let loopback: Arc<dyn Transport> = Arc::new(Loopback::new(registry.clone()));
        let rbac = Rbac::start(&*loopback, &groups.api);
        let node = NodeAuthorizer::start(
            &*loopback,
            registry.resource("", "v1", "persistentvolumes").is_some(),
            &groups.api,
        );
        let authorization = Arc::new(Authorization::new(node, rbac.clone()));
        let tokens = Arc::new(service_account_tokens(config, shared, &loopback));
        let bootstrap_tokens = BootstrapTokens::new(&*loopback, clock.clone(), vec![issuer(config)]);
        let authentication = Arc::new(Authentication::new(
            Some(X509::new(shared.pki.ca.cert_pem(), clock.clone())?),
            vec![tokens.clone(), Arc::new(bootstrap_tokens)],
            vec![issuer(config)],
            true,
        ));
        let context = admission::Context {
            transport: loopback.clone(),
            authorization: authorization.clone(),
            rbac: Some(rbac),
            configuration: Arc::default(),
            clock: clock.clone(),
            random: shared.random.clone(),
        };
        registry.set_admit(Arc::new(admission::Chain::standard(&context)));
        let policy = auth::policy::bootstrap();
        auth::policy::reconcile::reconcile(&loopback, &policy).await.context("write the default roles")?;
        admission::priority::ensure_system_classes(&loopback).await.context("write the priority classes")?;
        // Their controller would make them, too, but what others want to put into them would fail until then.
        let namespaces = Objects::<Namespace>::new(loopback.clone());
        for name in namespace::SYSTEM_NAMESPACES {
            namespace::ensure(&namespaces, name).await.context("make the namespaces")?;
        }
        let ranges = config.service_cidrs.iter().map(|c| c.trunc().to_string()).collect();
        service_cidr::ensure_default(&Objects::new(loopback.clone()), ranges, clock.now())
            .await
            .context("make the service CIDR")?;
        let token = token::load_or_create(&config.data_dir, config.token.as_deref())?;
        token::publish(&loopback, &token).await.context("write the join token")?;
        authorization.synced().await;

        let answers = Arc::new(Answers::new(
            authentication.clone(),
            authorization.clone(),
            tokens.clone(),
            loopback.clone(),
        ));
        let advertised = SocketAddr::new(shared.node_ip, config.https_listen_port).to_string();
        let api = Api::new(apiserver::Config {
            registry,
            authenticator: authentication.clone(),
            authorizer: authorization.clone(),
            virtuals: virtuals::all(&answers),
            node_proxy: Arc::new(kubelet_proxy(shared, groups)?),
            checks: checks(),
            advertised: advertised.clone(),
            clock: clock.clone(),
            random: shared.random.clone(),
            tasks: groups.api.clone(),
        });
        publish_issuer(&api, &tokens, &advertised)?;
        let identity =
            live(shared, "kube-apiserver", &identities::api_server(config, shared.node_ip), groups)?;
        let tls = Arc::new(pki::tls::server_config(identity)?);
        let address = apiserver::listen(api.clone(), config.listen(), tls, &groups.api)
            .await
            .context("start the API server (choose another port with --https-listen-port)")?;
        start_components(config, shared, &api, address, groups);
        Ok(ControlPlane { api, address })
    }
}

async fn open_registry(config: &ServerConfig, shared: &Shared, store: &Store) -> Result<Arc<Registry>> {
    let cidrs = config
        .service_cidrs
        .iter()
        .map(|c| c.to_string().parse().map_err(|e| anyhow!("--service-cidr {c}: {e}")));
    let services = ServiceConfig { cidrs: cidrs.collect::<Result<_>>()?, node_ports: NODE_PORTS };
    let resources = resources::table::served(&config.gates);
    let opened =
        Registry::open(store, resources, Some(services), shared.clock.clone(), shared.random.clone()).await;
    opened.context("load the objects")
}

/// `iss` and audience of service-account tokens.
fn issuer(config: &ServerConfig) -> String {
    format!("https://kubernetes.default.svc.{}", config.cluster_domain)
}

fn service_account_tokens(
    config: &ServerConfig,
    shared: &Shared,
    transport: &Arc<dyn Transport>,
) -> ServiceAccountTokens {
    ServiceAccountTokens::new(
        transport.clone(),
        shared.clock.clone(),
        shared.random.clone(),
        TokenConfig::new(&issuer(config)),
        shared.pki.service_account.clone(),
        Vec::new(),
    )
}

/// What others need to check service-account tokens on their own.
fn publish_issuer(api: &Api, tokens: &ServiceAccountTokens, address: &str) -> Result<()> {
    let keys = tokens.jwks().map_err(|e| anyhow!("publish the service-account keys: {e}"))?;
    let about = tokens.openid_configuration(&format!("https://{address}"));
    api.publish("/openid/v1/jwks", "application/jwk-set+json", keys.to_string());
    api.publish("/.well-known/openid-configuration", "application/json", about.to_string());
    Ok(())
}

/// An identity that is renewed while the server runs.
pub fn live(shared: &Shared, name: &str, template: &Template, groups: &Groups) -> Result<Arc<LiveIdentity>> {
    let live = shared.pki.live(name, template)?;
    let fresh = shared.pki.clone().keep_fresh(name.to_owned(), template.clone(), live.clone());
    groups.api.spawn_until_shutdown(fresh);
    Ok(live)
}

fn kubelet_proxy(shared: &Shared, groups: &Groups) -> Result<KubeletProxy> {
    let identity = live(shared, "kube-apiserver-kubelet-client", &identities::kubelet_client(), groups)?;
    let tls = pki::tls::client_config(shared.pki.ca.cert_pem(), Some(identity))?;
    Ok(KubeletProxy::new(Arc::new(tls), shared.clock.clone(), groups.api.clone()))
}

/// Everything is loaded before the port opens, so that these say only that the server lives.
fn checks() -> Vec<Check> {
    ["etcd", "poststarthook/rbac/bootstrap-roles"].map(|name| Check::new(name, false, || Ok(()))).into()
}

fn start_components(
    config: &ServerConfig,
    shared: &Shared,
    api: &Arc<Api>,
    address: SocketAddr,
    groups: &Groups,
) {
    let for_users = api.clone();
    let context = controller::Context {
        transport_for: Arc::new(move |name: &str| for_users.local(identities::user(name))),
        clock: shared.clock.clone(),
        random: shared.random.clone(),
        tasks: groups.components.clone(),
    };
    let pki = shared.pki.clone();
    let sign = move |pem: &str, usage, lifetime, now| pki.ca.sign_request(pem, usage, lifetime, now);
    let controllers = controller::Config {
        signer: Some(controller::certificates::Signer::new(sign)),
        root_ca: shared.pki.ca.cert_pem().to_owned(),
        cluster_cidrs: config.cluster_cidrs.iter().map(ToString::to_string).collect(),
        resources: controller::Served::builtin(&config.gates),
        ..controller::Config::default()
    };
    controller::start_all(context, controllers);
    let aggregator =
        api.local(identities::user("system:serviceaccount:kube-system:clusterrole-aggregation-controller"));
    let aggregation = auth::authz::rbac::aggregation::run(aggregator, shared.clock.clone());
    groups.components.spawn_until_shutdown(aggregation);
    let scheduler = api.local(identities::user("system:kube-scheduler"));
    scheduler::start(
        scheduler::Config::default(),
        scheduler,
        shared.clock.clone(),
        shared.random.clone(),
        &groups.components,
    );
    controller::kubernetes_service::start(
        api.local(identities::user("system:apiserver")),
        shared.clock.clone(),
        &groups.components,
        &config.api_service_ip().to_string(),
        SocketAddr::new(shared.node_ip, address.port()),
    );
}
