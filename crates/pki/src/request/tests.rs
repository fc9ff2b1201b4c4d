use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use super::*;

fn pem(name: &str, group: &str, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, group);
    params.distinguished_name.push(DnType::CommonName, name);
    params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap()
}

#[test]
fn subjects_and_names() {
    let asked =
        request_subject(pem("system:node:n", "system:nodes", &["n.example.com", "10.0.0.1"]).as_bytes())
            .unwrap();
    assert_eq!(
        (asked.common_name.as_str(), &asked.groups[..]),
        ("system:node:n", &["system:nodes".to_owned()][..])
    );
    assert_eq!(asked.dns_names, ["n.example.com"]);
    assert_eq!(asked.ips, ["10.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(asked.other_names, 0);
}

#[test]
fn what_is_no_request() {
    let other = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for bad in
        ["", "x", other, "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"]
    {
        assert!(request_subject(bad.as_bytes()).is_err(), "{bad:?}");
    }
}
