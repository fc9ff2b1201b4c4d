//! The node's two certificates: the one it shows to the API server, and the one that its kubelet's server shows. Both are asked for by
//! signing requests, kept in files of mode 0600, and renewed in time while the agent runs.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use client::https::HttpsTransport;
use client::{Api, Informer, Transport, ViewScope};
use codec::Kind as _;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pki::{Ca, Identity, LiveIdentity, Template};

use super::Machine;

const CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
const SERVING: &str = "kubernetes.io/kubelet-serving";
/// How long a request may wait for its certificate before a new one is made.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between tries that failed, doubled from the first to the last.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// Dates pass also while a machine sleeps, which no timer counts.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// The directory with this node's certificates.
#[derive(Clone)]
pub(crate) struct Certificates {
    dir: PathBuf,
    files: Files,
    node: String,
    ip: IpAddr,
    machine: Machine,
}

/// A certificate in use.
pub(crate) struct Held {
    pub live: Arc<LiveIdentity>,
    /// `None`: provisional.
    validity: Option<(Timestamp, Timestamp)>,
}

/// Which of the two.
#[derive(Clone, Copy)]
enum Sort {
    Client,
    Serving,
}

/// What the two are called in the directory.
#[derive(Clone, Copy)]
pub(crate) struct Files {
    pub client: &'static str,
    pub serving: &'static str,
}

/// Of an agent.
pub(crate) const AGENT: Files = Files { client: "kubelet-client.pem", serving: "kubelet-serving.pem" };
/// Of a kubelet alone, as upstream calls them.
pub(crate) const KUBELET: Files =
    Files { client: "kubelet-client-current.pem", serving: "kubelet-server-current.pem" };

impl Certificates {
    /// In `dir`, of the node `node` with the address `ip`.
    pub fn new(dir: PathBuf, files: Files, node: &str, ip: IpAddr, machine: Machine) -> Self {
        Certificates { dir, files, node: node.to_owned(), ip, machine }
    }

    fn path(&self, sort: Sort) -> PathBuf {
        self.dir.join(match sort {
            Sort::Client => self.files.client,
            Sort::Serving => self.files.serving,
        })
    }

    /// The file with the client certificate and its key.
    pub fn client_path(&self) -> PathBuf {
        self.path(Sort::Client)
    }

    /// The cluster's CA, as it was when the node joined.
    pub fn ca(&self) -> Result<Option<String>> {
        pki::files::read_if_there(&self.dir.join("ca.crt"))
    }

    /// Trusts this CA from now on.
    pub fn keep_ca(&self, pem: &str) -> Result<()> {
        pki::files::private_dir(&self.dir)?;
        pki::files::write_private(&self.dir.join("ca.crt"), pem.as_bytes())
    }

    /// The client certificate that is kept; an error names what is wrong with it.
    pub fn client(&self) -> Result<Option<Held>> {
        self.stored(Sort::Client)
    }

    fn stored(&self, sort: Sort) -> Result<Option<Held>> {
        let path = self.path(sort);
        let Some(text) = pki::files::read_if_there(&path)? else { return Ok(None) };
        // One file for both, so that they are never of different times.
        let identity = Identity::new(text.clone(), text);
        let held = Held::new(&identity).with_context(|| format!("read {}", path.display()))?;
        let (subject, _) = pki::trust::names(&identity.chain()?[0])?;
        if subject.common_name != format!("system:node:{}", self.node) {
            bail!(
                "{} is of {}, not of the node {}: this machine has joined under that name. `knarr reset` makes it forget it",
                path.display(),
                subject.common_name,
                self.node
            );
        }
        Ok(Some(held))
    }

    /// Whether the certificate is good today, by this machine's clock.
    pub fn is_good(&self, held: &Held) -> bool {
        let now = self.machine.clock.now();
        held.validity.is_some_and(|(from, until)| from <= now && now < until)
    }

    /// Asks for a client certificate, and keeps it.
    pub async fn ask_client(&self, transport: &Arc<dyn Transport>) -> Result<Held> {
        let identity = self.ask(transport, Sort::Client).await?;
        self.keep(Sort::Client, &identity)?;
        Held::new(&identity)
    }

    /// The serving certificate that is kept, or a provisional one that nobody believes: the real one comes when the API knows the
    /// node's addresses.
    pub fn serving(&self) -> Result<Held> {
        match self.stored(Sort::Serving) {
            Ok(Some(held)) if self.is_good(&held) => return Ok(held),
            Ok(_) => {}
            Err(error) => tracing::warn!("the kubelet's serving certificate is asked for anew: {error:#}"),
        }
        let now = self.machine.clock.now();
        let (ca, _) = Ca::create("provisional", now)?;
        let identity = ca.issue(&self.template(Sort::Serving), now)?;
        Ok(Held { live: Arc::new(LiveIdentity::new(&identity)?), validity: None })
    }

    /// Renews the client certificate in time; the connection then shows the new one.
    pub fn keep_client(&self, held: Held, transport: HttpsTransport) {
        let own = self.clone();
        self.machine.tasks.spawn_until_shutdown(async move {
            let ways: Arc<dyn Transport> = Arc::new(transport.clone());
            own.renew(held, Sort::Client, &ways, Some(transport)).await;
        });
    }

    /// The same of the serving certificate, and the first one where it is provisional.
    pub fn keep_serving(&self, held: Held, transport: Arc<dyn Transport>) {
        let own = self.clone();
        self.machine.tasks.spawn_until_shutdown(async move {
            own.renew(held, Sort::Serving, &transport, None).await;
        });
    }

    /// `shown_by`: whose connections show it.
    async fn renew(
        &self,
        held: Held,
        sort: Sort,
        transport: &Arc<dyn Transport>,
        shown_by: Option<HttpsTransport>,
    ) {
        let Held { live, mut validity } = held;
        let file = self.path(sort);
        let mut wait = AGAIN[0];
        loop {
            while let Some(left) = self.until_renewal(validity) {
                self.machine.clock.sleep(left.min(LOOK_EVERY)).await;
            }
            let renewed = async {
                let identity = self.ask(transport, sort).await?;
                self.keep(sort, &identity)?;
                live.replace(&identity)?;
                identity.validity()
            };
            match renewed.await {
                Ok(dates) => {
                    tracing::info!(file = %file.display(), until = %dates.1, "certificate renewed");
                    (validity, wait) = (Some(dates), AGAIN[0]);
                    if let Some(shown_by) = &shown_by {
                        shown_by.reconnect().await;
                    }
                }
                Err(error) => {
                    tracing::warn!("cannot get a certificate ({}): {error:#}", file.display());
                    let ended = validity.is_some_and(|(_, until)| until <= self.machine.clock.now());
                    if matches!(sort, Sort::Client) && ended {
                        // Nobody renews it now. As upstream's kubelet: a start may have a token to join with again.
                        tracing::error!(
                            "{} has ended, and with it this node's way to the API",
                            file.display()
                        );
                        std::process::exit(1);
                    }
                    self.machine.clock.sleep(wait).await;
                    wait = (wait * 2).min(AGAIN[1]);
                }
            }
        }
    }

    /// How long until a certificate has less than a quarter of its life before it. `None`: now.
    fn until_renewal(&self, validity: Option<(Timestamp, Timestamp)>) -> Option<Duration> {
        let (from, until) = validity?;
        let whole = until.duration_since(from);
        let left = until.duration_since(self.machine.clock.now()) - whole / 4;
        (left > SignedDuration::ZERO).then(|| left.unsigned_abs())
    }

    fn keep(&self, sort: Sort, identity: &Identity) -> Result<()> {
        pki::files::private_dir(&self.dir)?;
        let text = format!("{}{}", identity.cert_pem, identity.key_pem);
        pki::files::write_private(&self.path(sort), text.as_bytes())
    }

    fn template(&self, sort: Sort) -> Template {
        let user = format!("system:node:{}", self.node);
        let mut template = match sort {
            Sort::Client => Template::client(&user, "system:nodes"),
            Sort::Serving => Template::server(&user, [self.node.clone(), self.ip.to_string()]),
        };
        template.organization = "system:nodes".into();
        template
    }

    /// Makes a request and waits for its certificate.
    async fn ask(&self, transport: &Arc<dyn Transport>, sort: Sort) -> Result<Identity> {
        let (request, key) = pki::request::make(&self.template(sort))?;
        let (signer, usage) = match sort {
            Sort::Client => (CLIENT, "client auth"),
            Sort::Serving => (SERVING, "server auth"),
        };
        let object = CertificateSigningRequest {
            metadata: ObjectMeta { generate_name: Some("csr-".into()), ..ObjectMeta::default() },
            spec: CertificateSigningRequestSpec {
                request: ByteString(request.into_bytes()),
                signer_name: signer.into(),
                usages: Some(vec!["digital signature".into(), usage.into()]),
                ..CertificateSigningRequestSpec::default()
            },
            status: None,
        };
        let made = Api::new(transport.clone()).create(&object).await.context("ask for a certificate")?;
        let name = made.name().to_owned();
        tokio::select! {
            issued = issued(&**transport, &name) => Ok(Identity::new(issued?, key)),
            () = self.machine.clock.sleep(PATIENCE) => bail!(
                "the certificate request {name} was not answered for {} s; on a server, `kubectl describe csr {name}` shows it",
                PATIENCE.as_secs()
            ),
        }
    }
}

impl Held {
    fn new(identity: &Identity) -> Result<Self> {
        Ok(Held { live: Arc::new(LiveIdentity::new(identity)?), validity: Some(identity.validity()?) })
    }

    /// One that came from elsewhere.
    pub fn from_live(live: Arc<LiveIdentity>) -> Result<Self> {
        let validity = Some(live.validity()?);
        Ok(Held { live, validity })
    }

    /// When it ends, for messages.
    pub fn ends(&self) -> String {
        self.validity.map(|(_, until)| until.to_string()).unwrap_or_default()
    }
}

/// The certificate, when it is there.
async fn issued(transport: &dyn Transport, name: &str) -> Result<String> {
    let scope = ViewScope { field_selector: format!("metadata.name={name}"), ..ViewScope::default() };
    let mut changes = Informer::<CertificateSigningRequest>::scoped(transport, &scope).subscribe();
    while let Some(change) = changes.next().await {
        let request =
            change.new.as_ref().and_then(|r| client::informer::decode::<CertificateSigningRequest>(r));
        let Some(status) = request.and_then(|r| r.status) else { continue };
        if let Some(certificate) = status.certificate.filter(|c| !c.0.is_empty()) {
            return String::from_utf8(certificate.0).context("read the certificate");
        }
        let no = status.conditions.iter().flatten().find(|c| matches!(&*c.type_, "Denied" | "Failed"));
        if let Some(no) = no {
            let why = no.message.as_deref().or(no.reason.as_deref()).unwrap_or_default();
            bail!("the certificate request {name} is {}: {why}", no.type_);
        }
    }
    bail!("the watch of the certificate request {name} ended")
}
