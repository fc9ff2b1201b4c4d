//! `knarr image`

use std::path::PathBuf;

use anyhow::Result;
use cluster::control::ImageRow;

use crate::commands::node::{Node, absolute};
use crate::commands::ps;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Load the images of an archive made by `docker save`, or of an OCI layout in a tar file
    Load {
        /// The archive
        file: PathBuf,
        #[command(flatten)]
        node: Node,
    },
    /// List images
    Ls {
        #[command(flatten)]
        node: Node,
    },
    /// Remove an image
    Rm {
        /// Its name or id
        image: String,
        #[command(flatten)]
        node: Node,
    },
}

pub fn run(args: &Args) -> Result<()> {
    match &args.command {
        Command::Load { file, node } => {
            for name in node.ask(async |client| client.load(&absolute(file)).await)? {
                println!("loaded {name}");
            }
        }
        Command::Ls { node } => {
            let images = node.ask(async |client| client.images().await)?;
            let mut lines = vec![["IMAGE", "IMAGE ID", "SIZE"].map(str::to_owned)];
            for image in images {
                let names = if image.names.is_empty() { vec!["<none>".to_owned()] } else { image.names };
                for name in names {
                    lines.push([
                        name,
                        image.id.trim_start_matches("sha256:").chars().take(12).collect(),
                        size(image.size),
                    ]);
                }
            }
            ps::print(&lines);
        }
        Command::Rm { image, node } => {
            node.ask(async |client| client.remove_image(image).await)?;
            println!("removed {image}");
        }
    }
    Ok(())
}

/// As `docker images` has them.
pub fn print_as_docker(images: &[ImageRow], quiet: bool) {
    let short = |id: &str| id.trim_start_matches("sha256:").chars().take(12).collect::<String>();
    if quiet {
        return images.iter().for_each(|image| println!("{}", short(&image.id)));
    }
    let mut lines = vec![["REPOSITORY", "TAG", "IMAGE ID", "SIZE"].map(str::to_owned)];
    let none = ["<none>:<none>".to_owned()];
    for image in images {
        let names = if image.names.is_empty() { &none[..] } else { &image.names };
        for name in names {
            // A port may stand in the name too; what follows the last slash has at most the tag's colon.
            let (repository, tag) = match name.rsplit_once(':') {
                Some((repository, tag)) if !tag.contains('/') => (repository, tag),
                _ => (name.as_str(), "<none>"),
            };
            lines.push([repository.to_owned(), tag.to_owned(), short(&image.id), size(image.size)]);
        }
    }
    ps::print(&lines);
}

fn size(bytes: u64) -> String {
    match bytes {
        b if b < 1_000_000 => format!("{:.1}kB", b as f64 / 1e3),
        b if b < 1_000_000_000 => format!("{:.1}MB", b as f64 / 1e6),
        b => format!("{:.2}GB", b as f64 / 1e9),
    }
}
