//! `cargo xtask fuzz` runs this: one target, or all in turn.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Parser;
use fuzz::meter::Counting;
use fuzz::run::{self, Until};
use fuzz::targets::{self, Target};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Feeds a decoder with changed inputs until time is up, or something is wrong
#[derive(Parser)]
struct Args {
    /// Which decoder; all of them, in turn, when none is named
    targets: Vec<String>,
    /// How long for each
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Another number, other inputs
    #[arg(long)]
    seed: Option<u64>,
    /// Try this file alone
    #[arg(long, value_name = "FILE")]
    input: Option<std::path::PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut chosen: Vec<&'static Target> = Vec::new();
    for name in &args.targets {
        match targets::find(name) {
            Some(target) => chosen.push(target),
            None => {
                let names: Vec<&str> = targets::TARGETS.iter().map(|t| t.name).collect();
                bail!("there is no target {name:?}; there are {}", names.join(", "));
            }
        }
    }
    if chosen.is_empty() {
        chosen.extend(targets::TARGETS);
    }
    let seed = args.seed.unwrap_or_else(|| stdx::Random::from_os().next_u64());
    let mut wrong = 0;
    for target in chosen {
        if let Some(file) = &args.input {
            run::alone(target, std::fs::read(file)?)?;
            continue;
        }
        let until = Until::Elapsed(Duration::from_secs(args.seconds));
        match run::run(target, until, seed, Path::new("target/fuzz")) {
            Ok(count) => println!("{}: {count} inputs, seed {seed}", target.name),
            Err(error) => {
                println!("{}: {error:#}, seed {seed}", target.name);
                wrong += 1;
            }
        }
    }
    if wrong > 0 { bail!("{wrong} targets are wrong") } else { Ok(()) }
}
