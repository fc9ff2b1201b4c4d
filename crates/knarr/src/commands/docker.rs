//! What a link named `docker` answers, where the containers are ours and no Docker is installed: the looks that guides have
//! their readers take. Start at [`run`]. It changes nothing: containers belong to pods.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use cluster::config::{DEFAULT_DATA_DIR, control_socket};

use super::node::Node;
use super::{image, inspect, ps};

/// Where nodes of this machine keep their data: a kubelet of its own, `knarr server` or `agent`.
const DATA_DIRS: &[&str] = &["/var/lib/kubelet", DEFAULT_DATA_DIR];

/// Looks at the containers of this node's pods. This is no Docker: it is Knarr's answer to what one would ask Docker.
#[derive(Parser)]
#[command(name = "docker", version, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List containers
    Ps(ps::Listing),
    /// Show everything about containers, by id
    Inspect {
        /// Ids, or unambiguous beginnings of them
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// List images
    Images {
        /// Only ids
        #[arg(short, long)]
        quiet: bool,
    },
    /// Show what answers here
    Version,
    /// Show how many containers and images there are
    Info,
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// Answers the words after the program's name.
pub fn main() -> ExitCode {
    match run(&Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("docker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    match command {
        Command::Other(words) => bail!(
            "`docker {}` is not answered here: this node's containers belong to pods (kubectl run, exec, logs, delete; `knarr image` for \
             images)",
            words.first().map(String::as_str).unwrap_or_default()
        ),
        Command::Ps(listing) => ps::list(listing, &node()?, true)?,
        Command::Inspect { ids } => {
            let node = node()?;
            let objects = ids
                .iter()
                .map(|id| node.ask(async |client| client.inspect(id).await))
                .collect::<Result<Vec<_>>>()?;
            inspect::print(&objects)?;
        }
        Command::Images { quiet } => {
            image::print_as_docker(&node()?.ask(async |client| client.images().await)?, *quiet)
        }
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            println!("Client: Knarr, by the name docker\n Version:  {version}\n");
            let node = node()?;
            println!("Server: Knarr, a Kubernetes node\n Data directory:  {}", node.data_dir.display());
        }
        Command::Info => info(&node()?)?,
    }
    Ok(())
}

fn info(node: &Node) -> Result<()> {
    let (running, all, images) = node.ask(async |client| {
        Ok((client.ps(false).await?.len(), client.ps(true).await?.len(), client.images().await?.len()))
    })?;
    println!("Containers: {all}\n Running: {running}\n Stopped: {}", all.saturating_sub(running));
    println!("Images: {images}\nServer Version: knarr {}", env!("CARGO_PKG_VERSION"));
    println!("Docker Root Dir: {}", node.data_dir.display());
    Ok(())
}

/// The node of this machine that answers: KNARR_DATA_DIR's, or the first of the usual ones.
fn node() -> Result<Node> {
    let named = std::env::var_os("KNARR_DATA_DIR").map(PathBuf::from);
    let usual = DATA_DIRS.iter().map(PathBuf::from);
    let dirs: Vec<PathBuf> = named.map_or_else(|| usual.collect(), |dir| vec![dir]);
    pick(dirs, |socket| UnixStream::connect(socket).is_ok())
}

fn pick(dirs: Vec<PathBuf>, answers: impl Fn(&Path) -> bool) -> Result<Node> {
    let shown: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
    let mut nodes = dirs.into_iter().map(|data_dir| Node { data_dir, run_dir: None });
    let Some(node) = nodes.find(|node| answers(&control_socket(&node.run_dir()))) else {
        bail!(
            "no kubelet and no knarr server answers, with its data in {} (KNARR_DATA_DIR names another directory; only root may ask). \
             Is kubelet.service running?",
            shown.join(" or ")
        );
    };
    Ok(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_node_that_answers_is_asked() {
        let dirs = || DATA_DIRS.iter().map(PathBuf::from).collect();
        let all = pick(dirs(), |_| true).expect("a node");
        assert_eq!(all.data_dir, Path::new("/var/lib/kubelet"));
        let server = pick(dirs(), |socket| socket == Path::new("/run/knarr/knarr.sock")).expect("a node");
        assert_eq!(server.data_dir, Path::new(DEFAULT_DATA_DIR));
        let nobody = pick(dirs(), |_| false).err().expect("nobody").to_string();
        assert!(nobody.contains("/var/lib/kubelet or /var/lib/knarr"), "{nobody}");
    }

    #[test]
    fn what_would_change_containers_is_refused() {
        for words in ["docker run -ti busybox", "docker rm -f x", "docker compose up"] {
            let args = Args::try_parse_from(words.split(' ')).expect("any command is read");
            let refusal = run(&args.command).expect_err(words).to_string();
            assert!(refusal.contains("belong to pods"), "{refusal}");
        }
    }
}
