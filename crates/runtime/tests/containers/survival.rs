//! What outlives the server, and what the machine does to containers.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use cri::{ContainerState, NamespaceMode, RuntimeService, SandboxState};
use runtime::Runtime;

use super::Test;
use super::fixture::{Fixture, config, eventually};

pub const TESTS: &[Test] = &[
    ("containers_survive_the_server", containers_survive_the_server),
    ("half_made_things_go_at_the_next_start", half_made_things_go_at_the_next_start),
    ("lost_shims_end_their_sandbox", lost_shims_end_their_sandbox),
    ("memory_limits_kill_and_say_so", memory_limits_kill_and_say_so),
    ("limits_reach_the_cgroup", limits_reach_the_cgroup),
    ("pods_can_share_a_pid_namespace", pods_can_share_a_pid_namespace),
    ("host_namespaces_are_the_host_s", host_namespaces_are_the_host_s),
    ("shims_are_small", shims_are_small),
    ("starts_are_told", starts_are_told),
];

/// The first argument of a test binary that plays the server.
pub const SERVER: &str = "serve-until-killed";

/// Starts a pod with two containers under the given directories, prints their ids, and waits to be killed.
pub fn serve(dir: &Path, cgroup_root: &str) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    tokio.block_on(async {
        let runtime = Runtime::open(config(dir, cgroup_root)).await.unwrap();
        let fixture = Fixture::around(runtime, dir);
        let sandbox = fixture.sandbox().await;
        let stays = fixture
            .start(
                &sandbox,
                &fixture.shell("stays", "while ! test -e /tmp/go; do sleep 0.02; done; echo went; sleep 600"),
            )
            .await;
        let mut ends =
            fixture.shell("ends", "while ! test -e /data/go; do sleep 0.02; done; echo last words; exit 42");
        ends.mounts = vec![cri::Mount {
            container_path: "/data".into(),
            host_path: dir.to_string_lossy().into_owned(),
            ..cri::Mount::default()
        }];
        let ends = fixture.start(&sandbox, &ends).await;
        println!("{sandbox} {stays} {ends}");
        std::future::pending::<()>().await;
    });
}

fn containers_survive_the_server() {
    Fixture::run(async |f| {
        let mut server = Command::new("/proc/self/exe")
            .args([SERVER.as_ref(), f.dir().as_os_str(), f.config.cgroup_root.as_ref()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
        let [sandbox, stays, ends] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        // While no server runs one of them writes and ends.
        std::fs::write(f.dir().join("go"), "").unwrap();
        let exit = f.config.state_dir.join("containers").join(ends).join("exit.json");
        eventually(async || exit.exists().then_some(())).await;

        let tasks = stdx::Tasks::new();
        let runtime =
            Runtime::open(runtime::Config { tasks: tasks.clone(), ..f.config.clone() }).await.unwrap();
        let status = runtime.container_status(ends).await.unwrap();
        assert_eq!(
            (status.container.state, status.exit_code, status.reason.as_str()),
            (ContainerState::Exited, 42, "Error")
        );
        assert_eq!(f.output("ends/0.log"), "last words\n");
        let status = runtime.container_status(stays).await.unwrap();
        assert_eq!(status.container.state, ContainerState::Running);
        assert!(status.started_at > 0 && status.pid > 0);
        assert_eq!(runtime.pod_sandbox_status(sandbox).await.unwrap().sandbox.state, SandboxState::Ready);
        // It is as manageable as before.
        let touch = ["touch".to_string(), "/tmp/go".to_string()];
        assert_eq!(runtime.exec_sync(stays, &touch, 5).await.unwrap().exit_code, 0);
        eventually(async || (f.output("stays/0.log") == "went\n").then_some(())).await;
        runtime.stop_container(stays, 0).await.unwrap();
        assert_eq!(runtime.container_status(stays).await.unwrap().exit_code, 137);
        runtime.remove_pod_sandbox(sandbox).await.unwrap();
        assert!(runtime.list_containers().await.unwrap().is_empty());
        tasks.stop().await;
    });
}

/// As if the server had been killed before it wrote the records.
fn half_made_things_go_at_the_next_start() {
    Fixture::run(async |f| {
        let mut pod = f.pod();
        pod.namespaces.pid = NamespaceMode::Pod;
        let sandbox = f.runtime.run_pod_sandbox(&pod).await.unwrap();
        let id = f.start(&sandbox, &f.command("main", &["sleep", "600"])).await;
        let pid = f.runtime.container_status(&id).await.unwrap().pid;
        let shim = shim_pid(&f, &sandbox) as u32;
        f.config.tasks.stop().await;
        let (sandboxes, containers) =
            (f.config.state_dir.join("sandboxes"), f.config.state_dir.join("containers"));
        std::fs::remove_file(sandboxes.join(&sandbox).join("sandbox.json")).unwrap();
        std::fs::write(containers.join(&id).join("container.json"), "{ cut off").unwrap();
        std::fs::create_dir_all(f.config.data_dir.join("images/layers/77/fs")).unwrap();
        std::fs::write(f.config.data_dir.join("images/downloads/half"), "").unwrap();

        let tasks = stdx::Tasks::new();
        let runtime =
            Runtime::open(runtime::Config { tasks: tasks.clone(), ..f.config.clone() }).await.unwrap();
        assert!(runtime.list_pod_sandboxes().await.unwrap().is_empty());
        assert!(runtime.list_containers().await.unwrap().is_empty());
        eventually(async || (!process_runs(pid) && !process_runs(shim)).then_some(())).await;
        for dir in [
            sandboxes,
            containers,
            f.config.data_dir.join("containers"),
            f.config.data_dir.join("images/downloads"),
        ] {
            assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0, "{}", dir.display());
        }
        assert!(!f.config.data_dir.join("images/layers/77").exists());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(&*f.dir().to_string_lossy()), "{mounts}");
        tasks.stop().await;
    });
}

fn shim_pid(f: &Fixture, sandbox: &str) -> i32 {
    let dir = f.config.state_dir.join("sandboxes").join(sandbox).join("shim.json");
    let wanted = dir.to_string_lossy().into_owned();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let found = processes.filter_map(|p| {
        let line = std::fs::read(p.path().join("cmdline")).ok()?;
        let ours = String::from_utf8_lossy(&line).contains(&wanted);
        ours.then(|| p.file_name().to_str()?.parse().ok())?
    });
    found.last().unwrap()
}

fn lost_shims_end_their_sandbox() {
    Fixture::run(async |f| {
        let sandbox = f.sandbox().await;
        let id = f.start(&sandbox, &f.command("main", &["sleep", "600"])).await;
        let pid = f.runtime.container_status(&id).await.unwrap().pid;
        let command = ["sleep", "600"].map(String::from).to_vec();
        let request = cri::ExecRequest { container: id.clone(), command, ..cri::ExecRequest::default() };
        let exec = f.runtime.exec(request).await.unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(shim_pid(&f, &sandbox)), nix::sys::signal::SIGKILL)
            .unwrap();
        let status = f.ended(&id).await;
        assert_eq!((status.exit_code, status.reason.as_str()), (137, "Error"));
        assert_eq!(exec.exit.await, Ok(Err("the sandbox's shim has ended".to_string())));
        let status = f.runtime.pod_sandbox_status(&sandbox).await.unwrap();
        assert_eq!(status.sandbox.state, SandboxState::NotReady);
        eventually(async || (!process_runs(pid)).then_some(())).await;
        f.runtime.remove_pod_sandbox(&sandbox).await.unwrap();
    });
}

/// A dead process that nobody has collected yet does not run.
fn process_runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !matches!(
        stat.rsplit(')').next().map(str::trim_start).and_then(|s| s.chars().next()),
        None | Some('Z' | 'X')
    )
}

fn memory_limits_kill_and_say_so() {
    Fixture::run(async |f| {
        let mut config = f.command("main", &["sh", "-c", "x=x; while true; do x=$x$x; done"]);
        config.resources.memory_limit_in_bytes = 32 << 20;
        let (status, _) = f.outcome(&config).await;
        assert_eq!((status.exit_code, status.reason.as_str()), (137, "OOMKilled"));
    });
}

fn limits_reach_the_cgroup() {
    Fixture::run(async |f| {
        let mut config = f.shell("main", "cat /proc/self/oom_score_adj; sleep 600");
        config.resources = cri::LinuxContainerResources {
            cpu_shares: 512,
            cpu_period: 100_000,
            cpu_quota: 50_000,
            memory_limit_in_bytes: 64 << 20,
            pids_limit: 50,
            oom_score_adj: 500,
            ..Default::default()
        };
        let sandbox = f.sandbox().await;
        let id = f.start(&sandbox, &config).await;
        let read = |file: &str, version_2: &str| {
            let group = format!("{}/kubepods/poduid-1/{id}", f.config.cgroup_root);
            let (controller, _) = file.split_once('.').unwrap();
            let v1 = format!("/sys/fs/cgroup/{controller}/{group}/{file}");
            let v2 = format!("/sys/fs/cgroup/{group}/{version_2}");
            std::fs::read_to_string(v1).or_else(|_| std::fs::read_to_string(v2)).unwrap().trim().to_string()
        };
        assert!(["512", "20"].contains(&&*read("cpu.shares", "cpu.weight")));
        assert!(["50000", "50000 100000"].contains(&&*read("cpu.cfs_quota_us", "cpu.max")));
        assert_eq!(read("memory.limit_in_bytes", "memory.max"), (64 << 20).to_string());
        assert_eq!(read("pids.max", "pids.max"), "50");
        eventually(async || (f.output("main/0.log") == "500\n").then_some(())).await;
        let more =
            cri::LinuxContainerResources { memory_limit_in_bytes: 128 << 20, ..config.resources.clone() };
        f.runtime.update_container_resources(&id, &more).await.unwrap();
        assert_eq!(read("memory.limit_in_bytes", "memory.max"), (128 << 20).to_string());
        let stats = f.runtime.container_stats(&id).await.unwrap();
        assert!(stats.memory_working_set_bytes > 0 && stats.cpu_usage_core_nano_seconds > 0, "{stats:?}");
    });
}

fn pods_can_share_a_pid_namespace() {
    Fixture::run(async |f| {
        let mut pod = f.pod();
        pod.namespaces.pid = NamespaceMode::Pod;
        let sandbox = f.runtime.run_pod_sandbox(&pod).await.unwrap();
        let shared = |mut config: cri::ContainerConfig| {
            config.security_context.namespaces.pid = NamespaceMode::Pod;
            config
        };
        let one = f.start(&sandbox, &shared(f.command("one", &["sleep", "12345"]))).await;
        let script = "ps | grep -c '[s]leep 12345'; ls /proc/1/root/ 2>/dev/null | wc -l; cat /proc/1/cmdline | tr '\\0' ' '";
        let two = f.start(&sandbox, &shared(f.shell("two", script))).await;
        f.ended(&two).await;
        let output = f.output("two/0.log");
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines[..2], ["1", "0"], "{output}");
        assert!(lines[2].starts_with("knarr-pause"), "{output}");
        f.runtime.stop_container(&one, 0).await.unwrap();
        assert_eq!(f.runtime.container_status(&one).await.unwrap().exit_code, 137);
        f.runtime.remove_pod_sandbox(&sandbox).await.unwrap();
    });
}

fn host_namespaces_are_the_host_s() {
    Fixture::run(async |f| {
        let mut pod = f.pod();
        pod.namespaces = cri::NamespaceOptions {
            network: NamespaceMode::Node,
            pid: NamespaceMode::Node,
            ipc: NamespaceMode::Node,
            userns: None,
        };
        let sandbox = f.runtime.run_pod_sandbox(&pod).await.unwrap();
        assert!(f.runtime.pod_sandbox_status(&sandbox).await.unwrap().ips.is_empty());
        let mut config =
            f.shell("main", "for ns in net pid ipc uts mnt; do readlink /proc/self/ns/$ns; done");
        config.security_context.namespaces = pod.namespaces.clone();
        let id = f.runtime.create_container(&sandbox, &config, &pod).await.unwrap();
        f.runtime.start_container(&id).await.unwrap();
        f.ended(&id).await;
        let own = |ns: &str| {
            std::fs::read_link(format!("/proc/self/ns/{ns}")).unwrap().to_string_lossy().into_owned()
        };
        let output = f.output("main/0.log");
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines[..4], ["net", "pid", "ipc", "uts"].map(own));
        assert_ne!(lines[4], own("mnt"));
        f.runtime.remove_pod_sandbox(&sandbox).await.unwrap();
    });
}

/// The private memory of a debug build's shim, relocations included, stays in the order of the aim for a release.
fn shims_are_small() {
    Fixture::run(async |f| {
        let sandbox = f.sandbox().await;
        let id = f.start(&sandbox, &f.command("main", &["sleep", "600"])).await;
        let smaps =
            std::fs::read_to_string(format!("/proc/{}/smaps_rollup", shim_pid(&f, &sandbox))).unwrap();
        let field = |name: &str| -> u64 {
            let line = smaps.lines().find_map(|l| l.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").trim().parse().unwrap()
        };
        eprintln!("shim: PSS {} kB, private dirty {} kB", field("Pss:"), field("Private_Dirty:"));
        assert!(field("Private_Dirty:") < 4096, "{smaps}");
        f.runtime.stop_container(&id, 0).await.unwrap();
    });
}

/// Prints how long the steps of a pod's start take; judges nothing.
fn starts_are_told() {
    Fixture::run(async |f| {
        use stdx::Clock;
        let clock = stdx::SystemClock;
        let mut all = Vec::new();
        for _ in 0..5 {
            let begin = clock.monotonic();
            let sandbox = f.sandbox().await;
            let made = clock.monotonic();
            let id = f
                .runtime
                .create_container(&sandbox, &f.command("main", &["sleep", "600"]), &f.pod())
                .await
                .unwrap();
            let created = clock.monotonic();
            f.runtime.start_container(&id).await.unwrap();
            let started = clock.monotonic();
            f.runtime.stop_container(&id, 0).await.unwrap();
            let stopped = clock.monotonic();
            f.runtime.remove_pod_sandbox(&sandbox).await.unwrap();
            let removed = clock.monotonic();
            all.push([made - begin, created - made, started - created, stopped - started, removed - stopped]);
        }
        for (name, step) in ["sandbox", "create", "start", "kill", "remove"].iter().zip(0..) {
            let mut times: Vec<_> = all.iter().map(|times| times[step]).collect();
            times.sort_unstable();
            eprintln!("{name}: {:?} (median of {})", times[times.len() / 2], times.len());
        }
        assert!(f.runtime.list_pod_sandboxes().await.unwrap().is_empty());
    });
}
