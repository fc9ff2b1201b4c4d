//! The binary: which program am I, which flags, run.

mod commands;
mod components;

use std::path::Path;
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

Components alone, with upstream's flags, also by links of their names:
  knarr kube-apiserver | kube-controller-manager | kube-scheduler | kubelet | kube-proxy

Everything that a cluster left on this machine goes with `knarr reset`.";

#[derive(Subcommand)]
enum Command {
    /// Run a cluster on this machine: control plane and node, everything embedded
    Server(Box<commands::server::Args>),
    /// Join this machine to a cluster as a node
    Agent(Box<commands::agent::Args>),
    /// Make, list and remove the tokens with which machines join
    Token(commands::token::Args),
    /// Run the server or the agent as a systemd unit
    Service(commands::service::Args),
    /// Look at this machine's certificates, or have them issued anew
    Cert(commands::cert::Args),
    /// Look whether this machine can run a server or an agent
    Check(commands::check::Args),
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
    /// Talk to a cluster: the whole kubectl, also by the name `kubectl` of a link
    #[command(disable_help_flag = true)]
    Kubectl {
        /// What `kubectl` is to do: `get pods`, `apply -f …`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Print a completion script for your shell
    Completion {
        /// bash, zsh, fish, …
        shell: clap_complete::Shell,
    },
}

/// The words after `knarr kubectl`, or after a link named `kubectl`: they are kubectl's own to read.
fn kubectl_words() -> Option<Vec<String>> {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).skip(1);
    if !called("kubectl") && words.next().as_deref() != Some("kubectl") {
        return None;
    }
    Some(words.collect())
}

/// Whether the program was started by this name: links lead to it.
fn called(name: &str) -> bool {
    let program = std::env::args_os().next().unwrap_or_default();
    Path::new(&program).file_name().is_some_and(|file| file == name)
}

/// Names are looked up in /etc/hosts and DNS, whatever nsswitch.conf says. A static program would otherwise load the machine's
/// modules, and with them a C library of another version, which ends badly.
#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
fn own_name_services() {
    use std::ffi::{CStr, c_char, c_int};
    unsafe extern "C" {
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }
    for (database, services) in [(c"hosts", c"files dns"), (c"passwd", c"files"), (c"group", c"files")] {
        let (database, services): (&CStr, &CStr) = (database, services);
        // SAFETY: both are strings that end with a zero and live for ever, and no other thread exists yet.
        let failed = unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
        if failed != 0 {
            eprintln!("knarr: cannot choose the name services for {database:?}; the machine's count");
        }
    }
}

fn main() -> ExitCode {
    #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
    own_name_services();
    // Shims and container inits are this binary too: they must start before any thread exists.
    if let Some(code) = runtime::early_main(std::env::args_os()) {
        return code;
    }
    if let Some(code) = components::named(std::env::args_os().collect()) {
        return code;
    }
    if called("docker") {
        return commands::docker::main();
    }
    if let Some(words) = kubectl_words() {
        return ExitCode::from(kubectl::main(&words));
    }
    let words = std::env::args_os().collect();
    let command = <Args as clap::CommandFactory>::command();
    let words = match commands::config_file::expand(words, &command, commands::config_file::DEFAULT.as_ref())
    {
        Ok(words) => words,
        Err(error) => {
            eprintln!("knarr: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let done = match Args::parse_from(words).command {
        Command::Server(args) => commands::server::run(*args),
        Command::Agent(args) => commands::agent::run(*args),
        Command::Token(args) => commands::token::run(&args),
        Command::Service(args) => commands::service::run(&args),
        Command::Cert(args) => commands::cert::run(&args),
        Command::Check(args) => commands::check::run(&args),
        Command::Ps(args) => commands::ps::run(&args),
        Command::Inspect(args) => commands::inspect::run(&args),
        Command::Image(args) => commands::image::run(&args),
        Command::Snapshot(args) => commands::snapshot::run(&args),
        Command::Datastore(args) => commands::datastore::run(&args),
        Command::Reset(args) => commands::reset::run(&args),
        Command::Kubectl { words } => return ExitCode::from(kubectl::main(&words)),
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
