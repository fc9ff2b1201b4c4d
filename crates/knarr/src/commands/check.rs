//! `knarr check`: can this machine run a server or an agent? Each finding says what to do.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;

use anyhow::{Result, bail};

use crate::commands::node::{Node, absolute};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    node: Node,
    /// A server of the cluster to join, as https://HOST:6443: whether it is reached
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

/// What a look at something found.
enum Found {
    Good(String),
    /// It will work, but not all of it, or not for long.
    Poor(String),
    Bad(String),
}

use Found::{Bad, Good, Poor};

pub fn run(args: &Args) -> Result<()> {
    let dir = absolute(&args.node.data_dir);
    let mut looks: Vec<(&str, Found)> = vec![
        ("user", user()),
        ("kernel", kernel()),
        (
            "overlay",
            feature("overlay", "/proc/filesystems", "images are stacked by overlayfs: `modprobe overlay`"),
        ),
        ("cgroups", cgroups()),
        ("nftables", nftables()),
        ("vxlan", module("vxlan", "nodes that share no link are reached through it: `modprobe vxlan`")),
        ("ports", ports()),
        ("disk", disk(&dir)),
        ("memory", memory()),
        ("name", name()),
        ("clock", clock()),
    ];
    if let Some(server) = &args.server {
        looks.push(("server", server_answers(server)));
    }
    let mut bad = 0;
    for (what, found) in &looks {
        let (sign, text) = match found {
            Good(text) => ("ok  ", text),
            Poor(text) => ("warn", text),
            Bad(text) => {
                bad += 1;
                ("FAIL", text)
            }
        };
        println!("{sign} {what:9} {text}");
    }
    if bad > 0 {
        bail!("{bad} of {} looks found what must be mended first", looks.len());
    }
    Ok(())
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn user() -> Found {
    match nix::unistd::Uid::effective().is_root() {
        true => Good("root".into()),
        false => Bad("not root: start with sudo".into()),
    }
}

fn kernel() -> Found {
    let release = read("/proc/sys/kernel/osrelease");
    let mut numbers = release.split(['.', '-']).map(|n| n.parse::<u32>().unwrap_or(0));
    match (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) {
        version if version >= (5, 10) => Good(format!("Linux {release}")),
        _ => Bad(format!("Linux {release} is too old: 5.10 or newer is needed")),
    }
}

fn feature(name: &str, file: &str, otherwise: &str) -> Found {
    match read(file).split_whitespace().any(|w| w == name) {
        true => Good("there".into()),
        false => module(name, otherwise),
    }
}

fn module(name: &str, otherwise: &str) -> Found {
    if Path::new("/sys/module").join(name).exists() {
        return Good("there".into());
    }
    let release = read("/proc/sys/kernel/osrelease");
    let lists = ["modules.builtin", "modules.dep"].map(|f| read(&format!("/lib/modules/{release}/{f}")));
    match lists.iter().any(|l| l.contains(&format!("/{name}.ko"))) {
        true => Good("a module that the kernel loads when it is needed".into()),
        false => Poor(format!("not seen. {otherwise}")),
    }
}

fn nftables() -> Found {
    match cluster::host::check_nftables() {
        Ok(()) => Good("the kernel answers".into()),
        Err(error) => Bad(format!("{error:#}; services and pods need it: `modprobe nf_tables`")),
    }
}

fn cgroups() -> Found {
    let controllers = read("/sys/fs/cgroup/cgroup.controllers");
    let wanted = ["cpu", "memory", "pids"];
    if controllers.is_empty() {
        let table = read("/proc/cgroups");
        let on = |c: &&str| {
            table
                .lines()
                .any(|l| l.split_whitespace().next() == Some(*c) && l.split_whitespace().nth(3) == Some("1"))
        };
        return match wanted.iter().find(|c| !on(c)) {
            None => Good("version 1".into()),
            Some(missing) => Bad(format!(
                "no {missing} controller: boot with cgroup_enable={missing} on the kernel's command line"
            )),
        };
    }
    match wanted.iter().find(|c| !controllers.split_whitespace().any(|w| w == **c)) {
        None => Good("version 2".into()),
        Some(missing) => Bad(format!(
            "no {missing} controller: boot with cgroup_enable={missing} on the kernel's command line"
        )),
    }
}

fn ports() -> Found {
    let tcp = [6443, 10250, 10256].into_iter().filter(|p| TcpListener::bind(("0.0.0.0", *p)).is_err());
    let udp = [8472].into_iter().filter(|p| UdpSocket::bind(("0.0.0.0", *p)).is_err());
    let taken: Vec<String> = tcp.map(|p| format!("{p}/tcp")).chain(udp.map(|p| format!("{p}/udp"))).collect();
    match taken.is_empty() {
        true => Good("6443, 10250 and 10256/tcp, 8472/udp are free".into()),
        false => Poor(format!(
            "in use: {}. If that is Knarr itself, all is well; else choose others (--https-listen-port, --kubelet-port) or stop what has them",
            taken.join(", ")
        )),
    }
}

fn disk(dir: &Path) -> Found {
    let there = dir.ancestors().find(|d| d.exists()).unwrap_or(Path::new("/"));
    let Ok(stat) = nix::sys::statvfs::statvfs(there) else {
        return Bad(format!("{} cannot be looked at", there.display()));
    };
    let free = stat.blocks_available() * stat.fragment_size();
    let text = format!("{:.1} GB free at {}", free as f64 / 1e9, there.display());
    match free {
        f if f < 500_000_000 => Bad(format!("{text}: too little; choose another --data-dir")),
        f if f < 5_000_000_000 => Poor(format!("{text}: images will soon fill it")),
        _ => Good(text),
    }
}

fn memory() -> Found {
    let line = read("/proc/meminfo");
    let kib: u64 = line
        .lines()
        .find_map(|l| l.strip_prefix("MemAvailable:"))
        .and_then(|l| l.split_whitespace().next()?.parse().ok())
        .unwrap_or(0);
    match kib / 1024 {
        mib if mib < 200 => Bad(format!("{mib} MiB available: too little")),
        mib => Good(format!("{mib} MiB available")),
    }
}

fn name() -> Found {
    let name = cluster::host::node_name();
    if let Err(error) = cluster::config::check_node_name(&name) {
        return Bad(format!("{error:#}"));
    }
    let servers = read("/etc/resolv.conf").lines().filter(|l| l.starts_with("nameserver")).count();
    match servers {
        0 => Poor(format!(
            "{name}; /etc/resolv.conf names no nameserver, so pods resolve only the cluster's names"
        )),
        _ => Good(name),
    }
}

fn clock() -> Found {
    let now = stdx::SystemClock::shared().now();
    match now.as_second() {
        s if s < 1_700_000_000 => {
            Bad(format!("it is {now} here? Set the clock: certificates would not be good yet"))
        }
        _ => Good(format!("{now}")),
    }
}

fn server_answers(server: &str) -> Found {
    match cluster::agent::reach(server) {
        Ok(()) => Good(format!("{server} is reached")),
        Err(error) => Bad(format!("{error:#}; is the port open between the two machines?")),
    }
}
