//! `cargo xtask dist --check`: the packages on a copy of this system, which is thrown away, and before those who judge packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::packages::{PACKAGES, Package};
use super::{Release, deb, text};
use crate::sh;

/// Runs on the copy, with the packages in /packages; fails at the first thing that is not as it should be.
const SCRIPT: &str = r#"
set -eu
export DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
say() { echo "== $*"; }
fail() { echo "FAIL: $*" >&2; exit 1; }
ours() { dpkg-query -W -f '${Package} ${Status}\n' 2>/dev/null | grep -E '^(knarr|kubernetes)' || true; }
programs="knarr kubectl kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy docker"
debs() { ls /packages/*.deb; }

say install
dpkg --install $(debs) >/dev/null
for program in $programs; do "/usr/bin/$program" --help >/dev/null || fail "$program --help"; done
getent passwd kube >/dev/null || fail "no user kube"
for file in config apiserver controller-manager scheduler kubelet proxy; do sh -n "/etc/kubernetes/$file"; done
if command -v systemd-analyze >/dev/null; then systemd-analyze verify /usr/lib/systemd/system/kube*.service; fi

say upgrade
echo 'KUBE_LOG_LEVEL="--v=2"' > /etc/kubernetes/config
mkdir -p /var/lib/kubernetes/pki && touch /var/lib/kubernetes/pki/ca.key
dpkg --install $(debs) >/dev/null
grep -q v=2 /etc/kubernetes/config || fail "an upgrade changed a setting"

say remove
names=$(ours | cut -d' ' -f1)
dpkg --remove $names >/dev/null
for program in $programs; do [ ! -e "/usr/bin/$program" ] || fail "$program is left"; done
[ ! -e /usr/lib/systemd/system/kubelet.service ] || fail "a unit is left"
grep -q v=2 /etc/kubernetes/config || fail "settings went with remove"
[ -e /var/lib/kubernetes/pki/ca.key ] || fail "keys went with remove"

say purge
dpkg --purge $names >/dev/null 2>&1
[ -z "$(ours)" ] || fail "left: $(ours)"
for path in /etc/kubernetes /etc/knarr /var/lib/kubernetes /var/lib/kubelet /var/lib/knarr /usr/share/doc/knarr; do
    [ ! -e "$path" ] || fail "$path is left: $(find "$path")"
done

say rpm
rpm --initdb --dbpath /rpmdb
# Debian's own packages are not in its database.
rpm --dbpath /rpmdb --install --nodeps /packages/*.rpm
for program in $programs; do "/usr/bin/$program" --help >/dev/null || fail "$program --help"; done
rpm --dbpath /rpmdb --verify --nodeps $(rpm --dbpath /rpmdb -qa) || fail "what is installed is not what is packaged"
echo 'KUBE_LOG_LEVEL="--v=2"' > /etc/kubernetes/config
rpm --dbpath /rpmdb --erase --nodeps $(rpm --dbpath /rpmdb -qa)
[ -e /etc/kubernetes/config.rpmsave ] || fail "changed settings are not kept"
for program in $programs; do [ ! -e "/usr/bin/$program" ] || fail "$program is left"; done
say done
"#;

pub fn run(out: &Path, release: &Release) -> Result<()> {
    contents(out, release)?;
    installed(out)
}

/// Asks those who know what packages should be like. Not part of the tests: they are slow.
pub fn lint(out: &Path, is_static: bool) -> Result<()> {
    super::install_tools(&[("lintian", "lintian"), ("rpmlint", "rpmlint")])?;
    lintian(out, is_static)?;
    rpmlint(out)
}

/// What is in each package is what the table says, and root's.
fn contents(out: &Path, release: &Release) -> Result<()> {
    for package in PACKAGES {
        let file = out.join(deb::file_name(package, release));
        let listed = sh::output("dpkg-deb", &["--contents", &text(&file)])?;
        for wanted in paths(package) {
            let line = listed
                .lines()
                .find(|l| l.split(" -> ").next().is_some_and(|l| l.ends_with(&format!(" ./{wanted}"))));
            let Some(line) = line else { bail!("{} holds no {wanted}", file.display()) };
            if !line.contains(" root/root ") {
                bail!("{}: {wanted} is not root's: {line}", file.display());
            }
        }
    }
    Ok(())
}

fn paths(package: &Package) -> impl Iterator<Item = &'static str> {
    package.files.iter().map(|f| f.to).chain(package.links.iter().map(|(link, _)| *link))
}

/// Installs and removes them above a copy of this system that only this process sees.
fn installed(out: &Path) -> Result<()> {
    let dir = out.join("check");
    let overlay = format!(
        "set -e\n\
         mount -t tmpfs none '{0}'\n\
         cd '{0}'\n\
         mkdir up work root\n\
         mount -t overlay -o lowerdir=/,upperdir=up,workdir=work none root\n\
         mount --bind /dev root/dev\n\
         mount -t proc proc root/proc\n\
         mkdir root/packages\n\
         mount --bind '{1}' root/packages\n\
         printf '%s' \"$SCRIPT\" | chroot root sh -s\n",
        dir.display(),
        std::path::absolute(out)?.display()
    );
    fs::create_dir_all(&dir)?;
    let status = Command::new("unshare")
        .args(["--mount", "--propagation=private", "sh", "-c", &overlay])
        .env("SCRIPT", SCRIPT)
        .status()
        .context("start unshare")?;
    fs::remove_dir(&dir)?;
    if !status.success() {
        bail!("installing and removing the packages: {status}");
    }
    Ok(())
}

/// Errors and warnings without an override fail.
fn lintian(out: &Path, is_static: bool) -> Result<()> {
    let packages = with_ending(out, "deb")?;
    let mut args = vec!["--allow-root", "--fail-on=error,warning", "--tag-display-limit=0"];
    if !is_static {
        // What is not shipped may use this machine's libraries.
        args.push("--suppress-tags=undeclared-elf-prerequisites");
    }
    args.extend(packages.iter().map(String::as_str));
    sh::run("lintian", &args)
}

/// The same for RPMs, with packaging/rpmlint.toml.
fn rpmlint(out: &Path) -> Result<()> {
    let packages = with_ending(out, "rpm")?;
    let mut args = vec!["--strict", "--config", "packaging/rpmlint.toml"];
    args.extend(packages.iter().map(String::as_str));
    sh::run("rpmlint", &args)
}

fn with_ending(out: &Path, ending: &str) -> Result<Vec<String>> {
    let mut found: Vec<PathBuf> = fs::read_dir(out)?.map(|e| Ok(e?.path())).collect::<Result<_>>()?;
    found.retain(|path| path.extension().is_some_and(|e| e == ending));
    found.sort();
    Ok(found.iter().map(|path| text(path)).collect())
}
