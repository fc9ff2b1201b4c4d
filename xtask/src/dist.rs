//! `cargo xtask dist`: the static binary, and `.deb` and `.rpm` packages of it. Start at [`run`]; what is in which package is the
//! table in `dist/packages.rs`, files come from packaging/.
//!
//! `dpkg-deb` and `rpmbuild` write the formats. The same tree gives the same bytes: every time is that of the last commit.

mod check;
mod deb;
mod licences;
mod packages;
mod rpm;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::sh;

#[derive(clap::Args)]
pub struct Args {
    /// The profile to build with: `release` is quicker, and larger
    #[arg(long, default_value = "dist")]
    profile: String,
    /// Package this binary instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Compress little: for tests
    #[arg(long)]
    quick: bool,
    /// Afterwards install, upgrade, remove and purge them in a copy of this system, and ask lintian and rpmlint
    #[arg(long)]
    check: bool,
    /// Where the packages go
    #[arg(long, value_name = "DIR", default_value = "target/dist")]
    out: PathBuf,
}

/// What every package is of.
pub struct Release {
    /// Kubernetes' version and ours: packages of the distribution with the same names are older.
    pub version: String,
    /// Of the last commit, in seconds.
    pub time: String,
    pub quick: bool,
}

/// The packages' revision, of the files in packaging/ rather than of the program.
pub const REVISION: &str = "1";
/// As RFC 5322 wants it.
pub const MAINTAINER: &str = "Knarr's authors <knarr@knarr.invalid>";
pub const HOMEPAGE: &str = "https://knarr.invalid/knarr";

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Bytes that a shipped binary may have.
const SIZE_MAX: u64 = 40_000_000;

pub fn run(args: &Args) -> Result<()> {
    let binary = match &args.binary {
        Some(given) => given.clone(),
        None => build(&args.profile)?,
    };
    let release = release(&binary, args.quick)?;
    let program = make(&binary, &release, &args.out)?;
    if args.binary.is_none() && args.profile == "dist" {
        shippable(&program)?;
    }
    show(&args.out)?;
    if args.check {
        check::run(&args.out, &release)?;
        check::lint(&args.out, program.is_static)?;
    }
    Ok(())
}

/// Packages of a binary for tests: little compressed, and whatever it is linked with.
pub fn package(binary: &Path, out: &Path) -> Result<()> {
    make(binary, &release(binary, true)?, out).map(drop)
}

/// For `cargo xtask test`: the packages of a binary, installed and removed.
pub fn test(binary: &Path) -> Result<()> {
    let out = Path::new("target/packages");
    let release = release(binary, true)?;
    make(binary, &release, out)?;
    check::run(out, &release)?;
    fs::remove_dir_all(out).context("remove the packages")
}

/// What the packages' program is.
struct Program {
    bytes: u64,
    is_static: bool,
}

fn shippable(program: &Program) -> Result<()> {
    if program.bytes > SIZE_MAX || !program.is_static {
        bail!("what is shipped must be static and smaller than {} MB", SIZE_MAX / 1_000_000);
    }
    Ok(())
}

/// Writes all packages into `out`, and nothing else.
fn make(binary: &Path, release: &Release, out: &Path) -> Result<Program> {
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("remove {}", out.display()))?;
    }
    install_tools(&[("rpmbuild", "rpm"), ("dpkg-deb", "dpkg"), ("objcopy", "binutils")])?;
    let work = out.join("work");
    fs::create_dir_all(&work)?;
    let program = work.join("knarr");
    sh::run("objcopy", &["--strip-all", &text(binary), &text(&program)])?;
    let (bytes, is_static) = (fs::metadata(&program)?.len(), is_static(&program)?);
    let linked = if is_static { "static" } else { "NOT static: it needs a C library like this machine's" };
    eprintln!("knarr: {:.1} MB, {linked}", bytes as f64 / 1e6);
    let contents = stage::Contents::collect(&program, &work, release)?;
    for package in packages::PACKAGES {
        let tree = work.join("trees").join(package.name);
        stage::lay_out(package, &contents, &tree)?;
        deb::build(package, release, &tree, out)?;
        rpm::build(package, release, &tree, &work, out)?;
    }
    fs::remove_dir_all(&work)?;
    Ok(Program { bytes, is_static })
}

/// A static binary: its own C library in it, so that any Linux runs it.
fn build(profile: &str) -> Result<PathBuf> {
    let flags = [("RUSTFLAGS", "-C target-feature=+crt-static")];
    let args = ["build", "-p", "knarr", "--locked", "--profile", profile, "--target", TARGET];
    sh::run_with("cargo", &args, &flags)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(PathBuf::from(target).join(TARGET).join(folder).join("knarr"))
}

/// No dynamic linker is asked for.
fn is_static(program: &Path) -> Result<bool> {
    Ok(!sh::output("readelf", &["--program-headers", &text(program)])?.contains("INTERP"))
}

fn release(binary: &Path, quick: bool) -> Result<Release> {
    let said = sh::output(&text(binary), &["--version"])?;
    let ours = said.split_whitespace().nth(1).with_context(|| format!("no version in {said:?}"))?.to_owned();
    let kubernetes = packages::KUBERNETES;
    // A checkout without its history has no commit to take the time of.
    let time = sh::output("git", &["log", "-1", "--format=%ct"]).unwrap_or_else(|_| "1".into());
    Ok(Release { version: format!("{kubernetes}+knarr{ours}"), time: time.trim().to_owned(), quick })
}

/// Installs Debian packages for programs that are missing.
pub fn install_tools(tools: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> =
        tools.iter().filter(|(program, _)| !sh::exists(program)).map(|(_, p)| *p).collect();
    if missing.is_empty() {
        return Ok(());
    }
    sh::run("apt-get", &["update", "-qq"])?;
    let install = [&["install", "-y", "-qq", "--no-install-recommends"], &missing[..]].concat();
    sh::run_with("apt-get", &install, &[("DEBIAN_FRONTEND", "noninteractive")])
}

fn show(out: &Path) -> Result<()> {
    let mut files: Vec<PathBuf> = fs::read_dir(out)?.map(|e| Ok(e?.path())).collect::<Result<_>>()?;
    files.sort();
    for file in files {
        eprintln!("{:>10.1} kB  {}", fs::metadata(&file)?.len() as f64 / 1e3, file.display());
    }
    Ok(())
}

pub fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
