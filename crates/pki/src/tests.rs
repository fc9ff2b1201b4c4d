use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{Timestamp, ToSpan};
use rcgen::PublicKeyData;
use stdx::clock::Clock;
use testkit::FakeClock;

use crate::ca::{Ca, LEAF_LIFETIME, Template, Usage};
use crate::sakey::{PublicKey, SigningKey};
use crate::store::Pki;
use crate::trust::ClientTrust;
use crate::{Identity, Kubeconfig, LiveIdentity, tls};

/// 2026-11-24T00:00:00Z
fn now() -> Timestamp {
    "2026-11-24T00:00:00Z".parse().unwrap()
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn days(n: i64) -> jiff::Span {
    (n * 24).hours()
}

/// Judges `identity`'s chain against `ca` at `now` + `offset`: the subject, or the error.
fn check(ca: &Ca, identity: &Identity, offset: jiff::Span, expected: &str) {
    let trust = ClientTrust::new(ca.cert_pem()).unwrap();
    let text = match trust.verify(&identity.chain().unwrap(), now() + offset) {
        Ok(s) => format!("{} {:?}", s.common_name, s.organizations),
        Err(e) => format!("{e:#}"),
    };
    assert!(text.contains(expected), "{text:?} does not contain {expected:?}");
}

#[test]
fn client_certificates_are_judged() {
    let (ca, _) = Ca::create("test-ca", now()).unwrap();
    let (other, _) = Ca::create("test-ca", now()).unwrap();
    let admin = ca.issue(&Template::client("admin", "system:masters"), now()).unwrap();
    let nobody = ca.issue(&Template::client("nobody", ""), now()).unwrap();
    let server = ca.issue(&Template::server("web", ["web.example", "10.0.0.1"]), now()).unwrap();
    check(&ca, &admin, days(0), r#"admin ["system:masters"]"#);
    check(&ca, &nobody, days(364), "nobody []");
    check(&ca, &admin, days(366), "expired");
    check(&ca, &admin, days(-1), "not valid yet");
    check(&other, &admin, days(0), "BadSignature");
    check(&ca, &server, days(0), "extended key usage");
    let (ca_itself, key) = Ca::create("self", now()).unwrap();
    check(&ca_itself, &Identity::new(ca_itself.cert_pem(), key), days(0), "CaUsedAsEndEntity");
}

#[test]
fn signing_requests_keep_their_subject() {
    let (ca, _) = Ca::create("test-ca", now()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "system:node:n1");
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "system:nodes");
    let request = params.serialize_request(&key).unwrap().pem().unwrap();
    let cert = ca.sign_request(&request, Usage::Client, LEAF_LIFETIME, now()).unwrap();
    check(&ca, &Identity::new(cert, key.serialize_pem()), days(0), r#"system:node:n1 ["system:nodes"]"#);
    assert!(ca.sign_request("garbage", Usage::Client, LEAF_LIFETIME, now()).is_err());
}

#[test]
fn the_directory_is_private_and_stable() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("pki");
    let clock = FakeClock::at(now());
    let template = Template::server("kube-apiserver", ["kubernetes", "127.0.0.1", "::1"]);
    let open = || Pki::load_or_create(&dir, clock.shared()).unwrap();
    let first = open();
    let issued = first.identity("apiserver", &template).unwrap();
    assert_eq!(mode(&dir), 0o700);
    for file in ["ca.crt", "ca.key", "sa.key", "apiserver.crt", "apiserver.key"] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 5, "no temporary files stay");

    let second = open();
    assert_eq!(second.ca.cert_pem(), first.ca.cert_pem());
    assert_eq!(second.service_account.public(), first.service_account.public());
    assert_eq!(second.identity("apiserver", &template).unwrap(), issued);

    // Anything that would not do is replaced: other names, another subject, a key of something else, near expiry.
    let wider = Template::server("kube-apiserver", ["kubernetes", "127.0.0.1", "::1", "10.1.1.1"]);
    let wide = second.identity("apiserver", &wider).unwrap();
    assert_ne!(wide, issued);
    let client = Template::client("kube-apiserver", "");
    assert_ne!(second.identity("apiserver", &client).unwrap(), wide);
    let wide = second.identity("apiserver", &wider).unwrap();
    std::fs::write(dir.join("apiserver.key"), &issued.key_pem).unwrap();
    let again = second.identity("apiserver", &wider).unwrap();
    assert_ne!(again, wide);
    clock.advance(274 * DAY);
    assert_eq!(second.identity("apiserver", &wider).unwrap(), again);
    clock.advance(2 * DAY);
    assert_ne!(second.identity("apiserver", &wider).unwrap(), again);
}

#[tokio::test]
async fn running_servers_get_new_certificates_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let clock = FakeClock::at(now());
    let pki = Arc::new(Pki::load_or_create(dir.path(), clock.shared()).unwrap());
    let template = Template::server("s", ["localhost"]);
    let live = pki.live("s", &template).unwrap();
    let serves = || live.current().cert[0].to_vec();
    let first = serves();
    let renewal = pki.clone().keep_fresh("s".into(), template, live.clone());
    tokio::pin!(renewal);
    for (days, renewed) in [(0, false), (273, false), (3, true)] {
        let _ = futures::poll!(&mut renewal);
        clock.advance(days * DAY);
        let _ = futures::poll!(&mut renewal);
        assert_eq!(serves() != first, renewed, "after {days} more days");
    }
    // A directory that cannot be written is no reason to stop serving.
    let second = serves();
    std::fs::remove_dir_all(dir.path()).unwrap();
    clock.advance(300 * DAY);
    let _ = futures::poll!(&mut renewal);
    assert_eq!(serves(), second);
}

#[test]
fn a_ca_renews_itself_with_its_key_and_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("ca.crt"), dir.path().join("ca.key"));
    let open = |at| Ca::load_or_create(&cert, &key, "test-ca", at);
    let old = open(now()).unwrap();
    let admin = old.issue(&Template::client("admin", ""), now()).unwrap();
    let late = now() + days(3650 - 364);
    let new = open(late).unwrap();
    assert_ne!(old.cert_pem(), new.cert_pem());
    assert!(new.not_after() > old.not_after());
    // Both ways: what either issued is good under the other (only dates differ).
    check(&old, &new.issue(&Template::client("late", ""), late).unwrap(), days(3650 - 300), "late []");
    let trust = ClientTrust::new(new.cert_pem()).unwrap();
    assert!(trust.verify(&admin.chain().unwrap(), now()).is_ok());
    std::fs::remove_file(&key).unwrap();
    let error = open(now()).unwrap_err().to_string();
    assert!(error.contains("ca.key is missing"), "{error}");
}

#[test]
fn short_lives_are_short_and_an_old_ca_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let clock = FakeClock::at(now());
    let pki = Pki::load_or_create(dir.path(), clock.shared()).unwrap();
    let year = pki.identity("long", &Template::server("s", ["s"])).unwrap().validity().unwrap();
    assert_eq!(year.0, now() - 5.minutes(), "clocks may differ");
    let pki = pki.with_lifetime(Duration::from_secs(40));
    let (from, until) = pki.identity("short", &Template::server("s", ["s"])).unwrap().validity().unwrap();
    assert_eq!((from, until), (now() - 10.seconds(), now() + 40.seconds()));
    assert_eq!(pki.ca_warning(), None);
    clock.advance(3300 * DAY);
    assert!(pki.ca_warning().expect("it ends soon").contains("restart this server"));
}

#[test]
fn a_foreign_or_broken_ca_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (a, _) = Ca::create("a", now()).unwrap();
    let (_, b_key) = Ca::create("b", now()).unwrap();
    let mismatch = Ca::from_pem(a.cert_pem(), &b_key).unwrap_err().to_string();
    assert!(mismatch.contains("does not belong"), "{mismatch}");
    for (file, other) in [("ca.crt", "ca.key"), ("ca.key", "ca.crt")] {
        std::fs::write(dir.path().join(file), "rubbish").unwrap();
        std::fs::write(dir.path().join(other), a.cert_pem()).unwrap();
        assert!(Pki::load_or_create(dir.path(), FakeClock::at(now()).shared()).is_err(), "{file}");
    }
}

#[test]
fn service_account_keys_sign_and_verify() {
    let key = SigningKey::from_pem(&SigningKey::generate_pem().unwrap()).unwrap();
    let signature = key.sign(b"message").unwrap();
    assert_eq!((key.algorithm(), signature.len()), ("ES256", 64));
    assert!(key.public().verify(b"message", &signature));
    assert!(!key.public().verify(b"massage", &signature));
    assert!(!key.public().verify(b"message", &signature[1..]));
    let members = key.public().jwk_members().unwrap();
    assert_eq!(members.map(|(name, value)| (name, value.len())), [("x", 43), ("y", 43)]);
    assert_eq!(key.public().id().len(), 43);
    assert!(SigningKey::from_pem("rubbish").is_err());
}

/// Read back from PEM, a key has the same id: ours is computed from parts, the other comes from a whole SubjectPublicKeyInfo.
#[test]
fn public_keys_are_read_from_pem() {
    let pair = rcgen::KeyPair::generate().unwrap();
    let key = SigningKey::from_pem(&pair.serialize_pem()).unwrap();
    let public = PublicKey::from_pem(&pair.public_key_pem()).unwrap();
    assert_eq!(&public, key.public());
    let whole = ring::digest::digest(&ring::digest::SHA256, &pair.subject_public_key_info());
    assert_eq!(public.id(), URL_SAFE_NO_PAD.encode(whole));
    assert!(PublicKey::from_pem(&pair.serialize_pem()).is_err());
}

#[test]
fn kubeconfig_is_private_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("etc/kubeconfig");
    let identity = Identity::new("CERT", "KEY");
    let config =
        Kubeconfig { name: "knarr", server: "https://127.0.0.1:6443", ca_pem: "CA", identity: &identity };
    config.write(&path).unwrap();
    config.write(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    for line in [
        "    server: \"https://127.0.0.1:6443\"",
        "    certificate-authority-data: Q0E=",
        "    client-certificate-data: Q0VSVA==",
        "    client-key-data: S0VZ",
        "current-context: \"knarr\"",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
    // What is no file is written into, and stays what it is.
    let nowhere = dir.path().join("nowhere");
    std::os::unix::fs::symlink("/dev/null", &nowhere).unwrap();
    config.write(&nowhere).unwrap();
    assert!(std::fs::symlink_metadata(&nowhere).unwrap().is_symlink());
}

/// A whole handshake in memory: what the server learns of the client.
#[test]
fn handshakes_pass_any_certificate_up_but_only_with_its_key() {
    let (ca, _) = Ca::create("ca", now()).unwrap();
    let (foreign, _) = Ca::create("foreign", now()).unwrap();
    let live = |i: Identity| Arc::new(LiveIdentity::new(&i).unwrap());
    // Real time is the client's business here: rustls checks the server's dates by the system clock.
    let real = stdx::SystemClock.now();
    let (real_ca, _) = Ca::create("real", real).unwrap();
    let server = live(real_ca.issue(&Template::server("s", ["localhost"]), real).unwrap());
    let server = Arc::new(tls::server_config(server).unwrap());
    let shown = |identity: Option<Identity>| {
        let config = tls::client_config(real_ca.cert_pem(), identity.map(live)).unwrap();
        handshake(server.clone(), Arc::new(config)).map(|certs| certs.len())
    };
    let admin = Template::client("admin", "");
    assert_eq!(shown(None), Ok(0));
    assert_eq!(shown(Some(ca.issue(&admin, now()).unwrap())), Ok(1));
    assert_eq!(shown(Some(foreign.issue(&admin, now()).unwrap())), Ok(1));
    let stolen =
        Identity::new(ca.issue(&admin, now()).unwrap().cert_pem, ca.issue(&admin, now()).unwrap().key_pem);
    assert!(LiveIdentity::new(&stolen).is_err());
}

fn handshake(
    server: Arc<rustls::ServerConfig>,
    client: Arc<rustls::ClientConfig>,
) -> Result<Vec<rustls::pki_types::CertificateDer<'static>>, String> {
    let mut server = rustls::ServerConnection::new(server).unwrap();
    let mut client = rustls::ClientConnection::new(client, "localhost".try_into().unwrap()).unwrap();
    while server.is_handshaking() || client.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().map_err(|e| e.to_string())?;
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets().map_err(|e| e.to_string())?;
    }
    Ok(server.peer_certificates().unwrap_or_default().to_vec())
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_request_says_what_its_template_says() {
    let mut template = Template::client("system:node:n", "system:nodes");
    template.names = vec!["n".into(), "192.0.2.1".into()];
    let (request, key) = crate::request::make(&template).unwrap();
    let asked = crate::request::request_subject(request.as_bytes()).unwrap();
    assert_eq!(
        (asked.common_name.as_str(), asked.groups),
        ("system:node:n", vec!["system:nodes".to_owned()])
    );
    assert_eq!((asked.dns_names, asked.ips), (vec!["n".to_owned()], vec!["192.0.2.1".parse().unwrap()]));
    let (ca, _) = Ca::create("a", now()).unwrap();
    let cert = ca.sign_request(&request, Usage::Client, crate::ca::LEAF_LIFETIME, now()).unwrap();
    assert!(Identity::new(cert, key).certified_key().is_ok());
}

#[test]
fn a_pin_is_of_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let paths = [dir.path().join("c"), dir.path().join("k")];
    let load = |now| Ca::load_or_create(&paths[0], &paths[1], "a", now).unwrap();
    let (old, years) = (load(now()), std::time::Duration::from_secs(10 * 365 * 86400));
    let renewed = load(crate::ca::later(now(), years));
    assert_ne!(old.cert_pem(), renewed.cert_pem());
    let pin = crate::pin::of(old.cert_der()).unwrap();
    assert_eq!(pin.len(), 64);
    assert!(crate::pin::is_among(&pin, renewed.cert_pem()).unwrap());
    let (other, _) = Ca::create("a", now()).unwrap();
    assert!(!crate::pin::is_among(&pin, other.cert_pem()).unwrap());
    assert!(crate::pin::is_among(&pin, &format!("{}{}", other.cert_pem(), old.cert_pem())).unwrap());
}
