//! Debian's format, by dpkg-deb.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::packages::{Need, Package};
use super::{HOMEPAGE, MAINTAINER, REVISION, Release, stage, text};
use crate::sh;

/// Which of the package's functions Debian's scripts call when (Debian policy, 6.5).
const SCRIPTS: &[(&str, &str)] = &[
    ("postinst", "case \"$1\" in configure) if [ -z \"$2\" ]; then installed; else upgraded; fi ;; esac"),
    ("prerm", "case \"$1\" in remove) removing ;; esac"),
    ("postrm", "case \"$1\" in remove) removed ;; purge) purged ;; esac"),
];

/// Writes [`file_name`] into `out`.
pub fn build(package: &Package, release: &Release, files: &Path, out: &Path) -> Result<()> {
    // Its own copy: Debian wants more in it than others.
    let tree = files.with_extension("deb");
    sh::run("cp", &["-a", &text(files), &text(&tree)])?;
    let doc = tree.join("usr/share/doc").join(package.name);
    fs::create_dir_all(&doc)?;
    fs::write(doc.join("copyright"), copyright())?;
    fs::write(doc.join("changelog.Debian"), changelog(package, release)?)?;
    stage::compress(&doc.join("changelog.Debian"))?;
    let file = tree.join("usr/share/lintian/overrides").join(package.name);
    stage::parents(&file)?;
    fs::write(file, overrides(package)?)?;
    for dir in directories(&tree)? {
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
    }
    let control = tree.join("DEBIAN");
    let sums = checksums(&tree, package)?;
    let size = sh::output("du", &["-sk", "--apparent-size", &text(&tree)])?;
    fs::create_dir_all(&control)?;
    fs::write(control.join("md5sums"), sums)?;
    fs::write(control.join("control"), control_file(package, release, size.split_whitespace().next()))?;
    let settings: String =
        package.files.iter().filter(|f| f.to.starts_with("etc/")).map(|f| format!("/{}\n", f.to)).collect();
    if !settings.is_empty() {
        fs::write(control.join("conffiles"), settings)?;
    }
    if package.script {
        let body = stage::script(package)?;
        for (name, when) in SCRIPTS {
            let file = control.join(name);
            fs::write(&file, format!("#!/bin/sh\nset -e\n\n{body}\n{when}\n"))?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        }
    }
    let target = out.join(file_name(package, release));
    let compression: &[&str] = if release.quick { &["-Zgzip", "-z1"] } else { &["-Zxz"] };
    let (tree, target) = (text(&tree), text(&target));
    let args = [&["--root-owner-group"], compression, &["--build", &tree, &target]].concat();
    sh::run_with("dpkg-deb", &args, &[("SOURCE_DATE_EPOCH", &release.time)])
}

pub fn file_name(package: &Package, release: &Release) -> String {
    format!("{}_{}_{}.deb", package.name, version(release), architecture(package))
}

fn architecture(package: &Package) -> &'static str {
    if package.of_machine { "amd64" } else { "all" }
}

pub fn version(release: &Release) -> String {
    format!("{}-{REVISION}", release.version)
}

fn control_file(package: &Package, release: &Release, kilobytes: Option<&str>) -> String {
    let version = version(release);
    let list = |needs: &[Need]| {
        needs.iter().map(|n| n.deb.replace("{version}", &version)).collect::<Vec<_>>().join(", ")
    };
    let mut control = format!(
        "Package: {}\nVersion: {version}\nArchitecture: {}\nMaintainer: {MAINTAINER}\nInstalled-Size: {}\n",
        package.name,
        architecture(package),
        kilobytes.unwrap_or("0"),
    );
    for (field, value) in [
        ("Depends", list(package.needs)),
        ("Recommends", list(package.recommends)),
        ("Conflicts", package.conflicts.join(", ")),
        ("Replaces", package.conflicts.join(", ")),
        ("Provides", package.provides.join(", ")),
    ] {
        if !value.is_empty() {
            control += &format!("{field}: {value}\n");
        }
    }
    control += &format!("Section: admin\nPriority: optional\nHomepage: {HOMEPAGE}\n");
    control += &format!("Description: {}\n", package.summary);
    for line in package.description.lines() {
        control += &if line.is_empty() { " .\n".to_owned() } else { format!(" {line}\n") };
    }
    control
}

fn copyright() -> String {
    format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Upstream-Name: knarr\nSource: {HOMEPAGE}\n\n\
         Files: *\nCopyright: 2026 Knarr's authors\nLicense: Apache-2.0\n\
         Comment: The licences of the libraries in the program are in /usr/share/doc/knarr/licences.txt.gz\n\n\
         License: Apache-2.0\n On Debian systems, the full text is in /usr/share/common-licenses/Apache-2.0.\n"
    )
}

fn changelog(package: &Package, release: &Release) -> Result<String> {
    let date = sh::output("date", &["-u", "-R", "-d", &format!("@{}", release.time)])?;
    Ok(format!(
        "{} ({}) unstable; urgency=medium\n\n  * See CHANGELOG.md of the sources.\n\n -- {MAINTAINER}  {}\n",
        package.name,
        version(release),
        date.trim()
    ))
}

/// What lintian is not to say of this package, with the reasons: packaging/lintian/all and NAME.
fn overrides(package: &Package) -> Result<String> {
    let dir = Path::new("packaging/lintian");
    let mut said = fs::read_to_string(dir.join("all"))?.replace("PACKAGE", package.name);
    let own = dir.join(package.name);
    if own.exists() {
        said += &fs::read_to_string(own)?;
    }
    Ok(said)
}

/// Of every file but the settings, which are the administrator's.
fn checksums(tree: &Path, package: &Package) -> Result<String> {
    let all = sh::output(
        "sh",
        &[
            "-c",
            "cd \"$0\" && find . -type f ! -path './DEBIAN/*' -printf '%P\\0' | sort -z | xargs -0r md5sum",
            &text(tree),
        ],
    )?;
    let ours = |line: &&str| !package.files.iter().any(|f| f.to.starts_with("etc/") && line.ends_with(f.to));
    Ok(all.lines().filter(ours).map(|line| format!("{line}\n")).collect())
}

fn directories(tree: &Path) -> Result<Vec<PathBuf>> {
    let found = sh::output("find", &[&text(tree), "-type", "d"])?;
    Ok(found.lines().map(PathBuf::from).collect())
}
