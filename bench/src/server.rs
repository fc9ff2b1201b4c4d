//! The servers that are measured, as processes.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;

use crate::connection::Target;

/// Ends with this value.
pub struct Process(Child);

impl Process {
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn stop(&mut self) -> Result<()> {
        let pid = nix::unistd::Pid::from_raw(self.0.id().try_into()?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }
}

/// Starts the API server and the controllers of `binary`, without a node.
pub fn knarr(binary: &Path, dir: &Path) -> Result<(Process, Target)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let kubeconfig = dir.join("kubeconfig");
    let log = std::fs::File::create(dir.join("server.log"))?;
    let child = Command::new(binary)
        .args(["server", "--disable-agent", "--disable-dns", "--bind-address", "127.0.0.1"])
        .args(["--https-listen-port", &port.to_string()])
        .arg("--data-dir")
        .arg(dir.join("data"))
        .arg("--write-kubeconfig")
        .arg(&kubeconfig)
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("start {}", binary.display()))?;
    let mut process = Process(child);
    let start = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() || !kubeconfig.exists() {
        if process.0.try_wait()?.is_some() || start.elapsed() > Duration::from_secs(60) {
            bail!("the server does not start; see {}", dir.join("server.log").display());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let text = std::fs::read_to_string(&kubeconfig)?;
    let field = |name: &str| -> Result<String> {
        let line = text.lines().find_map(|l| l.trim().strip_prefix(name)).context("a kubeconfig of ours")?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(line.trim().trim_matches('"'))?;
        Ok(String::from_utf8(bytes)?)
    };
    let identity = Some((field("client-certificate-data:")?, field("client-key-data:")?));
    let target = Target { port, ca_pem: field("certificate-authority-data:")?, identity, tokens: Vec::new() };
    Ok((process, target))
}

/// Starts the bare server on `files`.
pub fn bare(dir: &Path, files: &Path) -> Result<(Process, Target)> {
    for old in ["bare.port", "bare.ca"] {
        drop(std::fs::remove_file(dir.join(old)));
    }
    let child = Command::new(std::env::current_exe()?)
        .arg("bare")
        .arg("--files")
        .arg(files)
        .arg("--out")
        .arg(dir)
        .spawn()
        .context("start the bare server")?;
    let process = Process(child);
    let start = Instant::now();
    let port = loop {
        match std::fs::read_to_string(dir.join("bare.port")) {
            Ok(text) => break text.parse()?,
            Err(_) if start.elapsed() < Duration::from_secs(10) => {
                std::thread::sleep(Duration::from_millis(2))
            }
            Err(error) => return Err(error).context("the bare server does not start"),
        }
    };
    let ca_pem = std::fs::read_to_string(dir.join("bare.ca"))?;
    Ok((process, Target { port, ca_pem, identity: None, tokens: Vec::new() }))
}

/// Runs this program as `what` with a description, and reads what it prints.
pub fn client<S: serde::Serialize, O: serde::de::DeserializeOwned>(
    dir: &Path,
    what: &str,
    spec: &S,
) -> Result<O> {
    let (child, _) = start_client(dir, what, spec)?;
    let output = child.wait_with_output()?;
    anyhow::ensure!(
        output.status.success(),
        "the client failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// As [`client`], but goes on at once.
pub fn start_client<S: serde::Serialize>(dir: &Path, what: &str, spec: &S) -> Result<(Child, PathBuf)> {
    let file = tempfile::NamedTempFile::new_in(dir)?.into_temp_path().keep()?;
    std::fs::write(&file, serde_json::to_vec(spec)?)?;
    let child = Command::new(std::env::current_exe()?)
        .arg(what)
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok((child, file))
}

/// Proportional set size in bytes.
pub fn pss(pid: u32) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find(|l| l.starts_with("Pss:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? * 1024.0)
}
