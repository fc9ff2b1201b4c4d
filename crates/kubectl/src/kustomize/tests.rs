//! Cases, and what stock kubectl 1.37.1 makes of them, recorded. Text files: `=== name`, `-- path` for each file, `-- stdout` and
//! `-- stderr` last. Their root is `ROOT`. tests/tests/kustomize.rs runs stock itself on the same.

use std::path::Path;

use super::{Restriction, build};

/// The parts of a text that begin with a mark at the start of a line: what stands behind the mark, and the lines below.
fn parts<'t>(text: &'t str, mark: &str) -> Vec<(&'t str, &'t str)> {
    let mut found = Vec::new();
    let mut starts: Vec<usize> = text.match_indices(mark).map(|(at, _)| at).collect();
    starts.retain(|at| *at == 0 || text.as_bytes()[at - 1] == b'\n');
    for (n, at) in starts.iter().enumerate() {
        let end = starts.get(n + 1).copied().unwrap_or(text.len());
        let part = &text[at + mark.len()..end];
        found.push(part.split_once('\n').unwrap_or((part, "")));
    }
    found
}

fn run(root: &Path) -> (String, String) {
    let mut stderr = String::new();
    let built = build(&root.display().to_string(), Restriction::RootOnly, &mut |line| {
        stderr.push_str(line);
        stderr.push('\n');
    });
    match built {
        Ok(objects) => {
            let all: Vec<String> = objects.iter().map(codec::yaml::from_value).collect();
            (all.join("---\n"), stderr)
        }
        Err(why) => (String::new(), format!("{stderr}error: {}\n", why.trim_end_matches('\n'))),
    }
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

fn check(cases: &str) {
    for (name, text) in parts(cases, "=== ") {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().canonicalize().expect("its path");
        let (mut stdout, mut stderr) = ("", "");
        for (path, text) in parts(text, "-- ") {
            match path {
                "stdout" => stdout = text,
                "stderr" => stderr = text,
                path => {
                    let file = root.join(path);
                    std::fs::create_dir_all(file.parent().expect("a parent")).expect("made");
                    let text = text.trim_end_matches('\n');
                    let end = if text.is_empty() { "" } else { "\n" };
                    std::fs::write(file, format!("{text}{end}")).expect("written");
                }
            }
        }
        let (out, err) = run(&root);
        let root = root.display().to_string();
        assert_eq!(out.replace(&root, "ROOT"), stdout, "stdout of {name}: {err}");
        assert_eq!(comparable(&err.replace(&root, "ROOT")), comparable(stderr), "stderr of {name}");
    }
}

#[test]
fn as_stock() {
    check(include_str!("cases/basics.txt"));
    check(include_str!("cases/generators.txt"));
    check(include_str!("cases/patches.txt"));
    check(include_str!("cases/replacements.txt"));
}
