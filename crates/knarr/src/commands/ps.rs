//! `knarr ps`: the guide's `docker ps`.

use anyhow::Result;
use cluster::control::Row;

use crate::commands::node::Node;

/// Which containers are listed, and how.
#[derive(clap::Args)]
pub struct Listing {
    /// Show what has ended too
    #[arg(short, long)]
    all: bool,
    /// Do not shorten ids and commands
    #[arg(long)]
    no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
}

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    node: Node,
}

pub fn run(args: &Args) -> Result<()> {
    list(&args.listing, &args.node, false)
}

/// Asks the node and prints; `ports` as for [`print_rows`].
pub fn list(listing: &Listing, node: &Node, ports: bool) -> Result<()> {
    let rows = node.ask(async |client| client.ps(listing.all).await)?;
    print_rows(&rows, listing.quiet, listing.no_trunc, ports);
    Ok(())
}

/// As a table, or only ids; `ports` adds Docker's column of that name, which is empty: ports are pods', not containers'.
pub fn print_rows(rows: &[Row], quiet: bool, whole: bool, ports: bool) {
    if quiet {
        rows.iter().for_each(|r| println!("{}", shortened(&r.id, 12, whole)));
        return;
    }
    let mut lines =
        vec![["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "NAMES"].map(str::to_owned)];
    lines.extend(rows.iter().map(|r| line(r, whole)));
    if !ports {
        return print(&lines);
    }
    let mut title = "PORTS";
    let wide: Vec<[String; 7]> = lines
        .into_iter()
        .map(|[id, image, command, created, status, names]| {
            [id, image, command, created, status, std::mem::take(&mut title).to_owned(), names]
        })
        .collect();
    print(&wide);
}

fn line(row: &Row, whole: bool) -> [String; 6] {
    let command = format!("{:?}", shortened(&row.command, 20, whole));
    [
        shortened(&row.id, 12, whole),
        row.image.clone(),
        command,
        row.created.clone(),
        row.status.clone(),
        row.name.clone(),
    ]
}

fn shortened(text: &str, most: usize, whole: bool) -> String {
    if whole { text.to_owned() } else { text.chars().take(most).collect() }
}

/// Columns as wide as their widest cell, three spaces apart.
pub fn print<const N: usize>(lines: &[[String; N]]) {
    let widths: Vec<usize> =
        (0..N).map(|i| lines.iter().map(|l| l[i].chars().count()).max().unwrap_or(0)).collect();
    for line in lines {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("{}", cells.join("   ").trim_end());
    }
}
