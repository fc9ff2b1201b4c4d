use std::io::Write as _;

use cri::RuntimeService as _;
use stdx::SystemClock;

use super::*;

const LOG: &str = "\
2026-01-01T00:00:01.000000001Z stdout F one
2026-01-01T00:00:02Z stderr F two
2026-01-01T00:00:03Z stdout P thr
2026-01-01T00:00:03Z stdout F ee
garbage
2026-01-01T00:00:04Z stdout F 
2026-01-01T00:00:05Z stdout F five
";

async fn read(path: &Path, options: LogOptions) -> String {
    let stream = open(path, options, futures::future::ready(()).boxed()).await.unwrap();
    let chunks: Vec<_> = stream.map(|c| c.unwrap()).collect().await;
    String::from_utf8(chunks.concat()).unwrap()
}

async fn check(options: LogOptions, expected: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    std::fs::write(&path, LOG).unwrap();
    assert_eq!(read(&path, options.clone()).await, expected, "{options:?}");
}

#[tokio::test]
async fn options_choose_lines() {
    let all = LogOptions::default;
    check(all(), "one\ntwo\nthree\n\nfive\n").await;
    check(LogOptions { tail: Some(1), ..all() }, "five\n").await;
    check(LogOptions { tail: Some(0), ..all() }, "").await;
    check(LogOptions { tail: Some(100), ..all() }, "one\ntwo\nthree\n\nfive\n").await;
    check(LogOptions { stream: Some(StreamName::Stderr), ..all() }, "two\n").await;
    check(LogOptions { since: "2026-01-01T00:00:04Z".parse().ok(), ..all() }, "\nfive\n").await;
    check(LogOptions { limit: Some(6), ..all() }, "one\ntw").await;
    check(
        LogOptions { timestamps: true, tail: Some(2), ..all() },
        "2026-01-01T00:00:04Z \n2026-01-01T00:00:05Z five\n",
    )
    .await;
    let first = LogOptions { timestamps: true, limit: Some(34), ..all() };
    check(first, "2026-01-01T00:00:01.000000001Z one").await;
}

#[tokio::test]
async fn tail_looks_back_over_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    let line = |n: usize| format!("2026-01-01T00:00:00Z stdout F {n:0>200}\n");
    std::fs::write(&path, (0..1000).map(line).collect::<String>()).unwrap();
    let text = read(&path, LogOptions { tail: Some(500), ..LogOptions::default() }).await;
    assert_eq!(text.lines().count(), 500);
    assert!(text.starts_with(&format!("{:0>200}\n", 500)));
}

fn append(path: &Path, text: &str) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Reads until `expected` has been seen.
async fn expect(stream: &mut BoxStream<'static, io::Result<Bytes>>, expected: &str) {
    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        seen.extend_from_slice(&stream.next().await.expect("more").unwrap());
    }
    assert_eq!(String::from_utf8(seen).unwrap(), expected);
}

#[tokio::test]
async fn following_survives_rotation_and_ends_with_the_container() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    std::fs::write(&path, "2026-01-01T00:00:01Z stdout F a\n").unwrap();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let mut stream = open(&path, options, ended.map(drop).boxed()).await.unwrap();
    expect(&mut stream, "a\n").await;
    append(&path, "2026-01-01T00:00:02Z stdout F b");
    append(&path, "b\n");
    expect(&mut stream, "bb\n").await;
    append(&path, "2026-01-01T00:00:03Z stdout F c\n");
    std::fs::rename(&path, dir.path().join("0.log.1")).unwrap();
    append(&path, "2026-01-01T00:00:04Z stdout F d\n");
    expect(&mut stream, "c\nd\n").await;
    // What was written before the end is read, although nobody tells of it.
    append(&path, "2026-01-01T00:00:05Z stdout F e\n");
    end.send(()).unwrap();
    expect(&mut stream, "e\n").await;
    assert!(stream.next().await.is_none());
}

#[test]
fn last_lines_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    std::fs::write(&path, LOG).unwrap();
    assert_eq!(last_lines(&path, 80, 2048).unwrap(), "one\ntwo\nthree\n\nfive\n");
    assert_eq!(last_lines(&path, 2, 2048).unwrap(), "\nfive\n");
    assert_eq!(last_lines(&path, 80, 4).unwrap(), "ive\n");
}

#[tokio::test]
async fn rotation_keeps_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let fake = cri::fake::FakeRuntime::new(SystemClock::shared());
    fake.add_image("i");
    let sandbox = fake.run_pod_sandbox(&cri::PodSandboxConfig::default()).await.unwrap();
    let config = cri::ContainerConfig { image: "i".into(), log_path: "0.log".into(), ..Default::default() };
    let pod =
        cri::PodSandboxConfig { log_directory: dir.path().to_string_lossy().into(), ..Default::default() };
    let id = fake.create_container(&sandbox, &config, &pod).await.unwrap();
    let log = dir.path().join("0.log");
    let policy = rotate::Policy { max_bytes: 10, max_files: 3 };
    for hour in 0..5 {
        std::fs::write(&log, format!("more than ten bytes {hour}")).unwrap();
        let now = format!("2026-01-01T0{hour}:00:00Z").parse().unwrap();
        assert!(rotate::rotate(&fake, &id, &log, policy, now).await.unwrap());
        assert!(!rotate::rotate(&fake, &id, &log, policy, now).await.unwrap());
    }
    let mut names: Vec<_> = rotate::rotated(&log)
        .unwrap()
        .iter()
        .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["0.log.20260101-030000", "0.log.20260101-040000"]);
    // The runtime cannot: the log stays where it is.
    std::fs::write(&log, "more than ten bytes").unwrap();
    fake.fail_next("reopen_container_log", cri::Error::Unknown("no".into()));
    let now = "2026-01-01T09:00:00Z".parse().unwrap();
    assert!(rotate::rotate(&fake, &id, &log, policy, now).await.is_err());
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "more than ten bytes");
}
