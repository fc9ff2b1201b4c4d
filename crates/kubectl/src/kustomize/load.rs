//! Files and directories of a build: nothing outside of a kustomization's root, no directory inside of itself.

use std::path::{Component, Path, PathBuf};

use super::Res;

/// What may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restriction {
    RootOnly,
    None,
}

/// One kustomization's directory, and those that led to it.
#[derive(Clone, Debug)]
pub struct Loader {
    root: PathBuf,
    visited: Vec<PathBuf>,
    restriction: Restriction,
}

/// Where a link leads, in stock's words where it leads nowhere.
fn resolve(path: &Path) -> Res<PathBuf> {
    let clean = clean(path);
    clean.canonicalize().map_err(|e| {
        let shown = clean.display();
        // The first part that is not there is what lstat was asked for.
        let mut missing = PathBuf::new();
        for part in clean.components() {
            missing.push(part);
            if std::fs::symlink_metadata(&missing).is_err() {
                break;
            }
        }
        let why = match e.raw_os_error() {
            Some(20) => "not a directory".to_owned(),
            _ => crate::error::io("lstat", "", &e)
                .to_string()
                .rsplit(": ")
                .next()
                .unwrap_or_default()
                .to_owned(),
        };
        format!("evalsymlink failure on '{shown}' : lstat {}: {why}", missing.display())
    })
}

/// The path without `.` and `..`.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// Whether the text means something on another machine, or a repository.
pub fn is_remote(path: &str) -> bool {
    let lower = path.to_lowercase();
    let schemes =
        ["https://", "http://", "ssh://", "git::", "git@", "gh:", "file://", "github.com/", "github.com:"];
    schemes.iter().any(|s| lower.starts_with(s))
        || lower.ends_with(".git")
        || lower.contains(".git/")
        || lower.contains("_git/")
}

impl Loader {
    /// The first directory.
    pub fn new(path: &str, restriction: Restriction) -> Res<Self> {
        if is_remote(path) && !Path::new(path).exists() {
            return Err(remote(path));
        }
        let here = std::env::current_dir().map_err(|e| format!("get the working directory: {e}"))?;
        let root = resolve(&here.join(path)).map_err(|why| {
            let why = why.replacen(
                &format!("on '{}'", clean(&here.join(path)).display()),
                &format!("on '{path}'"),
                1,
            );
            format!("must build at directory: not a valid directory: {why}")
        })?;
        if !root.is_dir() {
            return Err(format!("must build at directory: '{path}': file is not directory"));
        }
        Ok(Loader { root, visited: Vec::new(), restriction })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A directory that a kustomization names.
    pub fn enter(&self, path: &str) -> Res<Self> {
        if path.is_empty() {
            return Err("new root cannot be empty".into());
        }
        if is_remote(path) {
            return Err(remote(path));
        }
        if Path::new(path).is_absolute() {
            return Err(format!("new root '{path}' cannot be absolute"));
        }
        let full = self.root.join(path);
        let root =
            resolve(&full).map_err(|why| format!("must build at directory: not a valid directory: {why}"))?;
        if !root.is_dir() {
            return Err(format!(
                "must build at directory: '{}': file is not directory",
                clean(&full).display()
            ));
        }
        let mut visited = self.visited.clone();
        visited.push(self.root.clone());
        if let Some(seen) = visited.iter().find(|seen| seen.starts_with(&root)) {
            return Err(format!(
                "cycle detected: candidate root '{}' contains visited root '{}'",
                root.display(),
                seen.display()
            ));
        }
        Ok(Loader { root, visited, restriction: self.restriction })
    }

    /// A file that a kustomization names.
    pub fn read(&self, path: &str) -> Res<Vec<u8>> {
        let full = self.root.join(path);
        let real = resolve(&full)?;
        if real.is_dir() {
            return Err(format!("'{}' must resolve to a file", clean(&full).display()));
        }
        if self.restriction == Restriction::RootOnly && !real.starts_with(&self.root) {
            return Err(format!(
                "security; file '{}' is not in or below '{}'",
                real.display(),
                self.root.display()
            ));
        }
        std::fs::read(&real)
            .map_err(|e| crate::error::io("open", &real.display().to_string(), &e).to_string())
    }

    pub fn text(&self, path: &str) -> Res<String> {
        String::from_utf8(self.read(path)?).map_err(|_| format!("{path}: invalid UTF-8"))
    }
}

fn remote(path: &str) -> String {
    format!(
        "'{path}' is not on this machine: fetch it first (git clone), and name the directory; kubectl here runs no git for it"
    )
}
