//! A package's files, laid out as they will lie on the machine.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::packages::{File, From, Package};
use super::{Release, licences, text};
use crate::sh;

/// What is made once for all packages.
pub struct Contents {
    program: PathBuf,
    completion: PathBuf,
    manual: PathBuf,
    licences: PathBuf,
}

impl Contents {
    pub fn collect(program: &Path, work: &Path, release: &Release) -> Result<Contents> {
        let contents = Contents {
            program: program.to_owned(),
            completion: work.join("completion"),
            manual: work.join("knarr.1.gz"),
            licences: work.join("licences.txt.gz"),
        };
        fs::write(&contents.completion, sh::output(&text(program), &["completion", "bash"])?)?;
        fs::copy("packaging/knarr.1", work.join("knarr.1"))?;
        fs::write(work.join("licences.txt"), licences::all(release)?)?;
        for plain in ["knarr.1", "licences.txt"] {
            compress(&work.join(plain))?;
        }
        Ok(contents)
    }

    fn source(&self, file: &File) -> PathBuf {
        match file.from {
            From::Packaging(name) => Path::new("packaging").join(name),
            From::Tree(name) => name.into(),
            From::Program => self.program.clone(),
            From::Completion => self.completion.clone(),
            From::Manual => self.manual.clone(),
            From::Licences => self.licences.clone(),
        }
    }
}

/// Leaves `FILE.gz` in its place; the same bytes for the same file.
pub fn compress(file: &Path) -> Result<()> {
    sh::run("gzip", &["-9nf", &text(file)])
}

/// Writes a package's files and links into `tree`.
pub fn lay_out(package: &Package, contents: &Contents, tree: &Path) -> Result<()> {
    fs::create_dir_all(tree)?;
    for file in package.files {
        let (from, to) = (contents.source(file), tree.join(file.to));
        parents(&to)?;
        fs::copy(&from, &to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(file.mode))?;
    }
    for (link, target) in package.links {
        let link = tree.join(link);
        parents(&link)?;
        symlink(target, &link).with_context(|| format!("link {}", link.display()))?;
    }
    Ok(())
}

pub fn parents(file: &Path) -> Result<()> {
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    }
    Ok(())
}

/// The script of packaging/scripts with what they share.
pub fn script(package: &Package) -> Result<String> {
    let read = |name: &str| {
        let path = Path::new("packaging/scripts").join(name);
        fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    };
    Ok(format!("{}\n{}", read("common.sh")?, read(&format!("{}.sh", package.name))?))
}
