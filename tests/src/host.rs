//! A machine to run a cluster on: a network namespace with a link to a second one that plays the world.

use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;

use crate::run;

/// Two network namespaces joined by a link: `192.0.2.1` (the machine) and `192.0.2.2` (the world, its default route).
pub struct Host {
    machine: String,
    world: String,
}

/// The machine's address on the link.
pub const MACHINE: &str = "192.0.2.1";
/// The world's.
pub const WORLD: &str = "192.0.2.2";

impl Host {
    pub fn new(name: &str) -> Self {
        let unique = format!("{name}-{}", std::process::id());
        let host = Host { machine: format!("knm-{unique}"), world: format!("knw-{unique}") };
        for namespace in [&host.machine, &host.world] {
            ip(&["netns", "add", namespace]);
            ip(&["-n", namespace, "link", "set", "lo", "up"]);
        }
        let ends = [("up0", &host.machine, MACHINE), ("down0", &host.world, WORLD)];
        ip(&[
            "-n",
            &host.machine,
            "link",
            "add",
            "up0",
            "type",
            "veth",
            "peer",
            "name",
            "down0",
            "netns",
            &host.world,
        ]);
        for (link, namespace, address) in ends {
            ip(&["-n", namespace, "addr", "add", &format!("{address}/24"), "dev", link]);
            ip(&["-n", namespace, "link", "set", link, "up"]);
        }
        ip(&["-n", &host.machine, "route", "add", "default", "via", WORLD]);
        host
    }

    /// Makes the world a router with a switch on either side, for further machines. Idempotent.
    pub fn router(&self) {
        let world = self.world.as_str();
        let there = run(Command::new("ip").args(["-n", world, "link", "show", "near"]));
        if there.code == 0 {
            return;
        }
        for (bridge, address) in [("near", WORLD), ("far", "198.51.100.2")] {
            ip(&["-n", world, "link", "add", bridge, "type", "bridge"]);
            ip(&["-n", world, "link", "set", bridge, "up"]);
            if bridge == "near" {
                ip(&["-n", world, "addr", "flush", "dev", "down0"]);
                ip(&["-n", world, "link", "set", "down0", "master", "near"]);
            }
            ip(&["-n", world, "addr", "add", &format!("{address}/24"), "dev", bridge]);
        }
        run(self.world_command(Path::new("sysctl")).args(["-qw", "net.ipv4.ip_forward=1"])).ok();
    }

    /// The namespace that plays the world.
    pub fn world(&self) -> &str {
        &self.world
    }

    /// A command on the machine.
    pub fn command(&self, program: &Path) -> Command {
        inside(&self.machine, program)
    }

    /// A command in the world outside.
    pub fn world_command(&self, program: &Path) -> Command {
        inside(&self.world, program)
    }

    /// Runs `work` on a thread in the world: sockets that it opens stay there.
    pub fn in_world<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        on_thread(&self.world, work)
    }

    /// Runs `work` on a thread on the machine.
    pub fn on_machine<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        on_thread(&self.machine, work)
    }

    /// A thread of its own on the machine, that may outlive what starts it.
    pub fn machine_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let namespace = self.machine.clone();
        std::thread::spawn(move || {
            enter(&namespace);
            work()
        })
    }

    /// The machine's network namespace, for tests that look at links and tables.
    pub fn namespace(&self) -> &str {
        &self.machine
    }
}

fn on_thread<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    let inside = || {
        enter(namespace);
        work()
    };
    std::thread::scope(|scope| scope.spawn(inside).join()).expect("the thread")
}

fn enter(namespace: &str) {
    let namespace = std::fs::File::open(format!("/run/netns/{namespace}")).expect("the namespace");
    nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).expect("enter the namespace");
}

/// Only the network namespace changes: `ip netns exec` would also hide the cgroups.
pub(crate) fn inside(namespace: &str, program: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{namespace}")).arg(program);
    command
}

impl Drop for Host {
    fn drop(&mut self) {
        for namespace in [&self.machine, &self.world] {
            let gone = run(Command::new("ip").args(["netns", "del", namespace]));
            if gone.code != 0 {
                eprintln!("cannot delete network namespace {namespace}: {}", gone.stderr);
            }
        }
    }
}

#[track_caller]
pub(crate) fn ip(args: &[&str]) {
    run(Command::new("ip").args(args)).ok();
}
