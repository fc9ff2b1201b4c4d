//! `plugin list`: programs on the PATH whose names begin with `kubectl-`; and running one.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::session::Session;

pub fn list(session: &Session) -> Result<()> {
    let mut found: Vec<PathBuf> = Vec::new();
    for dir in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
        let mut here: Vec<PathBuf> =
            std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
        here.sort();
        here.retain(|p| {
            p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("kubectl-")) && !p.is_dir()
        });
        found.extend(here);
    }
    if found.is_empty() {
        return Err(Error::text("unable to find any kubectl plugins in your PATH"));
    }
    session.println("The following compatible plugins are available:\n")?;
    for path in &found {
        let shown = if session.call.is("name-only") {
            path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
        } else {
            path.display().to_string()
        };
        session.println(&shown)?;
        let executable = std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o111 != 0);
        if !executable {
            eprintln!(
                "  - warning: {} identified as a kubectl plugin, but it is not executable",
                path.display()
            );
        }
    }
    Ok(())
}

/// Becomes the plugin that the first words name, the longest name first; returns when there is none.
pub fn run(words: &[String]) -> Option<Error> {
    let named = words.iter().take_while(|w| !w.starts_with('-')).count();
    for count in (1..=named).rev() {
        let name = format!(
            "kubectl-{}",
            words[..count].iter().map(|w| w.replace('-', "_")).collect::<Vec<_>>().join("-")
        );
        for dir in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
            let path = dir.join(&name);
            if std::fs::metadata(&path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0) {
                let error = std::process::Command::new(&path).args(&words[count..]).exec();
                return Some(Error::text(format!("run {}: {error}", path.display())));
            }
        }
    }
    None
}
