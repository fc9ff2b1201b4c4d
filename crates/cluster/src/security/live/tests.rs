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
    replace(&first);
    changes.changed().await.expect("the first CA again");
    assert!(believes(&own) && believes(&first) && !believes(&second));
    tasks.stop().await;
}
