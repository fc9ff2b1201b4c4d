//! `knarr datastore migrate`

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Subcommand, ValueEnum};
use cluster::config::DEFAULT_DATA_DIR;
use cluster::migrate;
use cluster::progress::Progress;
use stdx::SystemClock;

use crate::commands::etcd::EtcdArgs;
use crate::commands::node::absolute;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Copy all objects from the file in the data directory to an etcd, or back. All servers must be stopped; the source
    /// stays as it is, and the target must be empty
    Migrate {
        /// Where to
        #[arg(long, value_enum)]
        to: Target,
        /// The data directory the server was started with
        #[arg(long, default_value = DEFAULT_DATA_DIR, env = "KNARR_DATA_DIR")]
        data_dir: PathBuf,
        #[command(flatten)]
        etcd: EtcdArgs,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Target {
    Etcd,
    Embedded,
}

pub fn run(args: &Args) -> Result<()> {
    let Command::Migrate { to, data_dir, etcd } = &args.command;
    cluster::install_tls();
    let Some(settings) = etcd.settings()? else {
        bail!("--etcd-servers says which etcd");
    };
    let (to, hint) = match to {
        Target::Etcd => (migrate::To::Etcd, "start the servers with the same etcd flags"),
        Target::Embedded => (migrate::To::Embedded, "start the server without etcd flags"),
    };
    let clock = SystemClock::shared();
    let progress = Progress::new(clock.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start")?;
    let copied = runtime.block_on(migrate::run(&absolute(data_dir), &settings, to, clock, &progress))?;
    println!(
        "{} objects ({} bytes) copied and compared; resource versions go on at {}. Now {hint}",
        copied.keys, copied.bytes, copied.revision
    );
    Ok(())
}
