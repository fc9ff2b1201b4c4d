//! Who is believed to be whom, and who may do what: the API server's flags, read and checked. Start at [`SecurityConfig`].
//!
//! Contract: <https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/>

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use auth::authn::service_account::TokenConfig;
use auth::authn::{HeaderNames, RequestHeader, StaticTokens};
pub use auth::authz::Mode;
use pki::{ClientTrust, PublicKey, SigningKey};
use stdx::clock::SharedClock;

pub mod live;
pub mod published;
#[cfg(test)]
mod tests;

/// Bounds of `--service-account-max-token-expiration`.
const MAX_TOKEN_LIFETIMES: (Duration, Duration) = (Duration::from_secs(3600), Duration::from_secs(1 << 32));

/// What the user chose, each field named like its flag.
#[derive(Clone, Debug)]
pub struct SecurityConfig {
    /// Believed besides the cluster's own CA.
    pub client_ca_file: Option<PathBuf>,
    pub request_header: RequestHeaderConfig,
    pub token_auth_file: Option<PathBuf>,
    pub anonymous_auth: bool,
    pub authorization_modes: Vec<Mode>,
    /// 0: no limit.
    pub max_requests_inflight: usize,
    pub max_mutating_requests_inflight: usize,
    /// Between being asked to stop and stopping.
    pub shutdown_delay: Duration,
    /// The first one is in new tokens; empty: the API server's name in the cluster.
    pub service_account_issuers: Vec<String>,
    /// Empty: the issuers.
    pub api_audiences: Vec<String>,
    /// The cluster's own key, when empty.
    pub service_account_signing_key_file: Option<PathBuf>,
    /// Tokens of these keys are believed, too.
    pub service_account_key_files: Vec<PathBuf>,
    pub service_account_max_token_expiration: Option<Duration>,
    pub service_account_extend_token_expiration: bool,
    /// Where others find the keys, when that is not this server.
    pub service_account_jwks_uri: Option<String>,
    pub admission_control_config_file: Option<PathBuf>,
    pub enable_admission_plugins: Vec<String>,
    pub disable_admission_plugins: Vec<String>,
}

impl Default for SecurityConfig {
    fn default() -> Self {
        SecurityConfig {
            client_ca_file: None,
            request_header: RequestHeaderConfig::default(),
            token_auth_file: None,
            anonymous_auth: true,
            authorization_modes: vec![Mode::Node, Mode::Rbac],
            max_requests_inflight: 400,
            max_mutating_requests_inflight: 200,
            shutdown_delay: Duration::ZERO,
            service_account_issuers: Vec::new(),
            api_audiences: Vec::new(),
            service_account_signing_key_file: None,
            service_account_key_files: Vec::new(),
            service_account_max_token_expiration: None,
            service_account_extend_token_expiration: true,
            service_account_jwks_uri: None,
            admission_control_config_file: None,
            enable_admission_plugins: Vec::new(),
            disable_admission_plugins: Vec::new(),
        }
    }
}

/// A front proxy that names users in headers: the `--requestheader-…` flags.
#[derive(Clone, Debug, Default)]
pub struct RequestHeaderConfig {
    /// Without one there is no such proxy.
    pub client_ca_file: Option<PathBuf>,
    pub allowed_names: Vec<String>,
    /// Empty ones: as [`HeaderNames::default`].
    pub username_headers: Vec<String>,
    pub uid_headers: Vec<String>,
    pub group_headers: Vec<String>,
    pub extra_headers_prefix: Vec<String>,
}

/// A front proxy as it is believed.
#[derive(Clone, Debug)]
pub struct FrontProxy {
    pub ca_pem: String,
    pub allowed_names: Vec<String>,
    pub headers: HeaderNames,
}

/// What the files said.
pub struct Security {
    pub front_proxy: Option<FrontProxy>,
    /// PEM of CAs besides the cluster's own; empty without.
    pub client_ca_pem: String,
    pub static_tokens: Option<StaticTokens>,
    pub tokens: TokenConfig,
    /// The cluster's own key, when there is none.
    pub signing: Option<Arc<SigningKey>>,
    pub keys: Vec<PublicKey>,
    pub admission: Arc<admission::Configuration>,
    pub anonymous: bool,
}

impl SecurityConfig {
    /// Reads every file and checks every flag; the error names the flag, the file, what is wrong and what to write.
    pub fn read(&self, default_issuer: &str) -> Result<Security> {
        self.check_modes()?;
        admission::plugins::check_names(&self.enable_admission_plugins, &self.disable_admission_plugins)
            .map_err(|why| anyhow!("--enable-admission-plugins, --disable-admission-plugins: {why}"))?;
        let client_ca_pem = match &self.client_ca_file {
            Some(path) => ca("--client-ca-file", path)?,
            None => String::new(),
        };
        let tokens = self.token_config(default_issuer)?;
        let signing = match &self.service_account_signing_key_file {
            Some(path) => {
                let flag = "--service-account-signing-key-file";
                let key = SigningKey::from_pem(&text(flag, path)?);
                Some(Arc::new(key.with_context(|| format!("{flag} {}", path.display()))?))
            }
            None => None,
        };
        let mut keys = Vec::new();
        for path in &self.service_account_key_files {
            let flag = "--service-account-key-file";
            let read = PublicKey::all_from_pem(&text(flag, path)?);
            keys.extend(read.with_context(|| format!("{flag} {}", path.display()))?);
        }
        Ok(Security {
            front_proxy: self.request_header.read()?,
            client_ca_pem,
            static_tokens: self.static_tokens(&tokens.audiences)?,
            tokens,
            signing,
            keys,
            admission: Arc::new(self.admission()?),
            // As upstream: whoever may do everything has to have a name.
            anonymous: self.anonymous_auth && !self.has(Mode::AlwaysAllow),
        })
    }

    pub fn has(&self, mode: Mode) -> bool {
        self.authorization_modes.contains(&mode)
    }

    fn check_modes(&self) -> Result<()> {
        ensure!(!self.authorization_modes.is_empty(), "--authorization-mode: at least one mode is needed");
        for (at, mode) in self.authorization_modes.iter().enumerate() {
            let again = self.authorization_modes[..at].contains(mode);
            ensure!(!again, "--authorization-mode: {mode:?} has been specified more than once");
        }
        if self.anonymous_auth && self.has(Mode::AlwaysAllow) {
            tracing::warn!("anonymous requests are refused with --authorization-mode=AlwaysAllow");
        }
        Ok(())
    }

    fn token_config(&self, default_issuer: &str) -> Result<TokenConfig> {
        let mut config = TokenConfig::new(default_issuer);
        for (at, issuer) in self.service_account_issuers.iter().enumerate() {
            let flag = "--service-account-issuer";
            ensure!(!issuer.is_empty(), "{flag} must not be empty");
            ensure!(!self.service_account_issuers[..at].contains(issuer), "{flag} {issuer:?} is given twice");
            let url =
                !issuer.contains(':') || issuer.parse::<http::Uri>().is_ok_and(|u| u.scheme().is_some());
            ensure!(url, "{flag} {issuer:?} contained a ':' but was not a valid URL");
        }
        if !self.service_account_issuers.is_empty() {
            config.issuers.clone_from(&self.service_account_issuers);
            config.audiences.clone_from(&self.service_account_issuers);
        }
        if !self.api_audiences.is_empty() {
            config.audiences.clone_from(&self.api_audiences);
        }
        if let Some(max) = self.service_account_max_token_expiration {
            let (low, high) = MAX_TOKEN_LIFETIMES;
            let flag = "--service-account-max-token-expiration";
            ensure!(
                (low..=high).contains(&max),
                "{flag}: the expiration must be between 1 hour and 2^32 seconds"
            );
            config.max_lifetime = Some(max);
        }
        if let Some(uri) = &self.service_account_jwks_uri {
            ensure!(
                uri.starts_with("https://"),
                "--service-account-jwks-uri requires https scheme, parsed as: {uri}"
            );
            config.jwks_uri = Some(uri.clone());
        }
        config.extend = self.service_account_extend_token_expiration;
        Ok(config)
    }

    fn static_tokens(&self, audiences: &[String]) -> Result<Option<StaticTokens>> {
        let Some(path) = &self.token_auth_file else { return Ok(None) };
        let flag = "--token-auth-file";
        let read = StaticTokens::parse(&text(flag, path)?, audiences.to_vec());
        let hint = "a line is TOKEN,USER,UID or TOKEN,USER,UID,\"GROUP,GROUP\"";
        Ok(Some(read.map_err(|why| anyhow!("{flag} {}: {why}; {hint}", path.display()))?))
    }

    fn admission(&self) -> Result<admission::Configuration> {
        let Some(path) = &self.admission_control_config_file else {
            return Ok(admission::Configuration::default());
        };
        let read = admission::Configuration::read(path);
        read.map_err(|why| anyhow!("--admission-control-config-file: {why}"))
    }
}

impl RequestHeaderConfig {
    fn read(&self) -> Result<Option<FrontProxy>> {
        let lists = [
            ("--requestheader-username-headers", &self.username_headers),
            ("--requestheader-uid-headers", &self.uid_headers),
            ("--requestheader-group-headers", &self.group_headers),
            ("--requestheader-extra-headers-prefix", &self.extra_headers_prefix),
        ];
        for (flag, names) in lists {
            for name in names {
                let good = http::HeaderName::from_bytes(name.as_bytes()).is_ok();
                ensure!(
                    good,
                    "{flag}: {name:?} is no name of an HTTP header; write, for example, X-Remote-User"
                );
            }
        }
        let flag = "--requestheader-client-ca-file";
        let Some(path) = &self.client_ca_file else {
            let others = lists.into_iter().chain([("--requestheader-allowed-names", &self.allowed_names)]);
            if let Some((other, _)) = others.into_iter().find(|(_, names)| !names.is_empty()) {
                bail!("{other} needs {flag}: the CA of the proxy that may name users");
            }
            return Ok(None);
        };
        let or = |given: &Vec<String>, default: Vec<String>| match given.is_empty() {
            true => default,
            false => given.clone(),
        };
        let default = HeaderNames::default();
        Ok(Some(FrontProxy {
            ca_pem: ca(flag, path)?,
            allowed_names: self.allowed_names.clone(),
            headers: HeaderNames {
                user: or(&self.username_headers, default.user),
                uid: or(&self.uid_headers, default.uid),
                group: or(&self.group_headers, default.group),
                extra_prefix: or(&self.extra_headers_prefix, default.extra_prefix),
            },
        }))
    }
}

impl Security {
    /// Everything that vouches for clients: `own`, the cluster's CA, and what was given.
    pub fn client_cas(&self, own: &str) -> String {
        both(own, &self.client_ca_pem)
    }

    /// Believes the front proxy's headers, if there is one.
    pub fn request_header(&self, trusts: &live::Trusts, clock: SharedClock) -> Result<Option<RequestHeader>> {
        let (Some(proxy), Some(trust)) = (&self.front_proxy, &trusts.proxies) else { return Ok(None) };
        let ders = |pem: &str| -> Result<BTreeSet<Vec<u8>>> {
            Ok(pki::identity::certificates(pem)?.into_iter().map(|der| der.to_vec()).collect())
        };
        let shared = !ders(&trusts.clients.current().pem)?.is_disjoint(&ders(&proxy.ca_pem)?);
        if shared && proxy.allowed_names.is_empty() {
            tracing::warn!(
                "--requestheader-client-ca-file also vouches for clients: each of them may name himself anybody; name the \
                 proxies with --requestheader-allowed-names"
            );
        }
        let allowed = proxy.allowed_names.clone();
        Ok(Some(RequestHeader::following(trust.clone(), allowed, proxy.headers.clone(), clock)))
    }
}

/// The cluster's own CA with those that were given.
fn both(own: &str, given: &str) -> String {
    match given.trim() {
        "" => own.to_owned(),
        given => format!("{}\n{given}\n", own.trim_end()),
    }
}

fn text(flag: &str, path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{flag}: read {}", path.display()))
}

/// The text of a file with CA certificates.
fn ca(flag: &str, path: &Path) -> Result<String> {
    let pem = text(flag, path)?;
    ClientTrust::new(&pem)
        .with_context(|| format!("{flag} {}: take a file with certificates in PEM", path.display()))?;
    Ok(pem)
}
