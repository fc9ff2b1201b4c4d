//! `knarr cert`: this machine's certificates.

use anyhow::Result;
use cluster::certificates::{self, Found};

use crate::commands::node::{Node, absolute};
use crate::commands::ps;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show every certificate of this machine's server or agent, and when it ends. Fails when one has ended
    Check {
        #[command(flatten)]
        node: Node,
    },
    /// Have all certificates issued anew (not the CA, nor the key of service-account tokens) at the next start
    Rotate {
        #[command(flatten)]
        node: Node,
    },
}

pub fn run(args: &Args) -> Result<()> {
    match &args.command {
        Command::Check { node } => check(node),
        Command::Rotate { node } => {
            for name in certificates::rotate(&absolute(&node.data_dir))? {
                println!("{name} will be issued anew");
            }
            println!("\nRestart the server (or the agent) now. Containers keep running.");
            Ok(())
        }
    }
}

fn check(node: &Node) -> Result<()> {
    let found = certificates::check(&absolute(&node.data_dir))?;
    let head = ["CERTIFICATE", "SUBJECT", "EXPIRES", "STATE"].map(str::to_owned);
    let line = |f: &Found| [f.name.clone(), f.subject.clone(), f.until.to_string(), f.state().to_owned()];
    let lines: Vec<_> = std::iter::once(head).chain(found.iter().map(line)).collect();
    ps::print(&lines);
    let bad = found.iter().filter(|f| !f.is_good()).count();
    if bad > 0 {
        anyhow::bail!("{bad} of {} are not good today; a start of the server issues them anew", found.len());
    }
    Ok(())
}
