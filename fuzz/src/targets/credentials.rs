//! What people show to say who they are.

use std::path::Path;
use std::sync::LazyLock;

use auth::authn::bootstrap_token;
use auth::authn::claims::Claims;
use auth::authn::jws::{self, Unverified};
use auth::authn::{StaticTokens, UserInfo};
use jiff::Timestamp;
use pki::{ClientTrust, PublicKey, SigningKey};
use rustls::pki_types::CertificateDer;

use super::told;

/// Certificates, requests and keys, as PEM and as what is in it.
pub fn certificate(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let mut answer = told(pki::identity::certificates(&text));
    let mut chain = pki::identity::certificates(&text).unwrap_or_default();
    chain.push(CertificateDer::from(input.to_vec()));
    for der in &chain {
        answer.push_str(&told(pki::trust::names(der)));
        let _ = pki::identity::validity(der);
    }
    if let Ok(trust) = ClientTrust::new(&text) {
        answer.push_str(&told(trust.verify(&chain, Timestamp::UNIX_EPOCH)));
    }
    answer.push_str(&told(pki::request::request_subject(input)));
    if let Ok(keys) = PublicKey::all_from_pem(&text) {
        for key in keys {
            assert!(!key.verify(b"message", input));
            let _ = key.jwk_members();
        }
    }
    let _ = SigningKey::from_pem(&text);
    answer
}

static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    let made = SigningKey::generate_pem().and_then(|pem| SigningKey::from_pem(&pem));
    made.unwrap_or_else(|e| panic!("make a key: {e:#}"))
});

/// Tokens: none that we did not sign is believed, whatever it says.
pub fn jwt(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let _ = (bootstrap_token::split(&text), StaticTokens::parse(&text, Vec::new()));
    let token = match Unverified::parse(&text) {
        Some(token) => token,
        // A payload alone, rightly signed: what do its claims say?
        None => {
            let signed = jws::sign(&KEY, input).unwrap_or_else(|e| panic!("sign: {e}"));
            let Some(token) = Unverified::parse(&signed) else { return "too long".into() };
            assert!(token.verify(std::slice::from_ref(KEY.public())).is_ok());
            let user: Option<UserInfo> = token.claims_of_no_proof::<Claims>().map(|claims| claims.user());
            return if user.is_some() { "claims" } else { "no claims" }.into();
        }
    };
    let _ = token.claims_of_no_proof::<Claims>();
    let verified = token.verify(std::slice::from_ref(KEY.public()));
    assert!(verified.is_err(), "a forged token is believed: {text}");
    told(verified)
}

pub fn kubeconfig(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    // No file of ours is to be read because a text says so.
    match client::https::kubeconfig::parse(&text, Path::new("/nowhere"), "fuzz") {
        Ok(_) => "a kubeconfig".into(),
        Err(e) => format!("{e:#}"),
    }
}
