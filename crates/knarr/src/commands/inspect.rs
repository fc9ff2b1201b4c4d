//! `knarr inspect ID`: the guide's `docker inspect`.

use anyhow::Result;
use serde_json::Value;

use crate::commands::node::Node;

#[derive(clap::Args)]
pub struct Args {
    /// The id of a container or a pod sandbox, or an unambiguous beginning of it
    id: String,
    #[command(flatten)]
    node: Node,
}

pub fn run(args: &Args) -> Result<()> {
    let object = args.node.ask(async |client| client.inspect(&args.id).await)?;
    print(&[object])
}

/// A list, as Docker's are.
pub fn print(objects: &[Value]) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(objects)?);
    Ok(())
}
