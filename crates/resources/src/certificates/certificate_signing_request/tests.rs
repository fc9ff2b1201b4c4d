use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_rows, object};

const REQUEST: &str = r#"{"metadata": {"name": "r", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"request": "AA==", "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"], "username": "ann"}}"#;

#[test]
fn rules() {
    check_create(
        &Strategy,
        REQUEST,
        r#"
        spec.usages = []

        spec.usages = ["client auth", "client auth", "odd"]

        spec.signerName = ""

        spec.signerName = "nobody"

        spec.signerName = "short/name"

        spec.signerName = "example.com/"

        spec.signerName = "kubernetes.io/legacy-unknown"

        spec.expirationSeconds = 5
        "#,
        expect![[r#"
            spec.usages = []
                spec.usages: Required value
            spec.usages = ["client auth", "client auth", "odd"]
                spec.usages[1]: Duplicate value: "client auth"
                spec.usages[2]: Unsupported value: "odd": supported values: "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping"
            spec.signerName = ""
                spec.signerName: Required value
            spec.signerName = "nobody"
                spec.signerName: Invalid value: "nobody": must be a fully qualified domain and path of the form 'example.com/signer-name'
            spec.signerName = "short/name"
                spec.signerName: Invalid value: "short": should be a domain with at least two segments separated by dots
            spec.signerName = "example.com/"
                spec.signerName: Invalid value: "example.com/": validation failed for signerName: path must not be empty
            spec.signerName = "kubernetes.io/legacy-unknown"
                spec.signerName: Invalid value: "kubernetes.io/legacy-unknown": the legacy signerName is not allowed via this API version
            spec.expirationSeconds = 5
                spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 600 seconds (10 minutes)
        "#]],
    );
}

/// Old and new as edits of one request; what the part may not write comes from the old one.
fn change(old: &str, new: &str, part: Part) -> (CertificateSigningRequest, String) {
    use crate::Strategy as _;
    let old = object(&Strategy, REQUEST, old);
    let mut new = object(&Strategy, REQUEST, new);
    Strategy.prepare_update(&mut new, &old, part);
    let said = crate::testing::causes(&Strategy.validate_update(&new, &old, part));
    (new, said)
}

const APPROVED: &str = r#"status.conditions = [{"type": "Approved", "status": "True"}]"#;
const ISSUED: &str =
    r#"status.certificate = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K""#;

#[test]
fn who_writes_what() {
    let (new, said) = change("", APPROVED, Part::Approval);
    assert_eq!((said.as_str(), new.is_approved()), ("fine\n", true));
    let (new, said) = change("", APPROVED, Part::Status);
    assert_eq!((said.as_str(), new.is_approved()), ("fine\n", false));
    let (new, said) = change("", &format!("{APPROVED}\n{ISSUED}"), Part::Main);
    assert_eq!((said.as_str(), new.is_approved() || new.is_issued()), ("fine\n", false));
    let (new, said) = change("", ISSUED, Part::Status);
    assert_eq!((said.as_str(), new.is_issued()), ("fine\n", true));
    let (new, said) = change("", r#"spec.usages = ["any"]"#, Part::Main);
    assert_eq!((said.as_str(), new.spec.usages), ("fine\n", Some(vec!["client auth".to_owned()])));
}

#[test]
fn verdicts_stand() {
    let said = [
        change(APPROVED, "", Part::Approval).1,
        change(APPROVED, r#"status.conditions = [{"type": "Approved", "status": "True"}, {"type": "Denied", "status": "True"}]"#, Part::Approval).1,
        change("", r#"status.conditions = [{"type": "Approved", "status": "False"}]"#, Part::Approval).1,
        change("", r#"status.conditions = [{"type": "", "status": "Odd"}]"#, Part::Approval).1,
        change(ISSUED, r#"status.certificate = "AA==""#, Part::Status).1,
        change("", r#"status.certificate = "AA==""#, Part::Status).1,
    ];
    expect![[r#"
        status.conditions: Forbidden: updates may not remove a condition of type "Approved"
        status.conditions[1].type: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive
        status.conditions[0].status: Unsupported value: "False": supported values: "True"
        status.conditions[0].type: Required value
        status.conditions[0].status: Unsupported value: "Odd": supported values: "False", "True", "Unknown"
        status.certificate: Forbidden: updates may not set existing certificate content
        status.certificate: Invalid value: "<certificate data>": must contain at least one CERTIFICATE PEM block
    "#]].assert_eq(&said.concat());
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        REQUEST,
        r#"
        spec.expirationSeconds = 3600

        status = {"conditions": [{"type": "Approved", "status": "True"}], "certificate": "AA=="}

        status.conditions = [{"type": "Denied", "status": "True"}, {"type": "Failed", "status": "True"}]
        "#,
        expect![[r#"
            NAME  AGE  SIGNERNAME  REQUESTOR  REQUESTEDDURATION  CONDITION
            r  10m  kubernetes.io/kube-apiserver-client  ann  60m  Pending
            r  10m  kubernetes.io/kube-apiserver-client  ann  <none>  Approved,Issued
            r  10m  kubernetes.io/kube-apiserver-client  ann  <none>  Denied,Failed
        "#]],
    );
}
