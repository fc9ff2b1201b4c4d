//! kill -9 under many writers: nothing acknowledged is lost. The victim is this test binary, run again.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;

use super::disk::Disk;
use super::*;
use crate::engine::*;

const DIR: &str = "KNARR_STORAGE_TEST_DIR";
const WRITERS: usize = 32;
const ROUNDS: usize = 5;

/// Runs one of the ignored tests below in a process of its own.
fn child(test: &str, dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", &format!("embedded::tests::crash::{test}")])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acked = BTreeMap::new();
    let mut highest = 0;
    for round in 0..ROUNDS {
        let mut child = child("victim", dir.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut told = 0;
        // After the kill the pipe still holds what was acknowledged before it.
        for line in lines {
            let [key, value, revision] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
            let Ok(revision) = revision.parse::<u64>() else { continue };
            assert!(revision > highest || told > 0, "round {round}: {revision} was handed out before");
            highest = highest.max(revision);
            acked.insert(key.to_string(), value.to_string());
            told += 1;
            if told == 300 + 100 * round {
                child.kill().unwrap();
            }
        }
        assert_eq!(child.wait().unwrap().signal(), Some(9), "round {round}");

        let engine = open(dir.path()).unwrap();
        for (key, value) in &acked {
            let found = engine.get(key).await.unwrap();
            assert_eq!(found.map(|kv| kv.value), Some(Bytes::from(value.clone())), "round {round}: {key}");
        }
    }
    assert!(acked.len() > 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test above in a process that it kills"]
async fn victim() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let engine = Arc::new(open(Path::new(&dir)).unwrap());
    let pid = std::process::id();
    let writer = |n: usize| {
        let engine = engine.clone();
        tokio::spawn(async move {
            for i in 0.. {
                let (key, value) = (format!("/{pid}/{n}/{i}"), format!("{i}-{}", "x".repeat(500)));
                let revision = engine
                    .commit(crate::testsuite::txn(vec![], vec![crate::testsuite::put(&key, &value)]))
                    .await;
                let revision = revision.unwrap();
                // One write, so that a line is there whole or not at all. The reader's end closes when it dies.
                let line = format!("{key} {value} {revision}\n");
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        })
    };
    for writer in (0..WRITERS).map(writer).collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

#[test]
fn a_failed_fsync_stops_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let output = child("failing", dir.path()).wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(6), "{errors}");
    assert!(errors.contains("FATAL: the disk under the store failed to take a commit"), "{errors}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test above in a process that dies of it"]
async fn failing() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let disk = Disk::new("failing");
    let config = EmbeddedConfig { vfs: Some(disk.name.clone()), ..EmbeddedConfig::new(dir) };
    let engine = EmbeddedEngine::open(config).unwrap();
    disk.fails.store(true, std::sync::atomic::Ordering::SeqCst);
    let result = engine.commit(crate::testsuite::txn(vec![], vec![crate::testsuite::put("/a", "1")])).await;
    panic!("still alive with {result:?}");
}
