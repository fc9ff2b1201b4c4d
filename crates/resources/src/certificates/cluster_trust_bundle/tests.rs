use codec::Kind;
use expect_test::expect;

use super::*;
use crate::testing::{causes, check_rows};

fn authority(ca: bool) -> String {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    if ca {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    }
    params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
}

fn bundle(name: &str, signer: &str, trust: &str) -> ClusterTrustBundle {
    let spec = json!({"signerName": signer, "trustBundle": trust});
    let json = json!({"metadata": {"name": name}, "spec": spec});
    ClusterTrustBundle::from_json(json.to_string().as_bytes()).unwrap()
}

#[test]
fn names() {
    let ca = authority(true);
    let check = |name, signer| causes(&crate::Strategy::validate(&Strategy, &bundle(name, signer, &ca)));
    assert_eq!(check("a.b", ""), "fine\n");
    assert_eq!(check("example.com:foo:v1", "example.com/foo"), "fine\n");
    expect![[r#"
        metadata.name: Invalid value: "a:b": ClusterTrustBundle without signer name must not have ":" in its name
    "#]]
    .assert_eq(&check("a:b", ""));
    expect![[r#"
        metadata.name: Invalid value: "v1": ClusterTrustBundle for signerName example.com/foo must be named with prefix example.com:foo:
    "#]]
    .assert_eq(&check("v1", "example.com/foo"));
    expect![[r#"
        spec.signerName: Invalid value: "x": must be a fully qualified domain and path of the form 'example.com/signer-name'
    "#]]
    .assert_eq(&check("x:a", "x"));
}

#[test]
fn contents() {
    let (ca, leaf) = (authority(true), authority(false));
    let check = |trust: &str| causes(&crate::Strategy::validate(&Strategy, &bundle("a", "", trust)));
    assert_eq!(check(&format!("text\n{ca}more\n{}", authority(true))), "fine\n");
    let wrong = [
        String::new(),
        leaf,
        ca.replace("CERTIFICATE", "SECRET"),
        ca.replacen("CERTIFICATE-----\n", "CERTIFICATE-----\nA: b\n\n", 1),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(),
        format!("{ca}{ca}"),
    ];
    expect![[r#"
        spec.trustBundle: Invalid value: "<value omitted>": at least one trust anchor must be provided
        spec.trustBundle: Invalid value: "<value omitted>": entry 0 does not have the CA bit set
        spec.trustBundle: Invalid value: "<value omitted>": entry 0 has bad block type: SECRET
        spec.trustBundle: Invalid value: "<value omitted>": entry 0 has PEM block headers
        spec.trustBundle: Invalid value: "<value omitted>": entry 0 does not parse as X.509
        spec.trustBundle: Invalid value: "<value omitted>": duplicate trust anchor (indices [0 1])
    "#]]
    .assert_eq(&wrong.iter().map(|trust| check(trust)).collect::<String>());
}

#[test]
fn the_signer_stays() {
    let ca = authority(true);
    let (old, new) = (bundle("example.com:foo:a", "example.com/foo", &ca), bundle("a", "", &ca));
    expect![[r#"
        metadata.name: Invalid value: "example.com:foo:a": ClusterTrustBundle without signer name must not have ":" in its name
        spec.signerName: Invalid value: "": field is immutable
    "#]]
    .assert_eq(&{
        let mut new = new;
        new.metadata.name = old.metadata.name.clone();
        causes(&crate::Strategy::validate_update(&Strategy, &new, &old, Part::Main))
    });
}

#[test]
fn one_text_of_many() {
    let (a, b) = (authority(true), authority(true));
    let both = anchors([format!("x\n{a}{b}").as_str(), &b]);
    assert_eq!(x509::blocks(&both).len(), 2);
    assert_eq!(both, anchors([b.as_str(), &a]));
}

#[test]
fn rows() {
    check_rows(
        &Strategy,
        r#"{"metadata": {"name": "a"}, "spec": {"trustBundle": ""}}"#,
        "
        spec.trustBundle = \"\"

        spec.signerName = \"example.com/foo\"
        ",
        expect![[r#"
            NAME  SIGNERNAME
            a  <none>
            a  example.com/foo
        "#]],
    );
}
