//! fsGroup: a volume's files belong to a group that its containers are in.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use k8s_openapi::api::core::v1::Pod;

use crate::spec;

/// What the group may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

/// When to walk the whole volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Always,
    OnRootMismatch,
}

/// The pod's fsGroup.
pub fn group(pod: &Pod) -> Option<u32> {
    spec::of(pod).security_context.as_ref()?.fs_group.and_then(|g| u32::try_from(g).ok())
}

pub fn policy(pod: &Pod) -> Policy {
    let policy = spec::of(pod).security_context.as_ref().and_then(|c| c.fs_group_change_policy.as_deref());
    if policy == Some("OnRootMismatch") { Policy::OnRootMismatch } else { Policy::Always }
}

/// The user that all containers run as, if it is one.
pub fn common_user(pod: &Pod) -> Option<u32> {
    let of_pod = spec::of(pod).security_context.as_ref().and_then(|c| c.run_as_user);
    let mut users = spec::init(pod)
        .chain(spec::main(pod))
        .map(|s| s.container.security_context.as_ref().and_then(|c| c.run_as_user).or(of_pod));
    let first = users.next()??;
    users.all(|u| u == Some(first)).then(|| u32::try_from(first).ok()).flatten()
}

const SET_GID: u32 = 0o2000;
const DIR_EXEC: u32 = 0o110;

/// Gives everything below `root` (itself included) to the group. Symbolic links are not followed.
pub fn apply(root: &Path, group: u32, access: Access, policy: Policy) -> io::Result<()> {
    if policy == Policy::OnRootMismatch {
        let found = fs::symlink_metadata(root)?;
        let wanted = mode_bits(true, access);
        if found.gid() == group && found.mode() & wanted == wanted {
            return Ok(());
        }
    }
    walk(root, group, access)
}

fn walk(path: &Path, group: u32, access: Access) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    std::os::unix::fs::lchown(path, None, Some(group))?;
    if found.is_symlink() {
        return Ok(());
    }
    let mode = found.mode() & 0o7777 | mode_bits(found.is_dir(), access);
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    if found.is_dir() {
        for entry in fs::read_dir(path)? {
            walk(&entry?.path(), group, access)?;
        }
    }
    Ok(())
}

fn mode_bits(dir: bool, access: Access) -> u32 {
    let bits = match access {
        Access::ReadOnly => 0o440,
        Access::ReadWrite => 0o660,
    };
    if dir { bits | SET_GID | DIR_EXEC } else { bits }
}
