//! Persistent volumes and the claims they belong to.
//!
//! - [`binder`]: a claim gets the smallest volume that will do, and a volume learns when its claim is gone. What is decided
//!   from values is in `resources`, as the scheduler decides alike.
//! - [`protection`]: claims and volumes that are in use stay until they no longer are.

pub mod binder;
pub mod protection;
#[cfg(test)]
mod tests;

/// On a claim that waits for a volume to be made: by whom.
const STORAGE_PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
const STORAGE_PROVISIONER_BETA: &str = "volume.beta.kubernetes.io/storage-provisioner";
/// On a volume that was made for a claim: by whom, who also unmakes it.
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
