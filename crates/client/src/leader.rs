//! Leader election over a Lease, with client-go's timings. Start at [`Election`].
//!
//! Two holders are impossible as long as clocks run at about the same rate: a holder that could not renew gives up before
//! another may take over, and whether a lease has expired is judged by how long *we* have seen it unchanged, never by the
//! time written in it.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::{ObjectKey, Status};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use stdx::clock::SharedClock;
use stdx::{Random, Tasks};

use crate::api::Api;
use crate::transport::Transport;

/// When a candidate does what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// Others may take over when they saw no renewal for so long. Whole seconds are written into the lease.
    pub lease_duration: Duration,
    /// The holder gives up when it could not renew for so long.
    pub renew_deadline: Duration,
    /// Between tries.
    pub retry_period: Duration,
}

impl Default for Timings {
    /// client-go's.
    fn default() -> Self {
        let [lease_duration, renew_deadline, retry_period] = [15, 10, 2].map(Duration::from_secs);
        Timings { lease_duration, renew_deadline, retry_period }
    }
}

/// client-go's jitter factor: a try comes up to so many times the period after the one before.
const JITTER: f64 = 1.2;

impl Timings {
    /// Fails, in client-go's words, on times under which two could hold the lease.
    pub fn validate(&self) -> Result<(), &'static str> {
        match self {
            t if t.lease_duration < Duration::from_secs(1) => {
                Err("leaseDuration must be at least one second")
            }
            t if t.retry_period.is_zero() => Err("retryPeriod must be greater than zero"),
            t if t.lease_duration <= t.renew_deadline => {
                Err("leaseDuration must be greater than renewDeadline")
            }
            t if t.renew_deadline <= t.retry_period.mul_f64(JITTER) => {
                Err("renewDeadline must be greater than retryPeriod*JitterFactor")
            }
            _ => Ok(()),
        }
    }
}

/// One candidate for one lease.
pub struct Election {
    api: Api<Lease>,
    key: ObjectKey,
    identity: String,
    timings: Timings,
    clock: SharedClock,
    random: Random,
    seen: Option<Seen>,
}

/// The lease as it was when it last changed, and when we noticed.
struct Seen {
    spec: LeaseSpec,
    at: Duration,
}

impl Election {
    /// `identity` must be unique among the candidates.
    pub fn new(
        transport: Arc<dyn Transport>,
        key: ObjectKey,
        identity: &str,
        clock: SharedClock,
        random: Random,
    ) -> Self {
        let (api, identity, timings) = (Api::new(transport), identity.to_owned(), Timings::default());
        Election { api, key, identity, timings, clock, random, seen: None }
    }

    /// With other times than the usual ones.
    pub fn with_timings(self, timings: Timings) -> Self {
        Election { timings, ..self }
    }

    /// Waits until the lease is ours, runs `lead` in a group of its own, and stops that group when the lease is lost. Returns
    /// then (the caller usually ends the process, or starts over), or when `tasks` is stopped; the lease is given back.
    pub async fn run<F>(mut self, tasks: &Tasks, lead: F)
    where
        F: FnOnce(Tasks),
    {
        let shutdown = tasks.shutdown();
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = self.acquire() => {}
        }
        tracing::info!(lease = %self.key, identity = self.identity, "became leader");
        let leading = tasks.child();
        lead(leading.clone());
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.hold() => tracing::error!(lease = %self.key, "lost the lease"),
        }
        leading.stop().await;
        self.release().await;
    }

    /// Completes when the lease is ours.
    async fn acquire(&mut self) {
        loop {
            match self.try_once().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(status) => tracing::debug!(lease = %self.key, "cannot acquire the lease: {status}"),
            }
            let period = self.timings.retry_period;
            let jitter = period.mul_f64(JITTER) / 1000 * self.random.below(1000) as u32;
            self.clock.sleep(period + jitter).await;
        }
    }

    /// Renews; completes when the lease is lost.
    async fn hold(&mut self) {
        let mut renewed = self.clock.monotonic();
        loop {
            self.clock.sleep(self.timings.retry_period).await;
            let left = self.timings.renew_deadline.saturating_sub(self.clock.monotonic() - renewed);
            let clock = self.clock.clone();
            let started = clock.monotonic();
            let result = tokio::select! {
                result = self.try_once() => result,
                () = clock.sleep(left) => return,
            };
            match result {
                Ok(true) => renewed = started,
                Ok(false) => return,
                Err(status) => tracing::warn!(lease = %self.key, "cannot renew the lease: {status}"),
            }
        }
    }

    /// True: ours. False: somebody else holds it.
    async fn try_once(&mut self) -> Result<bool, Status> {
        let now = self.clock.now();
        let Some(mut lease) = self.api.find(&self.key).await? else {
            let lease = Lease {
                metadata: ObjectMeta {
                    namespace: Some(self.key.namespace.to_string()),
                    name: Some(self.key.name.to_string()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.held(None, now)),
            };
            let created = self.api.create(&lease).await?;
            self.note(created.spec.unwrap_or_default());
            return Ok(true);
        };
        let spec = lease.spec.take().unwrap_or_default();
        let news = self.note(spec.clone());
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if !holder.is_empty() && holder != self.identity && (news || !self.expired(&spec)) {
            return Ok(false);
        }
        lease.spec = Some(self.held(Some(&spec), now));
        let stored = self.api.update(&lease).await?;
        self.note(stored.spec.unwrap_or_default());
        Ok(true)
    }

    /// True: it has changed since we last looked.
    fn note(&mut self, spec: LeaseSpec) -> bool {
        let news = self.seen.as_ref().is_none_or(|seen| seen.spec != spec);
        if news {
            self.seen = Some(Seen { spec, at: self.clock.monotonic() });
        }
        news
    }

    fn expired(&self, spec: &LeaseSpec) -> bool {
        let seconds = spec.lease_duration_seconds.unwrap_or_default().max(0) as u64;
        self.seen.as_ref().is_some_and(|s| self.clock.monotonic() - s.at > Duration::from_secs(seconds))
    }

    /// What we write. `old` is what is there.
    fn held(&self, old: Option<&LeaseSpec>, now: jiff::Timestamp) -> LeaseSpec {
        let old = old.cloned().unwrap_or_default();
        let ours = old.holder_identity.as_deref() == Some(&self.identity);
        let transitions = old.lease_transitions.unwrap_or_default();
        let had_holder = old.holder_identity.as_deref().is_some_and(|h| !h.is_empty());
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.timings.lease_duration.as_secs()).ok(),
            acquire_time: if ours { old.acquire_time } else { Some(MicroTime(now)) },
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(if ours || !had_holder { transitions } else { transitions + 1 }),
            ..old
        }
    }

    /// Lets the next candidate in at once. Best effort.
    async fn release(&self) {
        let give_back = async {
            let Some(mut lease) = self.api.find(&self.key).await? else { return Ok(()) };
            let Some(spec) = lease.spec.as_mut() else { return Ok(()) };
            if spec.holder_identity.as_deref() != Some(&self.identity) {
                return Ok(());
            }
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            self.api.update(&lease).await.map(drop)
        };
        if let Err::<(), Status>(status) = give_back.await {
            tracing::debug!(lease = %self.key, "cannot give the lease back: {status}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeApi;
    use stdx::SystemClock;

    fn candidate(api: &FakeApi, identity: &str) -> Election {
        let key = ObjectKey::new("kube-system", "kube-scheduler");
        Election::new(api.transport(), key, identity, SystemClock::shared(), Random::seeded(1))
    }

    fn holder(api: &FakeApi) -> Option<LeaseSpec> {
        api.find::<Lease>("kube-system", "kube-scheduler")?.spec
    }

    #[tokio::test]
    async fn one_leads_and_gives_the_lease_back() {
        let api = FakeApi::new(SystemClock::shared());
        let tasks = Tasks::new();
        let (started, mut leading) = tokio::sync::mpsc::channel(2);
        let group = tasks.clone();
        let running = tokio::spawn({
            let election = candidate(&api, "a");
            async move {
                election
                    .run(&group, move |tasks| drop(tasks.spawn(async move { started.send(()).await })))
                    .await;
            }
        });
        leading.recv().await.expect("leading");
        assert!(!candidate(&api, "b").try_once().await.expect("an answer"));
        tasks.signal();
        running.await.expect("task");
        let spec = holder(&api).expect("lease");
        assert_eq!(spec.holder_identity.as_deref(), Some(""));
        assert!(candidate(&api, "b").try_once().await.expect("an answer"));
        assert_eq!(holder(&api).and_then(|s| s.holder_identity).as_deref(), Some("b"));
    }

    #[test]
    fn times_that_cannot_work_are_refused() {
        let check = |times: [u64; 3], expected: &str| {
            let [lease_duration, renew_deadline, retry_period] = times.map(Duration::from_secs);
            let said = Timings { lease_duration, renew_deadline, retry_period }.validate();
            assert_eq!(said.err().unwrap_or_default(), expected, "{times:?}");
        };
        check([15, 10, 2], "");
        check([10, 10, 2], "leaseDuration must be greater than renewDeadline");
        check([15, 2, 2], "renewDeadline must be greater than retryPeriod*JitterFactor");
        check([15, 10, 0], "retryPeriod must be greater than zero");
        check([0, 0, 0], "leaseDuration must be at least one second");
    }

    #[tokio::test]
    async fn a_lease_expires_by_our_own_clock() {
        let api = FakeApi::new(SystemClock::shared());
        assert!(candidate(&api, "a").try_once().await.expect("an answer"));
        api.edit::<Lease>("kube-system", "kube-scheduler", |lease| {
            let spec = lease.spec.get_or_insert_default();
            // An old date proves nothing: the holder's clock may be wrong.
            spec.renew_time = Some(MicroTime(jiff::Timestamp::UNIX_EPOCH));
            spec.lease_duration_seconds = Some(0);
        });
        let mut b = candidate(&api, "b");
        assert!(!b.try_once().await.expect("an answer"), "first sight starts the wait");
        assert!(b.try_once().await.expect("an answer"), "unchanged for longer than its duration");
        let spec = holder(&api).expect("lease");
        assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("b"), Some(1)));
    }
}
