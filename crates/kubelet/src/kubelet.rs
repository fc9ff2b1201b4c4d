//! Putting it together. Start at [`Kubelet::start`].

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::Gvr;
use client::{Api, EventRecorder, Transport, ViewScope};
use cri::{ImageService, RuntimeService};
use stdx::clock::SharedClock;
use stdx::{Random, Tasks};
use tokio::sync::watch;

use crate::allocation::Allocations;
use crate::config::Config;
use crate::context::Context;
use crate::eviction;
use crate::gc;
use crate::images::Images;
use crate::node::machine::MachineInfo;
use crate::node::{self, NodeKeeper};
use crate::objects::Objects;
use crate::paths::Paths;
use crate::podconfig::dns::ClusterDns;
use crate::podconfig::resources::Machine;
use crate::server;
use crate::statics;
use crate::status::NodeFacts;
use crate::userns::UserNamespaces;
use crate::volumes::Volumes;
use crate::workers::Workers;

/// A running kubelet. It ends with its tasks; containers stay as they are.
pub struct Kubelet {
    workers: Arc<Workers>,
    context: Arc<Context>,
}

/// Between tries of what must work before anything else.
const RETRY: Duration = Duration::from_millis(500);

impl Kubelet {
    /// Starts everything and returns; the node becomes ready in the background. An error is a machine that cannot
    /// run a kubelet (directories, cgroups); a runtime or API that is not there yet is waited for.
    pub async fn start(
        config: Config,
        transport: Arc<dyn Transport>,
        runtime: Arc<dyn RuntimeService>,
        images: Arc<dyn ImageService>,
        clock: SharedClock,
        random: Random,
        tasks: &Tasks,
    ) -> anyhow::Result<Kubelet> {
        for dir in [&config.root_dir, &config.pod_logs_dir] {
            std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        }
        config.cgroups.create_top().context("create the pods' cgroups")?;
        let machine = MachineInfo::read().context("read what machine this is")?;
        let runtime_name = wait_for_runtime(&*runtime, &clock).await;
        let Config { server, node_labels, node_taints, .. } = config;
        let parts = Parts { transport, runtime, images, clock, random, tasks };
        let config =
            Config { server: None, node_labels: Default::default(), node_taints: Vec::new(), ..config };
        let context = context(config, &machine, runtime_name, parts);
        let port = match &server {
            Some(server) => server.listener.local_addr().context("read the server's address")?.port(),
            None => 0,
        };
        start_node(&context, machine, node_labels, node_taints, port);
        let scope = ViewScope {
            field_selector: format!("spec.nodeName={}", context.node_name),
            ..ViewScope::default()
        };
        let view = context.transport.reflect(&Gvr::new("", "v1", "pods"), &scope);
        let workers = Workers::new(context.clone(), view);
        if let Some(dir) = context.static_pod_path.clone() {
            // Before anything is taken for an orphan.
            workers.set_statics(statics::load(&dir, &context.node_name));
            tasks.spawn_until_shutdown(statics::watch(context.clone(), workers.clone(), dir));
        }
        tasks.spawn_until_shutdown(workers.clone().run());
        tasks.spawn_until_shutdown(gc::collect(context.clone()));
        tasks.spawn_until_shutdown(eviction::watch(context.clone(), workers.clone()));
        tasks.spawn_until_shutdown(gc::rotate_logs(context.clone()));
        if let Some(server) = server {
            tasks.spawn_until_shutdown(server::serve(context.clone(), workers.clone(), server));
        }
        Ok(Kubelet { workers, context })
    }

    /// The pods this kubelet runs now.
    pub fn pods(&self) -> Vec<Arc<k8s_openapi::api::core::v1::Pod>> {
        self.workers.pods()
    }

    pub fn node_name(&self) -> &str {
        &self.context.node_name
    }
}

struct Parts<'a> {
    transport: Arc<dyn Transport>,
    runtime: Arc<dyn RuntimeService>,
    images: Arc<dyn ImageService>,
    clock: SharedClock,
    random: Random,
    tasks: &'a Tasks,
}

async fn wait_for_runtime(runtime: &dyn RuntimeService, clock: &SharedClock) -> String {
    loop {
        match node::runtime_name(runtime).await {
            Ok((name, _)) => return name,
            Err(e) => tracing::error!("the container runtime does not answer: {e}"),
        }
        clock.sleep(RETRY).await;
    }
}

fn context(config: Config, machine: &MachineInfo, runtime_name: String, parts: Parts<'_>) -> Arc<Context> {
    let Parts { transport, runtime, images, clock, random, tasks } = parts;
    let paths = Paths { root: config.root_dir, logs: config.pod_logs_dir };
    let objects = Arc::new(Objects::new(transport.clone(), clock.clone(), tasks.clone()));
    let recorder = EventRecorder::new(
        transport.clone(),
        tasks,
        clock.clone(),
        random.clone(),
        "kubelet",
        &config.node_name,
    );
    let volumes = Volumes::new(
        paths.clone(),
        config.mounter.clone(),
        objects.clone(),
        transport.clone(),
        recorder.clone(),
        clock.clone(),
        random.clone(),
    );
    let services = transport.reflect(&Gvr::new("", "v1", "services"), &ViewScope::default());
    Arc::new(Context {
        seccomp_dir: paths.seccomp(),
        seccomp_default: config.seccomp_default,
        dns: ClusterDns { servers: config.cluster_dns, domain: config.cluster_domain },
        resolv_conf: config.resolv_conf,
        max_pods: config.max_pods,
        eviction: config.eviction,
        static_pod_path: config.static_pod_path,
        machine: Machine {
            memory: i64::try_from(machine.memory).unwrap_or(i64::MAX),
            cgroup_v2: config.cgroups.is_v2(),
        },
        allocatable: node::allocatable_resources(machine.memory, machine.cpus),
        facts: NodeFacts { ips: config.node_ips.iter().map(ToString::to_string).collect(), runtime_name },
        node_ips: config.node_ips,
        node_name: config.node_name,
        cgroups: config.cgroups,
        mounter: config.mounter,
        pods: Api::new(transport.clone()),
        images: Images::new(images, clock.clone(), tasks.clone()),
        tasks: tasks.clone(),
        messages: Mutex::default(),
        allocations: Allocations::new(paths.clone()),
        user_namespaces: UserNamespaces::new(paths.clone()),
        paths,
        transport,
        runtime,
        objects,
        volumes,
        services,
        recorder,
        clock,
        random,
    })
}

fn start_node(
    context: &Arc<Context>,
    machine: MachineInfo,
    labels: std::collections::BTreeMap<String, String>,
    taints: Vec<k8s_openapi::api::core::v1::Taint>,
    port: u16,
) {
    let scope =
        ViewScope { field_selector: format!("metadata.name={}", context.node_name), ..ViewScope::default() };
    let (registered, receiver) = watch::channel(None);
    let keeper = NodeKeeper {
        machine,
        labels,
        taints,
        port,
        registered,
        view: context.transport.reflect(&Gvr::new("", "v1", "nodes"), &scope),
        api: Api::new(context.transport.clone()),
        context: context.clone(),
    };
    context.tasks.spawn_until_shutdown(keeper.run());
    context.tasks.spawn_until_shutdown(node::keep_lease(context.clone(), receiver));
}

#[cfg(test)]
mod tests;
