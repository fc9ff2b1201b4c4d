//! Sandboxes: made with their shim, network and files; stopped; removed.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use cri::{NamespaceMode, PodSandboxConfig};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tokio::io::AsyncReadExt;

use super::link::Link;
use super::records::{Sandbox, SandboxRecord};
use super::{Runtime, new_id, private_dir};
use crate::cgroup;
use crate::files;
use crate::seccomp;
use crate::shim::proto::Message;
use crate::spec::ShimSpec;

/// Where all shims' processes of a state directory are: outside the server's cgroup, so that an init system that stops
/// the server leaves them alone.
pub(super) fn shim_cgroup(state_dir: &Path) -> String {
    format!("{}-shims", state_dir.file_name().unwrap_or_default().to_string_lossy())
}

/// A shim that has not said anything after this is broken.
const SHIM_START: Duration = Duration::from_secs(30);

impl Runtime {
    pub(super) async fn start_sandbox(&self, config: &PodSandboxConfig) -> Result<String> {
        check_user_namespace(config)?;
        let id = new_id();
        let started = self.try_start_sandbox(&id, config).await;
        if started.is_err() {
            self.discard_sandbox(&id, config).await;
        }
        started.with_context(|| format!("failed to create sandbox for pod {}", config.metadata.name))?;
        Ok(id)
    }

    async fn try_start_sandbox(&self, id: &str, config: &PodSandboxConfig) -> Result<()> {
        let dir = self.sandbox_dir(id);
        private_dir(&dir)?;
        write_files(&dir, config)?;
        let spec = self.shim_spec(id, config)?;
        self.start_shim(&spec).await?;
        let link = Link::connect(&dir)?;
        let ips = if spec.new_network {
            let ports = &config.port_mappings;
            self.network.setup(id, &dir.join("netns"), ports).await.context("set up network")?
        } else {
            Vec::new()
        };
        write_hosts(&dir, config, &ips)?;
        let record =
            SandboxRecord { config: config.clone(), created_at: self.now_nanos(), ips, stopped: false };
        let sandbox = Arc::new(Sandbox::new(id, dir.clone(), record, Some(link.clone())));
        self.lock().sandboxes.insert(id.to_string(), sandbox.clone());
        self.follow(sandbox.clone(), link.clone());
        link.greet().await?;
        files::write_json(&dir.join("sandbox.json"), &sandbox.record(false))?;
        self.publish_sandbox(&sandbox);
        Ok(())
    }

    fn shim_spec(&self, id: &str, config: &PodSandboxConfig) -> Result<ShimSpec> {
        let own = |mode: &NamespaceMode| *mode != NamespaceMode::Node;
        let new_network = own(&config.namespaces.network);
        let shared_pid = config.namespaces.pid == NamespaceMode::Pod;
        let pause_cgroups = match shared_pid {
            true => self.hierarchy.create(&self.cgroup_path(&config.cgroup_parent, id))?,
            false => Vec::new(),
        };
        let hostname =
            if config.hostname.is_empty() { config.metadata.name.clone() } else { config.hostname.clone() };
        let spec = ShimSpec {
            sandbox: id.to_string(),
            dir: self.sandbox_dir(id),
            cgroups: self.hierarchy.create(&self.cgroup_path("", &shim_cgroup(&self.state_dir)))?,
            pause_cgroups,
            new_network,
            new_ipc: own(&config.namespaces.ipc),
            hostname: new_network.then_some(hostname),
            shared_pid,
            sysctls: config.sysctls.clone(),
            userns: config.namespaces.userns.clone(),
            seccomp: seccomp::default_filters(0)?,
        };
        files::write_json(&spec.dir.join("shim.json"), &spec)?;
        Ok(spec)
    }

    /// Starts a shim and waits until its sandbox is ready.
    async fn start_shim(&self, spec: &ShimSpec) -> Result<()> {
        let errors = fs::File::create(spec.dir.join("shim.log")).context("create shim.log")?;
        let mut command = self.program.command("shim");
        command.arg(spec.dir.join("shim.json")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut child = tokio::process::Command::from(command).spawn().context("start shim")?;
        let mut said = String::new();
        if let Some(mut stdout) = child.stdout.take() {
            tokio::select! {
                read = stdout.read_to_string(&mut said) => drop(read.context("read from shim")?),
                () = self.clock.sleep(SHIM_START) => {
                    child.start_kill().context("kill shim")?;
                    bail!("the shim did not start in {} s", SHIM_START.as_secs());
                }
            }
        }
        // It is our child as long as we live: its end is collected whenever that is.
        self.tasks.spawn_until_shutdown(async move { drop(child.wait().await) });
        let said: serde_json::Value = serde_json::from_str(said.trim())
            .map_err(|_| anyhow!("the shim ended: {}", shim_log(&spec.dir)))?;
        match said.get("error").and_then(|e| e.as_str()) {
            Some(error) => bail!("{error}"),
            None => Ok(()),
        }
    }

    /// Acts on what a shim reports, until it is gone.
    pub(super) fn follow(&self, sandbox: Arc<Sandbox>, link: Arc<Link>) {
        let this = self.this.clone();
        self.tasks.spawn_until_shutdown(async move {
            while let Some(message) = link.next().await {
                let Some(runtime) = this.upgrade() else { return };
                match message {
                    Message::Container { status } => runtime.container_changed(status),
                    Message::ExecExited { exec, code } => {
                        let waiting = runtime.lock().execs.remove(&exec);
                        _ = waiting.map(|waiting| waiting.send(code));
                    }
                    Message::Reply { .. } => {}
                }
            }
            if let Some(runtime) = this.upgrade() {
                runtime.shim_lost(&sandbox).await;
            }
        });
    }

    /// The connection ended. A shim that is still there (we were too slow a reader) is connected again; without one the
    /// sandbox is over.
    async fn shim_lost(&self, sandbox: &Arc<Sandbox>) {
        if sandbox.link().is_none() || self.tasks.shutdown().is_cancelled() {
            return;
        }
        if let Ok(link) = Link::connect(&sandbox.dir) {
            sandbox.set_link(Some(link.clone()));
            self.follow(sandbox.clone(), link.clone());
            if let Ok(greeting) = link.greet().await {
                greeting.containers.into_iter().for_each(|status| self.container_changed(status));
                return self.publish(cri::Event::Resync);
            }
        }
        tracing::warn!(sandbox = sandbox.id, "the pod's shim has ended");
        sandbox.set_link(None);
        self.abandon_containers(&sandbox.id);
        self.publish_sandbox(sandbox);
    }

    pub(super) async fn stop_sandbox(&self, id: &str) -> Result<()> {
        let Some(sandbox) = self.find_sandbox(id) else { return Ok(()) };
        let _one = sandbox.operation.lock().await;
        for container in self.containers_of(id) {
            self.kill_container(&container).await?;
        }
        // Whatever happens from here on, the shim's end is no surprise.
        let link = sandbox.link();
        sandbox.set_link(None);
        if let Some(link) = link {
            link.shut_down(&self.clock).await;
        }
        self.free_sandbox(&sandbox.id, &sandbox.config).await?;
        files::write_json(&sandbox.dir.join("sandbox.json"), &sandbox.record(true))?;
        self.publish_sandbox(&sandbox);
        Ok(())
    }

    /// Network, mounts and cgroup.
    pub(super) async fn free_sandbox(&self, id: &str, config: &PodSandboxConfig) -> Result<()> {
        let dir = self.sandbox_dir(id);
        let netns = dir.join("netns");
        self.network.teardown(id, &netns).await.context("tear down network")?;
        for mounted in [netns, dir.join("shm")] {
            unmount(&mounted)?;
        }
        let group = self.hierarchy.group(&self.cgroup_path(&config.cgroup_parent, id));
        cgroup::kill_all(&group);
        remove_cgroup(self, &group).await
    }

    pub(super) async fn delete_sandbox(&self, id: &str) -> Result<()> {
        let Some(sandbox) = self.find_sandbox(id) else { return Ok(()) };
        self.stop_sandbox(id).await?;
        for container in self.containers_of(id) {
            self.delete_container(&container.id).await?;
        }
        let _one = sandbox.operation.lock().await;
        files::remove(&sandbox.dir)?;
        self.lock().sandboxes.remove(id);
        self.publish_sandbox(&sandbox);
        Ok(())
    }

    /// Undoes what a failed start has done so far.
    async fn discard_sandbox(&self, id: &str, config: &PodSandboxConfig) {
        let sandbox = self.lock().sandboxes.remove(id);
        let dir = self.sandbox_dir(id);
        let link = sandbox.and_then(|s| {
            let link = s.link();
            s.set_link(None);
            link
        });
        match link {
            Some(link) => link.shut_down(&self.clock).await,
            None => self.end_stray_shim(&dir).await,
        }
        let freed = self.free_sandbox(id, config).await.and_then(|()| files::remove(&dir));
        if let Err(e) = freed {
            tracing::warn!(sandbox = id, "cannot clean up after a failed start: {e:#}");
        }
    }

    /// Ends a shim that nobody knows.
    pub(super) async fn end_stray_shim(&self, dir: &Path) {
        if let Ok(link) = Link::connect(dir) {
            link.shut_down_stray(&self.clock).await;
        }
    }

    pub(super) fn sandbox_ready(&self, sandbox: &Sandbox) -> bool {
        sandbox.link().is_some()
    }
}

/// A user namespace must map its root, and the host's namespaces cannot belong to it.
fn check_user_namespace(config: &PodSandboxConfig) -> Result<()> {
    let namespaces = &config.namespaces;
    let Some(userns) = &namespaces.userns else { return Ok(()) };
    let maps_root = |ids: &[cri::IdMapping]| ids.iter().any(|m| m.container_id == 0 && m.length > 0);
    if !maps_root(&userns.uids) || !maps_root(&userns.gids) {
        bail!("a user namespace must map user and group 0");
    }
    if [&namespaces.network, &namespaces.pid, &namespaces.ipc].into_iter().any(|n| *n == NamespaceMode::Node)
    {
        bail!("a pod with a user namespace cannot use the host's network, PID or IPC namespace");
    }
    Ok(())
}

/// Processes that were killed need a moment to leave.
pub(super) async fn remove_cgroup(runtime: &Runtime, group: &[std::path::PathBuf]) -> Result<()> {
    let mut wait = Duration::from_millis(1);
    loop {
        match cgroup::remove(group) {
            Err(e) if e.raw_os_error() == Some(libc::EBUSY) && wait < Duration::from_secs(2) => {
                runtime.clock.sleep(wait).await;
                wait *= 2;
            }
            result => return result.context("remove cgroup"),
        }
    }
}

/// Nothing mounted there is fine.
pub(super) fn unmount(path: &Path) -> Result<()> {
    match umount2(path, MntFlags::MNT_DETACH) {
        Ok(()) | Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT) => Ok(()),
        Err(e) => Err(e).with_context(|| format!("unmount {}", path.display())),
    }
}

fn shim_log(dir: &Path) -> String {
    let log = fs::read_to_string(dir.join("shim.log")).unwrap_or_default();
    let last = log.lines().last().unwrap_or("it left no message");
    last.to_string()
}

/// resolv.conf, hostname and /dev/shm of the pod.
fn write_files(dir: &Path, config: &PodSandboxConfig) -> Result<()> {
    let resolv = match &config.dns {
        Some(dns) => resolv_conf(dns),
        None => fs::read_to_string("/etc/resolv.conf").unwrap_or_default(),
    };
    write_readable(&dir.join("resolv.conf"), &resolv)?;
    let hostname = match config.namespaces.network {
        NamespaceMode::Node => fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default(),
        _ if config.hostname.is_empty() => format!("{}\n", config.metadata.name),
        _ => format!("{}\n", config.hostname),
    };
    write_readable(&dir.join("hostname"), &hostname)?;
    if config.namespaces.ipc != NamespaceMode::Node {
        let shm = dir.join("shm");
        fs::create_dir(&shm).context("create shm")?;
        let flags = MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("shm"), &shm, Some("tmpfs"), flags, Some("mode=1777,size=65536k")).context("mount shm")?;
    }
    Ok(())
}

/// For containers whose pod brings no /etc/hosts of its own.
fn write_hosts(dir: &Path, config: &PodSandboxConfig, ips: &[std::net::IpAddr]) -> Result<()> {
    let mut hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_string();
    for ip in ips.iter().filter(|ip| !ip.is_loopback()) {
        hosts += &format!("{ip}\t{}\n", config.hostname);
    }
    write_readable(&dir.join("hosts"), &hosts)
}

/// For every user of the containers, whatever our own mask is.
fn write_readable(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let written =
        fs::write(path, text).and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o644)));
    written.with_context(|| format!("write {}", path.display()))
}

fn resolv_conf(dns: &cri::DnsConfig) -> String {
    let mut text = String::new();
    if !dns.searches.is_empty() {
        text += &format!("search {}\n", dns.searches.join(" "));
    }
    for server in &dns.servers {
        text += &format!("nameserver {server}\n");
    }
    if !dns.options.is_empty() {
        text += &format!("options {}\n", dns.options.join(" "));
    }
    text
}
