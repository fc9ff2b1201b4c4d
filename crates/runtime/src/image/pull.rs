//! Images from registries: resolved and downloaded by `oci-client`, unpacked like those of an archive.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use cri::AuthConfig;
use futures::{StreamExt, TryStreamExt};
use oci_client::Client;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;

use super::archive::{Descriptor, Manifest};
use super::config::{ImageConfig, architecture};
use super::endpoints::{Endpoint, endpoints};
use super::layers::{LayerId, chain_ids};
use super::reference::Reference;
use super::store::{ImageRecord, digest};
use crate::registries::{Auth, Registries};
use crate::service::Runtime;

/// Pulls images, from mirrors first.
#[derive(Debug)]
pub(crate) struct Puller {
    registries: Registries,
}

/// Downloads at a time of one image.
const PARALLEL: usize = 3;

/// A registry that does not connect, or sends nothing, for so long is given up.
const CONNECT: Duration = Duration::from_secs(30);
const STALLED: Duration = Duration::from_secs(60);

const MANIFESTS: &[&str] = &[
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// Configurations are small; a longer one is not one.
const MAX_CONFIG: i64 = 8 << 20;

impl Puller {
    pub fn new(registries: Registries) -> Self {
        Puller { registries }
    }

    /// Pulls `reference` into the runtime's store and returns the image's id. Nothing half-done stays.
    pub async fn pull(
        &self,
        runtime: &Arc<Runtime>,
        reference: &Reference,
        auth: Option<&AuthConfig>,
    ) -> cri::Result<String> {
        let mut failure = None;
        for endpoint in endpoints(&self.registries, reference).map_err(|e| words(reference, &e))? {
            match self.pull_from(runtime, reference, &endpoint, auth).await {
                Ok(id) => return Ok(id),
                Err(e) => {
                    tracing::debug!(image = %reference, endpoint = endpoint.host, "cannot pull: {e:#}");
                    // The registry itself comes last, and its answer is the one that counts.
                    failure = Some(e);
                }
            }
        }
        let failure = failure.unwrap_or_else(|| anyhow!("no endpoint is configured"));
        Err(words(reference, &failure))
    }

    async fn pull_from(
        &self,
        runtime: &Arc<Runtime>,
        reference: &Reference,
        endpoint: &Endpoint,
        auth: Option<&AuthConfig>,
    ) -> Result<String> {
        let source = Source {
            client: self.client(endpoint)?,
            host: endpoint.host.clone(),
            repository: endpoint.repository.clone(),
            auth: self.credentials(endpoint, auth)?,
        };
        let resolved = source.resolve(reference).await?;
        let config = ImageConfig::parse(&resolved.config)?;
        if !config.architecture.is_empty() && config.architecture != architecture() {
            tracing::warn!(image = %reference, "the image is for {}", config.architecture);
        }
        if config.rootfs.diff_ids.len() != resolved.layers.len() {
            bail!(
                "its configuration names {} layers, it has {}",
                config.rootfs.diff_ids.len(),
                resolved.layers.len()
            );
        }
        let layers = source.layers(runtime, &config, &resolved.layers).await?;
        let record = ImageRecord {
            id: digest(&resolved.config),
            // A reference with a digest says nothing about where its tag points now.
            tags: reference.tagged().filter(|_| reference.digest.is_none()).into_iter().collect(),
            digests: BTreeSet::from([reference.with_digest(&resolved.digest)]),
            layers,
            config,
        };
        let id = record.id.clone();
        runtime.images().add(record)?;
        Ok(id)
    }

    /// A client for one pull: what it learns from one user's credentials is not for another's.
    fn client(&self, endpoint: &Endpoint) -> Result<Client> {
        let tls = self.registries.configs.get(&endpoint.host).and_then(|c| c.tls.clone()).unwrap_or_default();
        if tls.cert_file.is_some() || tls.key_file.is_some() {
            bail!("client certificates for registries are not supported ({})", endpoint.host);
        }
        let mut extra_root_certificates = Vec::new();
        if let Some(file) = &tls.ca_file {
            let data = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
            extra_root_certificates.push(Certificate { encoding: CertificateEncoding::Pem, data });
        }
        let config = ClientConfig {
            protocol: if endpoint.plain { ClientProtocol::Http } else { ClientProtocol::Https },
            accept_invalid_certificates: tls.insecure_skip_verify,
            extra_root_certificates,
            connect_timeout: Some(CONNECT),
            read_timeout: Some(STALLED),
            user_agent: concat!("knarr/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        Client::try_from(config).context("set up registry client")
    }

    /// The pod's credentials are for the registry it named; mirrors have those of the file.
    fn credentials(&self, endpoint: &Endpoint, auth: Option<&AuthConfig>) -> Result<RegistryAuth> {
        let given = auth.filter(|_| !endpoint.mirror).map(|a| Auth {
            username: a.username.clone(),
            password: a.password.clone(),
            auth: String::new(),
            identity_token: a.identity_token.clone(),
        });
        if let Some(token) = auth.filter(|a| !endpoint.mirror && !a.registry_token.is_empty()) {
            return Ok(RegistryAuth::Bearer(token.registry_token.clone()));
        }
        let configured = self.registries.configs.get(&endpoint.host).and_then(|c| c.auth.clone());
        let is_set = |a: &Auth| *a != Auth::default();
        let Some(auth) = given.filter(is_set).or(configured.filter(is_set)) else {
            return Ok(RegistryAuth::Anonymous);
        };
        if !auth.identity_token.is_empty() {
            bail!("identity tokens are not supported ({})", endpoint.host);
        }
        Ok(match auth.basic() {
            Some((username, password)) => RegistryAuth::Basic(username, password),
            None => bail!("the credentials for {} are not valid", endpoint.host),
        })
    }
}

/// Where one image is pulled from.
struct Source {
    client: Client,
    host: String,
    repository: String,
    auth: RegistryAuth,
}

struct Resolved {
    /// Of what the reference names, which may be an index.
    digest: String,
    config: Vec<u8>,
    layers: Vec<Descriptor>,
}

impl Source {
    fn tag(&self, tag: &str) -> oci_client::Reference {
        oci_client::Reference::with_tag(self.host.clone(), self.repository.clone(), tag.to_string())
    }

    fn digest(&self, digest: &str) -> oci_client::Reference {
        oci_client::Reference::with_digest(self.host.clone(), self.repository.clone(), digest.to_string())
    }

    async fn manifest(&self, name: &oci_client::Reference) -> Result<(Manifest, String)> {
        let (bytes, _) = self.client.pull_manifest_raw(name, &self.auth, MANIFESTS).await?;
        let found = digest(&bytes);
        if name.digest().is_some_and(|wanted| wanted != found) {
            bail!("the registry sent a manifest with digest {found}");
        }
        Ok((serde_json::from_slice(&bytes).context("the manifest is not valid")?, found))
    }

    async fn resolve(&self, reference: &Reference) -> Result<Resolved> {
        let name = match &reference.digest {
            Some(digest) => self.digest(digest),
            None => self.tag(reference.tag.as_deref().unwrap_or("latest")),
        };
        let (mut manifest, digest) = self.manifest(&name).await?;
        if let Some(platforms) = manifest.manifests.take() {
            let ours = platforms.iter().find(|d| d.platform.as_ref().is_some_and(|p| p.is_ours()));
            let ours =
                ours.with_context(|| format!("no match for platform in manifest: linux/{}", architecture()))?;
            manifest = self.manifest(&self.digest(&ours.digest)).await?.0;
        }
        let config = manifest.config.context("the manifest has no configuration")?;
        if config.size > MAX_CONFIG {
            bail!("its configuration is too long");
        }
        let mut bytes = Vec::new();
        self.client.pull_blob(&name, config.digest.as_str(), &mut bytes).await?;
        Ok(Resolved { digest, config: bytes, layers: manifest.layers })
    }

    /// Downloads what is missing, some at a time, then unpacks in order.
    async fn layers(
        &self,
        runtime: &Arc<Runtime>,
        config: &ImageConfig,
        descriptors: &[Descriptor],
    ) -> Result<Vec<LayerId>> {
        let chain = chain_ids(&config.rootfs.diff_ids);
        let store = runtime.images();
        let known: Vec<LayerId> = chain.iter().map_while(|id| store.layers.find(id)).collect();
        let missing = &descriptors[known.len()..];
        let downloads: Vec<_> = missing.iter().map(|layer| self.download(layer, store.downloads())).collect();
        let downloads: Vec<Download> =
            futures::stream::iter(downloads).buffered(PARALLEL).try_collect().await?;
        let runtime = runtime.clone();
        let diff_ids = config.rootfs.diff_ids.clone();
        let unpack = move || -> Result<Vec<LayerId>> {
            let mut layers = known;
            for download in downloads {
                let at = layers.len();
                let file = std::fs::File::open(&download.path).context("open download")?;
                let layer = runtime.images().layers.unpack(
                    runtime.program(),
                    &layers,
                    &chain[at],
                    &diff_ids[at],
                    file,
                )?;
                layers.push(layer);
            }
            Ok(layers)
        };
        tokio::task::spawn_blocking(unpack).await.context("unpack layers")?
    }

    async fn download(&self, layer: &Descriptor, dir: PathBuf) -> Result<Download> {
        let download = Download { path: dir.join(crate::service::new_id()) };
        let mut file = tokio::fs::File::create(&download.path).await.context("create download")?;
        let name = self.digest(&layer.digest);
        // The client compares the digest of what came.
        let pulled = self.client.pull_blob(&name, layer.digest.as_str(), &mut file).await;
        pulled.with_context(|| format!("download layer {}", layer.digest))?;
        Ok(download)
    }
}

/// A file that goes when nobody needs it any more.
struct Download {
    path: PathBuf,
}

impl Drop for Download {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        drop(std::fs::remove_file::<&Path>(&self.path));
    }
}

/// A failed pull in the words that people know.
fn words(reference: &Reference, error: &anyhow::Error) -> cri::Error {
    let why = match error.downcast_ref::<OciDistributionError>() {
        Some(e) if not_found(e) => format!("{reference}: not found"),
        Some(e) if denied(e) => {
            format!("pull access denied, repository does not exist or may require authorization: {error:#}")
        }
        Some(OciDistributionError::RequestError(e)) => format!("{error:#}{}", causes(e)),
        _ => format!("{error:#}"),
    };
    cri::Error::Unknown(format!("failed to pull and unpack image \"{reference}\": {why}"))
}

fn not_found(error: &OciDistributionError) -> bool {
    use OciErrorCode::{ManifestUnknown, NameUnknown, NotFound};
    match error {
        OciDistributionError::ImageManifestNotFoundError(_) => true,
        OciDistributionError::ServerError { code, .. } => *code == 404,
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|e| [ManifestUnknown, NameUnknown, NotFound].contains(&e.code))
        }
        _ => false,
    }
}

fn denied(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => {
            true
        }
        OciDistributionError::ServerError { code, .. } => matches!(code, 401 | 403),
        OciDistributionError::RegistryError { envelope, .. } => envelope
            .errors
            .iter()
            .any(|e| [OciErrorCode::Denied, OciErrorCode::Unauthorized].contains(&e.code)),
        _ => false,
    }
}

/// What lies below an HTTP client's error, which alone says little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text += &format!(": {words}");
        }
        cause = error.source();
    }
    text
}
