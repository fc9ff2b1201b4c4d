//! Store, registry, API server, controllers and scheduler of one server.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, anyhow};
use apiserver::local::Loopback;
use apiserver::{Api, Check, KubeletProxy};
use auth::Answers;
use auth::authn::service_account::legacy;
use auth::authn::{Authentication, BootstrapTokens, ServiceAccountTokens, TokenAuthenticator, X509};
use auth::authz::{Authorization, NodeAuthorizer, Rbac};
use client::{Api as Objects, Transport};
use codec::Kind as _;
use controller::namespace::bootstrap as namespace;
use controller::service_cidr;
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use pki::{Identity, LiveIdentity, Pki, SigningKey, Template};
use registry::{Registry, ServiceConfig};
use stdx::clock::SharedClock;
use stdx::{Random, Tasks};
use storage::{Engine, Measured, Store};

use crate::config::{KubeletTrust, ServerConfig};
use crate::datastore::Datastore;
use crate::elected::{self, Candidate};
use crate::farewell::Farewell;
use crate::security::live::Trusts;
use crate::security::{Mode, Security, SecurityConfig, published};
use crate::{identities, joining, masters, token, virtuals};

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
    pub farewell: Arc<Farewell>,
    /// Closed last, so that the next start finds it whole.
    pub engine: OnceLock<Arc<dyn Engine>>,
}

impl Groups {
    pub async fn stop(self) {
        self.components.stop().await;
        self.api.stop().await;
        self.store.stop().await;
        if let Some(engine) = self.engine.get() {
            engine.close().await;
        }
    }
}

/// A running control plane.
pub struct ControlPlane {
    pub api: Arc<Api>,
    pub address: SocketAddr,
}

impl ControlPlane {
    /// Starts everything of the control plane; when it returns the API answers. `security` is what the configuration's files
    /// said, read before anything was made.
    pub async fn start(
        config: &ServerConfig,
        mut security: Security,
        shared: &Shared,
        datastore: Datastore,
        groups: &Groups,
    ) -> Result<ControlPlane> {
        let clock = &shared.clock;
        groups.farewell.take(config.security.shutdown_delay);
        // One control plane in a process: it is not set yet.
        let _ = groups.engine.set(datastore.engine.clone());
        let measured = Arc::new(Measured::new(datastore.engine.clone(), clock.clone()));
        let store = Store::open(measured.clone(), datastore.store_config(clock.clone()), &groups.store)
            .await
            .context("open the store")?;
        let registry = open_registry(config, shared, &store).await?;
        let loopback: Arc<dyn Transport> = Arc::new(Loopback::new(registry.clone()));
        let authorization = Arc::new(authorization(&config.security, &registry, &*loopback, groups));
        let tokens = Arc::new(service_account_tokens(&security, shared, &loopback));
        let trusts = Trusts::new(&security, shared.pki.ca.cert_pem())?;
        trusts.follow(&config.security, shared.pki.ca.cert_pem(), clock, &groups.api);
        let authentication = Arc::new(authentication(&mut security, shared, &loopback, &tokens, &trusts)?);
        let context = admission::Context {
            transport: loopback.clone(),
            authorization: authorization.clone(),
            rbac: authorization.rbac.clone(),
            configuration: security.admission.clone(),
            clock: clock.clone(),
            random: shared.random.clone(),
        };
        let (enable, disable) =
            (&config.security.enable_admission_plugins, &config.security.disable_admission_plugins);
        let chain = admission::Chain::new(&context, enable, disable).map_err(|why| anyhow!("{why}"))?;
        registry.set_admit(Arc::new(chain));
        if authorization.rbac.is_some() {
            let policy = auth::policy::bootstrap();
            auth::policy::reconcile::reconcile(&loopback, &policy)
                .await
                .context("write the default roles")?;
        }
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
        let advertised = SocketAddr::new(shared.node_ip, config.https_listen_port).to_string();
        joining::open(&loopback, config, shared.pki.ca.cert_pem(), &advertised).await?;
        write_join_token(config, shared, &token)?;
        authorization.synced().await;

        let answers = Arc::new(Answers::new(
            authentication.clone(),
            authorization.clone(),
            tokens.clone(),
            loopback.clone(),
        ));
        let api = Api::new(apiserver::Config {
            registry,
            authenticator: authentication.clone(),
            authorizer: authorization.clone(),
            virtuals: virtuals::all(&answers),
            node_proxy: Arc::new(kubelet_proxy(config, shared, groups)?),
            checks: checks(&datastore, groups),
            advertised: advertised.clone(),
            clock: clock.clone(),
            random: shared.random.clone(),
            tasks: groups.api.clone(),
        });
        api.metrics.add(Box::new(move || measured.render()));
        api.flow.set_concurrency(
            config.security.max_requests_inflight + config.security.max_mutating_requests_inflight,
        );
        publish_issuer(&api, &security, &tokens, &advertised)?;
        let identity = match &config.tls_files {
            Some(files) => from_files(files)?,
            None => live(shared, "kube-apiserver", &identities::api_server(config, shared.node_ip), groups)?,
        };
        let tls = Arc::new(pki::tls::server_config(identity)?);
        let address = apiserver::listen(api.clone(), config.listen(), tls, &groups.api)
            .await
            .context("start the API server (choose another port with --https-listen-port)")?;
        if let Some(insecure) = config.insecure {
            tracing::error!(
                "INSECURE: whoever reaches http://{insecure} may do everything in this cluster, unasked and unencrypted"
            );
            apiserver::listen_insecure(api.clone(), insecure, &groups.api)
                .await
                .context("start the insecure port (choose another with --insecure-port)")?;
        }
        groups.api.spawn_until_shutdown(shared.pki.clone().watch_ca());
        start_components(config, shared, (&security, trusts), &api, address, &datastore, groups);
        Ok(ControlPlane { api, address })
    }
}

async fn open_registry(config: &ServerConfig, shared: &Shared, store: &Store) -> Result<Arc<Registry>> {
    let cidrs = config
        .service_cidrs
        .iter()
        .map(|c| c.to_string().parse().map_err(|e| anyhow!("--service-cidr {c}: {e}")));
    let services =
        ServiceConfig { cidrs: cidrs.collect::<Result<_>>()?, node_ports: config.node_ports.clone() };
    let resources = resources::table::served(&config.gates);
    let opened =
        Registry::open(store, resources, Some(services), shared.clock.clone(), shared.random.clone()).await;
    opened.context("load the objects")
}

/// For whoever looks for it: the token that never ends, in the form that `knarr agent` takes.
fn write_join_token(config: &ServerConfig, shared: &Shared, kept: &token::Kept) -> Result<()> {
    let token = token::JoinToken::new(pki::pin::of(shared.pki.ca.cert_der())?, kept.token.clone());
    pki::files::write_private(&config.data_dir.join("join-token"), format!("{}\n", token.text()).as_bytes())
}

/// As `--authorization-mode` says.
fn authorization(
    config: &SecurityConfig,
    registry: &Registry,
    loopback: &dyn Transport,
    groups: &Groups,
) -> Authorization {
    let volumes = registry.resource("", "v1", "persistentvolumes").is_some();
    Authorization {
        node: config.has(Mode::Node).then(|| NodeAuthorizer::start(loopback, volumes, &groups.api)),
        rbac: config.has(Mode::Rbac).then(|| Rbac::start(loopback, &groups.api)),
        always_allow: config.has(Mode::AlwaysAllow),
        always_deny: config.has(Mode::AlwaysDeny),
    }
}

/// Front proxies, certificates, tokens of every sort, and nobody.
fn authentication(
    security: &mut Security,
    shared: &Shared,
    loopback: &Arc<dyn Transport>,
    tokens: &Arc<ServiceAccountTokens>,
    trusts: &Trusts,
) -> Result<Authentication> {
    let clock = &shared.clock;
    let audiences = security.tokens.audiences.clone();
    let mut bearers: Vec<Arc<dyn TokenAuthenticator>> = Vec::new();
    if let Some(statics) = security.static_tokens.take() {
        bearers.push(Arc::new(statics));
    }
    bearers.push(tokens.clone());
    bearers.push(Arc::new(BootstrapTokens::new(&**loopback, clock.clone(), audiences.clone())));
    let x509 = X509::following(trusts.clients.clone(), clock.clone());
    let all = Authentication::new(Some(x509), bearers, audiences, security.anonymous);
    Ok(match security.request_header(trusts, clock.clone())? {
        Some(proxy) => all.with_front_proxy(proxy),
        None => all,
    })
}

fn service_account_tokens(
    security: &Security,
    shared: &Shared,
    transport: &Arc<dyn Transport>,
) -> ServiceAccountTokens {
    ServiceAccountTokens::new(
        transport.clone(),
        shared.clock.clone(),
        shared.random.clone(),
        security.tokens.clone(),
        signing_key(security, shared),
        security.keys.clone(),
    )
}

fn signing_key(security: &Security, shared: &Shared) -> Arc<SigningKey> {
    security.signing.clone().unwrap_or_else(|| shared.pki.service_account.clone())
}

/// What others need to check service-account tokens on their own. An issuer that is no https URL can tell nobody.
fn publish_issuer(
    api: &Api,
    security: &Security,
    tokens: &ServiceAccountTokens,
    address: &str,
) -> Result<()> {
    if !security.tokens.issuers.first().is_some_and(|issuer| issuer.starts_with("https://")) {
        tracing::warn!(
            "--service-account-issuer is no https URL: /.well-known/openid-configuration is not served"
        );
        return Ok(());
    }
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

fn from_files((cert, key): &(PathBuf, PathBuf)) -> Result<Arc<LiveIdentity>> {
    let read = |p: &PathBuf| std::fs::read_to_string(p).with_context(|| format!("read {}", p.display()));
    let identity =
        Identity::new(read(cert).context("--tls-cert-file")?, read(key).context("--tls-private-key-file")?);
    Ok(Arc::new(LiveIdentity::new(&identity).context("--tls-cert-file, --tls-private-key-file")?))
}

fn kubelet_proxy(config: &ServerConfig, shared: &Shared, groups: &Groups) -> Result<KubeletProxy> {
    let identity = live(shared, "kube-apiserver-kubelet-client", &identities::kubelet_client(), groups)?;
    let tls = match &config.kubelet_trust {
        KubeletTrust::Cluster => pki::tls::client_config(shared.pki.ca.cert_pem(), Some(identity))?,
        KubeletTrust::File(path) => {
            let cas = std::fs::read_to_string(path)
                .with_context(|| format!("--kubelet-certificate-authority: read {}", path.display()))?;
            pki::tls::client_config(&cas, Some(identity)).context("--kubelet-certificate-authority")?
        }
        KubeletTrust::Anyone => pki::tls::unverified_client_config(Some(identity))?,
    };
    Ok(KubeletProxy::new(Arc::new(tls), shared.clock.clone(), groups.api.clone()))
}

/// Everything is loaded before the port opens, so that these say only that the server lives, and the store with it.
fn checks(datastore: &Datastore, groups: &Groups) -> Vec<Check> {
    let (alive, ready) = (datastore.health.clone(), datastore.health.clone());
    let farewell = groups.farewell.clone();
    vec![
        Check::new("etcd", false, move || alive()),
        Check::new("etcd-readiness", true, move || ready()),
        Check::new("poststarthook/rbac/bootstrap-roles", false, || Ok(())),
        Check::new("shutdown", true, move || farewell.check()),
    ]
}

fn start_components(
    config: &ServerConfig,
    shared: &Shared,
    (security, trusts): (&Security, Arc<Trusts>),
    api: &Arc<Api>,
    address: SocketAddr,
    datastore: &Datastore,
    groups: &Groups,
) {
    let managers = start_controllers(config, shared, security, api);
    let scheduler = start_scheduler(shared, api);
    if !config.control_loops {
        // Theirs are processes of their own.
    } else if datastore.shared {
        // The name that upstream gives itself: the host's, and something that no other process has.
        let identity = format!("{}_{}", config.node_name, shared.random.uuid());
        let candidate = |lease: &'static str, user: &str| Candidate {
            lease,
            transport: api.local(identities::user(user)),
            identity: identity.clone(),
            clock: shared.clock.clone(),
            random: shared.random.clone(),
        };
        let manager = candidate("kube-controller-manager", "system:kube-controller-manager");
        elected::run(manager, &groups.components, managers);
        elected::run(candidate("kube-scheduler", "system:kube-scheduler"), &groups.components, scheduler);
    } else {
        managers(groups.components.clone());
        scheduler(groups.components.clone());
    }
    published::start(
        api.local(identities::user("system:apiserver")),
        shared.clock.clone(),
        &groups.components,
        trusts,
        security.front_proxy.clone(),
    );
    controller::flow_control::start(
        api.local(identities::user("system:apiserver")),
        shared.clock.clone(),
        &groups.components,
    );
    let all = match datastore.shared {
        true => {
            masters::start(datastore.engine.clone(), shared.clock.clone(), shared.node_ip, &groups.components)
        }
        false => tokio::sync::watch::channel(vec![shared.node_ip]).1,
    };
    controller::kubernetes_service::start_shared(
        api.local(identities::user("system:apiserver")),
        shared.clock.clone(),
        &groups.components,
        &config.api_service_ip().to_string(),
        SocketAddr::new(shared.node_ip, address.port()),
        all,
    );
}

/// What starts the scheduler.
fn start_scheduler(shared: &Shared, api: &Arc<Api>) -> impl Fn(Tasks) + Send + Sync + 'static {
    let (api, shared) = (api.clone(), shared.clone());
    move |tasks| {
        let transport = api.local(identities::user("system:kube-scheduler"));
        let (clock, random) = (shared.clock.clone(), shared.random.clone());
        scheduler::start(scheduler::Config::default(), transport, clock, random, &tasks);
    }
}

/// What starts all controllers.
fn start_controllers(
    config: &ServerConfig,
    shared: &Shared,
    security: &Security,
    api: &Arc<Api>,
) -> impl Fn(Tasks) + Send + Sync + 'static {
    let pki = shared.pki.clone();
    let sign = move |pem: &str, usage, lifetime, now| pki.ca.sign_request(pem, usage, lifetime, now);
    let key = signing_key(security, shared);
    let sign_token = move |secret: &Secret, account: &ServiceAccount| {
        legacy::sign(&key, secret.namespace(), secret.name(), account.name(), account.uid())
    };
    let controllers = controller::Config {
        signer: Some(controller::certificates::Signer::new(sign)),
        signing_duration: config.signing_duration,
        token_signer: Some(controller::service_account_tokens::TokenSigner::new(sign_token)),
        root_ca: shared.pki.ca.cert_pem().to_owned(),
        cluster_cidrs: config.cluster_cidrs.iter().map(ToString::to_string).collect(),
        resources: controller::Served::builtin(&config.gates),
        ..controller::Config::default()
    };
    let (api, shared) = (api.clone(), shared.clone());
    move |tasks| {
        let for_users = api.clone();
        let context = controller::Context {
            transport_for: Arc::new(move |name: &str| for_users.local(identities::user(name))),
            clock: shared.clock.clone(),
            random: shared.random.clone(),
            tasks: tasks.clone(),
        };
        controller::start_all(context, controllers.clone());
        let aggregator = api
            .local(identities::user("system:serviceaccount:kube-system:clusterrole-aggregation-controller"));
        let aggregation = auth::authz::rbac::aggregation::run(aggregator, shared.clock.clone());
        tasks.spawn_until_shutdown(aggregation);
    }
}
