//! Persistent volumes and the claims they belong to.
//!
//! - [`binder`]: a claim gets the smallest volume that will do, and a volume learns when its claim is gone. What is decided
//!   from values is in `plan`.
//! - [`protection`]: claims and volumes that are in use stay until they no longer are.

pub mod binder;
mod plan;
pub mod protection;
#[cfg(test)]
mod tests;

/// On whatever the binder chose itself, as opposed to a user.
const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// On a claim that once had its volume.
const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// On a claim that waits for a volume to be made: by whom.
const STORAGE_PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
const STORAGE_PROVISIONER_BETA: &str = "volume.beta.kubernetes.io/storage-provisioner";
/// On a volume that was made for a claim: by whom, who also unmakes it.
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
