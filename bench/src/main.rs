//! `cargo xtask bench api`: what the API server does per second, beside what the machine could do, measured in turns in one
//! run.
//!
//! - [`run`]: the order of things, and what is printed. Start there.
//! - [`load`]: the client, in a process of its own: so many connections, one kind of request, for so long.
//! - [`watch`]: a client of many watches.
//! - [`bare`]: the limit of HTTP: hyper and rustls, which send and parse the same bytes and do nothing else.
//! - [`commit`]: the limit of durable writes: appends of the same bytes by as many writers, as many as there are to a sync.
//!
//! Frozen: figures of different days are comparable only as long as nothing here changes. Nothing is judged.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod bare;
mod commit;
mod connection;
mod load;
mod run;
mod server;
mod watch;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run all of it
    Api(run::Args),
    /// Be the bare server
    Bare(bare::Args),
    /// Be the client that a file describes; prints what came of it
    Load { spec: PathBuf },
    /// Be the watchers that a file describes; prints what came of it
    Watch { spec: PathBuf },
}

fn main() -> Result<()> {
    match Args::parse().command {
        Command::Api(args) => run::run(&args),
        Command::Bare(args) => bare::run(&args),
        Command::Load { spec } => load::run(&spec),
        Command::Watch { spec } => watch::run(&spec),
    }
}
