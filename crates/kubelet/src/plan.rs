//! What should happen to a pod next, as a pure value. Start at [`pod_actions`].
//!
//! Called again after everything that happens; whatever it asks for is either done at once or shows in
//! [`Observed::work`] until it is. Containers start one at a time, in order; they are killed in parallel.

pub mod backoff;
mod end;
pub mod resize;

use cri::{ContainerState, ContainerStatus, NamespaceMode, SandboxState};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod};

use crate::observed::{Observed, label};
use crate::spec::{self, Role, Spec};
use resize::Change;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Directories, cgroup, volumes.
    Prepare,
    CreateSandbox {
        attempt: u32,
    },
    /// Stops a sandbox that is no longer wanted, with what runs in it.
    StopSandbox {
        id: String,
    },
    Start(Start),
    Kill(Kill),
    /// Writes the pod's limits and those of these containers anew.
    Resize {
        names: Vec<String>,
    },
    /// Forgets a container that was created and never started.
    Remove {
        id: String,
    },
    /// Stops the sandbox, unmounts the volumes, removes the cgroup.
    TearDown,
    /// Writes the last status and, when the pod is being deleted, deletes it from the API.
    Finish,
    /// Removes whatever is left of a pod that is gone from the API.
    Purge,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    pub name: String,
    pub restart_count: u32,
    /// Seconds of back-off this start has used up.
    pub back_off: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    pub id: String,
    pub name: String,
    /// Seconds.
    pub grace: i64,
    /// For the event.
    pub message: String,
}

/// What to do now, what containers wait for, and when to ask again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    pub list: Vec<Action>,
    /// Container name → reason and message of `state.waiting`.
    pub waiting: Vec<(String, Waiting)>,
    pub wake_at: Option<Timestamp>,
    /// Set when the kubelet ends the pod by its own decision.
    pub verdict: Option<Verdict>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub reason: String,
    pub message: String,
}

/// Why the pod fails as a whole: `status.reason` and `status.message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub reason: &'static str,
    pub message: String,
}

impl Actions {
    fn push(&mut self, action: Action) {
        self.list.push(action);
    }

    fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |other| other.min(at)));
    }
}

/// Decides. `now` is wall-clock time, as in the pod's own timestamps.
pub fn pod_actions(pod: &Pod, observed: &Observed, now: Timestamp) -> Actions {
    let mut actions = Actions::default();
    if let Some(ending) = end::ending(pod, observed, now, &mut actions) {
        end::plan(pod, observed, now, &ending, &mut actions);
        return actions;
    }
    if observed.work.pod_job {
        return actions;
    }
    if !observed.work.prepared || needs_sandbox(pod, observed) {
        plan_pod(pod, observed, now, &mut actions);
        return actions;
    }
    let Some(sandbox) = observed.sandbox() else { return actions };
    let mut plan = Plan { pod, observed, now, sandbox: &sandbox.sandbox.id, actions };
    plan.containers();
    plan.actions
}

/// Whether the pod has no sandbox that it can run in.
pub fn needs_sandbox(pod: &Pod, observed: &Observed) -> bool {
    let ready = observed.sandboxes.iter().filter(|s| s.sandbox.state == SandboxState::Ready).count();
    let Some(newest) = observed.sandboxes.first() else { return true };
    let host = spec::host_network(pod);
    ready != 1
        || newest.sandbox.state != SandboxState::Ready
        || (newest.namespaces.network == NamespaceMode::Node) != host
        || (!host && newest.ips.is_empty())
}

/// The steps before containers: what there is of an old sandbox ends, everything is prepared, a new sandbox comes.
fn plan_pod(pod: &Pod, observed: &Observed, now: Timestamp, actions: &mut Actions) {
    let old = !observed.sandboxes.is_empty() && needs_sandbox(pod, observed);
    if old {
        let mut waits = false;
        for container in observed.alive().filter(|c| !observed.work.killing.contains_key(&c.container.id)) {
            let message = "Pod sandbox changed, it will be killed and re-created.".to_owned();
            actions.push(Action::Kill(kill(container, spec::grace(pod), message)));
            waits = true;
        }
        if waits || !observed.work.killing.is_empty() {
            return;
        }
        for sandbox in observed.sandboxes.iter().filter(|s| s.sandbox.state == SandboxState::Ready) {
            actions.push(Action::StopSandbox { id: sandbox.sandbox.id.clone() });
        }
        if !actions.list.is_empty() {
            return;
        }
    }
    if observed.work.starting.is_some() {
        return; // Its job notices that the sandbox is gone.
    }
    if let Some(at) = observed.retry_pod_at.filter(|at| *at > now) {
        return actions.wake(at);
    }
    if !observed.work.prepared {
        return actions.push(Action::Prepare);
    }
    let attempt = observed.sandboxes.first().map_or(0, |s| s.sandbox.metadata.attempt + 1);
    actions.push(Action::CreateSandbox { attempt });
}

/// A kill with the container's own name.
fn kill(container: &ContainerStatus, grace: i64, message: String) -> Kill {
    let name = container.container.metadata.name.clone();
    Kill { id: container.container.id.clone(), name, grace: grace.max(1), message }
}

/// The containers of a pod that is to run and has its sandbox.
struct Plan<'a> {
    pod: &'a Pod,
    observed: &'a Observed,
    now: Timestamp,
    sandbox: &'a str,
    actions: Actions,
}

impl Plan<'_> {
    fn containers(&mut self) {
        let pod = self.pod;
        for spec in spec::ephemeral(pod) {
            if self.observed.latest(spec.name()).is_none() {
                self.start(&spec);
            }
        }
        if self.initialize() {
            for spec in spec::main(pod) {
                self.keep(&spec);
            }
        }
        self.resize();
    }

    /// What runs with other resources than it was given, unless it is restarted for that.
    fn resize(&mut self) {
        let resize = &self.observed.resize;
        if self.observed.work.resizing {
            return;
        }
        let pod = self.pod;
        let sidecars = spec::init(pod).filter(|s| s.role == Role::Sidecar);
        let names: Vec<String> = sidecars
            .chain(spec::main(pod))
            .filter(|s| self.current(s.name()).is_some_and(|c| c.container.state == ContainerState::Running))
            .filter(|s| resize::change(&s.container, resize.actuated.get(s.name())) == Change::InPlace)
            .map(|s| s.name().to_owned())
            .collect();
        if names.is_empty() && !resize.stale {
            return;
        }
        match resize.retry_at.filter(|at| *at > self.now) {
            Some(at) => self.actions.wake(at),
            None => self.actions.push(Action::Resize { names }),
        }
    }

    /// Brings the init containers forward. Whether the others may start.
    fn initialize(&mut self) -> bool {
        let pod = self.pod;
        if self.initialized() {
            for spec in spec::init(pod).filter(|s| s.role == Role::Sidecar) {
                self.keep(&spec);
            }
            return true;
        }
        for spec in spec::init(pod) {
            let state = self.current(spec.name()).map(|c| c.container.state);
            let done = match (spec.role, state) {
                (Role::Sidecar, _) => {
                    self.keep(&spec);
                    let running =
                        self.current(spec.name()).filter(|c| c.container.state == ContainerState::Running);
                    running.is_some_and(|c| self.observed.started(c)) && !self.starting(spec.name())
                }
                (_, Some(ContainerState::Exited)) => {
                    let succeeded = self.current(spec.name()).is_some_and(|c| c.exit_code == 0);
                    if !succeeded {
                        self.keep(&spec);
                    }
                    succeeded
                }
                _ => {
                    self.keep(&spec);
                    false
                }
            };
            if !done {
                return false;
            }
        }
        true
    }

    /// A main container has been made in this sandbox: init containers have done their work.
    fn initialized(&self) -> bool {
        spec::main(self.pod).any(|s| self.current(s.name()).is_some())
    }

    fn current(&self, name: &str) -> Option<&ContainerStatus> {
        self.observed.latest_in(name, self.sandbox)
    }

    fn starting(&self, name: &str) -> bool {
        self.observed.work.starting.as_deref() == Some(name)
    }

    /// Makes one container run, or leaves it when it has done its work.
    fn keep(&mut self, spec: &Spec<'_>) {
        if self.starting(spec.name()) {
            return;
        }
        let Some(current) = self.current(spec.name()) else {
            return self.start_in_new_sandbox(spec);
        };
        let current = current.clone();
        match current.container.state {
            ContainerState::Running => self.check_running(spec, &current),
            ContainerState::Exited => self.restart(spec, &current),
            // Its start was cut short by a crash of ours.
            ContainerState::Created => self.actions.push(Action::Remove { id: current.container.id }),
            ContainerState::Unknown => {
                let message =
                    format!("Container {} is in unknown state, try killing it before restart", spec.name());
                self.kill(&current, spec::grace(self.pod), message);
            }
        }
    }

    /// The sandbox is new; the container may have run in an earlier one.
    fn start_in_new_sandbox(&mut self, spec: &Spec<'_>) {
        let earlier = self.observed.latest(spec.name()).cloned();
        match earlier {
            // Init containers run again in every sandbox, also those that succeeded.
            Some(earlier) if spec.role != Role::Init || earlier.exit_code != 0 => {
                self.restart(spec, &earlier)
            }
            _ => self.start(spec),
        }
    }

    fn check_running(&mut self, spec: &Spec<'_>, current: &ContainerStatus) {
        let annotated = current.container.annotations.get(label::HASH);
        let unhealthy = self.observed.probes.get(&current.container.id).and_then(|p| p.unhealthy.clone());
        let name = spec.name();
        let (grace, mut message) =
            if annotated.is_some_and(|h| *h != hash(&spec.container)) && spec.role != Role::Init {
                (None, format!("Container {name} definition changed"))
            } else if spec.role != Role::Init
                && resize::change(&spec.container, self.observed.resize.actuated.get(name)) == Change::Restart
            {
                let message = format!("Container {name} resize requires restart");
                return self.kill(current, spec::grace(self.pod), message);
            } else if let Some(unhealthy) = unhealthy {
                (unhealthy.grace, format!("Container {name} failed {} probe", unhealthy.probe))
            } else {
                return;
            };
        if spec::restarts(self.pod, spec, 1) {
            message += ", will be restarted";
        }
        self.kill(current, grace.unwrap_or_else(|| spec::grace(self.pod)), message);
    }

    fn kill(&mut self, container: &ContainerStatus, grace: i64, message: String) {
        if !self.observed.work.killing.contains_key(&container.container.id) {
            self.actions.push(Action::Kill(kill(container, grace, message)));
        }
    }

    /// After its end: again, when the policy says so and the back-off is over.
    fn restart(&mut self, spec: &Spec<'_>, ended: &ContainerStatus) {
        if self.observed.resize.restarting.contains(&ended.container.id) {
            return self.start(spec);
        }
        if !spec::restarts(self.pod, spec, ended.exit_code) {
            return;
        }
        let until = backoff::until(ended);
        if until <= self.now {
            return self.start(spec);
        }
        let seconds = backoff::delay(ended);
        let message = format!(
            "back-off {} restarting failed container={} pod={}",
            backoff::text(seconds),
            spec.name(),
            spec::full_name(self.pod)
        );
        self.actions
            .waiting
            .push((spec.name().into(), Waiting { reason: "CrashLoopBackOff".into(), message }));
        self.actions.wake(until);
    }

    /// Starts, unless something else starts now or the last failure was just now.
    fn start(&mut self, spec: &Spec<'_>) {
        if let Some(failure) = self.observed.failures.get(spec.name()).filter(|f| f.retry_at > self.now) {
            return self.actions.wake(failure.retry_at);
        }
        let one = self.actions.list.iter().any(|a| matches!(a, Action::Start(_)));
        if one || self.observed.work.starting.is_some() {
            return;
        }
        let last = self.observed.latest(spec.name());
        self.actions.push(Action::Start(Start {
            name: spec.name().into(),
            restart_count: self.restart_count(spec.name()),
            back_off: last.map_or(0, backoff::next),
        }));
    }

    /// One more than the last one's; after dead containers were cleaned away, than the API remembers.
    fn restart_count(&self, name: &str) -> u32 {
        if let Some(count) = self.observed.restart_count(name) {
            return count + 1;
        }
        let status = self.pod.status.as_ref();
        let lists = status.map(|s| [&s.container_statuses, &s.init_container_statuses]);
        let known = lists
            .into_iter()
            .flatten()
            .flatten()
            .flatten()
            .find(|s| s.name == name && s.container_id.is_some());
        known.map_or(0, |s| u32::try_from(s.restart_count).unwrap_or(0) + 1)
    }
}

/// A change of what is hashed restarts the container. As upstream: name and image, all that can change in place.
pub fn hash(container: &Container) -> String {
    let text = serde_json::json!({"image": container.image, "name": container.name}).to_string();
    let hash = text.bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    format!("{hash:x}")
}

/// `from` plus some seconds; far in the future when that cannot be represented.
pub fn after(from: Timestamp, seconds: i64) -> Timestamp {
    from.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
