//! `cargo xtask fuzz`: the package `fuzz`.

use anyhow::Result;

use crate::sh;

#[derive(clap::Args)]
pub struct Args {
    /// Which decoders (the folders of fuzz/corpus); all of them, in turn, when none is named
    targets: Vec<String>,
    /// How long for each
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Another number, other inputs; what a run found, the same number finds again
    #[arg(long)]
    seed: Option<u64>,
}

/// What breaks a decoder is kept in target/fuzz; when it is mended, move it to fuzz/corpus.
pub fn run(args: &Args) -> Result<()> {
    let mut command: Vec<String> = ["run", "--quiet", "--package", "fuzz", "--"].map(str::to_owned).into();
    command.extend(args.targets.iter().cloned());
    command.extend(["--seconds".into(), args.seconds.to_string()]);
    if let Some(seed) = args.seed {
        command.extend(["--seed".into(), seed.to_string()]);
    }
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    sh::run("cargo", &command)
}
