//! `cargo xtask guest --guide`: the guide's own installation, as it has it: packages on centos-master and centos-minion, the files
//! of /etc/kubernetes, the loops that start the units, the walkthrough; then what happens to such machines: restarts, reboots, an
//! upgrade, removal. Start at [`run`]; the steps are in guide/steps.rs.
//!
//! Each machine is a Debian guest with systemd and a disk of its own. One network joins them and leads nowhere else.

mod machine;
mod steps;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::guest::{disk, text};
use crate::{dist, images, sh};
use machine::{AGENT, Machine, Plan};

/// How it runs, from `guest`'s flags.
pub struct Settings<'a> {
    pub accelerator: &'a str,
    pub binary: PathBuf,
    /// With vmlinuz, initrd.img, root.img.
    pub images: &'a Path,
    pub minions: usize,
}

/// The guide's machines; more minions than its one are ours.
const NAMES: &[(&str, u8)] =
    &[("centos-master", 30), ("centos-minion", 31), ("centos-minion-2", 32), ("centos-minion-3", 33)];

pub fn run(settings: &Settings<'_>) -> Result<()> {
    if settings.minions == 0 || settings.minions >= NAMES.len() {
        bail!("--minions takes 1 to {}", NAMES.len() - 1);
    }
    let dir = settings.images.join("guide");
    fs::create_dir_all(&dir)?;
    let work = work_image(&dir, &settings.binary)?;
    let patience = if settings.accelerator == "kvm" { 1 } else { 10 };
    let network = free_port()?;
    let mut machines = Vec::new();
    for (name, host) in &NAMES[..=settings.minions] {
        machines.push(Machine::start(&Plan {
            name,
            host: *host,
            megabytes: 2048,
            processors: 2,
            accelerator: settings.accelerator,
            network,
            images: settings.images,
            work: &work,
            dir: &dir,
        })?);
    }
    let mut test = Test { machines, patience, done: Vec::new() };
    let ended = steps::all(&mut test);
    let page = test.page(settings, ended.as_ref().err());
    fs::write(sh::root().join("docs/guide-run.md"), &page)?;
    eprint!("{page}");
    drop(test);
    fs::remove_file(&work)?;
    ended
}

/// A UDP port that nobody uses now.
fn free_port() -> Result<u16> {
    Ok(std::net::UdpSocket::bind("127.0.0.1:0").context("find a free port")?.local_addr()?.port())
}

/// The packages as a repository, with Debian's etcd; the images, the guide's files; and what runs the commands.
fn work_image(dir: &Path, binary: &Path) -> Result<PathBuf> {
    let (work, image) = (dir.join("work"), dir.join("work.img"));
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    for part in ["repo", "images", "guide"] {
        fs::create_dir_all(work.join(part))?;
    }
    dist::install_tools(&[("dpkg-scanpackages", "dpkg-dev")])?;
    dist::package(binary, &dir.join("packages"))?;
    for file in fs::read_dir(dir.join("packages"))? {
        let path = file?.path();
        if path.extension().is_some_and(|e| e == "deb") {
            fs::copy(&path, work.join("repo").join(path.file_name().unwrap_or_default()))?;
        }
    }
    let repository = text(&work.join("repo"));
    sh::run("sh", &["-c", "cd \"$0\" && apt-get download -qq etcd-server", &repository])?;
    sh::run("sh", &["-c", "cd \"$0\" && dpkg-scanpackages --multiversion . > Packages", &repository])?;
    images::build("target/images".as_ref())?;
    sh::run("sh", &["-c", "cp target/images/*.tar \"$0\"", &text(&work.join("images"))])?;
    sh::run("sh", &["-c", "cp tests/guide/* \"$0\"", &text(&work.join("guide"))])?;
    fs::write(work.join("run"), AGENT)?;
    fs::set_permissions(work.join("run"), fs::Permissions::from_mode(0o755))?;
    disk(&work, &image, "1G")?;
    fs::remove_dir_all(&work)?;
    fs::remove_dir_all(dir.join("packages"))?;
    Ok(image)
}

/// The machines, and what was done with them.
pub struct Test {
    machines: Vec<Machine>,
    /// How many times slower than a real machine it may be.
    patience: u64,
    /// Where, what; each went well.
    done: Vec<(String, String)>,
}

pub const MASTER: usize = 0;

impl Test {
    pub fn minions(&self) -> std::ops::Range<usize> {
        1..self.machines.len()
    }

    pub fn everywhere(&self) -> std::ops::Range<usize> {
        0..self.machines.len()
    }

    pub fn name(&self, machine: usize) -> &'static str {
        self.machines[machine].name
    }

    fn most(&self, seconds: u64) -> Duration {
        Duration::from_secs(seconds * self.patience)
    }

    pub fn boot(&mut self) -> Result<()> {
        let most = self.most(120);
        self.machines.iter_mut().try_for_each(|machine| machine.up(most))
    }

    /// Runs a script on a machine, whose failure is the test's; what it said.
    pub fn run(&mut self, machine: usize, script: &str) -> Result<String> {
        let most = self.most(180);
        let machine = &mut self.machines[machine];
        eprintln!("[{}] {}", machine.name, script.trim().replace('\n', "\n    "));
        let (code, said) = machine.run(script, most)?;
        eprint!("{said}");
        if code != 0 {
            bail!("on {}: `{}` ended with {code}:\n{said}", machine.name, script.trim());
        }
        Ok(said)
    }

    /// Runs a script again and again until it succeeds; what it said then. Waiting is the guest's, whose clock it is.
    pub fn until(&mut self, machine: usize, seconds: u64, script: &str) -> Result<String> {
        let tries = seconds * self.patience;
        let whole = format!(
            "try() {{\n{script}\n}}\nend=$((SECONDS + {tries}))\n\
             while ! said=$(try 2>&1); do\n    [ $SECONDS -lt $end ] || {{ echo \"not in {tries} s: $said\"; exit 1; }}\n    sleep 1\ndone\necho \"$said\""
        );
        let most = self.most(seconds + 120);
        let machine = &mut self.machines[machine];
        eprintln!("[{}] until: {}", machine.name, script.trim());
        let (code, said) = machine.run(&whole, most)?;
        eprint!("{said}");
        if code != 0 {
            bail!("on {}: `{}`: {said}", machine.name, script.trim());
        }
        Ok(said)
    }

    pub fn reboot(&mut self, machine: usize) -> Result<()> {
        let most = self.most(180);
        eprintln!("[{}] reboot", self.machines[machine].name);
        self.machines[machine].reboot(most)
    }

    /// Notes a step that went well.
    pub fn ok(&mut self, machine: &str, what: &str) {
        eprintln!("guide: {machine}: {what}: ok");
        self.done.push((machine.to_owned(), what.to_owned()));
    }

    fn page(&self, settings: &Settings<'_>, failed: Option<&anyhow::Error>) -> String {
        let date = sh::output("date", &["-u", "+%F %R"]).unwrap_or_default();
        let commit = sh::output("git", &["log", "-1", "--format=%h"]).unwrap_or_default();
        let mut page = format!(
            "# The last run of the guide's installation\n\nWritten by `cargo xtask guest --guide --minions {}`: Debian guests with systemd and \
             disks of their own, joined by one network that leads nowhere else.\n\n\
             - {} UTC, above commit {}\n- accelerator {}\n\n| machine | step | |\n|---|---|---|\n",
            settings.minions,
            date.trim(),
            commit.trim(),
            settings.accelerator,
        );
        for (machine, what) in &self.done {
            page += &format!("| {machine} | {what} | ok |\n");
        }
        page += &match failed {
            None => "\nAll passed.\n".to_owned(),
            Some(error) => format!("\nFailed: {}\n", format!("{error:#}").lines().next().unwrap_or_default()),
        };
        page
    }
}
