//! `cargo xtask guest`: the end-to-end tests in a Debian guest, whose cgroups are version 2 alone and whose init is systemd.
//! Start at [`run`].
//!
//! Everything comes from Debian's packages: the emulator, the guest's kernel and its files. What was built stays in target/guest;
//! the result of the last run is docs/guest-run.md.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{guide, images, sh, test};

#[derive(clap::Args)]
pub struct Args {
    /// Only these test programs, by name (api, pods, containers, …)
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only tests whose name contains this
    #[arg(long)]
    filter: Option<String>,
    /// How it runs: kvm or tcg (emulated: ten times slower) [default: kvm, but on machines that are guests themselves]
    #[arg(long)]
    accel: Option<String>,
    /// Test an optimised binary: worth its build where the guest is emulated
    #[arg(long)]
    release: bool,
    /// Make the guest's root file system anew
    #[arg(long)]
    fresh: bool,
    /// Instead: the guide's installation by packages on a master and minions, and what happens to them; docs/guide-run.md
    #[arg(long)]
    guide: bool,
    /// With --guide: how many minions, each a guest of its own
    #[arg(long, default_value_t = 1)]
    minions: usize,
}

/// Beside a minimal system: what starts it, what `knarr` finds on a usual Debian machine, and what tests use.
const PACKAGES: &str = "systemd-sysv,udev,dbus,linux-image-cloud-amd64,initramfs-tools,kmod,procps,bsdutils,iproute2,\
                        nftables,busybox-static,docker-registry,curl,ca-certificates";

/// Starts the tests when everything else is up, and the machine's end after them.
const UNIT: &str = "\
[Unit]
Description=Knarr's tests
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/mnt/run
ExecStopPost=/bin/systemctl poweroff --no-block
StandardOutput=file:/dev/ttyS0
StandardError=file:/dev/ttyS0
TimeoutStartSec=infinity
[Install]
WantedBy=default.target
";

/// Lines of ours on the console begin so.
const MARK: &str = "guest: ";

const SCRIPT: &str = r#"#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root RUST_BACKTRACE=0
export KNARR_PATIENCE=@PATIENCE@ KNARR_BIN=/mnt/knarr KNARR_KUBECTL=/mnt/kubectl KNARR_IMAGES=/mnt/images
echo
echo "guest: kernel $(uname -r)"
echo "guest: cgroups $(stat -fc %T /sys/fs/cgroup) ($(cat /sys/fs/cgroup/cgroup.controllers))"
echo "guest: init $(cat /proc/1/comm), $(nproc) processors"
mkdir -p "$(dirname "@ROOT@")" && ln -sn /mnt/tree "@ROOT@"
before=$(find /sys/fs/cgroup -maxdepth 1 -name 'knarr*' | wc -l)
for program in /mnt/tests/*; do
    echo "guest: begin $(basename "$program")"
    timeout @MOST@ "$program" @FILTER@ --test-threads=@THREADS@ 2>&1
    echo "guest: end $(basename "$program") $?"
done
echo "guest: cgroups left over $(($(find /sys/fs/cgroup -maxdepth 1 -name 'knarr*' | wc -l) - before))"
echo "guest: done"
"#;

/// Builds, boots, reports; fails when a test did.
pub fn run(args: &Args) -> Result<()> {
    let dir = sh::root().join("target/guest");
    fs::create_dir_all(&dir)?;
    install_tools()?;
    let root = root_image(&dir, args.fresh)?;
    if args.guide {
        let (binary, accelerator) = (binary(args.release)?, accelerator(args));
        return guide::run(&guide::Settings { accelerator, binary, images: &dir, minions: args.minions });
    }
    let work = work_image(&dir, args)?;
    let console = boot(&dir, &root, &work, accelerator(args))?;
    let (report, path) = (Report::read(&console), sh::root().join("docs/guest-run.md"));
    let page = report.page(&fs::read_to_string(&path).unwrap_or_default());
    fs::write(&path, &page)?;
    eprint!("{page}");
    match report.problem() {
        Some(problem) => bail!("{problem}; the guest's console is in {}", dir.join("console.log").display()),
        None => Ok(()),
    }
}

fn install_tools() -> Result<()> {
    const TOOLS: &[(&str, &str)] = &[
        ("qemu-system-x86_64", "qemu-system-x86"),
        ("mmdebstrap", "mmdebstrap"),
        ("mkfs.ext4", "e2fsprogs"),
    ];
    let missing: Vec<&str> =
        TOOLS.iter().filter(|(program, _)| !sh::exists(program)).map(|(_, p)| *p).collect();
    if missing.is_empty() {
        return Ok(());
    }
    sh::run("apt-get", &["update", "-qq"])?;
    let mut args = vec!["install", "-y", "-qq", "--no-install-recommends"];
    args.extend(missing);
    sh::run_with("apt-get", &args, &[("DEBIAN_FRONTEND", "noninteractive")])
}

/// Debian's newest packages of this release as a disk; made once, since a run leaves it as it was.
fn root_image(dir: &Path, fresh: bool) -> Result<PathBuf> {
    let (root, image) = (dir.join("root"), dir.join("root.img"));
    if image.exists() && !fresh {
        return Ok(image);
    }
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    let (to, include) = (text(&root), format!("--include={PACKAGES}"));
    sh::run("mmdebstrap", &["--variant=minbase", &include, "bookworm", &to, "http://deb.debian.org/debian"])?;
    fs::write(root.join("etc/fstab"), "/dev/vda / ext4 defaults 0 1\n/dev/vdb /mnt ext4 defaults 0 2\n")?;
    fs::write(root.join("etc/hostname"), "guest\n")?;
    fs::write(root.join("etc/systemd/system/knarr-tests.service"), UNIT)?;
    let wants = root.join("etc/systemd/system/default.target.wants");
    fs::create_dir_all(&wants)?;
    std::os::unix::fs::symlink("../knarr-tests.service", wants.join("knarr-tests.service"))?;
    for name in ["vmlinuz", "initrd.img"] {
        // What lies in / are links to the newest kernel's.
        fs::copy(root.join(fs::read_link(root.join(name))?), dir.join(name))?;
    }
    disk(&root, &image, "3G")?;
    fs::remove_dir_all(&root)?;
    Ok(image)
}

/// The binary, the tests and their images as a second disk.
fn work_image(dir: &Path, args: &Args) -> Result<PathBuf> {
    let (work, image) = (dir.join("work"), dir.join("work.img"));
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(work.join("tests"))?;
    fs::create_dir_all(work.join("images"))?;
    images::build("target/images".as_ref())?;
    test::install_kubectl()?;
    for program in ["kubectl", "kubectl-1.28"] {
        copy(&sh::root().join("target/tools").join(program), &work.join(program))?;
    }
    for archive in fs::read_dir("target/images")? {
        let path = archive?.path();
        if path.extension().is_some_and(|e| e == "tar") {
            fs::copy(&path, work.join("images").join(path.file_name().unwrap_or_default()))?;
        }
    }
    copy(&binary(args.release)?, &work.join("knarr"))?;
    let mut programs = executables(&["test", "-p", "e2e", "--tests", "--no-run"])?;
    programs.extend(executables(&["test", "-p", "runtime", "--test", "containers", "--no-run"])?);
    for (name, program) in programs {
        if name != "e2e" && (args.only.is_empty() || args.only.contains(&name)) {
            copy(&program, &work.join("tests").join(name))?;
        }
    }
    let filter = args.filter.as_deref().unwrap_or_default();
    if !filter.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        bail!("--filter takes a part of a test's name");
    }
    // Where they were built, so that they find what belongs to them.
    for part in ["docs", "tests/guide", "tests/clients"] {
        let to = work.join("tree").join(part);
        fs::create_dir_all(&to)?;
        sh::run("cp", &["-r", &text(&sh::root().join(part).join(".")), &text(&to)])?;
    }
    let kvm = accelerator(args) == "kvm";
    let script = [
        ("@FILTER@", filter),
        ("@PATIENCE@", if kvm { "1" } else { "10" }),
        ("@THREADS@", if kvm { "2" } else { "1" }),
        ("@MOST@", if kvm { "30m" } else { "3h" }),
        ("@ROOT@", &text(&sh::root())),
    ];
    let script = script.iter().fold(SCRIPT.to_owned(), |script, (name, value)| script.replace(name, value));
    fs::write(work.join("run"), script)?;
    fs::set_permissions(work.join("run"), fs::Permissions::from_mode(0o755))?;
    disk(&work, &image, "3G")?;
    fs::remove_dir_all(&work)?;
    Ok(image)
}

/// KNARR_BIN, or a new build.
fn binary(release: bool) -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("KNARR_BIN") {
        return Ok(given.into());
    }
    let profile = if release { "release" } else { "dev" };
    let built = executables(&["build", "-p", "knarr", "--profile", profile])?;
    built.into_iter().find(|(name, _)| name == "knarr").map(|(_, path)| path).context("no binary was built")
}

/// What cargo builds with these arguments: names and files.
fn executables(args: &[&str]) -> Result<Vec<(String, PathBuf)>> {
    let mut all = args.to_vec();
    all.push("--message-format=json-render-diagnostics");
    let output = Command::new("cargo").args(&all).stderr(Stdio::inherit()).output().context("start cargo")?;
    if !output.status.success() {
        bail!("cargo {} failed", args.join(" "));
    }
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let built = lines.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let name = message["target"]["name"].as_str()?.to_owned();
        Some((name, PathBuf::from(message["executable"].as_str()?)))
    });
    Ok(built.collect())
}

/// An executable without what only debuggers read: disks are small.
fn copy(from: &Path, to: &Path) -> Result<()> {
    sh::run("objcopy", &["--strip-debug", &text(from), &text(to)])
}

/// An ext4 disk with the files of `from`.
pub fn disk(from: &Path, image: &Path, size: &str) -> Result<()> {
    let partial = image.with_extension("part");
    drop(fs::remove_file(&partial));
    sh::run("mkfs.ext4", &["-q", "-d", &text(from), &text(&partial), size])?;
    fs::rename(&partial, image).with_context(|| format!("write {}", image.display()))
}

pub fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Guests of guests hang too often to be the default.
fn accelerator(args: &Args) -> &str {
    let usable = || fs::File::options().read(true).write(true).open("/dev/kvm").is_ok();
    let nested = || {
        let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        processor.lines().any(|l| l.starts_with("flags") && l.contains(" hypervisor"))
    };
    match &args.accel {
        Some(chosen) => chosen,
        None if usable() && !nested() => "kvm",
        None => "tcg",
    }
}

/// Runs the guest until it powers off; what its console said. The disks are left as they are.
fn boot(dir: &Path, root: &Path, work: &Path, accelerator: &str) -> Result<String> {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(match accelerator {
        "kvm" => ["-accel", "kvm", "-cpu", "host,arch-capabilities=off"],
        _ => ["-accel", "tcg,thread=multi", "-cpu", "max"],
    });
    command.args(["-m", "4096", "-smp", "2", "-nographic", "-no-reboot", "-snapshot", "-nic", "none"]);
    command.args(["-device", "virtio-rng-pci"]).arg("-kernel").arg(dir.join("vmlinuz"));
    command.arg("-initrd").arg(dir.join("initrd.img"));
    // A login prompt would hang up the console, and the tests' next line be their last.
    let quiet = "quiet systemd.unified_cgroup_hierarchy=1 systemd.mask=serial-getty@ttyS0.service";
    command.args(["-append", &format!("root=/dev/vda rw console=ttyS0 {quiet}")]);
    for image in [root, work] {
        command.args(["-drive", &format!("file={},format=raw,if=virtio,cache=unsafe", image.display())]);
    }
    eprintln!("+ {command:?}");
    let mut guest =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("start qemu-system-x86_64")?;
    let output = guest.stdout.take().context("the guest's console")?;
    let mut log = fs::File::create(dir.join("console.log"))?;
    let mut console = format!("{MARK}accelerator {accelerator}\n");
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).trim_end_matches('\r').to_owned() + "\n";
        log.write_all(line.as_bytes())?;
        eprint!("{line}");
        console += &line;
    }
    guest.wait().context("wait for the guest")?;
    Ok(console)
}

/// What a run showed.
#[derive(Default)]
struct Report {
    facts: Vec<String>,
    /// Test program, test, how it went.
    tests: Vec<(String, String, String)>,
    /// Programs that ended with a failure.
    failed: Vec<String>,
    done: bool,
}

impl Report {
    fn read(console: &str) -> Report {
        let mut report = Report::default();
        let mut program = String::new();
        for line in console.lines() {
            if let Some(said) = line.strip_prefix(MARK) {
                match said.split(' ').collect::<Vec<_>>()[..] {
                    ["begin", name] => program = name.to_owned(),
                    ["end", _, "0"] => {}
                    ["end", name, _] => report.failed.push(name.to_owned()),
                    ["done"] => report.done = true,
                    _ => report.facts.push(said.to_owned()),
                }
            } else if let Some((test, outcome)) =
                line.strip_prefix("test ").and_then(|l| l.rsplit_once(" ... "))
            {
                report.tests.push((program.clone(), test.trim().to_owned(), outcome.to_owned()));
            }
        }
        report
    }

    fn problem(&self) -> Option<String> {
        let tests = self.tests.iter().filter(|(_, _, outcome)| outcome == "FAILED").count();
        match (self.done, self.failed.is_empty()) {
            (false, _) => Some("the guest ended before its tests did".into()),
            (true, false) => Some(format!("{tests} tests failed, in {}", self.failed.join(", "))),
            (true, true) => None,
        }
    }

    /// What is written down. Programs that were not run this time are as the page `before` has them.
    fn page(&self, before: &str) -> String {
        let mut page = String::from(
            "# The last run in a guest\n\nWritten by `cargo xtask guest`: a Debian guest with systemd and cgroups of version 2 alone. \
             Facts and verdict are of the last run; rows of programs that it did not run are of earlier ones. \
             The guide's installation on several machines is in guide-run.md.\n\n",
        );
        for fact in &self.facts {
            page += &format!("- {fact}\n");
        }
        page += "\n| program | test | |\n|---|---|---|\n";
        let row = |line: &str| -> Option<(String, String, String)> {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let ["", program, test, outcome, ""] = cells[..] else { return None };
            Some((program.to_owned(), test.to_owned(), outcome.to_owned()))
        };
        let here: BTreeSet<&String> = self.tests.iter().map(|(program, ..)| program).collect();
        let old = before.lines().skip_while(|l| !l.starts_with("|---")).skip(1).filter_map(row);
        let mut rows: Vec<_> = old.filter(|(program, ..)| !here.contains(program)).collect();
        rows.extend(self.tests.iter().cloned());
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        for (program, test, outcome) in &rows {
            page += &format!("| {program} | {test} | {outcome} |\n");
        }
        page += &format!("\n{}\n", self.problem().unwrap_or_else(|| "All passed.".into()));
        page
    }
}
