//! Starting a container: image, configuration, create, start, postStart.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use client::EventType;
use codec::Kind as _;
use cri::{Mount, PodSandboxStatus};
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};

use super::jobs::Done;
use super::{Worker, config};
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::hooks;
use crate::images::{self, Wanted};
use crate::objects::{PodObjects, Reference};
use crate::paths;
use crate::plan::Start;
use crate::podconfig::container::{self, Given};
use crate::podconfig::expand::expand_strict;
use crate::podconfig::{ConfigError, env, hosts, services};
use crate::spec::{self, Spec};
use crate::volumes::subpath;

/// How a start went.
pub struct Started {
    pub name: String,
    /// As it was when the start began.
    pub pod: Arc<Pod>,
    /// Its id, once it was created.
    pub container: Option<String>,
    pub result: Result<(), Failed>,
}

/// Why it is not running: `reason` and `message` of `state.waiting`.
pub struct Failed {
    pub reason: &'static str,
    pub message: String,
    /// A pull: backs off on its own.
    pub pull: bool,
    pub retry: Duration,
}

/// Between two tries of what nothing tells us about.
const RETRY: Duration = Duration::from_secs(10);

impl Failed {
    fn new(reason: &'static str, message: impl ToString) -> Self {
        Failed { reason, message: message.to_string(), pull: false, retry: RETRY }
    }
}

impl Worker {
    pub(super) fn start(&mut self, start: Start) {
        let Some(sandbox) = self.observed.sandbox().cloned() else { return };
        self.observed.work.starting = Some(start.name.clone());
        let target = spec::target_of(&self.pod, &start.name);
        let target = target.and_then(|name| self.observed.latest(name)).map(|c| c.container.id.clone());
        let job = Job {
            context: self.context.clone(),
            pod: self.pod.clone(),
            objects: self.objects.clone(),
            backing_off: self.pull_back_off(&start.name),
            ips: self.pod_ips(),
            sandbox,
            start,
            target,
            cancelled: self.new_start(),
        };
        self.jobs.push(async move { Done::Started(Box::new(job.run().await)) }.boxed());
    }
}

struct Job {
    context: Arc<Context>,
    pod: Arc<Pod>,
    objects: Arc<PodObjects>,
    sandbox: PodSandboxStatus,
    start: Start,
    ips: Vec<String>,
    backing_off: Option<String>,
    target: Option<String>,
    /// The pod ends: nothing that takes long is worth waiting for.
    cancelled: CancellationToken,
}

impl Job {
    async fn run(self) -> Started {
        let name = self.start.name.clone();
        let mut made = None;
        let result = match spec::find(&self.pod, &name) {
            Some(spec) => self.steps(&spec, &mut made).await,
            None => Err(Failed::new(
                "CreateContainerConfigError",
                format!("container {name} is not in the pod's spec"),
            )),
        };
        Started { name, pod: self.pod.clone(), container: made, result }
    }

    async fn steps(&self, spec: &Spec<'_>, made: &mut Option<String>) -> Result<(), Failed> {
        let policy = spec.container.image_pull_policy.as_deref().unwrap_or("IfNotPresent");
        let name = spec.container.image.as_deref().unwrap_or_default();
        let image = self.unless_cancelled(self.image(spec, name, policy)).await?;
        let volumes = self.unless_cancelled(self.volume_images(spec)).await?;
        let config = self.config(spec, &image, &volumes).await.map_err(|e| {
            self.failed_event(spec, &e.0);
            Failed::new("CreateContainerConfigError", e)
        })?;
        let sandbox = config::sandbox_config(&self.context, &self.pod, self.sandbox.sandbox.metadata.attempt);
        let sandbox = sandbox.map_err(|e| Failed::new("CreateContainerConfigError", e))?;
        let id = self.context.runtime.create_container(&self.sandbox.sandbox.id, &config, &sandbox).await;
        let id = id.map_err(|e| {
            self.failed_event(spec, &e.to_string());
            Failed::new("CreateContainerError", e)
        })?;
        *made = Some(id.clone());
        self.event(spec, EventType::Normal, "Created", "Container created");
        self.context.runtime.start_container(&id).await.map_err(|e| {
            self.failed_event(spec, &e.to_string());
            // The container has ended: its own back-off decides.
            Failed { retry: Duration::ZERO, ..Failed::new("RunContainerError", e) }
        })?;
        self.event(spec, EventType::Normal, "Started", "Container started");
        self.tell_clamped(spec, &id).await;
        self.unless_cancelled(self.post_start(spec, &id)).await
    }

    async fn unless_cancelled<T>(&self, step: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        tokio::select! {
            done = step => done,
            () = self.cancelled.cancelled() => Err(Failed::new("ContainerCreating", "")),
        }
    }

    fn event(&self, spec: &Spec<'_>, kind: EventType, reason: &str, message: &str) {
        self.context.container_event(&self.pod, spec, kind, reason, message);
    }

    /// One event for all that the machine could not give.
    async fn tell_clamped(&self, spec: &Spec<'_>, id: &str) {
        // Gone already: then its end is what there is to tell.
        let warnings = self.context.runtime.container_warnings(id).await.unwrap_or_default();
        if !warnings.is_empty() {
            let message = format!("Container runs with less than it asked for: {}", warnings.join("; "));
            self.event(spec, EventType::Warning, "Clamped", &message);
        }
    }

    fn failed_event(&self, spec: &Spec<'_>, why: &str) {
        self.event(spec, EventType::Warning, "Failed", &format!("Error: {why}"));
    }

    /// Image ids of the image volumes that the container mounts, by volume.
    async fn volume_images(&self, spec: &Spec<'_>) -> Result<BTreeMap<String, String>, Failed> {
        let mut ids = BTreeMap::new();
        for volume in spec::of(&self.pod).volumes.iter().flatten() {
            let mounted = spec.container.volume_mounts.iter().flatten().any(|m| m.name == volume.name);
            let Some(source) = volume.image.as_ref().filter(|_| mounted) else { continue };
            let reference = source.reference.as_deref().unwrap_or_default();
            let policy = source.pull_policy.as_deref().unwrap_or("IfNotPresent");
            ids.insert(volume.name.clone(), self.image(spec, reference, policy).await?.id);
        }
        Ok(ids)
    }

    async fn image(&self, spec: &Spec<'_>, image: &str, policy: &str) -> Result<cri::Image, Failed> {
        let wanted = Wanted {
            image,
            policy,
            credentials: images::credentials::for_image(image, &self.pull_secrets().await),
            backing_off: self.backing_off.clone(),
        };
        let pulling = || self.event(spec, EventType::Normal, "Pulling", &format!("Pulling image {image:?}"));
        match self.context.images.ensure(&wanted, pulling).await {
            Ok(ready) => {
                self.event(spec, EventType::Normal, "Pulled", &ready.message);
                Ok(ready.image)
            }
            Err(not) => {
                let kind =
                    if not.reason == "ImagePullBackOff" { EventType::Normal } else { EventType::Warning };
                self.event(spec, kind, not.event.0, &not.event.1);
                self.failed_event(spec, not.reason);
                Err(Failed { pull: not.pull_failed, ..Failed::new(not.reason, not.message) })
            }
        }
    }

    /// Those that are there; a missing one is upstream's warning, not an error.
    async fn pull_secrets(&self) -> Vec<Secret> {
        let mut found = Vec::new();
        let mut missing = Vec::new();
        for reference in
            spec::of(&self.pod).image_pull_secrets.iter().flatten().filter(|r| !r.name.is_empty())
        {
            let of = Reference::secret(self.pod.namespace(), &reference.name);
            match self.context.objects.get::<Secret>(&self.objects, &of).await {
                Ok(Some(secret)) => found.push(secret),
                _ => missing.push(reference.name.clone()),
            }
        }
        if !missing.is_empty() {
            let message = format!(
                "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
                missing.join(", ")
            );
            self.context.pod_event(&self.pod, EventType::Warning, "FailedToRetrieveImagePullSecret", message);
        }
        found
    }

    async fn config(
        &self,
        spec: &Spec<'_>,
        image: &cri::Image,
        volumes: &BTreeMap<String, String>,
    ) -> Result<cri::ContainerConfig, ConfigError> {
        let (pod, own) = (&*self.pod, &*spec.container);
        let sources = self.sources(spec).await;
        let env = env::environment(pod, own, &self.context.fields(self.ips.clone()), &sources)?;
        let given = Given {
            start: &self.start,
            image,
            image_ref: image.id.clone(),
            mounts: self.mounts(spec, &env, volumes)?,
            env,
            machine: self.context.machine,
            defaults: self.context.defaults(),
            target: self.target.clone(),
        };
        container::container_config(pod, own, given)
    }

    async fn sources(&self, spec: &Spec<'_>) -> env::Sources {
        let namespace = self.pod.namespace();
        let needs = env::needs(&spec.container);
        let links = spec::of(&self.pod).enable_service_links != Some(false);
        let services = services::variables(&self.context.services_for(namespace).await, namespace, links);
        let mut sources = env::Sources { services, ..env::Sources::default() };
        for name in needs.config_maps {
            let reference = Reference::config_map(namespace, &name);
            let found = self.context.objects.get::<ConfigMap>(&self.objects, &reference).await;
            sources.config_maps.insert(name, found);
        }
        for name in needs.secrets {
            let reference = Reference::secret(namespace, &name);
            let found = self.context.objects.get::<Secret>(&self.objects, &reference).await;
            sources.secrets.insert(name, found);
        }
        sources
    }

    /// Volumes, /etc/hosts, the termination log.
    fn mounts(
        &self,
        spec: &Spec<'_>,
        env: &[(String, String)],
        images: &BTreeMap<String, String>,
    ) -> Result<Vec<Mount>, ConfigError> {
        let mut mounts = self.volume_mounts(spec, env, images)?;
        let taken = |path: &str| mounts.iter().any(|m| m.container_path.trim_end_matches('/') == path);
        let failed = |what: &Path, e: std::io::Error| ConfigError(format!("{}: {e}", what.display()));
        let mut more = Vec::new();
        if !taken("/etc/hosts") {
            let file = self.context.paths.hosts_file(self.pod.uid());
            let host = fs::read_to_string("/etc/hosts").unwrap_or_default();
            let text = hosts::hosts_file(&self.pod, &self.ips, &self.context.dns.domain, &host);
            write_file(&file, &text, 0o644).map_err(|e| failed(&file, e))?;
            more.push(("/etc/hosts".to_owned(), paths::text(&file)));
        }
        let message_path = container::message_path(&spec.container);
        if !taken(message_path) {
            let file =
                self.context.paths.termination_log(self.pod.uid(), spec.name(), self.start.restart_count);
            // Whoever the container runs as may write it.
            write_file(&file, "", 0o666).map_err(|e| failed(&file, e))?;
            more.push((message_path.to_owned(), paths::text(&file)));
        }
        mounts.extend(more.into_iter().map(|(container_path, host_path)| Mount {
            container_path,
            host_path,
            ..Mount::default()
        }));
        Ok(mounts)
    }

    fn volume_mounts(
        &self,
        spec: &Spec<'_>,
        env: &[(String, String)],
        images: &BTreeMap<String, String>,
    ) -> Result<Vec<Mount>, ConfigError> {
        let known = |name: &str| env.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let mut mounts = Vec::new();
        for (i, mount) in spec.container.volume_mounts.iter().flatten().enumerate() {
            let (mut host, readonly) =
                self.context.volumes.host_path(&self.pod, &mount.name).ok_or_else(|| {
                    ConfigError(format!(
                        "cannot find volume {:?} to mount into container {:?}",
                        mount.name,
                        spec.name()
                    ))
                })?;
            let sub_path = match mount.sub_path_expr.as_deref().filter(|p| !p.is_empty()) {
                Some(expression) => Some(expand_strict(expression, &known).map_err(ConfigError)?),
                None => mount.sub_path.clone().filter(|p| !p.is_empty()),
            };
            if let Some(image) = images.get(&mount.name) {
                let image_sub_path = sub_path.unwrap_or_default();
                let mounted = container::volume_mount(mount, String::new(), true)?;
                mounts.push(Mount { image: image.clone(), image_sub_path, ..mounted });
                continue;
            }
            if let Some(sub_path) = sub_path {
                let target = self.context.paths.subpaths(self.pod.uid()).join(&mount.name).join(spec.name());
                let target = target.join(i.to_string());
                subpath::bind(&*self.context.mounter, &host, &sub_path, &target).map_err(ConfigError)?;
                host = target;
            }
            mounts.push(container::volume_mount(mount, paths::text(&host), readonly)?);
        }
        Ok(mounts)
    }

    async fn post_start(&self, spec: &Spec<'_>, id: &str) -> Result<(), Failed> {
        let Some(hook) = spec.container.lifecycle.as_ref().and_then(|l| l.post_start.clone()) else {
            return Ok(());
        };
        let Err(why) = hooks::run(&self.context, &spec.container, id, &self.ips, &hook).await else {
            return Ok(());
        };
        let message = format!("PostStartHook failed: {why}");
        self.event(spec, EventType::Warning, "FailedPostStartHook", &message);
        self.event(spec, EventType::Normal, "Killing", "FailedPostStartHook");
        if let Err(e) = self.context.runtime.stop_container(id, spec::grace(&self.pod)).await {
            tracing::warn!(container = id, "cannot stop a container after its postStart hook failed: {e}");
        }
        Err(Failed { retry: Duration::ZERO, ..Failed::new("PostStartHookError", message) })
    }
}

fn write_file(file: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(file, text)?;
    fs::set_permissions(file, fs::Permissions::from_mode(mode))
}
