//! `knarr token`: the tokens with which machines join.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::token::Token;
use cluster::token::manage::{self, Row, Wanted};

use crate::commands::ps;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a token and print it
    Create {
        /// A token of your own: 6 characters, a dot, 16 characters, of a-z and 0-9 [default: made by chance]
        token: Option<String>,
        /// For how long it is good, such as 30m, 24h or 1h30m; 0 for ever
        #[arg(long, default_value = "24h")]
        ttl: String,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
        /// Print the command to run on the machine that is to join
        #[arg(long)]
        print_join_command: bool,
        #[command(flatten)]
        cluster: Cluster,
    },
    /// List tokens
    #[command(visible_alias = "list")]
    Ls {
        #[command(flatten)]
        cluster: Cluster,
    },
    /// Remove tokens: nobody joins with them any more. Nodes that have joined stay
    #[command(visible_alias = "delete")]
    Rm {
        /// Their ids, or whole tokens
        #[arg(required = true)]
        tokens: Vec<String>,
        #[command(flatten)]
        cluster: Cluster,
    },
}

/// Which cluster, as whom.
#[derive(clap::Args)]
struct Cluster {
    /// The administrator's kubeconfig
    #[arg(long, value_name = "FILE", default_value = "/etc/knarr/kubeconfig", env = "KUBECONFIG")]
    kubeconfig: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    match &args.command {
        Command::Create { token, ttl, description, print_join_command, cluster } => {
            let wanted = Wanted {
                ttl: duration(ttl)?,
                description: description.clone(),
                token: token.as_deref().map(Token::parse).transpose()?,
            };
            let (token, server) = manage::with(&cluster.kubeconfig, async |tokens| {
                Ok((tokens.create(wanted).await?, tokens.server().await?))
            })?;
            match print_join_command {
                true => println!("knarr agent --server {server} --token {}", token.text()),
                false => println!("{}", token.text()),
            }
        }
        Command::Ls { cluster } => {
            let rows = manage::with(&cluster.kubeconfig, async |tokens| tokens.list().await)?;
            let head =
                ["TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS"].map(str::to_owned);
            let lines: Vec<_> = std::iter::once(head).chain(rows.iter().map(line)).collect();
            ps::print(&lines);
        }
        Command::Rm { tokens: named, cluster } => {
            manage::with(&cluster.kubeconfig, async |tokens| {
                for token in named {
                    tokens.remove(token).await?;
                    println!("token removed");
                }
                Ok(())
            })?;
        }
    }
    Ok(())
}

fn line(row: &Row) -> [String; 6] {
    let (ttl, expires) = match row.expires {
        None => ("<forever>".into(), "<never>".into()),
        Some(end) => {
            let left = end.duration_since(stdx::SystemClock::shared().now());
            let ttl = if left.is_positive() { short(left.unsigned_abs()) } else { "<expired>".into() };
            (ttl, end.to_string())
        }
    };
    let or_none = |text: &str| if text.is_empty() { "<none>".to_owned() } else { text.to_owned() };
    [
        row.token.text(),
        ttl,
        expires,
        row.usages.join(","),
        or_none(&row.description),
        or_none(&row.extra_groups),
    ]
}

/// `23h`, `5m`: the largest unit that fits.
fn short(left: Duration) -> String {
    match left.as_secs() {
        s if s >= 3600 => format!("{}h", s / 3600),
        s if s >= 60 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// As Go writes durations: `24h`, `1h30m`, `90s`; `0`: for ever.
fn duration(text: &str) -> Result<Option<Duration>> {
    let bad = || format!("--ttl {text:?}: write 24h, 30m, 1h30m, or 0 for ever");
    if text == "0" {
        return Ok(None);
    }
    let mut rest = text;
    let mut seconds = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).with_context(bad)?;
        let number: u64 = rest[..digits].parse().with_context(bad)?;
        let unit = rest[digits..].chars().next().with_context(bad)?;
        let each = match unit {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => anyhow::bail!(bad()),
        };
        seconds = number.checked_mul(each).and_then(|n| seconds.checked_add(n)).with_context(bad)?;
        rest = &rest[digits + 1..];
    }
    if text.is_empty() || seconds > 100 * 366 * 24 * 3600 {
        anyhow::bail!(bad());
    }
    Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let seconds = |text: &str| duration(text).ok().map(|d| d.map_or(0, |d| d.as_secs()));
        assert_eq!(seconds("24h"), Some(86400));
        assert_eq!(seconds("1h30m"), Some(5400));
        assert_eq!((seconds("0"), seconds("0s"), seconds("90s")), (Some(0), Some(0), Some(90)));
        for bad in ["", "h", "24", "1d", "-1h", "1.5h", "99999999999h", "é"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
