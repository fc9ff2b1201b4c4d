//! A pod's containers as one list, with what each of them is and when it restarts.

use std::borrow::Cow;
use std::sync::LazyLock;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod, PodSpec};

/// What a container is to its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Runs to its end before the next one.
    Init,
    /// An init container with `restartPolicy: Always`.
    Sidecar,
    Main,
    /// Added by `kubectl debug`; started once, never restarted.
    Ephemeral,
}

impl Role {
    /// As `involvedObject.fieldPath` names the list.
    pub fn list(self) -> &'static str {
        match self {
            Role::Init | Role::Sidecar => "initContainers",
            Role::Main => "containers",
            Role::Ephemeral => "ephemeralContainers",
        }
    }
}

/// One of a pod's containers.
#[derive(Clone, Debug)]
pub struct Spec<'a> {
    pub role: Role,
    pub container: Cow<'a, Container>,
}

impl Spec<'_> {
    pub fn name(&self) -> &str {
        &self.container.name
    }

    /// `spec.containers{nginx}`
    pub fn field_path(&self) -> String {
        format!("spec.{}{{{}}}", self.role.list(), self.name())
    }
}

static NO_SPEC: LazyLock<PodSpec> = LazyLock::new(PodSpec::default);

/// The pod's spec; an empty one where there is none (the API never stores such a pod).
pub fn of(pod: &Pod) -> &PodSpec {
    pod.spec.as_ref().unwrap_or(&NO_SPEC)
}

/// Init containers and sidecars, in order.
pub fn init(pod: &Pod) -> impl Iterator<Item = Spec<'_>> {
    of(pod).init_containers.iter().flatten().map(|c| {
        let role = if c.restart_policy.as_deref() == Some("Always") { Role::Sidecar } else { Role::Init };
        Spec { role, container: Cow::Borrowed(c) }
    })
}

/// The containers proper.
pub fn main(pod: &Pod) -> impl Iterator<Item = Spec<'_>> {
    of(pod).containers.iter().map(|c| Spec { role: Role::Main, container: Cow::Borrowed(c) })
}

/// Those that were added while the pod ran.
pub fn ephemeral(pod: &Pod) -> impl Iterator<Item = Spec<'_>> {
    of(pod)
        .ephemeral_containers
        .iter()
        .flatten()
        .map(|c| Spec { role: Role::Ephemeral, container: Cow::Owned(as_container(c)) })
}

/// All of them, in the order they start.
pub fn all(pod: &Pod) -> impl Iterator<Item = Spec<'_>> {
    ephemeral(pod).chain(init(pod)).chain(main(pod))
}

/// The container of this name.
pub fn find<'a>(pod: &'a Pod, name: &str) -> Option<Spec<'a>> {
    all(pod).find(|c| c.name() == name)
}

/// The container an ephemeral one wants to share processes with.
pub fn target_of<'a>(pod: &'a Pod, ephemeral: &str) -> Option<&'a str> {
    let found = of(pod).ephemeral_containers.iter().flatten().find(|c| c.name == ephemeral)?;
    found.target_container_name.as_deref().filter(|t| !t.is_empty())
}

fn as_container(e: &EphemeralContainer) -> Container {
    Container {
        args: e.args.clone(),
        command: e.command.clone(),
        env: e.env.clone(),
        env_from: e.env_from.clone(),
        image: e.image.clone(),
        image_pull_policy: e.image_pull_policy.clone(),
        lifecycle: None,
        name: e.name.clone(),
        resources: e.resources.clone(),
        security_context: e.security_context.clone(),
        stdin: e.stdin,
        stdin_once: e.stdin_once,
        termination_message_path: e.termination_message_path.clone(),
        termination_message_policy: e.termination_message_policy.clone(),
        tty: e.tty,
        volume_devices: e.volume_devices.clone(),
        volume_mounts: e.volume_mounts.clone(),
        working_dir: e.working_dir.clone(),
        // What an ephemeral container cannot have (validation forbids it).
        liveness_probe: None,
        ports: None,
        readiness_probe: None,
        resize_policy: None,
        restart_policy: None,
        restart_policy_rules: None,
        startup_probe: None,
    }
}

/// Whether the network is the host's.
pub fn host_network(pod: &Pod) -> bool {
    of(pod).host_network == Some(true)
}

/// The pod's own `restartPolicy`.
pub fn restart_policy(pod: &Pod) -> &str {
    of(pod).restart_policy.as_deref().unwrap_or("Always")
}

/// How long containers get to stop, in seconds, when nobody said otherwise.
pub fn grace(pod: &Pod) -> i64 {
    of(pod).termination_grace_period_seconds.unwrap_or(30)
}

/// Whether a container that ended with `exit_code` starts again.
pub fn restarts(pod: &Pod, spec: &Spec<'_>, exit_code: i32) -> bool {
    let rules = spec.container.restart_policy_rules.iter().flatten();
    let rule = rules.into_iter().find(|rule| {
        rule.exit_codes.as_ref().is_some_and(|codes| {
            let listed = codes.values.iter().flatten().any(|v| *v == exit_code);
            if codes.operator == "NotIn" { !listed } else { listed }
        })
    });
    if rule.is_some_and(|r| r.action == "Restart") {
        return true;
    }
    let own = spec.container.restart_policy.as_deref();
    match spec.role {
        Role::Ephemeral => false,
        Role::Sidecar => true,
        // An init container that succeeded is done, whatever the policy.
        Role::Init => exit_code != 0 && own.unwrap_or_else(|| restart_policy(pod)) != "Never",
        Role::Main => match own.unwrap_or_else(|| restart_policy(pod)) {
            "Never" => false,
            "OnFailure" => exit_code != 0,
            _ => true,
        },
    }
}

/// A pod as upstream's messages name it: `name_namespace(uid)`.
pub fn full_name(pod: &Pod) -> String {
    let meta = &pod.metadata;
    format!(
        "{}_{}({})",
        meta.name.as_deref().unwrap_or_default(),
        meta.namespace.as_deref().unwrap_or_default(),
        meta.uid.as_deref().unwrap_or_default()
    )
}
