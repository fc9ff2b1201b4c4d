//! `knarr service`: the systemd unit of this machine's server or agent.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use anyhow::{Context, Result, bail};

use crate::commands::config_file::DEFAULT as CONFIG;

const UNITS: &str = "/etc/systemd/system";

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Write the unit, and start it now and at every boot
    Install {
        #[command(flatten)]
        options: Options,
        /// What follows `knarr`: `server` or `agent`, with its flags. Secrets belong into /etc/knarr/config.yaml instead
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    /// Stop the unit and remove it. Containers and data stay: `knarr reset` removes those
    Uninstall {
        #[command(flatten)]
        options: Options,
    },
}

#[derive(clap::Args)]
struct Options {
    /// The unit's name
    #[arg(long, default_value = "knarr")]
    name: String,
    /// Where units are kept
    #[arg(long, value_name = "DIR", default_value = UNITS, hide = true)]
    unit_dir: PathBuf,
    /// Write or remove the file only; systemd is told nothing
    #[arg(long)]
    no_start: bool,
}

pub fn run(args: &Args) -> Result<()> {
    match &args.command {
        Command::Install { options, command } => install(options, command),
        Command::Uninstall { options } => uninstall(options),
    }
}

fn install(options: &Options, command: &[String]) -> Result<()> {
    let program = std::env::current_exe().context("find this program's file")?;
    let path = options.file()?;
    let text = unit(&program, command)?;
    if !options.no_start && !Path::new("/run/systemd/system").exists() {
        bail!("this machine does not run systemd; --no-start only writes the unit");
    }
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    println!("wrote {}", path.display());
    if options.no_start {
        return Ok(());
    }
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", "--now", &options.name]).with_context(|| {
        format!(
            "start it; `journalctl -u {}` says what went wrong, `knarr service uninstall` takes it back",
            options.name
        )
    })?;
    println!("{} runs, and will at every boot\n\n  systemctl status {0}\n  journalctl -fu {0}", options.name);
    Ok(())
}

fn uninstall(options: &Options) -> Result<()> {
    let path = options.file()?;
    if !path.exists() {
        bail!("there is no {}", path.display());
    }
    if !options.no_start {
        systemctl(&["disable", "--now", &options.name])?;
    }
    fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
    if !options.no_start {
        systemctl(&["daemon-reload"])?;
    }
    println!("removed {}; containers and data are still there (`knarr reset` removes them)", path.display());
    Ok(())
}

impl Options {
    fn file(&self) -> Result<PathBuf> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.is_empty() || !self.name.chars().all(plain) {
            bail!("--name {:?}: letters, digits, '-', '_' and '.' only", self.name);
        }
        Ok(self.unit_dir.join(format!("{}.service", self.name)))
    }
}

/// The unit's text. Containers outlive the process, so systemd must not kill its whole group.
fn unit(program: &Path, command: &[String]) -> Result<String> {
    let what = match command.first().map(String::as_str) {
        Some("server") => "server",
        Some("agent") => "agent",
        _ => bail!("say `knarr service install server …` or `knarr service install agent …`"),
    };
    if command.iter().any(|w| w == "--token" || w.starts_with("--token=")) {
        bail!(
            "a unit can be read by everybody, so no token in it: write `token: …` into {CONFIG} (mode 0600), or use --token-file"
        );
    }
    let program = program.to_str().context("this program's path is no UTF-8")?;
    let words: Vec<String> = std::iter::once(program)
        .chain(command.iter().map(String::as_str))
        .map(quoted)
        .collect::<Result<_>>()?;
    Ok(format!(
        "[Unit]\n\
         Description=Knarr {what} (Kubernetes)\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         \n\
         [Service]\n\
         Type=notify\n\
         ExecStart={}\n\
         Restart=always\n\
         RestartSec=5s\n\
         # Containers belong to their shims, not to this process.\n\
         KillMode=process\n\
         Delegate=yes\n\
         LimitNOFILE=1048576\n\
         LimitNPROC=infinity\n\
         TasksMax=infinity\n\
         OOMScoreAdjust=-999\n\
         TimeoutStartSec=0\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        words.join(" ")
    ))
}

/// A word as systemd.service(5) reads it back.
fn quoted(word: &str) -> Result<String> {
    if word.chars().any(|c| c.is_control()) {
        bail!("{word:?} holds a control character");
    }
    let text = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@<>+".contains(c);
    Ok(if !text.is_empty() && text.chars().all(plain) { text } else { format!("\"{text}\"") })
}

fn systemctl(args: &[&str]) -> Result<()> {
    let status = Process::new("systemctl").args(args).status().context("run systemctl")?;
    if !status.success() {
        bail!("`systemctl {}` failed", args.join(" "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn units_start_what_was_asked_for() {
        let start = |command: &[String]| {
            let text = unit(Path::new("/usr/bin/knarr"), command).expect("a unit");
            text.lines().find_map(|l| l.strip_prefix("ExecStart=").map(str::to_owned)).expect("ExecStart")
        };
        assert_eq!(start(&words("server --node-name n1")), "/usr/bin/knarr server --node-name n1");
        let odd = ["agent", "a b", "50%", "$HOME", "q\"q"].map(str::to_owned);
        assert_eq!(start(&odd), r#"/usr/bin/knarr agent "a b" "50%%" "$$HOME" "q\"q""#);
    }

    #[test]
    fn units_hold_no_secrets_and_nothing_else() {
        for bad in ["ps", "agent --token x", "server --token=x"] {
            assert!(unit(Path::new("/k"), &words(bad)).is_err(), "{bad}");
        }
        assert!(quoted("a\nb").is_err());
        let options = Options { name: "../x".into(), unit_dir: "/".into(), no_start: true };
        assert!(options.file().is_err());
    }
}
