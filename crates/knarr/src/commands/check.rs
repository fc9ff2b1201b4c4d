//! `knarr check`: can this machine run a server or an agent? Each finding says what to do.

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::libc;

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
        ("names", resolution(&nameservers())),
        ("firewall", firewall()),
        ("clock", clock()),
    ];
    if let Some(server) = &args.server {
        looks.push(("server", server_answers(server)));
        looks.push(("clocks", clocks(server)));
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
    Good(name)
}

/// Of /etc/resolv.conf, as far as they are addresses.
fn nameservers() -> Vec<IpAddr> {
    let text = read("/etc/resolv.conf");
    let named = text.lines().filter_map(|l| l.trim().strip_prefix("nameserver"));
    named.filter_map(|rest| rest.trim().parse().ok()).collect()
}

/// Whether each nameserver answers anything at all.
fn resolution(servers: &[IpAddr]) -> Found {
    if servers.is_empty() {
        return Poor("/etc/resolv.conf names no nameserver, so pods resolve only the cluster's names".into());
    }
    let (good, silent): (Vec<_>, Vec<_>) = servers.iter().partition(|server| answers(**server));
    let list = |ips: &[&IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match silent.is_empty() {
        true => Good(format!("{} answer{}", list(&good), if good.len() == 1 { "s" } else { "" })),
        false => Poor(format!(
            "no answer from {}: names outside the cluster, and images' registries, may not be found. Look at /etc/resolv.conf",
            list(&silent)
        )),
    }
}

/// How long a nameserver may take.
const NAMESERVER_MAX: Duration = Duration::from_secs(2);

/// Asks who serves the root; any answer will do.
fn answers(server: IpAddr) -> bool {
    // Id 0x4b6e, recursion desired, one question: the NS records of ".".
    const QUESTION: [u8; 17] = [0x4b, 0x6e, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
    let any: IpAddr = if server.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() };
    let ask = || -> std::io::Result<bool> {
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_read_timeout(Some(NAMESERVER_MAX))?;
        socket.connect((server, 53))?;
        socket.send(&QUESTION)?;
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer)?;
        Ok(length >= 12 && answer[..2] == QUESTION[..2] && answer[2] & 0x80 != 0)
    };
    ask().unwrap_or(false)
}

/// Chains of others that drop what they do not know.
fn firewall() -> Found {
    match cluster::host::foreign_drops() {
        Err(error) => Poor(format!("the nftables rules cannot be read: {error:#}")),
        Ok((forward, input)) if forward.is_empty() && input.is_empty() => {
            Good("no nftables chain of others drops by default".into())
        }
        Ok((forward, input)) => {
            let mut said = Vec::new();
            if !forward.is_empty() {
                said.push(format!(
                    "{} may drop packets of pods: let those from and to the pods' range pass",
                    forward.join(", ")
                ));
            }
            if !input.is_empty() {
                said.push(format!(
                    "{} may drop packets to this machine: let 6443/tcp (server), 10250/tcp and 8472/udp in from the other machines",
                    input.join(", ")
                ));
            }
            Poor(said.join("; "))
        }
    }
}

fn clock() -> Found {
    let now = stdx::SystemClock::shared().now();
    match now.as_second() {
        s if s < 1_700_000_000 => {
            Bad(format!("it is {now} here? Set the clock: certificates would not be good yet"))
        }
        _ => match synchronised() {
            true => Good(format!("{now}, kept by NTP")),
            false => Poor(format!(
                "{now}; the kernel says that nobody keeps it right: `timedatectl set-ntp true`, or run chrony or ntpd"
            )),
        },
    }
}

/// Whether a time service has told the kernel that the clock is right.
fn synchronised() -> bool {
    // SAFETY: an all-zero timex is valid, and with modes == 0 the call only reads.
    let (status, state) = unsafe {
        let mut status: libc::timex = std::mem::zeroed();
        let state = libc::adjtimex(&mut status);
        (status, state)
    };
    state >= 0 && state != libc::TIME_ERROR && status.status & libc::STA_UNSYNC == 0
}

/// Ours and the server's.
fn clocks(server: &str) -> Found {
    match cluster::agent::clock_ahead(server) {
        Ok(Some(ahead)) => match cluster::agent::clock_complaint(ahead) {
            Some(why) => Bad(why),
            None => Good("this machine and the server agree on the time".into()),
        },
        Ok(None) => Poor("the server does not tell its time".into()),
        Err(error) => Poor(format!("the server's time is not known: {error:#}")),
    }
}

fn server_answers(server: &str) -> Found {
    match cluster::agent::reach(server) {
        Ok(()) => Good(format!("{server} is reached")),
        Err(error) => Bad(format!("{error:#}; is the port open between the two machines?")),
    }
}
