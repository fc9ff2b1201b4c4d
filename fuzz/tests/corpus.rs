//! Every seed, and some hundred inputs made of each target's: the same in every run.

use fuzz::meter::Counting;
use fuzz::run::{Until, run, seeds};
use fuzz::targets::TARGETS;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn no_input_breaks_a_decoder() {
    let dir = tempfile::tempdir().unwrap();
    for target in TARGETS {
        let done = run(target, Until::Count(target.in_test), 20261124, dir.path());
        assert_eq!(done.unwrap_or_else(|e| panic!("{}: {e:#}", target.name)), target.in_test);
    }
}

/// A target without seeds, or seeds without a target, would go unnoticed.
#[test]
fn seeds_and_targets_belong_together() {
    let mut dirs: Vec<String> = std::fs::read_dir(fuzz::run::corpus())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    dirs.sort();
    let mut names: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
    names.sort_unstable();
    assert_eq!(dirs, names);
    for name in names {
        assert!(seeds(name).unwrap().len() >= 3, "{name} has few seeds");
    }
}
