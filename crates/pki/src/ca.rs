//! The certificate authority: makes itself, issues certificates, signs requests.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::files;
use crate::identity::{Identity, validity};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Of a certificate that we issue, as kubeadm has it.
pub const LEAF_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const CA_LIFETIME: Duration = Duration::from_secs(3650 * 24 * 60 * 60);
/// A CA with less left than this signs itself anew, with the same key.
pub(crate) const CA_RENEW_BEFORE: Duration = LEAF_LIFETIME;
/// Clocks of cluster members may differ by this much.
pub const BACKDATE: Duration = Duration::from_secs(5 * 60);

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    Server,
    Client,
}

/// What a certificate is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The user's name, in a client certificate.
    pub common_name: String,
    /// The user's group; empty for none. (One: rcgen's names hold one value of a sort.)
    pub organization: String,
    /// DNS names and IP addresses.
    pub names: Vec<String>,
    pub usage: Usage,
    pub lifetime: Duration,
}

impl Template {
    /// Of a server that is reached as `names` (DNS names and IP addresses).
    pub fn server<S: Into<String>>(common_name: &str, names: impl IntoIterator<Item = S>) -> Self {
        Template {
            common_name: common_name.into(),
            organization: String::new(),
            names: names.into_iter().map(Into::into).collect(),
            usage: Usage::Server,
            lifetime: LEAF_LIFETIME,
        }
    }

    /// Of the user `name` in `group`.
    pub fn client(name: &str, group: &str) -> Self {
        Template {
            common_name: name.into(),
            organization: group.into(),
            names: Vec::new(),
            usage: Usage::Client,
            lifetime: LEAF_LIFETIME,
        }
    }
}

/// A certificate authority with its key.
pub struct Ca {
    cert_pem: String,
    cert: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    not_after: Timestamp,
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ca").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

impl Ca {
    /// A new CA and its key in PEM, for whoever stores it.
    pub fn create(common_name: &str, now: Timestamp) -> Result<(Ca, String)> {
        let key = KeyPair::generate().context("generate a P-256 key")?;
        let key_pem = key.serialize_pem();
        Ok((Self::from_pem(&self_signed(common_name, &key, now)?, &key_pem)?, key_pem))
    }

    /// A CA from its certificate and PKCS #8 key. The two must belong together.
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Ca> {
        let cert = CertificateDer::from_pem_slice(cert_pem.as_bytes())
            .map_err(|e| anyhow!("read CA certificate: {e}"))?;
        let key = KeyPair::from_pem(key_pem).context("read CA key")?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&cert).context("read CA certificate")?;
        ensure!(parsed.is_ca(), "the CA certificate is not one of a CA");
        ensure!(
            *parsed.public_key().subject_public_key.data == *key.public_key_raw(),
            "the CA's key does not belong to its certificate"
        );
        let (_, not_after) = validity(&cert)?;
        let issuer = Issuer::from_ca_cert_der(&cert, key).context("read CA certificate")?;
        Ok(Ca { cert_pem: cert_pem.into(), cert: cert.into_owned(), issuer, not_after })
    }

    /// The CA in two files, made when there is none. A certificate that is about to expire is signed anew with
    /// the same key and name, so that what was issued stays good. A certificate without its key is an error: a new
    /// CA would lock everyone out.
    pub fn load_or_create(
        cert_path: &Path,
        key_path: &Path,
        common_name: &str,
        now: Timestamp,
    ) -> Result<Ca> {
        let key_pem = match (files::read_if_there(cert_path)?, files::read_if_there(key_path)?) {
            (Some(cert_pem), Some(key_pem)) => {
                let ca = Self::from_pem(&cert_pem, &key_pem)
                    .with_context(|| format!("load CA {}", cert_path.display()))?;
                if later(now, CA_RENEW_BEFORE) < ca.not_after {
                    return Ok(ca);
                }
                key_pem
            }
            (Some(_), None) => {
                return Err(anyhow!("{} has no key: {} is missing", cert_path.display(), key_path.display()));
            }
            // A crash between the two writes below.
            (None, Some(key_pem)) => key_pem,
            (None, None) => {
                let key_pem = KeyPair::generate().context("generate a P-256 key")?.serialize_pem();
                files::write_private(key_path, key_pem.as_bytes())?;
                key_pem
            }
        };
        let key = KeyPair::from_pem(&key_pem).with_context(|| format!("read {}", key_path.display()))?;
        let cert_pem = self_signed(common_name, &key, now)?;
        files::write_private(cert_path, cert_pem.as_bytes())?;
        Self::from_pem(&cert_pem, &key_pem)
    }

    /// What clients and servers trust, in PEM.
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    pub fn cert_der(&self) -> &CertificateDer<'static> {
        &self.cert
    }

    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// A certificate with a new key.
    pub fn issue(&self, template: &Template, now: Timestamp) -> Result<Identity> {
        let key = KeyPair::generate().context("generate a P-256 key")?;
        let mut params = CertificateParams::new(template.names.clone()).with_context(|| {
            format!("names of certificate {:?}: {:?}", template.common_name, template.names)
        })?;
        params.distinguished_name = DistinguishedName::new();
        if !template.organization.is_empty() {
            params.distinguished_name.push(DnType::OrganizationName, template.organization.as_str());
        }
        params.distinguished_name.push(DnType::CommonName, template.common_name.as_str());
        self.finish(&mut params, template.usage, template.lifetime, now);
        let cert = params.signed_by(&key, &self.issuer).context("sign certificate")?;
        Ok(Identity::new(cert.pem(), key.serialize_pem()))
    }

    /// Signs a PEM request as it stands: whoever calls this has judged its subject and names. The certificate's PEM.
    pub fn sign_request(
        &self,
        request_pem: &str,
        usage: Usage,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<String> {
        // Checks the request's own signature, that is, that the sender holds the key.
        let mut request =
            CertificateSigningRequestParams::from_pem(request_pem).context("read signing request")?;
        self.finish(&mut request.params, usage, lifetime, now);
        Ok(request.signed_by(&self.issuer).context("sign certificate")?.pem())
    }

    fn finish(&self, params: &mut CertificateParams, usage: Usage, lifetime: Duration, now: Timestamp) {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![match usage {
            Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        set_validity(params, now, lifetime, later(now, lifetime).min(self.not_after));
    }
}

fn self_signed(common_name: &str, key: &KeyPair, now: Timestamp) -> Result<String> {
    let mut params = CertificateParams::new([common_name.to_owned()]).context("name the CA")?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::KeyCertSign,
    ];
    set_validity(&mut params, now, CA_LIFETIME, later(now, CA_LIFETIME));
    Ok(params.self_signed(key).context("sign the CA")?.pem())
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, lifetime: Duration, not_after: Timestamp) {
    // The dates' type comes from a crate that rcgen does not re-export; seconds since 1970 reach it.
    let date = |t: Timestamp| {
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(t.as_second().try_into().unwrap_or(0))
    };
    // Short lives begin not much before now: whoever renews with a part of it left would else renew at once.
    params.not_before = date(earlier(now, BACKDATE.min(lifetime / 4)));
    params.not_after = date(not_after);
    let mut serial = [0u8; 16];
    stdx::Random::secret(&mut serial);
    // Positive and of full length, as RFC 5280, 4.1.2.2 wants it.
    serial[0] = (serial[0] & 0x7f) | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
}

/// A certificate with less left than this is issued anew: a quarter of its life, 90 days of a year.
pub(crate) fn renew_before(lifetime: Duration) -> Duration {
    (lifetime / 4).min(90 * DAY)
}

pub(crate) fn later(t: Timestamp, by: Duration) -> Timestamp {
    t.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn earlier(t: Timestamp, by: Duration) -> Timestamp {
    t.checked_sub(by).unwrap_or(Timestamp::MIN)
}
