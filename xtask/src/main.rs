//! The project's own tools: `cargo xtask --help`.

mod codegen;
mod dist;
mod fuzz;
mod guest;
mod guide;
mod images;
mod sh;
mod test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Everything around the code: tests, test images, generated tables, benchmarks, packages.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the tests need (apt) and run all of them: format, lints, unit, component, end to end. Needs root
    Test(test::Args),
    /// Build the test images (nginx, busybox, pause) from Debian's packages into target/images
    Images {
        /// Where the archives go
        #[arg(long, default_value = "target/images")]
        out: PathBuf,
    },
    /// Regenerate crates/facts from the JSON schemas and protobuf numbers of Kubernetes 1.37
    Codegen {
        /// Fail when what is committed differs, instead of writing
        #[arg(long)]
        check: bool,
    },
    /// Measure, with an optimised binary, and print the figures
    Bench {
        /// What to measure: api, node, network or idle
        what: String,
        /// How long idle looks
        #[arg(long, default_value_t = 300)]
        seconds: u32,
    },
    /// Run the end-to-end tests in a virtual machine with cgroups of version 2 (qemu, Debian's packages). Needs root
    Guest(guest::Args),
    /// Build the static binary and its packages (.deb, .rpm) into target/dist. Needs root for --check
    Dist(dist::Args),
    /// Feed the decoders with bad input, for as long as you like (the tests do it for a moment)
    Fuzz(fuzz::Args),
    /// Check the edges between crates, file and function sizes, licences, and forbidden words
    Tidy,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    std::env::set_current_dir(sh::root())?;
    match Args::parse().command {
        Command::Test(args) => test::run(&args),
        Command::Images { out } => images::build(&out),
        Command::Codegen { check } => codegen::run(check),
        Command::Bench { what, seconds } => test::bench(&what, seconds),
        Command::Guest(args) => guest::run(&args),
        Command::Dist(args) => dist::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Tidy => tidy::run(),
    }
}
