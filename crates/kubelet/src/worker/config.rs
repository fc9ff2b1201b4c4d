//! The steps of the pod as a whole: preparing it, its sandbox, tearing it down, removing the rest.

use std::fs;
use std::sync::Arc;

use apimachinery::ObjectKey;
use client::{Api, EventType};
use codec::Kind as _;
use cri::{DnsConfig, PodSandboxConfig, SandboxState};
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::node::v1::RuntimeClass;

use super::Worker;
use super::jobs::Done;
use crate::amounts;
use crate::context::Context;
use crate::podconfig::{ConfigError, dns, sandbox};
use crate::spec;
use crate::volumes::VolumeError;

/// The configuration of the pod's sandbox; the same whenever it is asked for.
pub fn sandbox_config(context: &Context, pod: &Pod, attempt: u32) -> Result<PodSandboxConfig, ConfigError> {
    let (dns, _) = pod_dns(context, pod);
    let userns = match spec::of(pod).host_users {
        Some(false) => {
            let own = context.user_namespaces.of(pod.uid());
            Some(own.map_err(|e| ConfigError(format!("give the pod user ids: {e}")))?)
        }
        _ => None,
    };
    let given = sandbox::Given {
        attempt,
        dns,
        cluster_domain: &context.dns.domain,
        cgroup_parent: context.cgroups.of_pod(amounts::qos(pod), pod.uid()),
        paths: &context.paths,
        defaults: context.defaults(),
        now: context.clock.now(),
        userns,
    };
    sandbox::sandbox_config(pod, given)
}

fn pod_dns(context: &Context, pod: &Pod) -> (DnsConfig, Option<(&'static str, String)>) {
    let text = fs::read_to_string(&context.resolv_conf).unwrap_or_default();
    dns::pod_dns(pod, &context.dns, &dns::parse(&text))
}

impl Worker {
    pub(super) fn prepare(&mut self) {
        self.observed.work.pod_job = true;
        let (context, pod, objects) = (self.context.clone(), self.pod.clone(), self.objects.clone());
        let fields = context.fields(self.pod_ips());
        self.jobs.push(
            async move {
                // Before reading, so that a change meanwhile is noticed.
                let version = objects.version();
                if let Err(e) = directories_and_cgroup(&context, &pod) {
                    return Done::Prepared(Err(VolumeError(e)), version);
                }
                Done::Prepared(context.volumes.set_up(&pod, &objects, &fields).await, version)
            }
            .boxed(),
        );
    }

    /// Brings files up to date: an object or the pod's labels have changed, or a token gets old.
    pub(super) fn refresh_volumes(&mut self, now: jiff::Timestamp) {
        let work = &self.observed.work;
        let due = self.shown != self.objects.version() || self.renew_at.is_some_and(|at| at <= now);
        if !due || !work.prepared || work.pod_job || work.torn_down || self.observed.gone {
            return;
        }
        self.observed.work.pod_job = true;
        let (context, pod, objects) = (self.context.clone(), self.pod.clone(), self.objects.clone());
        let fields = context.fields(self.pod_ips());
        self.jobs.push(
            async move {
                let version = objects.version();
                Done::Refreshed(context.volumes.set_up(&pod, &objects, &fields).await, version)
            }
            .boxed(),
        );
    }

    pub(super) fn create_sandbox(&mut self, attempt: u32) {
        if attempt > 0 {
            let message = "Pod sandbox changed, it will be killed and re-created.";
            self.context.pod_event(&self.pod, EventType::Normal, "SandboxChanged", message);
        }
        self.observed.work.pod_job = true;
        self.observed.work.torn_down = false;
        let (context, pod) = (self.context.clone(), self.pod.clone());
        self.jobs.push(async move { Done::Sandbox(create_sandbox(&context, &pod, attempt).await) }.boxed());
    }

    pub(super) fn stop_sandbox(&mut self, id: String) {
        self.observed.work.pod_job = true;
        let context = self.context.clone();
        self.jobs.push(
            async move {
                let stopped = context.runtime.stop_pod_sandbox(&id).await;
                Done::SandboxStopped(stopped.map_err(|e| format!("stop sandbox {id}: {e}")))
            }
            .boxed(),
        );
    }

    pub(super) fn tear_down(&mut self) {
        self.observed.work.pod_job = true;
        let context = self.context.clone();
        let (pod, uid) = (self.pod.clone(), self.uid.clone());
        let ready = self.observed.sandboxes.iter().filter(|s| s.sandbox.state == SandboxState::Ready);
        let sandboxes: Vec<_> = ready.map(|s| s.sandbox.id.clone()).collect();
        self.jobs.push(
            async move {
                for id in sandboxes {
                    if let Err(e) = context.runtime.stop_pod_sandbox(&id).await {
                        let message = format!(
                            "error killing pod: failed to \"KillPodSandbox\" for {:?}: {e}",
                            pod.uid()
                        );
                        context.pod_event(&pod, EventType::Warning, "FailedKillPod", message);
                        return Done::TornDown(Err(format!("stop sandbox {id}: {e}")));
                    }
                }
                Done::TornDown(release(&context, &uid).await)
            }
            .boxed(),
        );
    }

    pub(super) fn purge(&mut self) {
        self.observed.work.pod_job = true;
        let (context, pod, uid) = (self.context.clone(), self.pod.clone(), self.uid.clone());
        let sandboxes: Vec<_> = self.observed.sandboxes.iter().map(|s| s.sandbox.id.clone()).collect();
        let containers: Vec<_> = self.observed.containers.iter().map(|c| c.container.id.clone()).collect();
        self.jobs.push(
            async move { Done::Purged(purge(&context, &pod, &uid, &sandboxes, &containers).await) }.boxed(),
        );
    }
}

fn directories_and_cgroup(context: &Context, pod: &Pod) -> Result<(), String> {
    for dir in [context.paths.pod(pod.uid()), context.paths.pod_logs(pod)] {
        fs::create_dir_all(&dir).map_err(|e| format!("create {}: {e}", dir.display()))?;
    }
    context.cgroups.create_pod(pod, pod.uid()).map_err(|e| e.to_string())
}

async fn create_sandbox(context: &Arc<Context>, pod: &Pod, attempt: u32) -> Result<String, String> {
    if let (_, Some((reason, message))) = pod_dns(context, pod) {
        context.pod_event(pod, EventType::Warning, reason, message);
    }
    let config = match check_handler(context, pod).await {
        Ok(()) => sandbox_config(context, pod, attempt).map_err(|e| e.to_string()),
        Err(e) => Err(e),
    };
    let made = match config {
        Ok(config) => context.runtime.run_pod_sandbox(&config).await.map_err(|e| e.to_string()),
        Err(e) => Err(e),
    };
    made.map_err(|e| {
        let message = format!("Failed to create pod sandbox: {e}");
        context.pod_event(pod, EventType::Warning, "FailedCreatePodSandBox", message.clone());
        message
    })
}

/// The only handlers there are: the runtime itself, by its own name and by the one that everybody expects.
async fn check_handler(context: &Context, pod: &Pod) -> Result<(), String> {
    let Some(class) = spec::of(pod).runtime_class_name.as_deref().filter(|c| !c.is_empty()) else {
        return Ok(());
    };
    let classes = Api::<RuntimeClass>::new(context.transport.clone());
    let found = classes.find(&ObjectKey::cluster(class)).await.map_err(|e| e.to_string())?;
    let handler = found.ok_or_else(|| format!("RuntimeClass {class:?} not found"))?.handler;
    match handler.as_str() {
        "" | "runc" => Ok(()),
        own if own == context.facts.runtime_name => Ok(()),
        other => Err(format!("no runtime for {other:?} is configured")),
    }
}

/// What a pod holds besides its containers. Files may be many: not on the threads that serve everything else.
async fn release(context: &Arc<Context>, uid: &str) -> Result<(), String> {
    let (context, uid) = (context.clone(), uid.to_owned());
    blocking(move || {
        context.cgroups.remove_pod(&uid)?;
        context.volumes.tear_down(&uid)
    })
    .await
}

async fn purge(
    context: &Arc<Context>,
    pod: &Pod,
    uid: &str,
    sandboxes: &[String],
    containers: &[String],
) -> Result<(), String> {
    let failed = |e: cri::Error| e.to_string();
    for id in containers {
        context.runtime.remove_container(id).await.map_err(failed)?;
        context.forget_messages(id);
    }
    for id in sandboxes {
        context.runtime.remove_pod_sandbox(id).await.map_err(failed)?;
    }
    let (context, uid) = (context.clone(), uid.to_owned());
    let logs = context.paths.pod_logs(pod);
    blocking(move || {
        context.cgroups.remove_pod(&uid)?;
        context.volumes.purge(&uid)?;
        context.user_namespaces.release(&uid);
        match fs::remove_dir_all(logs) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    })
    .await
}

async fn blocking(work: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> Result<(), String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|e| e.to_string()),
        Err(e) => Err(e.to_string()),
    }
}
