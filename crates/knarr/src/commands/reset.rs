//! `knarr reset`

use std::io::{IsTerminal, Write};

use anyhow::{Context, Result, bail};

use crate::commands::node::{Node, absolute};

#[derive(clap::Args)]
pub struct Args {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// End containers, and remove mounts, links and rules; keep objects, certificates and volumes. Images are fetched again
    #[arg(long)]
    keep_data: bool,
    #[command(flatten)]
    node: Node,
}

pub fn run(args: &Args) -> Result<()> {
    if !nix::unistd::Uid::effective().is_root() {
        bail!("`knarr reset` removes namespaces, mounts and links, so it must run as root");
    }
    let data_dir = absolute(&args.node.data_dir);
    if !args.yes {
        let and = if args.keep_data { "" } else { " and deletes all its objects" };
        confirm(&format!(
            "This ends every container of the cluster in {}{and}. Go on? [y/N] ",
            data_dir.display()
        ))?;
    }
    cluster::reset::run(&data_dir, &args.node.run_dir(), args.keep_data)
}

fn confirm(question: &str) -> Result<()> {
    if !std::io::stdin().is_terminal() {
        bail!("`knarr reset` asks before it deletes; say --yes where nobody can answer");
    }
    print!("{question}");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("read the answer")?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        bail!("nothing was removed");
    }
    Ok(())
}
