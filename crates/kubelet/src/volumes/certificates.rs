//! Keys and certificates of pods (KEP-4317): for each projected source a key that is made here, a PodCertificateRequest
//! that its signer answers, and another one when the signer says that it is time. Start at [`Certificates::get`].
//!
//! A key is in memory and in its pod's tmpfs, nowhere else. After a restart what the volume shows is used on while it is
//! good; a request whose key is lost is left to the controller that cleans them up.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::{Api, EventRecorder, EventType, Transport};
use codec::Kind as _;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{PodCertificateRequest, PodCertificateRequestSpec};
use k8s_openapi::api::core::v1::{Node, Pod, PodCertificateProjection, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use pki::keypair::{self, KeyType, Proven};
use stdx::Random;
use stdx::clock::SharedClock;

use crate::objects::{Objects, PodObjects, Reference};
use crate::plan::after;
use crate::spec;

mod state;

pub use state::Bundle;
use state::{Asked, State, Told};

/// Which source of which volume of which pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The pod's.
    pub uid: String,
    pub volume: String,
    /// Among the volume's sources.
    pub index: usize,
}

/// How long a volume waits for a signer before it says that it does. Most answer at once.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two tries to ask for the next certificate while the last is still good, in seconds.
const RETRY: i64 = 30;
/// What is to be renewed is renewed up to so many seconds later: not all at once.
const JITTER: u64 = 300;
/// A request that has not been seen for so many seconds after it was made is gone.
const GONE: i64 = 600;

/// What all certificates are made with, and those that there are.
pub struct Certificates {
    requests: Api<PodCertificateRequest>,
    accounts: Api<ServiceAccount>,
    nodes: Api<Node>,
    objects: Arc<Objects>,
    recorder: EventRecorder,
    clock: SharedClock,
    random: Random,
    known: Mutex<HashMap<Source, State>>,
}

impl Certificates {
    pub fn new(
        transport: &Arc<dyn Transport>,
        objects: Arc<Objects>,
        recorder: EventRecorder,
        clock: SharedClock,
        random: Random,
    ) -> Self {
        Certificates {
            requests: Api::new(transport.clone()),
            accounts: Api::new(transport.clone()),
            nodes: Api::new(transport.clone()),
            objects,
            recorder,
            clock,
            random,
            known: Mutex::default(),
        }
    }

    /// The key and the certificates for a source, and when to ask again, if not only when one of the pod's requests changes. `dir` is the volume, which may show what was there before a restart. The error is what the pod waits for.
    pub async fn get(
        &self,
        pod: &Pod,
        source: Source,
        projection: &PodCertificateProjection,
        dir: &Path,
        objects: &PodObjects,
    ) -> Result<(Bundle, Option<Timestamp>), String> {
        let reference = Reference::pod_certificates(pod);
        let mut changes = objects.watch(&reference);
        let requests = self.objects.list::<PodCertificateRequest>(objects, &reference).await?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&source);
        let mut state =
            known.unwrap_or_else(|| State::taken_up(dir, projection, &requests, self.clock.now()));
        self.settle(pod, &mut state, &requests);
        let asked = match state.wants(self.clock.now()) {
            true => self.ask(pod, projection, &mut state).await,
            false => Ok(()),
        };
        if let Some(changes) = changes.as_mut().filter(|_| state.has_nothing_yet()) {
            let patience = self.clock.sleep(PATIENCE);
            tokio::pin!(patience);
            while state.has_nothing_yet() {
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { break },
                    () = &mut patience => break,
                }
                // What it is not told now, it is told the next time; the key is not to be lost.
                let requests = self.objects.list::<PodCertificateRequest>(objects, &reference).await;
                self.settle(pod, &mut state, &requests.unwrap_or_default());
            }
        }
        let answer = self.answer(pod, &mut state, asked);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(source, state);
        answer
    }

    /// The pod is gone.
    pub fn forget(&self, uid: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|source, _| source.uid != uid);
    }

    /// Takes note of what became of the request.
    fn settle(&self, pod: &Pod, state: &mut State, requests: &[PodCertificateRequest]) {
        let jitter = SignedDuration::from_secs(self.random.below(JITTER).try_into().unwrap_or(0));
        if let Some(told) = state.settle(requests, self.clock.now(), jitter) {
            self.tell(pod, &told);
        }
    }

    fn tell(&self, pod: &Pod, told: &Told) {
        let object = client::events::reference(pod);
        self.recorder.event(&object, EventType::Warning, told.reason, told.message.clone());
    }

    fn answer(
        &self,
        pod: &Pod,
        state: &mut State,
        asked: Result<(), String>,
    ) -> Result<(Bundle, Option<Timestamp>), String> {
        let now = self.clock.now();
        for told in state.overdue(now) {
            self.tell(pod, &told);
        }
        let (bundle, again_at) = match (state.bundle(), asked) {
            (Ok(issued), Ok(())) => issued,
            (Ok((bundle, _)), Err(why)) => {
                tracing::warn!(pod = pod.name(), "cannot renew a certificate, using the old one: {why}");
                (bundle, Some(after(now, RETRY)))
            }
            (Err(_), Err(why)) => return Err(why),
            (Err(why), Ok(())) => return Err(why),
        };
        // What is long overdue is looked at again in a while, too.
        Ok((bundle, again_at.map(|at| at.max(after(now, 1)))))
    }

    async fn ask(
        &self,
        pod: &Pod,
        projection: &PodCertificateProjection,
        state: &mut State,
    ) -> Result<(), String> {
        let failed = |e: &dyn std::fmt::Display| format!("while creating PodCertificateRequest: {e}");
        let kind = KeyType::parse(&projection.key_type)
            .ok_or_else(|| failed(&format!("unknown key type {:?}", projection.key_type)))?;
        // An RSA key keeps a core busy for a while.
        let made = tokio::task::spawn_blocking(move || keypair::generate(kind)).await;
        let made = made.map_err(|e| failed(&e))?.map_err(|e| failed(&format!("{e:#}")))?;
        let request = self.request(pod, projection, &made).await?;
        let request = self.requests.create(&request).await.map_err(|e| failed(&e))?;
        let created = request.metadata.creation_timestamp.as_ref().map_or_else(|| self.clock.now(), |t| t.0);
        state.asked(Asked {
            key: made.key_pem,
            name: request.name().to_owned(),
            seen: false,
            abandon_at: after(created, GONE),
        });
        Ok(())
    }

    async fn request(
        &self,
        pod: &Pod,
        projection: &PodCertificateProjection,
        made: &Proven,
    ) -> Result<PodCertificateRequest, String> {
        let (namespace, spec) = (pod.namespace(), spec::of(pod));
        let account = spec.service_account_name.clone().unwrap_or_else(|| "default".into());
        let found = self.accounts.get(namespace, &account).await;
        let found = found.map_err(|e| format!("while fetching service account: {e}"))?;
        let node = spec.node_name.clone().unwrap_or_default();
        let node_found = self.nodes.get("", &node).await.map_err(|e| format!("while getting node: {e}"))?;
        let owner = OwnerReference {
            api_version: "v1".into(),
            kind: "Pod".into(),
            name: pod.name().to_owned(),
            uid: pod.uid().to_owned(),
            ..OwnerReference::default()
        };
        Ok(PodCertificateRequest {
            metadata: ObjectMeta {
                namespace: Some(namespace.to_owned()),
                generate_name: Some("req-".into()),
                owner_references: Some(vec![owner]),
                ..ObjectMeta::default()
            },
            spec: PodCertificateRequestSpec {
                signer_name: projection.signer_name.clone(),
                pod_name: pod.name().to_owned(),
                pod_uid: pod.uid().to_owned(),
                service_account_name: account,
                service_account_uid: found.uid().to_owned(),
                node_uid: node_found.uid().to_owned(),
                node_name: node,
                max_expiration_seconds: projection.max_expiration_seconds,
                stub_pkc_s10_request: ByteString(made.request.clone()),
                unverified_user_annotations: projection.user_annotations.clone(),
            },
            status: None,
        })
    }
}
