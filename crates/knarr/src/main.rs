//! The binary: which program am I, which flags, run.

mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Kubernetes, whole, in one binary.
///
/// `knarr server` turns this machine into a one-node Kubernetes cluster; any kubectl can talk to it.
#[derive(Parser)]
#[command(name = "knarr", version, max_term_width = 100, after_help = EXAMPLES)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
First steps:
  knarr server                                   start a cluster on this machine (as root)
  export KUBECONFIG=/etc/knarr/kubeconfig        tell kubectl where it is
  kubectl get nodes
  kubectl run nginx --image=nginx

More machines:
  knarr token create --print-join-command        on the server; run on the other machine what it prints

Everything that a cluster left on this machine goes with `knarr reset`.";

#[derive(Subcommand)]
enum Command {
    /// Run a cluster on this machine: control plane and node, everything embedded
    Server(Box<commands::server::Args>),
    /// Join this machine to a cluster as a node
    Agent(Box<commands::agent::Args>),
    /// Make, list and remove the tokens with which machines join
    Token(commands::token::Args),
    /// List this node's pods and containers, as `docker ps` would
    Ps(commands::ps::Args),
    /// Show everything about one container or pod sandbox, as `docker inspect` would
    Inspect(commands::inspect::Args),
    /// Load, list and remove this node's images
    Image(commands::image::Args),
    /// Save all objects into a file, put them back, list what was saved
    Snapshot(commands::snapshot::Args),
    /// Move a cluster between its own file and an etcd
    Datastore(Box<commands::datastore::Args>),
    /// Remove all that a cluster left on this machine: containers, mounts, links, rules, data
    Reset(commands::reset::Args),
    /// Print a completion script for your shell
    Completion {
        /// bash, zsh, fish, …
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    // Shims and container inits are this binary too: they must start before any thread exists.
    if let Some(code) = runtime::early_main(std::env::args_os()) {
        return code;
    }
    let done = match Args::parse().command {
        Command::Server(args) => commands::server::run(*args),
        Command::Agent(args) => commands::agent::run(*args),
        Command::Token(args) => commands::token::run(&args),
        Command::Ps(args) => commands::ps::run(&args),
        Command::Inspect(args) => commands::inspect::run(&args),
        Command::Image(args) => commands::image::run(&args),
        Command::Snapshot(args) => commands::snapshot::run(&args),
        Command::Datastore(args) => commands::datastore::run(&args),
        Command::Reset(args) => commands::reset::run(&args),
        Command::Completion { shell } => {
            clap_complete::generate(
                shell,
                &mut <Args as clap::CommandFactory>::command(),
                "knarr",
                &mut std::io::stdout(),
            );
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("knarr: {error:#}");
            ExitCode::FAILURE
        }
    }
}
