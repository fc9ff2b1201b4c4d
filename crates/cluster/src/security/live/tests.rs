use stdx::SystemClock;

use super::*;

fn ca(name: &str) -> String {
    let now = "2026-01-01T00:00:00Z".parse().expect("a time");
    pki::Ca::create(name, now).expect("a CA").0.cert_pem().to_owned()
}

#[tokio::test]
async fn a_file_is_followed_while_it_is_good() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ca.crt");
    let (first, second, own) = (ca("first"), ca("second"), ca("own"));
    std::fs::write(&path, &first).expect("write");
    let config = SecurityConfig { client_ca_file: Some(path.clone()), ..SecurityConfig::default() };
    let security = config.read("https://issuer").expect("security");
    let trusts = Trusts::new(&security, &own).expect("CAs");
    let (clock, tasks) = (SystemClock::shared(), Tasks::new());
    let mut changes = trusts.changes.subscribe();
    trusts.follow(&config, &own, &clock, &tasks);
    changes.changed().await.expect("the first look");
    let believes = |ca: &str| trusts.clients.current().pem.contains(ca.trim());
    assert!(believes(&own) && believes(&first) && !believes(&second));

    // Written beside it and renamed, as one does; something that is no CA in between.
    let replace = |text: &str| {
        let new = dir.path().join("new");
        std::fs::write(&new, text).expect("write");
        std::fs::rename(&new, &path).expect("rename");
    };
    replace("-----BEGIN CERTIFICATE-----\nbroken");
    replace(&second);
    changes.changed().await.expect("the second CA");
    assert!(believes(&own) && believes(&second) && !believes(&first));
    std::fs::remove_file(&path).expect("remove");
    replace("no certificate at all");
    replace(&first);
    changes.changed().await.expect("the first CA again");
    assert!(believes(&own) && believes(&first) && !believes(&second));
    tasks.stop().await;
}

#[tokio::test]
async fn what_is_no_ca_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ca.crt");
    let (given, own) = (ca("given"), ca("own"));
    std::fs::write(&path, &given).expect("write");
    let config = SecurityConfig { client_ca_file: Some(path.clone()), ..SecurityConfig::default() };
    let trusts = Trusts::new(&config.read("https://issuer").expect("security"), &own).expect("CAs");
    std::fs::write(&path, "no certificate at all").expect("write");
    let file = File { flag: "--client-ca-file", path, clock: SystemClock::shared() };
    let mut known = None;
    let clients = trusts.clients.clone();
    file.look(&mut known, &|pem: &str| taken(&clients, &own, pem));
    assert_eq!(known.as_deref(), Some("no certificate at all"));
    assert!(trusts.clients.current().pem.contains(given.trim()));
}
