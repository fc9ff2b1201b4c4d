//! `knarr kubectl kustomize` beside stock kubectl on the same files, without any server: the cases of the crate's own test, whose
//! recorded answers are thereby shown to be stock's. Where no stock kubectl is at hand, that test alone has to do.

use std::path::Path;
use std::process::Command;

/// The parts of a text that begin with a mark at the start of a line: what stands behind the mark, and the lines below.
fn parts<'t>(text: &'t str, mark: &str) -> Vec<(&'t str, &'t str)> {
    let mut starts: Vec<usize> = text.match_indices(mark).map(|(at, _)| at).collect();
    starts.retain(|at| *at == 0 || text.as_bytes()[at - 1] == b'\n');
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let part = |(at, end): (usize, usize)| text[at + mark.len()..end].split_once('\n').unwrap_or(("", ""));
    starts.iter().copied().zip(ends).map(part).collect()
}

fn run(program: &Path, first: &[&str], root: &Path) -> (Option<i32>, String, String) {
    let out = Command::new(program).args(first).arg("kustomize").arg(root).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

/// Without what no two runs have in common: addresses, and how YAML's mistakes are told.
fn comparable(text: &str) -> String {
    let lines = text.lines().map(|line| match (line.find("merging from generator"), line.find("yaml: ")) {
        (Some(at), _) => {
            let rest = line[at..].split_once(": ").map_or("", |(_, rest)| rest);
            format!("{}merging from generator: {rest}", &line[..at])
        }
        (None, Some(at)) if line.starts_with("error: ") && !line.contains("cannot decode") => {
            line[..at].to_owned()
        }
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Compares the cases of a file; how many they are.
fn compare(file: &Path) -> usize {
    let (ours, stock) = (e2e::binary(), e2e::kubectl());
    let cases = std::fs::read_to_string(file).expect("read");
    let all = parts(&cases, "=== ");
    for (name, text) in &all {
        let dir = tempfile::tempdir().expect("a directory");
        let files = parts(text, "-- ");
        for (path, text) in files.into_iter().filter(|(path, _)| !matches!(*path, "stdout" | "stderr")) {
            let file = dir.path().join(path);
            std::fs::create_dir_all(file.parent().expect("a parent")).expect("made");
            let text = text.trim_end_matches('\n');
            let end = if text.is_empty() { "" } else { "\n" };
            std::fs::write(file, format!("{text}{end}")).expect("written");
        }
        let (a, b) = (run(&ours, &["kubectl"], dir.path()), run(&stock, &[], dir.path()));
        assert_eq!(a.1, b.1, "stdout of {name}");
        assert_eq!(comparable(&a.2), comparable(&b.2), "stderr of {name}");
        assert_eq!(a.0, b.0, "exit code of {name}");
    }
    all.len()
}

#[test]
fn as_stock() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/kubectl/src/kustomize/cases");
    let files = std::fs::read_dir(folder).expect("cases").map(|e| e.expect("a file").path());
    let files: Vec<_> = files.collect();
    let compared: usize = std::thread::scope(|scope| {
        let all: Vec<_> = files.iter().map(|file| scope.spawn(|| compare(file))).collect();
        all.into_iter().map(|one| one.join().expect("the same")).sum()
    });
    assert!(compared > 100, "{compared} cases");
}
