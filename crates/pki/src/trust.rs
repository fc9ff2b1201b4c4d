//! Is this certificate chain good, and whom does it name?

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::extensions::GeneralName;

use crate::ca::Usage;
use crate::identity::certificates;
use crate::tls;

/// Whom a certificate names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    pub common_name: String,
    pub organizations: Vec<String>,
    /// The user's uid, as Kubernetes puts it into the subject (OID 1.3.6.1.4.1.57683.2).
    pub uid: String,
}

/// The CAs that vouch for certificates.
#[derive(Debug)]
pub struct ClientTrust {
    clients: Arc<dyn ClientCertVerifier>,
    servers: Arc<WebPkiServerVerifier>,
}

impl ClientTrust {
    /// Trusts every certificate in the PEM text; one at least.
    pub fn new(ca_pem: &str) -> Result<Self> {
        let roots = Arc::new(roots(ca_pem)?);
        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), tls::provider())
            .build()
            .context("trust client CA")?;
        let servers = WebPkiServerVerifier::builder_with_provider(roots, tls::provider())
            .build()
            .context("trust server CA")?;
        Ok(ClientTrust { clients, servers })
    }

    /// Whom a client's chain (leaf first) names. The error says what is wrong: its signature, date, usage, …
    pub fn verify(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<Subject> {
        self.verify_for(chain, Usage::Client, now)?;
        Ok(names(&chain[0])?.0)
    }

    pub(crate) fn verify_for(
        &self,
        chain: &[CertificateDer<'_>],
        usage: Usage,
        now: Timestamp,
    ) -> Result<()> {
        let Some((leaf, intermediates)) = chain.split_first() else { bail!("empty certificate chain") };
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        match usage {
            Usage::Client => {
                self.clients.verify_client_cert(leaf, intermediates, now)?;
            }
            Usage::Server => {
                let (_, names) = names(leaf)?;
                let first = names.first().ok_or_else(|| anyhow!("it names no server"))?;
                let name = ServerName::try_from(first.clone()).context("server name")?;
                self.servers.verify_server_cert(leaf, intermediates, &name, &[], now)?;
            }
        }
        Ok(())
    }
}

/// CAs that running servers follow when they are replaced.
#[derive(Debug)]
pub struct LiveTrust(RwLock<Arc<Believed>>);

/// One state of a [`LiveTrust`].
#[derive(Debug)]
pub struct Believed {
    pub trust: ClientTrust,
    /// What it was made from.
    pub pem: String,
}

impl LiveTrust {
    /// As [`ClientTrust::new`].
    pub fn new(ca_pem: &str) -> Result<Self> {
        Ok(LiveTrust(RwLock::new(Arc::new(Believed::new(ca_pem)?))))
    }

    /// For what is judged from now on. After an error it is as it was.
    pub fn replace(&self, ca_pem: &str) -> Result<()> {
        let believed = Arc::new(Believed::new(ca_pem)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = believed;
        Ok(())
    }

    /// The CAs as they are now.
    pub fn current(&self) -> Arc<Believed> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Believed {
    fn new(ca_pem: &str) -> Result<Self> {
        Ok(Believed { trust: ClientTrust::new(ca_pem)?, pem: ca_pem.to_owned() })
    }
}

/// The certificates in a PEM text as trust anchors; one at least.
pub fn roots(ca_pem: &str) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for cert in certificates(ca_pem)? {
        roots.add(cert).context("use certificate as CA")?;
    }
    if roots.is_empty() {
        bail!("no CA certificate in PEM text");
    }
    Ok(roots)
}

/// A certificate's subject, and its DNS names and addresses. Proves nothing.
pub fn names(cert: &CertificateDer<'_>) -> Result<(Subject, Vec<String>)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(cert).context("read certificate")?;
    let mut subject = Subject::default();
    for attribute in parsed.subject().iter_attributes() {
        let text = || attribute.as_str().map(str::to_owned).context("subject of a certificate");
        match attribute.attr_type().to_id_string().as_str() {
            // As Go reads it, the last one counts.
            "2.5.4.3" => subject.common_name = text()?,
            "2.5.4.10" => subject.organizations.push(text()?),
            "1.3.6.1.4.1.57683.2" => subject.uid = text()?,
            _ => {}
        }
    }
    let mut names = Vec::new();
    if let Some(extension) = parsed.subject_alternative_name().context("names of a certificate")? {
        for name in &extension.value.general_names {
            match name {
                GeneralName::DNSName(dns) => names.push((*dns).to_owned()),
                GeneralName::IPAddress(ip) => names.extend(address(ip)),
                _ => {}
            }
        }
    }
    Ok((subject, names))
}

fn address(bytes: &[u8]) -> Option<String> {
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    Some(ip.to_string())
}
