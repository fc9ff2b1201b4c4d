//! Red Hat's format, by rpmbuild from a generated spec.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::packages::{Need, Package};
use super::{HOMEPAGE, MAINTAINER, REVISION, Release, stage, text};
use crate::sh;

/// Which of the package's functions RPM's scripts call when: `$1` says how many versions there will be. RPM purges nothing.
const SCRIPTS: &[(&str, &str)] = &[
    ("%post", "if [ \"$1\" = 1 ]; then installed; else upgraded; fi"),
    ("%preun", "if [ \"$1\" = 0 ]; then removing; fi"),
    ("%postun", "if [ \"$1\" = 0 ]; then removed; fi"),
];

/// Writes `NAME-VERSION-REVISION.ARCHITECTURE.rpm` into `out`.
pub fn build(package: &Package, release: &Release, tree: &Path, work: &Path, out: &Path) -> Result<()> {
    let spec = work.join(format!("{}.spec", package.name));
    fs::write(&spec, spec_file(package, release, tree)?)?;
    let (top, root) = (work.join("rpmbuild"), std::path::absolute(out)?);
    let define = |name: &str, value: &str| format!("--define={name} {value}");
    let payload = if release.quick { "w1.gzdio" } else { "w19.zstdio" };
    let defines = [
        define("_topdir", &text(&std::path::absolute(&top)?)),
        define("_rpmdir", &text(&root)),
        define("_rpmfilename", "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm"),
        define("_binary_payload", payload),
        define("_buildhost", "localhost"),
        define("_build_id_links", "none"),
        define("use_source_date_epoch_as_buildtime", "1"),
        define("clamp_mtime_to_source_date_epoch", "1"),
        define("debug_package", "%{nil}"),
        define("__os_install_post", "%{nil}"),
    ];
    let mut args = vec!["-bb", "--quiet", "--target=x86_64"];
    args.extend(defines.iter().map(String::as_str));
    let spec = text(&spec);
    args.push(&spec);
    sh::run_with("rpmbuild", &args, &[("SOURCE_DATE_EPOCH", &release.time)])
}

fn spec_file(package: &Package, release: &Release, tree: &Path) -> Result<String> {
    let version = format!("{}-{REVISION}", release.version);
    let mut spec = format!(
        "Name: {}\nVersion: {}\nRelease: {REVISION}\nSummary: {}\nLicense: Apache-2.0\nURL: {HOMEPAGE}\nPackager: {MAINTAINER}\n\
         AutoReqProv: no\n",
        package.name, release.version, package.summary
    );
    if !package.of_machine {
        spec += "BuildArch: noarch\n";
    }
    let line = |field: &str, needs: &[Need]| -> String {
        needs.iter().map(|n| format!("{field}: {}\n", n.rpm.replace("{version}", &release.version))).collect()
    };
    spec += &line("Requires", package.needs);
    spec += &line("Recommends", package.recommends);
    spec += &package.conflicts.iter().map(|c| format!("Conflicts: {c}\n")).collect::<String>();
    // Conflicts do not hold against what a package itself provides.
    spec += &package.provides.iter().map(|p| format!("Provides: {p} = {version}\n")).collect::<String>();
    spec += &format!("\n%description\n{}\n\n", package.description);
    let tree = std::path::absolute(tree).context("where are we?")?;
    spec += &format!("%install\nmkdir -p %{{buildroot}}\ncp -a '{}/.' %{{buildroot}}\n\n", tree.display());
    if package.script {
        let body = stage::script(package)?;
        for (name, when) in SCRIPTS {
            // A percent sign is rpmbuild's own.
            spec += &format!("{name}\n{}\n{when}\n\n", body.replace('%', "%%"));
        }
    }
    spec += "%files\n%defattr(-,root,root,-)\n";
    for file in package.files {
        let kind = match file.to {
            to if to.starts_with("etc/") => "%config(noreplace) ",
            to if to.starts_with("usr/share/doc/") => "%doc ",
            _ => "",
        };
        spec += &format!("{kind}/{}\n", file.to);
    }
    for (link, _) in package.links {
        spec += &format!("/{link}\n");
    }
    let date = sh::output("date", &["-u", "+%a %b %d %Y", "-d", &format!("@{}", release.time)])?;
    spec += &format!(
        "\n%changelog\n* {} {MAINTAINER} - {version}\n- See CHANGELOG.md of the sources.\n",
        date.trim()
    );
    Ok(spec)
}
