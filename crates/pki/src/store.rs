//! The cluster's certificates and keys in one directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use stdx::clock::SharedClock;

use crate::ca::{Ca, Template, later, renew_before};
use crate::files;
use crate::identity::Identity;
use crate::sakey::SigningKey;
use crate::tls::LiveIdentity;
use crate::trust::{ClientTrust, names};

/// How often [`Pki::keep_fresh`] looks. Expiry is an hour like any other: nothing announces it.
const LOOK_EVERY: Duration = Duration::from_secs(12 * 60 * 60);

/// The CA, the service-account key and whatever was issued, kept in a directory (mode 0700, files 0600):
/// `ca.crt`, `ca.key`, `sa.key`, and `NAME.crt`, `NAME.key` for each identity.
#[derive(Debug)]
pub struct Pki {
    dir: PathBuf,
    clock: SharedClock,
    pub ca: Ca,
    pub service_account: Arc<SigningKey>,
}

impl Pki {
    /// Opens `dir`, making what is missing.
    pub fn load_or_create(dir: &Path, clock: SharedClock) -> Result<Pki> {
        files::private_dir(dir)?;
        let ca = Ca::load_or_create(&dir.join("ca.crt"), &dir.join("ca.key"), "knarr-ca", clock.now())?;
        let service_account = Arc::new(SigningKey::load_or_create(&dir.join("sa.key"))?);
        Ok(Pki { dir: dir.into(), clock, ca, service_account })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The identity stored as `name`, issued (anew) when there is none, when it says something else than `template`,
    /// is not of this CA, or has not long to live.
    pub fn identity(&self, name: &str, template: &Template) -> Result<Identity> {
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
        loop {
            self.clock.sleep(LOOK_EVERY).await;
            if let Err(e) = self.identity(&name, &template).and_then(|identity| live.replace(&identity)) {
                tracing::error!("cannot renew certificate {name}: {e:#}");
            }
        }
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
