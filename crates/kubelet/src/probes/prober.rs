//! One container's probes: when they run, and what a number of equal results means.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::EventType;
use k8s_openapi::api::core::v1::{Container, Pod, Probe};
use tokio::sync::Notify;

use super::{grpc, http, target};
use crate::context::Context;
use crate::observed::{ProbeState, Unhealthy, time};
use crate::spec::{Role, Spec};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Startup,
    Liveness,
    Readiness,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Startup => "Startup",
            Kind::Liveness => "Liveness",
            Kind::Readiness => "Readiness",
        }
    }
}

/// What one probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    /// Good, with something to say.
    Warning(String),
    Failure(String),
    /// It could not be asked.
    Unknown(String),
}

/// See the module.
pub struct Prober {
    pub context: Arc<Context>,
    pub pod: Arc<Pod>,
    pub role: Role,
    pub container: Container,
    pub id: String,
    /// Nanoseconds since 1970.
    pub started_at: i64,
    pub ips: Vec<String>,
    pub state: Arc<Mutex<ProbeState>>,
    pub changed: Arc<Notify>,
}

/// Tries of a probe that could not be asked.
const TRIES: u32 = 3;

impl Prober {
    /// Until the container's end (then it is dropped).
    pub async fn run(self) {
        if let Some(probe) = self.container.startup_probe.clone().filter(|_| !self.read().started) {
            self.probe(Kind::Startup, &probe).await;
        }
        let (live, ready) = (self.container.liveness_probe.clone(), self.container.readiness_probe.clone());
        futures::join!(
            async {
                if let Some(probe) = live {
                    self.probe(Kind::Liveness, &probe).await;
                }
            },
            async {
                if let Some(probe) = ready {
                    self.probe(Kind::Readiness, &probe).await;
                }
            },
        );
    }

    fn read(&self) -> ProbeState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Probes until it has its final say: a startup probe that succeeded, a container that is to be killed.
    async fn probe(&self, kind: Kind, probe: &Probe) {
        let seconds = |given: Option<i32>, default: i32| u64::try_from(given.unwrap_or(default)).unwrap_or(0);
        let period = Duration::from_secs(seconds(probe.period_seconds, 10).max(1));
        let mut run = (Outcome::Success, 0);
        self.wait_for_first(seconds(probe.initial_delay_seconds, 0)).await;
        loop {
            let begun = self.context.clock.monotonic();
            if let Some(success) = self.once(kind, probe).await {
                let same = std::mem::discriminant(&run.0) == std::mem::discriminant(&success);
                run = (success, if same { run.1 + 1 } else { 1 });
                let good = matches!(run.0, Outcome::Success);
                let threshold = if good {
                    probe.success_threshold.unwrap_or(1)
                } else {
                    probe.failure_threshold.unwrap_or(3)
                };
                if run.1 >= threshold.max(1) && self.conclude(kind, good, probe) {
                    return;
                }
            }
            let used = self.context.clock.monotonic().saturating_sub(begun);
            self.context.clock.sleep(period.saturating_sub(used)).await;
        }
    }

    /// The delay counts from the container's start, which may be long ago.
    async fn wait_for_first(&self, delay_seconds: u64) {
        let Some(started) = time(self.started_at) else { return };
        let age = self.context.clock.now().duration_since(started).max(jiff::SignedDuration::ZERO);
        let left = Duration::from_secs(delay_seconds).saturating_sub(age.unsigned_abs());
        if !left.is_zero() {
            self.context.clock.sleep(left).await;
        }
    }

    /// The threshold is reached. Whether this probe is through.
    fn conclude(&self, kind: Kind, good: bool, probe: &Probe) -> bool {
        let grace = probe.termination_grace_period_seconds;
        let unhealthy = |probe| Some(Unhealthy { probe, grace });
        let before = self.read();
        let mut after = before.clone();
        match (kind, good) {
            (Kind::Readiness, good) => after.ready = good,
            (Kind::Startup, true) => after.started = true,
            (Kind::Startup, false) => after.unhealthy = unhealthy("startup"),
            (Kind::Liveness, true) => after.unhealthy = None,
            (Kind::Liveness, false) => after.unhealthy = unhealthy("liveness"),
        }
        let through = after.unhealthy.is_some() || (kind == Kind::Startup && good);
        if after != before {
            *self.state.lock().unwrap_or_else(PoisonError::into_inner) = after;
            self.changed.notify_one();
        }
        through && kind != Kind::Readiness
    }

    /// One probe with its events. `None`: nothing could be learned.
    async fn once(&self, kind: Kind, probe: &Probe) -> Option<Outcome> {
        let mut outcome = self.ask(probe).await;
        for _ in 1..TRIES {
            if !matches!(outcome, Outcome::Unknown(_)) {
                break;
            }
            outcome = self.ask(probe).await;
        }
        let name = kind.name();
        let (event, message, result) = match outcome {
            Outcome::Success => return Some(Outcome::Success),
            Outcome::Warning(why) => {
                ("ProbeWarning", format!("{name} probe warning: {why}"), Some(Outcome::Success))
            }
            Outcome::Failure(why) => {
                ("Unhealthy", format!("{name} probe failed: {why}"), Some(Outcome::Failure(String::new())))
            }
            Outcome::Unknown(why) => {
                ("Unhealthy", format!("{name} probe errored and resulted in unknown state: {why}"), None)
            }
        };
        let spec = Spec { role: self.role, container: std::borrow::Cow::Borrowed(&self.container) };
        self.context.container_event(&self.pod, &spec, EventType::Warning, event, &message);
        result
    }

    async fn ask(&self, probe: &Probe) -> Outcome {
        let timeout =
            Duration::from_secs(u64::try_from(probe.timeout_seconds.unwrap_or(1)).unwrap_or(1).max(1));
        let clock = &self.context.clock;
        if let Some(exec) = &probe.exec {
            return self.exec(exec.command.clone().unwrap_or_default(), timeout).await;
        }
        if let Some(get) = &probe.http_get {
            let target = match target::http(&self.container, get, &self.ips) {
                Ok(target) => target,
                Err(e) => return Outcome::Unknown(e),
            };
            return tokio::select! {
                outcome = http::probe(&target) => outcome,
                () = clock.sleep(timeout) => Outcome::Failure(format!(
                    "Get {:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)", target.url()
                )),
            };
        }
        if let Some(tcp) = &probe.tcp_socket {
            let address = match target::tcp(&self.container, tcp, &self.ips) {
                Ok(address) => address,
                Err(e) => return Outcome::Unknown(e),
            };
            return tokio::select! {
                connected = target::connect(&address) => match connected {
                    Ok(_) => Outcome::Success,
                    Err(why) => Outcome::Failure(why),
                },
                () = clock.sleep(timeout) => Outcome::Failure(format!("dial tcp {address}: i/o timeout")),
            };
        }
        if let Some(grpc) = &probe.grpc {
            let Ok(port) = u16::try_from(grpc.port) else { return Outcome::Unknown("invalid port".into()) };
            let address = target::join(self.ips.first().map_or("", String::as_str), port);
            let tls = grpc.mode.as_deref() == Some("TLS");
            let service = grpc.service.as_deref().unwrap_or_default();
            return tokio::select! {
                outcome = grpc::probe(&address, service, tls) => outcome,
                () = clock.sleep(timeout) => Outcome::Failure(format!(
                    "timeout: failed to connect service {address:?} within {}s", timeout.as_secs()
                )),
            };
        }
        Outcome::Unknown(format!("missing probe handler for {}", self.container.name))
    }

    async fn exec(&self, command: Vec<String>, timeout: Duration) -> Outcome {
        const OUTPUT_MAX: usize = 10 * 1024;
        let seconds = i64::try_from(timeout.as_secs()).unwrap_or(1);
        match self.context.runtime.exec_sync(&self.id, &command, seconds).await {
            Ok(done) if done.exit_code == 0 => Outcome::Success,
            Ok(done) => {
                let mut output = [done.stdout, done.stderr].concat();
                output.truncate(OUTPUT_MAX);
                Outcome::Failure(String::from_utf8_lossy(&output).into_owned())
            }
            Err(cri::Error::DeadlineExceeded(_)) => Outcome::Failure(format!(
                "command timed out: {:?} timed out after {seconds}s",
                command.join(" ")
            )),
            Err(e) => Outcome::Unknown(e.to_string()),
        }
    }
}
