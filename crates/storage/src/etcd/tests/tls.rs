//! etcd that wants certificates.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::*;

pub(super) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ca(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes NAME.crt and NAME.key.
    pub fn issue(&self, dir: &Path, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        std::fs::write(dir.join(format!("{name}.crt")), certificate.pem()).unwrap();
        std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    pub fn write(&self, file: &Path) {
        std::fs::write(file, self.0.pem()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_shown_and_checked() {
    // As main does it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let (ca, other) = (Ca::new(), Ca::new());
    ca.write(&file("ca.crt"));
    other.write(&file("other.crt"));
    ca.issue(dir.path(), "server");
    ca.issue(dir.path(), "client");
    other.issue(dir.path(), "stranger");
    let arg = |flag: &str, name: &str| format!("--{flag}={}", file(name).display());
    let args = [
        arg("cert-file", "server.crt"),
        arg("key-file", "server.key"),
        arg("trusted-ca-file", "ca.crt"),
        "--client-cert-auth".into(),
    ];
    let args: Vec<&str> = args.iter().map(|a| &**a).collect();
    let server = Server::start_at("https", &args);

    let config = |ca: &str, identity: Option<&str>| EtcdConfig {
        ca_file: Some(file(ca)),
        cert_file: identity.map(|i| file(&format!("{i}.crt"))),
        key_file: identity.map(|i| file(&format!("{i}.key"))),
        ..config(&server.url, "/test")
    };
    let clock = SystemClock::shared();
    let until = clock.monotonic() + Duration::from_secs(60);
    let tasks = Tasks::new();
    let engine = loop {
        match EtcdEngine::open(config("ca.crt", Some("client")), &tasks).await {
            Ok(engine) => break engine,
            Err(error) => assert!(clock.monotonic() < until, "{error}"),
        }
        clock.sleep(Duration::from_millis(50)).await;
    };
    let made = write(&engine, put("/a", "1")).await;
    assert_eq!(engine.get("/a").await.unwrap().unwrap().revision, made);

    for (ca, identity, why) in [
        ("other.crt", Some("client"), "certificate"),
        ("ca.crt", Some("stranger"), "etcd at https://"),
        ("ca.crt", None, "etcd at https://"),
    ] {
        let refused = EtcdEngine::open(config(ca, identity), &tasks).await.err().unwrap().to_string();
        assert!(refused.contains(why), "{ca} {identity:?}: {refused}");
    }
    tasks.stop().await;
}
