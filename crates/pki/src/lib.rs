//! Certificates and keys: the cluster's CA, what it issues, the service-account key, TLS settings, kubeconfig files.
//! Start at [`Pki::load_or_create`]; [`tls`] has the settings that servers and clients run with.
//!
//! Never decides who may do what: [`trust::ClientTrust`] says whether a chain is good and whom it names, no more.
//! Never lets a private key out of a file with mode 0600.

pub mod ca;
pub mod files;
pub mod identity;
pub mod keypair;
pub mod kubeconfig;
pub mod pin;
pub mod request;
pub mod sakey;
pub mod store;
pub mod tls;
pub mod trust;

pub use ca::{Ca, Template, Usage};
pub use identity::Identity;
pub use kubeconfig::Kubeconfig;
pub use sakey::{PublicKey, SigningKey};
pub use store::Pki;
pub use tls::LiveIdentity;
pub use trust::{ClientTrust, LiveTrust, Subject};

#[cfg(test)]
mod tests;
