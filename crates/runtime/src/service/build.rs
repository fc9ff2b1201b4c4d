//! What CRI asks for, as the spec that a container's first process acts on. Pure, except that devices and mount sources
//! are looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cri::{ContainerConfig, NamespaceMode, PodSandboxConfig, SecurityProfile};

use crate::caps;
use crate::image::config::RunConfig;
use crate::seccomp;
use crate::spec::{
    Bind, Capabilities, ImageFiles, InitSpec, Node, PidNamespace, ProcessSpec, Rlimit, Rootfs, User,
};

/// What a spec is made from.
pub(super) struct Parts<'a> {
    pub config: &'a ContainerConfig,
    pub pod: &'a PodSandboxConfig,
    pub run: &'a RunConfig,
    pub sandbox_dir: &'a Path,
    pub rootfs: Rootfs,
    pub cgroups: Vec<PathBuf>,
    pub pid: PidNamespace,
    /// Where layers are, and those of the images that are mounted, topmost first, by image id.
    pub layers: &'a Path,
    pub images: &'a BTreeMap<String, Vec<String>>,
}

/// A spec, and what of it this machine does not have to give.
pub(super) struct Built {
    pub spec: InitSpec,
    pub warnings: Vec<String>,
}

const MASKED_PATHS: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READONLY_PATHS: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

pub(super) fn init_spec(parts: &Parts<'_>) -> Result<Built> {
    let Parts { config, pod, run, .. } = parts;
    let security = &config.security_context;
    let (capabilities, missing) =
        caps::container(&security.add_capabilities, &security.drop_capabilities, security.privileged)?;
    let warnings = missing.iter().map(|name| format!("capability {name} is not available here")).collect();
    let open = security.privileged || security.unmasked_proc;
    let paths = |own: &[String], default: &[&str]| match own {
        _ if open => Vec::new(),
        [] => default.iter().map(|p| p.to_string()).collect(),
        own => own.to_vec(),
    };
    let host_ipc = pod.namespaces.ipc == NamespaceMode::Node;
    let shm = if host_ipc { PathBuf::from("/dev/shm") } else { parts.sandbox_dir.join("shm") };
    let spec = InitSpec {
        rootfs: parts.rootfs.clone(),
        pid: parts.pid.clone(),
        cgroups: parts.cgroups.clone(),
        mounts: mounts(parts)?,
        devices: devices(config)?,
        privileged: security.privileged,
        shm: Some(shm),
        masked_paths: paths(&security.masked_paths, MASKED_PATHS),
        readonly_paths: paths(&security.readonly_paths, READONLY_PATHS),
        oom_score_adj: config.resources.oom_score_adj,
        process: process(config, pod, run, capabilities)?,
    };
    Ok(Built { spec, warnings })
}

pub(super) fn pid_namespace(mode: &NamespaceMode) -> PidNamespace {
    match mode {
        NamespaceMode::Pod => PidNamespace::Sandbox,
        NamespaceMode::Node => PidNamespace::Host,
        NamespaceMode::Container | NamespaceMode::Target(_) => PidNamespace::New,
    }
}

fn process(
    config: &ContainerConfig,
    pod: &PodSandboxConfig,
    run: &RunConfig,
    capabilities: Capabilities,
) -> Result<ProcessSpec> {
    let security = &config.security_context;
    let args = arguments(config, run);
    if args.is_empty() {
        bail!("no command specified");
    }
    let cwd = if config.working_dir.is_empty() {
        run.working_dir.clone().unwrap_or_default()
    } else {
        config.working_dir.clone()
    };
    if !cwd.is_empty() && !cwd.starts_with('/') {
        bail!("working directory {cwd:?} is not an absolute path");
    }
    let profile = if security.privileged { &SecurityProfile::Unconfined } else { &security.seccomp };
    Ok(ProcessSpec {
        args,
        env: environment(config, pod, run),
        cwd,
        user: user(config, pod, run)?,
        capabilities,
        no_new_privs: security.no_new_privs,
        seccomp: seccomp::filters(profile, capabilities.bounding)?,
        tty: config.tty,
        userns: pod.namespaces.userns.clone(),
        rlimits: vec![Rlimit { resource: libc::RLIMIT_NOFILE, soft: OPEN_FILES, hard: OPEN_FILES }],
    })
}

/// As containers have it everywhere else.
const OPEN_FILES: u64 = 1 << 20;

/// A command replaces the image's entrypoint and cmd, arguments the cmd.
fn arguments(config: &ContainerConfig, run: &RunConfig) -> Vec<String> {
    let (entrypoint, cmd) = (run.entrypoint.clone().unwrap_or_default(), run.cmd.clone().unwrap_or_default());
    let (first, rest) = match (config.command.is_empty(), config.args.is_empty()) {
        (true, true) => (entrypoint, cmd),
        (true, false) => (entrypoint, config.args.clone()),
        (false, _) => (config.command.clone(), config.args.clone()),
    };
    first.into_iter().chain(rest).collect()
}

/// The image's, then the container's; of one name the last counts.
fn environment(config: &ContainerConfig, pod: &PodSandboxConfig, run: &RunConfig) -> Vec<String> {
    let mut env: Vec<(String, String)> = Vec::new();
    let hostname = match pod.namespaces.network {
        NamespaceMode::Node => {
            fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_string()
        }
        _ if pod.hostname.is_empty() => pod.metadata.name.clone(),
        _ => pod.hostname.clone(),
    };
    let image = run.env.clone().unwrap_or_default();
    let image = image.iter().filter_map(|e| e.split_once('=')).map(|(n, v)| (n.to_string(), v.to_string()));
    let all =
        [("HOSTNAME".to_string(), hostname)].into_iter().chain(image).chain(config.envs.iter().cloned());
    for (name, value) in all {
        match env.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => env.push((name, value)),
        }
    }
    env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn user(config: &ContainerConfig, pod: &PodSandboxConfig, run: &RunConfig) -> Result<User> {
    let security = &config.security_context;
    let number = |n: i64| u32::try_from(n).with_context(|| format!("user or group {n} is out of range"));
    let groups = security.supplemental_groups.iter().chain(&pod.supplemental_groups);
    let groups: BTreeSet<u32> = groups.map(|g| number(*g)).collect::<Result<_>>()?;
    let name = match (security.run_as_user, security.run_as_username.as_str()) {
        (Some(_), _) => String::new(),
        (None, "") => run.user.clone().unwrap_or_default(),
        (None, name) => name.to_string(),
    };
    Ok(User {
        uid: security.run_as_user.map(number).transpose()?,
        gid: security.run_as_group.map(number).transpose()?,
        name,
        groups: groups.into_iter().collect(),
        strict_groups: security.supplemental_groups_strict,
    })
}

fn mounts(parts: &Parts<'_>) -> Result<Vec<Bind>> {
    let (config, sandbox_dir) = (parts.config, parts.sandbox_dir);
    let mut binds = Vec::new();
    for m in &config.mounts {
        let bind = Bind {
            source: PathBuf::from(&m.host_path),
            target: m.container_path.clone(),
            readonly: m.readonly,
            recursive_readonly: m.recursive_readonly,
            propagation: m.propagation,
            image: None,
        };
        binds.push(match m.image.as_str() {
            "" => bind,
            image => {
                let lowers = parts.images.get(image).with_context(|| format!("image {image:?}"))?.clone();
                let files = ImageFiles { lowers, sub_path: m.image_sub_path.clone() };
                Bind { source: parts.layers.to_owned(), readonly: true, image: Some(files), ..bind }
            }
        });
    }
    for file in ["resolv.conf", "hostname", "hosts"] {
        let target = format!("/etc/{file}");
        if !binds.iter().any(|b| b.target == target) {
            let readonly = config.security_context.readonly_rootfs;
            binds.push(Bind { source: sandbox_dir.join(file), target, readonly, ..Bind::default() });
        }
    }
    Ok(binds)
}

const DEFAULT_DEVICES: &[(&str, u64, u64)] =
    &[("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

fn devices(config: &ContainerConfig) -> Result<Vec<Node>> {
    let default = |(name, major, minor): &(&str, u64, u64)| Node {
        path: format!("/dev/{name}"),
        major: *major,
        minor: *minor,
        mode: 0o666,
        ..Node::default()
    };
    let mut nodes: Vec<Node> = DEFAULT_DEVICES.iter().map(default).collect();
    if config.security_context.privileged {
        host_devices(Path::new("/dev"), Path::new("/dev"), &mut nodes);
    }
    for device in &config.devices {
        let host = Path::new(&device.host_path);
        let metadata = fs::metadata(host).with_context(|| format!("device {}", device.host_path))?;
        if metadata.is_dir() {
            host_devices(host, Path::new(&device.container_path), &mut nodes);
        } else {
            let node = node(&metadata, device.container_path.clone());
            let node = node.with_context(|| format!("{} is not a device", device.host_path))?;
            nodes.push(Node { access: device.permissions.clone(), ..node });
        }
    }
    Ok(nodes)
}

/// Every device below `host`, as it is called below `target`. Terminals, shared memory and queues are the container's
/// own.
fn host_devices(host: &Path, target: &Path, nodes: &mut Vec<Node>) {
    const OWN: &[&str] = &["pts", "shm", "fd", "mqueue", "console", "ptmx", "tty"];
    let Ok(entries) = fs::read_dir(host) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Ok(metadata) = entry.metadata() else { continue };
        if OWN.iter().any(|own| name == *own) {
            continue;
        }
        let at = target.join(&name);
        if metadata.is_dir() {
            host_devices(&entry.path(), &at, nodes);
        } else if let Some(node) = node(&metadata, at.to_string_lossy().into_owned())
            && !nodes.iter().any(|n| n.path == node.path)
        {
            nodes.push(node);
        }
    }
}

fn node(metadata: &fs::Metadata, path: String) -> Option<Node> {
    let kind = metadata.file_type();
    (kind.is_char_device() || kind.is_block_device()).then(|| Node {
        path,
        block: kind.is_block_device(),
        major: nix::sys::stat::major(metadata.rdev()),
        minor: nix::sys::stat::minor(metadata.rdev()),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        access: String::new(),
    })
}

/// What the cgroup must allow beyond the usual devices.
pub(super) fn extra_devices(devices: &[Node]) -> Vec<Node> {
    let usual = |node: &&Node| {
        !DEFAULT_DEVICES.iter().any(|(_, major, minor)| (node.major, node.minor) == (*major, *minor))
    };
    devices.iter().filter(usual).cloned().collect()
}

/// `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`
pub(super) fn signal_number(name: &str) -> Result<i32> {
    let upper = name.trim().to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |from: &str, sign: i32| -> Option<i32> {
        let rest = bare.strip_prefix(from)?;
        let n: i32 = if rest.is_empty() { 0 } else { rest[1..].parse().ok()? };
        (0..=30).contains(&n).then_some(sign * n)
    };
    let number = match bare.parse::<i32>() {
        Ok(number) => Some(number),
        Err(_) => offset("RTMIN", 1)
            .map(|n| libc::SIGRTMIN() + n)
            .or_else(|| offset("RTMAX", -1).map(|n| libc::SIGRTMAX() + n))
            .or_else(|| format!("SIG{bare}").parse::<nix::sys::signal::Signal>().ok().map(|s| s as i32)),
    };
    match number {
        Some(number) if (1..=libc::SIGRTMAX()).contains(&number) => Ok(number),
        _ => bail!("unknown signal {name:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_arguments(command: &[&str], args: &[&str], expected: &str) {
        let own = |words: &[&str]| words.iter().map(|w| w.to_string()).collect::<Vec<_>>();
        let run =
            RunConfig { entrypoint: Some(own(&["entry"])), cmd: Some(own(&["cmd"])), ..RunConfig::default() };
        let config = ContainerConfig { command: own(command), args: own(args), ..ContainerConfig::default() };
        assert_eq!(arguments(&config, &run).join(" "), expected);
    }

    #[test]
    fn command_and_args_replace_the_image_s() {
        check_arguments(&[], &[], "entry cmd");
        check_arguments(&[], &["a"], "entry a");
        check_arguments(&["c"], &[], "c");
        check_arguments(&["c"], &["a"], "c a");
    }

    #[track_caller]
    fn check_signal(name: &str, expected: Option<i32>) {
        assert_eq!(signal_number(name).ok(), expected, "{name}");
    }

    #[test]
    fn signals_have_names_and_numbers() {
        check_signal("SIGTERM", Some(15));
        check_signal("kill", Some(9));
        check_signal("3", Some(3));
        check_signal("SIGRTMIN+3", Some(libc::SIGRTMIN() + 3));
        check_signal("SIGNOTHING", None);
        check_signal("0", None);
    }
}
