//! The cluster's certificates and keys in one directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use stdx::clock::SharedClock;

use crate::ca::{CA_RENEW_BEFORE, Ca, LEAF_LIFETIME, Template, later, renew_before};
use crate::files;
use crate::identity::Identity;
use crate::sakey::SigningKey;
use crate::tls::LiveIdentity;
use crate::trust::{ClientTrust, names};

/// How often [`Pki::keep_fresh`] looks at most. Expiry is an hour like any other: nothing announces it.
const LOOK_EVERY: Duration = Duration::from_secs(12 * 60 * 60);
/// How much of a certificate's life passes between two looks where that is less.
const LOOKS: u32 = 16;

/// The CA, the service-account key and whatever was issued, kept in a directory (mode 0700, files 0600):
/// `ca.crt`, `ca.key`, `sa.key`, and `NAME.crt`, `NAME.key` for each identity.
#[derive(Debug)]
pub struct Pki {
    dir: PathBuf,
    clock: SharedClock,
    pub ca: Ca,
    pub service_account: Arc<SigningKey>,
    /// How long what is issued lives at most.
    lifetime: Duration,
}

impl Pki {
    /// Opens `dir`, making what is missing.
    pub fn load_or_create(dir: &Path, clock: SharedClock) -> Result<Pki> {
        files::private_dir(dir)?;
        let ca = Ca::load_or_create(&dir.join("ca.crt"), &dir.join("ca.key"), "knarr-ca", clock.now())?;
        let service_account = Arc::new(SigningKey::load_or_create(&dir.join("sa.key"))?);
        Ok(Pki { dir: dir.into(), clock, ca, service_account, lifetime: LEAF_LIFETIME })
    }

    /// What is issued from now on lives no longer than this; a year otherwise.
    pub fn with_lifetime(self, lifetime: Duration) -> Pki {
        Pki { lifetime, ..self }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The identity stored as `name`, issued (anew) when there is none, when it says something else than `template`,
    /// is not of this CA, or has not long to live.
    pub fn identity(&self, name: &str, template: &Template) -> Result<Identity> {
        let template = &Template { lifetime: template.lifetime.min(self.lifetime), ..template.clone() };
        let (cert_path, key_path) =
            (self.dir.join(format!("{name}.crt")), self.dir.join(format!("{name}.key")));
        let now = self.clock.now();
        if let (Some(cert), Some(key)) = (files::read_if_there(&cert_path)?, files::read_if_there(&key_path)?)
        {
            let identity = Identity::new(cert, key);
            match self.judge(&identity, template, now) {
                Ok(()) => return Ok(identity),
                Err(why) => tracing::info!("issuing certificate {name} anew: {why:#}"),
            }
        }
        let identity = self.ca.issue(template, now).with_context(|| format!("issue certificate {name}"))?;
        files::write_private(&key_path, identity.key_pem.as_bytes())?;
        files::write_private(&cert_path, identity.cert_pem.as_bytes())?;
        Ok(identity)
    }

    /// [`Pki::identity`] in a form that running servers and clients follow when it is renewed.
    pub fn live(&self, name: &str, template: &Template) -> Result<Arc<LiveIdentity>> {
        Ok(Arc::new(LiveIdentity::new(&self.identity(name, template)?)?))
    }

    /// Renews `live` in time, for ever. A failure is logged and tried again.
    pub async fn keep_fresh(self: Arc<Self>, name: String, template: Template, live: Arc<LiveIdentity>) {
        self.keep(&name, &template, |identity| live.replace(identity)).await;
    }

    /// Renews the identity in time, for ever, and hands it to `use_it` at every look. A failure is logged and tried again.
    pub async fn keep(&self, name: &str, template: &Template, use_it: impl Fn(&Identity) -> Result<()>) {
        loop {
            self.clock.sleep(self.between_looks()).await;
            if let Err(e) = self.identity(name, template).and_then(|identity| use_it(&identity)) {
                tracing::error!("cannot renew certificate {name}: {e:#}");
            }
        }
    }

    /// Says when the CA has not long to live, for ever: only a start signs it anew.
    pub async fn watch_ca(self: Arc<Self>) {
        loop {
            if let Some(warning) = self.ca_warning() {
                tracing::warn!("{warning}");
            }
            self.clock.sleep(LOOK_EVERY * 2).await;
        }
    }

    /// What is to be done about the CA, if anything.
    pub(crate) fn ca_warning(&self) -> Option<String> {
        let ends = self.ca.not_after();
        (later(self.clock.now(), CA_RENEW_BEFORE) >= ends).then(|| {
            format!(
                "the cluster's CA ends at {ends}: restart this server, which signs it anew with the same key"
            )
        })
    }

    fn between_looks(&self) -> Duration {
        LOOK_EVERY.min(self.lifetime / LOOKS)
    }

    /// Why the identity will not do.
    fn judge(&self, identity: &Identity, template: &Template, now: Timestamp) -> Result<()> {
        identity.certified_key()?;
        let chain = identity.chain()?;
        ClientTrust::new(self.ca.cert_pem())?.verify_for(&chain, template.usage, now)?;
        let (subject, mut have) = names(&chain[0])?;
        let groups: &[String] = match template.organization.as_str() {
            "" => &[],
            _ => std::slice::from_ref(&template.organization),
        };
        ensure!(
            subject.common_name == template.common_name && subject.organizations == groups,
            "other subject"
        );
        let mut want = template.names.clone();
        want.sort();
        have.sort();
        ensure!(have == want, "other names");
        let (_, not_after) = identity.validity()?;
        ensure!(later(now, renew_before(template.lifetime)) < not_after, "it expires at {not_after}");
        Ok(())
    }
}
