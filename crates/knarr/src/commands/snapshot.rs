//! `knarr snapshot save|restore|ls`

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use cluster::config::DEFAULT_DATA_DIR;
use cluster::snapshots;
use stdx::SystemClock;

use crate::commands::node::absolute;

#[derive(clap::Args)]
#[command(after_help = "\
Snapshots hold the objects, secrets among them: keep them where only root reads them. The certificates in DATA_DIR/pki and
DATA_DIR/token are not in them; back them up, too. An etcd has its own snapshots (etcdctl snapshot save).")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write all objects into a file, while the server runs or not
    Save {
        /// A name in DATA_DIR/snapshots, or a path [default: the time]
        file: Option<PathBuf>,
        /// The data directory the server was started with
        #[arg(long, default_value = DEFAULT_DATA_DIR, env = "KNARR_DATA_DIR")]
        data_dir: PathBuf,
    },
    /// Put a snapshot in the place of all objects. The server must be stopped; what is there now is kept beside it
    Restore {
        /// A name in DATA_DIR/snapshots, or a path
        file: PathBuf,
        /// The data directory the server was started with
        #[arg(long, default_value = DEFAULT_DATA_DIR, env = "KNARR_DATA_DIR")]
        data_dir: PathBuf,
        /// By how much resource versions go on above all that there was [default: 1, or a million where the old
        /// store is gone]
        #[arg(long, value_name = "REVISIONS")]
        bump_revision: Option<u64>,
    },
    /// List snapshots, each checked to its end
    Ls {
        /// The data directory the server was started with
        #[arg(long, default_value = DEFAULT_DATA_DIR, env = "KNARR_DATA_DIR")]
        data_dir: PathBuf,
    },
}

pub fn run(args: &Args) -> Result<()> {
    match &args.command {
        Command::Save { file, data_dir } => {
            let (file, about) =
                snapshots::save(&absolute(data_dir), file.as_deref(), &SystemClock::shared())?;
            println!("{}: {} objects at revision {}", file.display(), about.keys, about.revision);
        }
        Command::Restore { file, data_dir, bump_revision } => {
            let (about, revision) = snapshots::restore(&absolute(data_dir), file, *bump_revision)?;
            println!(
                "{} objects of {} are back; resource versions go on at {revision}. Start the server",
                about.keys,
                snapshots::saved(&about)
            );
        }
        Command::Ls { data_dir } => {
            println!("{:<32} {:>12} {:<22} {:>12} {:>9}", "NAME", "BYTES", "SAVED", "REVISION", "OBJECTS");
            for row in snapshots::list(&absolute(data_dir))? {
                match &row.about {
                    Ok(about) => println!(
                        "{:<32} {:>12} {:<22} {:>12} {:>9}",
                        row.name,
                        row.bytes,
                        snapshots::saved(about),
                        about.revision,
                        about.keys
                    ),
                    Err(why) => println!("{:<32} {:>12} unusable: {why}", row.name, row.bytes),
                }
            }
        }
    }
    Ok(())
}
