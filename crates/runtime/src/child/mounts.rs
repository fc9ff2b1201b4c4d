//! The pod's mounts: host paths inside the container.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result, bail};
use cri::MountPropagation;

use super::paths::{self, Kind};
use crate::spec::Bind;
use crate::sys::{self, MountAttr};

/// A host path as a mount that is not attached anywhere yet.
pub struct Source<'a> {
    bind: &'a Bind,
    mount: OwnedFd,
    kind: Kind,
}

/// Clones the mounts that the binds' sources are on, parents before what lies in them.
pub fn clone_sources(binds: &[Bind]) -> Result<Vec<Source<'_>>> {
    let mut sorted: Vec<&Bind> = binds.iter().collect();
    sorted.sort_by_key(|bind| Path::new(&bind.target).components().count());
    sorted
        .into_iter()
        .map(|bind| {
            let what = || format!("mount {} to {}", bind.source.display(), bind.target);
            let kind = if std::fs::metadata(&bind.source).with_context(what)?.is_dir() {
                Kind::Directory
            } else {
                Kind::File
            };
            if bind.propagation == MountPropagation::Bidirectional {
                check_shared(&bind.source).with_context(what)?;
            }
            let mount = sys::open_tree(&bind.source, true).with_context(what)?;
            Ok(Source { bind, mount, kind })
        })
        .collect()
}

/// What is mounted in the container can only reach the host through a shared mount.
fn check_shared(source: &Path) -> Result<()> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").context("read mounts")?;
    let source = source.canonicalize()?;
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let containing = fields.filter(|f| f.len() > 6 && source.starts_with(f[4]));
    // Of mounts on one directory the last is on top.
    let Some(mount) = containing.max_by_key(|f| Path::new(f[4]).components().count()) else { return Ok(()) };
    let shared = mount[6..].iter().take_while(|f| **f != "-").any(|f| f.starts_with("shared:"));
    if !shared {
        bail!("path {} is mounted on {} but it is not a shared mount", source.display(), mount[4]);
    }
    Ok(())
}

/// Attaches them below the container's root.
pub fn attach(root: BorrowedFd<'_>, sources: Vec<Source<'_>>, userns: Option<BorrowedFd<'_>>) -> Result<()> {
    for Source { bind, mount, kind } in sources {
        let what = || format!("mount {} to {}", bind.source.display(), bind.target);
        let propagation = match bind.propagation {
            MountPropagation::Private => libc::MS_PRIVATE,
            MountPropagation::HostToContainer => libc::MS_SLAVE,
            MountPropagation::Bidirectional => 0,
        };
        if propagation != 0 {
            let attr = MountAttr { propagation, recursive: true, ..Default::default() };
            sys::mount_setattr(mount.as_fd(), attr).with_context(what)?;
        }
        if userns.is_some() {
            let attr = MountAttr { userns, recursive: true, ..Default::default() };
            sys::mount_setattr(mount.as_fd(), attr).with_context(what).context("map ids")?;
        }
        if bind.readonly {
            let set = sys::MOUNT_ATTR_RDONLY;
            let attr = MountAttr { set, recursive: bind.recursive_readonly, ..Default::default() };
            sys::mount_setattr(mount.as_fd(), attr).with_context(what)?;
        }
        let target = paths::create_in(root, Path::new(&bind.target), kind).with_context(what)?;
        sys::move_mount(mount.as_fd(), target.as_fd()).with_context(what)?;
    }
    Ok(())
}
