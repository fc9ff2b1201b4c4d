use super::*;

fn payload(files: &[(&str, &str)]) -> Payload {
    let file = |text: &str| File { data: text.into(), mode: 0o644, owner: None };
    files.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect()
}

/// Names in the volume with what they show, hidden ones left out.
fn listing(dir: &Path) -> String {
    let mut lines = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("..") {
            continue;
        }
        let path = entry.path();
        lines.push(match path.is_dir() {
            true => {
                let mut inside: Vec<_> = fs::read_dir(&path)
                    .unwrap()
                    .flatten()
                    .map(|e| e.file_name().into_string().unwrap())
                    .collect();
                inside.sort();
                format!("{name}/[{}]", inside.join(","))
            }
            false => format!("{name}={}", fs::read_to_string(&path).unwrap_or("(dangling)".into())),
        });
    }
    lines.sort();
    lines.join(" ")
}

fn hidden(dir: &Path) -> usize {
    let names = fs::read_dir(dir).unwrap().flatten().map(|e| e.file_name().into_string().unwrap());
    names.filter(|n| n.starts_with("..")).count()
}

const KEEP: &dyn Fn(&Path) -> io::Result<()> = &|_| Ok(());

#[test]
fn versions_replace_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    assert!(write(dir, &payload(&[("a", "1"), ("d/x", "2"), ("d/y", "3")]), "..v1", KEEP).unwrap());
    assert_eq!(listing(dir), "a=1 d/[x,y]");
    assert_eq!(fs::read_link(dir.join("a")).unwrap(), Path::new("..data/a"));
    assert_eq!(fs::read_link(dir.join("..data")).unwrap(), Path::new("..v1"));
    assert!(write(dir, &payload(&[("a", "9"), ("b", "new")]), "..v2", KEEP).unwrap());
    assert_eq!(listing(dir), "a=9 b=new");
    // ..data and one version.
    assert_eq!(hidden(dir), 2);
}

#[test]
fn the_same_again_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let same = payload(&[("a", "1"), ("d/x", "2")]);
    assert!(write(dir.path(), &same, "..v1", KEEP).unwrap());
    fs::remove_file(dir.path().join("a")).unwrap();
    assert!(!write(dir.path(), &same, "..v2", KEEP).unwrap());
    // ... but mends a link that a crash left out.
    assert_eq!(listing(dir.path()), "a=1 d/[x]");
}

#[test]
fn less_is_a_change_and_so_is_a_mode() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &payload(&[("a", "1"), ("b", "1")]), "..v1", KEEP).unwrap();
    assert!(write(dir.path(), &payload(&[("a", "1")]), "..v2", KEEP).unwrap());
    assert_eq!(listing(dir.path()), "a=1");
    let mut strict = payload(&[("a", "1")]);
    strict.get_mut("a").unwrap().mode = 0o755;
    assert!(write(dir.path(), &strict, "..v3", KEEP).unwrap());
    let mode = fs::metadata(dir.path().join("a")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert!(write(dir.path(), &Payload::new(), "..v4", KEEP).unwrap());
    assert_eq!(listing(dir.path()), "");
}

#[test]
fn paths_stay_inside() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["", "/etc/passwd", "../x", "a/../../x", "..x"] {
        assert!(write(dir.path(), &payload(&[(path, "1")]), "..v", KEEP).is_err(), "{path}");
    }
    assert_eq!(hidden(dir.path()), 0);
}

#[test]
fn a_failed_preparation_changes_nothing_that_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &payload(&[("a", "1")]), "..v1", KEEP).unwrap();
    let fail: &dyn Fn(&Path) -> io::Result<()> = &|_| Err(io::Error::other("no"));
    assert!(write(dir.path(), &payload(&[("a", "2")]), "..v2", fail).is_err());
    assert_eq!(listing(dir.path()), "a=1");
    assert!(write(dir.path(), &payload(&[("a", "3")]), "..v3", KEEP).unwrap());
    assert_eq!((listing(dir.path()).as_str(), hidden(dir.path())), ("a=3", 2));
}
