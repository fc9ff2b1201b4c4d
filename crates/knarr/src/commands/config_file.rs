//! `/etc/knarr/config.yaml`: flags of `knarr server` and `knarr agent`, under their names. The command line counts more.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Command;
use serde_json::Value;

use crate::components::nearest::suggestion;

/// Read where no --config names another.
pub const DEFAULT: &str = "/etc/knarr/config.yaml";

/// The arguments with those of the file added. `usual`: [`DEFAULT`], outside of tests.
pub fn expand(args: Vec<OsString>, command: &Command, usual: &Path) -> Result<Vec<OsString>> {
    let named = args.get(1).and_then(|a| a.to_str()).filter(|a| matches!(*a, "server" | "agent"));
    let Some(name) = named.map(str::to_owned) else { return Ok(args) };
    let Some(command) = command.find_subcommand(&name) else { return Ok(args) };
    let (mut args, named) = take_config(args)?;
    let path = named.as_deref().unwrap_or(usual);
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && named.is_none() => return Ok(args),
        Err(e) => return Err(e).with_context(|| format!("read {}", path.display())),
    };
    let values: serde_json::Map<String, Value> = serde_saphyr::from_str(&text).with_context(|| {
        format!("{} is no map of flags and values, such as `node-name: n1`", path.display())
    })?;
    let given: Vec<String> = args.iter().skip(2).filter_map(|a| flag(a.to_str()?)).collect();
    for (key, value) in values {
        let key = key.trim_start_matches("--").to_owned();
        let Some(arg) = command.get_arguments().find(|a| a.get_long() == Some(&key)) else {
            bail!(
                "{}: `knarr {name}` has no flag {key:?}{}",
                path.display(),
                suggestion(&key, command.get_arguments().filter_map(|a| a.get_long()))
            );
        };
        if given.contains(&key) {
            continue;
        }
        let switch = !arg.get_action().takes_values();
        add(&mut args, &key, &value, switch).with_context(|| format!("{}: {key}", path.display()))?;
    }
    Ok(args)
}

/// `--config FILE` or `--config=FILE`, which clap does not see.
fn take_config(args: Vec<OsString>) -> Result<(Vec<OsString>, Option<PathBuf>)> {
    let mut rest = Vec::new();
    let mut named = None;
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--config") => named = Some(args.next().context("--config needs a file")?.into()),
            Some(text) if text.starts_with("--config=") => {
                named = Some(PathBuf::from(&text["--config=".len()..]))
            }
            _ => rest.push(arg),
        }
    }
    Ok((rest, named))
}

fn flag(word: &str) -> Option<String> {
    let name = word.strip_prefix("--")?;
    Some(name.split('=').next().unwrap_or(name).to_owned())
}

fn add(args: &mut Vec<OsString>, key: &str, value: &Value, switch: bool) -> Result<()> {
    let text = |value: &Value| match value {
        Value::String(s) => Ok(s.clone()),
        Value::Number(n) => Ok(n.to_string()),
        Value::Bool(b) => Ok(b.to_string()),
        _ => bail!("a text, a number, true, false, or a list of those is due here"),
    };
    match value {
        Value::Bool(true) if switch => args.push(format!("--{key}").into()),
        Value::Bool(false) if switch => {}
        _ if switch => bail!("true or false is due here"),
        Value::Array(values) => {
            for value in values {
                args.push(format!("--{key}={}", text(value)?).into());
            }
        }
        value => args.push(format!("--{key}={}", text(value)?).into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        let flag = |name: &'static str| clap::Arg::new(name).long(name);
        Command::new("knarr").subcommand(
            Command::new("server")
                .arg(flag("node-name"))
                .arg(flag("cluster-cidr"))
                .arg(flag("disable-dns").action(clap::ArgAction::SetTrue)),
        )
    }

    #[track_caller]
    fn check(file: &str, words: &str, expected: &str) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.yaml");
        std::fs::write(&path, file).expect("write");
        let args = words.split(' ').map(OsString::from).collect();
        let said = match expand(args, &command(), &path) {
            Ok(args) => args.iter().map(|a| a.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" "),
            Err(error) => format!("{error:#}").replace(&path.display().to_string(), "FILE"),
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn flags_come_from_the_file_unless_given() {
        check("node-name: n1\ndisable-dns: true", "k server", "k server --disable-dns --node-name=n1");
        check("node-name: n1", "k server --node-name=n2", "k server --node-name=n2");
        check("node-name: n1", "k server --node-name n2", "k server --node-name n2");
        check("cluster-cidr: [a, b]", "k server", "k server --cluster-cidr=a --cluster-cidr=b");
        check("node-name: n1", "k ps", "k ps");
    }

    #[test]
    fn what_no_flag_is_called_is_an_error() {
        check(
            "node_name: n1",
            "k server",
            "FILE: `knarr server` has no flag \"node_name\"; did you mean node-name?",
        );
        check("frobnicate: n1", "k server", "FILE: `knarr server` has no flag \"frobnicate\"");
        check("disable-dns: maybe", "k server", "FILE: disable-dns: true or false is due here");
        check("k server", "k server --config", "--config needs a file");
    }
}
