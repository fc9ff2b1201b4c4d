//! Seccomp filters: what a container's processes may ask of the kernel.

use anyhow::Result;
use cri::SecurityProfile;

use crate::spec::Bpf;

/// The filters for `profile` and a container with these capabilities, in the order they are installed.
pub(crate) fn filters(profile: &SecurityProfile, _capabilities: u64) -> Result<Vec<Bpf>> {
    match profile {
        SecurityProfile::Unconfined => Ok(Vec::new()),
        _ => Ok(Vec::new()),
    }
}

/// RuntimeDefault's.
pub(crate) fn default_filters(_capabilities: u64) -> Result<Vec<Bpf>> {
    Ok(Vec::new())
}
