//! Where one source is between its first request and its last, as a value.

use std::path::Path;

use codec::Kind as _;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::certificates::v1::PodCertificateRequest;
use k8s_openapi::api::core::v1::PodCertificateProjection;
use pki::identity;
use resources::certificates::pod_certificate_request::{DENIED, FAILED, ISSUED};

use crate::plan::after;

/// A renewal is told to be late after so many seconds.
const OVERDUE: i64 = 600;

/// A key and certificates for it, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    pub key: String,
    /// The leaf comes first.
    pub chain: String,
}

/// An event about the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub reason: &'static str,
    pub message: String,
}

/// A request that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub key: String,
    pub name: String,
    /// It has been in the view: when it is not any more, it was deleted.
    pub seen: bool,
    /// When it is taken for deleted although it was never seen.
    pub abandon_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Issued {
    bundle: Bundle,
    renew_at: Timestamp,
    not_after: Timestamp,
    told_overdue: bool,
    told_expired: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Nothing,
    Asked(Asked),
    /// For good: what the pod waits for in vain.
    Refused(String),
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    issued: Option<Issued>,
    next: Next,
}

impl State {
    /// What the volume at `dir` shows, if it is good and has both parts; else nothing.
    pub fn taken_up(
        dir: &Path,
        projection: &PodCertificateProjection,
        requests: &[PodCertificateRequest],
        now: Timestamp,
    ) -> State {
        let bundle = shown(dir, projection);
        let issued = bundle.and_then(|bundle| Issued::found(bundle, requests)).filter(|i| i.not_after > now);
        State { issued, next: Next::Nothing }
    }

    /// Nothing issued, and somebody is to answer.
    pub fn has_nothing_yet(&self) -> bool {
        self.issued.is_none() && matches!(self.next, Next::Asked(_))
    }

    /// It is time for a request.
    pub fn wants(&self, now: Timestamp) -> bool {
        self.next == Next::Nothing && self.issued.as_ref().is_none_or(|i| i.renew_at <= now)
    }

    pub fn asked(&mut self, asked: Asked) {
        self.next = Next::Asked(asked);
    }

    /// Takes note of what became of the request, and says so where it was refused. `jitter` is how much later than the signer
    /// says the certificate is renewed.
    pub fn settle(
        &mut self,
        requests: &[PodCertificateRequest],
        now: Timestamp,
        jitter: SignedDuration,
    ) -> Option<Told> {
        let Next::Asked(asked) = &mut self.next else { return None };
        let Some(request) = requests.iter().find(|r| r.name() == asked.name) else {
            if asked.seen || now > asked.abandon_at {
                self.next = Next::Nothing;
            }
            return None;
        };
        asked.seen = true;
        let conditions = request.status.iter().flat_map(|s| s.conditions.iter().flatten());
        let condition = conditions.into_iter().find(|c| [ISSUED, DENIED, FAILED].contains(&&*c.type_))?;
        let refused = match &*condition.type_ {
            DENIED => Some((DENIED, "was denied", "denied")),
            FAILED => Some((FAILED, "failed", "failed")),
            _ => None,
        };
        if let Some((reason, what, permanently)) = refused {
            let why = format!("reason={:?} message={:?}", condition.reason, condition.message);
            self.next = Next::Refused(format!("PodCertificateRequest was permanently {permanently}: {why}"));
            return Some(Told {
                reason,
                message: format!(
                    "PodCertificateRequest {}/{} {what}, reason={:?}, message={:?}",
                    request.namespace(),
                    request.name(),
                    condition.reason,
                    condition.message
                ),
            });
        }
        match Issued::answered(&asked.key, request, jitter) {
            Some(issued) => *self = State { issued: Some(issued), next: Next::Nothing },
            // The API server lets no such answer pass.
            None => {
                self.next = Next::Refused("PodCertificateRequest was issued without a certificate".into())
            }
        }
        None
    }

    /// What is to be said about a renewal that does not come, each once.
    pub fn overdue(&mut self, now: Timestamp) -> Vec<Told> {
        let Some(issued) = &mut self.issued else { return Vec::new() };
        let mut told = Vec::new();
        if now > after(issued.renew_at, OVERDUE) && !std::mem::replace(&mut issued.told_overdue, true) {
            told.push(Told {
                reason: "CertificateOverdueForRefresh",
                message: "PodCertificate refresh overdue".into(),
            });
        }
        if now > issued.not_after && !std::mem::replace(&mut issued.told_expired, true) {
            told.push(Told { reason: "CertificateExpired", message: "PodCertificate expired".into() });
        }
        told
    }

    /// What the volume is to show, and when to look again if nobody answers until then.
    pub fn bundle(&self) -> Result<(Bundle, Option<Timestamp>), String> {
        if let Next::Refused(why) = &self.next {
            return Err(why.clone());
        }
        let Some(issued) = &self.issued else { return Err("credential bundle is not issued yet".into()) };
        let again_at = match &self.next {
            Next::Asked(_) if !issued.told_overdue => Some(after(issued.renew_at, OVERDUE + 1)),
            Next::Asked(_) if !issued.told_expired => Some(after(issued.not_after, 1)),
            Next::Asked(asked) if !asked.seen => Some(after(asked.abandon_at, 1)),
            Next::Asked(_) => None,
            _ => Some(issued.renew_at),
        };
        Ok((issued.bundle.clone(), again_at))
    }
}

impl Issued {
    fn answered(key: &str, request: &PodCertificateRequest, jitter: SignedDuration) -> Option<Issued> {
        let status = request.status.as_ref()?;
        let renew_at = status.begin_refresh_at.as_ref()?.0;
        Some(Issued {
            bundle: Bundle { key: key.to_owned(), chain: clean(status.certificate_chain.as_deref()?)? },
            renew_at: renew_at.checked_add(jitter).unwrap_or(renew_at),
            not_after: status.not_after.as_ref()?.0,
            told_overdue: false,
            told_expired: false,
        })
    }

    /// One that was there before. When it is to be renewed its request says; where that is gone, four fifths of its life.
    fn found(bundle: Bundle, requests: &[PodCertificateRequest]) -> Option<Issued> {
        let leaf = identity::certificates(&bundle.chain).ok()?.into_iter().next()?;
        let (not_before, not_after) = identity::validity(&leaf).ok()?;
        let its = |r: &&PodCertificateRequest| {
            let chain = r.status.as_ref().and_then(|s| s.certificate_chain.as_deref());
            chain.and_then(clean).as_deref() == Some(&bundle.chain)
        };
        let said = requests.iter().find(its).and_then(|r| r.status.as_ref()?.begin_refresh_at.clone());
        let life = not_after.duration_since(not_before);
        let renew_at =
            said.map_or_else(|| not_before.checked_add(life * 4 / 5).unwrap_or(not_after), |t| t.0);
        Some(Issued { bundle, renew_at, not_after, told_overdue: false, told_expired: false })
    }
}

/// The chain without what may stand between its certificates.
fn clean(chain: &str) -> Option<String> {
    identity::certificates(chain).ok().filter(|c| !c.is_empty()).map(|c| identity::to_pem(&c))
}

/// The key and the chain in the volume's files.
fn shown(dir: &Path, projection: &PodCertificateProjection) -> Option<Bundle> {
    let read = |file: &Option<String>| {
        let file = file.as_deref().filter(|f| !f.is_empty())?;
        std::fs::read_to_string(dir.join(file)).ok()
    };
    if let Some(text) = read(&projection.credential_bundle_path) {
        let at = text.find("-----BEGIN CERTIFICATE-----")?;
        return Some(Bundle { key: text[..at].to_owned(), chain: text[at..].to_owned() });
    }
    Some(Bundle { key: read(&projection.key_path)?, chain: read(&projection.certificate_chain_path)? })
}

#[cfg(test)]
mod tests;
