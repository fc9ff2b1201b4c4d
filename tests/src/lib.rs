//! A real cluster for a test: the binary as a user starts it, in a network namespace of its own, asked by a stock kubectl.
//! Start at [`Cluster::start`].
//!
//! Needs root. What it made goes when it is dropped, also when the test fails; then the server's log is shown.

mod flood;
pub mod host;
mod machine;
mod nameserver;
mod registry;
mod terminal;
mod wait;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

pub use flood::Flood;
pub use host::Host;
pub use machine::{Machine, Place};
pub use nameserver::{Nameserver, ask};
pub use registry::Registry;
pub use terminal::Terminal;
pub use wait::{eventually, patience};

/// How long a server may take to say that it is up.
const START_MAX: Duration = Duration::from_secs(60);

/// Tells clusters of one test process apart.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A running cluster.
pub struct Cluster {
    pub host: Host,
    dir: tempfile::TempDir,
    run_dir: PathBuf,
    server: Option<Child>,
    flags: Vec<String>,
    /// What starts the server: the binary, with whatever comes before it.
    program: Vec<String>,
    /// The kubectl that is a user's.
    kubectl: PathBuf,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

impl Output {
    /// Standard output of a command that must succeed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout
    }

    /// Standard error of a command that must fail.
    #[track_caller]
    pub fn fails(self) -> String {
        assert_ne!(self.code, 0, "it succeeded with: {}", self.stdout);
        self.stderr
    }
}

impl Cluster {
    /// Starts a cluster and waits until it is up. `name` tells it from those of other tests.
    pub fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    /// [`Cluster::start`] with more flags.
    pub fn start_with(name: &str, flags: &[&str]) -> Self {
        let mut cluster = Self::prepare(name, flags);
        cluster.boot();
        cluster
    }

    /// Everything but the start.
    pub fn prepare(name: &str, flags: &[&str]) -> Self {
        let dir =
            tempfile::Builder::new().prefix(&format!("knarr-{name}-")).tempdir().expect("make a directory");
        // Short: sockets below it have paths of at most 107 bytes.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let cluster = Cluster {
            host: Host::new(name),
            dir,
            run_dir: format!("/run/knt-{}-{number}", std::process::id()).into(),
            server: None,
            flags: flags.iter().map(|f| (*f).to_owned()).collect(),
            program: vec![binary().display().to_string()],
            kubectl: kubectl(),
        };
        fs::create_dir_all(cluster.data_dir().join("images")).expect("make the image directory");
        for image in fs::read_dir(images_dir()).expect("read target/images (made by `cargo xtask images`)") {
            let path = image.expect("entry").path();
            if path.extension().is_some_and(|e| e == "tar") {
                let to = cluster.data_dir().join("images").join(path.file_name().expect("name"));
                fs::copy(&path, to).expect("copy an image");
            }
        }
        cluster
    }

    /// From its next start on the server is started so: another binary, or one after a command such as `setpriv`.
    pub fn start_as(&mut self, program: &[&str]) {
        self.program = program.iter().map(|p| (*p).to_owned()).collect();
    }

    /// From now on its user has this kubectl.
    pub fn use_kubectl(&mut self, program: PathBuf) {
        self.kubectl = program;
    }

    /// From its next start on the server has these flags.
    pub fn set_flags(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(|f| (*f).to_owned()).collect();
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// A directory for the test's own files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    /// The server's flags, in the order a person would type them.
    fn server_args(&self) -> Vec<String> {
        let mut args = vec![
            "server".to_owned(),
            "--data-dir".into(),
            self.data_dir().display().to_string(),
            "--run-dir".into(),
            self.run_dir().display().to_string(),
            "--write-kubeconfig".into(),
            self.kubeconfig().display().to_string(),
            "--node-name".into(),
            "node1".into(),
            // The disk of a machine that builds and tests may well be nearly full.
            "--eviction-hard".into(),
            "memory.available<10Mi".into(),
        ];
        args.extend(self.flags.iter().cloned());
        args
    }

    /// Starts the server and waits for the line that says it is up.
    pub fn boot(&mut self) {
        assert!(self.server.is_none(), "the server runs already");
        let log = File::options().create(true).append(true).open(self.log()).expect("open the log");
        let already = ups(&self.log());
        let server = self
            .host
            .command(Path::new(&self.program[0]))
            .args(&self.program[1..])
            .args(self.server_args())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("clone"))
            .stderr(log)
            .spawn()
            .expect("start the server");
        self.server = Some(server);
        let path = self.log();
        eventually(START_MAX, "the server is up", || {
            let ended = self.server.as_mut().expect("server").try_wait().expect("wait");
            assert!(
                ended.is_none(),
                "the server ended: {ended:?}\n{}",
                fs::read_to_string(&path).unwrap_or_default()
            );
            ups(&path) > already
        });
    }

    /// The token with which machines join.
    pub fn join_token(&self) -> String {
        let path = self.data_dir().join("join-token");
        fs::read_to_string(path).expect("read the join token").trim().to_owned()
    }

    /// All that the server has printed so far.
    pub fn server_log(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Where the server keeps what ends with a reboot.
    pub fn run_dir(&self) -> PathBuf {
        self.run_dir.clone()
    }

    /// The server's process id.
    pub fn pid(&self) -> i32 {
        self.server.as_ref().expect("server runs").id() as i32
    }

    /// Ends the server at once, as a power cut of the process would.
    pub fn kill(&mut self) {
        let mut server = self.server.take().expect("server runs");
        server.kill().expect("kill");
        server.wait().expect("wait");
    }

    /// Waits for the server to end by itself, or by a signal that somebody sent. Returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        self.server.take().expect("server runs").wait().expect("wait").code()
    }

    /// Ends the server as a service manager would. Returns its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let mut server = self.server.take().expect("server runs");
        let pid = nix::unistd::Pid::from_raw(server.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("signal");
        server.wait().expect("wait").code()
    }

    /// Runs stock kubectl.
    pub fn kubectl(&self, args: &[&str]) -> Output {
        run(self.kubectl_command().args(args))
    }

    /// A stock kubectl ready to be given arguments, streams and a start.
    pub fn kubectl_command(&self) -> Command {
        self.client_command(&self.kubectl)
    }

    /// The kubectl's path, for who starts it by a shell.
    pub fn kubectl_path(&self) -> String {
        self.kubectl.display().to_string()
    }

    /// Any other client's program, where it reaches the cluster.
    pub fn client_command(&self, program: &Path) -> Command {
        let mut command = self.host.command(program);
        command.env("KUBECONFIG", self.kubeconfig()).env("HOME", self.dir.path()).env("NO_COLOR", "1");
        command
    }

    /// The cluster's kubeconfig without the administrator's certificate, for who comes with a token.
    pub fn tokenless_kubeconfig(&self) -> String {
        let text = fs::read_to_string(self.kubeconfig()).expect("read");
        let lines =
            text.lines().filter(|l| !l.contains("client-certificate-data") && !l.contains("client-key-data"));
        let mut kept: Vec<&str> = lines.collect();
        if let Some(last) = kept.iter_mut().rfind(|l| l.trim() == "user:") {
            *last = "  user: {}";
        }
        self.file("tokenless", &kept.join("\n"))
    }

    /// Whom the API takes the bearer of `token` for; what kubectl says when it takes him for nobody.
    pub fn whoami(&self, token: &str) -> Output {
        let name = "jsonpath={.status.userInfo.username}";
        let kubeconfig = self.tokenless_kubeconfig();
        self.kubectl(&["auth", "whoami", "--token", token, "--kubeconfig", &kubeconfig, "-o", name])
    }

    /// Runs one of our own commands against this cluster.
    pub fn knarr(&self, args: &[&str]) -> Output {
        let mut command = self.host.command(&binary());
        run(command.args(args).arg("--data-dir").arg(self.data_dir()).arg("--run-dir").arg(self.run_dir()))
    }

    /// `knarr token ARGS` as the administrator; what it prints.
    #[track_caller]
    pub fn knarr_token(&self, args: &[&str]) -> String {
        let mut command = self.host.command(&binary());
        run(command.arg("token").args(args).arg("--kubeconfig").arg(self.kubeconfig())).ok().trim().to_owned()
    }

    /// `kubectl apply -f -` of `yaml`.
    #[track_caller]
    pub fn apply(&self, yaml: &str) -> String {
        self.kubectl(&["apply", "-f", &self.file("apply.yaml", yaml)]).ok()
    }

    /// Writes a file into the test's directory and returns its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, text).expect("write a file");
        path.display().to_string()
    }

    /// An object as JSON.
    #[track_caller]
    pub fn get(&self, kind: &str, name: &str) -> Value {
        let text = self.kubectl(&["get", kind, name, "-o", "json"]).ok();
        serde_json::from_str(&text).expect("JSON")
    }

    /// A value of an object by jsonpath, empty when it is not there.
    pub fn value(&self, kind: &str, name: &str, path: &str) -> String {
        self.kubectl(&["get", kind, name, "-o", &format!("jsonpath={path}")]).stdout
    }

    /// Waits for a condition as `kubectl wait --for` names it.
    #[track_caller]
    pub fn wait_for(&self, what: &str, target: &str, seconds: u32) {
        let seconds = seconds * patience();
        let out = self.kubectl(&["wait", &format!("--for={what}"), target, &format!("--timeout={seconds}s")]);
        if out.code != 0 {
            let seen = self.kubectl(&["describe", target]).stdout;
            let events = self.kubectl(&["get", "events"]).stdout;
            panic!("{target} never became {what}: {}\n{seen}\n{events}", out.stderr);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- server log ({} lines, the last 60):", lines.len());
            lines.iter().skip(lines.len().saturating_sub(60)).for_each(|l| eprintln!("{l}"));
        }
        if self.server.is_some() {
            self.stop();
        }
        let reset = self.knarr(&["reset", "--yes"]);
        if reset.code != 0 {
            eprintln!("reset failed: {}{}", reset.stdout, reset.stderr);
        }
    }
}

/// How often the log says that the server is up.
fn ups(log: &Path) -> usize {
    fs::read_to_string(log).unwrap_or_default().matches("Knarr is up").count()
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().expect("start a command");
    Output {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(-1),
    }
}

/// The binary under test: KNARR_BIN, or what the last `cargo build` made.
pub fn binary() -> PathBuf {
    from_env("KNARR_BIN", "target/debug/knarr")
}

/// The stock kubectl that tests use: KNARR_KUBECTL, or what `cargo xtask test` fetched, or the machine's.
pub fn kubectl() -> PathBuf {
    let fetched = from_env("KNARR_KUBECTL", "target/tools/kubectl");
    if fetched.exists() { fetched } else { PathBuf::from("kubectl") }
}

/// A client that stands beside kubectl, where `cargo xtask test` puts them.
#[track_caller]
pub fn tool(path: &str) -> PathBuf {
    let tool = kubectl().with_file_name(path);
    assert!(tool.exists(), "{} is not there: cargo xtask test --only tools installs it", tool.display());
    tool
}

/// The last kubectl that speaks SPDY alone to what streams.
pub fn old_kubectl() -> PathBuf {
    tool("kubectl-1.28")
}

/// Where the test images' archives are.
pub fn images_dir() -> PathBuf {
    from_env("KNARR_IMAGES", "target/images")
}

fn from_env(variable: &str, default: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("workspace");
    std::env::var_os(variable).map_or_else(|| root.join(default), PathBuf::from)
}
