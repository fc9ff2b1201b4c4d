use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

use super::*;

/// The request is whole, empty, and of the key's algorithm.
fn check(name: &str, oid: &str) {
    let made = generate(KeyType::parse(name).unwrap()).unwrap();
    assert!(made.key_pem.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{name}");
    assert!(made.key_pem.ends_with("-----END PRIVATE KEY-----\n"), "{name}");
    let (rest, request) = X509CertificationRequest::from_der(&made.request).unwrap();
    assert!(rest.is_empty(), "{name}");
    assert_eq!(request.certification_request_info.subject.iter().count(), 0, "{name}");
    assert!(request.requested_extensions().is_none_or(|mut e| e.next().is_none()), "{name}");
    assert_eq!(request.signature_algorithm.algorithm.to_id_string(), oid, "{name}");
}

#[test]
fn each_sort_of_key_is_made() {
    check("RSA3072", "1.2.840.113549.1.1.11");
    check("ECDSAP256", "1.2.840.10045.4.3.2");
    check("ECDSAP384", "1.2.840.10045.4.3.3");
    check("ECDSAP521", "1.2.840.10045.4.3.4");
    check("ED25519", "1.3.101.112");
    assert_eq!(KeyType::parse("RSA2048"), None);
}

#[test]
fn a_p521_request_is_signed_by_its_key() {
    use p521::ecdsa::signature::Verifier as _;
    let made = generate(KeyType::EcdsaP521).unwrap();
    let (_, request) = X509CertificationRequest::from_der(&made.request).unwrap();
    let info = &request.certification_request_info;
    let key = &info.subject_pki.subject_public_key.data;
    let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(key).unwrap();
    let signature = p521::ecdsa::DerSignature::try_from(&*request.signature_value.data).unwrap();
    key.verify(info.raw, &signature).unwrap();
    assert!(key.verify(b"something else", &signature).is_err());
}

#[test]
fn lengths_are_as_der_writes_them() {
    let length = |n: usize| {
        let made = der(4, &[&vec![0; n]]);
        made[1..made.len() - n].to_vec()
    };
    assert_eq!(length(0), [0]);
    assert_eq!(length(127), [127]);
    assert_eq!(length(128), [0x81, 128]);
    assert_eq!(length(256), [0x82, 1, 0]);
}
