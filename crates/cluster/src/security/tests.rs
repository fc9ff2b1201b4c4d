use super::*;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// What is said of a configuration; files are named `DIR/…`.
fn check(change: impl FnOnce(&mut SecurityConfig, &Path), wanted: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = SecurityConfig::default();
    change(&mut config, dir.path());
    let said = match config.read(ISSUER) {
        Ok(_) => "fine".to_owned(),
        Err(e) => format!("{e:#}").replace(&dir.path().display().to_string(), "DIR"),
    };
    assert_eq!(said, wanted);
}

fn file(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("file");
    std::fs::write(&path, text).expect("a file");
    path
}

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

#[test]
fn files_are_read_before_anything_is_made() {
    check(|_, _| {}, "fine");
    check(
        |c, dir| c.client_ca_file = Some(dir.join("none")),
        "--client-ca-file: read DIR/none: No such file or directory (os error 2)",
    );
    check(
        |c, dir| c.client_ca_file = Some(file(dir, "nothing")),
        "--client-ca-file DIR/file: take a file with certificates in PEM: no CA certificate in PEM text",
    );
    check(|c, dir| c.token_auth_file = Some(file(dir, "t,ann,1\nu,bob,2,\"a,b\"\n")), "fine");
    check(
        |c, dir| c.token_auth_file = Some(file(dir, "t,ann,1\nu,bob\n")),
        "--token-auth-file DIR/file: line 2: a token, a user and a uid are needed; a line is TOKEN,USER,UID or \
         TOKEN,USER,UID,\"GROUP,GROUP\"",
    );
    let key = SigningKey::generate_pem().expect("a key");
    check(|c, dir| c.service_account_signing_key_file = Some(file(dir, &key)), "fine");
    check(|c, dir| c.service_account_key_files = vec![file(dir, &key)], "fine");
    check(
        |c, dir| c.service_account_key_files = vec![file(dir, "x")],
        "--service-account-key-file DIR/file: no key in PEM text (BEGIN PUBLIC KEY, BEGIN PRIVATE KEY or BEGIN CERTIFICATE)",
    );
    check(
        |c, dir| c.admission_control_config_file = Some(file(dir, "kind: Odd\napiVersion: v1\n")),
        "--admission-control-config-file: DIR/file: no kind \"Odd\" is registered for version \"v1\"; write kind: \
         AdmissionConfiguration, apiVersion: apiserver.config.k8s.io/v1",
    );
}

#[test]
fn flags_are_checked() {
    check(|c, _| c.authorization_modes.clear(), "--authorization-mode: at least one mode is needed");
    check(
        |c, _| c.authorization_modes = vec![Mode::Rbac, Mode::Rbac],
        "--authorization-mode: Rbac has been specified more than once",
    );
    check(
        |c, _| c.enable_admission_plugins = list(&["Nonsense"]),
        "--enable-admission-plugins, --disable-admission-plugins: admission plugin \"Nonsense\" is unknown",
    );
    check(|c, _| c.service_account_issuers = list(&["https://a.example", "b"]), "fine");
    check(
        |c, _| c.service_account_issuers = list(&["a:b:c"]),
        "--service-account-issuer \"a:b:c\" contained a ':' but was not a valid URL",
    );
    check(
        |c, _| c.service_account_max_token_expiration = Some(Duration::from_secs(60)),
        "--service-account-max-token-expiration: the expiration must be between 1 hour and 2^32 seconds",
    );
    check(
        |c, _| c.request_header.allowed_names = list(&["front"]),
        "--requestheader-allowed-names needs --requestheader-client-ca-file: the CA of the proxy that may name users",
    );
    check(
        |c, _| c.request_header.username_headers = list(&["X Remote"]),
        "--requestheader-username-headers: \"X Remote\" is no name of an HTTP header; write, for example, X-Remote-User",
    );
}

#[test]
fn what_follows_from_flags() {
    let read = |change: fn(&mut SecurityConfig)| {
        let mut config = SecurityConfig::default();
        change(&mut config);
        config.read(ISSUER).expect("a good configuration")
    };
    let plain = read(|_| {});
    assert_eq!((&plain.tokens.issuers, &plain.tokens.audiences), (&list(&[ISSUER]), &list(&[ISSUER])));
    assert!(plain.anonymous);
    assert!(!read(|c| c.authorization_modes = vec![Mode::AlwaysAllow]).anonymous);
    let two = read(|c| c.service_account_issuers = list(&["https://new", "https://old"]));
    assert_eq!(two.tokens.audiences, list(&["https://new", "https://old"]));
    let own = read(|c| c.api_audiences = list(&["api"]));
    assert_eq!((own.tokens.issuers, own.tokens.audiences), (list(&[ISSUER]), list(&["api"])));
}
