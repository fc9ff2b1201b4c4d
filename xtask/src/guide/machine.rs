//! A Debian guest that does what it is told: QEMU, with a port by which commands go in and answers come out.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// What the guest's unit starts: reads a line of base64, runs it, writes its exit code and what it said.
pub const AGENT: &str = r#"#!/bin/bash
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive
cd /root
# The image's unit ends the machine with this script; here it may end by a reboot.
mkdir -p /run/systemd/system/knarr-tests.service.d
printf '[Service]\nExecStopPost=\n' > /run/systemd/system/knarr-tests.service.d/stay.conf
systemctl daemon-reload
exec 3<>/dev/virtio-ports/knarr
echo up >&3
while IFS= read -r line <&3; do
    printf %s "$line" | base64 -d > /run/knarr-command
    bash /run/knarr-command > /run/knarr-output 2>&1 < /dev/null 3>&-
    printf '%s %s\n' $? "$(base64 -w0 /run/knarr-output)" >&3
done
"#;

/// Where a guest is and what it has.
pub struct Plan<'a> {
    pub name: &'static str,
    /// The last byte of its address, in 192.168.124.0/24.
    pub host: u8,
    pub megabytes: u32,
    pub processors: u32,
    pub accelerator: &'a str,
    /// The UDP port of the network that the guests share, and nobody else.
    pub network: u16,
    /// With vmlinuz, initrd.img, root.img.
    pub images: &'a Path,
    pub work: &'a Path,
    pub dir: &'a Path,
}

pub struct Machine {
    pub name: &'static str,
    process: Child,
    port: BufReader<UnixStream>,
    console: PathBuf,
}

impl Machine {
    /// Boots; [`Machine::up`] waits for it.
    pub fn start(plan: &Plan<'_>) -> Result<Machine> {
        let (socket, console) =
            (plan.dir.join(format!("{}.sock", plan.name)), plan.dir.join(format!("{}.log", plan.name)));
        drop(fs::remove_file(&socket));
        let (ours, theirs) = UnixStream::pair().context("make a pair of sockets")?;
        let mut command = Command::new("qemu-system-x86_64");
        command.args(match plan.accelerator {
            "kvm" => ["-accel", "kvm", "-cpu", "host,arch-capabilities=off"],
            _ => ["-accel", "tcg,thread=multi", "-cpu", "max"],
        });
        command.args(["-m", &plan.megabytes.to_string(), "-smp", &plan.processors.to_string()]);
        command.args(["-display", "none", "-monitor", "none", "-snapshot", "-device", "virtio-rng-pci"]);
        command.arg("-kernel").arg(plan.images.join("vmlinuz"));
        command.arg("-initrd").arg(plan.images.join("initrd.img"));
        let quiet =
            "quiet systemd.unified_cgroup_hierarchy=1 systemd.mask=serial-getty@ttyS0.service net.ifnames=0";
        command.args(["-append", &format!("root=/dev/vda rw console=ttyS0 {quiet}")]);
        command.args(["-serial", &format!("file:{}", console.display())]);
        for image in [&plan.images.join("root.img"), plan.work] {
            command.args(["-drive", &format!("file={},format=raw,if=virtio,cache=unsafe", image.display())]);
        }
        let network = format!("socket,id=lan,mcast=230.124.0.1:{},localaddr=127.0.0.1", plan.network);
        command.args(["-netdev", &network]);
        command.args(["-device", &format!("virtio-net-pci,netdev=lan,mac=52:54:00:7c:00:{:02x}", plan.host)]);
        // Its standard input is the socket's other end.
        command.args(["-device", "virtio-serial-pci", "-chardev", "socket,id=commands,fd=0"]);
        command.args(["-device", "virtserialport,chardev=commands,name=knarr"]);
        let process = command
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .spawn()
            .context("start qemu-system-x86_64")?;
        Ok(Machine { name: plan.name, process, port: BufReader::new(ours), console })
    }

    /// Waits until the guest listens, after a start or a reboot.
    pub fn up(&mut self, most: Duration) -> Result<()> {
        let said = self.line(most).with_context(|| format!("boot {}", self.name))?;
        if said.trim() != "up" {
            bail!("{} said {said:?} instead of being up", self.name);
        }
        Ok(())
    }

    /// Runs a script of bash; its exit code and what it wrote to both outputs.
    pub fn run(&mut self, script: &str, most: Duration) -> Result<(i32, String)> {
        self.send(script)?;
        let answer = self.line(most).with_context(|| format!("on {}: {script}", self.name))?;
        let (code, said) = answer.trim_end().split_once(' ').unwrap_or((answer.trim_end(), ""));
        let said = BASE64.decode(said).context("decode what it said")?;
        Ok((code.parse().context("read the exit code")?, String::from_utf8_lossy(&said).into_owned()))
    }

    /// As the word says: its disks stay as they are.
    pub fn reboot(&mut self, most: Duration) -> Result<()> {
        self.send("systemctl reboot; sleep infinity")?;
        self.up(most)
    }

    fn send(&mut self, script: &str) -> Result<()> {
        let line = BASE64.encode(script) + "\n";
        self.port.get_mut().write_all(line.as_bytes()).with_context(|| format!("tell {}", self.name))
    }

    fn line(&mut self, most: Duration) -> Result<String> {
        self.port.get_ref().set_read_timeout(Some(most))?;
        let mut line = Vec::new();
        let read = self.port.read_until(b'\n', &mut line);
        read.with_context(|| format!("no answer in {most:?}; its console is in {}", self.console.display()))?;
        if line.is_empty() {
            bail!("the guest ended; its console is in {}", self.console.display());
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
