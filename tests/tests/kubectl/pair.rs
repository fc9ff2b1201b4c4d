//! Both programs on one line.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use e2e::Cluster;

use crate::normal;
use crate::plan::Line;
use crate::state::State;

/// How long a line may take at most; an endless one to say the same.
const LINE_MAX: Duration = Duration::from_secs(60);

/// Stock and ours, each with a namespace, a directory and a configuration of its own.
pub struct Pair<'a> {
    cluster: &'a Cluster,
    state: &'a State,
    sides: [Side; 2],
}

struct Side {
    ours: bool,
    ns: String,
    dir: PathBuf,
}

/// What one program did.
#[derive(Debug, PartialEq)]
struct Done {
    stdout: String,
    stderr: String,
    code: Option<i32>,
    /// The objects of the line, afterwards.
    objects: String,
}

impl<'a> Pair<'a> {
    pub fn new(cluster: &'a Cluster, state: &'a State, number: usize) -> Self {
        let side = |ours: bool| {
            let ns = format!("pair{number}{}", if ours { "b" } else { "a" });
            let dir = cluster.dir().join(&ns);
            copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubectl/work"), &dir, &ns);
            let side = Side { ours, ns, dir };
            side.configure(cluster);
            state.fill(&side.ns);
            side
        };
        Pair { cluster, state, sides: [side(false), side(true)] }
    }

    /// Waits until the pods that really run have said all they say.
    pub fn settle(&self) {
        for side in &self.sides {
            let path = format!("/api/v1/namespaces/{}/pods/web-1", side.ns);
            e2e::eventually(Duration::from_secs(120), "the pod runs its second life", || {
                let pod = self.state.get(&path).unwrap_or_default();
                let ready = |c: &serde_json::Value| c["ready"] == true;
                let all = pod["status"]["containerStatuses"].as_array();
                all.is_some_and(|all| {
                    all.len() == 2 && all.iter().all(ready) && all.iter().any(|c| c["restartCount"] == 1)
                })
            });
            // Each has its discovery on disk.
            let mut warm = side.command(self.cluster, &["api-resources".into()]);
            warm.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("run");
        }
    }

    /// Runs a line in both and tells the difference, if there is one. Afterwards the state is as before.
    #[allow(clippy::disallowed_methods, reason = "tests watch real machines in real time")]
    pub fn compare(&self, line: &Line) -> Option<String> {
        let start = |side: &Side| side.start(self.cluster, line);
        let mut running = [start(&self.sides[0]), start(&self.sides[1])];
        let begun = Instant::now();
        if line.endless {
            self.until_alike(line, &mut running, begun);
        }
        let codes = running.each_mut().map(|child| end(child, line.endless, begun));
        let done = |at: usize| {
            let side = &self.sides[at];
            let read = |name| ordered(line, normal::text(&side.output(name), &side.ns));
            let objects = line.objects.iter().map(|o| format!("{o}: {}\n", self.after(side, o)));
            Done {
                stdout: read("stdout"),
                stderr: read("stderr"),
                code: codes[at],
                objects: objects.collect(),
            }
        };
        let (stock, ours) = (done(0), done(1));
        self.restore(line);
        (stock != ours).then(|| {
            format!(
                "== {}: {}\nstock {:?}, ours {:?}\n{}{}{}",
                line.label,
                line.words.join(" "),
                stock.code,
                ours.code,
                difference("stdout", &stock.stdout, &ours.stdout),
                difference("stderr", &stock.stderr, &ours.stderr),
                difference("objects", &stock.objects, &ours.objects),
            )
        })
    }

    /// Waits until both have said something, and the same; then a little for what should not come.
    #[allow(clippy::disallowed_methods, reason = "tests watch real machines in real time")]
    fn until_alike(&self, line: &Line, running: &mut [Child; 2], begun: Instant) {
        while begun.elapsed() < LINE_MAX / 4 {
            let said = [0, 1].map(|at| {
                let side = &self.sides[at];
                ["stdout", "stderr"].map(|name| ordered(line, normal::text(&side.output(name), &side.ns)))
            });
            let silent = said[0].iter().all(String::is_empty);
            if said[0] == said[1] && !silent {
                return;
            }
            if running.iter_mut().all(|child| matches!(child.try_wait(), Ok(Some(_)))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What is left of an object: as text, without what varies.
    fn after(&self, side: &Side, object: &str) -> String {
        let name = object.replace("{ns}", &side.ns);
        match name.split_once('/') {
            Some(("file", name)) => normal::text(&tree(&side.dir.join(name)), &side.ns),
            None => normal::text(&fs::read_to_string(side.dir.join(name)).unwrap_or_default(), &side.ns),
            Some(_) => match self.state.object(&side.ns, &name) {
                Some(object) => normal::object(object, &side.ns),
                None => "absent".into(),
            },
        }
    }

    fn restore(&self, line: &Line) {
        for side in &self.sides {
            for object in &line.objects {
                match object.split_once('/') {
                    Some(("file", _)) => {}
                    None => {
                        fs::copy(side.dir.join(format!("{object}.kept")), side.dir.join(object))
                            .expect("copy");
                    }
                    Some(_) => self.state.restore(&side.ns, &object.replace("{ns}", &side.ns)),
                }
            }
        }
    }
}

impl Side {
    fn command(&self, cluster: &Cluster, words: &[String]) -> Command {
        let mut command = match self.ours {
            true => cluster.client_command(&e2e::binary()),
            false => cluster.client_command(&e2e::kubectl()),
        };
        if self.ours {
            command.arg("kubectl");
        }
        command.args(words).current_dir(&self.dir).stdin(Stdio::null());
        command.env("HOME", &self.dir).env("KUBECONFIG", self.dir.join("kubeconfig"));
        command.env("KUBE_EDITOR", self.dir.join("editor")).env("TMPDIR", &self.dir);
        command
    }

    fn start(&self, cluster: &Cluster, line: &Line) -> Child {
        let words: Vec<String> = line.words.iter().map(|w| w.replace("{ns}", &self.ns)).collect();
        let mut command = self.command(cluster, &words);
        if let Some(file) = &line.stdin {
            command.stdin(File::open(self.dir.join(file)).expect("open the input"));
        }
        let file = |name: &str| File::create(self.dir.join(name)).expect("create a file");
        command.stdout(file(".stdout")).stderr(file(".stderr")).spawn().expect("start kubectl")
    }

    fn output(&self, name: &str) -> String {
        let bytes = fs::read(self.dir.join(format!(".{name}"))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The cluster's kubeconfig with this side's namespace and something spare to change; the administrator's certificate as files.
    fn configure(&self, cluster: &Cluster) {
        let kubeconfig = self.dir.join("kubeconfig");
        fs::copy(cluster.kubeconfig(), &kubeconfig).expect("copy the kubeconfig");
        let stock = |words: &[&str]| {
            let mut command = cluster.client_command(&e2e::kubectl());
            e2e::run(command.env("KUBECONFIG", &kubeconfig).current_dir(&self.dir).args(words)).ok()
        };
        let view = stock(&["config", "view", "--raw", "-o", "json"]);
        let view: serde_json::Value = serde_json::from_str(&view).expect("JSON");
        let user = &view["users"][0]["user"];
        let keys = [
            ("ca.crt", &view["clusters"][0]["cluster"]["certificate-authority-data"]),
            ("client.crt", &user["client-certificate-data"]),
            ("client.key", &user["client-key-data"]),
        ];
        for (name, data) in keys {
            fs::write(self.dir.join(name), unbase64(data.as_str().unwrap_or_default())).expect("write");
        }
        stock(&["config", "set-context", "--current", "--namespace", &self.ns]);
        stock(&["config", "set-cluster", "spare", "--server=https://127.0.0.1:1"]);
        stock(&[
            "config",
            "set-context",
            "spare",
            "--cluster=spare",
            "--user=spare",
            "--namespace=elsewhere",
        ]);
        stock(&["config", "set-credentials", "spare", "--token=secret"]);
        fs::copy(&kubeconfig, self.dir.join("kubeconfig.kept")).expect("copy");
        fs::copy(&kubeconfig, self.dir.join("kubeconfig2")).expect("copy");
        fs::copy(self.dir.join("kuberc"), self.dir.join("kuberc.kept")).expect("copy");
    }
}

/// Sorted, where the order is chance.
fn ordered(line: &Line, text: String) -> String {
    if !line.unordered {
        return text;
    }
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Waits for a program; ends it when it goes on too long, or when that is all that ends it.
#[allow(clippy::disallowed_methods, reason = "tests watch real machines in real time")]
fn end(child: &mut Child, endless: bool, begun: Instant) -> Option<i32> {
    while !endless && begun.elapsed() < LINE_MAX {
        if let Ok(Some(status)) = child.try_wait() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().ok();
    let status = child.wait().ok();
    // Whether an endless one had just ended by itself is chance.
    status.filter(|_| !endless).and_then(|status| status.code())
}

/// What is in one and not in the other, in order.
fn difference(what: &str, stock: &str, ours: &str) -> String {
    if stock == ours {
        return String::new();
    }
    let (a, b): (Vec<&str>, Vec<&str>) = (stock.lines().collect(), ours.lines().collect());
    let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let tail = a[same..].iter().rev().zip(b[same..].iter().rev()).take_while(|(a, b)| a == b).count();
    let mut out = format!("  {what} from line {}:\n", same + 1);
    for (sign, side) in [('-', &a), ('+', &b)] {
        for line in side[same..side.len() - tail].iter().take(25) {
            out.push_str(&format!("  {sign}{line}\n"));
        }
    }
    out
}

/// Copies a directory of templates.
fn copy(from: &Path, to: &Path, ns: &str) {
    fs::create_dir_all(to).expect("create a directory");
    for entry in fs::read_dir(from).expect("read a directory") {
        let path = entry.expect("entry").path();
        let to = to.join(path.file_name().expect("name"));
        if path.is_dir() {
            copy(&path, &to, ns);
        } else {
            let text = fs::read_to_string(&path).expect("read").replace("{ns}", ns);
            fs::write(&to, text).expect("write");
            fs::set_permissions(&to, path.metadata().expect("metadata").permissions()).expect("mode");
        }
    }
}

/// Files below a path and what they say.
fn tree(path: &Path) -> String {
    if !path.is_dir() {
        return fs::read_to_string(path).unwrap_or_else(|_| "absent".into());
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(path)
        .map(|all| all.filter_map(|e| e.ok().map(|e| e.path())).collect())
        .unwrap_or_default();
    entries.sort();
    let name = |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    entries.iter().map(|e| format!("{}:\n{}\n", name(e), tree(e))).collect()
}

fn unbase64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bits, mut held, mut out) = (0_u32, 0, Vec::new());
    for v in text.bytes().filter_map(value) {
        bits = bits << 6 | u32::from(v);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out
}
