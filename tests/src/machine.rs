//! Further machines of a cluster: each a network namespace with an agent, on the server's link or behind a router.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::host::{inside, ip};
use crate::{Cluster, Output, binary, eventually, images_dir, run};

/// How long an agent may take to join.
const JOIN_MAX: Duration = Duration::from_secs(60);

static NUMBER: AtomicU32 = AtomicU32::new(1);

/// Where a machine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the server's link, 192.0.2.0/24.
    SameLink,
    /// In 198.51.100.0/24; the world routes between the two.
    BehindRouter,
}

/// A machine and its agent, which runs between [`Machine::boot`] and [`Machine::stop`]. What it made goes when it is dropped.
pub struct Machine<'c> {
    cluster: &'c Cluster,
    /// The node's name.
    pub name: String,
    /// The machine's address.
    pub address: String,
    namespace: String,
    outer: String,
    dir: tempfile::TempDir,
    run_dir: PathBuf,
    agent: Option<Child>,
}

impl<'c> Machine<'c> {
    /// A machine with a link and a default route, and no agent yet.
    pub fn new(cluster: &'c Cluster, name: &str, place: Place) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let unique = format!("{}-{number}", std::process::id());
        let namespace = format!("kna-{unique}");
        let outer = format!("a{number}");
        let world = cluster.host.world().to_owned();
        ip(&["netns", "add", &namespace]);
        ip(&["-n", &namespace, "link", "set", "lo", "up"]);
        ip(&[
            "-n", &namespace, "link", "add", "up0", "type", "veth", "peer", "name", &outer, "netns", &world,
        ]);
        let (bridge, network, gateway) = match place {
            Place::SameLink => ("near", "192.0.2", "192.0.2.2"),
            Place::BehindRouter => ("far", "198.51.100", "198.51.100.2"),
        };
        cluster.host.router();
        let address = format!("{network}.{}", 10 + number);
        ip(&["-n", &world, "link", "set", &outer, "master", bridge]);
        ip(&["-n", &world, "link", "set", &outer, "up"]);
        ip(&["-n", &namespace, "addr", "add", &format!("{address}/24"), "dev", "up0"]);
        ip(&["-n", &namespace, "link", "set", "up0", "up"]);
        ip(&["-n", &namespace, "route", "add", "default", "via", gateway]);
        let dir = tempfile::Builder::new().prefix("knarr-agent-").tempdir().expect("make a directory");
        let images = dir.path().join("data/images");
        fs::create_dir_all(&images).expect("make the image directory");
        fs::copy(images_dir().join("busybox.tar"), images.join("busybox.tar")).expect("copy an image");
        let run_dir = format!("/run/kna-{unique}").into();
        Machine { cluster, name: name.into(), address, namespace, outer, dir, run_dir, agent: None }
    }

    /// A command on the machine.
    pub fn command(&self, program: &Path) -> Command {
        inside(&self.namespace, program)
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("agent.log")
    }

    /// All that the agent has printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn agent_command(&self, flags: &[&str]) -> Command {
        let mut command = self.command(&binary());
        command.arg("agent").arg("--data-dir").arg(self.dir.path().join("data"));
        command.arg("--run-dir").arg(&self.run_dir).args(["--node-name", &self.name]);
        command.args(["--eviction-hard", "memory.available<10Mi"]).args(flags).env("NO_COLOR", "1");
        command
    }

    /// Starts the agent with these flags and waits until its node is part of the cluster.
    pub fn boot(&mut self, flags: &[&str]) {
        assert!(self.agent.is_none(), "the agent runs already");
        let log = File::options().create(true).append(true).open(self.log_path()).expect("open the log");
        let already = self.ups();
        let agent = self
            .agent_command(flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("clone"))
            .stderr(log)
            .spawn()
            .expect("start the agent");
        self.agent = Some(agent);
        let mut ended = None;
        eventually(JOIN_MAX, "the agent has joined", || {
            ended = self.agent.as_mut().expect("agent").try_wait().expect("wait");
            ended.is_some() || self.ups() > already
        });
        assert!(ended.is_none(), "the agent ended: {ended:?}\n{}", self.log());
    }

    /// Joins with the cluster's own token.
    pub fn join(&mut self) {
        let token = self.cluster.join_token();
        self.boot(&["--server", "https://192.0.2.1:6443", "--token", &token]);
    }

    /// Starts an agent that must end by itself; what it says.
    #[track_caller]
    pub fn refused(&self, flags: &[&str]) -> String {
        let out: Output = run(Command::new("timeout").arg("60").args(words(&self.agent_command(flags))));
        assert_ne!(out.code, 124, "it went on: {}", out.stderr);
        out.fails()
    }

    fn ups(&self) -> usize {
        self.log().matches("This machine is node").count()
    }

    /// The agent's process id.
    pub fn pid(&self) -> i32 {
        self.agent.as_ref().expect("agent runs").id() as i32
    }

    /// Ends the agent at once.
    pub fn kill(&mut self) {
        let mut agent = self.agent.take().expect("agent runs");
        agent.kill().expect("kill");
        agent.wait().expect("wait");
    }

    /// Ends the agent as a service manager would.
    pub fn stop(&mut self) {
        let mut agent = self.agent.take().expect("agent runs");
        let pid = nix::unistd::Pid::from_raw(agent.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("signal");
        agent.wait().expect("wait");
    }

    /// Pulls the machine's cable, or puts it back.
    pub fn link(&self, up: bool) {
        let state = if up { "up" } else { "down" };
        ip(&["-n", self.cluster.host.world(), "link", "set", &self.outer, state]);
    }

    /// Runs one of our own commands on this machine.
    pub fn knarr(&self, args: &[&str]) -> Output {
        let mut command = self.command(&binary());
        command.args(args).arg("--data-dir").arg(self.dir.path().join("data"));
        run(command.arg("--run-dir").arg(&self.run_dir))
    }
}

/// A command as `timeout` takes it.
fn words(command: &Command) -> Vec<std::ffi::OsString> {
    std::iter::once(command.get_program()).chain(command.get_args()).map(ToOwned::to_owned).collect()
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- log of agent {} (the last 40 lines):", self.name);
            lines.iter().skip(lines.len().saturating_sub(40)).for_each(|l| eprintln!("{l}"));
        }
        if self.agent.is_some() {
            self.stop();
        }
        let reset = self.knarr(&["reset", "--yes"]);
        if reset.code != 0 {
            eprintln!("reset of {} failed: {}{}", self.name, reset.stdout, reset.stderr);
        }
        let gone = run(Command::new("ip").args(["netns", "del", &self.namespace]));
        if gone.code != 0 {
            eprintln!("cannot delete network namespace {}: {}", self.namespace, gone.stderr);
        }
    }
}
