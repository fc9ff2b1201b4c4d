//! One `ContainerStatus` per container: from the runtime's newest and second newest, what it waits for, and its probes.

use std::collections::BTreeMap;

use cri::ContainerState as Cri;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    ContainerUser, LinuxContainerUser, Pod, PodStatus, ResourceRequirements, VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::NodeFacts;
use crate::observed::{Observed, restart_count, time};
use crate::plan::{Actions, Waiting};
use crate::spec::{self, Role, Spec};

/// What the statuses are made from.
pub struct Parts<'a> {
    pub pod: &'a Pod,
    pub old: &'a PodStatus,
    pub observed: &'a Observed,
    pub actions: &'a Actions,
    /// The termination message of an ended container.
    pub messages: &'a dyn Fn(&cri::ContainerStatus) -> String,
    pub node: &'a NodeFacts,
}

impl Parts<'_> {
    pub fn init(&self) -> Vec<ContainerStatus> {
        spec::init(self.pod).map(|s| self.one(&s)).collect()
    }

    pub fn main(&self) -> Vec<ContainerStatus> {
        spec::main(self.pod).map(|s| self.one(&s)).collect()
    }

    pub fn ephemeral(&self) -> Vec<ContainerStatus> {
        spec::ephemeral(self.pod).map(|s| self.one(&s)).collect()
    }

    fn one(&self, spec: &Spec<'_>) -> ContainerStatus {
        let mut found = self.observed.named(spec.name());
        let Some(newest) = found.next() else { return self.never_made(spec) };
        // One that was only created has not been anything yet.
        let (newest, second) = match newest.container.state {
            Cri::Created => match found.next() {
                Some(before) => (before, found.next()),
                None => return ContainerStatus { container_id: None, ..self.never_made(spec) },
            },
            _ => (newest, found.next()),
        };
        let mut status = ContainerStatus {
            name: spec.name().into(),
            image: shown_image(spec, newest),
            image_id: newest.image_ref.clone(),
            container_id: Some(self.id(newest)),
            restart_count: i32::try_from(restart_count(newest)).unwrap_or(i32::MAX),
            state: Some(self.state(newest)),
            last_state: Some(self.last_state(spec, second)),
            started: Some(false),
            user: newest.user.as_ref().map(user),
            volume_mounts: volume_mounts(spec),
            resources: self.resources(spec, newest),
            allocated_resources: (spec.role != Role::Ephemeral)
                .then(|| spec.container.resources.as_ref()?.requests.clone())
                .flatten(),
            ..ContainerStatus::default()
        };
        self.set_ready(spec, newest, &mut status);
        self.set_waiting(spec, &mut status);
        status
    }

    /// What a running container runs with; else what it will be given.
    fn resources(&self, spec: &Spec<'_>, newest: &cri::ContainerStatus) -> Option<ResourceRequirements> {
        if spec.role == Role::Ephemeral {
            return None;
        }
        let given = spec.container.resources.clone().unwrap_or_default();
        let runs = newest.container.state == Cri::Running;
        let actuated = self.observed.resize.actuated.get(spec.name()).filter(|_| runs);
        Some(ResourceRequirements { claims: None, ..actuated.cloned().unwrap_or(given) })
    }

    fn id(&self, container: &cri::ContainerStatus) -> String {
        format!("{}://{}", self.node.runtime_name, container.container.id)
    }

    fn state(&self, container: &cri::ContainerStatus) -> ContainerState {
        let started_at = time(container.started_at).map(Time);
        match container.container.state {
            Cri::Running => ContainerState {
                running: Some(ContainerStateRunning { started_at }),
                ..ContainerState::default()
            },
            Cri::Exited | Cri::Unknown => {
                ContainerState { terminated: Some(self.terminated(container)), ..ContainerState::default() }
            }
            Cri::Created => waiting(&Waiting { reason: "ContainerCreating".into(), message: String::new() }),
        }
    }

    fn terminated(&self, container: &cri::ContainerStatus) -> ContainerStateTerminated {
        let message = (self.messages)(container);
        ContainerStateTerminated {
            container_id: Some(self.id(container)),
            exit_code: container.exit_code,
            signal: None,
            reason: Some(container.reason.clone()).filter(|r| !r.is_empty()),
            message: Some(message).filter(|m| !m.is_empty()),
            started_at: time(container.started_at).map(Time),
            finished_at: time(container.finished_at).map(Time),
        }
    }

    fn last_state(&self, spec: &Spec<'_>, second: Option<&cri::ContainerStatus>) -> ContainerState {
        if let Some(second) = second.filter(|s| s.container.state == Cri::Exited) {
            return ContainerState { terminated: Some(self.terminated(second)), ..ContainerState::default() };
        }
        // The dead one may have been cleaned away; the API still knows it.
        let known = self.known(spec.name()).and_then(|s| s.last_state.clone());
        known.unwrap_or_default()
    }

    fn known(&self, name: &str) -> Option<&ContainerStatus> {
        let old = self.old;
        let lists =
            [&old.init_container_statuses, &old.container_statuses, &old.ephemeral_container_statuses];
        lists.into_iter().flatten().flatten().find(|s| s.name == name)
    }

    /// Nothing of it in the runtime: not yet, or no longer.
    fn never_made(&self, spec: &Spec<'_>) -> ContainerStatus {
        if let Some(known) = self.known(spec.name()).filter(|s| s.container_id.is_some()) {
            return self.lost(known);
        }
        let initializing = spec.role != Role::Ephemeral && spec::init(self.pod).next().is_some();
        let reason = if initializing { "PodInitializing" } else { "ContainerCreating" };
        let mut status = ContainerStatus {
            name: spec.name().into(),
            image: spec.container.image.clone().unwrap_or_default(),
            state: Some(waiting(&Waiting { reason: reason.into(), message: String::new() })),
            last_state: Some(ContainerState::default()),
            started: Some(false),
            volume_mounts: volume_mounts(spec),
            ..ContainerStatus::default()
        };
        self.set_waiting(spec, &mut status);
        status
    }

    /// It was there once and the runtime no longer knows it.
    fn lost(&self, known: &ContainerStatus) -> ContainerStatus {
        let mut status = known.clone();
        let terminated = known.state.as_ref().is_some_and(|s| s.terminated.is_some());
        if !terminated && known.state.as_ref().is_some_and(|s| s.running.is_some()) {
            status.ready = false;
            status.started = Some(false);
            status.state = Some(ContainerState {
                terminated: Some(ContainerStateTerminated {
                    container_id: known.container_id.clone(),
                    exit_code: 137,
                    reason: Some("ContainerStatusUnknown".into()),
                    message: Some(
                        "The container could not be located when the pod was deleted.  The container used to be Running"
                            .into(),
                    ),
                    ..ContainerStateTerminated::default()
                }),
                ..ContainerState::default()
            });
        }
        status
    }

    fn set_ready(&self, spec: &Spec<'_>, newest: &cri::ContainerStatus, status: &mut ContainerStatus) {
        let probe = self.observed.probes.get(&newest.container.id);
        match newest.container.state {
            Cri::Running => {
                status.started = Some(probe.is_some_and(|p| p.started));
                status.ready = match spec.role {
                    Role::Init => false,
                    // Its process runs; nothing probes it.
                    Role::Ephemeral => false,
                    Role::Main | Role::Sidecar => probe.is_some_and(|p| p.started && p.ready),
                };
            }
            Cri::Exited => status.ready = spec.role == Role::Init && newest.exit_code == 0,
            Cri::Created | Cri::Unknown => {}
        }
    }

    /// When it will be started (again) and something is in the way, it waits; what it was goes to `lastState`.
    fn set_waiting(&self, spec: &Spec<'_>, status: &mut ContainerStatus) {
        let state = status.state.clone().unwrap_or_default();
        if state.running.is_some() {
            return;
        }
        if state.terminated.as_ref().is_some_and(|t| !spec::restarts(self.pod, spec, t.exit_code)) {
            return;
        }
        let planned =
            self.actions.waiting.iter().find(|(name, _)| name == spec.name()).map(|(_, w)| w.clone());
        let failed = self.observed.failures.get(spec.name());
        let failed = failed.map(|f| Waiting { reason: f.reason.clone(), message: f.message.clone() });
        let Some(reason) = planned.or(failed) else { return };
        if state.terminated.is_some() {
            status.last_state = Some(state);
        }
        status.state = Some(waiting(&reason));
    }
}

fn waiting(w: &Waiting) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(w.reason.clone()).filter(|r| !r.is_empty()),
            message: Some(w.message.clone()).filter(|m| !m.is_empty()),
        }),
        ..ContainerState::default()
    }
}

fn shown_image(spec: &Spec<'_>, container: &cri::ContainerStatus) -> String {
    match container.image.as_str() {
        "" => spec.container.image.clone().unwrap_or_default(),
        image => image.to_owned(),
    }
}

fn user(user: &cri::ContainerUser) -> ContainerUser {
    ContainerUser {
        linux: Some(LinuxContainerUser {
            uid: user.uid,
            gid: user.gid,
            supplemental_groups: super::some(user.supplemental_groups.clone()),
        }),
    }
}

fn volume_mounts(spec: &Spec<'_>) -> Option<Vec<VolumeMountStatus>> {
    let mounts = spec.container.volume_mounts.iter().flatten();
    // The API's list is a map by path.
    let by_path: BTreeMap<_, _> = mounts
        .map(|m| {
            let status = VolumeMountStatus {
                mount_path: m.mount_path.clone(),
                name: m.name.clone(),
                read_only: m.read_only.filter(|r| *r),
                recursive_read_only: m.read_only.filter(|r| *r).map(|_| {
                    if matches!(m.recursive_read_only.as_deref(), Some("Enabled" | "IfPossible")) {
                        "Enabled"
                    } else {
                        "Disabled"
                    }
                    .to_owned()
                }),
                ..VolumeMountStatus::default()
            };
            (m.mount_path.clone(), status)
        })
        .collect();
    super::some(by_path.into_values().collect())
}
